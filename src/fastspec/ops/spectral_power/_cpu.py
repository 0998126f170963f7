"""spectral_power on the CPU: kernels/cpu/spectral_power.cc."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import _native
from ...plan import Ending, FramePlan
from .. import _cpu as cpu
from .._cpu import refuse

__all__ = ["backward", "forward", "refuse"]


def forward(
    x: Tensor, window: Tensor, bank: Tensor | None, plan: FramePlan, ending: Ending, out: Tensor | None = None
) -> Tensor:
    """See the reference; one pass from samples to bands."""
    batch, samples = x.shape
    frames = plan.n_frames(samples)
    x, address = cpu.rows(x)
    window = window.contiguous()
    native_bank, _owner = cpu.bank_of(bank, plan)
    if out is None:
        out = cpu.empty((batch, plan.n_bins if bank is None else bank.shape[1], frames), window.dtype)
    _native.spectral_power(
        cpu.plan_of(plan),
        *cpu.call(window.dtype, batch, samples, frames),
        *address,
        window.data_ptr(),
        native_bank,
        cpu.ending_of(ending),
        out.data_ptr(),
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
) -> tuple[Tensor | None, Tensor | None]:
    """See the reference; computes the spectrum again and writes nothing but the gradients."""
    batch, samples = x.shape
    x, address = cpu.rows(x)
    grad, window = grad.contiguous(), window.contiguous()
    native_bank, _owner = cpu.bank_of(bank, plan)
    grad_x = cpu.empty((batch, samples), window.dtype) if need_x else None
    grad_window = torch.empty_like(window) if need_window else None
    _native.spectral_power_backward(
        cpu.plan_of(plan),
        *cpu.call(window.dtype, batch, samples, grad.shape[2]),
        grad.data_ptr(),
        *address,
        window.data_ptr(),
        native_bank,
        cpu.ending_of(ending),
        0 if grad_x is None else grad_x.data_ptr(),
        0 if grad_window is None else grad_window.data_ptr(),
    )
    return grad_x, grad_window
