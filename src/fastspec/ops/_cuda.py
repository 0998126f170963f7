"""What the four CUDA backends share: what they refuse, plans as kernel arguments, and the shapes of launches.

Everything up to `Launch` is a pure function of plan, types and sizes, so that tests, the compile gate and the GPU
model look at exactly the kernels that run.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .. import _launch
from .._launch import C_NAMES, Kernel, Launch
from ..plan import Ending, FramePlan, Plan

__all__ = [
    "Clips",
    "Gather",
    "Layout",
    "bank_args",
    "ending_args",
    "fft_args",
    "frames_args",
    "gather",
    "layout",
    "refuse",
    "tiles",
]

T = TypeVar("T")
MIN_N_FFT, MAX_N_FFT = 16, 16384
PAD_MODES = {"none": 0, "constant": 1, "reflect": 2, "replicate": 3, "circular": 4}
SAMPLES = (torch.float32, torch.float64, torch.int16, torch.float16, torch.bfloat16)
THREADS = 256
MAX_TILE = 32  # frames that a block transforms at once
MAX_PARTIAL = 2048  # rows of partial sums for the window
TILE_BYTES = 36 << 10  # of shared memory; several blocks then fit on a multiprocessor


def refuse(plan: Plan, *tensors: Tensor | None) -> str | None:
    """The CUDA kernels run where the launch seam does, for 5-smooth n_fft whose frame fits in shared memory."""
    if not isinstance(plan, FramePlan):
        return "the CUDA kernels compute Fourier transforms of frames, not a dense basis"
    first = next(t for t in tensors if t is not None)
    for tensor in tensors:
        if tensor is None:
            continue
        if reason := _launch.refuse(tensor.device):
            return reason
        if tensor.dtype not in SAMPLES and tensor.dtype not in (torch.complex64, torch.complex128):
            return f"the CUDA kernels compute in float32 and float64, not in {tensor.dtype}"
    if plan.prepared:
        return "the CUDA kernels take frames as they are, without preemphasis and remove_dc"
    if not MIN_N_FFT <= plan.n_fft <= MAX_N_FFT:
        return f"the CUDA kernels take n_fft from {MIN_N_FFT} to {MAX_N_FFT}, not {plan.n_fft}"
    if radices(plan.n_fft) is None:
        return f"the CUDA kernels take n_fft without prime factors above 5, not {plan.n_fft}"
    needed = frame_bytes(plan.n_fft, real_of(first.dtype))
    if needed > (limit := _launch.shared_limit(first.device)):
        return f"a frame of {plan.n_fft} needs {needed} bytes of shared memory, {first.device} has {limit}"
    return None


def real_of(dtype: torch.dtype) -> torch.dtype:
    """The dtype that samples or spectra of this dtype are computed in."""
    return torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32


# ---- the transform --------------------------------------------------------------------------------------------------


def points_of(n_fft: int) -> int:
    """Complex points of one frame's transform."""
    return n_fft if n_fft % 2 else n_fft // 2


@lru_cache(maxsize=1024)
def radices(n_fft: int) -> tuple[int, ...] | None:
    """The radices of the passes over one frame, or None when n_fft has a prime factor above 5."""
    rest, twos, odd = points_of(n_fft), 0, []
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    for radix in (5, 3):
        while rest % radix == 0:
            rest //= radix
            odd.append(radix)
    if rest != 1:
        return None
    passes = -(-twos // 4)  # as few as radix 16 allows, and even
    return (*(1 << (twos + i) // passes for i in reversed(range(passes))), *odd)


def pitch_of(n_fft: int) -> int:
    """Complex numbers from one frame to the next in shared memory: odd, so that frames lie in different banks."""
    return -(-points_of(n_fft) // 16) * 16 + 1


def frame_bytes(n_fft: int, real: torch.dtype, frames: int = 1) -> int:
    """Shared memory of some frames; the last one needs no gap behind it."""
    return (frames * pitch_of(n_fft) - 1) * 2 * real.itemsize


@lru_cache(maxsize=256)
def fft_args(n_fft: int, real: torch.dtype, device: torch.device) -> dict[str, Any]:
    """The fields of `Fft` in kernels/cuda/fft.cuh, tables made in float64."""
    passes, points = radices(n_fft), points_of(n_fft)
    assert passes is not None
    slots, rest, apart = np.zeros(points, np.int64), np.arange(points), points
    for radix in passes:
        apart //= radix
        slots += rest % radix * apart
        rest //= radix
    slots ^= slots >> 4 & 15
    twiddles = np.exp(-2j * np.pi * np.arange(n_fft) / n_fft)
    with torch.inference_mode(False):
        return {
            "twiddles": torch.tensor(twiddles, dtype=real.to_complex(), device=device),
            "slots": torch.tensor(slots, dtype=torch.int32, device=device),
            "radices": sum(radix << 8 * i for i, radix in enumerate(passes)),
            "points": points,
            "pitch": pitch_of(n_fft),
        }


# ---- clips and tiles ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clips:
    """The clips of one launch: B of them, T samples and M frames each; or ragged ones, one after the other.

    Attributes:
        batch: B.
        samples, frames: T and M of every clip; of ragged clips the sums.
        most_samples, most_frames: of the longest clip.
        sample_offsets, frame_offsets: int64 [B + 1] on the device where ragged clips begin, or None.
    """

    batch: int
    samples: int
    frames: int
    most_samples: int
    most_frames: int
    sample_offsets: Tensor | None = None
    frame_offsets: Tensor | None = None

    @staticmethod
    def uniform(batch: int, samples: int, plan: FramePlan) -> Clips:
        """B clips of one length."""
        frames = plan.n_frames(samples)
        return Clips(batch, samples, frames, samples, frames)

    @staticmethod
    def ragged(lengths: list[int], plan: FramePlan, device: torch.device | str) -> Clips:
        """Clips of these lengths: samples [1, sum of lengths], spectra [1, F, sum of frames].

        Raises:
            ValueError: a clip is too short for the plan.
        """
        for length in lengths:
            plan.check_length(length)
        samples = np.cumsum([0, *lengths])
        frames = np.cumsum([0, *map(plan.n_frames, lengths)])
        offsets = torch.tensor(np.stack([samples, frames]), device=device)
        most = max(lengths)
        return Clips(len(lengths), int(samples[-1]), int(frames[-1]), most, plan.n_frames(most), *offsets.unbind())

    @property
    def leading(self) -> int:
        """First dimension of the arrays."""
        return self.batch if self.sample_offsets is None else 1


@lru_cache(maxsize=1024)
def _plan_args(plan: FramePlan) -> dict[str, Any]:
    return {
        "hop": plan.hop_length,
        "pad": plan.pad,
        "n_fft": plan.n_fft,
        "left": plan.left,
        "win_length": plan.win_length,
        "pad_mode": PAD_MODES[plan.pad_mode],
        "bins": plan.n_fft // 2 + 1,
        "onesided": int(plan.onesided),
    }


def frames_args(plan: FramePlan, clips: Clips) -> dict[str, Any]:
    """The fields of `Frames` in kernels/cuda/framing.cuh."""
    return {
        "samples": clips.samples,
        "frames": clips.frames,
        "sample_offsets": clips.sample_offsets,
        "frame_offsets": clips.frame_offsets,
        **_plan_args(plan),
    }


@dataclass(frozen=True)
class Layout:
    """A block of the general kernels: `tile` frames at once, `lanes` threads each, in shared memory."""

    tile: int
    lanes: int
    shared_bytes: int


@lru_cache(maxsize=1024)
def layout(n_fft: int, real: torch.dtype, most_frames: int, bands: int = 0) -> Layout:
    """As many frames as threads and shared memory have room for, but not more than the longest clip has.

    bands: numbers that each frame needs beside its transform.
    """
    tile = 1
    while tile < min(MAX_TILE, most_frames) and _tile_bytes(n_fft, real, 2 * tile, bands) <= TILE_BYTES:
        tile *= 2
    lanes = THREADS // tile
    while lanes > 8 and lanes > points_of(n_fft):
        lanes //= 2
    return Layout(tile, lanes, _tile_bytes(n_fft, real, tile, bands))


def _tile_bytes(n_fft: int, real: torch.dtype, tile: int, bands: int) -> int:
    if bands == 0:
        return frame_bytes(n_fft, real, tile)
    return tile * (2 * pitch_of(n_fft) + bands) * real.itemsize


def tiles(clips: Clips, tile: int) -> int:
    """Tiles of the longest clip."""
    return -(-clips.most_frames // tile)


# ---- from spectra back to samples and window ------------------------------------------------------------------------


@dataclass(frozen=True)
class Gather:
    """How the blocks of an adjoint kernel share a padded clip: `hops` hops each, `runs` blocks for the longest."""

    hops: int
    runs: int
    blocks: int


def gather(plan: FramePlan, clips: Clips, tile: int, need_x: bool, need_window: bool) -> Gather:
    """Runs long enough that frames computed twice, at their seams, are at most a quarter of all."""
    halo = (plan.n_fft - 1) // plan.hop_length if need_x else 0
    total = -(-(clips.most_samples + 2 * plan.pad) // plan.hop_length)
    hops = max(tile, 3 * halo)
    if need_window:  # a row of partial sums a block: not too many of them
        hops = max(hops, clips.batch * total // MAX_PARTIAL)
    hops = min(-(-(hops + halo) // tile) * tile - halo, total)
    runs = -(-total // hops)
    return Gather(hops, runs, clips.batch * runs)


class Gradients:
    """The results of an adjoint kernel, and the launches after it that finish them.

    Attributes:
        x: [B, T] (or [1, sum of T]), or None.
        window: [win_length], or None.
        args: the fields of `Gradient` in kernels/cuda/adjoint.cuh.
    """

    def __init__(
        self,
        plan: FramePlan,
        clips: Clips,
        shares: Gather,
        real: torch.dtype,
        device: torch.device,
        need_x: bool,
        need_window: bool,
    ):
        def empty(needed: bool, *shape: int) -> Tensor | None:
            return torch.empty(shape, dtype=real, device=device) if needed else None

        folds = need_x and plan.pad > 0 and plan.pad_mode not in ("none", "constant")
        self.plan, self.clips = plan, clips
        self.x = empty(need_x, clips.leading, clips.samples)
        self.window = empty(need_window, plan.win_length)
        self._edge = empty(folds, clips.batch, 2 * plan.pad)
        self._partial = empty(need_window, shares.blocks, plan.win_length)
        self.args = {
            "x": self.x,
            "edge": self._edge,
            "partial": self._partial,
            "hops": shares.hops,
            "runs": shares.runs,
        }

    def finish(self) -> tuple[Tensor | None, Tensor | None]:
        """x and window, complete."""
        if self._edge is not None:
            fold_launch(self._edge.dtype, self.clips.batch)(
                edge=self._edge, x=self.x, f=frames_args(self.plan, self.clips)
            )
        if self._partial is not None:
            rows, columns = self._partial.shape
            sum_launch(self._partial.dtype, columns)(partial=self._partial, out=self.window, rows=rows, columns=columns)
        return self.x, self.window


def fold_launch(real: torch.dtype, batch: int) -> Launch:
    """The adjoint of padding, a block a clip."""
    kernel = Kernel("overlap_add.cu", "overlap_add_fold_kernel", (C_NAMES[real],))
    return Launch(kernel, batch, (THREADS, 1), THREADS * real.itemsize)


def sum_launch(real: torch.dtype, columns: int) -> Launch:
    """The sum over rows of partial sums for the window."""
    kernel = Kernel("basis_grad.cu", "basis_grad_sum_kernel", (C_NAMES[real],))
    return Launch(kernel, -(-columns // 32), (32, 8), THREADS * real.itemsize)


# ---- filterbank and ending ------------------------------------------------------------------------------------------

_derived: dict[tuple[Any, ...], tuple[weakref.ref[Tensor], int, Any]] = {}


def derived(bank: Tensor, what: tuple[Any, ...], build: Callable[[Tensor], T]) -> T:
    """build(bank), remembered under `what` while the tensor lives unchanged; see `may_change`."""
    key = (id(bank), *what)
    known = _derived.get(key)
    if known is not None and known[0]() is bank and known[1] == bank._version and not bank.requires_grad:
        return known[2]
    made = build(bank.detach())
    if not may_change(bank):
        _derived[key] = weakref.ref(bank, lambda _: _derived.pop(key, None)), bank._version, made
    return made


def may_change(bank: Tensor) -> bool:
    """True where nothing may be remembered of a bank: its version counts changes, but not for a trainable one, which
    old optimisers change through `.data` unnoticed, nor while a CUDA graph is captured, whose memory is its own."""
    return bank.requires_grad or bank.is_inference() or (bank.is_cuda and torch.cuda.is_current_stream_capturing())


def bank_args(bank: Tensor | None, plan: FramePlan) -> dict[str, Any]:
    """The fields of `Bank` in kernels/cuda/ending.cuh: the weights as they are, and where they are not zero.

    Where is found on the device, without a look from here.
    """
    if bank is None:
        return {"weights": None, "bands": None, "bins": None, "count": 0}
    return derived(bank, ("bank", plan), lambda bank: _bank_args(bank, plan))


def _bank_args(bank: Tensor, plan: FramePlan) -> dict[str, Any]:
    weights = bank.contiguous()
    n_bins = plan.n_fft // 2 + 1
    used = weights != 0
    if not plan.onesided:  # the powers of both halves are the same: band k has bin q and its mirror image
        mirrored = used[n_bins:].flip(0)
        used = used[:n_bins].clone()
        used[1 : 1 + mirrored.shape[0]] |= mirrored
    return {"weights": weights, "bands": support(used), "bins": support(used.mT), "count": bank.shape[1]}


def support(used: Tensor) -> Tensor:
    """[columns, 2] int32: the first row that is used in each column of [rows, columns], and the one behind the last."""
    rows = torch.arange(used.shape[0], device=used.device)[:, None]
    first = rows.where(used, used.shape[0]).amin(0)
    stop = (rows + 1).where(used, 0).amax(0)
    return torch.stack([first.minimum(stop), stop], 1).to(torch.int32)


@lru_cache(maxsize=1024)
def ending_args(ending: Ending) -> dict[str, Any]:
    """The fields of `EndingArgs` in kernels/cuda/ending.cuh."""
    factor = {"ln": 1.0, "log10": 1.0 / math.log(10.0), "db": ending.multiplier / math.log(10.0)}
    return {
        "power": ending.power,
        "eps": ending.eps,
        "multiplier": factor.get(ending.log, 1.0),
        "floor": ending.floor,
        "scale": ending.scale,
        "log": {"none": 0, "log1p": 2}.get(ending.log, 1),
        "add": int(ending.floor_mode == "add"),
    }
