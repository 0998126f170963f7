"""``librosa.feature``: mel bands, cepstra, the spectrum's shape, chroma; from samples ``y`` or a spectrogram ``S``.

``freq`` is None: bins lie sr / n_fft apart. Results have librosa's shapes, [..., 1, M] for the shape.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from ... import functional as F
from ..._checks import integer, real
from ...bases import create_dct
from ...chroma import normalize_frames
from ...shape import centroid_of
from . import filters
from ._arrays import make_window, only, padding, samples, spectrum, tensor
from .core import _frames, power_to_db


def melspectrogram(
    *,
    y: np.ndarray | None = None,
    sr: float = 22050,
    S: np.ndarray | None = None,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: Any = "constant",
    power: float = 2.0,
    **kwargs: Any,
) -> np.ndarray:
    """librosa.feature.melspectrogram: [..., n_mels, M]; kwargs are those of ``filters.mel``."""
    if S is not None:
        s = spectrum("S", S, is_complex=False)
        return F.apply_filterbank(s, tensor(filters.mel(sr=sr, n_fft=_n_fft(s, n_fft), **kwargs).T)).numpy()
    x = samples(y)
    win_length, hop_length = _frames(n_fft, win_length, hop_length)
    bank = tensor(filters.mel(sr=sr, n_fft=n_fft, **kwargs).T)
    return F.mel_spectrogram(
        x,
        n_fft=n_fft,
        win_length=win_length,
        hop_length=hop_length,
        window=make_window(window, win_length),
        power=power,
        center=center,
        pad_mode=padding(pad_mode),
        filterbank=bank,
    ).numpy()


def mfcc(
    *,
    y: np.ndarray | None = None,
    sr: float = 22050,
    S: np.ndarray | None = None,
    n_mfcc: int = 20,
    dct_type: int = 2,
    norm: str | None = "ortho",
    lifter: float = 0,
    mel_norm: Any = "slaney",
    **kwargs: Any,
) -> np.ndarray:
    """librosa.feature.mfcc: [..., n_mfcc, M] from y or decibels S; kwargs are melspectrogram's. dct_type is 2."""
    only("dct_type", dct_type, 2)
    lifter = real("lifter", lifter, 0.0)
    if S is None:
        S = power_to_db(melspectrogram(y=y, sr=sr, norm=mel_norm, **kwargs))
    s = spectrum("S", S, is_complex=False)
    n_bands = s.shape[-2]
    dct = create_dct(min(integer("n_mfcc", n_mfcc, 1), n_bands), n_bands, norm)
    if lifter > 0:
        dct = dct * (1 + lifter / 2 * np.sin(np.pi * np.arange(1, 1 + dct.shape[1]) / lifter))
    return (tensor(dct.T).to(s.dtype) @ s).numpy()


def spectral_centroid(
    *,
    y: np.ndarray | None = None,
    sr: float = 22050,
    S: np.ndarray | None = None,
    n_fft: int = 2048,
    hop_length: int = 512,
    freq: np.ndarray | None = None,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: Any = "constant",
) -> np.ndarray:
    """librosa.feature.spectral_centroid, in Hz."""
    only("freq", freq, None)
    s, rate = _magnitude(y, S, n_fft, hop_length, win_length, window, center, pad_mode, sr)
    return centroid_of(s, rate)[..., None, :].numpy()


def spectral_bandwidth(
    *,
    y: np.ndarray | None = None,
    sr: float = 22050,
    S: np.ndarray | None = None,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: Any = "constant",
    freq: np.ndarray | None = None,
    centroid: np.ndarray | None = None,
    norm: bool = True,
    p: float = 2,
) -> np.ndarray:
    """librosa.feature.spectral_bandwidth, in Hz."""
    only("freq", freq, None)
    s, rate = _magnitude(y, S, n_fft, hop_length, win_length, window, center, pad_mode, sr)
    middle = None if centroid is None else spectrum("centroid", centroid, is_complex=False)[..., 0, :].to(s.dtype)
    return F.spectral_bandwidth(s, rate, p, norm, middle)[..., None, :].numpy()


def spectral_rolloff(
    *,
    y: np.ndarray | None = None,
    sr: float = 22050,
    S: np.ndarray | None = None,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: Any = "constant",
    freq: np.ndarray | None = None,
    roll_percent: float = 0.85,
) -> np.ndarray:
    """librosa.feature.spectral_rolloff, in Hz."""
    only("freq", freq, None)
    s, rate = _magnitude(y, S, n_fft, hop_length, win_length, window, center, pad_mode, sr)
    return F.spectral_rolloff(s, rate, roll_percent)[..., None, :].numpy()


def spectral_flatness(
    *,
    y: np.ndarray | None = None,
    S: np.ndarray | None = None,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: Any = "constant",
    amin: float = 1e-10,
    power: float = 2.0,
) -> np.ndarray:
    """librosa.feature.spectral_flatness."""
    s, _ = _magnitude(y, S, n_fft, hop_length, win_length, window, center, pad_mode)
    return F.spectral_flatness(s, amin, power)[..., None, :].numpy()


def chroma_stft(
    *,
    y: np.ndarray | None = None,
    sr: float = 22050,
    S: np.ndarray | None = None,
    norm: float | None = math.inf,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: Any = "constant",
    tuning: float | None = None,
    n_chroma: int = 12,
    **kwargs: Any,
) -> np.ndarray:
    """librosa.feature.chroma_stft; tuning is a number (None, its estimate, is not here); kwargs: filters.chroma's."""
    tuning = real("tuning", tuning)
    s, _ = _magnitude(y, S, n_fft, hop_length, win_length, window, center, pad_mode, power=2.0)
    bank = filters.chroma(sr=sr, n_fft=_n_fft(s, n_fft), tuning=tuning, n_chroma=n_chroma, **kwargs)
    return normalize_frames(tensor(bank).to(s.dtype) @ s, norm).numpy()


def _n_fft(s: Tensor, n_fft: int) -> int:
    """librosa's: n_fft where the bins agree with it, else the even number that has them."""
    return n_fft if integer("n_fft", n_fft, 2) // 2 + 1 == s.shape[-2] else 2 * (s.shape[-2] - 1)


def _magnitude(
    y: object,
    S: object,
    n_fft: int,
    hop_length: int,
    win_length: int | None,
    window: Any,
    center: bool,
    pad_mode: object,
    sr: float = 22050,
    power: float = 1.0,
) -> tuple[Tensor, float]:
    """The spectrogram, and twice the frequency of its last bin in Hz."""
    if S is None:
        x = samples(y)
        win_length, hop_length = _frames(n_fft, win_length, hop_length)
        w = make_window(window, win_length)
        s = F.spectrogram(x, 0, w, n_fft, hop_length, win_length, power, False, center, padding(pad_mode))
    else:
        s = spectrum("S", S, is_complex=False)
        if (s < 0).any():
            raise ValueError("S must not be negative")
    n_fft = _n_fft(s, n_fft)
    return s, real("sr", sr, 0.0, strict=True) / n_fft * (n_fft // 2 * 2)
