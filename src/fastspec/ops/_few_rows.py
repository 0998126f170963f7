"""Dense bases of few rows on the CPU: kernels/cpu/few_rows.cc, lanes are frames, work goes with the supports."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from torch import Tensor

from .. import _native
from ..plan import DensePlan, Ending
from . import _cpu as cpu

# Rows over one sample, on average, from which on a matrix product (ops/_dense.py) is as fast forward; backward it is
# before. Measured on Zen 5 and, with AVX2, on Zen 3.
FEW = 64 if _native.simd_level() == "avx512" else 16


@lru_cache(maxsize=1024)
def suits(plan: DensePlan) -> bool:
    """Whether these rows are better read off lanes than multiplied by BLAS: few of them cover any one sample."""
    return plan.n_taps < FEW * (max(plan.stops) - min(plan.starts))


class _Rows:
    """The supports as the native kernels take them; holds the arrays that `args` points to."""

    def __init__(self, plan: DensePlan):
        numbers = plan.starts, plan.stops, plan.offsets[:-1]
        self._arrays = [np.array(each, dtype=np.int64) for each in numbers]
        start, stop, offset = (array.ctypes.data for array in self._arrays)
        self.args = plan.n_bins, plan.n_taps, start, stop, offset
        mode = cpu.PAD_MODES[plan.pad_mode]
        self.frames = _native.Frames(plan.n_fft, plan.hop_length, plan.n_fft, plan.pad, mode, True)


rows_of = lru_cache(maxsize=1024)(_Rows)


def transform(
    x: Tensor, basis: Tensor, plan: DensePlan, y: Tensor | None, ending: Ending | None = None, out: Tensor | None = None
) -> None:
    """frame_transform into y, complex [B, F, M], and spectral_power without a bank into out [B, F, M]; one or both."""
    (batch, samples), rows = x.shape, rows_of(plan)
    x, address = cpu.rows(x)
    basis = basis.contiguous()
    work = cpu.call(basis.dtype, batch, samples, plan.n_frames(samples))
    spectrum, result = (0 if t is None else t.data_ptr() for t in (y, out))
    native = None if ending is None else cpu.ending_of(ending)
    _native.rows_transform(rows.frames, *work, *address, *rows.args, basis.data_ptr(), spectrum, native, result)


def overlap_add(y: Tensor, basis: Tensor, plan: DensePlan, length: int, out: Tensor) -> Tensor:
    """The adjoint: y [B, F, M] into `out` [B, length]."""
    rows = rows_of(plan)
    y, basis = y.resolve_conj().contiguous(), basis.contiguous()
    work = cpu.call(basis.dtype, y.shape[0], length, y.shape[2])
    _native.rows_overlap_add(rows.frames, *work, y.data_ptr(), *rows.args, basis.data_ptr(), out.data_ptr())
    return out
