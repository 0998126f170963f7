"""What a peer of torch's tensors does with arrays, threads and gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["both", "forward", "from_numpy", "set_threads", "to_numpy"]

set_threads = torch.set_num_threads
from_numpy = torch.from_numpy


def to_numpy(y: Tensor) -> np.ndarray:
    return y.detach().numpy()


def forward(path: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.inference_mode():
            return path(x)

    return run


def both(path: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], Tensor]:
    """Forward, and the gradient of x and of what the path learns, with ones above the output, real and imaginary."""
    leaf = x.clone().requires_grad_()
    learned = [p for p in path.parameters() if p.requires_grad] if isinstance(path, torch.nn.Module) else []
    with torch.no_grad():
        out = path(x)
        seed = torch.full_like(out, 1 + 1j if out.is_complex() else 1)
    return lambda: torch.autograd.grad(path(leaf), [leaf, *learned], seed)[0]
