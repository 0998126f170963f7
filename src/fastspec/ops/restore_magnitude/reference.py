"""restore_magnitude in plain PyTorch."""

from __future__ import annotations

from torch import Tensor, view_as_real

from .._frames import refuse

__all__ = ["forward", "refuse"]


def forward(y: Tensor, previous: Tensor, magnitude: Tensor, momentum: float) -> None:
    """previous <- magnitude d / (|d| + 1e-16), d = y - momentum previous."""
    previous.mul_(-momentum).add_(y)
    scale = magnitude / previous.abs().add_(1e-16)
    view_as_real(previous).mul_(scale[..., None])
