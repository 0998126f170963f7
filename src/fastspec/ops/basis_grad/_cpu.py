"""basis_grad on the CPU: kernels/cpu/basis_grad.cc, and for dense bases the walk of ops/_dense.py."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import _native
from ...plan import DensePlan, Plan
from .. import _cpu as cpu
from .. import _dense as dense
from .._cpu import refuse

__all__ = ["forward", "refuse"]


def forward(x: Tensor, y: Tensor, plan: Plan, out: Tensor | None = None) -> Tensor:
    """See the reference; partial sums are added in a fixed order."""
    if isinstance(plan, DensePlan):
        return _dense_forward(x, y, plan, out)
    batch, samples = x.shape
    x, address = cpu.rows(x)
    y = y.resolve_conj().contiguous()
    dtype = y.dtype.to_real()
    if out is None:
        out = torch.empty(plan.win_length, dtype=dtype)
    work = cpu.call(dtype, batch, samples, y.shape[2])
    _native.basis_grad(cpu.plan_of(plan), *work, *address, y.data_ptr(), out.data_ptr())
    return out


def _dense_forward(x: Tensor, y: Tensor, plan: DensePlan, out: Tensor | None) -> Tensor:
    y, padded = y.resolve_conj(), dense.pad(x, plan)
    walk = dense.Walk(plan, y.shape[0], y.shape[2], y.dtype.to_real())
    panels = walk.no_products()
    for tile, z in walk.tiles():
        walk.load(dense.part(y, tile), tile, z)
        walk.add_products(padded, panels, tile, z)
    g = walk.unpack(panels)
    return g if out is None else out.copy_(g)
