"""The ops: three linear ones that close under differentiation, and the fused one."""

from .basis_grad import basis_grad
from .frame_transform import frame_transform
from .overlap_add import overlap_add
from .spectral_power import spectral_power

__all__ = ["basis_grad", "frame_transform", "overlap_add", "spectral_power"]
