"""Every preset runs, has the promised shape, and equals the same front end written in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from librosa import filters
from peers import torchaudio
from torch.nn import functional

from fastspec import presets, transforms
from fastspec.quickbench import torch_path

ALL = presets.names()

FRAMES_OF_ONE_SECOND = {  # what the models' own code gives for one second of audio
    "whisper": 101,
    "whisper-large-v3": 101,
    "parakeet": 101,
    "hifi-gan": 86,
    "tacotron2": 87,
    "vocos": 94,
    "panns-cnn14": 101,
    "clap": 101,
    "vggish": 98,
    "beat-this": 51,
    "encodec-disc": 90,
    "open-unmix": 40,
    "htdemucs": 44,
}


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return 0.1 * torch.randn(48000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ALL)
def test_runs_on_a_second_of_noise(name: str, noise: torch.Tensor) -> None:
    entry = presets.preset(name)
    x = noise[: entry.sample_rate]
    y = entry.transform()(x)
    y = y.mT if entry.kind == "fbank" else y
    assert y.shape == (entry.n_rows, entry.n_frames(len(x)))
    assert y.shape[1] == FRAMES_OF_ONE_SECOND.get(name, y.shape[1])
    assert y.is_complex() == (entry.power is None)
    assert torch.view_as_real(y).isfinite().all() if y.is_complex() else y.isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_equals_torch(name: str, noise: torch.Tensor) -> None:
    entry = presets.preset(name)
    x = noise[None, : entry.sample_rate]
    truth = torch_path(entry, torch.float64)(x.double())
    got, theirs = entry.transform()(x), torch_path(entry)(x)
    scale = 1.0 if entry.log else float(truth.abs().max())
    error, their_error = ((y.to(truth.dtype) - truth).abs().max().item() / scale for y in (got, theirs))
    assert error <= 4 * their_error + 1e-6, (error, their_error)


def test_whisper_from_the_papers_numbers(noise: torch.Tensor) -> None:
    """The whole recipe once more, by librosa's mel bank and none of our constants."""
    x = noise[:32000]
    bank = torch.from_numpy(filters.mel(sr=16000, n_fft=400, n_mels=80)).double()
    y = torch.stft(x.double(), 400, 160, window=torch.hann_window(400).double(), return_complex=True)
    expected = (bank @ y.abs().square()).clamp(min=1e-10).log10()
    assert torch.allclose(presets.preset("whisper").transform()(x).double(), expected, atol=2e-5, rtol=0)


def test_hifi_gan_from_the_papers_numbers(noise: torch.Tensor) -> None:
    x = noise[:22016]
    bank = torch.from_numpy(filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)).double()
    padded = functional.pad(x[None, None].double(), (384, 384), mode="reflect")[0, 0]
    window = torch.hann_window(1024).double()
    y = torch.stft(padded, 1024, 256, window=window, center=False, return_complex=True)
    magnitude = (torch.view_as_real(y).square().sum(-1) + 1e-9).sqrt()
    got = presets.preset("hifi-gan").transform()(x)
    assert got.shape == (80, 86)
    assert torch.allclose(got.double(), (bank @ magnitude).clamp(min=1e-5).log(), atol=2e-5, rtol=0)


def test_vggish_frames_start_at_the_hop(noise: torch.Tensor) -> None:
    """400 samples from m * 160 on, windowed, then zeros up to 512: the framing of the original."""
    x = noise[:16000].double()
    frames = x.unfold(0, 400, 160) * torch.hann_window(400, dtype=torch.float64)
    magnitude = torch.fft.rfft(frames, n=512).abs()
    mel = 1127 * np.log1p(np.linspace(0, 8000, 257) / 700)
    edges = np.linspace(1127 * np.log1p(125 / 700), 1127 * np.log1p(7500 / 700), 66)
    rise = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    bank = torch.from_numpy(np.maximum(0, np.minimum(rise, fall)))
    expected = (magnitude @ bank + 0.01).log().T
    got = presets.preset("vggish").transform()(x.float())
    assert torch.allclose(got.double(), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "scale", "arguments"),
    [  # the calls of the models' own code
        (
            "ast",
            1.0,
            {"htk_compat": True, "use_energy": False, "window_type": "hanning", "num_mel_bins": 128, "frame_shift": 10},
        ),
        ("beats", 2.0**15, {"num_mel_bins": 128, "sample_frequency": 16000, "frame_length": 25, "frame_shift": 10}),
        ("w2v-bert", 2.0**15, {"num_mel_bins": 80}),
        ("seamless-m4t", 2.0**15, {"num_mel_bins": 80}),
    ],
)
def test_kaldi_presets_equal_torchaudio(name: str, scale: float, arguments: dict, noise: torch.Tensor) -> None:
    x = torch.stack([noise[:16000], noise[16000:32000] + 0.3]).double()
    for clip, features in zip(x, presets.preset(name).transform().double()(x), strict=True):
        truth = torchaudio.compliance.kaldi.fbank(clip[None] * scale, **arguments)
        assert torch.allclose(features, truth, atol=1e-4, rtol=0)


def test_fields_agree_with_each_other() -> None:
    for entry in map(presets.preset, ALL):
        assert entry.kind in ("mel", "stft", "fbank")
        assert ":" in entry.source
        assert entry.n_samples >= entry.n_fft
        assert entry.batch >= 1
        assert entry.f_max is None or entry.f_min < entry.f_max <= entry.sample_rate / 2


def test_overrides_and_gradients(noise: torch.Tensor) -> None:
    module = presets.preset("whisper").transform(n_mels=128, trainable="filterbank")
    assert isinstance(module, transforms.MelSpectrogram)
    assert [name for name, _ in module.named_parameters()] == ["mel_scale.fb"]
    x = noise[:16000].clone().requires_grad_()
    y = module(x)
    assert y.shape == (128, 101)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_names_are_forgiving() -> None:
    assert presets.preset(" HiFi_GAN ") is presets.preset("hifi-gan")
    assert ALL == tuple(sorted(ALL))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("whispr", "whisper"),
        ("bigvgan", "bigvgan-24k"),
        ("MT3", "logarithm"),
        ("qqqq", "known: "),
    ],
)
def test_unknown_names_get_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        presets.preset(name)
    assert hint in str(caught.value)
