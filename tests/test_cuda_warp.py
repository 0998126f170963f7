"""The fast CUDA kernels of spectral_power in the host engine: what they choose, and edges that test_ops.py lacks."""

import pytest
import torch
from cases import Case, make_bank, signals, tolerance, true_power

from fastspec import _launch
from fastspec.ops import _cuda as cuda
from fastspec.ops import _cuda_warp as warp
from fastspec.ops import spectral_power
from fastspec.ops.spectral_power import _cuda as spectral_power_cuda
from fastspec.plan import Ending, FramePlan

MAGNITUDE, LOG_POWER = Ending.make(1.0), Ending.make(2.0, log="ln", floor=1e-2)
FORWARD, BACKWARD = "warp_power_fwd_kernel", "warp_power_bwd_kernel"

CASES = [  # hops known to the compiler and not, odd; clips shorter than a tile, frame counts of every remainder
    Case(300, 2, 400, 160, pad="replicate"),
    Case(6001, 1, 400, 77),
    Case(4033, 3, 512, 128, pad="constant"),
    Case(700, 1, 512, 201, win=300, center_pad=100),
    Case(515, 2, 1024, 256),
    Case(9472, 1, 1024, 256, pad="circular"),
    Case(6000, 2, 1024, 111, win=1000, pad="none"),
    Case(1025, 2, 2048, 512),
    Case(12001, 1, 2048, 700, pad="replicate"),
]
BACKWARD_CASES = [
    Case(515, 2, 1024, 256),  # both ends of a clip fold into one tile
    Case(9001, 1, 1024, 256, pad="replicate"),
    Case(16001, 2, 1024, 256, pad="constant", center_pad=300),
    Case(5000, 1, 1024, 256, pad="none"),
    Case(12000, 1, 1024, 201, win=900),
    Case(16001, 1, 1024, 256, pad="replicate"),  # two blocks
    Case(5200, 1, 1024, 64),  # two blocks; as many frames before those that a block owns as a tile has
]


@pytest.fixture
def engine(host_cuda):
    host_cuda.launched.clear()
    with _launch.using(host_cuda):
        yield host_cuda


def check(case, ending, bank, backward):
    """The values, and the gradient of the samples alone, which is what the fast backward computes."""
    x, window = signals(case)
    x.requires_grad_(backward)
    out = spectral_power(x, window, bank, case.plan, ending, "cuda")
    x64 = x.detach().double().requires_grad_()
    truth = true_power(x64, window.double(), None if bank is None else bank.double(), case, ending)
    extra = 1e-5 if ending.log != "none" else 0.0
    assert (out.detach() - truth).abs().max().item() <= tolerance(truth, case.plan, torch.float32) + extra
    if backward:
        cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(3))
        (grad,) = torch.autograd.grad(out, x, cotangent)
        (grad_truth,) = torch.autograd.grad(truth, x64, cotangent.double())
        error = (grad - grad_truth).abs().max().item()
        assert error <= 4 * tolerance(grad_truth, case.plan, torch.float32)


@pytest.mark.usefixtures("nan_memory")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_edges(case, engine):
    check(case, MAGNITUDE, None, False)
    assert engine.launched == [FORWARD]


@pytest.mark.usefixtures("nan_memory")
@pytest.mark.parametrize("banded", [False, True], ids=["bins", "bands"])
@pytest.mark.parametrize("case", BACKWARD_CASES, ids=str)
def test_backward_owns_its_samples(case, banded, engine):
    if banded:
        check(case, LOG_POWER, make_bank(case.plan.n_bins, 12, torch.float32), True)
    else:
        check(case, Ending.make(2.0), None, True)
    assert engine.launched == [FORWARD, BACKWARD]


@pytest.mark.parametrize("n_fft", [400, 1024])
def test_ragged_clips_and_16_bit_numbers(n_fft, engine):
    """Clips of one launch are those of their own launches, bit for bit; PCM and halves are what they mean."""
    plan, lengths = FramePlan.make(n_fft, 160), [n_fft, 9 * n_fft + 7, 3724]
    window = torch.hann_window(n_fft)
    x = torch.randn(1, sum(lengths)).clamp(-1, 1)
    clips = cuda.Clips.ragged(lengths, plan, "cpu")
    together = spectral_power_cuda.forward(x, window, None, plan, MAGNITUDE, clips=clips)
    apart = [spectral_power_cuda.forward(clip, window, None, plan, MAGNITUDE) for clip in x.split(lengths, 1)]
    assert torch.equal(together, torch.cat(apart, 2))

    def gradient(cotangent, x, clips):  # of 1024: clips of one block, of two, and of a block and a quarter
        return spectral_power_cuda.backward(cotangent, x, window, None, plan, MAGNITUDE, True, False, clips)[0]

    parts = zip(together.split([u.shape[2] for u in apart], 2), x.split(lengths, 1), strict=True)
    expected = torch.cat([gradient(*part, None) for part in parts], 1)
    torch.testing.assert_close(gradient(together, x, clips), expected, rtol=0, atol=1e-5 * expected.abs().max().item())
    assert (BACKWARD in engine.launched) == (n_fft == 1024)

    pcm = (x * 32767).to(torch.int16)
    exact = spectral_power_cuda.forward(pcm.float() / 32768, window, None, plan, MAGNITUDE)
    assert torch.equal(spectral_power_cuda.forward(pcm, window, None, plan, MAGNITUDE), exact)
    half = torch.empty(exact.shape, dtype=torch.float16)
    spectral_power_cuda.forward(pcm, window, None, plan, MAGNITUDE, out=half)
    assert torch.equal(half, exact.half())
    assert set(engine.launched[-3:]) == {FORWARD}


def test_what_is_chosen():
    """The kernel follows from plan, types and sizes alone."""

    def forward(n_fft, hop, samples=100000, batch=4, sample=torch.float32, out=torch.float32, **plan):
        plan = FramePlan.make(n_fft, hop, **plan)
        return warp.choose_forward(plan, sample, out, MAGNITUDE, 0, cuda.Clips.uniform(batch, samples, plan))

    chosen = {
        (1024, 256): "Warp1024<8>",
        (1024, 255): "Warp1024<0>",
        (400, 160): "Warp400<1>",
        (400, 161): "Warp400<0>",
        (512, 128): "Warp512<8>",
        (2048, 512): "Warp2048<1>",
    }
    for (n_fft, hop), core in chosen.items():
        launch, blocks, tiles = forward(n_fft, hop)
        assert launch.kernel.types[0] == f"fastspec::{core}"
        assert launch.shared_bytes <= 48 << 10
        assert launch.grid == 4 * blocks
        assert tiles == 1
    assert forward(400, 160, samples=99999)[0].kernel.types[0] == "fastspec::Warp400<0>"  # odd clips begin anywhere
    assert forward(1024, 256, samples=1 << 22, batch=64)[2] == 4
    for other in (
        forward(1000, 250),
        forward(1024, 256, sample=torch.float64, out=torch.float64),
        forward(1024, 256, onesided=False),
        forward(1024, 256, samples=1 << 30),
    ):
        assert other is None

    def backward(hop, **plan):
        plan = FramePlan.make(1024, hop, **plan)
        return warp.choose_backward(plan, torch.float32, MAGNITUDE, 0, 0, cuda.Clips.uniform(4, 100000, plan))

    assert backward(256) is not None
    for other in (backward(60), backward(513), backward(256, pad_mode="circular"), backward(256, center_pad=600)):
        assert other is None


@pytest.mark.parametrize("n_fft", [64, 1024])
def test_silence_has_no_gradient(n_fft, engine):
    """|y| at y = 0: the gradient of a silent clip is 0, in the general kernel and the fast one."""
    x = torch.zeros(1, 6000, requires_grad=True)
    out = spectral_power(x, torch.hann_window(n_fft), None, FramePlan.make(n_fft, n_fft // 4), MAGNITUDE, "cuda")
    (grad,) = torch.autograd.grad(out.sum(), x)
    assert (BACKWARD in engine.launched) == (n_fft == 1024)
    assert torch.equal(grad, torch.zeros_like(x))
