"""basis_grad on the CPU: kernels/cpu/basis_grad.cc."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import _native
from ...plan import FramePlan
from .. import _cpu as cpu
from .._cpu import refuse

__all__ = ["forward", "refuse"]


def forward(x: Tensor, y: Tensor, plan: FramePlan, out: Tensor | None = None) -> Tensor:
    """See the reference; partial sums are added in a fixed order."""
    batch, samples = x.shape
    x, address = cpu.rows(x)
    y = y.resolve_conj().contiguous()
    dtype = y.dtype.to_real()
    if out is None:
        out = torch.empty(plan.win_length, dtype=dtype)
    work = cpu.call(dtype, batch, samples, y.shape[2])
    _native.basis_grad(cpu.plan_of(plan), *work, *address, y.data_ptr(), out.data_ptr())
    return out
