"""frame_transform on NVIDIA GPUs: kernels/cuda/frame_transform.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._launch import C_NAMES, Kernel, Launch
from ...plan import FramePlan
from .. import _cuda as cuda
from .._cuda import refuse

__all__ = ["choose", "forward", "refuse"]


def choose(plan: FramePlan, sample: torch.dtype, clips: cuda.Clips) -> Launch:
    """The kernel for samples of this dtype, a block for each tile of frames of each clip."""
    real = cuda.real_of(sample)
    shape = cuda.layout(plan.n_fft, real, clips.most_frames)
    kernel = Kernel("frame_transform.cu", "frame_transform_fwd_kernel", (C_NAMES[real], C_NAMES[sample]))
    return Launch(kernel, clips.batch * cuda.tiles(clips, shape.tile), (shape.lanes, shape.tile), shape.shared_bytes)


def forward(
    x: Tensor, window: Tensor, plan: FramePlan, out: Tensor | None = None, clips: cuda.Clips | None = None
) -> Tensor:
    """See the reference; one launch, each sample read once from memory.

    x may also be float16 or bfloat16, computed in float32. With `clips` of `Clips.ragged`, x is [1, sum of samples]
    and the result [1, F, sum of frames].
    """
    clips = clips or cuda.Clips.uniform(x.shape[0], x.shape[1], plan)
    choice = choose(plan, x.dtype, clips)
    real = cuda.real_of(x.dtype)
    if out is None:
        out = torch.empty(clips.leading, plan.n_bins, clips.frames, dtype=real.to_complex(), device=x.device)
    choice(
        x=x.contiguous(),
        window=window.contiguous(),
        y=out,
        f=cuda.frames_args(plan, clips),
        t=cuda.fft_args(plan.n_fft, real, x.device),
        tiles=cuda.tiles(clips, choice.block[1]),
    )
    return out
