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
EXTRA = 3  # taps that a projected row is longer than its kernel, on each side
MARGIN = 16.0  # least u = (sr / 2D - f) l / sr for a rate to be tried: the floor of the error is 0.1 u^-2.5 (Hann)
TOLERANCE = 4e-5  # of a row, in the mean over white noise: so the few frames of a clip stay within 1e-4
OVERALL = 0.6  # share of that allowed to the root mean square over an octave's rows
OVERSAMPLED = 2.5  # an octave is analysed where its top bin lies below 1 / OVERSAMPLED of the rate


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


def cascade(h: NDArray[np.float64], halvings: int) -> NDArray[np.float64]:
    """The response, at the full rate, of `halvings` filters h each followed by taking every second sample."""
    response = np.ones(1)
    for i in range(halvings):
        spread = np.zeros((len(h) - 1) * 2**i + 1)
        spread[:: 2**i] = h
        response = _convolve(response, spread)
    return response


def _convolve(a: NDArray, b: NDArray) -> NDArray:
    if min(len(a), len(b)) < 64:
        return np.convolve(a, b)
    n = len(a) + len(b) - 1
    size = 1 << (n - 1).bit_length()
    product = np.fft.ifft(np.fft.fft(a, size) * np.fft.fft(b, size))[:n]
    return product if np.iscomplexobj(a) or np.iscomplexobj(b) else product.real


class Projection:
    """Full-rate rows turned into rows at 1 / step of the rate.

    Args:
        h: response of the decimator, symmetric.
        step: D, full-rate samples from one decimated sample to the next.
        longest: taps of the longest full-rate row.
    """

    def __init__(self, h: NDArray[np.float64], step: int, longest: int):
        self.step, self.reach = step, (len(h) - 1) // 2
        self.transformed = np.fft.fft(h, 1 << (longest + len(h) - 2).bit_length())
        size = longest // step + 2 * EXTRA + 3
        lags = _convolve(h, h[::-1])[len(h) - 1 :: step]
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
        spectrum = np.fft.fft(taps, len(self.transformed)) * self.transformed
        correlation = np.fft.ifft(spectrum)[: len(taps) + 2 * self.reach]  # index i: shift first - reach + i
        origin = first - self.reach
        energy = float(np.sum(np.abs(taps) ** 2))
        firsts, rows, worst = [], [], 0.0
        for phase in phases:
            low = (first + phase) // self.step - EXTRA
            high = -((-(first + len(taps) - 1 + phase)) // self.step) + EXTRA
            index = self.step * np.arange(low, high + 1) - phase - origin
            inside = (index >= 0) & (index < len(correlation))
            b = np.where(inside, correlation[np.clip(index, 0, len(correlation) - 1)], 0.0)
            inverse = self.inverse[: len(b), : len(b)]
            part = inverse @ b.view(np.float64).reshape(-1, 2)  # real and imaginary, so that the inverse stays real
            kept = float(np.sum(part**2))
            worst = max(worst, math.sqrt(max(energy - kept, 0.0) / energy))
            firsts.append(low)
            rows.append(np.ascontiguousarray(inverse.T @ part).view(np.complex128)[:, 0])
        return firsts, rows, worst


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

    An octave is decimated as far as ``OVERSAMPLED`` and ``MARGIN`` allow, then less while its error is too large: a
    row's more than `tolerance`, or their root mean square more than OVERALL of it.
    """
    rows = cqt_rows(spec)
    f, length, rate = spec.frequencies, spec.lengths, spec.sample_rate
    groups = []
    for octave in range(spec.n_octaves):
        high = spec.n_bins - octave * spec.bins_per_octave
        low = max(0, high - spec.bins_per_octave)
        step = 1
        while f[high - 1] * OVERSAMPLED * 2 * step <= rate and np.all(
            (rate / (4 * step) - f[low:high]) * length[low:high] / rate >= MARGIN
        ):
            step *= 2
        groups.append((low, high, step))
    deepest = max(step for *_, step in groups)
    if deepest == 1:
        return None
    edge = 1.05 * max(f[high - 1] * step / (2 * rate) for _, high, step in groups if step > 1)
    h = shortest_halfband(edge)

    levels, worst = [], 0.0
    for low, high, step in groups:
        level = Level(1, (low, high), 1, Rows(rows.first[low:high], rows.taps[low:high]))
        while step > 1:
            longest = max(len(t) for t in rows.taps[low:high])
            project = Projection(cascade(h, step.bit_length() - 1), step, longest)
            # the shortest row first: halving the step gains a factor of 6 (Hann), so far-off windows are given up
            error = project(rows.first[high - 1], rows.taps[high - 1], (0,))[2]
            if error <= tolerance:
                found, errors = _level(rows, low, high, hop_length, project)
                error = max(errors.max(), np.sqrt(np.mean(errors**2)) / OVERALL)
                if error <= tolerance:
                    level, worst = found, max(worst, float(errors.max()))
                    break
            step = step // 2 if error <= 10 * tolerance else 1
        levels.append(level)
    if all(level.step == 1 for level in levels):
        return None
    return Octaves(h, _joined(levels), worst)


def shortest_halfband(edge: float) -> NDArray[np.float64]:
    """The shortest half-band filter whose ripple up to the edge is RIPPLE at most."""
    edge, reach = min(edge, 0.245), 4
    while _ripple(halfband(edge, reach), edge) > RIPPLE and reach < 64:
        reach += 1
    return halfband(edge, reach)


def _ripple(h: NDArray, passband: float) -> float:
    n = np.arange(len(h)) - len(h) // 2
    return float(np.abs(1 - np.cos(2 * np.pi * np.outer(np.linspace(0, passband, 256), n)) @ h).max())


def _level(rows: Rows, low: int, high: int, hop: int, project: Projection) -> tuple[Level, NDArray]:
    """The rows low to high at the projection's rate, and their relative errors."""
    step, errors = project.step, []
    count = step // math.gcd(hop, step)
    centres = [p * hop for p in range(count)]
    firsts: list[list[int]] = [[] for _ in centres]
    taps: list[list[Complex]] = [[] for _ in centres]
    for k in range(low, high):
        first, rows_k, error = project(rows.first[k], rows.taps[k], tuple(c % step for c in centres))
        errors.append(error)
        for p, c in enumerate(centres):
            firsts[p].append(first[p] + c // step)
            taps[p].append(rows_k[p])
    joined = Rows(tuple(f for part in firsts for f in part), tuple(t for part in taps for t in part))
    return Level(step, (low, high), count, joined), np.array(errors)


def _joined(levels: list[Level]) -> tuple[Level, ...]:
    """Neighbours that ended at one rate (and so have the same phases) as one level."""
    out: list[Level] = []
    for level in levels:
        if out and out[-1].step == level.step and level.phases == 1:
            top = out.pop()
            rows = Rows(level.rows.first + top.rows.first, level.rows.taps + top.rows.taps)
            level = Level(level.step, (level.bins[0], top.bins[1]), 1, rows)
        out.append(level)
    return tuple(out)
