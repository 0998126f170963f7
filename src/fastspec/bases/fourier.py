"""The weights of the inverse transform, in float64."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray


@functools.lru_cache(maxsize=64)
def inverse_weights(n_fft: int) -> NDArray[np.float64]:
    """Weights [F, 1] that make the real part of a one-sided sum the inverse DFT: interior bins count 2."""
    weights = np.full((n_fft // 2 + 1, 1), 2.0 / n_fft)
    weights[0] /= 2
    if n_fft % 2 == 0:
        weights[-1] /= 2
    weights.flags.writeable = False
    return weights
