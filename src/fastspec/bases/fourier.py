"""Fourier rows at any frequencies, where those frequencies lie, and the weights of one-sided bins; in float64."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import integer, one_of, real

FREQ_SCALES = ("no", "linear", "log", "log2")


@functools.lru_cache(maxsize=64)
def mirror_weights(n_fft: int) -> NDArray[np.float64]:
    """Weights [F, 1] of one-sided bins, a mirrored pair counting 1: times 2 / n_fft the real part of their sum
    is the inverse DFT."""
    weights = np.ones((n_fft // 2 + 1, 1))
    weights[0] /= 2
    if n_fft % 2 == 0:
        weights[-1] /= 2
    weights.flags.writeable = False
    return weights


def bin_frequencies(
    n_fft: int,
    freq_bins: int | None = None,
    freq_scale: str = "no",
    f_min: float = 50.0,
    f_max: float = 6000.0,
    sample_rate: float = 22050.0,
) -> NDArray[np.float64]:
    """The frequencies of an STFT's rows in bins of the FFT, so that f is f * sample_rate / n_fft Hz; as in nnAudio.

    Args:
        n_fft: frame length.
        freq_bins: number of rows F. Default: n_fft // 2 + 1.
        freq_scale: "no": 0, 1, 2, ... (f_min, f_max and sample_rate have no effect); "linear": evenly spaced from
            f_min; "log": evenly spaced in pitch; "log2" is another name for that. f_max itself is excluded.
        f_min, f_max: range in Hz, 0 <= f_min < f_max; above 0 for "log".
        sample_rate: in Hz.

    Returns:
        Float64 array [F].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    n_fft = integer("n_fft", n_fft, 2)
    count = n_fft // 2 + 1 if freq_bins is None else integer("freq_bins", freq_bins, 1)
    if one_of("freq_scale", freq_scale, FREQ_SCALES) == "no":
        if count > n_fft // 2 + 1:
            raise ValueError(f"freq_bins must be at most n_fft // 2 + 1 = {n_fft // 2 + 1}, got {count}")
        return np.arange(count, dtype=np.float64)
    low, high = real("f_min", f_min), real("f_max", f_max)
    if not 0 <= low < high or (low == 0 and freq_scale != "linear"):
        raise ValueError(f"f_min, f_max: expected 0 <= f_min < f_max (0 < for log), got {low} and {high}")
    steps = np.arange(count) / count
    hertz = low + (high - low) * steps if freq_scale == "linear" else low * (high / low) ** steps
    return hertz * (n_fft / real("sample_rate", sample_rate, 0.0, strict=True))


def fourier_basis(n_fft: int, bins: ArrayLike, window: ArrayLike) -> NDArray[np.float64]:
    """Rows w[n] exp(-2 pi i f n / n_fft): [2, F, win_length], real parts over imaginary parts.

    The window stands in the middle of the frame, where n counts from the start of the frame.

    Args:
        n_fft: frame length.
        bins: frequencies [F], in bins.
        window: [win_length], at most n_fft.
    """
    window, bins = np.asarray(window, dtype=np.float64), np.asarray(bins, dtype=np.float64)
    samples = (n_fft - len(window)) // 2 + np.arange(len(window))
    turns = np.multiply.outer(bins, samples) % n_fft / n_fft
    return np.stack([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)]) * window
