"""overlap_add of a dense basis on the GPU: kernels/triton/overlap_add.py."""

from __future__ import annotations

from torch import Tensor

from ...plan import DensePlan
from .. import _triton as triton
from .._triton import refuse

__all__ = ["forward", "refuse"]


def forward(y: Tensor, basis: Tensor, plan: DensePlan, length: int, out: Tensor | None = None) -> Tensor:
    """See the reference; every sample gathers what covers it, so the same bits on every run."""
    y = y.resolve_conj().contiguous()
    work = triton.work_of(plan, y, length)
    scale, unscale = triton.scales(work, y)
    frames, _ = triton.pack_spectrum(work, y, scale, frames_first=True, bins_first=False)
    return triton.overlap_add(work, frames, unscale, basis.contiguous(), out=out)
