"""Runs the kernels of `fastspec._launch` on the CPU: g++ builds the same text, a fiber stands for each CUDA thread.

Three builds: "plain"; "address", with AddressSanitizer and UndefinedBehaviorSanitizer; "thread", in which
ThreadSanitizer reports what no barrier orders. The last two need their library preloaded (`preload`). In every build
shared memory is NaN before each block, arrays lie in guarded copies, and the runtime reports barriers and warp
collectives that not all threads reach.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from fastspec import _launch

HERE = Path(__file__).parent
COMMON = (
    "-std=gnu++17",
    "-fPIC",
    "-shared",
    "-ffp-contract=fast",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-function",
)
FLAGS = {
    "plain": ("-O1",),
    "address": ("-O0", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "thread": ("-O0", "-g", "-fsanitize=thread"),
}
RUNTIME_FLAGS = {"plain": (), "address": ("-DHOST_CUDA_ASAN",), "thread": ("-DHOST_CUDA_TSAN",)}
PRELOAD = {"plain": None, "address": "libasan.so", "thread": "libtsan.so"}
GUARD = 256  # bytes on each side of an array


class KernelError(AssertionError):
    """A kernel did what a GPU would not forgive."""


def preload(build: str) -> str | None:
    """The library that LD_PRELOAD must name for this build."""
    name = PRELOAD[build]
    if name is None:
        return None
    return subprocess.run(
        ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()


def cache() -> Path:
    """Where compiled kernels are kept: by the hash of all that went into them."""
    folder = os.environ.get("FASTSPEC_HOST_CUDA_CACHE")
    path = Path(folder) if folder else Path(__file__).parents[2] / "build" / "host_cuda"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _compile(text: str, name: str, command: list[str]) -> Path:
    """`command` on the text, or what it made last time."""
    key = hashlib.sha256("\0".join([text, *command]).encode()).hexdigest()[:16]
    made = cache() / f"{name}-{key}.so"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            source, target = Path(folder) / f"{name}.cc", Path(folder) / made.name
            source.write_text(text)
            done = subprocess.run([*command, str(source), "-o", str(target)], capture_output=True, text=True)
            if done.returncode:
                raise KernelError(f"g++ cannot build {name}:\n{done.stderr[:4000]}")
            target.replace(made)
    return made


@lru_cache
def _runtime(build: str) -> ctypes.CDLL:
    text = (HERE / "runtime.cc").read_text()
    command = ["g++", "-O2", "-g", *COMMON, *RUNTIME_FLAGS[build]]
    return ctypes.CDLL(str(_compile(text, f"runtime-{build}", command)), mode=ctypes.RTLD_GLOBAL)


class HostEngine:
    """An engine for `fastspec._launch.using`.

    Args:
        build: "plain", "address" or "thread".
        order: of the threads of a block: 0 forward, 1 backward, else the seed of a random one.
    """

    def __init__(self, build: str = "plain", order: int = 2):
        self.build, self.order = build, order
        self.launched: list[str] = []
        self._lock = threading.Lock()
        self._libraries: dict[_launch.Kernel, ctypes.CDLL] = {}

    def _library(self, kernel: _launch.Kernel) -> ctypes.CDLL:
        library = self._libraries.get(kernel)
        if library is None:
            runtime = _runtime(self.build)
            shim = (HERE / "cuda.h").read_text()
            text = f"{shim}\n{_launch.source(kernel.file)}\nHOST_CUDA_EXPORT({kernel.expression})\n"
            namespace = f"-DFASTSPEC_NAMESPACE={_launch.NAMESPACE}"
            path = _compile(text, f"{kernel.name}-{self.build}", ["g++", *COMMON, *FLAGS[self.build], namespace])
            library = self._libraries[kernel] = ctypes.CDLL(str(path))
            library.report = runtime.host_cuda_report
            library.report.restype = ctypes.c_char_p
            sizes = (ctypes.c_int * 64)()
            count = library.host_cuda_sizes(sizes)
            expected = [ctypes.sizeof(p.cell) for p in _launch.signature(kernel)]
            if sizes[:count] != expected:
                raise KernelError(f"{kernel.name}: the compiler has arguments of {sizes[:count]} bytes, not {expected}")
        return library

    def run(
        self,
        kernel: _launch.Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        bound: _launch.Bound,
        shared_bytes: int,
        device: torch.device,
    ) -> None:
        """See `fastspec._launch.Engine`. Raises KernelError."""
        with self._lock:
            library = self._library(kernel)
            arrays: list[_Guarded] = []

            def address(tensor: Tensor, const: bool) -> int:
                arrays.append(_Guarded(tensor, const, self.build))
                return arrays[-1].address

            cells = _launch.pack(bound, address)
            pointers = (ctypes.c_void_p * len(cells))(*(ctypes.addressof(cell) for cell in cells))
            sizes = (ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block)
            errors = library.host_cuda_launch(*sizes, ctypes.c_size_t(shared_bytes), pointers, self.order)
            self.launched.append(kernel.name)
            problems = library.report().decode() if errors else ""
            for array in arrays:
                problems += array.release()
            if problems:
                raise KernelError(f"{kernel.expression}: {problems}")


class _Guarded:
    """A copy of a tensor between two guards: NaN that must not change, and that ASan does not let anyone touch."""

    def __init__(self, tensor: Tensor, const: bool, build: str):
        self.tensor, self.const = tensor, const
        self.bytes = tensor.numel() * tensor.element_size()
        self.memory = ctypes.create_string_buffer(3 * GUARD + self.bytes)
        start = ctypes.addressof(self.memory)
        self.address = start - start % -GUARD + GUARD
        behind = self.address + self.bytes
        self.guards = (self.address - GUARD, GUARD), (behind, GUARD)
        ctypes.memset(start, 0xFF, len(self.memory))
        ctypes.memmove(self.address, tensor.data_ptr(), self.bytes)
        self.poisoned = build == "address"
        if self.poisoned:
            self._each_guard("__asan_poison_memory_region")

    def _each_guard(self, function: str) -> None:
        for address, size in self.guards:
            getattr(ctypes.CDLL(None), function)(ctypes.c_void_p(address), ctypes.c_size_t(size))

    def release(self) -> str:
        """Copies the result back; what was written beside it, in words."""
        if self.poisoned:
            self._each_guard("__asan_unpoison_memory_region")
        if not self.const:
            ctypes.memmove(self.tensor.data_ptr(), self.address, self.bytes)
        for where, guard in zip(("before", "behind"), self.guards, strict=True):
            if ctypes.string_at(*guard) != b"\xff" * GUARD:
                return f"writes {where} an array of {self.tensor.dtype}, shape {tuple(self.tensor.shape)}\n"
        return ""
