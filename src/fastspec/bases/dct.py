"""The cosine transform behind cepstral coefficients, in float64."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from .._checks import integer, one_of


def create_dct(n_mfcc: int, n_mels: int, norm: str | None = "ortho") -> NDArray[np.float64]:
    """The first n_mfcc rows of the DCT-II of n_mels values, transposed: c = x @ D.

        D[k, j] = 2 cos(pi j (k + 1/2) / K),  and with norm "ortho" times sqrt(1/(4K)) for j = 0, sqrt(1/(2K))
        else.

    Args:
        n_mfcc: number of coefficients, 1 <= n_mfcc <= n_mels.
        n_mels: number of values K.
        norm: "ortho" (orthonormal columns) or None.

    Returns:
        Read-only float64 array of shape [n_mels, n_mfcc].

    Raises:
        ValueError: sizes outside of the range above, unknown norm.
    """
    norm = one_of("norm", norm, (None, "ortho"))
    n_mfcc, n_mels = integer("n_mfcc", n_mfcc, 1), integer("n_mels", n_mels, 1)
    if n_mfcc > n_mels:
        raise ValueError(f"n_mfcc must not exceed the number of bands {n_mels}, got {n_mfcc}")
    return _build(n_mfcc, n_mels, norm)


@functools.lru_cache(maxsize=64)
def _build(n_mfcc: int, n_mels: int, norm: str | None) -> NDArray[np.float64]:
    k = np.arange(n_mels)[:, None]
    j = np.arange(n_mfcc)[None, :]
    matrix = 2.0 * np.cos(np.pi * j * (2 * k + 1) / (2 * n_mels))
    if norm == "ortho":
        matrix *= np.where(j == 0, np.sqrt(0.25 / n_mels), np.sqrt(0.5 / n_mels))
    matrix.flags.writeable = False
    return matrix
