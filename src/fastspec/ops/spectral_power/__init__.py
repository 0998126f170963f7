"""spectral_power: compress(bank^T |frame_transform(x, basis)|^p), fused.

Under a FramePlan its backward recomputes the spectrum (an FFT is cheap), so only x, the window and the bank are
saved. Under a DensePlan that would be a whole product, so the spectrum is kept, unless `recompute` asks for the
memory; with torch.func and forward AD nothing is kept. Where the backward is differentiated itself
(create_graph=True, torch.func, forward AD) it is composed of the linear ops instead, exact to any order.

A backend that takes dense plans also has `forward_keeping(x, basis, bank, plan, ending) -> (u, y)`, y the spectrum,
and its `backward` takes such a y.
"""

# pyright: reportIncompatibleMethodOverride=false
# (the staticmethods of a Function have the arguments of its op)

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ...dispatch import choose
from ...plan import DensePlan, Ending, Plan, plan_of
from .. import _autograd as shared
from . import reference
from .reference import bands, compress_slope, power_slope, powers, product

__all__ = ["spectral_power"]

ENDING_SCHEMA = "float power, float eps, str log, float floor, str floor_mode, float scale, float multiplier"
SCHEMA = f"{shared.PLAN_SCHEMA}, {ENDING_SCHEMA}"
SCHEMA_ARGS = shared.PLAN_ARGS + 7


def spectral_power(
    x: Tensor,
    basis: Tensor,
    bank: Tensor | None,
    plan: Plan,
    ending: Ending,
    backend: str = "",
    out: Tensor | None = None,
    recompute: bool | None = None,
) -> Tensor:
    """compress(u), u = bank^T v, v = (|y|^2 + eps)^(power / 2), y = frame_transform(x, basis).

    Args:
        x: samples [B, T], float32, float64, or int16 (PCM: x / 32768 in float32, without gradient).
        basis: as in frame_transform.
        bank: weights [F, K] of the bands, dtype of the basis; None for the bins themselves.
        plan: framing.
        ending: power and compression.
        backend: a backend's name, or "" for the fastest that can.
        out: tensor [B, K or F, M] to write to; only without gradients.

        recompute: for gradients, compute the spectrum again instead of keeping it. Default: under a FramePlan
            (which knows no other way), not under a DensePlan.

    Returns:
        Real tensor [B, K or F, M]. The gradient of |y|^p at y = 0 is 0.

    Raises:
        ValueError: a shape, dtype, device or backend name is wrong, or the clip too short.
        NotImplementedError: no backend can run this, or the named one cannot.
    """
    shared.check_signal(x, plan)
    shared.check_basis(basis, plan, x)
    if bank is not None:
        if bank.dim() != 2 or bank.shape[1] < 1:
            raise ValueError(f"bank must have shape [F, K] = [{plan.n_bins}, K], K >= 1, got {list(bank.shape)}")
        shared.check_parameter("bank", bank, (plan.n_bins, bank.shape[1]), x)
    if out is not None:
        shape = (x.shape[0], plan.n_bins if bank is None else bank.shape[1], plan.n_frames(x.shape[1]))
        shared.check_out(out, shape, basis.dtype, x.device)
    if shared.is_direct(x, basis, bank):
        return choose("spectral_power", backend, plan, x, basis, bank).forward(x, basis, bank, plan, ending, out=out)
    if shared.is_inlined(backend):
        u = reference.forward(x, basis, bank, plan, ending)
    elif isinstance(plan, DensePlan) and not recompute and _plain_backward(x, basis, bank):
        u, _ = Kept.apply(x, basis, bank, plan, ending, backend)
    else:
        function = Traced if torch.compiler.is_compiling() else Eager
        u = function.apply(x, basis, bank, plan, ending, backend)
    return u if out is None else shared.copy_out(out, u)


def _plain_backward(*tensors: Tensor | None) -> bool:
    """True when a gradient is wanted, and asked for neither by torch.func nor by forward AD."""
    if not (torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)):
        return False
    return torch.compiler.is_compiling() or (shared._functorch_level() is None and forward_ad._current_level < 0)


def _forward(x, basis, bank, plan, ending, backend):
    if shared.is_direct(x, basis, bank):
        return choose("spectral_power", backend, plan, x, basis, bank).forward(x, basis, bank, plan, ending)
    return torch.ops.fastspec.spectral_power(x, basis, bank, *plan.args(), *ending.args(), backend)


def _fused_backward(grad, x, basis, bank, y, plan, ending, needed, backend):
    """The gradients in x, basis and bank (empty where not needed), not differentiable themselves.

    y is the kept spectrum, or None.
    """
    chosen = choose("spectral_power", backend, plan, x, basis, bank)
    grads: list[Tensor | None] = [None, None, None]
    if needed[0] or needed[1]:
        kept = {} if y is None else {"y": y}
        grads[:2] = chosen.backward(grad, x, basis, bank, plan, ending, *needed[:2], **kept)
    if needed[2]:
        grads[2] = _bank_grad(chosen, grad, x, basis, bank, y, plan, ending)
    return tuple(basis.new_empty(0) if g is None else g for g in grads)


def _bank_grad(chosen, grad, x, basis, bank, y, plan, ending):
    """The sum over clips of v (grad * compress')^T, [F, K]; one clip's v in memory at a time."""
    uncompressed = Ending(ending.power, ending.eps)
    total = torch.zeros_like(bank, memory_format=torch.contiguous_format)
    for b, (clip, grad_clip) in enumerate(zip(x.split(1), grad.split(1), strict=True)):
        v = chosen.forward(clip, basis, None, plan, uncompressed) if y is None else powers(y[b : b + 1], ending)
        total += product(v, (grad_clip * compress_slope(bands(v, bank), ending)).mT)[0]
    return total


def _composed_backward(grad, x, basis, bank, plan, ending, needed, backend):
    """The same gradients out of differentiable ops."""
    length = x.shape[-1]
    y = shared.linear("frame_transform", x, basis, plan, length, backend)
    v = powers(y, ending)
    grad_u = grad * compress_slope(v if bank is None else bands(v, bank), ending)
    grads: list[Tensor | None] = [None, None, None]
    if needed[2]:
        grads[2] = product(v, grad_u.mT).sum(0)
    if needed[0] or needed[1]:
        grad_v = grad_u if bank is None else bands(grad_u, bank.mT)
        grad_y = 2.0 * y * (grad_v * power_slope(y, ending))
        if needed[0]:
            grads[0] = shared.linear("overlap_add", grad_y, basis, plan, length, backend)
        if needed[1]:
            grads[1] = shared.linear("basis_grad", x, grad_y, plan, length, backend)
    return grads


class Traced(torch.autograd.Function):
    """What torch.compile accepts."""

    @staticmethod
    def forward(x, basis, bank, plan, ending, backend):
        return _forward(x, basis, bank, plan, ending, backend)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:3])
        ctx.rest = inputs[3:]

    @staticmethod
    def backward(ctx, grad):
        x, basis, bank = ctx.saved_tensors
        return *_backward(grad, x, basis, bank, None, ctx.needs_input_grad[:3], *ctx.rest), None, None, None


class Kept(torch.autograd.Function):
    """The same, keeping the spectrum for a backward that need not compute it again."""

    @staticmethod
    def forward(x, basis, bank, plan, ending, backend):
        if shared.is_direct(x, basis, bank):
            chosen = choose("spectral_power", backend, plan, x, basis, bank)
            return chosen.forward_keeping(x, basis, bank, plan, ending)
        return torch.ops.fastspec.spectral_power_keeping(x, basis, bank, *plan.args(), *ending.args(), backend)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:3], output[1])
        ctx.rest = inputs[3:]

    @staticmethod
    def backward(ctx, grad, _):
        if grad is None:
            return None, None, None, None, None, None
        x, basis, bank, y = ctx.saved_tensors
        return *_backward(grad, x, basis, bank, y, ctx.needs_input_grad[:3], *ctx.rest), None, None, None


def _backward(grad, x, basis, bank, y, needed, plan, ending, backend):
    needed = list(needed)
    if not torch.compiler.is_compiling() and (torch.is_grad_enabled() or forward_ad._current_level >= 0):
        grads = _composed_backward(grad, x, basis, bank, plan, ending, needed, backend)
    elif shared.is_direct(grad, x, basis, bank):
        grads = _fused_backward(grad, x, basis, bank, y, plan, ending, needed, backend)
    else:
        grads = torch.ops.fastspec.spectral_power_backward(
            grad, x, basis, bank, y, *plan.args(), *ending.args(), *needed, backend
        )
    return (g if need else None for g, need in zip(grads, needed, strict=True))


class Eager(Traced):
    """The same with forward AD and vmap."""

    @staticmethod
    def setup_context(ctx, inputs, output):
        Traced.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*inputs[:3])

    @staticmethod
    def jvp(ctx, d_x, d_basis, d_bank, *_):
        x, basis, bank = ctx.saved_tensors
        plan, ending, backend = ctx.rest
        rest = plan, x.shape[-1], backend
        y = shared.linear("frame_transform", x, basis, *rest)
        v = powers(y, ending)
        d_u = 0.0
        for d_y in (
            None if d_x is None else shared.linear("frame_transform", d_x, basis, *rest),
            None if d_basis is None else shared.linear("frame_transform", x, d_basis, *rest),
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
    plan = plan_of(*args[: shared.PLAN_ARGS])
    return plan, Ending(*args[shared.PLAN_ARGS : SCHEMA_ARGS]), *args[SCHEMA_ARGS:]


def _kernel(x, basis, bank, *args):
    plan, ending, backend = _unpack(args)
    return choose("spectral_power", backend, plan, x, basis, bank).forward(x, basis, bank, plan, ending)


def _fake(x, basis, bank, *args):
    plan = plan_of(*args[: shared.PLAN_ARGS])
    return basis.new_empty((x.shape[0], plan.n_bins if bank is None else bank.shape[1], plan.n_frames(x.shape[1])))


def _keeping_kernel(x, basis, bank, *args):
    plan, ending, backend = _unpack(args)
    return choose("spectral_power", backend, plan, x, basis, bank).forward_keeping(x, basis, bank, plan, ending)


def _keeping_fake(x, basis, bank, *args):
    plan, u = plan_of(*args[: shared.PLAN_ARGS]), _fake(x, basis, bank, *args)
    return u, u.new_empty((u.shape[0], plan.n_bins, u.shape[2]), dtype=shared.complex_dtype(u.dtype))


def _backward_kernel(grad, x, basis, bank, y, *args):
    plan, ending, *needed, backend = _unpack(args)
    return _fused_backward(grad, x, basis, bank, y, plan, ending, needed, backend)


def _backward_fake(grad, x, basis, bank, y, *args):
    *_, need_x, need_basis, need_bank, _ = args
    return (
        basis.new_empty(x.shape if need_x else (0,)),
        basis.new_empty(basis.shape if need_basis else (0,)),
        basis.new_empty(bank.shape if need_bank else (0,)),
    )


shared.register(
    "spectral_power",
    f"(Tensor x, Tensor basis, Tensor? bank, {SCHEMA}, str backend) -> Tensor",
    _kernel,
    _fake,
)
shared.register(
    "spectral_power_keeping",
    f"(Tensor x, Tensor basis, Tensor? bank, {SCHEMA}, str backend) -> (Tensor, Tensor)",
    _keeping_kernel,
    _keeping_fake,
)
shared.register(
    "spectral_power_backward",
    f"(Tensor grad, Tensor x, Tensor basis, Tensor? bank, Tensor? y, {SCHEMA}, "
    "bool need_x, bool need_basis, bool need_bank, str backend) -> (Tensor, Tensor, Tensor)",
    _backward_kernel,
    _backward_fake,
)
