"""basis_grad of a dense basis on the GPU: kernels/triton/basis_grad.py."""

from __future__ import annotations

from torch import Tensor

from ...plan import DensePlan
from .. import _triton as triton
from .._triton import refuse

__all__ = ["forward", "refuse"]


def forward(x: Tensor, y: Tensor, plan: DensePlan, out: Tensor | None = None) -> Tensor:
    """See the reference; partial sums are added in a fixed order."""
    y = y.resolve_conj().contiguous()
    work = triton.work_of(plan, x, x.shape[1])
    scale, unscale = triton.scales(work, y, common=True)
    _, bins = triton.pack_spectrum(work, y, scale, frames_first=False, bins_first=True)
    return triton.basis_grad(work, bins, unscale, x, out=out)
