"""Block sizes of the Triton products per GPU generation, and the search for better ones where somebody asks.

The shipped sizes come from offline compilation and counting, not from a GPU: see docs/precision.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch

from ..plan import DensePlan
from . import _triton_tables as tables

PRODUCTS = ("frame_transform", "overlap_add", "basis_grad")


@dataclass(frozen=True)
class Gpu:
    """What a choice depends on: compute capability (0 is Triton's interpreter) and number of multiprocessors."""

    capability: int
    processors: int


INTERPRETER = Gpu(0, 1)


class Config(NamedTuple):
    """A tile, in frames (overlap_add, rows of the grid; basis_grad, rows of W) by columns, and its schedule."""

    rows: int
    columns: int
    step: int
    warps: int
    stages: int


SMALL = Config(64, 64, 32, 4, 4)
LARGE = Config(128, 128, 32, 8, 3)
NARROW = Config(64, 16, 32, 4, 4)  # supports that differ from row to row
TOY = Config(32, 32, 32, 4, 1)  # for the interpreter, where a program costs the same whatever its size
TOY_NARROW = Config(32, 16, 32, 4, 1)
CANDIDATES = (SMALL, LARGE, NARROW, Config(128, 64, 32, 4, 3), Config(128, 64, 32, 8, 3), Config(64, 128, 32, 8, 3))

NARROW_ABOVE = 1.3  # columns multiplied per tap with wide blocks, from which narrow ones pay
LARGE_TILES = {  # where 128 x 128 fits the registers; of three products only "tf32x3" does, on GPUs with wgmma
    "ieee": (),
    "tf32x3": (90, 100),
    "tf32": (80, 86, 89, 90, 100, 120),
    "bf16": (80, 86, 89, 90, 100, 120),
    "split-fp16": (),
}
EIGHT_WARPS = {  # where ptxas spills the small tile of four
    ("overlap_add", "tf32", 100),
    ("overlap_add", "split-fp16", 120),
    ("frame_transform", "bf16", 120),
}

tuned: dict[tuple, Config] = {}


@lru_cache(maxsize=16)
def gpu_of(device: torch.device) -> Gpu:
    if device.type != "cuda":
        return INTERPRETER
    found = torch.cuda.get_device_properties(device)
    return Gpu(10 * found.major + found.minor, found.multi_processor_count)


def key_of(product: str, precision: str, plan: DensePlan, frames: int, gpu: Gpu) -> tuple:
    """What a tuned choice is remembered by: the number of frames to the next power of two, never the exact one."""
    return product, precision, gpu.capability, plan, (frames - 1).bit_length()


def config(product: str, precision: str, plan: DensePlan, frames: int, gpu: Gpu) -> Config:
    """The tile of a product: a tuned one where there is one, else by the table above."""
    known = tuned.get(key_of(product, precision, plan, frames, gpu))
    if known:
        return known
    wide = product != "frame_transform" or tables.waste(plan, 32) <= NARROW_ABOVE
    if gpu == INTERPRETER:
        return TOY if wide else TOY_NARROW
    if not wide:
        return NARROW
    programs = frames * 2 * plan.n_bins // (LARGE.rows * LARGE.columns)
    if gpu.capability in LARGE_TILES[precision] and programs >= 2 * gpu.processors:
        return LARGE
    return SMALL._replace(warps=8) if (product, precision, gpu.capability) in EIGHT_WARPS else SMALL


def search(run: Callable[[], object], key: tuple) -> Config:
    """Time `run`, which launches a product, with each candidate; remember the fastest under the product's key.

    Raises:
        RuntimeError: no candidate runs on this GPU.
    """
    import triton

    time = triton.runtime.driver.active.get_benchmarker()
    times = {}
    before = tuned.pop(key, None)
    try:
        for candidate in CANDIDATES:
            tuned[key] = candidate
            try:
                times[candidate] = time(run, quantiles=[0.5, 0.2, 0.8])[0]
            except triton.errors.TritonError:  # more registers or shared memory than there are
                continue
    finally:
        tuned.pop(key)
        if before is not None:
            tuned[key] = before
    if not times:
        raise RuntimeError(f"no tile of {key[0]} in precision {key[1]!r} runs on this GPU")
    tuned[key] = min(times, key=times.__getitem__)
    return tuned[key]
