"""frame_transform on the CPU: kernels/cpu/frame_transform.cc."""

from __future__ import annotations

from torch import Tensor

from ... import _native
from ...plan import FramePlan
from .. import _cpu as cpu
from .._cpu import refuse

__all__ = ["forward", "refuse"]


def forward(x: Tensor, window: Tensor, plan: FramePlan, out: Tensor | None = None) -> Tensor:
    """See the reference; one pass over x."""
    batch, samples = x.shape
    frames = plan.n_frames(samples)
    x, address = cpu.rows(x)
    window = window.contiguous()
    if out is None:
        out = cpu.empty((batch, plan.n_bins, frames), window.dtype.to_complex())
    work = cpu.call(window.dtype, batch, samples, frames)
    _native.frame_transform(cpu.plan_of(plan), *work, *address, window.data_ptr(), out.data_ptr())
    return out
