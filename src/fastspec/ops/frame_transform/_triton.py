"""frame_transform of a dense basis on the GPU: kernels/triton/frame_transform.py."""

from __future__ import annotations

import torch
from torch import Tensor

from ...plan import DensePlan
from .. import _triton as triton
from .._triton import refuse

__all__ = ["forward", "refuse"]


def forward(x: Tensor, basis: Tensor, plan: DensePlan, out: Tensor | None = None) -> Tensor:
    """See the reference; frames are never materialised."""
    work = triton.work_of(plan, x, x.shape[1])
    if out is None:
        out = triton.empty((x.shape[0], plan.n_bins, work.grid.M), x, torch.complex64)
    triton.transform(work, x, basis.contiguous(), y=out)
    return out
