"""The launch seam, the choices of launches, and what only CUDA kernels have. The ops themselves: test_ops.py."""

import contextlib
import ctypes
import sys
import types

import pytest
import torch
from cases import CASES, ENDING_CASES, F64, Case, DenseCase, assert_close, make_bank, signals, tolerance
from conftest import refused

from fastspec import _launch
from fastspec._launch import Kernel, launch
from fastspec.dispatch import choose, explain
from fastspec.ops import _cuda as cuda
from fastspec.ops import frame_transform, overlap_add, spectral_power
from fastspec.ops.basis_grad import _cuda as basis_grad_cuda
from fastspec.ops.frame_transform import _cuda as frame_transform_cuda
from fastspec.ops.inverse import _cuda as inverse_cuda
from fastspec.ops.inverse import inverse
from fastspec.ops.overlap_add import _cuda as overlap_add_cuda
from fastspec.ops.spectral_power import _cuda as spectral_power_cuda
from fastspec.plan import Ending, FramePlan

CASE = Case(500, 3, 128, 32)


@pytest.fixture
def engine(host_cuda):
    """The host engine, for CPU tensors."""
    host_cuda.launched.clear()
    with _launch.using(host_cuda):
        yield host_cuda


def arguments(monkeypatch):
    """A launch as frame_transform makes it: kernel, grid, block, args, shared bytes."""
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(_launch, "launch", lambda *call: seen.append(call))
        frame_transform_cuda.forward(*signals(CASE), CASE.plan)
    ((kernel, grid, block, args, shared),) = seen
    return kernel, grid, block, dict(args), shared


def test_a_launch_is_refused_unless_it_fits_the_signature(engine, monkeypatch):
    kernel, grid, block, args, shared = arguments(monkeypatch)
    x = args["x"]
    for match, change in (
        (r"x must be a tensor of torch.float32 \(the kernel has float\*\), got torch.float64", {"x": x.double()}),
        ("x must be a tensor of torch.float32 .* got int", {"x": 3}),
        ("x must be contiguous", {"x": x[:, ::2]}),
        ("window must be on cpu as the first tensor, got meta", {"window": args["window"].to("meta")}),
        ("y must be a tensor of torch.complex64", {"y": torch.view_as_real(args["y"])}),
        ("y must be contiguous", {"y": args["y"].conj()}),
        ("tiles must fit in the kernel's int, got 4294967296", {"tiles": 1 << 32}),
        ("tiles must be a number for the kernel's int, got float", {"tiles": 1.0}),
        ("n_fft must fit in the kernel's int", {"f": args["f"] | {"n_fft": 1 << 31}}),
        ("f takes samples, frames, .*; got ", {"f": {"samples": 3}}),
        ("twiddles must be a tensor of torch.complex64", {"t": args["t"] | {"twiddles": x}}),
        ("takes x, window, y, f, t, tiles; got", {"more": 1}),
    ):
        with pytest.raises(ValueError, match=match):
            launch(kernel, grid, block, args | change, shared)
    with pytest.raises(ValueError, match="takes x, window"):
        launch(kernel, grid, block, {k: v for k, v in args.items() if k != "tiles"}, shared)
    with pytest.raises(ValueError, match="impossible launch"):
        launch(kernel, grid, (1024, 2, 1), args, shared)
    assert not engine.launched
    launch(kernel, grid, block, args, shared)
    assert engine.launched == ["frame_transform_fwd_kernel"]


def test_signatures_come_from_the_sources():
    kernel = Kernel("frame_transform.cu", "frame_transform_fwd_kernel", ("float", "short"))
    assert kernel.expression == "fastspec::frame_transform_fwd_kernel<float, short>"
    found = {p.name: (p.type, p.pointer, p.const) for p in _launch.signature(kernel)}
    assert found["x"] == ("short", True, True)
    assert found["y"] == ("Complex<float>", True, False)
    assert found["tiles"] == ("int", False, False)
    fields = {p.name: p.fields for p in _launch.signature(kernel)}["t"]
    assert [(f.name, f.type) for f in fields][:2] == [("twiddles", "Complex<float>"), ("slots", "int")]
    with pytest.raises(ValueError, match="has no kernel 'nothing'"):
        _launch.signature(Kernel("frame_transform.cu", "nothing"))
    with pytest.raises(ValueError, match="takes 2 arguments"):
        _launch.signature(Kernel("frame_transform.cu", "frame_transform_fwd_kernel", ("float",)))


def test_cpu_tensors_need_an_engine_chosen_on_purpose(monkeypatch, host_cuda):
    kernel, grid, block, args, shared = arguments(monkeypatch)
    x, window = signals(CASE)
    with pytest.raises(ValueError, match="the CUDA kernels work on CUDA tensors, not on cpu"):
        launch(kernel, grid, block, args, shared)
    with pytest.raises(ValueError, match="backend 'cuda' does not run on cpu tensors"):
        frame_transform(x, window, CASE.plan, backend="cuda")
    with _launch.using(host_cuda):
        assert choose("frame_transform", "", CASE.plan, x, window).__name__ != frame_transform_cuda.__name__
        assert choose("frame_transform", "cuda", CASE.plan, x, window).__name__ == frame_transform_cuda.__name__


def test_the_cases_left_to_others():
    """test_ops.py leaves these out, and no others."""
    cases = CASES + ENDING_CASES
    rough = [c for c in cases if c.plan.n_fft < 16 or c.plan.n_fft in (49, 97, 127, 1009)]
    other = [c for c in cases if isinstance(c, DenseCase) or c.plan.prepared]
    assert {str(c) for c in cases if refused("cuda", c)} == {str(c) for c in rough + other}


def test_what_is_refused(monkeypatch):
    """By plan alone, with a reason, before anything is allocated or a GPU touched."""
    device = torch.device("cuda")
    monkeypatch.setattr(_launch.importlib.util, "find_spec", lambda name: name == "cupy" or None)

    def runs(*plan):
        return explain(FramePlan.make(*plan), device=device).rows[0]

    assert runs(1024)[1] == "cuda"
    for n_fft, reason in ((14, "from 16 to 16384"), (16385, "from 16 to 16384"), (1022, "prime factors above 5")):
        assert runs(n_fft, 4)[1] == "reference"
        assert reason in runs(n_fft, 4)[2]["cuda"]
    monkeypatch.setattr(_launch, "shared_limit", lambda device: 48 << 10)
    assert "bytes of shared memory" in runs(16384)[2]["cuda"]
    monkeypatch.setattr(_launch.importlib.util, "find_spec", lambda name: None)
    assert "CuPy is not installed" in runs(1024)[2]["cuda"]


def test_sources_keep_their_line_numbers():
    """Compiler errors and race reports name the file and line that a person can open."""
    text = _launch.source("frame_transform.cu").splitlines()
    markers = [line for line in text if line.startswith("#line")]
    assert markers[0] == '#line 1 "cuda/frame_transform.cu"'
    assert '#line 1 "common/butterflies.h"' in markers
    assert len([m for m in markers if m.startswith("#line 1 ")]) == len(set(m for m in markers if "#line 1 " in m))
    at = max(i for i, line in enumerate(text) if line.startswith("#line"))
    number = int(text[at].split()[1])
    original = (_launch.folder() / "cuda" / "frame_transform.cu").read_text().splitlines()
    assert text[at + 1 :][: len(original) - number + 1] == original[number - 1 :]


# ---- ragged batches, 16-bit numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pad", ["reflect", "replicate", "none"])
@pytest.mark.parametrize(("n_fft", "hop"), [(64, 16), (75, 100)])
def test_ragged_clips_are_what_each_gives_alone(n_fft, hop, pad, engine):
    """One launch for all of them, of every op."""
    plan, ending = FramePlan.make(n_fft, hop, pad_mode=pad), Ending.make(1.0, log="db")
    lengths = [500, plan.min_length, 1203, 130]
    clips = cuda.Clips.ragged(lengths, plan, "cpu")
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(1, length, generator=generator) for length in lengths]
    window, bank = torch.rand(n_fft, generator=generator), make_bank(plan.n_bins, 6, torch.float32)

    def run(x, length, clips):
        y = frame_transform_cuda.forward(x, window, plan, clips=clips)
        u = spectral_power_cuda.forward(x, window, bank, plan, ending, clips=clips)
        v = spectral_power_cuda.forward(x, window, None, plan, ending, clips=clips)
        both = spectral_power_cuda.backward(u, x, window, bank, plan, ending, True, True, clips=clips)
        assert all(g is not None for g in both)
        return (
            (y, u, v),
            (overlap_add_cuda.forward(y, window, plan, length, clips=clips), both[0]),
            (basis_grad_cuda.forward(x, y, plan, clips=clips), both[1]),
        )

    spectra, samples, windows = run(torch.cat(parts, 1), 0, clips)
    alone = [run(part, part.shape[1], None) for part in parts]
    for i, together in enumerate(spectra):
        assert torch.equal(together, torch.cat([a[0][i] for a in alone], 2))
    for i, together in enumerate(samples):
        expected = torch.cat([a[1][i] for a in alone], 1)
        torch.testing.assert_close(together, expected, rtol=0, atol=1e-6 * expected.abs().max().item())
    for i, together in enumerate(windows):
        expected = sum(a[2][i] for a in alone)
        torch.testing.assert_close(together, expected, rtol=0, atol=1e-5 * expected.abs().max().item())
    with pytest.raises(ValueError, match="waveform must"):
        cuda.Clips.ragged([500, 0], plan, "cpu")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int16])
def test_half_and_integer_samples_are_the_numbers_they_stand_for(dtype, engine):
    x, window = signals(CASE)
    x = (x * 8000).to(dtype) if dtype == torch.int16 else x.to(dtype)
    real = x.float() / 32768 if dtype == torch.int16 else x.float()
    ending, bank = Ending.make(), make_bank(CASE.plan.n_bins, 5, torch.float32)
    forward = spectral_power_cuda.forward
    y = frame_transform_cuda.forward(x, window, CASE.plan)
    assert torch.equal(y, frame_transform_cuda.forward(real, window, CASE.plan))
    out = forward(x, window, bank, CASE.plan, ending)
    assert torch.equal(out, forward(real, window, bank, CASE.plan, ending))
    given = spectral_power_cuda.backward(out, x, window, bank, CASE.plan, ending, True, True)
    expected = spectral_power_cuda.backward(out, real, window, bank, CASE.plan, ending, True, True)
    assert all(torch.equal(a, b) for a, b in zip(given, expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_results_are_rounded_as_torch_rounds(dtype, engine):
    x, window = signals(CASE)
    x[0] *= 300  # beyond float16
    x[1, 200] = float("nan")
    x[2] *= 1e-4
    expected = spectral_power_cuda.forward(x, window, None, CASE.plan, Ending.make()).to(dtype)
    out = torch.empty_like(expected)
    spectral_power_cuda.forward(x, window, None, CASE.plan, Ending.make(), out=out)
    assert expected.isnan().any()
    assert dtype == torch.bfloat16 or expected.isinf().any()
    torch.testing.assert_close(out, expected, rtol=0, atol=0, equal_nan=True)


# ---- launches -------------------------------------------------------------------------------------------------------


def test_one_launch_forward_and_one_backward(engine):
    """And small ones after it where padding repeats samples and where the window has a gradient."""

    def launches(pad, *needed):
        case = Case(500, 3, 128, 32, pad=pad)
        x, window = signals(case)
        bank, ending = make_bank(case.plan.n_bins, 5, case.dtype), Ending.make(log="db")
        out = spectral_power_cuda.forward(x, window, bank, case.plan, ending)
        spectral_power_cuda.backward(out, x, window, bank, case.plan, ending, *needed)
        names = engine.launched[:]
        engine.launched.clear()
        return names

    fused = ["spectral_power_fwd_kernel", "spectral_power_bwd_kernel"]
    assert launches("constant", True, False) == fused
    assert launches("reflect", True, False) == [*fused, "overlap_add_fold_kernel"]
    assert launches("reflect", False, True) == [*fused, "basis_grad_sum_kernel"]


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize(
    ("n_fft", "hop", "win", "frames"),
    [(64, 16, None, 37), (60, 7, 41, 80), (75, 20, 75, 11), (16, 40, 9, 9), (1024, 256, None, 3)],
)
def test_inverse_is_one_launch(n_fft, hop, win, frames, dtype, engine, nan_memory):
    """Values and gradients of the composition; cut into at the left, shorter and longer than the frames reach."""
    plan, generator = FramePlan.make(n_fft, hop, win, center=False), torch.Generator().manual_seed(0)
    covered = n_fft + hop * (frames - 1)
    y = torch.randn(2, plan.n_bins, frames, dtype=dtype.to_complex(), generator=generator)
    window = 0.2 + torch.rand(plan.win_length, dtype=dtype, generator=generator)
    largest = overlap_add(y.to(torch.complex128), window.double(), plan, covered, "reference").abs().max()
    scale, bound = largest.item(), tolerance(largest, plan, dtype)
    for start, length in ((0, covered), (0, covered + 3 * hop + 5), (n_fft // 2, 1 + covered // 3)):
        gain = 0.5 + torch.rand(length, dtype=dtype, generator=generator)
        truth = inverse(y.to(torch.complex128), window.double(), gain.double(), plan, start, "reference")
        engine.launched.clear()
        x = inverse(y, window, gain, plan, start, "cuda")
        assert engine.launched == ["inverse_kernel"]
        assert_close(x, truth, 1.5 * bound, f"{start} {length}")
        assert not x[:, max(0, covered - start) :].any()
        assert torch.equal(inverse(y, window, gain, plan, start, "cuda", torch.empty_like(x)), x)

        weights = torch.randn(x.shape, dtype=dtype, generator=generator)
        results = []
        for backend in ("cuda", "reference"):
            leaves = [each.clone().requires_grad_() for each in (y, window, gain)]
            (inverse(*leaves, plan, start, backend) * weights).sum().backward()
            results.append([leaf.grad for leaf in leaves])
        for name, ours, theirs in zip(("y", "window", "gain"), *results, strict=True):
            part = 1e-5 if dtype is torch.float32 else 1e-13
            assert_close(ours, theirs, part * max(theirs.abs().max().item(), scale if name == "gain" else 0), name)


def test_inverse_of_long_clips_is_shared_by_blocks(engine):
    """The seams between the blocks of a clip. Nothing asked for is nothing."""
    plan = FramePlan.make(64, 16, center=False)
    y, window = torch.randn(2, 33, 900, dtype=torch.complex64), torch.hann_window(64)
    gain = 0.5 + torch.rand(14448)
    clips = cuda.Clips(2, 14448, 900, 14448, 900)
    assert inverse_cuda.choose(plan, torch.float32, clips)[1].runs > 5
    whole = inverse(y, window, gain, plan, 0, "cuda")
    truth = inverse(y, window, gain, plan, 0, "reference")
    assert_close(whole, truth, 1e-6 * truth.abs().max().item(), "whole")
    assert torch.equal(inverse(y[..., :1], window, gain[:0], plan, 0, "cuda"), whole[:, :0])


@pytest.mark.parametrize("real", [torch.float32, F64])
def test_every_size_fits_a_block(real):
    """All 5-smooth sizes: the radices multiply to the points, blocks have 32 to 256 threads, memory suffices."""
    sizes = [n for n in range(16, 16385) if cuda.radices(n)]
    products = {2**a * 3**b * 5**c for a in range(15) for b in range(9) for c in range(7)}
    assert sizes == sorted(n for n in products if 16 <= n <= 16384)
    for n_fft in sizes:
        product = 1
        for radix in cuda.radices(n_fft):
            assert radix in (2, 3, 4, 5, 8, 16)
            product *= radix
        assert product == cuda.points_of(n_fft)
        assert len(cuda.radices(n_fft)) <= 8
        for frames in (1, 3, 1000):
            shape = cuda.layout(n_fft, real, frames)
            assert 8 <= shape.lanes * shape.tile <= 256
            assert shape.tile < 2 * frames
            assert shape.tile == 1 or shape.shared_bytes <= cuda.TILE_BYTES
            if n_fft % 2 == 0:  # 64 KB, as much as any GPU has since sm_75, twice that in float64
                assert shape.shared_bytes <= 16 * 1024 * real.itemsize


def test_tables_are_made_once_and_banks_watched(engine):
    plan = CASE.plan
    device = torch.device("cpu")
    assert cuda.fft_args(128, F64, device) is cuda.fft_args(128, F64, device)
    bank = make_bank(plan.n_bins, 5, torch.float32)
    first = cuda.bank_args(bank, plan)
    assert cuda.bank_args(bank, plan) is first
    start, stop = first["bands"].unbind(1)
    used = bank != 0
    for k in range(5):
        rows = used[:, k].nonzero().flatten().tolist()
        assert (start[k], stop[k]) == ((rows[0], rows[-1] + 1) if rows else (0, 0))
    bank[0, 1] = 1.0
    assert cuda.bank_args(bank, plan)["bands"][1].tolist() == [0, 1]
    assert cuda.bank_args(bank.requires_grad_(), plan) is not cuda.bank_args(bank, plan)


def test_derivatives_in_double_precision(engine):
    plan, ending = FramePlan.make(20, 7, 16), Ending.make(1.0, eps=1e-2, log="ln", floor=1e-3)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 45, dtype=F64, generator=generator).requires_grad_()
    window = (0.5 + torch.rand(16, dtype=F64, generator=generator)).requires_grad_()
    bank = make_bank(plan.n_bins, 4, F64)

    def power(x, window):
        return spectral_power(x, window, bank, plan, ending, "cuda")

    def round_trip(x, window):
        return overlap_add(frame_transform(x, window, plan, "cuda"), window, plan, 45, "cuda")

    for function in (power, round_trip):
        assert torch.autograd.gradcheck(function, (x, window), fast_mode=True)
        assert torch.autograd.gradgradcheck(function, (x, window), fast_mode=True)


def test_what_reaches_the_driver(monkeypatch):
    """The CuPy engine with a stand-in for CuPy: compiled once, on torch's stream, the kernel's arguments."""
    compiled, launched = [], []

    class RawModule:
        def __init__(self, code, options, name_expressions):
            compiled.append((code, options, name_expressions))

        def get_function(self, name):
            assert (name,) == compiled[-1][2]
            return types.SimpleNamespace(kernel=types.SimpleNamespace(ptr=11), max_dynamic_shared_size_bytes=0)

    def launch_kernel(function, *call):
        *shape, shared, stream, arguments, extra = call
        cells = ctypes.cast(arguments, ctypes.POINTER(ctypes.c_void_p))
        tiles = ctypes.cast(cells[5], ctypes.POINTER(ctypes.c_int))[0]
        x = ctypes.cast(cells[0], ctypes.POINTER(ctypes.c_void_p))[0]
        launched.append((function, shape, shared, stream, extra, x, tiles))

    cupy = types.ModuleType("cupy")
    cupy.RawModule = RawModule
    driver = types.ModuleType("cupy.cuda.driver")
    driver.launchKernel = launch_kernel
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupy.cuda.driver", driver)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: types.SimpleNamespace(cuda_stream=7))
    engine = _launch.CupyEngine()
    with _launch.using(engine):
        x, window = signals(CASE)
        for _ in range(2):
            frame_transform_cuda.forward(x, window, CASE.plan)
        large = FramePlan.make(16384, 4096)
        frame_transform_cuda.forward(torch.zeros(1, 20000), torch.ones(16384), large)
    assert len(compiled) == 1
    assert compiled[0][0] == _launch.source("frame_transform.cu")
    assert "-default-device" in compiled[0][1]
    choice = frame_transform_cuda.choose(CASE.plan, x.dtype, cuda.Clips.uniform(3, 500, CASE.plan))
    shape = [choice.grid, 1, 1, *choice.block, 1]
    assert launched[:2] == 2 * [(11, shape, choice.shared_bytes, 7, 0, x.data_ptr(), choice.grid // 3)]
    (function,) = engine.functions.values()
    assert function.max_dynamic_shared_size_bytes == launched[2][2] > 48 << 10
