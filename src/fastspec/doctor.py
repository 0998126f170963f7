"""What this machine has, what will run on it, and what to install: the facts behind ``fastspec doctor``."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["ok", "missing", "broken", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        topic: what.
        status: ``"ok"``, ``"missing"`` (optional, not there), ``"broken"`` (there, or needed, and does not
            work), or ``"info"``.
        detail: what was found.
        advice: what to install or do; empty if nothing.
    """

    topic: str
    status: Status
    detail: str
    advice: str = ""


def examine() -> list[Finding]:
    """Look at everything. Never raises: what cannot be looked at is reported as broken."""
    findings = []
    for topic, look in _LOOKS.items():
        try:
            findings.append(look())
        except Exception as error:  # a diagnosis must reach its end on a broken machine
            findings.append(Finding(topic, "broken", f"{type(error).__name__}: {error}"))
    return findings


def what_runs() -> list[tuple[str, str]]:
    """(device, backend) pairs: which backend runs ``spectral_power`` on the tensors of each device."""
    import torch

    from .dispatch import explain
    from .plan import FramePlan

    plan = FramePlan.make(1024)
    devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    result = []
    for device in devices:
        row = next(row for row in explain(plan, device=device).rows if row[0] == "spectral_power")
        reasons = "".join(f"; {name} does not: {reason}" for name, reason in row[2].items())
        result.append((device, f"{row[1] or 'nothing'}{reasons}"))
    return result


def cpu_name() -> str:
    """The processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine() or "unknown"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", "info", f"{version} on {platform.system()} {platform.machine()}")


def _cpu() -> Finding:
    cores = _cores()
    return Finding("CPU", "info", f"{cpu_name()}, {cores} core{'s' if cores > 1 else ''} for this process")


def _native() -> Finding:
    topic = "native kernels"
    try:
        native = importlib.import_module("fastspec._native")
    except ImportError as error:
        return Finding(
            topic,
            "broken",
            f"not loaded ({error}); the slow reference in torch runs instead",
            "build fastspec with a C++ compiler at hand: pip install .",
        )
    return Finding(topic, "ok", f"libfastspec with {native.simd_level()} instructions")


def _torch() -> Finding:
    import torch

    return Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _cuda() -> Finding:
    import torch

    if torch.version.cuda is None:
        return Finding("CUDA", "missing", "this torch is built for the CPU alone", "a CUDA build of torch, for a GPU")
    if not torch.cuda.is_available():
        return Finding("CUDA", "missing", f"torch has CUDA {torch.version.cuda}, but no usable GPU or driver")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return Finding("CUDA", "ok", f"{torch.version.cuda}: {names}")


def _cupy() -> Finding:
    for package in ("cupy-cuda13x", "cupy-cuda12x", "cupy"):
        if version := _version(package):
            return Finding("CuPy", "ok", f"{package} {version}{_compiler()}")
    return Finding("CuPy", "missing", "not installed", _gpu_extra())


def _compiler() -> str:
    """NVRTC as CuPy finds it, where a GPU needs it: the CUDA kernels are compiled at their first use."""
    import torch

    if not torch.cuda.is_available():
        return ""
    nvrtc = importlib.import_module("cupy.cuda.nvrtc")
    return ", NVRTC {}.{}".format(*nvrtc.getVersion())


def _triton() -> Finding:
    version = _version("triton")
    if version:
        return Finding("Triton", "ok", version)
    return Finding("Triton", "missing", "not installed", _gpu_extra())


def _soundfile() -> Finding:
    import soundfile

    formats = soundfile.available_formats()
    can = [name for name in ("WAV", "FLAC", "OGG", "MP3") if name in formats]
    detail = f"soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}: reads {', '.join(can)}"
    advice = "" if "MP3" in can else "pip install -U soundfile, for MP3"
    return Finding("audio files", "ok", detail, advice)


def _optional(topic: str, package: str, advice: str) -> Callable[[], Finding]:
    def look() -> Finding:
        version = _version(package)
        if version:
            return Finding(topic, "ok", f"{package} {version}")
        return Finding(topic, "missing", f"{package} is not installed", advice)

    return look


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpu_extra() -> str:
    """How to install the GPU side, for the CUDA that torch was built with; nothing without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return ""
    major = "13" if (torch.version.cuda or "").startswith("13") else "12"
    return f"pip install 'fastspec[cuda{major}]'"


_LOOKS: dict[str, Callable[[], Finding]] = {
    "Python": _python,
    "CPU": _cpu,
    "native kernels": _native,
    "torch": _torch,
    "CUDA": _cuda,
    "CuPy": _cupy,
    "Triton": _triton,
    "audio files": _soundfile,
    "pictures": _optional("pictures", "matplotlib", "pip install 'fastspec[plot]'"),
    "safetensors": _optional("safetensors", "safetensors", "pip install 'fastspec[safetensors]'"),
    "resampling": _optional("resampling", "soxr", "pip install 'fastspec[resample]'"),
}
