"""The Triton kernels in the cured interpreter: test_triton.py runs this file in a process of its own.

First the cures: each must catch the fault that it is for. Then what the shared tests on the dense cases leave out:
every precision with its documented error, endings, work cut into items, the shipped tiles, ragged batches, NaN.
"""

import pytest
import torch
import triton
import triton.language as tl
from cases import (
    DENSE_CASES,
    ENDINGS,
    DenseCase,
    assert_close,
    centred,
    ending_name,
    make_bank,
    signals,
    true_transform,
)
from test_ops import check_linear_ops, check_power, random_spectrum

from fastspec.dispatch import explain
from fastspec.functional import cqt
from fastspec.ops import _triton, _triton_configs, _triton_tables, basis_grad, frame_transform, spectral_power
from fastspec.ops._triton_configs import LARGE, NARROW, SMALL, Gpu
from fastspec.ops._triton_tune import autotune
from fastspec.ops.frame_transform import _triton as transform_backend
from fastspec.plan import PRECISIONS, DensePlan, Ending
from gpu.triton_interpreter import OutOfBounds, Overlap

pytestmark = pytest.mark.usefixtures("nan_memory")

TINY = DenseCase(150, 2, 33, 7, centred(33, 33, 20, 5, 1), pad="circular")
WIDE = DenseCase(130, 3, 24, 8, tuple((0, 24) for _ in range(11)), pad="constant")
ERRORS = {  # relative to the largest value: documented in docs/precision.md, below and above
    "ieee": (0, 1e-6),
    "tf32x3": (0, 1e-6),
    "split-fp16": (0, 1e-6),
    "tf32": (2e-5, 1.5e-3),
    "bf16": (5e-4, 2e-2),
}


# ---- the cures ------------------------------------------------------------------------------------------------------


@triton.jit
def product_kernel(a, b, c, DOT: tl.constexpr, N: tl.constexpr):
    i = tl.arange(0, N)
    o = i[:, None] * N + i[None, :]
    tl.store(c + o, tl.dot(tl.load(a + o), tl.load(b + o), input_precision=DOT))


@triton.jit
def copy_kernel(a, b, n, SHIFT: tl.constexpr, STEP: tl.constexpr, N: tl.constexpr):
    i = tl.program_id(0) * STEP + tl.arange(0, N)
    tl.store(b + i, tl.load(a + i + SHIFT, mask=i < n))


@triton.jit
def atomic_kernel(a, N: tl.constexpr):
    tl.atomic_add(a + tl.arange(0, N), 1.0)


@pytest.mark.parametrize(
    ("dot", "dtype", "low", "high"),
    [
        ("ieee", torch.float32, 0, 1e-6),
        ("tf32", torch.float32, 2e-4, 2e-3),
        ("tf32x3", torch.float32, 0, 1e-6),
        ("ieee", torch.bfloat16, 0, 1e-6),
        ("ieee", torch.float16, 0, 1e-6),
    ],
)
def test_dot_has_the_error_of_the_instruction(dot, dtype, low, high):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(32, 32, generator=generator).to(dtype) for _ in "ab")
    c = torch.empty(32, 32)
    product_kernel[(1,)](a, b, c, DOT=dot, N=32)
    truth = a.double() @ b.double()
    assert low <= ((c - truth).abs().max() / truth.abs().max()).item() <= high


@pytest.mark.parametrize(
    ("fault", "arguments"),
    [
        (OutOfBounds, {"n": 64, "SHIFT": 1, "STEP": 32, "N": 32}),  # the last load
        (OutOfBounds, {"n": 64, "SHIFT": -1, "STEP": 32, "N": 32}),  # the first load
        (OutOfBounds, {"n": 64, "SHIFT": 0, "STEP": 33, "N": 32}),  # the last store
        (Overlap, {"n": 64, "SHIFT": 0, "STEP": 16, "N": 32}),  # both programs store 16 to 31
    ],
)
def test_faults_are_caught(fault, arguments):
    neighbours = torch.zeros(3, 64)  # memory beside a and b that a stray access would find
    a, b = neighbours[1], torch.empty(64)
    copy_kernel[(2,)](a, b, 64, SHIFT=0, STEP=32, N=32)
    assert torch.equal(a, b)
    with pytest.raises(triton.runtime.errors.InterpreterError, match=fault.__name__):
        copy_kernel[(2,)](a, b, *arguments.values())


def test_one_program_that_stores_twice_is_caught():
    a, b = torch.zeros(8, 8), torch.empty(64).as_strided((8, 8), (0, 1))  # eight rows on one another
    with pytest.raises(Exception, match="twice"):
        _stored_twice[(1,)](a, b, N=8)


@triton.jit
def _stored_twice(a, b, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(b + i[None, :] + 0 * i[:, None], tl.load(a + i[:, None] * N + i[None, :]))


def test_atomics_are_refused():
    with pytest.raises(Exception, match="deterministic"):
        atomic_kernel[(1,)](torch.zeros(32), N=32)


def test_autotune_runs_every_configuration_without_a_driver():
    ran = []
    configs = [triton.Config({"STEP": 32, "N": 32}, pre_hook=lambda args, n=n: ran.append(n)) for n in range(3)]
    tuned = triton.autotune(configs, key=["n"])(copy_kernel)
    a, b = torch.ones(64), torch.empty(64)
    tuned[(2,)](a, b, 64, SHIFT=0)
    assert set(ran) == {0, 1, 2}
    assert torch.equal(a, b)


# ---- every precision ------------------------------------------------------------------------------------------------


def with_precision(case: DenseCase, precision: str) -> DensePlan:
    plan = case.plan
    return DensePlan(plan.n_fft, plan.hop_length, plan.pad, plan.pad_mode, plan.starts, plan.stops, precision)


def relative(actual: torch.Tensor, truth: torch.Tensor) -> float:
    assert actual.shape == truth.shape
    return ((actual.detach().to(truth.dtype) - truth.detach()).abs().max() / truth.detach().abs().max()).item()


def precision_errors(case: DenseCase, precision: str) -> list[float]:
    """Of y, and of the gradients in x and the basis of a linear and of a power op."""
    plan = with_precision(case, precision)
    x, basis = (t.requires_grad_() for t in signals(case))
    x64, basis64 = (t.detach().double().requires_grad_() for t in (x, basis))
    y_true = true_transform(x64, basis64, case)
    cotangent = random_spectrum(y_true.shape, torch.float32)
    y = frame_transform(x, basis, plan, "triton")
    truths = torch.autograd.grad(y_true, (x64, basis64), cotangent.to(y_true.dtype), retain_graph=True)
    found = torch.autograd.grad(y, (x, basis), cotangent)
    power_true = y_true.abs().square()
    power = spectral_power(x, basis, None, plan, Ending.make(2.0), "triton")
    truths += torch.autograd.grad(power_true.sum(), (x64, basis64))
    found += torch.autograd.grad(power.sum(), (x, basis))
    return [relative(a, t) for a, t in zip((y, power, *found), (y_true, power_true, *truths), strict=True)]


@pytest.mark.parametrize("case", [TINY, WIDE, DENSE_CASES[2]], ids=str)
@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_precisions_have_their_documented_errors(precision, case):
    low, high = ERRORS[precision]
    errors = precision_errors(case, precision)
    assert low < max(errors) < 3 * high, errors  # a power doubles the error, its gradient adds one more product
    assert errors[0] < high


def test_large_and_small_clips_share_a_batch_in_halves():
    """split-fp16 scales each clip by itself, so a loud one does not cost a quiet one its bits."""
    case = WIDE
    plan = with_precision(case, "split-fp16")
    x, basis = signals(case)
    x *= torch.tensor([[1e-12], [1.0], [3e8]])
    truth = true_transform(x.double(), basis.double(), case)
    y = frame_transform(x, basis, plan, "triton")
    for b in range(3):
        assert relative(y[b], truth[b]) < 1e-6


def test_the_default_is_exact_on_every_gpu():
    for capability, expected in (
        (75, "ieee"),
        (80, "tf32x3"),
        (86, "ieee"),
        (89, "ieee"),
        (90, "tf32x3"),
        (120, "ieee"),
    ):
        assert _triton.precision_of(WIDE.plan, Gpu(capability, 100)) == expected
    assert _triton.precision_of(with_precision(WIDE, "bf16"), Gpu(90, 132)) == "bf16"


# ---- what the shared tests leave out --------------------------------------------------------------------------------


@pytest.mark.parametrize("banded", [False, True], ids=["bins", "bands"])
@pytest.mark.parametrize("ending", ENDINGS, ids=ending_name)
def test_endings(ending, banded):
    case = DenseCase(40, 1, 12, 5, centred(12, 12, 7, 3), pad="reflect")
    bank = make_bank(case.plan.n_bins, 2, torch.float32) if banded else None
    check_power(case, ending, bank, "triton")


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_long_supports_are_cut_and_added(precision, monkeypatch):
    """Blocks of one, two and more items in one call."""
    case = DenseCase(400, 1, 300, 40, centred(300, *[300] * 8, *[120] * 8, *[30] * 9), pad="constant")
    monkeypatch.setattr(_triton_tables, "MAX_COLUMNS", 64)
    _triton_tables.items.cache_clear()
    _, blocks, parts = _triton_tables.items(case.plan, 8, torch.device("cpu"))
    assert len(blocks) == 2  # of four
    assert parts > 4
    x, basis = signals(case)
    truth = true_transform(x.double(), basis.double(), case)
    plan = with_precision(case, precision)
    assert relative(frame_transform(x, basis, plan, "triton"), truth) < ERRORS[precision][1]
    v = spectral_power(x, basis, None, plan, Ending.make(1.0), "triton")
    assert relative(v, truth.abs()) < ERRORS[precision][1]
    _triton_tables.items.cache_clear()


@pytest.mark.parametrize("tile", [SMALL, LARGE, NARROW], ids=["small", "large", "narrow"])
def test_the_shipped_tiles(tile, monkeypatch):
    case = DenseCase(1100, 1, 48, 16, tuple((0, 48) for _ in range(70)), pad="constant")
    monkeypatch.setattr(_triton_configs, "config", lambda *_: tile)
    monkeypatch.setattr(_triton, "config", lambda *_: tile)
    check_linear_ops(case, "triton")


def test_autotune_remembers_by_bucket():
    x, basis = signals(WIDE)
    try:
        found = autotune(WIDE.plan, x, basis)
        assert set(found) == {"frame_transform", "overlap_add", "basis_grad"}
        work = _triton.work_of(WIDE.plan, x, x.shape[1])
        for name, tile in found.items():
            assert work.config(name) == tile
            frames = work.grid.frames
            again = _triton_configs.config(name, work.precision, WIDE.plan, frames + 1, work.gpu)
            assert again == tile, "one more frame is the same bucket"
            assert _triton_configs.key_of(name, "bf16", WIDE.plan, frames, work.gpu) not in _triton_configs.tuned
        check_linear_ops(WIDE, "triton")
    finally:
        _triton_configs.tuned.clear()


@pytest.mark.parametrize("pad", ["reflect", "constant", "replicate", "circular", "none"])
def test_ragged_batches(pad):
    """Each clip gives what it gives alone, padded at its own end; what lies behind it does not matter."""
    case = DenseCase(120, 3, 20, 6, centred(20, 20, 13, 4), pad=pad)
    plan = case.plan
    x, basis = signals(case)
    lengths = torch.tensor([120, 21, 64], dtype=torch.int32)
    for b, length in enumerate(lengths.tolist()):
        x[b, length:] = float("nan")
    work = _triton.work_of(plan, x, x.shape[1])
    y = torch.empty(3, 3, work.grid.M, dtype=torch.complex64)
    _triton.transform(work, x, basis, y=y, lengths=lengths)
    cotangent = random_spectrum(y.shape, torch.float32)
    scale, unscale = _triton.scales(work, cotangent)
    alone = []
    for b, length in enumerate(lengths.tolist()):
        frames = plan.n_frames(length)
        clip, spectrum = x[b : b + 1, :length], cotangent[b : b + 1, :, :frames]
        assert torch.equal(y[b : b + 1, :, :frames], transform_backend.forward(clip, basis, plan))
        assert (y[b, :, frames:] == 0).all()
        alone.append((clip, spectrum.contiguous()))
        cotangent[b, :, frames:] = 0
    frames, bins = _triton.pack_spectrum(work, cotangent, scale, frames_first=True, bins_first=True)
    grad_x = _triton.overlap_add(work, frames, unscale, basis, lengths)
    total = torch.zeros(basis.shape)
    for b, (clip, spectrum) in enumerate(alone):
        length = clip.shape[1]
        single = _triton.work_of(plan, clip, length)
        packed, _ = _triton.pack_spectrum(single, spectrum, scale[:1], frames_first=True, bins_first=False)
        expected = _triton.overlap_add(single, packed, unscale[:1], basis)
        assert_close(grad_x[b : b + 1, :length].contiguous(), expected.double(), 1e-5, "overlap_add")
        assert (grad_x[b, length:] == 0).all()
        total += basis_grad(clip, spectrum, plan, "triton")
    found = _triton.basis_grad(work, bins, unscale, x, lengths)
    assert_close(found, total.double(), 1e-4, "basis_grad")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_nan_and_inf_reach_the_taps_that_see_them(precision, value):
    """Not the row beside, the frame beside nor the clip beside, though they share a tile of the product."""
    case = DenseCase(200, 2, 33, 7, ((0, 33), (10, 20), (25, 33), (0, 7)), pad="constant")
    plan = with_precision(case, precision)
    x, basis = signals(case)
    y, v = (op(x, basis, plan) for op in (_complex, _power))
    dirty = x.clone()
    dirty[0, 100] = value
    dirty[1, 0] = value
    y_dirty, v_dirty = (op(dirty, basis, plan) for op in (_complex, _power))
    frame = torch.arange(plan.n_frames(200)) * 7 - plan.pad
    for b, at in ((0, 100), (1, 0)):
        for f, (start, stop) in enumerate(case.supports):
            hit = (frame + start <= at) & (at < frame + stop)
            assert hit.any() or at == 0
            for clean, found in ((y, y_dirty), (v, v_dirty)):
                assert not found[b, f, hit].isfinite().any()
                tol = ERRORS[precision][1] * clean.abs().max().item()
                truth = clean[b, f, ~hit].to(torch.complex128 if clean is y else torch.float64)
                assert_close(found[b, f, ~hit], truth, tol, "what sees no such sample")


def _complex(x, basis, plan):
    return frame_transform(x, basis, plan, "triton")


def _power(x, basis, plan):
    return spectral_power(x, basis, None, plan, Ending.make(1.0), "triton")


def test_silence():
    x = torch.zeros(2, 150, requires_grad=True)
    basis = signals(TINY)[1].requires_grad_()
    for ending in [*ENDINGS[:6], Ending.make(1.0, log="ln", floor=0.0), Ending.make(0.5, log="log1p")]:
        for bank in (None, make_bank(4, 2, torch.float32)):
            out = spectral_power(x, basis, bank, TINY.plan, ending, "triton")
            grads = torch.autograd.grad(out.sum(), (x, basis))
            assert out.isfinite().all() or ending.floor == 0
            assert all((g == 0).all() for g in grads), ending_name(ending)


def test_pcm_is_samples_over_32768():
    pcm = torch.randint(-32768, 32767, (2, 150), dtype=torch.int16, generator=torch.Generator().manual_seed(0))
    basis = signals(TINY)[1]
    for precision in PRECISIONS[1:]:
        plan = with_precision(TINY, precision)
        a, b = (frame_transform(x, basis, plan, "triton") for x in (pcm, pcm.float() / 32768))
        assert relative(a, b.to(torch.complex128)) < 2e-7
        cotangent = random_spectrum(a.shape, torch.float32)
        a, b = (basis_grad(x, cotangent, plan, "triton") for x in (pcm, pcm.float() / 32768))
        assert relative(a, b.double()) < 2e-7


def test_strides_conjugates_and_out():
    plan = TINY.plan
    x, basis = signals(TINY)
    y = frame_transform(x, basis, plan, "triton")
    assert torch.equal(frame_transform(x.mT.contiguous().mT, basis.mT.contiguous().mT, plan, "triton"), y)
    assert torch.equal(frame_transform(x[:1].expand(2, -1), basis, plan, "triton")[1], y[0])
    out = torch.empty_like(y)
    assert frame_transform(x, basis, plan, "triton", out=out) is out
    assert torch.equal(out, y)
    flipped = basis_grad(x, y.conj(), plan, "triton")
    assert torch.equal(flipped, basis_grad(x, y.conj().resolve_conj(), plan, "triton"))
    bank = make_bank(4, 3, torch.float32)
    u = spectral_power(x, basis, bank, plan, Ending.make(), "triton")
    assert torch.equal(spectral_power(x, basis, bank.mT.contiguous().mT, plan, Ending.make(), "triton"), u)


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_repeatable_kept_or_recomputed(precision):
    """The same bits on every run, whether the spectrum was kept or not."""
    plan, ending = with_precision(TINY, precision), Ending.make(1.7, log="db")
    leaves = [*signals(TINY), make_bank(4, 3, torch.float32)]

    def run(recompute):
        own = [t.clone().requires_grad_() for t in leaves]
        out = spectral_power(*own, plan, ending, "triton", recompute=recompute)
        return [out.detach(), *torch.autograd.grad(out.sum(), own)]

    first = run(False)
    assert all(torch.equal(a, b) for a, b in zip(first, run(False), strict=True))
    recomputed = run(True)
    assert torch.equal(recomputed[0], first[0]) or precision != "ieee"
    tol = [max(5e-6, ERRORS[precision][1]) * a.abs().max().item() for a in first]
    for a, b, t in zip(recomputed, first, tol, strict=True):
        assert_close(a, b.double(), t, "recomputed")


def test_second_derivatives():
    """A gradient penalty: composed of the linear ops, so the products of all three kernels are differentiated."""
    case = DenseCase(40, 1, 12, 5, centred(12, 12, 7, 3))
    ending = Ending.make(1.0, log="ln", floor=1e-3)

    def penalty(x, basis, op):
        x, basis = x.clone().requires_grad_(), basis.clone().requires_grad_()
        (g,) = torch.autograd.grad(op(x, basis).sum(), x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), (x, basis))

    x, basis = signals(case)
    found = penalty(x, basis, lambda x, h: spectral_power(x, h, None, case.plan, ending, "triton"))
    truth = penalty(x.double(), basis.double(), lambda x, h: (true_transform(x, h, case).abs() + 0).clamp(1e-3).log())
    for a, t in zip(found, truth, strict=True):
        assert relative(a, t) < 1e-4


@pytest.mark.parametrize("algorithm", ["direct", "recursive"])
def test_constant_q(algorithm):
    """Supports of a kernel each; by octaves the half-band filter is a row of the same kind."""
    arguments = {"sr": 4000, "hop_length": 64, "fmin": 110, "n_bins": 36, "algorithm": algorithm}
    x = signals(DenseCase(1500, 1, 12, 5, centred(12, 12)))[0]
    found, truth = x.clone().requires_grad_(), x.double().requires_grad_()
    y = cqt(found, **arguments, output_format="Complex", backend="triton")
    expected = cqt(truth, **arguments, output_format="Complex", backend="reference")
    assert relative(y, expected) < 1e-5
    cotangent = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    (grad,) = torch.autograd.grad(y, found, cotangent)
    assert relative(grad, torch.autograd.grad(expected, truth, cotangent.to(expected.dtype))[0]) < 1e-5


def test_explain_names_triton():
    assert explain(TINY.plan, backend="triton").rows[0][1] == "triton"
    rows = {op: (runs, refused) for op, runs, refused in explain(TINY.plan, device="cuda").rows}
    assert all(runs == "triton" and not refused for runs, refused in rows.values())
