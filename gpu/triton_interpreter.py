"""Triton's interpreter made honest: what it lets pass in 3.x, it does not here.

As shipped, the interpreter
1. computes `tl.dot` in float32 whatever `input_precision` says,
2. multiplies the raw 16-bit patterns of bfloat16,
3. reads and writes any address, and lets two programs of one launch write the same element,
4. cannot time anything: `triton.autotune` and benchmarks find no driver.

`install()` cures all four, for the whole process, which must have started with TRITON_INTERPRET=1;
tests/interpreted_triton.py shows that each cure catches its fault. It never sees shared memory, pipelining or what
the compiler makes of the kernel: those are seen by compiling it and executing the PTX (triton_offline.py).
"""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl
from triton.runtime import interpreter


class OutOfBounds(Exception):
    """A load, store or atomic touched memory outside every tensor argument of the launch."""


class Overlap(Exception):
    """Two programs of a launch, or two lanes of one store, wrote the same element."""


def truncated(v: np.ndarray) -> np.ndarray:
    """What the tensor core makes of a float32 for tf32: the low 13 bits are not there."""
    return (v.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def rounded(v: np.ndarray) -> np.ndarray:
    """cvt.rna.tf32.f32."""
    bits = (v.view(np.uint32).astype(np.uint64) + 0x1000) & 0xFFFFE000
    return bits.astype(np.uint32).view(np.float32)


def _numbers(handle) -> np.ndarray:
    """The values of a tile; the interpreter keeps bfloat16 as the bit pattern."""
    if handle.dtype.scalar == tl.bfloat16:
        return (handle.data.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(handle.data)


def _dot(self, a, b, d, input_precision, max_num_imprecise_acc):
    x, y = _numbers(a), _numbers(b)
    name = str(getattr(input_precision, "name", input_precision)).lower()
    if np.issubdtype(x.dtype, np.integer):
        product = x.astype(np.int64) @ y.astype(np.int64)
    elif a.dtype.scalar == tl.float32 and name in ("tf32x3", "tf32"):
        if name == "tf32":
            product = truncated(x).astype(np.float64) @ truncated(y)
        else:
            x_hi, y_hi = rounded(x), rounded(y)
            x_lo, y_lo = rounded(x - x_hi), rounded(y - y_hi)
            product = x_lo.astype(np.float64) @ y_hi + x_hi.astype(np.float64) @ y_lo
            product += x_hi.astype(np.float64) @ y_hi
    elif a.dtype.scalar == tl.float32 and name != "ieee":
        raise NotImplementedError(f"tl.dot with input_precision {name!r}")
    else:
        product = x.astype(np.float64) @ y.astype(np.float64)
    return interpreter.TensorHandle((product + d.data).astype(d.data.dtype), d.dtype.scalar)


class _Launch:
    """Memory of the launch that runs: the tensors' ranges, and who wrote which byte."""

    ranges: tuple[tuple[int, int], ...] = ()
    writers: dict[int, np.ndarray] = {}  # noqa: RUF012 (replaced at every launch)


def _begin(tensors) -> None:
    ranges = set()
    for tensor in tensors:
        if tensor.numel():
            last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) + 1
            ranges.add((tensor.data_ptr(), tensor.data_ptr() + last * tensor.element_size()))
    _Launch.ranges = tuple(ranges)
    _Launch.writers = {lo: np.full(hi - lo, -1, np.int64) for lo, hi in ranges}


def _check(builder, ptrs, mask, what: str) -> None:
    lanes = np.asarray(ptrs.data).astype(np.uint64).ravel().astype(np.int64)
    lanes = lanes[np.broadcast_to(np.asarray(mask.data, bool), ptrs.data.shape).ravel()]
    size = max(1, ptrs.dtype.element_ty.primitive_bitwidth // 8)
    home = np.full(lanes.shape, -1, np.int64)
    for lo, hi in _Launch.ranges:
        home[(lanes >= lo) & (lanes + size <= hi)] = lo
    program = tuple(builder.grid_idx)
    if (home < 0).any():
        bad = lanes[home < 0]
        raise OutOfBounds(f"{what} of program {program}: {bad.size} lanes outside every tensor, first at {bad[0]:#x}")
    if what != "store":
        return
    if np.unique(lanes).size < lanes.size:
        raise Overlap(f"program {program} stores one element twice in one instruction")
    me = int(np.dot(program, (1, 1 << 21, 1 << 42)))
    for lo in np.unique(home):
        writers, at = _Launch.writers[int(lo)], lanes[home == lo] - lo
        taken = (writers[at] >= 0) & (writers[at] != me)
        if taken.any():
            other = int(writers[at][taken][0])
            other = (other & 0x1FFFFF, other >> 21 & 0x1FFFFF, other >> 42)
            raise Overlap(f"programs {other} and {program} store the same element")
        writers[at] = me


class _Driver:
    """Stands for a GPU driver: every configuration runs once, in no time."""

    def get_benchmarker(self):
        return lambda fn, quantiles=None, **_: (fn(), [0.0, 0.0, 0.0])[1]

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 80, 32)

    def get_current_device(self):
        return 0

    def get_device_interface(self):
        return torch.cpu


def install() -> None:
    """Cure the interpreter of this process. Needs TRITON_INTERPRET=1 from the start; twice does no harm."""
    if not triton.knobs.runtime.interpret:
        raise RuntimeError("Triton's interpreter is off: start the process with TRITON_INTERPRET=1")
    builder = type(interpreter.interpreter_builder)
    if builder.create_dot is _dot:
        return
    builder.create_dot = _dot
    load, store = builder.create_masked_load, builder.create_masked_store

    def checked_load(self, ptrs, mask, *rest, **kw):
        _check(self, ptrs, mask, "load")
        return load(self, ptrs, mask, *rest, **kw)

    def checked_store(self, ptrs, value, mask, *rest, **kw):
        _check(self, ptrs, mask, "store")
        return store(self, ptrs, value, mask, *rest, **kw)

    def no_atomic(self, *_, **__):
        raise NotImplementedError("atomics: the kernels are deterministic and have none")

    builder.create_masked_load, builder.create_masked_store = checked_load, checked_store
    builder.create_atomic_rmw = builder.create_atomic_cas = no_atomic

    prepare = interpreter.GridExecutor._init_args_hst

    def prepared(self, args, kwargs):
        args, kwargs = prepare(self, args, kwargs)
        values = [getattr(v, "base", v) for v in (*args, *kwargs.values())]
        _begin([v for v in values if isinstance(v, torch.Tensor)])
        return args, kwargs

    interpreter.GridExecutor._init_args_hst = prepared
    run = interpreter.GridExecutor.__call__

    def quiet(self, *args, **kwargs):
        with np.errstate(all="ignore"):  # a GPU does not warn of ln 0
            return run(self, *args, **kwargs)

    interpreter.GridExecutor.__call__ = quiet
    triton.runtime.driver.set_active(_Driver())
