"""The transforms of ``bench.all`` as data: their sizes, their exact values in float64, and what may differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import fastspec.functional as F
from fastspec import bases, kaldi
from fastspec.transforms import STFT, Gammatonegram

Sizes = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Transform:
    """One transform that contenders are given.

    Attributes:
        name: unique, and readable in a table.
        kind: the function of a module of bench/peers that builds it.
        sizes: its arguments, by the names that the builders look up.
        truth: exact values, from float64.
        allowed: the largest error that is still the same transform, over the largest value (``log``: as it is).
        norm: the error is the relative root mean square instead: constant-Q filters differ by design between
            libraries (rounded or fractional lengths, recursive or direct), by a few percent.
        log: the output is a logarithm.
        passes: "forward"; "both" is forward and the gradient of the samples.
        check_seconds: length of the clips of the gate.
        given: "samples", or the "spectrum" or "magnitude" that samples are made back of.
    """

    name: str
    kind: str
    sizes: Sizes
    truth: Callable[[Tensor, Sizes], Tensor]
    allowed: float = 1e-3
    norm: bool = False
    log: bool = False
    passes: tuple[str, ...] = ("forward", "both")
    given: str = "samples"
    check_seconds: float = 1.0

    def input(self, batch: int, seconds: float) -> np.ndarray:
        """Noise [B, T], or what its STFT is; float32 or complex64."""
        hop = self.sizes["hop_length"]
        count = max(round(seconds * self.sizes["sample_rate"]), 2 * self.sizes["n_fft"])
        if self.given != "samples":
            count = count // hop * hop  # all that comes back of frames
        x = 0.1 * torch.randn(batch, count, generator=torch.Generator().manual_seed(0))
        if self.given == "samples":
            return x.numpy()
        y = _stft(x, self.sizes)
        return (y if self.given == "spectrum" else y.abs()).contiguous().numpy()

    def exact(self, x: np.ndarray, pass_: str) -> np.ndarray:
        """The output, or for "both" the gradient of x with ones above the output, real and imaginary."""
        wide = torch.from_numpy(x)
        wide = wide.to(torch.complex128 if wide.is_complex() else torch.float64)
        if pass_ == "forward":
            with torch.no_grad():
                return self.truth(wide, self.sizes).numpy()
        wide.requires_grad_()
        out = self.truth(wide, self.sizes)
        seed = torch.full_like(out, 1 + 1j if out.is_complex() else 1)
        return torch.autograd.grad(out, wide, seed)[0].numpy()

    def error(self, got: np.ndarray, truth: np.ndarray, pass_: str) -> float:
        """What is compared with ``allowed``; infinite where the shapes differ, or one is complex."""
        if got.shape != truth.shape or np.iscomplexobj(got) != np.iscomplexobj(truth):
            return float("inf")
        difference = np.abs(got.astype(truth.dtype) - truth)
        if self.norm:
            return float(np.sqrt((difference**2).mean() / (np.abs(truth) ** 2).mean()))
        return float(difference.max() / (1.0 if self.log and pass_ == "forward" else np.abs(truth).max()))


def _window(x: Tensor, s: Sizes) -> Tensor:
    return torch.hann_window(s["n_fft"], dtype=torch.zeros((), dtype=x.dtype).abs().dtype)


def _stft(x: Tensor, s: Sizes) -> Tensor:
    return torch.stft(x, s["n_fft"], s["hop_length"], window=_window(x, s), pad_mode="reflect", return_complex=True)


def _mel(x: Tensor, s: Sizes) -> Tensor:
    bank = bases.mel_filterbank(s["n_fft"] // 2 + 1, 0.0, s["f_max"], s["n_mels"], s["sample_rate"], "slaney", "slaney")
    return torch.tensor(bank).T @ _stft(x, s).abs().square()


def _log_mel(x: Tensor, s: Sizes) -> Tensor:
    return _mel(x, s).clamp(min=1e-10).log10()


def _mfcc(x: Tensor, s: Sizes) -> Tensor:
    dct = torch.tensor(bases.create_dct(s["n_mfcc"], s["n_mels"], "ortho"))
    return dct.T @ (10 * _log_mel(x, s))


def _istft(y: Tensor, s: Sizes) -> Tensor:
    return torch.istft(y, s["n_fft"], s["hop_length"], window=_window(y, s))


def _griffin_lim(v: Tensor, s: Sizes) -> Tensor:
    return F.griffinlim(
        v, _window(v, s), s["n_fft"], s["hop_length"], s["n_fft"], 1.0, 32, 0.99, None, False, backend="reference"
    )


def _constant_q(x: Tensor, s: Sizes) -> Tensor:
    same = {key: s[key] for key in ("hop_length", "fmin", "n_bins", "bins_per_octave")}
    return F.vqt(x, s["sample_rate"], gamma=s["gamma"], algorithm="direct", backend="reference", **same)


def _constant_q_recursive(x: Tensor, s: Sizes) -> Tensor:
    """Where the direct rows would take minutes; tests/ compare the two."""
    same = {key: s[key] for key in ("hop_length", "fmin", "n_bins", "bins_per_octave")}
    return F.vqt(x, s["sample_rate"], **same)


def _log_stft(x: Tensor, s: Sizes) -> Tensor:
    same = {key: s[key] for key in ("hop_length", "fmin", "fmax")}
    module = STFT(s["n_fft"], freq_scale="log", sr=s["sample_rate"], output_format="Magnitude", **same)
    return module.double()(x)


def _gammatone(x: Tensor, s: Sizes) -> Tensor:
    module = Gammatonegram(
        s["sample_rate"],
        n_fft=s["n_fft"],
        hop_length=s["hop_length"],
        n_bands=s["n_bands"],
        f_min=20.0,
        backend="reference",
        dtype=torch.float64,
    )
    return module(x)


def _chroma(x: Tensor, s: Sizes) -> Tensor:
    return F.chroma_stft(x, s["sample_rate"], s["n_fft"], s["hop_length"], pad_mode="reflect", backend="reference")


def _fbank(x: Tensor, s: Sizes) -> Tensor:
    return kaldi.fbank(x, num_mel_bins=s["n_mels"], sample_frequency=s["sample_rate"], backend="reference")


_FRAMES = {"sample_rate": 22050, "n_fft": 1024, "hop_length": 256}
_LARGE = {"sample_rate": 22050, "n_fft": 2048, "hop_length": 512}
_MEL = {**_FRAMES, "n_mels": 80, "f_max": 8000.0}
_OCTAVES = {**_LARGE, "fmin": 32.7, "n_bins": 84, "bins_per_octave": 12, "gamma": 0.0}
_BACK = ("forward",)
_LOOSE = {"allowed": 0.1, "norm": True, "check_seconds": 4.0}

TRANSFORMS = (
    Transform("STFT magnitude 1024/256", "magnitude", _FRAMES, lambda x, s: _stft(x, s).abs()),
    Transform("STFT complex 1024/256", "spectrum", _FRAMES, _stft),
    Transform("iSTFT 1024/256", "istft", _FRAMES, _istft, passes=_BACK, given="spectrum"),
    Transform("mel 1024/256/80", "mel", _MEL, _mel),
    Transform("log-mel 1024/256/80", "log_mel", _MEL, _log_mel, allowed=1e-2, log=True),
    Transform(
        "MFCC 20 of 2048/512/128",
        "mfcc",
        {**_LARGE, "n_mels": 128, "f_max": 11025.0, "n_mfcc": 20},
        _mfcc,
        allowed=0.1,
        log=True,
    ),
    Transform(
        "Kaldi fbank 400/160/80",
        "fbank",
        {"sample_rate": 16000, "n_fft": 400, "hop_length": 160, "n_mels": 80},
        _fbank,
        allowed=1e-2,
        log=True,
    ),
    Transform("gammatone 2048/512/64", "gammatone", {**_LARGE, "n_bands": 64}, _gammatone, allowed=1e-2),
    Transform("trainable STFT 1024/256", "learned", _FRAMES, lambda x, s: _stft(x, s).abs(), passes=("both",)),
    Transform("chroma 2048/512/12", "chroma", _LARGE, _chroma, allowed=1e-2),
    Transform("CQT 84 bins, hop 512", "cqt", _OCTAVES, _constant_q, **_LOOSE),
    Transform(
        "VQT 84 bins, hop 512",
        "vqt",
        {**_OCTAVES, "gamma": 20.0},
        _constant_q,
        **_LOOSE,
    ),
    Transform(
        "Griffin-Lim 32 x 1024/256", "griffin_lim", _FRAMES, _griffin_lim, allowed=0.05, passes=_BACK, given="magnitude"
    ),
)
"""Sizes that librosa, torchaudio and vocoders take by default; reflected padding, Hann windows, noise."""


def _musicnet() -> tuple[Transform, ...]:
    """The spectrogram types of the nnAudio paper's scripts at 44.1 kHz, hop 512: 5 + 5 + 15 + 10."""
    every, found = {"sample_rate": 44100, "hop_length": 512}, []
    lengths = (256, 512, 1024, 2048, 4096)
    for n_fft in lengths:
        found.append(Transform(f"STFT {n_fft}", "magnitude", {**every, "n_fft": n_fft}, lambda x, s: _stft(x, s).abs()))
    for n_fft in lengths:
        sizes = {**every, "n_fft": n_fft, "fmin": 1.0, "fmax": 22050.0}
        found.append(Transform(f"log STFT {n_fft}", "log_stft", sizes, _log_stft))
    for n_fft in lengths:
        for n_mels in (128, 256, 512, 1024, 2048):
            if n_mels < n_fft:
                sizes = {**every, "n_fft": n_fft, "n_mels": n_mels, "f_max": 22050.0}
                found.append(Transform(f"mel {n_fft}/{n_mels}", "mel", sizes, _mel))
    for r in range(1, 11):
        sizes = {**every, "n_fft": 2048, "fmin": 32.7, "n_bins": 84 * r, "bins_per_octave": 12 * r, "gamma": 0.0}
        found.append(Transform(f"CQT {84 * r}", "cqt", sizes, _constant_q_recursive, **_LOOSE))
    return tuple(found)


MUSICNET = _musicnet()
"""The paper counts 34 types; its scripts have these 35, 30 of them in librosa too."""

_MAPS = {"sample_rate": 44100, "n_fft": 2048, "hop_length": 512}
MAPS = (
    Transform("STFT", "magnitude", _MAPS, lambda x, s: _stft(x, s).abs()),
    Transform("mel", "mel", {**_MAPS, "n_mels": 128, "f_max": 22050.0}, _mel),
    Transform(
        "CQT",
        "cqt",
        {**_MAPS, "fmin": 55.0, "n_bins": 84, "bins_per_octave": 24, "gamma": 0.0},
        _constant_q_recursive,
        **_LOOSE,
    ),
)
"""The three of the paper's test of speed, on clips of 80,000 samples."""
