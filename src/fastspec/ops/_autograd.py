"""What the ops share: the direct call, the registration with torch, and the autograd of the three linear ops.

<y, T(x, h)> with T = frame_transform is linear in x, in y and in h, the basis: a window [win_length] under a
FramePlan, packed taps [2, S] under a DensePlan. The three linear ops are its partial gradients,

    in y: frame_transform(x, h)     in x: overlap_add(y, h)     in h: basis_grad(x, y)

so the gradients of each op are the other two, to any order. A call takes one of three ways:

- directly to the backend, when nothing traces or differentiates (`is_direct`): about a microsecond;
- through an autograd.Function with backward, jvp and vmap, when something does;
- through the same Function without jvp and vmap under torch.compile, which accepts no other (and through the
  plain reference where torch.func transforms are compiled).

The Functions call the backend directly when their tensors are plain, and `torch.ops.fastspec.*` otherwise.
"""

# pyright: reportIncompatibleMethodOverride=false
# (the staticmethods of a Function have the arguments of its op)

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from ..dispatch import choose
from ..plan import FramePlan, Plan

PLAN_SCHEMA = (
    "int n_fft, int hop_length, int win_length, int pad, str pad_mode, bool onesided, float preemphasis, "
    "bool remove_dc, int[] starts, int[] stops, str precision"
)
PLAN_ARGS = 11

INPUTS = {"frame_transform": ("x", "basis"), "overlap_add": ("y", "basis"), "basis_grad": ("x", "y")}
GRADIENT = {"y": "frame_transform", "x": "overlap_add", "basis": "basis_grad"}

LIBRARY = torch.library.Library("fastspec", "DEF")
DECOMPOSITIONS: dict[Any, Callable] = {}  # operator -> what it is in PyTorch's own

_PLAIN = (Tensor, Parameter)
_functorch_level = torch._C._functorch.maybe_current_level  # type: ignore[attr-defined]
_n_dispatch_modes = torch._C._len_torch_dispatch_stack
_tracing_state = torch._C._get_tracing_state


def is_eager(*tensors: Tensor | None) -> bool:
    """True when nobody traces or transforms, and all is plain memory; a plain gradient may be recorded."""
    if (
        torch.compiler.is_compiling()
        or _functorch_level() is not None
        or forward_ad._current_level >= 0
        or _n_dispatch_modes()
        or _tracing_state() is not None
    ):
        return False
    for tensor in tensors:
        if tensor is not None and (type(tensor) not in _PLAIN or tensor.is_conj() or tensor.is_neg()):
            return False
    return True


def is_direct(*tensors: Tensor | None) -> bool:
    """True when a backend may be called at once: eager, and nobody differentiates."""
    if not is_eager(*tensors):
        return False
    return not torch.is_grad_enabled() or all(tensor is None or not tensor.requires_grad for tensor in tensors)


def is_inlined(backend: str) -> bool:
    """True where the reference runs as plain PyTorch, in sight of who traces.

    That is, under torch.jit.trace with the reference asked for by name, so that the trace runs without fastspec; and
    inside torch.compile inside a torch.func transform, where Dynamo would use a Function's forward and forget its
    backward, without an error (torch 2.13).
    """
    if _tracing_state() is not None:
        return backend == "reference"
    if not (torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()):
        return False
    if backend not in ("", "reference"):
        raise NotImplementedError(f"backend {backend!r} cannot run a torch.func transform inside torch.compile")
    return True


def check_out(out: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
    """Raise ValueError unless `out` is None or fits; contiguous, as backends write to its memory."""
    if out is None:
        return
    if not isinstance(out, Tensor):
        raise ValueError(f"out must be a torch.Tensor, got {type(out).__name__}")
    if not torch.compiler.is_compiling() and (out.is_conj() or out.is_neg()):  # copy_ resolves them when compiled
        raise ValueError("out must hold its values themselves, got a lazy conjugate or negative; use torch.empty")
    if out.shape != shape or out.dtype != dtype or out.device != device or not out.is_contiguous() or out.requires_grad:
        raise ValueError(
            f"out must be a contiguous {dtype} tensor of shape {list(shape)} on {device} that requires no "
            f"gradient, got {out.dtype}, shape {list(out.shape)}, on {out.device}"
        )


def copy_out(out: Tensor, result: Tensor) -> Tensor:
    """Write a result that did not come from a direct call into `out`."""
    if result.requires_grad:
        raise ValueError("out must be None where a gradient is needed; use torch.no_grad() or leave out away")
    return out.copy_(result)


def check_signal(x: Tensor, plan: Plan) -> None:
    """Raise ValueError unless x is [B, T] of a supported dtype and long enough."""
    if x.dim() != 2 or x.shape[0] < 1:
        raise ValueError(f"x must have shape [B, T] with B >= 1, got {list(x.shape)}")
    if x.dtype not in (torch.float32, torch.float64, torch.int16):
        raise ValueError(f"x must be float32, float64 or int16, got {x.dtype}")
    plan.check_length(x.shape[1])


def check_spectrum(y: Tensor, plan: Plan, length: int) -> None:
    """Raise ValueError unless y is complex [B, F, M], M being the frames of a clip of `length` samples."""
    plan.check_length(length)
    if y.dim() != 3 or y.shape[0] < 1 or y.shape[1] != plan.n_bins or y.shape[2] != plan.n_frames(length):
        raise ValueError(
            f"y must have shape [B, F, M] = [B, {plan.n_bins}, {plan.n_frames(length)}] "
            f"for {length} samples, got {list(y.shape)}"
        )
    if not y.is_complex():
        raise ValueError(f"y must be complex64 or complex128, got {y.dtype}")


def check_basis(basis: Tensor, plan: Plan, like: Tensor) -> None:
    """Raise ValueError unless the basis is the plan's: a window, or packed taps."""
    check_parameter("window" if isinstance(plan, FramePlan) else "basis", basis, plan.basis_shape, like)


def check_parameter(name: str, tensor: Tensor, shape: tuple[int, ...], like: Tensor) -> None:
    """Raise ValueError unless a basis or bank has this shape, and the compute dtype and device of `like`."""
    if tensor.shape != shape:
        raise ValueError(f"{name} must have shape {list(shape)}, got {list(tensor.shape)}")
    if tensor.dtype != real_dtype(like.dtype) or tensor.device != like.device:
        raise ValueError(
            f"{name} must be {real_dtype(like.dtype)} on {like.device}, got {tensor.dtype} on {tensor.device}"
        )


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype that signals of this dtype are computed in: int16 in float32."""
    return torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32


def complex_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of the spectrum of signals of this dtype."""
    return torch.complex128 if dtype in (torch.float64, torch.complex128) else torch.complex64


def register(name: str, schema: str, kernel: Callable, fake: Callable) -> None:
    """Define `torch.ops.fastspec.<name>`: opaque to tracers, for every device, without gradients of its own.

    `fake` tells tracers the shapes. DECOMPOSITIONS gets it in PyTorch's own operators: the kernel with the reference
    for the backend, its last argument. (Not torch's global table: fake tensors would run that in place of `fake`.)
    """
    LIBRARY.define(f"{name}{schema}", tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, torch.no_grad()(kernel), "CompositeExplicitAutograd")
    torch.library.register_fake(f"fastspec::{name}", fake, lib=LIBRARY)
    operator = getattr(torch.ops.fastspec, name).default
    DECOMPOSITIONS[operator] = lambda *args: kernel(*args[:-1], "reference")


def vmap_loop(apply: Callable, info: Any, in_dims: tuple, *args: Any) -> tuple[Tensor, int]:
    """A vmap rule that calls once per mapped element."""
    parts = [
        apply(*(a if d is None else a.select(d, i) for a, d in zip(args, in_dims, strict=True)))
        for i in range(info.batch_size)
    ]
    return torch.stack(parts), 0


def vmap_fold(apply: Callable, in_dims: tuple, first: Tensor, *rest: Any) -> tuple[Tensor, int]:
    """A vmap rule for a mapped first argument [B, ...] alone: one call with the mapped axis folded into B."""
    first = first.movedim(in_dims[0], 0)
    return apply(first.flatten(0, 1), *rest).unflatten(0, first.shape[:2]), 0


def linear(name: str, first: Tensor, second: Tensor, plan: Plan, length: int, backend: str) -> Tensor:
    """One of the three linear ops, differentiable. `length` is T; only overlap_add cannot see it itself."""
    if name != "overlap_add":
        length = 0
    functions = _TRACED if torch.compiler.is_compiling() else _EAGER
    return functions[name].apply(first, second, plan, length, backend)


def _forward(name: str, first: Tensor, second: Tensor, plan: Plan, length: int, backend: str) -> Tensor:
    lengths = (length,) if name == "overlap_add" else ()
    if is_direct(first, second):
        return choose(name, backend, plan, first, second).forward(first, second, plan, *lengths)
    return getattr(torch.ops.fastspec, name)(first, second, *plan.args(), *lengths, backend)


def _linear_functions(name: str) -> tuple[type[torch.autograd.Function], type[torch.autograd.Function]]:
    inputs = INPUTS[name]
    (output,) = set(GRADIENT) - set(inputs)

    class Traced(torch.autograd.Function):
        @staticmethod
        def forward(first, second, plan, length, backend):
            return _forward(name, first, second, plan, length, backend)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs[:2])
            ctx.rest = inputs[2:]

        @staticmethod
        def backward(ctx, grad):
            values = dict(zip(inputs, ctx.saved_tensors, strict=True)) | {output: grad}
            plan, length, backend = ctx.rest
            if "x" in inputs:
                length = values["x"].shape[-1]
            grads: list[Tensor | None] = [None, None]
            for i, slot in enumerate(inputs):
                if ctx.needs_input_grad[i]:
                    op = GRADIENT[slot]
                    first, second = (values[s] for s in INPUTS[op])
                    grads[i] = linear(op, first, second, plan, length, backend)
            return *grads, None, None, None

    class Eager(Traced):
        @staticmethod
        def setup_context(ctx, inputs, output):
            Traced.setup_context(ctx, inputs, output)
            ctx.save_for_forward(*inputs[:2])

        @staticmethod
        def jvp(ctx, d_first, d_second, *_):
            first, second = ctx.saved_tensors
            terms = []
            if d_first is not None:
                terms.append(linear(name, d_first, second, *ctx.rest))
            if d_second is not None:
                terms.append(linear(name, first, d_second, *ctx.rest))
            return sum(terms[1:], terms[0])

        @staticmethod
        def vmap(info, in_dims, *args):
            if in_dims[1] is None and name != "basis_grad":  # basis_grad sums over B
                return vmap_fold(Eager.apply, in_dims, *args)
            return vmap_loop(Eager.apply, info, in_dims, *args)

    return Traced, Eager


_TRACED, _EAGER = {}, {}
for _name in INPUTS:
    _TRACED[_name], _EAGER[_name] = _linear_functions(_name)
    _forward_of = _EAGER[_name].forward  # apply asks for its signature at every call: 80 microseconds without this
    _forward_of.__signature__ = inspect.signature(_forward_of)  # type: ignore[attr-defined]
