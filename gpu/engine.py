"""Engines for fastspec's launch seam that need no GPU: one executes compiled PTX, one only remembers.

    with _launch.using(PtxEngine()) as ...:
        spectral_power(x, window, None, plan, ending, backend="cuda")
"""

from __future__ import annotations

import ctypes
from collections import Counter
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fastspec import _launch

from .compile import compile_source
from .ptx import Counts, Module, PTXError, counts, launch, parse

PTX_TARGET = "compute_80"


@dataclass(frozen=True)
class Use:
    """A launch, without its arguments."""

    kernel: _launch.Kernel
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int

    @property
    def threads(self) -> int:
        return self.block[0] * self.block[1] * self.block[2]


class Recorder:
    """Runs nothing and remembers every launch: what there is to compile."""

    def __init__(self) -> None:
        self.uses: list[Use] = []

    def run(self, kernel, grid, block, cells, tensors, shared_bytes, device) -> None:
        self.uses.append(Use(kernel, grid, block, shared_bytes))


class PtxEngine(Recorder):
    """Executes what NVRTC made of the kernels, in the interpreter of `gpu.ptx`.

    Attributes:
        counts: of each launch in `uses`.
        counting: measure traffic and look for races.

    Raises (from a launch):
        PTXError: a bad access, or a problem that the interpreter reported: a race, a divergent barrier.
    """

    def __init__(self, counting: bool = True) -> None:
        super().__init__()
        self.counting, self.counts = counting, []

    def run(self, kernel, grid, block, cells, tensors, shared_bytes, device) -> None:
        super().run(kernel, grid, block, cells, tensors, shared_bytes, device)
        module, name = ptx_of(kernel)
        args = [bytes(cell) for cell in cells]
        machine = launch(module, name, grid, block, args, shared_bytes, _memory(tensors), counting=self.counting)
        if machine.problems:
            raise PTXError(f"{kernel.expression}: {_described(machine.problems)}")
        self.counts.append(counts(machine))


def code_of(kernel: _launch.Kernel, target: str) -> tuple[bytes, str]:
    """A kernel compiled for "sm_80" or "compute_80", as CuPy would compile it, and its mangled name."""
    expression = kernel.expression
    source = _launch.source(kernel.file)
    code, names = compile_source(source, kernel.file, target, _launch.OPTIONS, [expression])
    return code, names[expression]


_modules: dict[tuple[_launch.Kernel, int], tuple[Module, str]] = {}


def ptx_of(kernel: _launch.Kernel) -> tuple[Module, str]:
    key = kernel, hash(_launch.source(kernel.file))
    if key not in _modules:
        code, name = code_of(kernel, PTX_TARGET)
        _modules[key] = parse(code.decode()), name
    return _modules[key]


def _memory(tensors: list[Tensor]) -> list[np.ndarray]:
    """The bytes of each tensor where they lie; of tensors that share their start, the longest."""
    sizes: dict[int, int] = {}
    for tensor in tensors:
        address = tensor.data_ptr()
        sizes[address] = max(sizes.get(address, 0), tensor.nbytes)
    return [_bytes_at(address, size) for address, size in sizes.items() if size]


def _bytes_at(address: int, size: int) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def _described(problems: Counter[str]) -> str:
    return "; ".join(f"{what} ({times} times)" for what, times in problems.most_common(5))


def total(engine: PtxEngine) -> Counts:
    """Of all launches together."""
    result = Counts()
    for each in engine.counts:
        result = result + each
    return result


