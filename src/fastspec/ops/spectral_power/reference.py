"""spectral_power in plain PyTorch, forward and backward, and the ending with its slopes.

`powers`, `compress` and their slopes are differentiable PyTorch: the exact second derivatives of the op are
composed from them. They never divide by zero, so silence gives zero gradients of every order, not NaN.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...plan import Ending, Plan
from .._frames import own_precision, refuse
from ..basis_grad import reference as basis_grad
from ..frame_transform import reference as frame_transform
from ..overlap_add import reference as overlap_add

__all__ = [
    "backward",
    "bands",
    "compress",
    "compress_slope",
    "forward",
    "forward_keeping",
    "grad_spectrum",
    "power_slope",
    "powers",
    "product",
    "refuse",
]


def _energy(y: Tensor, ending: Ending) -> Tensor:
    energy = y.real.square() + y.imag.square()
    return energy + ending.eps if ending.eps else energy


def _raise(energy: Tensor, exponent: float) -> Tensor:
    """energy ** exponent, with value and slope 0 at energy = 0 whatever the exponent."""
    silent = energy == 0
    return energy.masked_fill(silent, 1.0).pow(exponent).masked_fill(silent, 0.0)


def powers(y: Tensor, ending: Ending) -> Tensor:
    """v = (|y|^2 + eps)^(power / 2)."""
    energy = _energy(y, ending)
    return energy if ending.power == 2 else _raise(energy, ending.power / 2)


def power_slope(y: Tensor, ending: Ending) -> Tensor | float:
    """dv / d|y|^2: the gradient of v in y is 2 * y * power_slope. 0 where v is 0, unless power is 2."""
    half = ending.power / 2
    return 1.0 if half == 1 else half * _raise(_energy(y, ending), half - 1)


def product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b for stacks of matrices, in their own precision even under autocast."""
    with own_precision(a.device.type):
        return torch.bmm(a, b)


def bands(v: Tensor, bank: Tensor) -> Tensor:
    """u = bank^T v: v [B, F, M], bank [F, K] -> [B, K, M]. (`@` would round differently with gradients.)"""
    return product(bank.mT.expand(v.shape[0], -1, -1), v)


def compress(u: Tensor, ending: Ending) -> Tensor:
    """The compression of u, see `Ending`."""
    if ending.log == "none":
        return u
    if ending.log == "log1p":
        return torch.log1p(ending.scale * u)
    floored = u.clamp(min=ending.floor) if ending.floor_mode == "clamp" else u + ending.floor
    if ending.log == "ln":
        return floored.log()
    return floored.log10() * (ending.multiplier if ending.log == "db" else 1.0)


def compress_slope(u: Tensor, ending: Ending) -> Tensor | float:
    """d compress(u) / du."""
    if ending.log == "none":
        return 1.0
    if ending.log == "log1p":
        return ending.scale / (1.0 + ending.scale * u)
    if ending.floor_mode == "clamp":
        flat = (u < ending.floor) | (u == 0)
    else:
        u = u + ending.floor
        flat = u == 0
    factor = {"ln": 1.0, "log10": 1.0 / math.log(10.0), "db": ending.multiplier / math.log(10.0)}[ending.log]
    return (factor / u.masked_fill(flat, 1.0)).masked_fill(flat, 0.0)


def grad_spectrum(grad: Tensor, y: Tensor, bank: Tensor | None, ending: Ending) -> Tensor:
    """The gradient in the spectrum y [B, F, M], given that in the result."""
    v = powers(y, ending)
    if bank is None:
        grad_v = grad * compress_slope(v, ending)
    else:
        grad_v = bands(grad * compress_slope(bands(v, bank), ending), bank.mT)
    return 2.0 * y * (grad_v * power_slope(y, ending))


def forward(
    x: Tensor, basis: Tensor, bank: Tensor | None, plan: Plan, ending: Ending, out: Tensor | None = None
) -> Tensor:
    """compress(bank^T (|frame_transform(x, basis)|^2 + eps)^(power / 2)); [B, K or F, M]."""
    u = forward_keeping(x, basis, bank, plan, ending)[0]
    return u if out is None else out.copy_(u)


def forward_keeping(x: Tensor, basis: Tensor, bank: Tensor | None, plan: Plan, ending: Ending) -> tuple[Tensor, Tensor]:
    """The result and the spectrum."""
    y = frame_transform.forward(x, basis, plan)
    u = powers(y, ending)
    if bank is not None:
        u = bands(u, bank)
    return compress(u, ending), y


def backward(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    bank: Tensor | None,
    plan: Plan,
    ending: Ending,
    need_x: bool,
    need_basis: bool,
    y: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of <grad, forward(x, basis, bank)> in x [B, T] and in the basis; y: the spectrum, if it was kept."""
    if y is None:
        y = frame_transform.forward(x, basis, plan)
    grad_y = grad_spectrum(grad, y, bank, ending)
    grad_x = overlap_add.forward(grad_y, basis, plan, x.shape[1]) if need_x else None
    grad_basis = basis_grad.forward(x, grad_y, plan) if need_basis else None
    return grad_x, grad_basis
