"""``librosa.core.convert``: frequencies of bins and bands, and mel."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import bases
from ...._checks import flag, integer, real

__all__ = ["cqt_frequencies", "fft_frequencies", "hz_to_mel", "mel_frequencies", "mel_to_hz"]


def fft_frequencies(*, sr: float = 22050, n_fft: int = 2048) -> np.ndarray:
    """librosa.fft_frequencies: Hz, [n_fft // 2 + 1]."""
    rate, n_fft = real("sr", sr, 0.0, strict=True), integer("n_fft", n_fft, 1)
    return np.arange(n_fft // 2 + 1) * (rate / n_fft)


def cqt_frequencies(n_bins: int, *, fmin: float, bins_per_octave: int = 12, tuning: float = 0.0) -> np.ndarray:
    """librosa.cqt_frequencies: Hz, [n_bins]."""
    steps = np.arange(integer("n_bins", n_bins, 1)) + real("tuning", tuning)
    return real("fmin", fmin, 0.0, strict=True) * 2.0 ** (steps / integer("bins_per_octave", bins_per_octave, 1))


def mel_frequencies(n_mels: int = 128, *, fmin: float = 0.0, fmax: float = 11025.0, htk: bool = False) -> np.ndarray:
    """librosa.mel_frequencies: Hz, [n_mels], evenly spaced in mel from fmin to fmax."""
    low, high = real("fmin", fmin, 0.0), real("fmax", fmax, 0.0)
    return np.array(bases.mel_frequencies(integer("n_mels", n_mels, 1), low, high, _scale(htk)))


def hz_to_mel(frequencies: Any, *, htk: bool = False) -> Any:
    """librosa.hz_to_mel, of any shape."""
    return bases.hz_to_mel(frequencies, _scale(htk))[()]


def mel_to_hz(mels: Any, *, htk: bool = False) -> Any:
    """librosa.mel_to_hz, of any shape."""
    return bases.mel_to_hz(mels, _scale(htk))[()]


def _scale(htk: bool) -> str:
    return "htk" if flag("htk", htk) else "slaney"
