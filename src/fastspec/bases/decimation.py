"""Octaves at decimated rates that equal the full-rate kernels.

A signal is low-passed and halved again and again; a bin is read off at the rate that its frequency needs. Taken
over unchanged, the kernels would be 1.3% off, most of it the filter's aliasing. Instead each row at a decimated
rate is the least-squares projection of the full-rate row g on the shifts of the cascade's response h:

    minimise || sum_n c[n] h[t - (D n - phase)] - g[t] ||  over c  (normal equations: Toeplitz, the lags D n of h's
    autocorrelation),

and the residual of that projection is the exact relative error on white noise.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cqt import Complex, ConstantQ, Rows, cqt_rows

RIPPLE = 3e-6  # of the half-band filter, which gets as many taps as that needs
BLOCK = 64  # results of the half-band filter at a time
EXTRA = 3  # taps that a projected row is longer than its kernel, on each side
MARGIN = 16.0  # least u = (sr / 2D - f) l / sr for a rate to be tried: the floor of the error is 0.1 u^-2.5 (Hann)
TOLERANCE = 4e-5  # of a row, in the mean over white noise: so the few frames of a clip stay within 1e-4
OVERALL = 0.6  # share of that allowed to the root mean square over an octave's rows
OVERSAMPLED = 2.7  # a bin is analysed where it lies below 1 / OVERSAMPLED of the rate


def halfband(passband: float, reach: int) -> NDArray[np.float64]:
    """Equiripple half-band low-pass of 4 reach - 1 taps, symmetric, gain 1 at 0 Hz to the ripple.

    Args:
        passband: edge in cycles a sample, 0 to 1/4; the stopband begins at 1/2 - passband.
        reach: half the number of free taps.

    Half of the taps are 0 and the middle is 1/2, so the response is 1/2 + sum_j 2 h_j cos(2 pi (2j + 1) f): what
    remains is the best approximation of 1/2 on [0, passband], found by Remez' exchange (Vaidyanathan & Nguyen 1987).
    """
    if not 0 < passband < 0.25:
        raise ValueError(f"passband must lie between 0 and 1/4, got {passband}")
    odd = 2 * np.arange(reach) + 1
    grid = np.linspace(0.0, passband, 64 * reach)
    cosines = np.cos(2 * np.pi * np.outer(grid, odd))
    # extrema of a Chebyshev polynomial, mapped on the band: a start close to the end
    at = np.round((0.5 - 0.5 * np.cos(np.pi * np.arange(reach + 1) / reach)) * (len(grid) - 1)).astype(int)
    signs, solution = (-1.0) ** np.arange(reach + 1), np.zeros(reach + 1)
    for _ in range(50):
        solution = np.linalg.solve(np.column_stack([cosines[at], signs]), np.full(reach + 1, 0.5))
        error = 0.5 - cosines @ solution[:-1]
        peak = np.flatnonzero(np.diff(np.sign(np.diff(error))) != 0) + 1
        found = np.unique(np.concatenate([[0], peak, [len(grid) - 1]]))
        found = found[np.argsort(-np.abs(error[found]), kind="stable")[: reach + 1]]
        found.sort()
        if len(found) < reach + 1 or np.array_equal(found, at):
            break
        at = found
    h = np.zeros(4 * reach - 1)
    middle = 2 * reach - 1
    h[middle] = 0.5
    h[middle + odd] = h[middle - odd] = solution[:-1] / 2
    return h


class Projection:
    """Full-rate rows turned into rows at 1 / step of the rate, step = D a power of two.

    Args:
        h: the half-band filter of each halving, symmetric.
        step: D, full-rate samples from one decimated sample to the next.
        longest: taps of the longest full-rate row.
    """

    def __init__(self, h: NDArray[np.float64], step: int, longest: int):
        self.step, self.halvings = step, step.bit_length() - 1
        self.middle = len(h) // 2
        n = np.arange(2 * BLOCK + len(h) - 1)[:, None] - 2 * np.arange(BLOCK)
        self.filter = np.where((n >= 0) & (n < len(h)), h[np.clip(n, 0, len(h) - 1)], 0.0)
        # lags of the cascade's autocorrelation at multiples of its step: those of one filter, halved with the rest
        own, lags = np.convolve(h, h[::-1]), np.ones(1)
        for _ in range(self.halvings):
            lags = np.convolve(own, lags)
            lags = lags[(len(lags) // 2) % 2 :: 2]
        lags = lags[len(lags) // 2 :]
        size = longest // step + 2 * EXTRA + 3
        column = np.zeros(size)
        column[: min(size, len(lags))] = lags[:size]
        n = np.arange(size)
        # R = L L^T is well conditioned (between the rate's ends its spectrum falls to a half); the inverse of L's
        # leading block is the leading block of its inverse, so one factorisation serves rows of every length
        self.inverse = np.linalg.inv(np.linalg.cholesky(column[np.abs(n[:, None] - n[None, :])]))

    def __call__(self, first: int, taps: Complex, phases: tuple[int, ...]) -> tuple[list[int], list[Complex], float]:
        """Rows for frames whose centres lie `phase` full-rate samples after a decimated sample, for each phase.

        Returns:
            The decimated offset of each row's first tap from that sample, the taps, and the largest relative error.
        """
        correlations = self._correlate(first, taps, phases)
        energy = float(np.sum(np.abs(taps) ** 2))
        firsts, rows, worst = [], [], 0.0
        for phase in phases:
            low = (first + phase) // self.step - EXTRA
            high = -((-(first + len(taps) - 1 + phase)) // self.step) + EXTRA
            origin, correlation = correlations[phase]
            index = np.arange(low, high + 1) - origin
            inside = (index >= 0) & (index < correlation.shape[1])
            b = np.where(inside, correlation[:, np.clip(index, 0, correlation.shape[1] - 1)], 0.0).T
            inverse = self.inverse[: len(b), : len(b)]
            part = inverse @ b  # real and imaginary, so that the inverse stays real
            kept = float(np.sum(part**2))
            worst = max(worst, math.sqrt(max(energy - kept, 0.0) / energy))
            firsts.append(low)
            rows.append(np.ascontiguousarray(inverse.T @ part).view(np.complex128)[:, 0])
        return firsts, rows, worst

    def _correlate(self, first: int, taps: Complex, phases: tuple[int, ...]) -> dict[int, tuple[int, NDArray]]:
        """(h * g)[D n - phase] for each phase: n of the first value, and the values, real and imaginary [2, n].

        Halved again and again as a signal is, with one sequence for each remainder that the phases leave.
        """
        found = {0: (first, np.stack([taps.real, taps.imag]))}
        for i in range(self.halvings):
            half = 1 << i
            found = {
                phase: self._halved(*found[phase % half], phase // half)
                for phase in {phase % (2 * half) for phase in phases}
            }
        return found

    def _halved(self, first: int, a: NDArray, shift: int) -> tuple[int, NDArray]:
        """(h * a)[2 n - shift], blocks of results as a product with a band matrix."""
        low = (first - self.middle + shift) // 2
        high = (first + a.shape[1] - 1 + self.middle + shift) // 2
        blocks, width = -(-(high - low + 1) // BLOCK), len(self.filter)
        left = first - (2 * low - shift - self.middle)
        padded = np.zeros((2, 2 * BLOCK * (blocks - 1) + width))
        padded[:, left : left + a.shape[1]] = a
        windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)[:, :: 2 * BLOCK]
        return low, (windows @ self.filter).reshape(2, -1)[:, : high - low + 1]


@dataclass(frozen=True)
class Level:
    """Some bins, read off the signal at 1 / step of its rate.

    Frame m is centred on full-rate sample m hop. With P phases, row k of phase p (``rows`` holds phase after phase)
    serves the frames m = p, p + P, p + 2 P, ...; its offsets count from decimated sample (m - p) hop / step.
    """

    step: int
    bins: tuple[int, int]
    phases: int
    rows: Rows


@dataclass(frozen=True)
class Octaves:
    """A recursive transform: the half-band filter, the levels from the top bins down, and the largest relative error
    of a row against the direct transform."""

    filter: NDArray[np.float64]
    levels: tuple[Level, ...]
    error: float


@functools.lru_cache(maxsize=32)
def octaves(spec: ConstantQ, hop_length: int, tolerance: float = TOLERANCE) -> Octaves | None:
    """The cheapest levels whose rows are all within `tolerance` of the direct ones; None when decimation never is.

    Each bin is read at the lowest rate that ``OVERSAMPLED`` and ``MARGIN`` allow, or at one further up where its error
    is too large: more than `tolerance`, or the root mean square over the bins of a rate more than OVERALL of it.
    """
    rows = cqt_rows(spec)
    f, length, rate = spec.frequencies, spec.lengths, spec.sample_rate
    steps = np.ones(spec.n_bins, dtype=int)
    for step in 2 ** np.arange(1, 33):
        steps[(f * OVERSAMPLED * step <= rate) & ((rate / (2 * step) - f) * length / rate >= MARGIN)] = step
    least = min(spec.n_bins, spec.bins_per_octave) // 4  # bins that are worth a halving of their own
    while np.count_nonzero(steps == steps.max()) < least:
        steps = np.minimum(steps, steps.max() // 2)
    deepest = int(steps.max())
    if deepest == 1:
        return None
    h = shortest_halfband(1.05 * float(np.max((f * steps / (2 * rate))[steps > 1])))

    levels, worst, low, step = [], 0.0, 0, deepest
    while step > 1 and low < spec.n_bins:
        high = int(np.count_nonzero(steps >= step))
        if low < high:
            project = Projection(h, step, len(rows.taps[low]))
            error = project(rows.first[low], rows.taps[low], (0,))[2]
            if error > 30 * tolerance:  # in the longest row: halving the step gains a factor of 6 (Hann), here less
                break
            if error <= tolerance:
                level, error = _level(rows, low, high, hop_length, project, tolerance)
                levels += [level] if level.bins[1] > low else []
                low, worst = level.bins[1], max(worst, error)
        step //= 2
    if low < spec.n_bins:
        levels.append(Level(1, (low, spec.n_bins), 1, Rows(rows.first[low:], rows.taps[low:])))
    return Octaves(h, tuple(levels[::-1]), worst) if worst else None


def shortest_halfband(edge: float) -> NDArray[np.float64]:
    """The shortest half-band filter whose ripple up to the edge is RIPPLE at most."""
    edge, reach = min(edge, 0.245), 4
    while _ripple(halfband(edge, reach), edge) > RIPPLE and reach < 64:
        reach += 1
    return halfband(edge, reach)


def _ripple(h: NDArray, passband: float) -> float:
    n = np.arange(len(h)) - len(h) // 2
    return float(np.abs(1 - np.cos(2 * np.pi * np.outer(np.linspace(0, passband, 256), n)) @ h).max())


def _level(rows: Rows, low: int, high: int, hop: int, project: Projection, tolerance: float) -> tuple[Level, float]:
    """The bins from low up, before high, that do at the projection's rate, and the largest of their errors."""
    step = project.step
    count = step // math.gcd(hop, step)
    centres = [p * hop for p in range(count)]
    firsts: list[list[int]] = [[] for _ in centres]
    taps: list[list[Complex]] = [[] for _ in centres]
    worst = total = 0.0
    for k in range(low, high):
        first, rows_k, error = project(rows.first[k], rows.taps[k], tuple(c % step for c in centres))
        total += error**2
        if error > tolerance or math.sqrt(total / (k - low + 1)) > OVERALL * tolerance:
            high = k
            break
        worst = max(worst, error)
        for p, c in enumerate(centres):
            firsts[p].append(first[p] + c // step)
            taps[p].append(rows_k[p])
    joined = Rows(tuple(f for part in firsts for f in part), tuple(t for part in taps for t in part))
    return Level(step, (low, high), count, joined), worst
