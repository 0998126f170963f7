"""Kaldi's windows, mel filters with vocal tract length normalisation, and liftered cosine transform, in float64."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import _disable_current_modes

from .._checks import flag, integer, one_of, real, room
from .windows import get_window

KALDI_WINDOWS = ("hamming", "hanning", "povey", "rectangular", "blackman")


def kaldi_window(window_type: str, win_length: int, blackman_coeff: float = 0.42) -> NDArray[np.float64]:
    """The symmetric window [win_length] of ``feature-window.cc``.

    "povey" is a Hann window to the power 0.85; "blackman" is a - cos / 2 + (1/2 - a) cos 2 with a = blackman_coeff.
    """
    window_type = one_of("window_type", window_type, KALDI_WINDOWS)
    win_length, a = integer("win_length", win_length, 2), real("blackman_coeff", blackman_coeff)
    if window_type != "blackman":
        return get_window(window_type, win_length, periodic=False)
    angle = 2 * np.pi * np.arange(win_length) / (win_length - 1)
    return a - 0.5 * np.cos(angle) + (0.5 - a) * np.cos(2 * angle)


def kaldi_filterbank(
    num_mel_bins: int,
    n_fft: int,
    sample_frequency: float,
    low_freq: float = 20.0,
    high_freq: float = 0.0,
    vtln_low: float = 100.0,
    vtln_high: float = -500.0,
    vtln_warp: float = 1.0,
) -> NDArray[np.float64]:
    """Triangles straight over mel (1127 ln(1 + f / 700)), as ``mel-computations.cc`` makes them.

    Args:
        num_mel_bins: bands K, at least 4.
        n_fft: even; F = n_fft / 2 + 1 bins, of which the last, at half the sample rate, belongs to no band.
        sample_frequency: in Hz.
        low_freq, high_freq: range in Hz; high_freq <= 0 counts from half the sample rate.
        vtln_low, vtln_high: where the piecewise linear warp of the corners bends, in Hz; vtln_high < 0 counts from
            half the sample rate. Without effect at a warp of 1.
        vtln_warp: between the bends frequencies are divided by it, > 0.

    Returns:
        Read-only float64 array of shape [F, K]. The values are rounded step by step in float32, as Kaldi's and
        torchaudio's are: that moves weights by up to 2e-5, which the logarithm of a band that hangs on one such
        weight shows (3e-4 on a recording), and models were trained on it. A band may hold no bin and stay zero.

    Raises:
        ValueError: a number is not finite or outside of its range.
    """
    num_mel_bins, n_fft = integer("num_mel_bins", num_mel_bins, 4), integer("n_fft", n_fft, 2)
    room("num_mel_bins", num_mel_bins, num_mel_bins * (n_fft // 2 + 1))
    nyquist = 0.5 * real("sample_frequency", sample_frequency, 0.0, strict=True)
    low, high = real("low_freq", low_freq, 0.0), real("high_freq", high_freq)
    high = high + nyquist if high <= 0 else high
    if not low < high <= nyquist:
        raise ValueError(
            f"low_freq, high_freq: expected 0 <= low_freq < high_freq <= {nyquist:g} Hz (half the sample rate; "
            f"high_freq <= 0 counts from it), got low_freq = {low_freq!r}, high_freq = {high_freq!r}"
        )
    warp = real("vtln_warp", vtln_warp, 0.0, strict=True)
    bend_low, bend_high = real("vtln_low", vtln_low), real("vtln_high", vtln_high)
    bend_high = bend_high + nyquist if bend_high < 0 else bend_high
    if warp != 1 and not low < bend_low < bend_high < high:
        raise ValueError(
            f"vtln_low, vtln_high: expected low_freq = {low:g} < vtln_low < vtln_high < high_freq = {high:g} Hz "
            f"(vtln_high < 0 counts from half the sample rate), got vtln_low = {vtln_low!r}, vtln_high = {vtln_high!r}"
        )
    return _bank(num_mel_bins, n_fft, 2 * nyquist, low, high, bend_low, bend_high, warp)


@functools.lru_cache(maxsize=64)
def _bank(
    num_mel_bins: int,
    n_fft: int,
    sample_frequency: float,
    low: float,
    high: float,
    bend_low: float,
    bend_high: float,
    warp: float,
) -> NDArray[np.float64]:
    low_mel, high_mel = (1127.0 * math.log(1.0 + f / 700.0) for f in (low, high))
    step = (high_mel - low_mel) / (num_mel_bins + 1)
    corners = np.float32(low_mel) + np.arange(num_mel_bins + 2, dtype=np.float32) * np.float32(step)
    if warp != 1:
        bends = bend_low * max(1.0, warp), bend_high * min(1.0, warp)
        corners = _mel(_warped(_hz(corners), low, high, *bends, warp))
    left, peak, right = corners[:-2], corners[1:-1], corners[2:]
    mel = _mel(np.arange(n_fft // 2, dtype=np.float32) * np.float32(sample_frequency / n_fft))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):  # where a warp makes corners meet
        rise, fall = (mel - left) / (peak - left), (right - mel) / (right - peak)
    weights = np.where((mel > left) & (mel <= peak), rise, np.where((mel > peak) & (mel < right), fall, 0.0))
    bank = np.concatenate([weights, np.zeros((1, num_mel_bins))]).astype(np.float64)
    bank.flags.writeable = False
    return bank


def _mel(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.float32(1127) * _by_torch(torch.log, np.float32(1) + hz / np.float32(700))


def _hz(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.float32(700) * (_by_torch(torch.exp, mel / np.float32(1127)) - np.float32(1))


def _by_torch(function: Callable[[torch.Tensor], torch.Tensor], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """torch's function, whose last bit is not always NumPy's; numbers, even while a tracer watches."""
    with _disable_current_modes():
        return function(torch.from_numpy(x)).numpy()


def _warped(
    hz: NDArray[np.float32], low: float, high: float, bend_low: float, bend_high: float, warp: float
) -> NDArray[np.float32]:
    """f / warp between the bends, straight from there to low and to high, which stay; so does what is outside."""
    slope = 1.0 / warp
    slope_low = np.float32((slope * bend_low - low) / (bend_low - low))
    slope_high = np.float32((high - slope * bend_high) / (high - bend_high))
    before = np.float32(low) + slope_low * (hz - np.float32(low))
    after = np.float32(high) + slope_high * (hz - np.float32(high))
    regions = [(hz < low) | (hz > high), hz < bend_low, hz < bend_high]
    return np.select(regions, [hz, before, np.float32(slope) * hz], after)


def kaldi_dct(
    num_ceps: int, num_mel_bins: int, cepstral_lifter: float = 22.0, htk_compat: bool = False
) -> NDArray[np.float64]:
    """Orthonormal DCT-II [K, num_ceps], column j times the lifter 1 + L / 2 sin(pi j / L); L = 0 for none.

    htk_compat: the zeroth coefficient comes last, sqrt(2) times as large. Cosines and lifter are rounded in float32
    where torchaudio's are: an angle of a hundred periods is 1e-5 off there, and the lifter multiplies by up to 12.
    """
    if integer("num_ceps", num_ceps, 1) > num_mel_bins:
        raise ValueError(f"num_ceps must not exceed num_mel_bins = {num_mel_bins}, got {num_ceps}")
    lifter = real("cepstral_lifter", cepstral_lifter)
    single, j = np.float32, np.arange(num_ceps, dtype=np.float32)
    angles = single(math.pi / num_mel_bins) * (np.arange(num_mel_bins, dtype=single) + single(0.5))
    matrix = _by_torch(torch.cos, angles[:, None] * j) * single(math.sqrt(2.0 / num_mel_bins))
    matrix[:, 0] = single(math.sqrt(1.0 / num_mel_bins))
    matrix = matrix.astype(np.float64)
    if lifter:
        matrix *= single(1) + single(0.5 * lifter) * _by_torch(torch.sin, single(math.pi) * j / single(lifter))
    if flag("htk_compat", htk_compat):
        matrix = np.concatenate([matrix[:, 1:], np.sqrt(2) * matrix[:, :1]], axis=1)
    return matrix
