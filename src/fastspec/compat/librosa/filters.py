"""``librosa.filters``: mel and chroma."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import bases
from ..._checks import flag, integer, real
from ._arrays import not_here, only

__getattr__ = not_here(__name__)


def mel(
    *,
    sr: float,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Any = "slaney",
    dtype: Any = np.float32,
) -> np.ndarray:
    """librosa.filters.mel: [n_mels, n_fft // 2 + 1]. norm is "slaney" or None."""
    arguments = mel_arguments(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm)
    return bases.mel_filterbank(*arguments).T.astype(dtype)


def mel_arguments(
    *,
    sr: float,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Any = "slaney",
    dtype: Any = None,
) -> tuple[Any, ...]:
    """``mel``'s as those of ``fastspec.bases.mel_filterbank``."""
    sr, n_fft, fmin = real("sr", sr, 0.0, strict=True), integer("n_fft", n_fft, 2), real("fmin", fmin, 0.0)
    fmax = sr / 2 if fmax is None else real("fmax", fmax)
    if fmax <= fmin:
        raise ValueError(f"fmax must be above fmin = {fmin:g}, got {fmax:g}")
    only("norm", norm, "slaney", None)
    rate = sr / n_fft * (n_fft // 2 * 2)  # twice the frequency of the last bin
    scale = "htk" if flag("htk", htk) else "slaney"
    return n_fft // 2 + 1, fmin, fmax, n_mels, rate, norm, scale


def chroma(
    *,
    sr: float,
    n_fft: int,
    n_chroma: int = 12,
    tuning: float = 0.0,
    ctroct: float = 5.0,
    octwidth: float | None = 2,
    norm: float | None = 2,
    base_c: bool = True,
    dtype: Any = np.float32,
) -> np.ndarray:
    """librosa.filters.chroma: [n_chroma, n_fft // 2 + 1]."""
    sr, tuning = real("sr", sr, 0.0, strict=True), real("tuning", tuning)
    return bases.chroma_filterbank(sr, n_fft, n_chroma, tuning, ctroct, octwidth, norm, base_c).T.astype(dtype)
