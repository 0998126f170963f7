"""Mel scales and triangular filterbanks, in float64."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import integer, one_of, real, room, warn

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
    numbers = _check_bank(n_freqs, f_min, f_max, n_mels, sample_rate, "n_mels")
    norm = one_of("norm", norm, (None, "slaney"))
    bank, empty = _mel_bank(*numbers, norm, _check_scale(mel_scale))
    _warn_empty(empty, "mel", "n_mels", numbers)
    return bank


def linear_filterbank(
    n_freqs: int, f_min: float, f_max: float, n_filter: int, sample_rate: float
) -> NDArray[np.float64]:
    """Triangular filters [n_freqs, n_filter], corners evenly spaced in Hz; errors, warning as ``mel_filterbank``."""
    numbers = _check_bank(n_freqs, f_min, f_max, n_filter, sample_rate, "n_filter")
    bank, empty = _linear_bank(*numbers)
    _warn_empty(empty, "linear", "n_filter", numbers)
    return bank


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
    return _finish(bank)


@functools.lru_cache(maxsize=64)
def _linear_bank(
    n_freqs: int, f_min: float, f_max: float, n_filter: int, sample_rate: float
) -> tuple[NDArray[np.float64], int]:
    return _finish(_triangles(np.linspace(0.0, sample_rate / 2, n_freqs), np.linspace(f_min, f_max, n_filter + 2)))


def _finish(bank: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """The bank, read-only, and how many of its bands hold no bin."""
    bank.flags.writeable = False
    return bank, int((bank.max(axis=0) == 0).sum())


def _warn_empty(empty: int, kind: str, bands_name: str, numbers: tuple[int, float, float, int, float]) -> None:
    n_freqs, f_min, f_max, n_bands, _ = numbers
    if empty:
        warn(
            f"{empty} of {n_bands} {kind} bands hold no frequency bin and stay zero: lower {bands_name}, raise n_fft "
            f"(n_freqs = {n_freqs}) or check f_min = {f_min}, f_max = {f_max}"
        )


def _triangles(x: NDArray, corners: NDArray) -> NDArray[np.float64]:
    """Triangle k, at the points x, rises from corners[k] to corners[k + 1] and falls to corners[k + 2]."""
    left, peak, right = corners[:-2], corners[1:-1], corners[2:]
    x = x[:, None]
    return np.maximum(0.0, np.minimum((x - left) / (peak - left), (right - x) / (right - peak)))


def _mel_factor(mel_scale: str) -> float:
    return 1127.0 if mel_scale == "kaldi" else 2595.0 / math.log(10.0)


def _check_scale(mel_scale: str) -> str:
    return one_of("mel_scale", mel_scale, MEL_SCALES)


def _check_bank(
    n_freqs: int, f_min: float, f_max: float, n_bands: int, sample_rate: float, bands_name: str
) -> tuple[int, float, float, int, float]:
    """The five numbers, checked."""
    n_freqs, n_bands = integer("n_freqs", n_freqs, 1), integer(bands_name, n_bands, 1)
    room(bands_name, n_bands, n_freqs * n_bands)
    sample_rate = real("sample_rate", sample_rate, 0.0, strict=True)
    f_min, f_max = real("f_min", f_min), real("f_max", f_max)
    if not 0 <= f_min < f_max:
        raise ValueError(f"f_min, f_max: expected 0 <= f_min < f_max, got f_min = {f_min!r}, f_max = {f_max!r}")
    return n_freqs, f_min, f_max, n_bands, sample_rate
