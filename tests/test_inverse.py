"""From spectra back to samples: the fused inverse, its ends, errors and derivatives."""

import numpy as np
import pytest
import scipy.signal
import torch
from cases import CASES, assert_close, signals, tolerance
from conftest import BACKENDS

import fastspec.functional as F
import fastspec.transforms as T
from fastspec.bases import get_window
from fastspec.ops.inverse import inverse
from fastspec.plan import FramePlan


def decibels(x, error):
    return 10 * torch.log10(x.double().square().sum() / error.double().square().sum()).item()


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def true_inverse(y, window, gain, plan, start):
    """The docstring of ``ops.inverse``, frame by frame, in float64."""
    n = torch.arange(plan.n_fft)
    frames = torch.fft.irfft(y.to(torch.complex128), n=plan.n_fft, dim=1) * plan.n_fft / 2
    padded = torch.zeros(plan.n_fft, dtype=torch.float64)
    padded[plan.left : plan.left + plan.win_length] = window
    x = torch.zeros(len(y), start + len(gain) + plan.n_fft + plan.hop_length * y.shape[2], dtype=torch.float64)
    for m in range(y.shape[2]):
        x[:, m * plan.hop_length + n] += frames[:, :, m] * padded[:, None].T
    return x[:, start : start + len(gain)] * gain


@pytest.mark.parametrize("case", [c for c in CASES if c.onesided], ids=str)
def test_inverse_equals_its_formula(case, backend, nan_memory):
    """Shorter and longer than what the frames reach, cut into at the left, clips far apart in memory."""
    _, window = signals(case)
    plan = FramePlan.make(case.n_fft, case.hop, case.win, center=False)
    n_frames = 37 if case.n_fft < 1000 else 5
    covered = plan.n_fft + plan.hop_length * (n_frames - 1)
    y = noise(case.B, plan.n_bins + 2, n_frames, dtype=case.dtype.to_complex())[:, 1:-1]
    for start, length in ((0, covered), (plan.n_fft // 2, covered + 5), (min(7, covered - 1), 1 + covered // 3)):
        gain = 0.5 + noise(length, seed=1, dtype=case.dtype).abs()
        truth = true_inverse(y, window.double(), gain.double(), plan, start)
        x = inverse(y, window, gain, plan, start, backend)
        # the largest sum of frames, which may lie outside of what is asked for
        scale = true_inverse(y, window.double(), torch.ones(covered).double(), plan, 0).abs().max() * gain.max()
        assert_close(x, truth, tolerance(scale, plan, case.dtype), f"{start} {length}")


@pytest.mark.parametrize(
    ("n_fft", "hop", "win", "window"),
    [
        (400, 100, None, "hann"),
        (400, 160, None, "hann"),
        (512, 128, None, "hann"),
        (1024, 256, None, "hann"),
        (1024, 512, None, "hann"),
        (2048, 512, None, "hann"),
        (4096, 1024, None, "hann"),
        (1024, 1024, None, "ones"),
        (1024, 300, 600, "hamming"),
        (600, 150, 301, "blackman"),
        (1009, 252, 1008, "hann"),
        (64, 1, None, "hann"),
        (32768, 8192, None, "hann"),
    ],
)
@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
def test_round_trip_is_exact(n_fft, hop, win, window, pad_mode, backend):
    """130 dB in float32, to the last sample, though the last frame may end before it."""
    x = noise(2, 70001) if n_fft > 64 else noise(2, 3001)
    y = F.stft(x, n_fft, hop, win, window, pad_mode=pad_mode)
    back = F.istft(y, n_fft, hop, win, window, length=x.shape[1] // hop * hop, backend=backend)
    assert decibels(x, back - x[:, : back.shape[1]]) > 130


def test_round_trip_of_every_cola_case():
    """Whatever window and hop scipy says adds up to a constant, at every hop that divides the frame: 130 dB in float32,
    however many frames meet at a sample."""
    cases = 0
    for n_fft in (16, 30, 63, 100, 256, 441, 512, 1200):
        x = noise(1, 20 * n_fft)
        for name in ("ones", "hann", "hamming", "bartlett", "blackman", "nuttall", "blackmanharris", "vorbis"):
            window = get_window(name, n_fft)
            w = torch.from_numpy(window.copy()).float()
            for overlap in (overlap for overlap in range(1, 65) if n_fft % overlap == 0):
                hop = n_fft // overlap
                if not scipy.signal.check_COLA(window, n_fft, n_fft - hop):
                    continue
                y = F.stft(x, n_fft, hop, window=w)
                back = F.istft(y, n_fft, hop, window=w)
                found = decibels(x[:, : back.shape[1]], back - x[:, : back.shape[1]])
                assert found > 130, (name, n_fft, hop)
                cases += 1
    assert cases > 200


def test_many_frames_at_a_sample_are_added_in_float64():
    """Into `out` the same bits; gradients as of a float64 inverse."""
    y = F.stft(noise(2, 3001), 64, 1)
    back = F.istft(y, 64, 1)
    assert back.dtype is torch.float32
    assert F.istft(y, 64, 1, out=torch.empty_like(back)).equal(back)
    leaf, exact = y.clone().requires_grad_(), y.to(torch.complex128).requires_grad_()
    weights = noise(2, back.shape[1], seed=3)
    (F.istft(leaf, 64, 1) * weights).sum().backward()
    (F.istft(exact, 64, 1) * weights).sum().backward()
    assert leaf.grad is not None
    assert exact.grad is not None
    assert leaf.grad.dtype is torch.complex64
    torch.testing.assert_close(leaf.grad.to(torch.complex128), exact.grad, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="out"):
        F.istft(y, 64, 1, out=torch.empty_like(back).double())


def test_without_center_the_ends_are_zero():
    x = noise(2, 4096)
    y = F.stft(x, 512, 128, center=False)
    back = F.istft(y, 512, 128, center=False)
    covered = 512 + 128 * (y.shape[-1] - 1)
    assert back.shape == (2, covered)
    assert not back[:, 0].any()  # Hann is 0 there: no frame tells
    assert decibels(x[:, 512:-512], (back - x)[:, 512:-512]) > 130
    assert_close(back[:, 1:-1].contiguous(), x[:, 1:-1], 3e-3, "under the flanks, which magnify rounding")
    boxed = F.istft(F.stft(x, 512, 128, window="ones", center=False), 512, 128, window="ones", center=False)
    assert decibels(x, boxed - x) > 130
    with pytest.raises(ValueError, match="zero"):
        F.istft(y, 512, 128, window=torch.zeros(512), center=False)


@pytest.mark.parametrize("center", [True, False])
def test_errors_name_the_samples(center):
    y = F.stft(noise(1, 4000), 400, 500, window="ones", center=center)
    first = 200 if center else 400
    with pytest.raises(ValueError, match=f"samples {first} to {first + 99} of the result"):
        F.istft(y, 400, 500, window="ones", center=center)


def test_onesided_is_inferred():
    x = noise(2, 3000)
    both, half = F.stft(x, onesided=False), F.stft(x)
    back = F.istft(half, length=3000)
    assert torch.equal(F.istft(both, length=3000), back)
    assert torch.equal(F.istft(both, length=3000, onesided=False), back)
    with pytest.raises(ValueError, match=r"201, M.*400"):
        F.istft(both, onesided=True)
    with pytest.raises(ValueError, match="201 or 400"):
        F.istft(both[:, 1:])


def test_out():
    y = F.stft(noise(3, 2, 3000))
    out = torch.empty(3, 2, 2900)
    back = F.istft(y, length=2900, out=out)
    assert back is out
    assert torch.equal(out, F.istft(y, length=2900))
    for wrong in (torch.empty(3, 2, 2901), out.double(), torch.empty(6, 2900), out[..., ::2], 3):
        with pytest.raises(ValueError, match="out must be"):
            F.istft(y, length=2900, out=wrong)
    with pytest.raises(ValueError, match="out must be None"):
        F.istft(y.requires_grad_(), length=2900, out=out)


def test_gradients_are_exact(backend):
    """First and second derivatives in spectrum and window, beyond the frames and cut into them."""
    y = F.stft(noise(2, 30, dtype=torch.float64), 16, 4, 11).requires_grad_()
    window = (0.3 + torch.rand(11, dtype=torch.float64)).requires_grad_()

    def run(y, w):
        return F.istft(y, 16, 4, 11, w, length=23, normalized=True, backend=backend)

    assert torch.autograd.gradcheck(run, (y, window))
    assert torch.autograd.gradgradcheck(run, (y, window))
    odd = F.stft(noise(1, 31, dtype=torch.float64), 9, 4, center=False, window="hamming").requires_grad_()
    assert torch.autograd.gradgradcheck(lambda y: F.istft(y, 9, 4, window="hamming", center=False), (odd,))


def test_gradient_of_fused_and_composed_agree():
    y = F.stft(noise(2, 9000), 512, 128)
    grads = []
    for backend in BACKENDS:
        leaf, window = y.clone().requires_grad_(), torch.hann_window(512).requires_grad_()
        (F.istft(leaf, 512, 128, window=window, backend=backend) * noise(2, 8960, seed=3)).sum().backward()
        grads.append((leaf.grad, window.grad))
    for ours, theirs in zip(*grads, strict=True):
        assert_close(ours, theirs, 3e-6 * theirs.abs().max().item(), "gradient")


def test_silence():
    back = F.istft(torch.zeros(1, 201, 9, dtype=torch.complex64))
    assert not back.any()
    x = torch.zeros(1, 800, requires_grad=True)
    F.istft(F.stft(x), length=800).square().sum().backward()
    assert not x.grad.any()


def test_module_with_trainable_window():
    module = T.InverseSpectrogram(64, 48, 16, trainable="window")
    with torch.no_grad():
        module.window += 0.1
    y = F.stft(noise(2, 640), 64, 16, 48)
    module(y, 640).square().sum().backward()
    assert module.window.grad.isfinite().all()
    assert module.window.grad.any()
