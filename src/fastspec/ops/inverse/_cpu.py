"""inverse on the CPU: kernels/cpu/overlap_add.cc."""

from __future__ import annotations

from torch import Tensor

from ... import _native
from ...plan import FramePlan
from .. import _cpu as cpu
from . import cut

__all__ = ["forward"]


def forward(y: Tensor, window: Tensor, gain: Tensor, plan: FramePlan, start: int, out: Tensor | None) -> Tensor:
    """See `inverse`; a gather, so the same bits for any number of threads, and for any first frame."""
    batch, _, frames = y.shape
    if y.stride(2) != 1 or y.stride(1) != frames:
        y = y.contiguous()
    window, gain = window.contiguous(), gain.contiguous()
    length = gain.shape[0]
    if out is None:
        out = cpu.empty((batch, length), window.dtype)
    work = cpu.call(window.dtype, batch, length, frames)
    addresses = y.data_ptr(), y.stride(0), window.data_ptr(), gain.data_ptr(), out.data_ptr()
    _native.inverse(cpu.plan_of(cut(plan, start)), *work, *addresses)
    return out
