"""spectral_power: compress(bank^T |frame_transform(x, window)|^p), fused.

Its backward recomputes the spectrum, so only x, the window and the bank are saved. Where the backward is
differentiated itself (create_graph=True, torch.func, forward AD) it is composed of the linear ops instead,
exact to any order.
"""

# pyright: reportIncompatibleMethodOverride=false
# (the staticmethods of a Function have the arguments of its op)

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ...dispatch import choose
from ...plan import Ending, FramePlan
from .. import _autograd as shared
from . import reference
from .reference import bands, compress_slope, power_slope, powers, product

__all__ = ["spectral_power"]

ENDING_SCHEMA = "float power, float eps, str log, float floor, str floor_mode, float scale, float multiplier"
SCHEMA = f"{shared.PLAN_SCHEMA}, {ENDING_SCHEMA}"
SCHEMA_ARGS = shared.PLAN_ARGS + 7


def spectral_power(
    x: Tensor,
    window: Tensor,
    bank: Tensor | None,
    plan: FramePlan,
    ending: Ending,
    backend: str = "",
    out: Tensor | None = None,
) -> Tensor:
    """compress(u), u = bank^T v, v = (|y|^2 + eps)^(power / 2), y = frame_transform(x, window).

    Args:
        x: samples [B, T], float32, float64, or int16 (PCM: x / 32768 in float32, without gradient).
        window: [win_length], float32 (float64 for float64 samples), in the middle of the frame when shorter.
        bank: weights [F, K] of the bands, dtype of the window; None for the bins themselves.
        plan: framing.
        ending: power and compression.
        backend: a backend's name, or "" for the fastest that can.
        out: tensor [B, K or F, M] to write to; only without gradients.

    Returns:
        Real tensor [B, K or F, M]. The gradient of |y|^p at y = 0 is 0.

    Raises:
        ValueError: a shape, dtype, device or backend name is wrong, or the clip too short.
        NotImplementedError: no backend can run this, or the named one cannot.
    """
    shared.check_signal(x, plan)
    shared.check_parameter("window", window, (plan.win_length,), x)
    if bank is not None:
        if bank.dim() != 2 or bank.shape[1] < 1:
            raise ValueError(f"bank must have shape [F, K] = [{plan.n_bins}, K], K >= 1, got {list(bank.shape)}")
        shared.check_parameter("bank", bank, (plan.n_bins, bank.shape[1]), x)
    if out is not None:
        shape = (x.shape[0], plan.n_bins if bank is None else bank.shape[1], plan.n_frames(x.shape[1]))
        shared.check_out(out, shape, window.dtype, x.device)
    if shared.is_direct(x, window, bank):
        return choose("spectral_power", backend, plan, x, window, bank).forward(x, window, bank, plan, ending, out=out)
    if shared.in_compiled_transform(backend):
        u = reference.forward(x, window, bank, plan, ending)
    else:
        function = Traced if torch.compiler.is_compiling() else Eager
        u = function.apply(x, window, bank, plan, ending, backend)
    return u if out is None else shared.copy_out(out, u)


def _forward(x, window, bank, plan, ending, backend):
    if shared.is_direct(x, window, bank):
        return choose("spectral_power", backend, plan, x, window, bank).forward(x, window, bank, plan, ending)
    return torch.ops.fastspec.spectral_power(x, window, bank, *plan.args(), *ending.args(), backend)


def _fused_backward(grad, x, window, bank, plan, ending, needed, backend):
    """The gradients in x, window and bank (empty where not needed), not differentiable themselves."""
    chosen = choose("spectral_power", backend, plan, x, window, bank)
    grads: list[Tensor | None] = [None, None, None]
    if needed[0] or needed[1]:
        grads[:2] = chosen.backward(grad, x, window, bank, plan, ending, *needed[:2])
    if needed[2]:
        grads[2] = _bank_grad(chosen, grad, x, window, bank, plan, ending)
    return tuple(window.new_empty(0) if g is None else g for g in grads)


def _bank_grad(chosen, grad, x, window, bank, plan, ending):
    """The sum over clips of v (grad * compress')^T, [F, K]; one clip's v in memory at a time."""
    uncompressed = Ending(ending.power, ending.eps)
    total = torch.zeros_like(bank, memory_format=torch.contiguous_format)
    for clip, grad_clip in zip(x.split(1), grad.split(1), strict=True):
        v = chosen.forward(clip, window, None, plan, uncompressed)
        total += product(v, (grad_clip * compress_slope(bands(v, bank), ending)).mT)[0]
    return total


def _composed_backward(grad, x, window, bank, plan, ending, needed, backend):
    """The same gradients out of differentiable ops."""
    length = x.shape[-1]
    y = shared.linear("frame_transform", x, window, plan, length, backend)
    v = powers(y, ending)
    grad_u = grad * compress_slope(v if bank is None else bands(v, bank), ending)
    grads: list[Tensor | None] = [None, None, None]
    if needed[2]:
        grads[2] = product(v, grad_u.mT).sum(0)
    if needed[0] or needed[1]:
        grad_v = grad_u if bank is None else bands(grad_u, bank.mT)
        grad_y = 2.0 * y * (grad_v * power_slope(y, ending))
        if needed[0]:
            grads[0] = shared.linear("overlap_add", grad_y, window, plan, length, backend)
        if needed[1]:
            grads[1] = shared.linear("basis_grad", x, grad_y, plan, length, backend)
    return grads


class Traced(torch.autograd.Function):
    """What torch.compile accepts."""

    @staticmethod
    def forward(x, window, bank, plan, ending, backend):
        return _forward(x, window, bank, plan, ending, backend)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:3])
        ctx.rest = inputs[3:]

    @staticmethod
    def backward(ctx, grad):
        x, window, bank = ctx.saved_tensors
        plan, ending, backend = ctx.rest
        needed = list(ctx.needs_input_grad[:3])
        if not torch.compiler.is_compiling() and (torch.is_grad_enabled() or forward_ad._current_level >= 0):
            grads = _composed_backward(grad, x, window, bank, plan, ending, needed, backend)
        elif shared.is_direct(grad, x, window, bank):
            grads = _fused_backward(grad, x, window, bank, plan, ending, needed, backend)
        else:
            grads = torch.ops.fastspec.spectral_power_backward(
                grad, x, window, bank, *plan.args(), *ending.args(), *needed, backend
            )
        return *(g if need else None for g, need in zip(grads, needed, strict=True)), None, None, None


class Eager(Traced):
    """The same with forward AD and vmap."""

    @staticmethod
    def setup_context(ctx, inputs, output):
        Traced.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*inputs[:3])

    @staticmethod
    def jvp(ctx, d_x, d_window, d_bank, *_):
        x, window, bank = ctx.saved_tensors
        plan, ending, backend = ctx.rest
        rest = plan, x.shape[-1], backend
        y = shared.linear("frame_transform", x, window, *rest)
        v = powers(y, ending)
        d_u = 0.0
        for d_y in (
            None if d_x is None else shared.linear("frame_transform", d_x, window, *rest),
            None if d_window is None else shared.linear("frame_transform", x, d_window, *rest),
        ):
            if d_y is not None:
                d_v = 2.0 * (y.real * d_y.real + y.imag * d_y.imag) * power_slope(y, ending)
                d_u = d_u + (d_v if bank is None else bands(d_v, bank))
        if d_bank is not None:
            d_u = d_u + bands(v, d_bank)
        return d_u * compress_slope(v if bank is None else bands(v, bank), ending)

    @staticmethod
    def vmap(info, in_dims, *args):
        if in_dims[1] is None and in_dims[2] is None:
            return shared.vmap_fold(Eager.apply, in_dims, *args)
        return shared.vmap_loop(Eager.apply, info, in_dims, *args)


def _unpack(args):
    plan = FramePlan(*args[: shared.PLAN_ARGS])
    return plan, Ending(*args[shared.PLAN_ARGS : SCHEMA_ARGS]), *args[SCHEMA_ARGS:]


def _kernel(x, window, bank, *args):
    plan, ending, backend = _unpack(args)
    return choose("spectral_power", backend, plan, x, window, bank).forward(x, window, bank, plan, ending)


def _fake(x, window, bank, *args):
    plan = FramePlan(*args[: shared.PLAN_ARGS])
    return window.new_empty((x.shape[0], plan.n_bins if bank is None else bank.shape[1], plan.n_frames(x.shape[1])))


def _backward_kernel(grad, x, window, bank, *args):
    plan, ending, *needed, backend = _unpack(args)
    return _fused_backward(grad, x, window, bank, plan, ending, needed, backend)


def _backward_fake(grad, x, window, bank, *args):
    *_, need_x, need_window, need_bank, _ = args
    return (
        window.new_empty(x.shape if need_x else (0,)),
        window.new_empty(window.shape if need_window else (0,)),
        window.new_empty(bank.shape if need_bank else (0,)),
    )


shared.register(
    "spectral_power",
    f"(Tensor x, Tensor window, Tensor? bank, {SCHEMA}, str backend) -> Tensor",
    _kernel,
    _fake,
)
shared.register(
    "spectral_power_backward",
    f"(Tensor grad, Tensor x, Tensor window, Tensor? bank, {SCHEMA}, "
    "bool need_x, bool need_window, bool need_bank, str backend) -> (Tensor, Tensor, Tensor)",
    _backward_kernel,
    _backward_fake,
)
