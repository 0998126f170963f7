"""overlap_add in plain PyTorch: the adjoint of frame_transform, step by step in reverse."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ...plan import FramePlan
from .._frames import fold, refuse, spectrum_adjoint

__all__ = ["forward", "refuse"]


def forward(y: Tensor, window: Tensor, plan: FramePlan, length: int, out: Tensor | None = None) -> Tensor:
    """x [B, T = length] with <y, frame_transform(x')> = <x, x'> for every x'; no 1/N, no doubled bins."""
    window = F.pad(window, (plan.left, plan.n_fft - plan.win_length - plan.left))
    x = fold(spectrum_adjoint(y.mT, plan) * window, plan, length)
    return x if out is None else out.copy_(x)
