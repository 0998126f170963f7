"""restore_magnitude on the CPU: kernels/cpu/restore_magnitude.cc."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import _native
from .. import _cpu as cpu
from .._cpu import refuse

__all__ = ["forward", "refuse"]


def forward(y: Tensor, previous: Tensor, magnitude: Tensor, momentum: float) -> None:
    """See the reference."""
    addresses = y.data_ptr(), previous.data_ptr(), magnitude.data_ptr()
    _native.restore_magnitude(y.numel(), cpu.DTYPES[y.dtype], torch.get_num_threads(), *addresses, momentum)
