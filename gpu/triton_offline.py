"""The Triton kernels without a GPU: what the host code launches, compiled for any architecture or executed as PTX.

with using(Recorder(), Gpu(90, 132)) as recorder:            # tensors on "meta" will do
    spectral_power.forward(x, basis, None, plan, ending)
for use in recorder.uses:
    code = compiled(use, 90)                                 # code.asm["cubin"], code.asm["ptx"]

with using(PtxEngine(), Gpu(80, 108)) as engine:             # CPU tensors; runs, and counts each launch
    spectral_power.forward(x, basis, None, plan, ending)
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import MockTensor

from fastspec.ops import _triton
from fastspec.ops._triton_configs import Gpu

from .ptx import Counts, Machine, Module, PTXError, counts, launch, parse

PTX_ARCH = 80


@dataclass(frozen=True)
class Use:
    """A launch, without its arguments' values."""

    kernel: Any
    grid: tuple[int, ...]
    args: tuple
    constants: dict[str, Any]
    warps: int
    stages: int

    @property
    def name(self) -> str:
        return f"{self.kernel.__module__.rpartition('.')[2]}.{self.kernel.__name__}"

    @property
    def key(self) -> str:
        """What tells apart launches that compile to different code."""
        kinds = [str(a.dtype) if isinstance(a, Tensor) else type(a).__name__ for a in self.args]
        return f"{self.name} {kinds} {sorted(self.constants.items())} {self.warps} {self.stages}"


class _Target:
    """Stands for the driver of a GPU that is not here."""

    def __init__(self, arch: int) -> None:
        self.arch = arch

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.arch, 32)

    def get_current_device(self) -> int:
        return self.arch  # Triton keeps code by device

    def get_current_stream(self, device: int) -> int:
        return 0


def compiled(use: Use, arch: int) -> Any:
    """A launch compiled just as it would be on that GPU; Triton keeps the result on disk."""
    args = [MockTensor(a.dtype, list(a.shape)) if isinstance(a, Tensor) else a for a in use.args]
    driver = triton.runtime.driver
    before, driver._active = driver._active, _Target(arch)
    try:
        return use.kernel.warmup(
            *args,
            grid=use.grid,
            **use.constants,
            num_warps=use.warps,
            num_stages=use.stages,
            enable_fp_fusion=True,
        )
    finally:
        driver._active = before


class Recorder:
    """Runs nothing and remembers every launch."""

    def __init__(self) -> None:
        self.uses: list[Use] = []

    def __call__(self, kernel, grid, args, constants, warps, stages) -> None:
        self.uses.append(Use(kernel, grid, args, constants, warps, stages))


class PtxEngine(Recorder):
    """Executes what Triton made of each launch for sm_80.

    Attributes:
        counts: of each launch in `uses`; empty ones where not counting.

    Raises (from a launch):
        PTXError: a bad access, or a problem that the interpreter reported.
    """

    def __init__(self, counting: bool = True) -> None:
        super().__init__()
        self.counting = counting
        self.counts: list[Counts] = []

    def __call__(self, kernel, grid, args, constants, warps, stages) -> None:
        super().__call__(kernel, grid, args, constants, warps, stages)
        code = compiled(self.uses[-1], PTX_ARCH)
        machine = execute(code, grid, args, warps, self.counting)
        if machine.problems:
            raise PTXError(f"{self.uses[-1].name}: {_described(machine.problems)}")
        self.counts.append(counts(machine) if self.counting else Counts())


_modules: dict[str, Module] = {}


def execute(code: Any, grid: tuple[int, ...], args: tuple, warps: int, counting: bool = True) -> Machine:
    if code.hash not in _modules:
        _modules[code.hash] = parse(code.asm["ptx"])
    module = _modules[code.hash]
    (name,) = module.kernels
    passed = [_memory(a) if isinstance(a, Tensor) else a for a in args if a is not None]
    # Triton appends pointers to scratch memory that these kernels do not use
    passed += [0] * (len(module.kernels[name].parameters) - len(passed))
    return launch(module, name, grid, (32 * warps,), passed, code.metadata.shared, counting=counting)


def _memory(tensor: Tensor) -> np.ndarray:
    """The elements of a contiguous tensor, where they lie."""
    if not tensor.is_contiguous():
        raise ValueError(f"a kernel got a tensor of strides {tensor.stride()}: pass it whole, and the strides")
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.view(torch.int16)
    return tensor.detach().numpy()


def _described(problems: Counter[str]) -> str:
    return "; ".join(f"{what} ({times} times)" for what, times in problems.most_common(5))


Engine = TypeVar("Engine")


@contextlib.contextmanager
def using(engine: Engine, gpu: Gpu, precision: str | None = None) -> Iterator[Engine]:
    """The host code of the Triton backends launches through this engine, as if on this GPU."""
    before = _triton.engine, _triton.gpu_of, _triton.precision_of
    _triton.engine = engine
    _triton.gpu_of = lambda device: gpu
    if precision is not None:
        _triton.precision_of = lambda plan, gpu: precision
    try:
        yield engine
    finally:
        _triton.engine, _triton.gpu_of, _triton.precision_of = before
