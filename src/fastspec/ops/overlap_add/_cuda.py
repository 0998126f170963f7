"""overlap_add on NVIDIA GPUs: kernels/cuda/overlap_add.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._launch import C_NAMES, Kernel, Launch
from ...plan import FramePlan
from .. import _cuda as cuda
from .._cuda import refuse

__all__ = ["choose", "forward", "refuse"]


def choose(plan: FramePlan, real: torch.dtype, clips: cuda.Clips) -> tuple[Launch, cuda.Gather]:
    """The kernel for spectra of this precision, and what its blocks own."""
    shape = cuda.layout(plan.n_fft, real, clips.most_frames)
    shares = cuda.gather(plan, clips, shape.tile, need_x=True, need_window=False)
    kernel = Kernel("overlap_add.cu", "overlap_add_kernel", (C_NAMES[real],))
    return Launch(kernel, shares.blocks, (shape.lanes, shape.tile), shape.shared_bytes), shares


def forward(y: Tensor, window: Tensor, plan: FramePlan, length: int, clips: cuda.Clips | None = None) -> Tensor:
    """See the reference; a gather, so the same bits on every run.

    With `clips` of `Clips.ragged`, y is [1, F, sum of frames], the result [1, sum of samples] and `length` unused.
    """
    clips = clips or cuda.Clips.uniform(y.shape[0], length, plan)
    real = cuda.real_of(y.dtype)
    choice, shares = choose(plan, real, clips)
    grads = cuda.Gradients(plan, clips, shares, real, y.device, need_x=True, need_window=False)
    choice(
        y=y.resolve_conj().contiguous(),
        window=window.contiguous(),
        f=cuda.frames_args(plan, clips),
        t=cuda.fft_args(plan.n_fft, real, y.device),
        grad=grads.args,
    )
    x, _ = grads.finish()
    assert x is not None
    return x
