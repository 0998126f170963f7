"""Constant-Q and variable-Q kernels, in float64.

Bin k is a windowed complex sinusoid of frequency f_k = fmin 2^((k + tuning) / bins_per_octave) and length
Q sr / (f_k + gamma / alpha) samples: Q periods where gamma = 0 (Brown 1991, "Calculation of a constant Q spectral
transform"), fewer of the low ones elsewhere (Schörkhuber et al. 2014, the variable-Q transform).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._checks import integer, one_of, real
from .windows import get_window

NORMALIZATIONS = ("librosa", "convolutional", "wrap")
CONVENTIONS = ("nnaudio", "librosa")
ERB = 24.7 / 0.108  # Hz; bandwidth = alpha (f + ERB): equivalent rectangular bandwidths (Glasberg & Moore 1990)
Window = str | tuple[str, float]
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Rows:
    """Complex rows of a transform, each over its own support: the value of row k at a frame whose centre is sample
    c is the sum over i of taps[k][i] x[c + first[k] + i]."""

    first: tuple[int, ...]
    taps: tuple[Complex, ...]

    @property
    def stop(self) -> tuple[int, ...]:
        return tuple(f + len(t) for f, t in zip(self.first, self.taps, strict=True))

    def scaled(self, factors: NDArray[np.float64]) -> Rows:
        return Rows(self.first, tuple(t * g for t, g in zip(self.taps, factors, strict=True)))


@dataclass(frozen=True)
class ConstantQ:
    """The parameters that decide the kernels; hashable.

    Attributes:
        sample_rate: Hz.
        fmin: frequency of bin 0, Hz.
        n_bins, bins_per_octave: how many bins, and how close.
        filter_scale: factor on every length.
        gamma: bandwidth offset in Hz; 0: constant Q; None: that of the ERB scale, alpha * 228.7 Hz (librosa's vqt).
        tuning: offset of all bins in fractions of a bin.
        window: name, or (name, parameter), of ``get_window``.
        norm: p of the p-norm that each kernel is divided by (1: a sine of amplitude a gives a / 2), or None.
        convention: "nnaudio": alpha = r - 1 with r = 2^(1 / bins_per_octave), lengths rounded up; "librosa":
            alpha = (r^2 - 1) / (r^2 + 1), fractional lengths. Q = filter_scale / alpha in both.
    """

    sample_rate: float = 22050.0
    fmin: float = 32.70
    n_bins: int = 84
    bins_per_octave: int = 12
    filter_scale: float = 1.0
    gamma: float | None = 0.0
    tuning: float = 0.0
    window: Window = "hann"
    norm: float | None = 1.0
    convention: str = "nnaudio"

    def __post_init__(self) -> None:
        real("sr", self.sample_rate, 0.0, strict=True)
        real("fmin", self.fmin, 0.0, strict=True)
        integer("n_bins", self.n_bins, 1)
        integer("bins_per_octave", self.bins_per_octave, 1)
        real("filter_scale", self.filter_scale, 0.0, strict=True)
        if self.gamma is not None:
            real("gamma", self.gamma, 0.0)
        real("tuning", self.tuning)
        if self.norm is not None and self.norm != math.inf:
            real("norm", self.norm, 0.0, strict=True)
        one_of("convention", self.convention, CONVENTIONS)
        top = self.frequencies[-1]
        if top > self.sample_rate / 2:
            raise ValueError(
                f"n_bins = {self.n_bins}: the top bin lies at {top:.1f} Hz, above half the sample rate "
                f"({self.sample_rate / 2:g} Hz); at most {self._most_bins()} bins fit"
            )
        shortest = self.filter_scale / self.alpha * self.sample_rate / top
        if shortest < 2:
            raise ValueError(
                f"filter_scale must leave the top kernel 2 samples, got {self.filter_scale}: {shortest:.2g} samples"
            )

    def _most_bins(self) -> int:
        octaves = math.log2(self.sample_rate / 2 / self.fmin)
        return max(0, int(octaves * self.bins_per_octave - self.tuning) + 1)

    @property
    def n_octaves(self) -> int:
        return -(-self.n_bins // self.bins_per_octave)

    @functools.cached_property
    def frequencies(self) -> NDArray[np.float64]:
        """Hz, [n_bins]."""
        k = np.arange(self.n_bins) + self.tuning
        return self.fmin * 2.0 ** (k / self.bins_per_octave)

    @property
    def alpha(self) -> float:
        """Relative bandwidth of a bin, 1 / Q at filter_scale 1."""
        ratio = 2.0 ** (1.0 / self.bins_per_octave)
        return ratio - 1.0 if self.convention == "nnaudio" else (ratio**2 - 1.0) / (ratio**2 + 1.0)

    @functools.cached_property
    def lengths(self) -> NDArray[np.float64]:
        """Samples, [n_bins]; whole numbers in nnAudio's convention."""
        offset = ERB if self.gamma is None else self.gamma / self.alpha
        exact = self.filter_scale / self.alpha * self.sample_rate / (self.frequencies + offset)
        return np.ceil(exact) if self.convention == "nnaudio" else exact


def cqt_supports(spec: ConstantQ) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First sample of each kernel of `cqt_rows`, and the one after its last, counted from the frame's centre."""
    lengths = [int(n) for n in np.ceil(spec.lengths)]
    firsts = tuple(-((n + 1) // 2) for n in lengths)
    return firsts, tuple(first + n for first, n in zip(firsts, lengths, strict=True))


def cqt_rows(spec: ConstantQ) -> Rows:
    """The kernels at the full rate: conj(window * exp(2 pi i f t / sr)), divided by its norm.

    t runs from -ceil(l / 2): the carrier has phase 0 at the frame's centre, and the window of a kernel of odd
    length is centred half a sample before it. These are nnAudio's kernels (CQT1992v2).
    """
    firsts, stops = cqt_supports(spec)
    taps = []
    for f, first, stop in zip(spec.frequencies, firsts, stops, strict=True):
        t = np.arange(first, stop)
        row = get_window(spec.window, len(t)) * np.exp(-2j * np.pi * f * t / spec.sample_rate)
        if spec.norm is not None:
            row = row / np.linalg.norm(row, spec.norm)
        taps.append(row)
    return Rows(firsts, tuple(taps))


def normalization_factors(normalization_type: str, lengths: NDArray) -> NDArray[np.float64]:
    """What the rows of norm 1 are multiplied by: "librosa" sqrt(length), "convolutional" 1, "wrap" 2 (a sine of
    amplitude 1 at a bin's frequency gives 1 there)."""
    one_of("normalization_type", normalization_type, NORMALIZATIONS)
    if normalization_type == "librosa":
        return np.sqrt(lengths)
    return np.full(len(lengths), 2.0 if normalization_type == "wrap" else 1.0)
