"""The one way to a CUDA kernel: `launch(kernel, grid, block, args, shared_bytes)`.

A kernel is a file of `kernels/cuda`, a name and template arguments. Its signature is read from its source, so what
a launch is checked against is what the compiler sees: every argument by name, type and width, every tensor by dtype,
device and contiguity. Two engines run kernels:

- CuPy, for tensors on a GPU: compiled by NVRTC once a (source, options, device), launched on the current stream of
  torch. No synchronisation and no host copies, so launches can be captured in a CUDA graph once they are compiled.
- one registered by `using(engine)` for CPU tensors: the host engine of the tests. Nothing else registers one.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.resources
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

NAMESPACE = "fastspec"
OPTIONS = ("--std=c++17", "-default-device", f"-DFASTSPEC_NAMESPACE={NAMESPACE}")
STATIC_LIMIT = 48 << 10  # bytes of shared memory that every launch may have; more is asked for
ASSUMED_LIMIT = 99 << 10  # what a GPU of compute capability 8.6 or newer offers a block

NUMBERS: dict[str, Any] = {
    "int": ctypes.c_int32,
    "unsigned": ctypes.c_uint32,
    "long long": ctypes.c_int64,
    "unsigned long long": ctypes.c_uint64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}
DTYPES = {
    "float": torch.float32,
    "double": torch.float64,
    "short": torch.int16,
    "Half": torch.float16,
    "Bfloat16": torch.bfloat16,
    "int": torch.int32,
    "long long": torch.int64,
    "Complex<float>": torch.complex64,
    "Complex<double>": torch.complex128,
}
C_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Kernel:
    """A `__global__` function: its file in kernels/cuda, its name, its template arguments."""

    file: str
    name: str
    types: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        """The C++ name expression, as NVRTC takes it."""
        types = (f"{NAMESPACE}::{t}" if t[0].isupper() else t for t in self.types)  # ours are capitalised
        return f"{NAMESPACE}::{self.name}" + (f"<{', '.join(types)}>" if self.types else "")


@dataclass(frozen=True)
class Launch:
    """A kernel and the shape of its launch: what the pure functions that choose return."""

    kernel: Kernel
    grid: int
    block: tuple[int, int]
    shared_bytes: int

    def __call__(self, **args: Any) -> None:
        launch(self.kernel, (self.grid, 1, 1), (*self.block, 1), args, self.shared_bytes)


class Engine(Protocol):
    """What runs kernels. `bound` are the checked arguments in order, for `pack`."""

    def run(
        self,
        kernel: Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        bound: Bound,
        shared_bytes: int,
        device: torch.device,
    ) -> None: ...


# ---- sources and signatures -----------------------------------------------------------------------------------------


def folder() -> Any:
    """kernels/, wherever fastspec is installed."""
    return importlib.resources.files("fastspec.kernels")


@lru_cache(maxsize=64)
def source(file: str) -> str:
    """kernels/cuda/<file> with its own headers in place: one text, so that caches see every change."""
    path = f"cuda/{file}"
    return flatten(folder().joinpath(path).read_text(), path)


def flatten(text: str, path: str) -> str:
    """A text of kernels/ with what it includes in place, once each; compilers still name files and lines."""
    seen: set[str] = set()

    def expand(text: str, path: str) -> str:
        parts = [f'#line 1 "{path}"']
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'#include "(.*)"', line)
            if match is None:
                parts.append("" if line.startswith("#pragma once") else line)
                continue
            target = _resolve(path, match[1])
            if target not in seen:
                seen.add(target)
                parts += [expand(folder().joinpath(target).read_text(), target), f'#line {number + 1} "{path}"']
            else:
                parts.append("")
        return "\n".join(parts)

    return expand(text, path) + "\n"


def _resolve(path: str, include: str) -> str:
    parts = path.split("/")[:-1]
    for part in include.split("/"):
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


class Parameter(NamedTuple):
    """One parameter of a kernel or field of a struct: a number, a pointer to `type`, or a struct of `fields`."""

    name: str
    type: str
    pointer: bool
    const: bool
    fields: tuple[Parameter, ...]
    cell: Any  # its ctypes type


Bound = list[tuple[Parameter, Any]]


@lru_cache(maxsize=1024)
def signature(kernel: Kernel) -> tuple[Parameter, ...]:
    """The parameters of a kernel, read from its source with the template arguments in place."""
    text = re.sub(r"//[^\n]*", "", source(kernel.file))
    match = re.search(
        rf"(?:template\s*<([^>]*)>\s*)?__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?{kernel.name}\s*\(([^)]*)\)",
        text,
    )
    if match is None:
        raise ValueError(f"kernels/cuda/{kernel.file} has no kernel {kernel.name!r}")
    return _parameters(text, match[2].split(","), _bindings(match[1], kernel.types))


def _bindings(template: str | None, types: tuple[str, ...]) -> dict[str, str]:
    names = [part.split()[-1] for part in template.split(",")] if template else []
    if len(names) != len(types):
        raise ValueError(f"template <{template or ''}> takes {len(names)} arguments, got {types}")
    return dict(zip(names, types, strict=True))


def _parameters(text: str, declarations: list[str], bound: dict[str, str]) -> tuple[Parameter, ...]:
    found = []
    for declaration in filter(None, map(str.strip, declarations)):
        const = declaration.startswith("const ")
        declaration = re.sub(r"\b(const|__restrict__)\b", "", declaration)
        match = re.fullmatch(r"\s*([\w ]+?(?:\s*<[\w ,]+>)?)\s*(\*?)\s*(\w+)\s*", declaration)
        if match is None:
            raise ValueError(f"cannot read the declaration {declaration!r}")
        kind = " ".join(re.sub(r"\w+", lambda m: bound.get(m[0], m[0]), match[1]).split())
        found.append(_parameter(text, match[3], kind, bool(match[2]), const))
    return tuple(found)


def _parameter(text: str, name: str, kind: str, pointer: bool, const: bool) -> Parameter:
    if pointer:
        if kind not in DTYPES:
            raise ValueError(f"{name} points to {kind}, which no tensor holds")
        return Parameter(name, kind, True, const, (), ctypes.c_void_p)
    if kind in NUMBERS:
        return Parameter(name, kind, False, const, (), NUMBERS[kind])
    base, _, types = kind.partition("<")
    match = re.search(rf"(?:template\s*<([^>]*)>\s*)?struct\s+{base}\s*\{{([^}}]*)\}}", text)
    if match is None:
        raise ValueError(f"{name} has the type {kind}, which is neither a number nor a plain struct")
    bound = _bindings(match[1], tuple(t.strip() for t in types.rstrip(">").split(",") if t))
    fields = _parameters(text, list(_field_declarations(match[2])), bound)
    structure = type(base, (ctypes.Structure,), {"_fields_": [(f.name, f.cell) for f in fields]})
    return Parameter(name, kind, False, const, fields, structure)


def _field_declarations(body: str) -> Iterator[str]:
    for statement in filter(None, map(str.strip, body.split(";"))):
        first, *more = statement.split(",")
        yield first
        kind = first.rsplit(None, 1)[0]
        yield from (f"{kind} {name}" for name in more)


# ---- launch ---------------------------------------------------------------------------------------------------------

_engine: Engine | None = None


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """While this lasts, kernels for CPU tensors run on `engine`."""
    global _engine
    before, _engine = _engine, engine
    try:
        yield
    finally:
        _engine = before


def has_host_engine() -> bool:
    """True when somebody chose an engine for CPU tensors."""
    return _engine is not None


def refuse(device: torch.device) -> str | None:
    """Why kernels cannot run on this device's memory, or None."""
    if device.type == "cuda":
        if importlib.util.find_spec("cupy") is None:
            return "CuPy is not installed: pip install 'fastspec[cuda12]' or 'fastspec[cuda13]', as torch's CUDA is"
        return None
    if device.type == "cpu" and has_host_engine():
        return None
    return f"the CUDA kernels work on CUDA tensors, not on {device}"


@lru_cache(maxsize=64)
def shared_limit(device: torch.device) -> int:
    """Bytes of shared memory that a block may have there; for a GPU that is not here, what newer ones have."""
    if device.type != "cuda":
        return 227 << 10
    if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
        return ASSUMED_LIMIT
    return torch.cuda.get_device_properties(device).shared_memory_per_block_optin


def launch(
    kernel: Kernel,
    grid: tuple[int, int, int],
    block: tuple[int, int, int],
    args: Mapping[str, Any],
    shared_bytes: int = 0,
) -> None:
    """Run a kernel on the current stream of its tensors' device.

    Args:
        kernel: what.
        grid, block: blocks, and threads of a block.
        args: by the kernel's parameter names: tensors (None for a null pointer) for pointers, ints and floats for
            numbers, mappings for structs.
        shared_bytes: dynamic shared memory of a block.

    Raises:
        ValueError: an argument is missing, unknown, of the wrong type, width, dtype or device, or not contiguous.
    """
    device = _device_of(kernel.name, args)
    if reason := refuse(device):
        raise ValueError(f"{kernel.name}: {reason}")
    if not 0 < block[0] * block[1] * block[2] <= 1024 or min(grid) < 1 or grid[0] >= 1 << 31:
        raise ValueError(f"{kernel.name}: impossible launch, grid {grid}, block {block}")
    bound = _bind(kernel.name, signature(kernel), args)
    for parameter, value in bound:
        _check(parameter, value, device)
    engine = _CUPY if device.type == "cuda" else _engine
    assert engine is not None  # refuse() has seen to it
    engine.run(kernel, grid, block, bound, shared_bytes, device)


def _device_of(what: str, args: Mapping[str, Any]) -> torch.device:
    for value in args.values():
        if isinstance(value, Tensor):
            return value.device
    raise ValueError(f"{what}: expected a tensor among the arguments, got {', '.join(args)}")


def _bind(what: str, parameters: tuple[Parameter, ...], args: Mapping[str, Any]) -> Bound:
    if len(args) != len(parameters) or any(p.name not in args for p in parameters):
        raise ValueError(f"{what} takes {', '.join(p.name for p in parameters)}; got {', '.join(args)}")
    return [(p, args[p.name]) for p in parameters]


def _check(parameter: Parameter, value: Any, device: torch.device) -> None:
    name, kind, pointer, _, fields, cell = parameter
    if pointer:
        if value is None:
            return
        if not isinstance(value, Tensor) or value.dtype is not DTYPES[kind]:
            got = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"{name} must be a tensor of {DTYPES[kind]} (the kernel has {kind}*), got {got}")
        if value.device != device:
            raise ValueError(f"{name} must be on {device} as the first tensor, got {value.device}")
        if not value.is_contiguous() or value.is_conj() or value.is_neg():
            raise ValueError(f"{name} must be contiguous, got strides {value.stride()} of shape {tuple(value.shape)}")
    elif fields:
        if not isinstance(value, Mapping):
            raise ValueError(f"{name} must be a mapping of the fields of {kind}, got {type(value).__name__}")
        for field, part in _bind(name, fields, value):
            _check(field, part, device)
    elif isinstance(value, bool) or not isinstance(value, (int, float) if kind in ("float", "double") else int):
        raise ValueError(f"{name} must be a number for the kernel's {kind}, got {type(value).__name__}")
    elif isinstance(value, int) and cell(value).value != value:
        raise ValueError(f"{name} must fit in the kernel's {kind}, got {value}")


def pack(bound: Bound, address: Callable[[Tensor, bool], int]) -> list[Any]:
    """Checked arguments as ctypes objects; `address(tensor, const)` gives the pointers."""
    return [_packed(parameter, value, address) for parameter, value in bound]


def _packed(parameter: Parameter, value: Any, address: Callable[[Tensor, bool], int]) -> Any:
    if parameter.pointer:
        return parameter.cell(None if value is None else address(value, parameter.const))
    if parameter.fields:
        return parameter.cell(*(_packed(field, value[field.name], address) for field in parameter.fields))
    return parameter.cell(value)


# ---- CuPy -----------------------------------------------------------------------------------------------------------


class CupyEngine:
    """NVRTC and the CUDA driver through CuPy, which is imported by the first launch."""

    def __init__(self) -> None:
        self.functions: dict[tuple[Kernel, torch.device], Any] = {}
        self._shared: dict[tuple[Kernel, torch.device], int] = {}

    def _function(self, kernel: Kernel, device: torch.device) -> Any:
        function = self.functions.get((kernel, device))
        if function is None:
            cupy = importlib.import_module("cupy")
            expression = kernel.expression
            module = cupy.RawModule(code=source(kernel.file), options=OPTIONS, name_expressions=(expression,))
            function = self.functions[kernel, device] = module.get_function(expression)
            self._shared[kernel, device] = STATIC_LIMIT
        return function

    def run(
        self,
        kernel: Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        bound: Bound,
        shared_bytes: int,
        device: torch.device,
    ) -> None:
        with torch.cuda.device(device):
            function = self._function(kernel, device)
            if shared_bytes > self._shared[kernel, device]:
                function.max_dynamic_shared_size_bytes = shared_bytes
                self._shared[kernel, device] = shared_bytes
            cells = pack(bound, lambda tensor, const: tensor.data_ptr())
            pointers = (ctypes.c_void_p * len(cells))(*(ctypes.addressof(cell) for cell in cells))
            stream = torch.cuda.current_stream(device).cuda_stream
            driver = importlib.import_module("cupy.cuda.driver")
            driver.launchKernel(function.kernel.ptr, *grid, *block, shared_bytes, stream, ctypes.addressof(pointers), 0)


_CUPY = CupyEngine()
