"""First and second derivatives, in float64, of every way back to sound and of every feature; each in one row.

The ops below them have tests/test_autograd.py, the constant-Q family tests/test_constant_q.py.
"""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import fastspec.functional as F
from fastspec import kaldi
from fastspec.plan import DensePlan


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def energies(*shape):
    return 0.1 + noise(*shape).square()


def spectrum(*shape):
    return torch.complex(noise(*shape), noise(*shape, seed=1))


ROWS = DensePlan.make(8, 4, (0, 0, 2), (8, 5, 7), pad_mode="constant")
TAPS = noise(2, ROWS.offsets[-1], seed=2)
WINDOW = 0.3 + noise(12, seed=3).abs()
BANK = energies(5, 3)
SHORT = {"sample_frequency": 1000.0, "frame_length": 16.0, "frame_shift": 7.0, "raw_energy": False}
BANDS = SHORT | {"low_freq": 50.0, "num_mel_bins": 4, "use_energy": True}
HALF = torch.full((3,), 0.5, dtype=torch.float64)

CASES = {
    "istft": (lambda y, w: F.istft(y, 12, 5, window=w, length=41), spectrum(1, 7, 9), WINDOW),
    "istft center=False": (lambda y: F.istft(y, 9, 4, window="hamming", center=False), spectrum(1, 5, 6)),
    "inverse_spectrogram": (
        lambda y, w: F.inverse_spectrogram(y, 30, 2, w, 12, 4, 12, "window"), spectrum(1, 7, 9), WINDOW
    ),
    "griffinlim": (lambda s: F.griffinlim(s, None, 8, 3, 8, 2.0, 2, 0.9, None, False), energies(1, 5, 8)),
    "inverse_filterbank": (lambda b: F.inverse_filterbank(b, BANK, 4, 0.0), energies(1, 3, 4)),
    "inverse_mel_spectrogram": (
        lambda b: F.inverse_mel_spectrogram(
            b, 100, 8, n_iter=1, rand_init=False, filterbank=BANK, log="ln", floor_mode="add", max_iter=2, tolerance=0.0
        ),
        noise(1, 3, 8).abs(),
    ),
    "inverse_basis_transform": (lambda y: F.inverse_basis_transform(y, TAPS, ROWS, 20, n_iter=3), spectrum(1, 3, 6)),
    "phase_vocoder": (lambda z: F.phase_vocoder(z, 0.7), spectrum(2, 3, 7)),
    "pitch_shift": (lambda x: F.pitch_shift(x, 100, 3, n_fft=16), noise(1, 60)),
    "resample": (lambda x: F.resample(x, 5, 3), noise(2, 20)),
    "compute_deltas": (lambda s: F.compute_deltas(s, 5, "reflect"), noise(2, 6)),
    "pcen": (
        lambda s, gain, bias, power, b: F.pcen(s, gain=gain, bias=bias, power=power, b=b, eps=1e-2),
        energies(2, 3, 40), 1.8 * HALF, 4 * HALF, HALF, HALF.clone(),
    ),
    "spectral_centroid": (lambda x: F.spectral_centroid(x, 100, 0, WINDOW, 12, 8, 12), noise(2, 60)),
    "spectral_bandwidth": (lambda s: F.spectral_bandwidth(s, 1000.0), energies(2, 9, 4)),
    "spectral_flatness": (F.spectral_flatness, energies(2, 9, 4)),
    "spectral_contrast": (lambda s: F.spectral_contrast(s, 1000.0, 100.0, 2, 0.3), energies(2, 9, 4)),
    "mask_along_axis": (
        lambda s, v: F.mask_along_axis(s, 5, v, 2, generator=torch.Generator().manual_seed(1)), noise(1, 3, 8), noise()
    ),
    "kaldi.spectrogram": (lambda x, w: kaldi.spectrogram(5 * x, window=w, **SHORT), noise(2, 40), energies(16)),
    "kaldi.fbank": (
        lambda x, w, b: kaldi.fbank(5 * x, window=w, filterbank=b, **BANDS), noise(2, 40), energies(16), energies(9, 4)
    ),
    "kaldi.mfcc": (lambda x, w: kaldi.mfcc(5 * x, window=w, num_ceps=3, **BANDS), noise(2, 40), energies(16)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives(name):
    function, *inputs = CASES[name]
    leaves = [x.clone().requires_grad_() for x in inputs]
    assert gradcheck(function, leaves, fast_mode=True)
    assert gradgradcheck(function, leaves, fast_mode=True)


def test_spectral_rolloff_has_no_derivative():
    assert not F.spectral_rolloff(energies(2, 9, 4).requires_grad_(), 1000).requires_grad
