"""Matrices that read frequencies and periods on one logarithmic axis, in float64."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._checks import integer, real


def cfp_matrices(
    fr: float, fs: float, fc: float, tc: float, bins_per_octave: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Triangular bands, spaced by bins_per_octave from fc to 1 / tc Hz, over frequencies and over quefrencies.

    Band i rises from centre i - 1 to centre i and falls to centre i + 1; the first and the last band are empty, and
    a sample exactly on a centre weighs nothing there: all as in nnAudio's CFP (after Su & Yang 2015).

    Args:
        fr: frequency resolution, Hz. fs: sample rate, Hz. fc: lowest frequency, Hz. tc: shortest period, seconds.

    Returns:
        [F, K] for the frequencies up to 1 / tc, and [Q, K] for the periods up to 1 / fc.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    fr, fs = real("fr", fr, 0.0, strict=True), real("fs", fs, 0.0, strict=True)
    fc, tc = real("fc", fc, 0.0, strict=True), real("tc", tc, 0.0, strict=True)
    bins_per_octave = integer("NumPerOct", bins_per_octave, 1)
    top = 1.0 / tc
    if not fc < top <= fs / 2:
        raise ValueError(
            f"tc must give a highest frequency 1 / tc between fc = {fc:g} and fs / 2 = {fs / 2:g} Hz, got {tc}"
        )
    half = round(int(fs / fr) // 2)
    frequencies = (fs * np.linspace(0, 0.5, half))[: round(top / fr) + 1]
    with np.errstate(divide="ignore"):
        inverse_periods = fs / np.arange(round(fs / fc) + 1)
    count = math.ceil(math.log2(top / fc)) * bins_per_octave
    centres = fc * 2.0 ** (np.arange(count) / bins_per_octave)
    centres = centres[centres < top]
    if len(centres) < 3:
        raise ValueError(
            f"NumPerOct must give three bands or more between {fc:g} and {top:g} Hz, got {bins_per_octave}"
        )
    by_frequency = np.zeros((len(frequencies), len(centres) - 1))
    by_period = np.zeros((len(inverse_periods), len(centres) - 1))
    for i in range(1, len(centres) - 1):
        low, centre, high = centres[i - 1 : i + 2]
        first, stop = round(low / fr), round(high / fr) + 1
        if first >= stop - 1:
            by_frequency[first, i] = 1.0
        else:
            by_frequency[first:stop, i] = _triangle(frequencies[first:stop], low, centre, high)
        first, stop = round(fs / high), round(fs / low) + 1
        by_period[first:stop, i] = _triangle(inverse_periods[first:stop], low, centre, high)
    return by_frequency, by_period


def _triangle(f: NDArray, low: float, centre: float, high: float) -> NDArray[np.float64]:
    rising, falling = (f - low) / (centre - low), (high - f) / (high - centre)
    return np.where((f > low) & (f < centre), rising, np.where((f > centre) & (f < high), falling, 0.0))
