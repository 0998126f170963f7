"""Engines for fastspec's launch seam that need no GPU: one executes compiled PTX, one only remembers.

with _launch.using(PtxEngine()):
    spectral_power(x, window, None, plan, ending, "cuda")
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fastspec import _launch

from .compile import compile_source
from .ptx import Counts, Module, PTXError, aligned, counts, launch, parse

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

    @property
    def launched(self) -> list[str]:
        """The names of the kernels, in order, as the host engine has them."""
        return [use.kernel.name for use in self.uses]

    def run(self, kernel, grid, block, bound, shared_bytes, device) -> None:
        self.uses.append(Use(kernel, grid, block, shared_bytes))


class PtxEngine(Recorder):
    """Executes what NVRTC made of the kernels, in the interpreter of `gpu.ptx`.

    Every tensor lies on its own 256 bytes, as a GPU's allocations do, and ends where it ends. A launch raises
    PTXError for a bad access, a race, a divergent barrier, a write to what the kernel calls const.

    Attributes:
        counts: of each launch in `uses`, when `counting`.
    """

    def __init__(self, counting: bool = True) -> None:
        super().__init__()
        self.counting, self.counts = counting, list[Counts]()

    def run(self, kernel, grid, block, bound, shared_bytes, device) -> None:
        super().run(kernel, grid, block, bound, shared_bytes, device)
        copies: dict[tuple[int, int], tuple[Tensor, np.ndarray, bool]] = {}

        def address(tensor: Tensor, const: bool) -> int:
            key = tensor.data_ptr(), tensor.nbytes
            if key not in copies:
                copies[key] = tensor, aligned(_bytes_of(tensor)), const
            elif copies[key][2] and not const:
                copies[key] = *copies[key][:2], False
            return copies[key][1].ctypes.data

        args = [bytes(cell) for cell in _launch.pack(bound, address)]
        module, name = ptx_of(kernel)
        buffers = [copy for _, copy, _ in copies.values()]
        machine = launch(module, name, grid, block, args, shared_bytes, buffers, counting=self.counting)
        problems = dict(machine.problems)
        for tensor, copy, const in copies.values():
            changed = not np.array_equal(_bytes_of(tensor), copy)
            if changed and const:
                problems["a const array was written"] = 1
            elif changed:
                ctypes.memmove(tensor.data_ptr(), copy.ctypes.data, copy.nbytes)
        if problems:
            told = "; ".join(f"{what} ({times} times)" for what, times in problems.items())
            raise PTXError(f"{kernel.expression}: {told}")
        self.counts.append(counts(machine))


class Carrying:
    """Carries CPU tensors to another device for each launch and back: the op tests on a GPU, unchanged."""

    def __init__(self, inner: _launch.Engine, device: torch.device | str):
        self.inner, self.device = inner, torch.device(device)

    def run(self, kernel, grid, block, bound, shared_bytes, device) -> None:
        copies: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

        def there(value):
            if isinstance(value, Mapping):
                return {name: there(each) for name, each in value.items()}
            if not isinstance(value, Tensor):
                return value
            key = value.data_ptr(), value.nbytes
            if key not in copies:
                copies[key] = value.detach(), value.detach().to(self.device, copy=True)
            return copies[key][1]

        carried = [(parameter, there(value)) for parameter, value in bound]
        self.inner.run(kernel, grid, block, carried, shared_bytes, self.device)
        for here, copy in copies.values():
            here.copy_(copy)


def _bytes_of(tensor: Tensor) -> np.ndarray:
    size = tensor.nbytes
    return (
        np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(tensor.data_ptr()))
        if size
        else np.empty(0, np.uint8)
    )


def code_of(kernel: _launch.Kernel, target: str) -> tuple[bytes, str]:
    """A kernel compiled for "sm_80" or "compute_80" with the options that CuPy is given, and its mangled name."""
    expression = kernel.expression
    source = _launch.source(kernel.file)
    code, names = compile_source(source, kernel.file, target, _launch.OPTIONS, [expression])
    return code, names[expression]


_modules: dict[tuple[_launch.Kernel, str], tuple[Module, str]] = {}


def ptx_of(kernel: _launch.Kernel) -> tuple[Module, str]:
    """The parsed kernel, and its name."""
    key = kernel, _launch.source(kernel.file)
    if key not in _modules:
        code, name = code_of(kernel, PTX_TARGET)
        _modules[key] = parse(code.decode()), name
    return _modules[key]


def record(run) -> list[Use]:
    """What `run()` would launch on CPU tensors taken for a GPU's."""
    recorder = Recorder()
    with _launch.using(recorder):
        run()
    return recorder.uses
