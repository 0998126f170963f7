"""inverse: spectra back to samples, in one pass where the backend has one: inverse DFT, window, overlap-add, gain."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..._inputs import constant
from ...dispatch import choose
from ...plan import FramePlan, cached
from .. import _autograd as shared
from ..basis_grad import basis_grad
from ..frame_transform import frame_transform
from ..overlap_add import overlap_add

__all__ = ["inverse"]

# who runs overlap_add -> its one-pass module here
FUSED = {"fastspec.ops.overlap_add._cpu": "_cpu", "fastspec.ops.overlap_add._cuda": "_cuda"}


def inverse(
    y: Tensor, window: Tensor, gain: Tensor, plan: FramePlan, start: int, backend: str = "", out: Tensor | None = None
) -> Tensor:
    """x[b, t] = gain[t] sum_m window[n] Re sum_f c[f] y[b, f, m] exp(2 pi i f n / n_fft), n = start + t - m hop.

    c is 1/2 at the bins without a mirror (0, and n_fft / 2 where n_fft is even) and 1 elsewhere, so that

        x = gain overlap_add(c y, window)[start:]

    which is how it runs on backends without the fused kernel, and what its derivatives are made of. x is trilinear in
    y, window and gain: exact derivatives to any order.

    Args:
        y: one-sided complex spectrum [B, F, M].
        window: [win_length], real, of the matching precision.
        gain: [T], real. Zero it where no frame reaches.
        plan: framing without padding.
        start: sample of the first frame that becomes sample 0 of the result, at least 0.
        backend: a backend's name, or "" for the fastest that can.
        out: contiguous [B, T] to write to, where no gradient is recorded.

    Returns:
        Real samples [B, T], zero beyond the last frame.

    Raises:
        ValueError: a shape, dtype, device or backend name is wrong.
        NotImplementedError: no backend can run overlap_add here, or the named one cannot.
    """
    covered = plan.n_fft + plan.hop_length * (y.shape[-1] - 1)
    shared.check_spectrum(y, plan, covered)
    shared.check_parameter("window", window, (plan.win_length,), y)
    shared.check_parameter("gain", gain, (gain.shape[-1],), y)
    shared.check_out(out, (y.shape[0], gain.shape[0]), gain.dtype, y.device)
    fused = _fused(y, window, plan, backend)
    if fused and shared.is_direct(y, window, gain):
        return fused.forward(y, window, gain, plan, start, out)
    if fused and shared.is_eager(y, window, gain):
        x = _Inverse.apply(y, window, gain, plan, start, backend)
    else:
        x = _samples(y, window, gain.shape[0], plan, start, backend) * gain
    return x if out is None else shared.copy_out(out, x)


def _fused(y: Tensor, window: Tensor, plan: FramePlan, backend: str) -> ModuleType | None:
    """The one-pass module of the backend that runs overlap_add here, if it has one."""
    if torch.compiler.is_compiling():
        return None
    name = FUSED.get(choose("overlap_add", backend, plan, y, window).__name__)
    return importlib.import_module(f"{__name__}.{name}") if name else None


@cached
def cut(plan: FramePlan, start: int) -> FramePlan:
    """For the fused kernels: the samples before `start` are padding, whose part of the result is dropped."""
    pad_mode = "constant" if start else "none"
    return replace(plan, pad=start, pad_mode=pad_mode)


def _samples(y: Tensor, window: Tensor, length: int, plan: FramePlan, start: int, backend: str) -> Tensor:
    """`inverse` before the gain, by overlap_add."""
    covered = plan.n_fft + plan.hop_length * (y.shape[-1] - 1)
    x = overlap_add(y * _weights(y, plan), window, plan, covered, backend)[:, start : start + length]
    return pad(x, (0, length - x.shape[1]))


def _weights(y: Tensor, plan: FramePlan) -> Tensor:
    return constant("mirror_weights", (plan.n_fft,), shared.real_dtype(y.dtype), y.device)


class _Inverse(torch.autograd.Function):
    """The fused forward; a backward of the three linear ops, which are differentiable themselves."""

    @staticmethod
    def forward(ctx: Any, y, window, gain, plan, start, backend):  # type: ignore[override]
        fused = _fused(y, window, plan, backend)
        assert fused is not None
        ctx.rest = plan, start, backend, y.shape[-1]
        _, *constants = ctx.needs_input_grad[:3]
        ctx.save_for_backward(y if any(constants) else None, window, gain)
        return fused.forward(y, window, gain, plan, start, None)

    @staticmethod
    def backward(ctx: Any, grad):  # type: ignore[override]
        y, window, gain = ctx.saved_tensors
        plan, start, backend, n_frames = ctx.rest
        of_y, of_window, of_gain = ctx.needs_input_grad[:3]
        grad_y = grad_window = grad_gain = None
        covered = plan.n_fft + plan.hop_length * (n_frames - 1)
        told = min(grad.shape[-1], covered - start)
        g = pad((grad * gain)[..., :told], (start, covered - start - told))
        if of_y:
            grad_y = frame_transform(g, window, plan, backend)
            weights = _weights(grad_y, plan)
            if torch.is_grad_enabled():
                grad_y = grad_y * weights
            else:  # two rows, not a pass over all of them
                for row in (0, -1) if plan.n_fft % 2 == 0 else (0,):
                    grad_y[:, row] *= 0.5
        if of_window:
            grad_window = basis_grad(g, y * _weights(y, plan), plan, backend)
        if of_gain:
            grad_gain = (grad * _samples(y, window, gain.shape[0], plan, start, backend)).sum(0)
        return grad_y, grad_window, grad_gain, None, None, None
