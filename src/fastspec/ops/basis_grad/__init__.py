"""basis_grad: the gradient of frame_transform in its basis."""

from __future__ import annotations

from torch import Tensor

from ...dispatch import choose
from ...plan import Plan, plan_of
from .. import _autograd as shared
from . import reference

__all__ = ["basis_grad"]


def basis_grad(x: Tensor, y: Tensor, plan: Plan, backend: str = "") -> Tensor:
    """The g with <y, frame_transform(x, h)> = <g, h> for every basis h of this plan.

    Args:
        x: samples [B, T], float32, float64 or int16.
        y: complex spectrum [B, F, M], M being `plan.n_frames(T)`.
        plan: framing.
        backend: a backend's name, or "" for the fastest that can.

    Returns:
        Real tensor of `plan.basis_shape`: [win_length], or [2, S] under a DensePlan.

    Raises:
        ValueError: a shape, dtype, device or backend name is wrong.
        NotImplementedError: no backend can run this, or the named one cannot.
    """
    shared.check_signal(x, plan)
    shared.check_spectrum(y, plan, x.shape[1])
    if y.shape[0] != x.shape[0] or y.dtype != shared.complex_dtype(x.dtype) or y.device != x.device:
        raise ValueError(
            f"y must be {shared.complex_dtype(x.dtype)} on {x.device} with B = {x.shape[0]} as x, "
            f"got {y.dtype} on {y.device} with B = {y.shape[0]}"
        )
    if shared.is_direct(x, y):
        return choose("basis_grad", backend, plan, x, y).forward(x, y, plan)
    if shared.is_inlined(backend):
        return reference.forward(x, y, plan)
    return shared.linear("basis_grad", x, y, plan, x.shape[1], backend)


def _kernel(x, y, *args):
    plan, backend = plan_of(*args[: shared.PLAN_ARGS]), args[shared.PLAN_ARGS]
    return choose("basis_grad", backend, plan, x, y).forward(x, y, plan)


def _fake(x, y, *args):
    return x.new_empty(plan_of(*args[: shared.PLAN_ARGS]).basis_shape, dtype=shared.real_dtype(x.dtype))


shared.register("basis_grad", f"(Tensor x, Tensor y, {shared.PLAN_SCHEMA}, str backend) -> Tensor", _kernel, _fake)
