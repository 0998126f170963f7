"""frame_transform on the CPU: kernels/cpu/frame_transform.cc, and for dense bases the walk of ops/_dense.py."""

from __future__ import annotations

from torch import Tensor

from ... import _native
from ...plan import DensePlan, Plan
from .. import _cpu as cpu
from .. import _dense as dense
from .. import _few_rows as few_rows
from .._cpu import refuse

__all__ = ["forward", "refuse"]


def forward(x: Tensor, basis: Tensor, plan: Plan, out: Tensor | None = None) -> Tensor:
    """See the reference; one pass over x."""
    if isinstance(plan, DensePlan):
        return _dense_forward(x, basis, plan, out)
    batch, samples = x.shape
    frames = plan.n_frames(samples)
    x, address = cpu.rows(x)
    basis = basis.contiguous()
    if out is None:
        out = cpu.empty((batch, plan.n_bins, frames), basis.dtype.to_complex())
    work = cpu.call(basis.dtype, batch, samples, frames)
    _native.frame_transform(cpu.plan_of(plan), *work, *address, basis.data_ptr(), out.data_ptr())
    return out


def _dense_forward(x: Tensor, basis: Tensor, plan: DensePlan, out: Tensor | None) -> Tensor:
    batch, frames = x.shape[0], plan.n_frames(x.shape[1])
    y = cpu.empty((batch, plan.n_bins, frames), basis.dtype.to_complex()) if out is None else out
    if few_rows.suits(plan):
        few_rows.transform(x, basis, plan, y)
        return y
    padded, walk = dense.pad(x, plan), dense.Walk(plan, batch, frames, basis.dtype)
    panels = walk.pack(basis)
    for tile, z in walk.tiles():
        walk.transform(padded, panels, tile, z)
        walk.store(z, tile, dense.part(y, tile))
    return y
