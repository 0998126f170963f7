"""What the four Triton backends share: who may run, number formats, the packed operands and the one way to launch.

Everything goes through `launch`, so that tests can run the same host code on Triton's interpreter, and compile or
execute each launch without a GPU.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..dispatch import triton_is_interpreted
from ..plan import DensePlan, Ending, Plan
from . import _triton_tables as tables
from ._triton_configs import Config, Gpu, config, gpu_of
from ._triton_tables import Grid

__all__ = [
    "bands",
    "basis_grad",
    "empty",
    "launch",
    "overlap_add",
    "pack_spectrum",
    "refuse",
    "scales",
    "transform",
    "work_of",
]

LOGS = {"none": 0, "ln": 1, "log10": 1, "db": 1, "log1p": 3}
LN10 = 2.302585092994046


class Format(NamedTuple):
    """How operands are stored for a precision, and what tl.dot makes of them."""

    dtype: torch.dtype
    planes: int
    dot: str
    round: bool = False


FORMATS = {
    "ieee": Format(torch.float32, 1, "ieee"),
    "tf32x3": Format(torch.float32, 1, "tf32x3"),
    "split-fp16": Format(torch.float16, 2, "ieee"),
    "tf32": Format(torch.float32, 1, "tf32", round=True),
    "bf16": Format(torch.bfloat16, 1, "ieee"),
}
TENSOR_CORES = (80, 90, 100)  # capabilities whose tf32 is several times faster than fp32


def refuse(plan: Plan, *tensors: Tensor | None) -> str | None:
    """Triton computes dense bases, in float32 or less, on CUDA tensors; on others in its interpreter alone."""
    if not isinstance(plan, DensePlan):
        return "the Triton kernels take a dense basis; a Fourier basis is faster by FFT"
    for tensor in tensors:
        if tensor is None:
            continue
        if tensor.dtype in (torch.float64, torch.complex128):
            return "the Triton kernels compute in float32"
        if tensor.device.type != "cuda" and not triton_is_interpreted():
            return f"Triton runs on CUDA tensors, not on {tensor.device} (its interpreter would, TRITON_INTERPRET=1)"
    if not _is_installed():
        return "Triton is not installed (pip install triton)"
    if 2 * plan.n_bins * (plan.n_fft + 8 * plan.n_fft // plan.hop_length) >= 2**31:
        return "the Triton kernels index fewer than 2^31 taps"
    return None


@cache
def _is_installed() -> bool:
    return importlib.util.find_spec("triton") is not None


@cache
def kernels(file: str) -> Any:
    """A file of kernels/triton; the first one imports Triton."""
    return importlib.import_module(f"fastspec.kernels.triton.{file}")


def _run(kernel: Any, grid: tuple[int, ...], args: tuple, constants: dict[str, Any], warps: int, stages: int) -> None:
    device = next(arg.device for arg in args if isinstance(arg, Tensor))
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        kernel[grid](*args, **constants, num_warps=warps, num_stages=stages, enable_fp_fusion=True)


engine: Callable[..., None] = _run


def launch(
    kernel: tuple[str, str], grid: tuple[int, ...], *args: Any, warps: int = 4, stages: int = 1, **constants: Any
) -> None:
    """Launch a kernel, (file, name), on the current stream. Tensors that a kernel does not use may be None."""
    engine(getattr(kernels(kernel[0]), kernel[1]), grid, args, constants, warps, stages)


def cdiv(a: int, b: int) -> int:
    return -(-a // b)


def empty(shape: tuple[int, ...], like: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=like.device)


def precision_of(plan: DensePlan, gpu: Gpu) -> str:
    """The precision that the plan asks for, or this GPU's default: exact to float32 rounding, and fastest so."""
    return plan.precision or ("tf32x3" if gpu.capability in TENSOR_CORES else "ieee")


class Work(NamedTuple):
    """A call: sizes, number format and the choice of tiles."""

    grid: Grid
    precision: str
    gpu: Gpu

    @property
    def plan(self) -> DensePlan:
        return self.grid.plan

    @property
    def format(self) -> Format:
        return FORMATS[self.precision]

    @property
    def is_split(self) -> bool:
        return self.format.planes == 2

    def config(self, product: str) -> Config:
        return config(product, self.precision, self.plan, self.grid.frames, self.gpu)

    def constants(self) -> dict[str, Any]:
        return {"PLANES": self.format.planes, "ROUND": self.format.round}


def work_of(plan: DensePlan, like: Tensor, samples: int) -> Work:
    """For as many clips as `like` has, where it is."""
    gpu = gpu_of(like.device)
    return Work(Grid(plan, like.shape[0], samples), precision_of(plan, gpu), gpu)


def ending_of(ending: Ending, log: bool = True) -> tuple[tuple[float, ...], dict[str, int]]:
    """The arguments eps, half, floor, factor and the constants of kernels/triton/endings.py."""
    kind = LOGS[ending.log] if log else 0
    if kind == 1 and ending.floor_mode == "add":
        kind = 2
    factor = {"log10": 1 / LN10, "db": ending.multiplier / LN10, "log1p": ending.scale}.get(ending.log, 1.0)
    power = int(ending.power) if ending.power in (1.0, 2.0) else 0
    return (ending.eps, ending.power / 2, ending.floor, factor), {"POWER": power, "LOG": kind}


@lru_cache(maxsize=64)
def _ones(n: int, device: torch.device, value: float = 1.0) -> Tensor:
    return torch.full((n,), value, device=device)


def scales(work: Work, t: Tensor, common: bool = False) -> tuple[Tensor, Tensor]:
    """Powers of two [B] for t [B, ...], and what undoes them: for "split-fp16" they bring the largest to 2^14.

    `common`: the same for every clip. Samples of int16 are also multiplied by 1 / 32768, which nothing undoes.
    """
    batch = t.shape[0]
    if t.dtype == torch.int16:
        shift = 14 if work.is_split else 0
        return _ones(batch, t.device, 2.0 ** (shift - 15)), _ones(batch, t.device, 2.0**-shift)
    if not work.is_split:
        return _ones(batch, t.device), _ones(batch, t.device)
    sizes = t.flatten(1) if not t.is_complex() else torch.view_as_real(t).flatten(1)
    largest = sizes.abs().nan_to_num(0.0, 0.0, 0.0).amax(1)
    if common:
        largest = largest.amax().expand(batch)
    exponent = (14 - largest.clamp(1e-30, 1e30).log2().ceil()).contiguous()
    return torch.exp2(exponent), torch.exp2(-exponent)


def pack_wave(work: Work, x: Tensor, scale: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The row grid of x [B, T] and its rows' marks of NaN and infinity."""
    g, plan = work.grid, work.plan
    block_rows, columns = g.row_block
    plane = g.rows * g.P + g.tail
    c = empty((work.format.planes, plane), x, work.format.dtype)
    dirty = empty((g.P // columns, g.rows), x, torch.int8)
    tiles = cdiv(g.U + cdiv(g.tail, g.P), block_rows) * (g.P // columns)
    if x.stride(1) != 1 and x.shape[1] > 1:
        x = x.contiguous()
    launch(
        ("pack", "wave"), (g.B * tiles,),
        x, lengths, scale, c, dirty, x.stride(0), g.T, g.U, plan.pad, plane, g.tail, g.B, tiles,
        HOP=plan.hop_length, P=g.P, MODE=plan.pad_mode, RAGGED=lengths is not None,
        BU=block_rows, BR=columns, **work.constants(),
    )  # fmt: skip
    return c, dirty


def pack_basis(work: Work, basis: Tensor, transposed: bool) -> tuple[Tensor, Tensor]:
    """The basis matrix W [planes, R, K], or its transpose [planes, K, R], flat, and what undoes its scale [1]."""
    g, plan = work.grid, work.plan
    scale, unscale = scales(work, basis.reshape(1, -1))
    w = empty((work.format.planes * g.R * g.K + 2 * tables.SLACK,), basis, work.format.dtype)
    launch(
        ("pack", "basis"), (cdiv(g.R, 32), cdiv(g.K, 64)),
        basis, tables.places(plan, basis.device), scale, w, w, plan.offsets[-1], plan.n_bins, g.R, g.K, g.R * g.K,
        HOP=plan.hop_length, P=g.P, STRAIGHT=not transposed, TRANSPOSE=transposed, BR=32, BK=64, **work.constants(),
    )  # fmt: skip
    return w, unscale


def pack_spectrum(
    work: Work,
    y: Tensor,
    scale: Tensor,
    *,
    frames_first: bool,
    bins_first: bool,
    grad: Tensor | None = None,
    ending: Ending | None = None,
) -> tuple[Tensor, Tensor]:
    """The spectrum matrix of y [B, F, M] in the layouts of overlap_add and of basis_grad; empty where not wanted.

    With grad, that of the gradient in y where grad is that in v = (|y|^2 + eps)^(p / 2), or in its compression.
    """
    g, plan = work.grid, work.plan
    lead = g.Q - 1 if frames_first else 0
    total = lead + g.rows
    frames = empty((work.format.planes, total if frames_first else 0, g.R), y, work.format.dtype)
    bins = empty((work.format.planes, g.R, g.G if bins_first else 0), y, work.format.dtype)
    numbers, kinds = ending_of(ending or Ending())
    launch(
        ("pack", "spectrum"), (cdiv(lead + (g.G if bins_first else g.rows), 32), cdiv(g.R, 32)),
        torch.view_as_real(y), grad, tables.places(plan, y.device), scale, frames, bins,
        g.B, g.M, g.U, plan.n_bins, g.R, g.G, lead, total, total * g.R, g.R * g.G, *numbers,
        GRAD=grad is not None, FRAMES=frames_first, BINS=bins_first, BG=32, BF=16, **kinds, **work.constants(),
    )  # fmt: skip
    return frames, bins


def is_ieee(work: Work) -> bool:
    return work.format.dot == "ieee" and work.format.dtype == torch.float32


def transform(
    work: Work,
    x: Tensor,
    basis: Tensor,
    ending: Ending | None = None,
    *,
    y: Tensor | None = None,
    v: Tensor | None = None,
    log: bool = True,
    lengths: Tensor | None = None,
) -> None:
    """Write frames times basis to y [B, F, M] complex, or its power to v [B, F, M], compressed where `log`, or both."""
    g, plan = work.grid, work.plan
    BM, columns, BK, warps, stages = work.config("frame_transform")
    BF = columns // 2
    scale, unscale = scales(work, x)
    c, dirty = pack_wave(work, x, scale, lengths)
    w, unscale_w = pack_basis(work, basis, transposed=is_ieee(work))
    if work.is_split:
        unscale = unscale * unscale_w
    counts = None
    if lengths is not None:
        counts = ((lengths + 2 * plan.pad - plan.n_fft) // plan.hop_length + 1).clamp(0).to(torch.int32)
    items, blocks, parts = tables.items(plan, BF, x.device)
    places = tables.places(plan, x.device)
    partial = empty((parts, g.frames, columns), x) if parts else None
    out = None if y is None else torch.view_as_real(y)
    numbers, kinds = ending_of(ending or Ending(), log)
    ends = dict(Y=y is not None, V=v is not None, **kinds)
    launch(
        ("frame_transform", "transform"), (len(items) * cdiv(g.frames, BM),),
        c, w, items, places, counts, unscale, partial, out, v,
        len(items), g.M, g.U, g.frames, plan.n_bins, g.R, g.K, c.stride(0), g.R * g.K, *numbers,
        P=g.P, RAGGED=lengths is not None, PLANES=work.format.planes, DOT=work.format.dot,
        TRANSPOSED=is_ieee(work), PARTS=parts > 0, BM=BM, BF=BF, BK=BK, warps=warps, stages=stages, **ends,
    )  # fmt: skip
    if parts:
        launch(
            ("frame_transform", "add_items"), (cdiv(g.frames, 32), len(blocks)),
            partial, blocks, places, out, v, g.M, g.frames, plan.n_bins, *numbers, BM=32, BF=BF, **ends,
        )  # fmt: skip
    if not tables.is_exact(plan, BF, BK):
        strides = (g.R, 1) if is_ieee(work) else (1, g.K)
        launch(
            ("frame_transform", "mend"), (cdiv(g.frames, 32), cdiv(plan.n_bins, BF)),
            c, w, tables.ranges(plan, BF, x.device), places, counts, dirty, unscale, out, v,
            g.M, g.U, g.frames, plan.n_bins, g.R, *strides, c.stride(0), g.R * g.K, len(dirty), g.rows, *numbers,
            HOP=plan.hop_length, P=g.P, RAGGED=lengths is not None, PLANES=work.format.planes,
            BM=32, BF=BF, BK=32, **ends,
        )  # fmt: skip


def overlap_add(
    work: Work, frames: Tensor, unscale: Tensor, basis: Tensor, lengths: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """Samples [B, T] from the spectrum matrix with frames first."""
    g, plan = work.grid, work.plan
    BM, BN, BK, warps, stages = work.config("overlap_add")
    w, unscale_w = pack_basis(work, basis, transposed=not is_ieee(work))
    programs = cdiv(g.P, BN) * cdiv(g.rows, BM)
    splits = max(1, min(4, round(2 * work.gpu.processors / programs)))
    first, steps = tables.steps(plan, BN, BK, splits, basis.device)
    gc = empty((splits, g.rows, g.P), basis)
    launch(
        ("overlap_add", "product"), (programs, splits),
        frames, w, gc, first, steps, cdiv(g.P, BN), g.rows, g.R, g.K, frames.stride(0), g.R * g.K,
        P=g.P, Q=g.Q, PLANES=work.format.planes, DOT=work.format.dot, STRAIGHT=is_ieee(work),
        BM=BM, BN=BN, BK=BK, warps=warps, stages=stages,
    )  # fmt: skip
    if out is None:
        out = empty((g.B, g.T), basis)
    block_rows, columns = g.row_block
    tiles = cdiv(cdiv(g.T + plan.pad, plan.hop_length), block_rows) * (g.P // columns)
    launch(
        ("overlap_add", "fold"), (g.B * tiles,),
        gc, lengths, unscale * unscale_w if work.is_split else unscale, out,
        g.T, g.U, plan.pad, splits, gc.stride(0), tiles,
        HOP=plan.hop_length, P=g.P, MODE=plan.pad_mode, RAGGED=lengths is not None,
        BU=block_rows, BR=columns, BP=256,
    )  # fmt: skip
    return out


def basis_grad(
    work: Work,
    bins: Tensor,
    unscale: Tensor,
    x: Tensor,
    lengths: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Packed taps [2, S] from the spectrum matrix with bins first, whose scale is common to the clips."""
    g, plan = work.grid, work.plan
    BR, BN, BK, warps, stages = work.config("basis_grad")
    scale, unscale_x = scales(work, x, common=True)
    c, _ = pack_wave(work, x, scale, lengths)
    tiles = tables.tiles(plan, BR, BN, x.device)
    splits = max(1, min(16, round(2 * work.gpu.processors / len(tiles)), g.rows // 256))
    chunk = tables.up(cdiv(g.rows, splits), BK)
    splits = cdiv(g.rows, chunk)
    partial = empty((splits, len(tiles), BR, BN), x)
    launch(
        ("basis_grad", "product"), (len(tiles), splits),
        bins, c, partial, tiles, chunk, g.rows, g.R, g.G, bins.stride(0), c.stride(0),
        P=g.P, PLANES=work.format.planes, DOT=work.format.dot, BR=BR, BN=BN, BK=BK, warps=warps, stages=stages,
    )  # fmt: skip
    if out is None:
        out = empty((2, plan.offsets[-1]), x)
    launch(
        ("basis_grad", "add_splits"), (len(tiles), BR // 16),
        partial, tiles, tables.places(plan, x.device), unscale * unscale_x if work.is_split else unscale, out,
        len(tiles), splits, plan.offsets[-1], plan.n_bins, HOP=plan.hop_length, P=g.P, BR=BR, BN=BN, ROWS=16,
    )  # fmt: skip
    return out


def bands(v: Tensor, bank: Tensor, ending: Ending | None, out: Tensor, grad: Tensor | None = None) -> None:
    """out [B, J, M] = compress(bank^T v), or with grad [B, J, M] times the slope of the compression instead.

    v is [B, I, M], or a complex spectrum whose power is taken; without an ending nothing is compressed.
    """
    batch, n_in, frames = v.shape
    n_out = bank.shape[1]
    numbers, kinds = ending_of(ending or Ending())
    launch(
        ("spectral_power", "bands"), (batch * cdiv(frames, 64), cdiv(n_out, 32)),
        torch.view_as_real(v) if v.is_complex() else v, bank, grad, out,
        frames, n_in, n_out, *bank.stride(), *numbers,
        SPECTRUM=v.is_complex(), SLOPE=grad is not None, BM=64, BJ=32, BI=32, **kinds,
    )  # fmt: skip
