"""Matrices that fold frequencies into pitch classes, in float64. librosa's meaning of every argument."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._checks import integer, real


def chroma_filterbank(
    sample_rate: float,
    n_fft: int,
    n_chroma: int = 12,
    tuning: float = 0.0,
    ctroct: float = 5.0,
    octwidth: float | None = 2.0,
    norm: float | None = 2.0,
    base_c: bool = True,
) -> NDArray[np.float64]:
    """Bins of a Fourier transform to pitch classes: Gaussians around every pitch (Ellis 2007, chromagram_E).

    Args:
        sample_rate: Hz.
        n_fft: frame length in samples, at least 2.
        n_chroma: classes an octave.
        tuning: offset from A = 440 Hz in fractions of a class.
        ctroct, octwidth: centre, in octaves above A0, and width of a Gaussian weight on the octaves; octwidth None
            for no such weight.
        norm: each bin's weights are divided by their p-norm, or None.
        base_c: class 0 is C; False: A.

    Returns:
        [n_fft // 2 + 1, n_chroma].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    n_fft, n_chroma = integer("n_fft", n_fft, 2), integer("n_chroma", n_chroma, 1)
    rate = real("sample_rate", sample_rate, 0.0, strict=True)
    a0 = 440.0 * 2.0 ** (real("tuning", tuning) / n_chroma) / 16.0
    position = n_chroma * np.log2(np.arange(1, n_fft) * (rate / n_fft) / a0)
    position = np.concatenate([[position[0] - 1.5 * n_chroma], position])  # bin 0: an octave and a half below bin 1
    width = np.append(np.maximum(np.diff(position), 1.0), 1.0)
    half = round(n_chroma / 2)
    distance = np.remainder(position[:, None] - np.arange(n_chroma) + half + 10 * n_chroma, n_chroma) - half
    weights = np.exp(-0.5 * (2.0 * distance / width[:, None]) ** 2)
    if norm is not None:
        size = np.linalg.norm(weights, real("norm", norm, 0.0, strict=True), axis=1, keepdims=True)
        weights = weights / np.maximum(size, np.finfo(float).tiny)
    if octwidth is not None:
        octave = (position / n_chroma - real("ctroct", ctroct)) / real("octwidth", octwidth, 0.0, strict=True)
        weights = weights * np.exp(-0.5 * octave[:, None] ** 2)
    if base_c:
        weights = np.roll(weights, -3 * (n_chroma // 12), axis=1)
    return np.ascontiguousarray(weights[: n_fft // 2 + 1])


def cqt_to_chroma(
    n_bins: int, bins_per_octave: int = 12, n_chroma: int = 12, fmin: float = 32.70, base_c: bool = True
) -> NDArray[np.float64]:
    """Constant-Q bins to pitch classes: each class sums its nearest bins of every octave.

    Args:
        n_bins, bins_per_octave, fmin: of the constant-Q transform; bins_per_octave a multiple of n_chroma.
        n_chroma: classes an octave.
        base_c: class 0 is C; False: A.

    Returns:
        [n_bins, n_chroma] of zeros and ones.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    n_bins, n_chroma = integer("n_bins", n_bins, 1), integer("n_chroma", n_chroma, 1)
    merged, rest = divmod(integer("bins_per_octave", bins_per_octave, 1), n_chroma)
    if rest:
        raise ValueError(f"bins_per_octave must be a multiple of n_chroma = {n_chroma}, got {bins_per_octave}")
    midi = (12.0 * math.log2(real("fmin", fmin, 0.0, strict=True) / 440.0) + 69.0) % 12.0
    first = round((midi if base_c else midi - 9.0) * n_chroma / 12.0)
    nearest = ((np.arange(n_bins) + merged // 2) % bins_per_octave) // merged
    return np.eye(n_chroma)[(nearest + first) % n_chroma]
