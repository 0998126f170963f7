"""CUDA C++ to PTX or machine code for any GPU, without a driver: NVRTC through CuPy's binding.

Results are kept on disk by the hash of everything that they depend on.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "kernels"
ARCHS = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
CACHE = Path(os.environ.get("FASTSPEC_GPU_CACHE", ROOT / "build" / "gpu-cache"))
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


class CompileError(Exception):
    """NVRTC's log."""


def text_with_includes(path: Path, seen: set[Path] | None = None) -> str:
    """Everything of this repository that a source file is made of: what the cache is keyed by."""
    seen = set() if seen is None else seen
    path = path.resolve()
    if path in seen or not path.exists():
        return ""
    seen.add(path)
    text = path.read_text()
    return text + "".join(text_with_includes(path.parent / name, seen) for name in INCLUDE.findall(text))


def compile_source(
    source: str, name: str, target: str, options: Sequence[str] = (), kernels: Sequence[str] = (), key: str = ""
) -> tuple[bytes, dict[str, str]]:
    """The code, and the mangled name of each of `kernels` (name expressions, such as "forward<float, 400>").

    Args:
        source: CUDA C++.
        name: of the file, for messages and for includes relative to it.
        target: "sm_80" for a cubin, "compute_80" for PTX.
        options: of NVRTC, such as -std=c++17 and -I.
        kernels: template instances to be made; none for a source of extern "C" kernels.
        key: what else the result depends on: the text of included files.

    Raises:
        CompileError: with NVRTC's log.
    """
    parts = (source, key, target, *options, *kernels, str(_nvrtc().getVersion()))
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    code, names = CACHE / f"{digest}.{target}", CACHE / f"{digest}.names"
    if not (code.exists() and names.exists()):
        built, mangled = _compile(source, name, target, options, kernels)
        CACHE.mkdir(parents=True, exist_ok=True)
        for path, data in ((code, built), (names, "\n".join(mangled).encode())):
            temporary = path.with_name(f"{path.name}.{os.getpid()}")
            temporary.write_bytes(data)
            temporary.replace(path)
    return code.read_bytes(), dict(zip(kernels, names.read_text().split("\n"), strict=False))


@lru_cache(1)
def _nvrtc() -> Any:
    """CuPy's binding, with the library of the nvidia-cuda-nvrtc wheel: the compiler that the budgets were set by."""
    ctypes.CDLL(str(nvidia("cuda_nvrtc") / "lib" / "libnvrtc.so.12"), ctypes.RTLD_GLOBAL)
    from cupy.cuda import nvrtc

    return nvrtc


def nvidia(package: str) -> Path:
    """The folder of one of NVIDIA's wheels.

    Raises:
        RuntimeError: it is not installed.
    """
    spec = importlib.util.find_spec(f"nvidia.{package}")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"nvidia-{package.replace('_', '-')}-cu12 is not installed: make .venv/kernels")
    return Path(next(iter(spec.submodule_search_locations)))


def _compile(source, name, target, options, kernels) -> tuple[bytes, list[str]]:
    nvrtc = _nvrtc()
    program = nvrtc.createProgram(source, name, [], [])
    try:
        for each in kernels:
            nvrtc.addNameExpression(program, each)
        nvrtc.compileProgram(program, [f"--gpu-architecture={target}", *options])
        mangled = [nvrtc.getLoweredName(program, each) for each in kernels]
        if target.startswith("sm_"):
            return nvrtc.getCUBIN(program) + b"\0", mangled  # CuPy 14 cuts off the last byte of the ELF file
        text = nvrtc.getPTX(program)
        return text.encode() if isinstance(text, str) else text, mangled
    except nvrtc.NVRTCError as error:
        raise CompileError(f"{name} for {target}: {error}\n{nvrtc.getProgramLog(program)}") from None
    finally:
        nvrtc.destroyProgram(program)
