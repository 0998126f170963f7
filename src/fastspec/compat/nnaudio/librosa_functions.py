"""nnAudio's ``librosa_functions``: its copies of librosa's filters and scales, in float64 up to the result's dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import bases

__all__ = [
    "chroma",
    "fft2gammatonemx",
    "fft_frequencies",
    "get_gammatone",
    "get_mel",
    "hz_to_mel",
    "hz_to_octs",
    "mel_frequencies",
    "mel_to_hz",
    "normalize",
    "pad_center",
    "tiny",
]


def fft_frequencies(sr: float = 22050, n_fft: int = 2048) -> NDArray[np.float64]:
    """Hz of the bins, [n_fft // 2 + 1]."""
    return np.linspace(0.0, sr / 2, n_fft // 2 + 1)


def hz_to_mel(frequencies: Any, htk: bool = False) -> Any:
    """Hz to mel, of any shape."""
    return bases.hz_to_mel(frequencies, _scale(htk))[()]


def mel_to_hz(mels: Any, htk: bool = False) -> Any:
    """Mel to Hz, of any shape."""
    return bases.mel_to_hz(mels, _scale(htk))[()]


def mel_frequencies(n_mels: int = 128, fmin: float = 0.0, fmax: float = 11025.0, htk: bool = False) -> NDArray:
    """Hz, [n_mels], evenly spaced in mel from fmin to fmax."""
    return np.array(bases.mel_frequencies(n_mels, fmin, fmax, _scale(htk)))


def hz_to_octs(frequencies: Any, tuning: float = 0.0, bins_per_octave: int = 12) -> Any:
    """Octaves above A0, which lies at 27.5 Hz 2^(tuning / bins_per_octave)."""
    return np.log2(np.asanyarray(frequencies) / (27.5 * 2.0 ** (tuning / bins_per_octave)))


def get_mel(
    sr: float,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Any = 1,
    dtype: Any = np.float32,
) -> NDArray:
    """Mel filters [n_mels, F]; norm=1 for equal areas, None or inf for peaks of 1."""
    area = "slaney" if norm == 1 else None
    arguments = n_fft // 2 + 1, fmin, sr / 2 if fmax is None else fmax, n_mels, sr, area, _scale(htk)
    return bases.mel_filterbank(*arguments).T.astype(dtype)


def get_gammatone(
    sr: float,
    n_fft: int,
    n_bins: int = 64,
    fmin: float = 20.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Any = 1,
    dtype: Any = np.float32,
) -> NDArray:
    """Gammatone filters [n_bins, F]; htk and norm have no effect."""
    weights, _ = fft2gammatonemx(sr, n_fft, n_bins, 1.0, fmin, sr / 2 if fmax is None else fmax, n_fft // 2 + 1)
    return (weights / n_fft).astype(dtype)


def fft2gammatonemx(
    sr: float = 20000,
    n_fft: int = 2048,
    n_bins: int = 64,
    width: float = 1.0,
    fmin: float = 0.0,
    fmax: float = 11025,
    maxlen: int = 1024,
) -> tuple[NDArray, NDArray]:
    """Gammatone responses [n_bins, maxlen], 0 above half the rate, in float32, and their centres in Hz."""
    bank = bases.gammatone_filterbank(n_fft // 2 + 1, fmin, fmax, n_bins, sr, width).T.astype(np.float32)
    weights = np.zeros((n_bins, min(maxlen, n_fft)), np.float32)
    weights[:, : bank.shape[1]] = bank[:, :maxlen]
    return weights, np.array(bases.gammatone_frequencies(n_bins, fmin, fmax))


def chroma(
    sr: float,
    n_fft: int,
    n_chroma: int = 12,
    tuning: float = 0.0,
    ctroct: float = 5.0,
    octwidth: float | None = 2,
    norm: float | None = 2,
    base_c: bool = True,
    dtype: Any = np.float32,
) -> NDArray:
    """Pitch classes of the bins, [n_chroma, F]."""
    return bases.chroma_filterbank(sr, n_fft, n_chroma, tuning, ctroct, octwidth, norm, base_c).T.astype(dtype)


def pad_center(data: NDArray, size: int, axis: int = -1, **kwargs: Any) -> NDArray:
    """data in the middle of `size` values along an axis; kwargs are numpy.pad's."""
    room = size - data.shape[axis]
    if room < 0:
        raise ValueError(f"size must be at least the {data.shape[axis]} values there are, got {size}")
    widths = [(0, 0)] * data.ndim
    widths[axis] = room // 2, room - room // 2
    return np.pad(data, widths, **{"mode": "constant", **kwargs})


def normalize(
    S: NDArray, norm: float | None = np.inf, axis: int | None = 0, threshold: float | None = None, fill: Any = None
) -> NDArray:
    """S divided by its p-norms along an axis (norm: inf, -inf, 0 for the count of values, p > 0, or None for S).

    Where a norm is below threshold (the smallest number) fill tells: None, S as it is; False, 0; True, what has norm 1.
    """
    if norm is None:
        return S
    if fill not in (None, False, True):
        raise ValueError(f"fill must be None, False or True, got {fill!r}")
    if not np.isfinite(S).all():
        raise ValueError("S must be finite everywhere, got NaN or infinity")
    least = tiny(S) if threshold is None else threshold
    if not least > 0:
        raise ValueError(f"threshold must be above 0, got {threshold!r}")
    size, count = np.abs(S).astype(np.float64), S.size if axis is None else S.shape[axis]
    if norm == np.inf:
        length, flat = size.max(axis=axis, keepdims=True), 1.0
    elif norm == -np.inf:
        length, flat = size.min(axis=axis, keepdims=True), 1.0
    elif norm == 0 and fill is not True:
        length, flat = (size > 0).sum(axis=axis, keepdims=True).astype(np.float64), 1.0
    elif norm > 0:
        length, flat = (size**norm).sum(axis=axis, keepdims=True) ** (1.0 / norm), count ** (-1.0 / norm)
    else:
        raise ValueError(f"norm must be inf, -inf, 0 (not with fill=True), above 0 or None, got {norm!r}")
    small = length < least
    result = S / np.where(small, 1.0, length)
    if fill is not None:
        result = np.where(small, flat if fill else 0.0, result)
    return result.astype(S.dtype)


def tiny(x: Any) -> Any:
    """The smallest normal number of x's dtype; of float32 where x holds no floating point numbers."""
    dtype = np.asarray(x).dtype
    return np.finfo(dtype if dtype.kind in "fc" else np.float32).tiny


def _scale(htk: bool) -> str:
    return "htk" if htk else "slaney"
