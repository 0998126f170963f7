"""frame_transform in plain PyTorch: pad, cut into frames, window, FFT. Defines the op; runs everywhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...plan import FramePlan
from .._frames import frames, refuse, spectrum, to_float

__all__ = ["forward", "refuse"]


def forward(x: Tensor, window: Tensor, plan: FramePlan, out: Tensor | None = None) -> Tensor:
    """y[b, f, m] = sum over n of window[n] exp(-2 pi i f n / n_fft) x_padded[b, m * hop + n]; [B, F, M]."""
    window = F.pad(window, (plan.left, plan.n_fft - plan.win_length - plan.left))
    y = spectrum(frames(to_float(x), plan) * window, plan).mT
    return y.clone(memory_format=torch.contiguous_format) if out is None else out.copy_(y)
