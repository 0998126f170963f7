"""overlap_add in plain PyTorch: the adjoint of frame_transform, step by step in reverse."""

from __future__ import annotations

from torch import Tensor

from ...plan import Plan
from .._frames import fold, refuse, transform_adjoint

__all__ = ["forward", "refuse"]


def forward(y: Tensor, basis: Tensor, plan: Plan, length: int, out: Tensor | None = None) -> Tensor:
    """x [B, T = length] with <y, frame_transform(x')> = <x, x'> for every x'; no 1/N, no doubled bins."""
    x = fold(transform_adjoint(y.mT, basis, plan), plan, length)
    return x if out is None else out.copy_(x)
