"""The launch seam, the choices of launches, and what only CUDA kernels have. The ops themselves: test_ops.py."""

import pytest
import torch
from cases import CASES, ENDING_CASES, Case, DenseCase, signals
from conftest import refused

from fastspec import _launch
from fastspec._launch import Kernel, launch
from fastspec.dispatch import choose, explain
from fastspec.ops import frame_transform
from fastspec.ops.frame_transform import _cuda as frame_transform_cuda
from fastspec.plan import FramePlan

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
