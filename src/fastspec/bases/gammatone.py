"""Gammatone filterbanks over the bins of an FFT, in float64."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .mel import _check_bank

EAR_Q, MIN_BANDWIDTH = 9.26449, 24.7  # Glasberg and Moore (1990): ERB(f) = 24.7 + f / 9.26449 Hz


def gammatone_frequencies(n_bands: int, f_min: float, f_max: float) -> NDArray[np.float64]:
    """Centres [K] in Hz, rising, evenly spaced in ERB rate; f_min is the first, f_max is excluded."""
    return centre_frequencies(np, n_bands - np.arange(n_bands), n_bands, f_min, f_max)


def gammatone_filterbank(
    n_freqs: int, f_min: float, f_max: float, n_bands: int, sample_rate: float, width: float = 1.0
) -> NDArray[np.float64]:
    """Magnitude responses of fourth-order gammatone filters, 1 at their centres.

    The filters of Slaney (An Efficient Implementation of the Patterson-Holdsworth Auditory Filter Bank, Apple TR 35,
    1993) at the frequencies of the bins, as in Ellis' gammatonegrams. nnAudio's weights are these divided by n_fft.

    Args:
        n_freqs: number of bins F, evenly spaced from 0 to sample_rate / 2.
        f_min, f_max: range of the centres in Hz, see ``gammatone_frequencies``.
        n_bands: number of bands K.
        sample_rate: in Hz.
        width: bandwidth in ERB.

    Returns:
        Read-only float64 array of shape [n_freqs, n_bands].

    Raises:
        ValueError: a size below 1, a NaN or an infinite number, f_min >= f_max.
    """
    return _bank(*_check_bank(n_freqs, f_min, f_max, n_bands, sample_rate, "n_bands"), float(width))


@functools.lru_cache(maxsize=64)
def _bank(
    n_freqs: int, f_min: float, f_max: float, n_bands: int, sample_rate: float, width: float
) -> NDArray[np.float64]:
    centres = gammatone_frequencies(n_bands, f_min, f_max)
    bank = responses(np, np.linspace(0.0, sample_rate / 2, n_freqs), centres, width, sample_rate)
    bank.flags.writeable = False
    return bank


def centre_frequencies(xp: Any, steps: Any, n_bands: int, f_min: float, f_max: float) -> Any:
    """Hz, `steps` steps of K down from f_max on the way to f_min in ERB rate; of arrays of ``xp``, numpy or torch."""
    corner = EAR_Q * MIN_BANDWIDTH
    return (f_max + corner) * xp.exp(steps * (math.log((f_min + corner) / (f_max + corner)) / n_bands)) - corner


def responses(xp: Any, bins: Any, centres: Any, widths: Any, sample_rate: float) -> Any:
    """Responses [F, K] of filters at `centres` [K] Hz of `widths` ERB at `bins` [F] Hz; of arrays of ``xp``."""
    decay = xp.exp(-1.019 * 2 * math.pi / sample_rate * widths * (MIN_BANDWIDTH + centres / EAR_Q))
    theta, omega = 2 * math.pi / sample_rate * centres, 2 * math.pi / sample_rate * bins[:, None]
    return (_energy(xp, omega, theta, decay) / _energy(xp, theta, theta, decay)) ** 0.5


def _energy(xp: Any, omega: Any, theta: Any, decay: Any) -> Any:
    """|H|^2 at exp(i omega): four real zeros over four pairs of poles decay exp(+-i theta)."""
    # |exp(i omega) - exp(i theta) decay|^2, which must not cancel near the pole
    poles = [(1 - decay) ** 2 + 4 * decay * xp.sin((omega + sign * theta) / 2) ** 2 for sign in (1, -1)]
    energy = 1 / (poles[0] * poles[1])
    result = 1.0
    for k in (3 + 2**1.5, 3 - 2**1.5):
        for sign in (1, -1):
            zero = decay * (xp.cos(theta) + sign * math.sqrt(k) * xp.sin(theta))
            result = result * (1 - 2 * zero * xp.cos(omega) + zero * zero) * energy
    return result
