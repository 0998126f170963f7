"""What a peer of NumPy's arrays does with arrays and threads; it has no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["clip_by_clip", "forward", "from_numpy", "set_threads", "to_numpy"]

to_numpy = np.asarray


def set_threads(count: int) -> None:
    """Of the BLAS, where threadpoolctl is there to say so; the rest of such a library has one thread."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return
    threadpool_limits(count)


def from_numpy(x: np.ndarray) -> np.ndarray:
    return x


def forward(path: Callable[[np.ndarray], Any], x: np.ndarray) -> Callable[[], Any]:
    return lambda: path(x)


def clip_by_clip(path: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """For libraries that take one clip at a time."""
    return lambda x: np.stack([path(clip) for clip in x])
