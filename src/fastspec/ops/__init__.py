"""The ops: three linear ones that close under differentiation, and the fused one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._autograd import DECOMPOSITIONS
from .basis_grad import basis_grad
from .frame_transform import frame_transform
from .overlap_add import overlap_add
from .spectral_power import spectral_power

__all__ = ["basis_grad", "decompositions", "frame_transform", "overlap_add", "spectral_power"]


def decompositions() -> dict[Any, Callable]:
    """What `torch.ops.fastspec.*` are in PyTorch's own operators: the plain references.

    For `torch.export.export(model, ...).run_decompositions(fastspec.decompositions())`: a program that runs where
    fastspec is not, and what torch.onnx.export takes.
    """
    return dict(DECOMPOSITIONS)
