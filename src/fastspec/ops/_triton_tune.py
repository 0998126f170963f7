"""`autotune`: the search for the fastest tiles of a dense basis on the GPU at hand."""

from __future__ import annotations

import torch
from torch import Tensor

from ..plan import DensePlan
from . import _triton as triton
from . import basis_grad, frame_transform, overlap_add
from ._triton_configs import Config, key_of, search


def autotune(plan: DensePlan, x: Tensor, basis: Tensor) -> dict[str, Config]:
    """Time the tiles of the Triton kernels on these sizes, and use the fastest from now on in this process.

    Without it the shipped sizes are used, and no call ever searches. What is found holds for the same plan on this
    kind of GPU, and for numbers of frames up to the next power of two. Takes seconds: every candidate is compiled.

    Args:
        plan: a dense plan; its precision, or the GPU's default, is searched.
        x: samples [B, T] on the GPU, as many as in use.
        basis: packed taps [2, S].

    Returns:
        The tile of each product: "frame_transform", "overlap_add", "basis_grad".

    Raises:
        ValueError: not a dense plan.
        NotImplementedError: the Triton kernels refuse these tensors.
        RuntimeError: no tile runs on this GPU.
    """
    if not isinstance(plan, DensePlan):
        raise ValueError(f"plan must be a DensePlan, got {type(plan).__name__}")
    reason = triton.refuse(plan, x, basis)
    if reason is not None:
        raise NotImplementedError(f"autotune: {reason}")
    with torch.no_grad():
        y = frame_transform(x, basis, plan, "triton")
        work = triton.work_of(plan, x, x.shape[1])
        runs = {
            "frame_transform": lambda: frame_transform(x, basis, plan, "triton"),
            "overlap_add": lambda: overlap_add(y, basis, plan, x.shape[1], "triton"),
            "basis_grad": lambda: basis_grad(x, y, plan, "triton"),
        }
        return {
            name: search(run, key_of(name, work.precision, plan, work.grid.frames, work.gpu))
            for name, run in runs.items()
        }
