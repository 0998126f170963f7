"""Every op on every backend against the float64 truth: values and gradients together."""

from concurrent.futures import ThreadPoolExecutor

import hypothesis
import pytest
import torch
from cases import (
    CASES,
    DENSE_CASES,
    ENDING_CASES,
    ENDINGS,
    F64,
    Case,
    assert_close,
    ending_name,
    make_bank,
    signals,
    tolerance,
    true_power,
    true_transform,
)
from conftest import BACKENDS, refused
from hypothesis import strategies as st

from fastspec import _launch
from fastspec.ops import _few_rows, basis_grad, frame_transform, overlap_add, spectral_power
from fastspec.plan import Ending, FramePlan

pytestmark = pytest.mark.usefixtures("nan_memory")
SMOOTH = [n for n in range(16, 301) if 2**8 * 3**5 * 5**3 % n == 0]  # what the CUDA kernels take


@pytest.fixture(params=[*BACKENDS, "cuda"])
def backend(request):
    """Every backend; CUDA kernels run on the CPU, by the host engine."""
    if request.param != "cuda":
        yield request.param
        return
    with _launch.using(request.getfixturevalue("host_cuda")):
        yield request.param


def random_spectrum(shape, dtype):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape, dtype=dtype.to_complex(), generator=generator)


def check_linear_ops(case, backend):
    """The three linear ops on one case: the gradients of frame_transform are the other two ops."""
    plan = case.plan
    x, window = signals(case)
    x64, window64 = x.double().requires_grad_(), window.double().requires_grad_()
    y_true = true_transform(x64, window64, case)
    cotangent = random_spectrum(y_true.shape, case.dtype)
    gx_true, gw_true = torch.autograd.grad(y_true, (x64, window64), cotangent.to(y_true.dtype))
    assert plan.n_frames(case.T) == y_true.shape[2]

    x.requires_grad_(), window.requires_grad_()
    y = frame_transform(x, window, plan, backend)
    gx, gw = torch.autograd.grad(y, (x, window), cotangent)
    for what, actual, truth in (
        ("frame_transform", y.detach(), y_true.detach()),
        ("overlap_add", gx, gx_true),
        ("basis_grad", gw, gw_true),
    ):
        tol = tolerance(truth, plan, case.dtype)
        if what != "frame_transform" and case.dtype == F64:  # terms may cancel; what was rounded is each of them
            other = (window if what == "overlap_add" else x).detach().abs().max().item()
            terms = y_true[0].numel() ** 0.5 * other * cotangent.abs().max().item()
            tol = max(tol, torch.finfo(case.dtype).eps * terms)
        assert_close(actual, truth, tol, what)

    x, window = x.detach(), window.detach()
    assert torch.equal(frame_transform(x, window, plan, backend), y), "the direct call differs"
    assert torch.equal(overlap_add(cotangent, window, plan, case.T, backend), gx), "the direct call differs"
    assert torch.equal(basis_grad(x, cotangent, plan, backend), gw), "the direct call differs"


@pytest.mark.parametrize("case", CASES + DENSE_CASES, ids=str)
def test_linear_ops(case, backend):
    check_linear_ops(case, backend)


def check_power(case, ending, bank, backend):
    """Value and every gradient of spectral_power.

    Powers and logarithms magnify rounding where the spectrum is small, so the tolerance adds what the same
    formula loses in plain float32 PyTorch, eight times (in float64: scaled by the ratio of the epsilons).
    """
    plan = case.plan
    x, window = signals(case)
    leaves = [x, window] if bank is None else [x, window, bank]

    def run(op, dtype):
        inputs = [t.detach().to(dtype).requires_grad_() for t in leaves]
        out = op(*inputs, *([None] if bank is None else []))
        cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
        return [out.detach(), *torch.autograd.grad(out, inputs, cotangent.to(dtype))]

    truths = run(lambda x, w, b: true_power(x, w, b, case, ending), torch.float64)
    rough = run(lambda x, w, b: true_power(x, w, b, case, ending), torch.float32)
    actual = run(lambda x, w, b: spectral_power(x, w, b, plan, ending, backend), case.dtype)
    ratio = torch.finfo(case.dtype).eps / torch.finfo(torch.float32).eps
    for what, a, t, r in zip(("value", "grad_x", "grad_window", "grad_bank"), actual, truths, rough, strict=False):
        magnified = 8 * ratio * (r.double() - t).abs().max().item()
        assert_close(a, t, tolerance(t, plan, case.dtype) + magnified, what)

    direct = spectral_power(x, window, bank, plan, ending, backend)
    assert torch.equal(direct, actual[0]), "the direct call differs"


@pytest.mark.parametrize("banded", [False, True], ids=["bins", "bands"])
@pytest.mark.parametrize("ending", ENDINGS, ids=ending_name)
def test_endings(ending, banded, backend):
    for case in ENDING_CASES:
        if refused(backend, case):
            continue
        bank = make_bank(case.plan.n_bins, 8, case.dtype) if banded else None
        check_power(case, ending, bank, backend)


@pytest.mark.parametrize("case", CASES + DENSE_CASES, ids=str)
def test_power_shapes(case, backend):
    bank = make_bank(case.plan.n_bins, 5, case.dtype)
    check_power(case, Ending.make(2.0, log="log10", floor=1e-2), bank, backend)


@pytest.mark.parametrize("native", [True, False], ids=["native", "products"])
@pytest.mark.parametrize("case", DENSE_CASES, ids=str)
def test_dense_on_the_cpu_both_ways(case, native, monkeypatch):
    """Whichever way a plan's rows would go by their number."""
    monkeypatch.setattr(_few_rows, "suits", lambda plan: native)
    check_linear_ops(case, "cpu")
    bank = make_bank(case.plan.n_bins, 5, case.dtype)
    for ending in (
        Ending.make(1.0, eps=1e-3),
        Ending.make(1.7, eps=1e-3, log="log1p"),
        Ending.make(log="db", floor=0.1),
    ):
        check_power(case, ending, None, "cpu")
        check_power(case, ending, bank, "cpu")


@pytest.mark.parametrize("case", CASES[::2] + DENSE_CASES, ids=str)
def test_adjoint(case, backend):
    """<y, T x> = <T* y, x> = <C(x, y), w>, to the rounding of the sums themselves."""
    plan = case.plan
    x, window = signals(case)
    spectrum = frame_transform(x, window, plan, backend)
    y = random_spectrum(spectrum.shape, case.dtype)
    in_spectrum = (y.conj().to(torch.complex128) * spectrum).real
    in_signal = overlap_add(y, window, plan, case.T, backend).double() * x
    in_window = basis_grad(x, y, plan, backend).double() * window
    # |<y, T x>| may cancel to nothing; rounding is relative to the norms of what is multiplied
    scale = y.abs().double().norm() * spectrum.abs().double().norm()
    tol = 4 * torch.finfo(case.dtype).eps * scale.item()
    assert abs(in_spectrum.sum() - in_signal.sum()).item() <= tol
    assert abs(in_spectrum.sum() - in_window.sum()).item() <= tol


@hypothesis.settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(data=st.data())
def test_any_parameters(backend, data):
    """Whatever the plan allows agrees with the truth."""
    n_fft = data.draw(st.sampled_from(SMOOTH) if backend == "cuda" else st.integers(2, 300), label="n_fft")
    case = Case(
        T=data.draw(st.integers(1, 700), label="T"),
        B=data.draw(st.integers(1, 3), label="B"),
        n_fft=n_fft,
        hop=data.draw(st.integers(1, 2 * n_fft), label="hop"),
        win=data.draw(st.integers(1, n_fft), label="win"),
        pad=data.draw(st.sampled_from(["reflect", "constant", "replicate", "circular", "none"]), label="pad"),
        center_pad=data.draw(st.none() | st.integers(0, n_fft), label="center_pad"),
        onesided=data.draw(st.booleans(), label="onesided"),
        dtype=data.draw(st.sampled_from([torch.float32, torch.float64]), label="dtype"),
    )
    hypothesis.assume(case.T >= case.plan.min_length)
    check_linear_ops(case, backend)


@hypothesis.settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(data=st.data())
@pytest.mark.parametrize("backend", BACKENDS, indirect=True)  # the CUDA kernels refuse such plans
def test_any_prepared_frames(backend, data):
    """Frames without their mean, pre-emphasised."""
    n_fft = data.draw(st.integers(8, 300), label="n_fft")
    case = Case(
        T=data.draw(st.integers(n_fft, 700), label="T"),
        B=2,
        n_fft=n_fft,
        hop=data.draw(st.integers(1, 2 * n_fft), label="hop"),
        win=data.draw(st.integers(8, n_fft), label="win"),
        pad=data.draw(st.sampled_from(["reflect", "constant", "none"]), label="pad"),
        dtype=data.draw(st.sampled_from([torch.float32, torch.float64]), label="dtype"),
        preemphasis=data.draw(st.sampled_from([0.0, 0.97, 1.0]), label="preemphasis"),
        remove_dc=data.draw(st.booleans(), label="remove_dc"),
    )
    check_linear_ops(case, backend)


@pytest.mark.parametrize("case", [CASES[7], CASES[15], CASES[20], CASES[28]], ids=str)
def test_repeatable(case, backend):
    """The same bits from run to run, for outputs and gradients, and whatever the batch around a clip."""
    plan, ending = case.plan, Ending.make(1.0, log="db")
    x, window = signals(case)
    bank = make_bank(plan.n_bins, 5, case.dtype)

    def run(x):
        leaves = [t.clone().requires_grad_() for t in (x, window, bank)]
        out = spectral_power(*leaves, plan, ending, backend)
        return [out.detach(), *torch.autograd.grad(out.sum(), leaves)]

    first = run(x)
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(first, run(x), strict=True))
    if backend != "reference":
        assert torch.equal(run(x[:1])[0], first[0][:1])


def test_many_threads(backend):
    case = CASES[20]
    x, window = signals(case)
    expected = spectral_power(x, window, None, case.plan, Ending.make(), backend)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: spectral_power(x, window, None, case.plan, Ending.make(), backend), range(64)))
    assert all(torch.equal(r, expected) for r in runs)


@pytest.mark.parametrize("case", [CASES[7], CASES[15], CASES[20]], ids=str)
def test_int16(case, backend):
    """int16 samples mean x / 32768; the window still has its gradient."""
    plan, ending = case.plan, Ending.make(2.0, log="db")
    pcm = (signals(case)[0] * 8000).to(torch.int16)
    samples = pcm.float() / 32768
    window = signals(case)[1].requires_grad_()
    bank = make_bank(plan.n_bins, 5, case.dtype).requires_grad_()
    results = []
    for x in (samples, pcm):
        out = spectral_power(x, window, bank, plan, ending, backend)
        y = frame_transform(x, window, plan, backend)
        cotangent = random_spectrum(y.shape, torch.float32)
        results.append([out, *torch.autograd.grad(out.sum(), (window, bank)), y])
        results[-1] += torch.autograd.grad(y, window, cotangent)
    for a, b in zip(*results, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-5 * a.abs().max().item())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_inf_stay_in_their_frames(value, backend):
    case = Case(4000, 2, 400, 160)
    plan = case.plan
    x, window = signals(case)
    bank = make_bank(plan.n_bins, 7, case.dtype)
    bank[:, 1] = 1.0  # an empty band may stay finite
    clean = spectral_power(x, window, bank, plan, Ending.make(2.0, log="log10"), backend)
    x[1, 2000] = value
    dirty = spectral_power(x, window, bank, plan, Ending.make(2.0, log="log10"), backend)
    y = frame_transform(x, window, plan, backend)
    starts = torch.arange(plan.n_frames(case.T)) * plan.hop_length - plan.pad
    holds = (starts <= 2000) & (2000 < starts + plan.n_fft)
    assert torch.equal(dirty[0], clean[0])
    assert torch.equal(dirty[1][:, ~holds], clean[1][:, ~holds])
    assert not dirty[1][:, holds].isfinite().any()
    assert not y[1][:, holds].isfinite().any()
    assert y[1][:, ~holds].isfinite().all()


def test_silence(backend):
    """Zero magnitude has gradient zero, floors hold, nothing is NaN."""
    case = Case(2000, 2, 400, 160)
    plan = case.plan
    window = signals(case)[1].requires_grad_()
    bank = make_bank(plan.n_bins, 7, case.dtype).requires_grad_()
    for ending in [*ENDINGS, Ending.make(1.0, log="ln", floor=0.0), Ending.make(2.0, log="db", floor=0.0)]:
        for b in (bank, None):
            x = torch.zeros(case.B, case.T, requires_grad=True)
            out = spectral_power(x, window, b, plan, ending, backend)
            inputs = (x, window, bank) if b is not None else (x, window)
            grads = torch.autograd.grad(out.sum(), inputs)
            assert out.isfinite().all() or ending.floor == 0.0
            for name, g in zip("xw", grads, strict=False):
                assert (g == 0).all(), f"{ending_name(ending)}: gradient in {name}"
            assert all(g.isfinite().all() for g in grads), ending_name(ending)


def test_inputs_need_not_be_contiguous(backend):
    case = CASES[15]
    plan = case.plan
    x, window = signals(case)
    bank = make_bank(plan.n_bins, 5, case.dtype)
    y = frame_transform(x, window, plan, backend)
    strided_x = x.mT.contiguous().mT
    strided_window = torch.stack([window, window], 1)[:, 0]
    strided_bank = bank.mT.contiguous().mT
    assert torch.equal(frame_transform(strided_x, strided_window, plan, backend), y)
    ending = Ending.make()
    assert torch.allclose(
        spectral_power(strided_x, strided_window, strided_bank, plan, ending, backend),
        spectral_power(x, window, bank, plan, ending, backend),
    )
    strided_y = y.mT.contiguous().mT
    expected = overlap_add(y, window, plan, case.T, backend)
    assert torch.equal(overlap_add(strided_y, strided_window, plan, case.T, backend), expected)
    assert torch.equal(basis_grad(strided_x, strided_y, plan, backend), basis_grad(x, y, plan, backend))
    expanded = x[:1].expand(3, -1)
    assert torch.equal(frame_transform(expanded, window, plan, backend)[2], y[0])
    leaf = x.clone().requires_grad_()
    out = spectral_power(leaf, window, None, plan, ending, backend)
    (from_expanded,) = torch.autograd.grad(out.sum(), leaf, retain_graph=True)  # sum: a gradient with strides 0
    (from_ones,) = torch.autograd.grad(out, leaf, torch.ones_like(out))
    assert torch.equal(from_expanded, from_ones)


UNPADDED = [c for c in CASES[:12] + DENSE_CASES if c.plan.pad == 0 and c.T > c.plan.n_fft + 2]


@pytest.mark.parametrize("case", UNPADDED, ids=str)
def test_a_clip_within_a_longer_one(case, backend):
    """Contiguous, but not at the beginning of its memory."""
    x, window = signals(case)
    within = x[:1, 1:-1]
    for op, rest in ((frame_transform, window), (basis_grad, frame_transform(within, window, case.plan, "reference"))):
        truth = op(within.clone(), rest, case.plan, backend)
        tol = tolerance(truth, case.plan, case.dtype)
        assert_close(op(within, rest, case.plan, backend), truth, tol, op.__name__)


def test_conjugate_and_negative_views(backend):
    case = CASES[15]
    x, window = signals(case)
    y = frame_transform(x, window, case.plan, backend)
    flipped = overlap_add(y.conj(), window, case.plan, case.T, backend)
    assert torch.equal(flipped, overlap_add(y.conj().resolve_conj(), window, case.plan, case.T, backend))
    negative = torch.complex(torch.zeros_like(x), x).conj().imag
    assert negative.is_neg()
    assert torch.equal(
        frame_transform(negative, window, case.plan, backend), frame_transform(-x, window, case.plan, backend)
    )


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_out(backend, dtype):
    case = Case(2000, 2, 400, 160, dtype=dtype)
    plan, ending = case.plan, Ending.make(2.0, log="db")
    x, window = signals(case)
    bank = make_bank(plan.n_bins, 5, dtype)
    y = frame_transform(x, window, plan, backend)
    out = torch.empty_like(y)
    assert frame_transform(x, window, plan, backend, out=out) is out
    assert torch.equal(out, y)
    u = spectral_power(x, window, bank, plan, ending, backend)
    out = torch.empty_like(u)
    assert spectral_power(x, window, bank, plan, ending, backend, out=out) is out
    assert torch.equal(out, u)
    with pytest.raises(ValueError, match="out must be"):
        spectral_power(x, window, bank, plan, ending, backend, out=out[..., 1:])
    with pytest.raises(ValueError, match="out must be"):
        spectral_power(x, window, bank, plan, ending, backend, out=torch.empty(u.mT.shape, dtype=dtype).mT)
    with pytest.raises(ValueError, match="out must be None"):
        spectral_power(x.requires_grad_(), window, bank, plan, ending, backend, out=out)
    with torch.no_grad():
        assert torch.equal(spectral_power(x, window, bank, plan, ending, backend, out=out), u)


def test_bad_tensors():
    plan, ending = FramePlan.make(64, 16, 50), Ending.make()
    x, window, bank = torch.zeros(2, 200), torch.zeros(50), torch.zeros(33, 4)
    y = torch.zeros(2, 33, plan.n_frames(200), dtype=torch.complex64)
    for match, call in (
        (r"x must have shape \[B, T\] .* got \[0, 200\]", lambda: frame_transform(x[:0], window, plan)),
        (r"x must have shape \[B, T\] .* got \[200\]", lambda: frame_transform(x[0], window, plan)),
        (
            "x must be float32, float64 or int16, got torch.int64",
            lambda: frame_transform(x.long(), window, plan),
        ),
        (
            "x must be float32, float64 or int16, got torch.complex64",
            lambda: frame_transform(x + 0j, window, plan),
        ),
        (r"window must have shape \[50\], got \[49\]", lambda: frame_transform(x, window[1:], plan)),
        (
            "window must be torch.float32 on cpu, got torch.float64",
            lambda: frame_transform(x, window.double(), plan),
        ),
        (
            "window must be torch.float32 on cpu, got .* on meta",
            lambda: frame_transform(x, window.to("meta"), plan),
        ),
        (
            "waveform must be longer than the reflect padding of 32",
            lambda: spectral_power(x[:, :32], window, None, plan, ending),
        ),
        (
            r"bank must have shape \[33, 4\], got \[32, 4\]",
            lambda: spectral_power(x, window, bank[1:], plan, ending),
        ),
        (r"bank must have shape \[F, K\]", lambda: spectral_power(x, window, bank[0], plan, ending)),
        (r"y must have shape .* \[B, 33, 13\]", lambda: overlap_add(y[:, :, 1:], window, plan, 200)),
        ("y must be complex64", lambda: overlap_add(y.real, window, plan, 200)),
        ("y must be torch.complex64 on cpu with B = 2", lambda: basis_grad(x, y[:1], plan)),
        ("backend must be one of", lambda: frame_transform(x, window, plan, "fast")),
    ):
        with pytest.raises(ValueError, match=match):
            call()


@pytest.mark.parametrize("trainable", [False, True])
def test_a_changed_bank_is_noticed(trainable, backend):
    """A backend may remember what it derived from a bank, but not beyond a change, however it was made."""
    case = CASES[15]
    plan, ending = case.plan, Ending.make()
    x, window = signals(case)
    bank = make_bank(plan.n_bins, 5, case.dtype).requires_grad_(trainable)

    def run():
        return spectral_power(x, window, bank, plan, ending, backend).detach()

    before = run()
    with torch.no_grad():
        bank.mul_(2)
        assert torch.equal(run(), 2 * before)
    if trainable:  # what an optimizer of the old school does, and gradcheck
        bank.data.mul_(2)
        assert torch.equal(run(), 4 * before)
        with torch.no_grad():
            assert torch.equal(run(), 4 * before)
