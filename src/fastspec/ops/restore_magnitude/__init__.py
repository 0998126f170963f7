"""restore_magnitude: what Griffin and Lim's iteration does between its two transforms."""

from __future__ import annotations

from torch import Tensor

from ...dispatch import choose
from ...plan import FramePlan

__all__ = ["restore_magnitude"]


def restore_magnitude(y: Tensor, previous: Tensor, magnitude: Tensor, momentum: float, plan: FramePlan) -> None:
    """previous <- magnitude d / (|d| + 1e-16) with d = y - momentum previous, in place; without gradients.

    Args:
        y, previous: complex [B, F, M], contiguous.
        magnitude: real [B, F, M], contiguous.
        momentum: factor of the previous spectrum, below 1.
        plan: framing, by which the choice of a backend is remembered.
    """
    choose("restore_magnitude", "", plan, y).forward(y, previous, magnitude, momentum)
