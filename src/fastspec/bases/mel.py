"""Mel scales and triangular filterbanks, in float64."""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

MEL_SCALES = ("htk", "slaney", "kaldi")

# Slaney's Auditory Toolbox (1998): linear below 1 kHz, 15 mel; above, 27 steps for a factor of 6.4.
_SLANEY_HZ_PER_MEL = 200.0 / 3.0
_SLANEY_KNEE_HZ = 1000.0
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = math.log(6.4) / 27.0


def hz_to_mel(hz: ArrayLike, mel_scale: str = "htk") -> NDArray[np.float64]:
    """Frequency in Hz to mel.

    ``htk``: 2595 log10(1 + f/700) (HTK book, section 5.4); ``kaldi``: 1127 ln(1 + f/700); ``slaney``: linear
    below 1 kHz, logarithmic above (Auditory Toolbox, 1998). Any shape; ValueError for an unknown scale.
    """
    hz = np.asarray(hz, dtype=np.float64)
    if _check_scale(mel_scale) == "slaney":
        log = np.log(np.maximum(hz, _SLANEY_KNEE_HZ) / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP
        return np.where(hz < _SLANEY_KNEE_HZ, hz / _SLANEY_HZ_PER_MEL, _SLANEY_KNEE_MEL + log)
    return _mel_factor(mel_scale) * np.log1p(hz / 700.0)


def mel_to_hz(mel: ArrayLike, mel_scale: str = "htk") -> NDArray[np.float64]:
    """Mel to frequency in Hz, the inverse of ``hz_to_mel``."""
    mel = np.asarray(mel, dtype=np.float64)
    if _check_scale(mel_scale) == "slaney":
        octaves = np.maximum(mel - _SLANEY_KNEE_MEL, 0.0) * _SLANEY_LOG_STEP
        return np.where(mel < _SLANEY_KNEE_MEL, mel * _SLANEY_HZ_PER_MEL, _SLANEY_KNEE_HZ * np.exp(octaves))
    return 700.0 * np.expm1(mel / _mel_factor(mel_scale))


def mel_frequencies(n: int, f_min: float, f_max: float, mel_scale: str = "htk") -> NDArray[np.float64]:
    """n frequencies in Hz, evenly spaced in mel from f_min to f_max, both included."""
    low, high = hz_to_mel([f_min, f_max], mel_scale)
    return mel_to_hz(np.linspace(low, high, n), mel_scale)


def mel_filterbank(
    n_freqs: int,
    f_min: float,
    f_max: float,
    n_mels: int,
    sample_rate: float,
    norm: str | None = None,
    mel_scale: str = "htk",
) -> NDArray[np.float64]:
    """Triangular filters whose corners are evenly spaced in mel.

    Args:
        n_freqs: number of bins F, evenly spaced from 0 to sample_rate / 2 (n_fft // 2 + 1 of them).
        f_min, f_max: lowest and highest corner in Hz, 0 <= f_min < f_max.
        n_mels: number of bands K.
        sample_rate: in Hz.
        norm: None, peaks of 1; "slaney", every band divided by half its width in Hz: equal areas.
        mel_scale: "htk" and "slaney" draw the triangles straight over Hz, "kaldi" straight over mel.

    Returns:
        Read-only float64 array of shape [n_freqs, n_mels].

    Raises:
        ValueError: a size below 1, a NaN or an infinite number, f_min >= f_max, unknown norm or scale.

    Warns:
        UserWarning: a band holds no bin and stays zero (n_mels too high for n_freqs, or f_max beyond
            Nyquist).
    """
    _check_bank(n_freqs, f_min, f_max, n_mels, sample_rate, "n_mels")
    _check_scale(mel_scale)
    if norm not in (None, "slaney"):
        raise ValueError(f'norm must be None or "slaney", got {norm!r}')
    bank, empty = _mel_bank(n_freqs, float(f_min), float(f_max), n_mels, float(sample_rate), norm, mel_scale)
    if empty:
        warnings.warn(
            f"{empty} of {n_mels} mel bands hold no frequency bin and stay zero: lower n_mels, raise n_fft "
            f"(n_freqs = {n_freqs}) or check f_min = {f_min}, f_max = {f_max}",
            stacklevel=2,
        )
    return bank


def linear_filterbank(
    n_freqs: int, f_min: float, f_max: float, n_filter: int, sample_rate: float
) -> NDArray[np.float64]:
    """Triangular filters [n_freqs, n_filter], corners evenly spaced in Hz; errors as ``mel_filterbank``."""
    _check_bank(n_freqs, f_min, f_max, n_filter, sample_rate, "n_filter")
    return _linear_bank(n_freqs, float(f_min), float(f_max), n_filter, float(sample_rate))


@functools.lru_cache(maxsize=64)
def _mel_bank(
    n_freqs: int,
    f_min: float,
    f_max: float,
    n_mels: int,
    sample_rate: float,
    norm: str | None,
    mel_scale: str,
) -> tuple[NDArray[np.float64], int]:
    bins = np.linspace(0.0, sample_rate / 2, n_freqs)
    corners = mel_frequencies(n_mels + 2, f_min, f_max, mel_scale)
    if mel_scale == "kaldi":
        bank = _triangles(hz_to_mel(bins, mel_scale), hz_to_mel(corners, mel_scale))
    else:
        bank = _triangles(bins, corners)
    if norm == "slaney":
        bank *= 2.0 / (corners[2:] - corners[:-2])
    bank.flags.writeable = False
    return bank, int((bank.max(axis=0) == 0).sum())


@functools.lru_cache(maxsize=64)
def _linear_bank(n_freqs: int, f_min: float, f_max: float, n_filter: int, sample_rate: float) -> NDArray[np.float64]:
    bank = _triangles(np.linspace(0.0, sample_rate / 2, n_freqs), np.linspace(f_min, f_max, n_filter + 2))
    bank.flags.writeable = False
    return bank


def _triangles(x: NDArray, corners: NDArray) -> NDArray[np.float64]:
    """Triangle k, at the points x, rises from corners[k] to corners[k + 1] and falls to corners[k + 2]."""
    left, peak, right = corners[:-2], corners[1:-1], corners[2:]
    x = x[:, None]
    return np.maximum(0.0, np.minimum((x - left) / (peak - left), (right - x) / (right - peak)))


def _mel_factor(mel_scale: str) -> float:
    return 1127.0 if mel_scale == "kaldi" else 2595.0 / math.log(10.0)


def _check_scale(mel_scale: str) -> str:
    if mel_scale not in MEL_SCALES:
        raise ValueError(f"mel_scale must be one of {', '.join(MEL_SCALES)}, got {mel_scale!r}")
    return mel_scale


def _check_bank(n_freqs: int, f_min: float, f_max: float, n_bands: int, sample_rate: float, bands_name: str) -> None:
    for name, value in (("n_freqs", n_freqs), (bands_name, n_bands)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    for name, value in (("f_min", f_min), ("f_max", f_max), ("sample_rate", sample_rate)):
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value!r}")
    if sample_rate <= 0:
        raise ValueError(f"sample_rate must be positive, got {sample_rate!r}")
    if not 0 <= f_min < f_max:
        raise ValueError(f"f_min, f_max: expected 0 <= f_min < f_max, got f_min = {f_min!r}, f_max = {f_max!r}")
