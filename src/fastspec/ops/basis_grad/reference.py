"""basis_grad in plain PyTorch: the adjoint of frame_transform in the basis."""

from __future__ import annotations

from torch import Tensor

from ...plan import Plan
from .._frames import basis_adjoint, frames, refuse, to_float

__all__ = ["forward", "refuse"]


def forward(x: Tensor, y: Tensor, plan: Plan, out: Tensor | None = None) -> Tensor:
    """g, of plan.basis_shape, with <y, frame_transform(x, h)> = <g, h> for every basis h."""
    g = basis_adjoint(frames(to_float(x), plan), y.mT, plan)
    return g if out is None else out.copy_(g)
