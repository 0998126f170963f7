"""Octaves on the CPU in one call: kernels/cpu/octaves.cc, the transform of `fastspec._octaves` and its adjoint."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import _native
from ..plan import Ending
from . import _cpu as cpu
from ._few_rows import rows_of
from ._frames import to_float

if TYPE_CHECKING:
    from .._octaves import Framing, Layout


def transform(
    x: Tensor,
    layout: Layout,
    bases: tuple[Tensor, ...],
    halfband: Tensor,
    framing: Framing,
    ending: Ending | None,
    keep: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """x [B, T] to complex [B, K, M], or to what the ending makes of that.

    keep: give the complex spectrum as well.
    """
    shape = x.shape[0], layout.spec.n_bins, framing[0]
    x, (address, stride, _) = cpu.rows(to_float(x))  # int16 samples too
    bases = tuple(basis.contiguous() for basis in bases)
    y = cpu.empty(shape, x.dtype.to_complex()) if ending is None or keep else None
    out = None if ending is None else cpu.empty(shape, x.dtype)
    _native.octaves_transform(
        *_octaves(x.shape[0], x.shape[1], layout, bases, halfband, framing),
        address,
        stride,
        0 if y is None else y.data_ptr(),
        None if ending is None else cpu.ending_of(ending),
        0 if out is None else out.data_ptr(),
    )
    if out is None:
        assert y is not None
        return y, None
    return out, y


def adjoint(
    y: Tensor, layout: Layout, bases: tuple[Tensor, ...], halfband: Tensor, framing: Framing, length: int
) -> Tensor:
    """Complex y [B, K, M] to [B, length]."""
    y = y.resolve_conj().contiguous()
    bases = tuple(basis.contiguous() for basis in bases)
    out = cpu.empty((y.shape[0], length), y.dtype.to_real())
    _native.octaves_adjoint(
        *_octaves(y.shape[0], length, layout, bases, halfband, framing), y.data_ptr(), out.data_ptr()
    )
    return out


def _octaves(batch, length, layout, bases, halfband, framing):
    """The first arguments of ``_native.octaves_*``; bases and half-band filter must outlive the call."""
    n_frames, centre, pad_mode = framing
    parts = [(*rows.args, basis.data_ptr(), *rest) for (rows, rest), basis in zip(_parts(layout), bases, strict=True)]
    reach = 0 if pad_mode == "none" else layout.reach
    sizes = batch, length, n_frames, layout.spec.n_bins, centre, reach, cpu.PAD_MODES[pad_mode]
    filter = halfband.data_ptr(), halfband.shape[1] - 2
    return parts, *filter, *sizes, cpu.DTYPES[bases[0].dtype], torch.get_num_threads()


@lru_cache(maxsize=64)
def _parts(layout):
    """Each part's rows, which own the arrays that their addresses point to, and its other numbers."""
    return [
        (
            rows_of(part.plan),
            (part.step.bit_length() - 1, part.phases, part.first, part.plan.hop_length, part.low),
        )
        for part in layout.parts
    ]
