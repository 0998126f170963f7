"""basis_grad in plain PyTorch: the adjoint of frame_transform in the window."""

from __future__ import annotations

from torch import Tensor

from ...plan import FramePlan
from .._frames import frames, refuse, spectrum_adjoint, to_float

__all__ = ["forward", "refuse"]


def forward(x: Tensor, y: Tensor, plan: FramePlan, out: Tensor | None = None) -> Tensor:
    """gw [win_length] with <y, frame_transform(x, w)> = <gw, w> for every window w."""
    under_window = slice(plan.left, plan.left + plan.win_length)
    pieces = frames(to_float(x), plan)[..., under_window]
    gw = (pieces * spectrum_adjoint(y.mT, plan)[..., under_window]).sum((0, 1))
    return gw if out is None else out.copy_(gw)
