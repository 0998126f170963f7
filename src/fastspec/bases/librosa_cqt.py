"""librosa's constant-Q kernels: its octaves, wavelets and sparsity, and the filterbank of its pseudo transform."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from .cqt import ERB, Complex, ConstantQ, Rows
from .decimation import Level, Octaves, shortest_halfband
from .windows import get_window

SPARSITY = 0.01  # share of a row's spectrum, by magnitude, that librosa drops


@functools.lru_cache(maxsize=32)
def librosa_octaves(spec: ConstantQ, hop_length: int) -> Octaves:
    """librosa's recursion: its wavelets at each octave's rate, their spectra sparsified, halving while the hop is even.

    Each row is scaled by sqrt(length) as librosa's `scale=True` does. The error is 0: there is no other truth.
    """
    f, length = spec.frequencies, spec.lengths
    halvings = [min(octave, _twos(hop_length)) for octave in range(spec.n_octaves)]
    early = _early_halvings(spec, hop_length)
    halvings = [min(h + early, _twos(hop_length)) for h in halvings]
    levels = []
    for octave, halving in enumerate(halvings):
        high = spec.n_bins - octave * spec.bins_per_octave
        low = max(0, high - spec.bins_per_octave)
        rows = _wavelets(spec, f[low:high], length[low:high], 2**halving)
        levels.append(Level(2**halving, (low, high), 1, rows.scaled(np.sqrt(length[low:high]))))
    gamma = spec.alpha * ERB if spec.gamma is None else spec.gamma
    upper = f * (1 + spec.alpha) + gamma  # Hz, where a bin's main lobe ends
    edge = max(upper[level.bins[1] - 1] * level.step / (2 * spec.sample_rate) for level in levels)
    return Octaves(shortest_halfband(edge), tuple(levels), 0.0)


def _wavelets(spec: ConstantQ, f: NDArray, length: NDArray, step: int) -> Rows:
    size = 1 << math.ceil(math.log2(length.max() / step))
    taps = np.fft.fft(_spectra(spec, f, length / step, spec.sample_rate / step, size), axis=1) / size
    return Rows((-(size // 2),) * len(f), tuple(taps))


def _spectra(spec: ConstantQ, f: NDArray, lengths: NDArray, rate: float, n_fft: int) -> Complex:
    """Spectra [K, n_fft] of wavelets centred in the power of two that holds them all: without negative frequencies,
    and without the small values that together make SPARSITY of a row."""
    size = 1 << math.ceil(math.log2(lengths.max()))
    basis = np.zeros((len(f), n_fft), dtype=np.complex128)
    for row, frequency, n in zip(basis, f, lengths, strict=True):
        t = np.arange(math.floor(-n / 2), math.floor(n / 2))
        wavelet = get_window(spec.window, len(t)) * np.exp(2j * np.pi * frequency * t / rate)
        if spec.norm is not None:
            wavelet = wavelet / np.linalg.norm(wavelet, spec.norm)
        start = (size - len(t)) // 2
        row[start : start + len(t)] = wavelet
    spectrum = np.fft.fft(basis, axis=1)
    spectrum[:, n_fft // 2 + 1 :] = 0
    magnitude = np.abs(spectrum)
    ranked = np.sort(magnitude, axis=1)
    below = np.cumsum(ranked / magnitude.sum(axis=1, keepdims=True), axis=1) < SPARSITY
    threshold = np.take_along_axis(ranked, np.argmin(below, axis=1)[:, None], axis=1)
    return np.where(magnitude >= threshold, spectrum, 0)


def pseudo_cqt_n_fft(spec: ConstantQ, hop_length: int) -> int:
    """The STFT's length that the pseudo constant-Q transform folds: two hops and the longest kernel, a power of two."""
    return 1 << max(math.ceil(math.log2(spec.lengths.max())), 1 + math.ceil(math.log2(hop_length)))


def pseudo_cqt_filterbank(spec: ConstantQ, hop_length: int) -> NDArray[np.float64]:
    """Weights [n_fft // 2 + 1, K] of the STFT's magnitudes: those of the wavelets' spectra, as librosa scales them."""
    n_fft, length = pseudo_cqt_n_fft(spec, hop_length), spec.lengths
    magnitude = np.abs(_spectra(spec, spec.frequencies, length, spec.sample_rate, n_fft))
    return (magnitude * (length / n_fft**1.5)[:, None]).T[: n_fft // 2 + 1]


def _early_halvings(spec: ConstantQ, hop_length: int) -> int:
    """How often librosa halves the rate before the top octave already."""
    alpha = spec.alpha
    gamma = alpha * ERB if spec.gamma is None else spec.gamma
    window = get_window(spec.window, 1000)
    bandwidth = 1000 * float(np.sum(window**2) / np.sum(np.abs(window)) ** 2)
    cutoff = spec.frequencies[-1] * (1 + 0.5 * bandwidth * alpha / spec.filter_scale) + 0.5 * gamma
    by_rate = math.ceil(math.log2(spec.sample_rate / 2 / cutoff)) - 2
    return min(max(0, by_rate), max(0, _twos(hop_length) - spec.n_octaves + 1))


def _twos(n: int) -> int:
    return (n & -n).bit_length() - 1
