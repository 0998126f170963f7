"""inverse on NVIDIA GPUs: kernels/cuda/overlap_add.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._launch import C_NAMES, Kernel, Launch
from ...plan import FramePlan
from .. import _cuda as cuda
from . import cut

__all__ = ["choose", "forward"]


def choose(plan: FramePlan, real: torch.dtype, clips: cuda.Clips) -> tuple[Launch, cuda.Gather]:
    """The kernel for spectra of this precision, and what its blocks own. plan: of `cut`."""
    shape = cuda.layout(plan.n_fft, real, clips.most_frames)
    shares = cuda.gather(plan, clips, shape.tile, need_x=True, need_window=False)
    kernel = Kernel("overlap_add.cu", "inverse_kernel", (C_NAMES[real],))
    return Launch(kernel, shares.blocks, (shape.lanes, shape.tile), shape.shared_bytes), shares


def forward(y: Tensor, window: Tensor, gain: Tensor, plan: FramePlan, start: int, out: Tensor | None) -> Tensor:
    """See `inverse`; one launch, a gather, so the same bits on every run."""
    (batch, _, frames), (length,) = y.shape, gain.shape
    real, framing = cuda.real_of(y.dtype), cut(plan, start)
    if out is None:
        out = torch.empty(batch, length, dtype=real, device=y.device)
    if length == 0:
        return out
    clips = cuda.Clips(batch, length, frames, length, frames)
    launch, shares = choose(framing, real, clips)
    launch(
        y=y.resolve_conj().contiguous(),
        window=window.contiguous(),
        gain=gain.contiguous(),
        f=cuda.frames_args(framing, clips),
        t=cuda.fft_args(plan.n_fft, real, y.device),
        grad={"x": out, "edge": None, "partial": None, "hops": shares.hops, "runs": shares.runs},
    )
    return out
