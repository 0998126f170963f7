"""Conjugate gradients for the inverses that have no formula."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def least_squares(forward: Callable[[Tensor], Tensor], target: Tensor, length: int, n_iter: int) -> Tensor:
    """argmin over x [B, length] of |forward(x) - target|^2, each clip by its own conjugate gradients (CGLS)."""
    if torch.is_inference_mode_enabled():  # the adjoint is a derivative
        with torch.inference_mode(False), torch.no_grad():
            return least_squares(forward, target.clone(), length, n_iter)
    keep = torch.is_grad_enabled() and target.requires_grad

    def normal(x: Tensor, residual: Tensor | None) -> Tensor:
        """The adjoint of `forward` at a spectrum, by default at forward(x)."""
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            y = forward(x)
            cotangent = y if residual is None else residual
            (gradient,) = torch.autograd.grad(y, x, cotangent if keep else cotangent.detach(), create_graph=keep)
        return gradient

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(1, keepdim=True)

    x = target.new_zeros(target.shape[0], length, dtype=target.dtype.to_real())
    residual = normal(x, target)
    direction, energy = residual, dot(residual, residual)
    for _ in range(n_iter):
        image = normal(direction, None)
        curvature = dot(direction, image)
        done = curvature <= 0  # silence, or converged to the last digit
        step = energy.masked_fill(done, 0.0) / curvature.masked_fill(done, 1.0)
        x = x + step * direction
        residual = residual - step * image
        previous, energy = energy, dot(residual, residual)
        direction = residual + energy / previous.masked_fill(previous == 0, 1.0) * direction
    return x
