"""overlap_add on the CPU: kernels/cpu/overlap_add.cc, and for dense bases the walk of ops/_dense.py."""

from __future__ import annotations

from torch import Tensor

from ... import _native
from ...plan import DensePlan, Plan
from .. import _cpu as cpu
from .. import _dense as dense
from .. import _few_rows as few_rows
from .._cpu import refuse

__all__ = ["forward", "refuse"]


def forward(y: Tensor, basis: Tensor, plan: Plan, length: int, out: Tensor | None = None) -> Tensor:
    """See the reference; a gather, so the same bits for any number of threads."""
    if isinstance(plan, DensePlan):
        return _dense_forward(y, basis, plan, length, out)
    batch, _, frames = y.shape
    y, basis = y.resolve_conj().contiguous(), basis.contiguous()
    if out is None:
        out = cpu.empty((batch, length), basis.dtype)
    work = cpu.call(basis.dtype, batch, length, frames)
    _native.overlap_add(cpu.plan_of(plan), *work, y.data_ptr(), basis.data_ptr(), out.data_ptr())
    return out


def _dense_forward(y: Tensor, basis: Tensor, plan: DensePlan, length: int, out: Tensor | None) -> Tensor:
    batch, _, frames = y.shape
    if few_rows.suits(plan):
        x = cpu.empty((batch, length), basis.dtype) if out is None else out
        return few_rows.overlap_add(y, basis, plan, length, x)
    y, padded = y.resolve_conj(), basis.new_zeros(batch, length + 2 * plan.pad)
    walk = dense.Walk(plan, batch, frames, basis.dtype)
    packed = walk.pack_adjoint(basis)
    for tile, z in walk.tiles():
        walk.load(dense.part(y, tile), tile, z)
        walk.add_frames(padded, packed, tile, z)
    x = dense.unpad(padded, plan)
    return x if out is None else out.copy_(x)
