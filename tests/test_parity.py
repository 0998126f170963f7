"""The same numbers as torchaudio and librosa, on their defaults and over a grid of parameters."""

import numpy as np
import pytest
import torch
from peers import librosa, torchaudio

import fastspec.functional as F
import fastspec.transforms as T

EPS = 2.0**-24


def noise(*shape, seed=0):
    """Noise with a spectrum that falls, as music's does, but never to nothing."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return 0.1 * x + 0.2 * torch.cumsum(x, -1) / 10


def assert_close(ours, theirs, steps):
    """Errors below `steps` float32 roundings of the largest value."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert (ours - theirs).abs().max().item() <= steps * EPS * theirs.abs().max().item()


def named(arguments):
    """The name of a case: the same in every process, so without the address of a window function."""
    return ",".join(f"{key}={getattr(value, '__name__', value)}" for key, value in arguments.items()) or "defaults"


SPECTROGRAMS = [
    {},
    {"n_fft": 512, "win_length": 300, "hop_length": 100},
    {"n_fft": 255, "hop_length": 64},
    {"power": 1.0, "pad": 50},
    {"power": None},
    {"power": 1.5, "normalized": True},
    {"normalized": "window", "window_fn": torch.hamming_window},
    {"normalized": "frame_length", "center": False},
    {"pad_mode": "constant", "wkwargs": {"periodic": False}},
    {"pad_mode": "replicate"},
    {"pad_mode": "circular", "onesided": False},
]


@pytest.mark.parametrize("arguments", SPECTROGRAMS, ids=named)
def test_spectrogram(arguments):
    ours, theirs = T.Spectrogram(**arguments), torchaudio.transforms.Spectrogram(**arguments)
    x = noise(2, 3, 4000).requires_grad_()
    assert_close(ours(x), theirs(x), 100)
    (mine,) = torch.autograd.grad(ours(x).abs().sum(), x)
    (other,) = torch.autograd.grad(theirs(x).abs().sum(), x)
    assert_close(mine, other, 200)
    assert_close(ours(x.detach()[0, 0]), theirs(x.detach()[0, 0]), 100)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n_fft": 512, "win_length": 300, "hop_length": 100, "normalized": True},
        {"n_fft": 255, "hop_length": 64, "normalized": "frame_length"},
        {"window_fn": torch.hamming_window, "center": False},
        {"onesided": False, "pad": 20},
    ],
    ids=named,
)
def test_inverse_spectrogram(arguments):
    ours, theirs = T.InverseSpectrogram(**arguments), torchaudio.transforms.InverseSpectrogram(**arguments)
    y = torchaudio.transforms.Spectrogram(power=None, **arguments)(noise(2, 3, 4001))
    assert_close(ours(y), theirs(y), 300)
    for length in (3000, 3900):
        assert_close(ours(y, length), theirs(y, length), 300)


MELS = [
    {"n_mels": 40},
    {"sample_rate": 22050, "n_fft": 1024, "hop_length": 256, "n_mels": 80, "f_max": 8000.0, "norm": "slaney"},
    {"n_mels": 40, "mel_scale": "slaney", "power": 1.0, "normalized": True},
    {
        "sample_rate": 11025,
        "n_fft": 512,
        "win_length": 400,
        "n_mels": 30,
        "f_min": 60.0,
        "pad_mode": "constant",
    },
    {"n_mels": 20, "center": False, "pad": 100, "window_fn": torch.blackman_window},
]


@pytest.mark.parametrize("arguments", MELS, ids=named)
def test_mel_spectrogram(arguments):
    ours, theirs = T.MelSpectrogram(**arguments), torchaudio.transforms.MelSpectrogram(**arguments)
    x = noise(2, 3, 6000).requires_grad_()
    assert_close(ours(x), theirs(x), 1500)  # torchaudio's float32 filters
    theirs.load_state_dict(ours.state_dict())
    assert_close(ours(x), theirs(x), 100)
    (mine,) = torch.autograd.grad(ours(x).sqrt().sum(), x)
    (other,) = torch.autograd.grad(theirs(x).sqrt().sum(), x)
    assert_close(mine, other, 1000)


@pytest.mark.parametrize("shape", [(4000,), (3, 4000), (2, 3, 4000), (2, 2, 3, 4000)], ids=str)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("MFCC", {"melkwargs": {"n_mels": 40}}),
        ("MFCC", {"n_mfcc": 13, "norm": None, "melkwargs": {"n_mels": 30, "n_fft": 512, "power": 1.0}}),
        ("MFCC", {"log_mels": True, "melkwargs": {"n_mels": 40, "normalized": True}}),
        ("LFCC", {}),
        ("LFCC", {"log_lf": True, "n_lfcc": 20, "speckwargs": {"n_fft": 300, "pad_mode": "constant"}}),
    ],
    ids=str,
)
def test_cepstral(name, arguments, shape):
    ours, theirs = getattr(T, name)(**arguments), getattr(torchaudio.transforms, name)(**arguments)
    x = noise(*shape) * torch.logspace(0, -6, 4000)  # down to where top_db cuts
    theirs.load_state_dict(ours.state_dict())
    # relative errors of some 1e-4 in small bands are some 1e-3 dB each, 40 of which are added
    torch.testing.assert_close(ours(x), theirs(x), atol=2e-2, rtol=1e-4)
    assert torch.equal(ours.double()(x.double()).float(), ours(x.double()).float())
    torch.testing.assert_close(ours(x.double()), theirs.double()(x.double()), atol=1e-6, rtol=1e-8)


@pytest.mark.parametrize("top_db", [None, 80.0, 10.0])
@pytest.mark.parametrize("stype", ["power", "magnitude"])
def test_amplitude_to_db(stype, top_db):
    ours, theirs = T.AmplitudeToDB(stype, top_db), torchaudio.transforms.AmplitudeToDB(stype, top_db)
    for shape in ((20, 30), (3, 20, 30), (2, 3, 20, 30), (2, 2, 3, 20, 30)):
        x = noise(*shape).square() * torch.logspace(0, -12, 30)
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-6)


def test_fused_decibels_are_amplitude_to_db():
    x = noise(2, 4000)
    for power, stype in ((2.0, "power"), (1.0, "magnitude")):
        fused = T.MelSpectrogram(n_mels=40, power=power, log="db")
        apart = T.MelSpectrogram(n_mels=40, power=power)
        torch.testing.assert_close(fused(x), T.AmplitudeToDB(stype)(apart(x)), atol=1e-4, rtol=1e-5)


def test_mel_scale():
    x = noise(2, 3, 201, 17).abs()
    ours, theirs = T.MelScale(n_mels=40), torchaudio.transforms.MelScale(n_mels=40)
    theirs.load_state_dict(ours.state_dict())
    assert_close(ours(x), theirs(x), 30)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("win_length", [2048, 1200])
def test_librosa_stft(win_length, center):
    x = noise(2, 22050)
    theirs = librosa.stft(x.numpy(), win_length=win_length, hop_length=512, center=center)
    ours = F.stft(x, 2048, 512, win_length, center=center, pad_mode="constant")
    assert_close(ours, torch.from_numpy(theirs), 100)


def test_librosa_istft():
    y = F.stft(noise(2, 22050), 2048, pad_mode="constant")
    theirs = librosa.istft(y.numpy(), length=22050)
    assert_close(F.istft(y, 2048, length=22050), torch.from_numpy(theirs), 300)


@pytest.mark.parametrize("htk", [False, True])
def test_librosa_melspectrogram(htk):
    x = noise(2, 22050)
    theirs = librosa.feature.melspectrogram(y=x.numpy(), sr=22050, htk=htk, fmin=30.0)
    ours = F.mel_spectrogram(
        x, 22050, 2048, hop_length=512, f_min=30.0, norm="slaney", mel_scale="htk" if htk else "slaney",
        pad_mode="constant",
    )  # fmt: skip
    assert_close(ours, torch.from_numpy(theirs), 100)


def test_librosa_mfcc():
    x = noise(22050)
    theirs = librosa.feature.mfcc(y=x.numpy(), sr=22050, n_mfcc=20)
    mel = {"n_fft": 2048, "hop_length": 512, "norm": "slaney", "mel_scale": "slaney", "pad_mode": "constant"}
    ours = F.mfcc(x, 22050, 20, n_mels=128, **mel)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=5e-3, rtol=1e-4)


ROUNDING = [5, 16, 30, 31, 64, 100, 128, 255, 400, 441, 506, 512, 960, 1009, 1024, 1102, 2048, 2205, 4096, 16384]


@pytest.mark.parametrize("n_fft", ROUNDING)
def test_rounding_beside_torchs(n_fft):
    """RMS error against float64 beside torch.stft's own (MKL or pocketfft).

    From 100 points on ours is the smaller where instructions multiply and add in one. A little larger at 8 to 64, where
    the step from the complex to the real transform is one rounding in five.
    """
    window = torch.hann_window(n_fft)
    x = torch.randn(4, 40 * n_fft, generator=torch.Generator().manual_seed(0))

    def transform(x, window):
        return torch.stft(x, n_fft, n_fft // 4 or 1, window=window, return_complex=True)

    truth = transform(x.double(), window.double())
    ours = F.stft(x, n_fft, n_fft // 4 or 1, window=window)
    error, theirs = ((y - truth).abs().square().mean().sqrt() for y in (ours, transform(x, window)))
    assert error <= (1.25 if n_fft < 100 else 1.1) * theirs


@pytest.mark.parametrize("log", ["ln", "log10", "log1p", "db"])
@pytest.mark.parametrize("n_fft", [1024, 2048])
def test_rounding_of_logarithms_beside_torchs(n_fft, log):
    """RMS error of a log-mel spectrogram: a logarithm rounded and then multiplied has 1.2 to 1.4 times torch's."""
    x = 0.1 * torch.randn(4, 128000, generator=torch.Generator().manual_seed(0))
    mel = T.MelSpectrogram(16000, n_fft=n_fft, hop_length=n_fft // 4, n_mels=80, log=log, floor=1e-10)

    def torchs(dtype):
        window, fb = torch.hann_window(n_fft, dtype=dtype), mel.mel_scale.fb.to(dtype)
        y = torch.stft(x.to(dtype), n_fft, n_fft // 4, window=window, return_complex=True)
        u = fb.T @ y.abs().square()
        if log == "log1p":
            return u.log1p()
        u = u.clamp(1e-10)
        return u.log() if log == "ln" else u.log10() * (10 if log == "db" else 1)

    truth = torchs(torch.float64)
    error, theirs = ((v - truth).square().mean().sqrt() for v in (mel(x), torchs(torch.float32)))
    assert error <= 1.1 * theirs
