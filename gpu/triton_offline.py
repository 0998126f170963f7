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
import math
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
from fastspec.ops.spectral_power import _triton as spectral_power
from fastspec.plan import DensePlan, Ending

from .ptx import Counts, Machine, Module, PTXError, counts, launch, parse
from .resources import PROCESSORS, Resources, resources

PTX_ARCH = 80
COPIES = "another thread of the same instruction"
"""Where Triton's layouts keep an element in several threads, these store it to one place together."""


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
        problems = Counter({what: times for what, times in machine.problems.items() if COPIES not in what})
        if problems:
            raise PTXError(f"{self.uses[-1].name}: {_described(problems)}")
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
    """The elements from the first to the last of a tensor, where they lie."""
    last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    flat = tensor.detach().as_strided((last + 1 if tensor.numel() else 0,), (1,))
    return (flat.view(torch.int16) if flat.dtype == torch.bfloat16 else flat).numpy()


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


# ---- what the shipped tiles need ------------------------------------------------------------------------------------

TENSOR = ("HMMA", "HGMMA", "UTCHMMA", "UTCQMMA", "UTCMMA")


@dataclass(frozen=True)
class Verdict:
    """One launch on one architecture."""

    name: str
    precision: str
    tile: str
    needs: Resources
    shared: int
    faults: tuple[str, ...]


def stft() -> DensePlan:
    """A trainable STFT, 1024 / 256."""
    return DensePlan.make(1024, 256, (0,) * 513, (1024,) * 513)


def cqt(bins: int = 84, sample_rate: float = 22050.0, lowest: float = 32.70319566) -> DensePlan:
    """The supports of a constant-Q transform, 12 bins an octave, hop 512."""
    quality = 1 / (2 ** (1 / 12) - 1)
    lengths = [math.ceil(quality * sample_rate / (lowest * 2 ** (k / 12))) for k in range(bins)]
    n = lengths[0]
    return DensePlan.make(n, 512, [(n - w) // 2 for w in lengths], [(n - w) // 2 + w for w in lengths])


def record(plan: DensePlan, batch: int, samples: int, gpu: Gpu, precision: str) -> list[Use]:
    """The launches of a log-mel with bands, forward and backward, without running any."""
    x, basis = torch.empty(batch, samples, device="meta"), torch.empty(plan.basis_shape, device="meta")
    bank = torch.empty(plan.n_bins, 20, device="meta")
    ending = Ending.make(1.0, log="ln")
    with using(Recorder(), gpu, precision) as recorder:
        spectral_power.forward(x, basis, None, plan, ending)
        u, y = spectral_power.forward_keeping(x, basis, bank, plan, ending)
        spectral_power.backward(u, x, basis, bank, plan, ending, True, True, y=y)
    return recorder.uses


def judge(arch: int, precision: str) -> list[Verdict]:
    """Every different launch of a large and a small STFT and of a CQT, compiled for one architecture."""
    gpu, found = Gpu(arch, 132), {}
    for plan, batch, samples in ((stft(), 4, 661500), (stft(), 1, 8192), (cqt(), 4, 661500)):
        for use in record(plan, batch, samples, gpu, precision):
            product = use.name.endswith((".transform", ".product"))
            if use.key in found or not (product or precision in ("ieee", "split-fp16")):
                continue
            found[use.key] = _verdict(use, arch, precision, product)
    return list(found.values())


def _verdict(use: Use, arch: int, precision: str, product: bool) -> Verdict:
    code = compiled(use, arch)
    (needs,) = resources(code.asm["cubin"], f"sm_{arch}").values()
    faults = []
    if needs.spills:
        faults.append(f"{needs.spills} spills")
    if code.metadata.shared > PROCESSORS[f"sm_{arch}"].shared_block:
        faults.append(f"{code.metadata.shared} bytes of shared memory do not fit")
    if product:
        tensor = sum(n for name, n in needs.instructions.items() if name.startswith(TENSOR))
        if bool(tensor) != (precision != "ieee"):
            faults.append(f"{tensor} tensor-core instructions")
        if not any(name.startswith(("LDGSTS", "UTMALDG")) for name in needs.instructions):
            faults.append("loads are not asynchronous")
    sizes = {name: use.constants[name] for name in ("BM", "BR", "BF", "BN", "BK") if name in use.constants}
    tile = f"{'x'.join(map(str, sizes.values()))} w{use.warps} s{use.stages}"
    return Verdict(use.name, precision, tile, needs, code.metadata.shared, tuple(faults))
