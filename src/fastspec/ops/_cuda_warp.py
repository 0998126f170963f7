"""spectral_power by warps: when the fast kernels of kernels/cuda/spectral_power_warp.cu run, and what they are given.

They compute in float32, for four n_fft, all bins of a real signal (onesided); everything else is left to the general
kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._launch import C_NAMES, Kernel, Launch
from ..plan import Ending, FramePlan
from ._cuda import Clips, derived, frames_args, may_change, support

__all__ = ["backward", "choose_backward", "choose_forward", "forward"]

FILE = "spectral_power_warp.cu"
THREADS, WARPS = 256, 8
BLOCKS = 528  # two on each of the 132 multiprocessors of an H100, twice: from there on blocks take several tiles
MOST_TILES = {"forward": 4, "backward": 8}
MAX_SAMPLES, MAX_CELLS = 1 << 30, 1 << 31  # of a clip and of its result: indices are 32-bit


@dataclass(frozen=True)
class Core:
    """What kernels/cuda/warp_*.cuh fix for one n_fft.

    Attributes:
        name: of the struct; its argument is the hop in units of `unit` samples, 0 for any, or 1 where every frame
            starts at a multiple of 8 bytes (unit 0).
        frames: of a tile.
        rotations: floats of the tables in shared memory, beside the window.
        exchange: floats a warp.
        bin_tile, frame_tile: floats of the tile of bins, and of the one that bands read.
        hops: known to the compiler.
    """

    name: str
    frames: int
    rotations: int
    exchange: int
    bin_tile: int
    frame_tile: int
    unit: int
    hops: tuple[int, ...] = ()
    backward: bool = False


CORES = {
    400: Core("Warp400", 24, 600, 1212, 201 * 29, 24 * 204, 0),
    512: Core("Warp512", 32, 512, 1312, 257 * 32, 32 * 260, 16, (128, 160, 256)),
    1024: Core("Warp1024", 16, 1024, 1152, 513 * 16, 16 * 516, 32, (128, 160, 256, 512), backward=True),
    2048: Core("Warp2048", 8, 1024, 1152, 1025 * 8, 8 * 1028, 0),
}


# ---- choices: pure functions of plan, types and sizes ---------------------------------------------------------------


def _core(plan: FramePlan, sample: torch.dtype, bands: int, clips: Clips) -> Core | None:
    core = CORES.get(plan.n_fft)
    rows = bands or plan.n_bins
    if core is None or not plan.onesided or plan.prepared or sample == torch.float64:
        return None
    if clips.most_samples + 2 * plan.pad + plan.n_fft >= MAX_SAMPLES or plan.hop_length >= MAX_SAMPLES // 64:
        return None
    return core if rows * clips.frames < MAX_CELLS else None


def _core_type(core: Core, plan: FramePlan, sample: torch.dtype, clips: Clips, aligned: bool) -> str:
    if core.unit:
        argument = plan.hop_length // core.unit if plan.hop_length in core.hops else 0
    else:  # every frame of every clip starts at an even sample
        even = plan.hop_length % 2 == 0 and plan.pad % 2 == 0 and aligned and sample == torch.float32
        argument = int(even and clips.sample_offsets is None and (clips.batch == 1 or clips.samples % 2 == 0))
    return f"fastspec::{core.name}<{argument}>"


def _form(ending: Ending) -> str:
    return {1.0: "1", 2.0: "2"}.get(ending.power, "0")


def _tiles(total: int, what: str) -> int:
    """Tiles that a block does in turn: as many as leave work for every multiprocessor."""
    return max(1, min(MOST_TILES[what], total // BLOCKS))


def choose_forward(
    plan: FramePlan,
    sample: torch.dtype,
    out: torch.dtype,
    ending: Ending,
    bands: int,
    clips: Clips,
    aligned: bool = True,
) -> tuple[Launch, int, int] | None:
    """The launch, its blocks a clip and tiles a block; None where the general kernel runs.

    Args:
        bands: K, or 0 without a bank.
        aligned: the samples start at a multiple of 8 bytes.
    """
    core = _core(plan, sample, bands, clips)
    if core is None or out == torch.float64:
        return None
    total = -(-clips.most_frames // core.frames)
    tiles = _tiles(total * clips.batch, "forward")
    blocks = -(-total // tiles)
    types = (
        _core_type(core, plan, sample, clips, aligned),
        C_NAMES[sample],
        C_NAMES[out],
        _form(ending),
        str(bands > 0 or ending.log != "none").lower(),
        str(bands > 0).lower(),
    )
    tile = core.frame_tile if bands else core.bin_tile
    floats = plan.n_fft + core.rotations + max(WARPS * core.exchange, tile)
    launch = Launch(Kernel(FILE, "warp_power_fwd_kernel", types), clips.batch * blocks, (THREADS, 1), 4 * floats)
    return launch, blocks, tiles


def choose_backward(
    plan: FramePlan, sample: torch.dtype, ending: Ending, bands: int, shared: int, clips: Clips
) -> tuple[Launch, int, int, int] | None:
    """The launch, its blocks a clip, hops that a block owns, frames it computes before; None for the general kernel.

    Args:
        bands: K, or 0 without a bank.
        shared: 2 where no bin is part of more bands, else 0.
    """
    core, hop, n = _core(plan, sample, bands, clips), plan.hop_length, plan.n_fft
    if core is None or not core.backward or not n // 16 <= hop <= n // 2:
        return None
    if plan.pad_mode == "circular" or plan.pad > n // 2 or bands > 128:
        return None
    if bands and ending.power != 2.0:  # spills registers on sm_120
        return None
    halo = -(-(-(-n // hop) - 1) // 4) * 4
    total = -(-(clips.most_samples + 2 * plan.pad) // (hop * core.frames))
    tiles = max(1 + -(-(halo + -(-(2 * plan.pad + 1) // hop)) // core.frames), _tiles(total * clips.batch, "backward"))
    run = tiles * core.frames - halo
    blocks = max(1, -(-(clips.most_samples + 2 * plan.pad) // hop) // run)
    types = (
        f"fastspec::{core.name}<{8 if hop == 256 else 0}>",  # the other hops known to the compiler spill registers
        C_NAMES[sample],
        _form(ending),
        str(bands > 0 or ending.log != "none").lower(),
        str(bands > 0).lower(),
        str(shared == 2).lower(),
    )
    floats = n + WARPS * core.exchange + bands * (core.frames + 2) + 4 + n - hop
    launch = Launch(Kernel(FILE, "warp_power_bwd_kernel", types), clips.batch * blocks, (THREADS, 1), 4 * floats)
    return launch, blocks, run, halo


# ---- tables ---------------------------------------------------------------------------------------------------------


def _twisted(turns: np.ndarray, points: int) -> np.ndarray:
    """The table of `Twisted` in warp_fft.cuh: [points / 4, lanes, 4]; z = exp(-2 pi i turns) of each lane."""
    found, n = [], 2
    while n <= points:
        found += [turns * (points // n) + k / n for k in range(max(1, n // 4))]
        n *= 2
    return _pairs(np.stack(found))


def _pairs(turns: np.ndarray) -> np.ndarray:
    """[2 q, lanes] turns -> [q, lanes, 4]: cos and -sin of two in a row."""
    angles = 2 * np.pi * turns
    c, s = np.cos(angles), -np.sin(angles)
    return np.stack([c[::2], s[::2], c[1::2], s[1::2]], -1)


@lru_cache(maxsize=64)
def _tables(n_fft: int, device: torch.device) -> Tensor:
    """The rotations of one core, made in float64."""
    if n_fft == 400:
        lane = np.arange(10)
        k = lane + 20 * np.arange(10)[:, None]
        k[5:, 0] += 10  # lane 0 has row 10 from there on
        angles = 2 * np.pi * np.concatenate([lane * np.arange(20)[:, None] / 200, k / 400])
        parts = [np.stack([np.cos(angles), -np.sin(angles)], -1)]
    elif n_fft == 512:
        lane = np.arange(16)
        parts = [_twisted(lane / 512, 16), _twisted(np.where(lane == 0, 16, 32 - lane) / 512, 16)]
    else:
        lane = np.arange(32)
        parts = [_twisted(lane / 1024, 32)]
        if n_fft == 2048:
            parts.append(_pairs((lane + 32 * np.arange(16)[:, None]) / 2048))
    flat = np.concatenate([part.reshape(-1) for part in parts])
    with torch.inference_mode(False):
        return torch.tensor(flat, dtype=torch.float32, device=device)


@dataclass(frozen=True)
class _Bank:
    """A filterbank as `WarpBands` and `WarpBins` have it; `shared`: bands that a bin is part of at most, 0 unknown."""

    bands: dict[str, Any]
    bins: dict[str, Any]
    shared: int


NO_BANK = _Bank(
    {"weights": None, "bands": None, "count": 0},
    {"table": None, "weights": None, "bands": None, "count": 0},
    0,
)


def _bank(bank: Tensor | None, n_fft: int) -> _Bank:
    if bank is None:
        return NO_BANK
    fixed = not may_change(bank)
    return derived(bank, ("warp", n_fft), lambda bank: _bank_now(bank, CORES[n_fft].frames + 2, fixed))


def _bank_now(bank: Tensor, pitch: int, fixed: bool) -> _Bank:
    """All on the device; only of a fixed bank the host asks how many bands share a bin, once."""
    n_bins, count = bank.shape
    fours = -(-n_bins // 4)
    used = bank != 0
    first, stop = support(used).unbind(1)
    quads = (stop + 3) // 4 - first // 4
    order = quads.argsort(descending=True, stable=True)
    table = torch.stack([first // 4, quads, 0 * first, torch.arange(count, device=bank.device)], 1).to(torch.int32)
    table[:, 2] = table[:, 3] * fours + table[:, 0]
    by_bin = support(used.mT)
    bands = {
        "weights": F.pad(bank.mT, (0, 4 * fours - n_bins)).contiguous(),
        "bands": table[order].contiguous(),
        "count": count,
    }
    bins: dict[str, Any] = {"table": None, "weights": bank.contiguous(), "bands": by_bin, "count": count}
    shared = max(2, int((by_bin[:, 1] - by_bin[:, 0]).max())) if fixed else 0
    if shared == 2 and count > 1:
        start = by_bin[:, 0].clamp(max=count - 2).long()
        weights = [bank.gather(1, start[:, None] + i)[:, 0] for i in range(2)]
        bins["table"] = torch.stack([(start * pitch).to(torch.int32).view(torch.float32), *weights])
    return _Bank(bands, bins, shared if bins["table"] is not None else 0)


@lru_cache(maxsize=1024)
def _ending_args(ending: Ending) -> dict[str, Any]:
    """The fields of `WarpEnding`; its logarithms have base 2."""
    factor = {"log10": 1.0 / math.log(10.0), "db": ending.multiplier / math.log(10.0)}
    return {
        "half_power": ending.power / 2,
        "eps": ending.eps,
        "factor": factor.get(ending.log, 1.0) * math.log(2.0),
        "floor": ending.floor,
        "scale": ending.scale,
        "log": {"none": 0, "log1p": 2}.get(ending.log, 1),
        "add": int(ending.floor_mode == "add"),
    }


# ---- launches -------------------------------------------------------------------------------------------------------


def forward(
    x: Tensor, window: Tensor, bank: Tensor | None, plan: FramePlan, ending: Ending, out: Tensor, clips: Clips
) -> bool:
    """Write spectral_power to `out` where the fast kernels can; False where they cannot."""
    bands = 0 if bank is None else bank.shape[1]
    choice = choose_forward(plan, x.dtype, out.dtype, ending, bands, clips, x.data_ptr() % 8 == 0)
    if choice is None:
        return False
    (launch, blocks, tiles), banks = choice, _bank(bank, plan.n_fft)
    launch(
        x=x,
        window=window,
        tables=_tables(plan.n_fft, x.device),
        out=out,
        bank=banks.bands,
        f=frames_args(plan, clips),
        ending=_ending_args(ending),
        blocks=blocks,
        tiles=tiles,
    )
    return True


def backward(
    grad: Tensor, x: Tensor, window: Tensor, bank: Tensor | None, plan: FramePlan, ending: Ending, clips: Clips
) -> Tensor | None:
    """The gradient in x where the fast kernels can compute it, or None."""
    bands = 0 if bank is None else bank.shape[1]
    if choose_backward(plan, x.dtype, ending, bands, 0, clips) is None:
        return None
    banks = _bank(bank, plan.n_fft)
    choice = choose_backward(plan, x.dtype, ending, bands, banks.shared, clips)
    assert choice is not None
    launch, blocks, run, halo = choice
    grad_x = torch.empty(x.shape, dtype=torch.float32, device=x.device)
    launch(
        grad=grad,
        x=x,
        window=window,
        tables=_tables(plan.n_fft, x.device),
        grad_x=grad_x,
        bank=banks.bands,
        bins=banks.bins,
        f=frames_args(plan, clips),
        ending=_ending_args(ending),
        blocks=blocks,
        run=run,
        halo=halo,
    )
    return grad_x
