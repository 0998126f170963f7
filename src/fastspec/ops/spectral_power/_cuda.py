"""spectral_power on NVIDIA GPUs: kernels/cuda/spectral_power.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._launch import C_NAMES, Kernel, Launch
from ...plan import Ending, FramePlan
from .. import _cuda as cuda
from .. import _cuda_warp as warp
from .._cuda import refuse

__all__ = ["backward", "choose_backward", "choose_forward", "forward", "refuse"]


def choose_forward(plan: FramePlan, sample: torch.dtype, out: torch.dtype, clips: cuda.Clips) -> Launch:
    """The kernel for samples and results of these dtypes, a block for each tile of frames of each clip."""
    real = cuda.real_of(sample)
    shape = cuda.layout(plan.n_fft, real, clips.most_frames)
    types = C_NAMES[real], C_NAMES[sample], C_NAMES[out]
    kernel = Kernel("spectral_power.cu", "spectral_power_fwd_kernel", types)
    return Launch(kernel, clips.batch * cuda.tiles(clips, shape.tile), (shape.lanes, shape.tile), shape.shared_bytes)


def choose_backward(
    plan: FramePlan, sample: torch.dtype, bands: int, clips: cuda.Clips, need_x: bool, need_window: bool
) -> tuple[Launch, cuda.Gather]:
    """The kernel for samples of this dtype, and what its blocks own. bands: K, or 0 without a bank."""
    real = cuda.real_of(sample)
    shape = cuda.layout(plan.n_fft, real, clips.most_frames, bands)
    shares = cuda.gather(plan, clips, shape.tile, need_x, need_window)
    kernel = Kernel("spectral_power.cu", "spectral_power_bwd_kernel", (C_NAMES[real], C_NAMES[sample]))
    return Launch(kernel, shares.blocks, (shape.lanes, shape.tile), shape.shared_bytes), shares


def forward(
    x: Tensor,
    window: Tensor,
    bank: Tensor | None,
    plan: FramePlan,
    ending: Ending,
    out: Tensor | None = None,
    clips: cuda.Clips | None = None,
) -> Tensor:
    """See the reference; one launch from samples to bands.

    x and out may also be float16 or bfloat16, computed in float32. With `clips` of `Clips.ragged`, x is
    [1, sum of samples] and the result [1, K or F, sum of frames].
    """
    clips = clips or cuda.Clips.uniform(x.shape[0], x.shape[1], plan)
    real = cuda.real_of(x.dtype)
    if out is None:
        rows = plan.n_bins if bank is None else bank.shape[1]
        out = torch.empty(clips.leading, rows, clips.frames, dtype=real, device=x.device)
    x, window = x.contiguous(), window.contiguous()
    if warp.forward(x, window, bank, plan, ending, out, clips):
        return out
    choice = choose_forward(plan, x.dtype, out.dtype, clips)
    choice(
        x=x,
        window=window,
        out=out,
        f=cuda.frames_args(plan, clips),
        t=cuda.fft_args(plan.n_fft, real, x.device),
        bank=cuda.bank_args(bank, plan),
        e=cuda.ending_args(ending),
        tiles=cuda.tiles(clips, choice.block[1]),
    )
    return out


def backward(
    grad: Tensor,
    x: Tensor,
    window: Tensor,
    bank: Tensor | None,
    plan: FramePlan,
    ending: Ending,
    need_x: bool,
    need_window: bool,
    clips: cuda.Clips | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """See the reference; computes the spectrum again and writes nothing but the gradients.

    Two small launches may follow: one for padding that repeats samples, one that adds the window's partial sums.
    """
    clips = clips or cuda.Clips.uniform(x.shape[0], x.shape[1], plan)
    real = cuda.real_of(x.dtype)
    bands = 0 if bank is None else bank.shape[1]
    grad, x, window = grad.contiguous(), x.contiguous(), window.contiguous()
    if need_x and not need_window:
        grad_x = warp.backward(grad, x, window, bank, plan, ending, clips)
        if grad_x is not None:
            return grad_x, None
    choice, shares = choose_backward(plan, x.dtype, bands, clips, need_x, need_window)
    grads = cuda.Gradients(plan, clips, shares, real, x.device, need_x, need_window)
    choice(
        grad_out=grad,
        x=x,
        window=window,
        f=cuda.frames_args(plan, clips),
        t=cuda.fft_args(plan.n_fft, real, x.device),
        bank=cuda.bank_args(bank, plan),
        e=cuda.ending_args(ending),
        grad=grads.args,
    )
    return grads.finish()
