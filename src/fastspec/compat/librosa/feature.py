"""``librosa.feature``: mel bands, cepstra, the spectrum's shape, chroma; from samples ``y`` or a spectrogram ``S``.

``freq`` is None: bins lie sr / n_fft apart. Results have librosa's shapes, [..., 1, M] for the shape.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from ... import bases
from ... import functional as F
from ..._checks import integer, one_of, real
from ..._inputs import constant
from ...bases import create_dct
from ...chroma import normalize_frames
from ...shape import centroid_of
from . import filters
from ._arrays import (
    frame_sizes,
    magnitude,
    make_window,
    n_fft_of,
    not_here,
    only,
    padding,
    samples,
    spectrum,
    tensor,
)
from .core import constantq
from .core.levels import power_to_db
from .core.pitch import estimate_tuning

__getattr__ = not_here(__name__)


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
        return F.apply_filterbank(s, _mel(s, sr, n_fft_of(s, n_fft), kwargs)).numpy()
    x = samples(y)
    win_length, hop_length = frame_sizes(n_fft, win_length, hop_length)
    return F.mel_spectrogram(
        x,
        n_fft=n_fft,
        win_length=win_length,
        hop_length=hop_length,
        window=make_window(window, win_length),
        power=power,
        center=center,
        pad_mode=padding(pad_mode),
        filterbank=_mel(x, sr, n_fft, kwargs),
    ).numpy()


def _mel(like: Tensor, sr: float, n_fft: int, kwargs: dict[str, Any]) -> Tensor:
    """The filterbank [F, K], kept for the next call."""
    return constant("mel_filterbank", filters.mel_arguments(sr=sr, n_fft=n_fft, **kwargs), like.dtype, like.device)


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
    convention: str = "1.0",
    **kwargs: Any,
) -> np.ndarray:
    """librosa.feature.mfcc: [..., n_mfcc, M] from y or decibels S; kwargs are melspectrogram's. dct_type is 2.

    convention: of the decibels, see ``power_to_db``.
    """
    only("dct_type", dct_type, 2)
    lifter = real("lifter", lifter, 0.0)
    if S is None:
        S = power_to_db(melspectrogram(y=y, sr=sr, norm=mel_norm, **kwargs), convention=convention)
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
    frames = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "window": window}
    s, n_fft = magnitude(y, S, center=center, pad_mode=pad_mode, **frames)
    rate = _rate(sr, n_fft)
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
    frames = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "window": window}
    s, n_fft = magnitude(y, S, center=center, pad_mode=pad_mode, **frames)
    rate = _rate(sr, n_fft)
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
    frames = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "window": window}
    s, n_fft = magnitude(y, S, center=center, pad_mode=pad_mode, **frames)
    rate = _rate(sr, n_fft)
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
    frames = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "window": window}
    s, _ = magnitude(y, S, center=center, pad_mode=pad_mode, **frames)
    return F.spectral_flatness(s, amin, power)[..., None, :].numpy()


def spectral_contrast(
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
    fmin: float = 200.0,
    n_bands: int = 6,
    quantile: float = 0.02,
    linear: bool = False,
) -> np.ndarray:
    """librosa.feature.spectral_contrast, [..., n_bands + 1, M]; decibels limited by channel, as in librosa 1.0."""
    only("freq", freq, None)
    frames = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "window": window}
    s, n_fft = magnitude(y, S, center=center, pad_mode=pad_mode, **frames)
    return F.spectral_contrast(s, _rate(sr, n_fft), fmin, n_bands, quantile, linear).numpy()


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
    """librosa.feature.chroma_stft; tuning None is estimated; kwargs are filters.chroma's."""
    frames = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "window": window}
    s, n_fft = magnitude(y, S, center=center, pad_mode=pad_mode, power=2.0, **frames)
    if tuning is None:
        tuning = estimate_tuning(S=s.numpy(), sr=sr, n_fft=n_fft, bins_per_octave=n_chroma)
    bank = filters.chroma(sr=sr, n_fft=n_fft, tuning=real("tuning", tuning), n_chroma=n_chroma, **kwargs)
    return normalize_frames(tensor(bank).to(s.dtype) @ s, norm).numpy()


def chroma_cqt(
    *,
    y: np.ndarray | None = None,
    sr: float = 22050,
    C: np.ndarray | None = None,
    hop_length: int = 512,
    fmin: float | None = None,
    norm: float | None = math.inf,
    threshold: float | None = 0.0,
    tuning: float | None = None,
    n_chroma: int = 12,
    n_octaves: int = 7,
    window: np.ndarray | None = None,
    bins_per_octave: int | None = 36,
    cqt_mode: str = "full",
) -> np.ndarray:
    """librosa.feature.chroma_cqt, from y or magnitudes C [..., K, M]. window is None."""
    only("window", window, None)
    per_octave = n_chroma if bins_per_octave is None else bins_per_octave
    if C is None:
        cqt = {"full": constantq.cqt, "hybrid": constantq.hybrid_cqt}[one_of("cqt_mode", cqt_mode, ("full", "hybrid"))]
        n_bins = integer("n_octaves", n_octaves, 1) * integer("bins_per_octave", per_octave, 1)
        bins = {"n_bins": n_bins, "bins_per_octave": per_octave, "tuning": tuning}
        C = np.abs(cqt(y, sr=sr, hop_length=hop_length, fmin=fmin, **bins))
    c = spectrum("C", C, is_complex=False)
    fold = bases.cqt_to_chroma(c.shape[-2], per_octave, n_chroma, constantq.C1 if fmin is None else fmin)
    classes = tensor(fold.T).to(c.dtype) @ c
    if threshold is not None:
        classes = classes.masked_fill(classes < real("threshold", threshold), 0.0)
    return normalize_frames(classes, norm).numpy()


def delta(
    data: np.ndarray, *, width: int = 9, order: int = 1, axis: int = -1, mode: str = "interp", **kwargs: Any
) -> np.ndarray:
    """librosa.feature.delta: derivatives of the polynomials of degree order (or polyorder=) that fit width values.

    mode: "interp": the ends are the derivatives of the first and the last polynomial; "nearest", "mirror",
        "constant" (zeros), "wrap": what stands beyond the ends.
    """
    width, order = integer("width", width, 3), integer("order", order, 1)
    degree = integer("polyorder", kwargs.pop("polyorder", order), order, width - 1)
    if kwargs:
        raise ValueError(f"{next(iter(kwargs))} is no argument of delta in fastspec")
    if width % 2 == 0:
        raise ValueError(f"width must be odd, got {width}")
    pads = {"interp": "edge", "nearest": "edge", "mirror": "reflect", "constant": "constant", "wrap": "wrap"}
    how = pads[one_of("mode", mode, tuple(pads))]
    x = np.moveaxis(np.atleast_1d(data), axis, -1)
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    if mode == "interp" and width > x.shape[-1]:
        raise ValueError(f"width must be at most the {x.shape[-1]} values there are, got {width}")
    half = width // 2
    t = np.arange(-half, half + 1.0)
    fit = np.linalg.pinv(np.vander(t, degree + 1, increasing=True))  # values to coefficients, [degree + 1, width]
    powers = np.arange(order, degree + 1)
    slopes = np.array([math.perm(k, order) for k in powers]) * t[:, None] ** (powers - order)
    at = (slopes @ fit[order:]).astype(x.dtype)  # row i: the derivative at t[i] of the polynomial through width values
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode=how)  # type: ignore[call-overload]
    y = np.lib.stride_tricks.sliding_window_view(padded, width, -1) @ at[half]
    if mode == "interp":
        y[..., :half] = x[..., :width] @ at[:half].T
        y[..., -half:] = x[..., -width:] @ at[-half:].T
    return np.moveaxis(y, -1, axis)


def _rate(sr: float, n_fft: int) -> float:
    """Twice the frequency of the last bin in Hz."""
    return real("sr", sr, 0.0, strict=True) / n_fft * (n_fft // 2 * 2)
