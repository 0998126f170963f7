"""overlap_add on the CPU: kernels/cpu/overlap_add.cc."""

from __future__ import annotations

from torch import Tensor

from ... import _native
from ...plan import FramePlan
from .. import _cpu as cpu
from .._cpu import refuse

__all__ = ["forward", "refuse"]


def forward(y: Tensor, window: Tensor, plan: FramePlan, length: int, out: Tensor | None = None) -> Tensor:
    """See the reference; a gather, so the same bits for any number of threads."""
    batch, _, frames = y.shape
    y, window = y.resolve_conj().contiguous(), window.contiguous()
    if out is None:
        out = cpu.empty((batch, length), window.dtype)
    work = cpu.call(window.dtype, batch, length, frames)
    _native.overlap_add(cpu.plan_of(plan), *work, y.data_ptr(), window.data_ptr(), out.data_ptr())
    return out
