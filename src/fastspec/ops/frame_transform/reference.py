"""frame_transform in plain PyTorch: pad, cut into frames, transform them. Defines the op; runs everywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from ...plan import Plan
from .._frames import frames, refuse, to_float, transform

__all__ = ["forward", "refuse"]


def forward(x: Tensor, basis: Tensor, plan: Plan, out: Tensor | None = None) -> Tensor:
    """y[b, f, m] = sum over n of H[f, n] x_padded[b, m * hop + n]; [B, F, M]."""
    y = transform(frames(to_float(x), plan), basis, plan).mT
    return y.clone(memory_format=torch.contiguous_format) if out is None else out.copy_(y)
