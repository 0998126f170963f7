"""The weights of one-sided bins, in float64."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray


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
