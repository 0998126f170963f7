"""basis_grad on NVIDIA GPUs: kernels/cuda/basis_grad.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._launch import C_NAMES, Kernel, Launch
from ...plan import FramePlan
from .. import _cuda as cuda
from .._cuda import refuse

__all__ = ["choose", "forward", "refuse"]


def choose(plan: FramePlan, sample: torch.dtype, clips: cuda.Clips) -> tuple[Launch, cuda.Gather]:
    """The kernel for samples of this dtype, and what its blocks own."""
    real = cuda.real_of(sample)
    shape = cuda.layout(plan.n_fft, real, clips.most_frames)
    shares = cuda.gather(plan, clips, shape.tile, need_x=False, need_window=True)
    kernel = Kernel("basis_grad.cu", "basis_grad_kernel", (C_NAMES[real], C_NAMES[sample]))
    return Launch(kernel, shares.blocks, (shape.lanes, shape.tile), shape.shared_bytes), shares


def forward(x: Tensor, y: Tensor, plan: FramePlan, clips: cuda.Clips | None = None) -> Tensor:
    """See the reference; partial sums are added in a fixed order.

    With `clips` of `Clips.ragged`, x is [1, sum of samples] and y [1, F, sum of frames].
    """
    clips = clips or cuda.Clips.uniform(x.shape[0], x.shape[1], plan)
    real = cuda.real_of(x.dtype)
    choice, shares = choose(plan, x.dtype, clips)
    grads = cuda.Gradients(plan, clips, shares, real, x.device, need_x=False, need_window=True)
    choice(
        x=x.contiguous(),
        y=y.resolve_conj().contiguous(),
        f=cuda.frames_args(plan, clips),
        t=cuda.fft_args(plan.n_fft, real, x.device),
        grad=grads.args,
    )
    _, window = grads.finish()
    assert window is not None
    return window
