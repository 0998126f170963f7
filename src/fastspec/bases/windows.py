"""Window functions by name, in float64."""

from __future__ import annotations

import functools
import math
import numbers

import numpy as np
from numpy.typing import NDArray

from .._checks import flag, integer

# Sums of cosines, w[n] = sum_k (-1)^k a_k cos(2 pi k n / P): coefficients a_k.
# Harris 1978, "On the use of windows for harmonic analysis with the DFT"; Nuttall 1981, "Some windows with
# very good sidelobe behavior" (nuttall: the four-term window with continuous first derivative); flattop:
# D'Antona & Ferrero 2006.
_COSINE_SUMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}
_ALIASES = {"hanning": "hann", "rect": "rectangular", "boxcar": "rectangular", "ones": "rectangular"}
_PLAIN = ("bartlett", "povey", "rectangular", "vorbis")
_WITH_PARAMETER = {"kaiser": "beta", "gaussian": "std"}

WINDOW_NAMES = tuple(sorted((*_COSINE_SUMS, *_ALIASES, *_PLAIN, *_WITH_PARAMETER)))


def get_window(window: str | tuple[str, float], win_length: int, periodic: bool = True) -> NDArray[np.float64]:
    """Samples of a window function.

    Args:
        window: a name of ``WINDOW_NAMES``; ``("kaiser", beta)`` and ``("gaussian", std)``, std in samples,
            carry their parameter.
        win_length: number of samples, at least 1.
        periodic: True (default) gives one period, the DFT-even form used for spectra: the symmetric window of
            win_length + 1 samples without its last one. False gives the symmetric window. Vorbis'
            power-complementary window lies between the samples and is the same in both.

    Returns:
        Read-only float64 array of shape [win_length].

    Raises:
        ValueError: unknown name, missing, superfluous or NaN parameter, win_length below 1.
    """
    name, parameter = (window, None) if isinstance(window, str) else _split(window)
    name = _ALIASES.get(name, name)
    if name not in WINDOW_NAMES:
        raise ValueError(f"window: unknown name {name!r}; expected one of {', '.join(WINDOW_NAMES)}")
    win_length = integer("win_length", win_length, 1)
    wanted = _WITH_PARAMETER.get(name)
    if wanted and parameter is None:
        raise ValueError(f"window {name!r} needs its parameter: give ({name!r}, {wanted})")
    if parameter is not None:
        if not wanted:
            raise ValueError(f"window {name!r} takes no parameter, got {parameter!r}")
        if not math.isfinite(parameter) or (name == "gaussian" and parameter <= 0):
            raise ValueError(f"window {name!r}: {wanted} must be finite and positive, got {parameter!r}")
    return _build(name, 0.0 if parameter is None else float(parameter), win_length, flag("periodic", periodic))


def _split(window: tuple[str, float]) -> tuple[str, float]:
    if not isinstance(window, tuple) or len(window) != 2 or not isinstance(window[0], str):
        raise ValueError(f"window must be a tensor, a name or a pair (name, parameter), got {window!r}")
    if not isinstance(window[1], numbers.Real):
        raise ValueError(f"window {window[0]!r}: the parameter must be a number, got {window[1]!r}")
    return window


@functools.lru_cache(maxsize=256)
def _build(name: str, parameter: float, win_length: int, periodic: bool) -> NDArray[np.float64]:
    if name == "vorbis":
        middle = (np.arange(win_length) + 0.5) / win_length
        samples = np.sin(0.5 * np.pi * np.sin(np.pi * middle) ** 2)
    elif win_length == 1:
        samples = np.ones(1)
    else:
        period = win_length if periodic else win_length - 1
        samples = _symmetric(name, parameter, np.arange(win_length, dtype=np.float64), period)
    samples.flags.writeable = False
    return samples


def _symmetric(name: str, parameter: float, n: NDArray, period: int) -> NDArray[np.float64]:
    """The window that is symmetric about period / 2, at the samples n."""
    if name in _COSINE_SUMS:
        terms = _COSINE_SUMS[name]
        return np.sum([(-1) ** k * a * np.cos(2 * np.pi * k * n / period) for k, a in enumerate(terms)], 0)
    centred = 2 * n / period - 1  # -1 ... 1
    if name == "bartlett":
        return 1 - np.abs(centred)
    if name == "povey":  # Kaldi's feature window: a Hann window to the power 0.85
        return (0.5 - 0.5 * np.cos(2 * np.pi * n / period)) ** 0.85
    if name == "kaiser":
        return np.i0(parameter * np.sqrt(np.maximum(0.0, 1 - centred**2))) / np.i0(parameter)
    if name == "gaussian":
        return np.exp(-0.5 * ((n - period / 2) / parameter) ** 2)
    return np.ones_like(n)
