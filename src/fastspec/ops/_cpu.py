"""What the four native CPU backends share: plans and tensors turned into what `kernels/cpu/module.cc` takes."""

from __future__ import annotations

import math
import os
import warnings
import weakref
from functools import lru_cache

import torch
from torch import Tensor

from .. import _native
from ..plan import Ending, FramePlan, Plan

__all__ = ["bank_of", "call", "empty", "ending_of", "plan_of", "refuse", "rows"]

PAD_MODES = {"none": 0, "constant": 1, "reflect": 2, "replicate": 3, "circular": 4}
DTYPES = {torch.float32: 0, torch.float64: 1, torch.complex64: 0, torch.complex128: 1, torch.int16: 2}
if os.environ.get("FASTSPEC_SIMD") not in (None, "", _native.simd_level()):
    warnings.warn(
        f"FASTSPEC_SIMD={os.environ['FASTSPEC_SIMD']!r} is not known or not on this CPU; "
        f"the native kernels use {_native.simd_level()!r}",
        stacklevel=2,
    )

LARGE = 4 << 20  # bytes; malloc keeps the pages of smaller arrays
REAL, COMPLEX = 2, 5  # DLPack's codes


def refuse(plan: Plan, *tensors: Tensor | None) -> str | None:
    """The native kernels run on CPU memory, in float32 and float64 (and int16 samples)."""
    for tensor in tensors:
        if tensor is None:
            continue
        if tensor.device.type != "cpu":
            return f"the native kernels work on CPU tensors, not on {tensor.device}"
        if tensor.dtype not in DTYPES:
            return f"the native kernels compute in float32 and float64, not in {tensor.dtype}"
    return None


@lru_cache(maxsize=1024)
def plan_of(plan: FramePlan) -> _native.Frames:
    mode = PAD_MODES[plan.pad_mode]
    sizes = plan.n_fft, plan.hop_length, plan.win_length, plan.pad
    return _native.Frames(*sizes, mode, plan.onesided, plan.preemphasis, plan.remove_dc)


@lru_cache(maxsize=1024)
def ending_of(ending: Ending) -> _native.Ending:
    factor = {"ln": 1.0, "log10": 1.0 / math.log(10.0), "db": ending.multiplier / math.log(10.0)}
    kind = {"none": 0, "log1p": 2}.get(ending.log, 1)
    return _native.Ending(
        ending.power,
        ending.eps,
        kind,
        factor.get(ending.log, 1.0),
        ending.floor,
        ending.floor_mode == "add",
        ending.scale,
    )


def call(dtype: torch.dtype, batch: int, samples: int, frames: int) -> tuple[int, int, int, int, int]:
    """What completes a plan for one call: B, T, M, dtype, threads."""
    return batch, samples, frames, DTYPES[dtype], torch.get_num_threads()


def rows(x: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
    """x [B, T] with dense rows, and (address, row stride, dtype) of it; hold on to the tensor during the call."""
    if (x.stride(1) != 1 and x.shape[1] > 1) or (x.stride(0) < x.shape[1] and x.shape[0] > 1):
        x = x.contiguous()
    return x, (x.data_ptr(), x.stride(0), DTYPES[x.dtype])


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A fresh array. A large one lies on huge pages that are kept for the next one (kernels/cpu/memory.cc): to fault
    them in can cost as much as the transform. torch's memory where torch would fill it, to find who reads it.
    """
    if math.prod(shape) * dtype.itemsize >= LARGE and not torch.are_deterministic_algorithms_enabled():
        capsule = _native.empty(shape, COMPLEX if dtype.is_complex else REAL, dtype.itemsize)
        if capsule is not None:
            return torch.from_dlpack(capsule)
    return torch.empty(shape, dtype=dtype)


class _SparseBank:
    """Each band's first to last non-zero weight, and the arrays that the native description points to."""

    def __init__(self, bank: Tensor, plan: FramePlan):
        n_bins = plan.n_fft // 2 + 1
        if not plan.onesided:  # both halves of the spectrum have the same power: fold the bank
            folded = bank[:n_bins].clone()
            mirrored = bank[n_bins:].flip(0)
            folded[1 : 1 + mirrored.shape[0]] += mirrored
            bank = folded
        used = bank != 0
        some = used.any(0)
        start = used.to(torch.int8).argmax(0).where(some, 0)
        stop = (n_bins - used.flip(0).to(torch.int8).argmax(0)).where(some, 0)
        count = stop - start
        bins = torch.arange(n_bins)
        inside = (bins >= start[:, None]) & (bins < stop[:, None])
        self.start, self.count = start.to(torch.int32), count.to(torch.int32)
        self.offset = (count.cumsum(0) - count).to(torch.int32)
        self.weights = torch.cat([bank.mT[inside], bank.new_zeros(1)])
        addresses = (t.data_ptr() for t in (self.start, self.count, self.offset, self.weights))
        self.native = _native.Bank(bank.shape[1], *addresses)


NO_BANK = _native.Bank(0, 0, 0, 0, 0)
_sparse: dict[tuple[int, int, bool], tuple[weakref.ref[Tensor], Tensor, _SparseBank]] = {}


def bank_of(bank: Tensor | None, plan: FramePlan) -> tuple[_native.Bank, object]:
    """The sparse form of a bank [F, K], and what owns its memory; remembered while the tensor lives.

    Compared by value on every call (microseconds): edits through `.data` leave a tensor's version as it was.
    """
    if bank is None:
        return NO_BANK, None
    key = (id(bank), plan.n_fft, plan.onesided)
    known = _sparse.get(key)
    if known is None or known[0]() is not bank or not _same(known[1], bank):
        made = _SparseBank(bank.detach(), plan)
        copy = bank.detach().clone(memory_format=torch.contiguous_format)
        known = _sparse[key] = weakref.ref(bank, lambda _: _sparse.pop(key, None)), copy, made
    return known[2].native, known[2]


def _same(copy: Tensor, bank: Tensor) -> bool:
    if bank.dtype != copy.dtype or bank.shape != copy.shape:
        return False
    if not bank.is_contiguous():
        return torch.equal(copy, bank)
    return _native.same_bytes(copy.data_ptr(), bank.data_ptr(), bank.numel() * bank.element_size())
