"""Which backend runs an op: by device, by what each refuses, or by name.

A backend is a module per op (`ops/<op>/reference.py`, `_cpu.py`, `_triton.py`) with

    refuse(plan, *tensors) -> str | None      why it cannot run, or None
    forward(*tensors, plan, ..., out=None)    the op itself

A refusal may depend on the plan, on dtypes and on the device, not on sizes: choices are remembered by these, and
`explain` asks with objects that have no more than these.
"""

from __future__ import annotations

import importlib
import math
import os
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ._launch import has_host_engine
from .plan import DensePlan, FramePlan, Plan

OPS = ("frame_transform", "overlap_add", "basis_grad", "spectral_power")
FILES = {"triton": "_triton", "cuda": "_cuda", "cpu": "_cpu", "reference": "reference"}
ORDER = {"cpu": ("cpu", "reference"), "cuda": ("triton", "cuda", "reference")}
OTHER_DEVICES = ("reference",)
HALVES = (torch.float16, torch.bfloat16)

_loaded: dict[tuple[str, str], Any] = {}
_chosen: dict[tuple, Any] = {}


class _Missing:
    """Stands for a backend whose module cannot be imported: it refuses with the reason."""

    def __init__(self, reason: str):
        self.reason = reason

    def refuse(self, plan: Plan, *tensors: Tensor | None) -> str:
        return self.reason


def _load(op: str, backend: str) -> Any:
    found = _loaded.get((op, backend))
    if found is None:
        try:
            found = importlib.import_module(f"fastspec.ops.{op}.{FILES[backend]}")
        except ImportError as error:
            found = _Missing(f"the native library is not built ({error})" if backend == "cpu" else str(error))
        _loaded[op, backend] = found
    return found


def choose(op: str, backend: str, plan: Plan, *tensors: Tensor | None) -> Any:
    """The backend module that runs `op` on these tensors; the first tensor decides device and dtype.

    Args:
        op: one of OPS.
        backend: a name, or "" for the first of the device's order that does not refuse.

    Raises:
        ValueError: the name is unknown, or that backend does not work on this device.
        NotImplementedError: the named backend, or all of them, refuse; the message lists the reasons.
    """
    first = tensors[0]
    key = (op, backend, plan, first.dtype, first.device)  # type: ignore[union-attr]
    found = _chosen.get(key)
    if found is None:
        if len(_chosen) > 4096:
            _chosen.clear()
        found = _chosen[key] = _decide(op, backend, plan, tensors)
    return found


def _decide(op: str, backend: str, plan: Plan, tensors: tuple[Tensor | None, ...]) -> Any:
    module, refused = _ask(op, _order(backend, tensors[0].device.type), plan, tensors)  # type: ignore[union-attr]
    if module is None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise NotImplementedError(f"{op}: {'backend' if backend else 'every backend'} refuses: {reasons}")
    return module


def check_backend(backend: str | None) -> str:
    """The name of a backend, "" for None; ValueError where it is unknown."""
    if backend is None:
        return ""
    if not isinstance(backend, str) or (backend and backend not in FILES):
        raise ValueError(f"backend must be one of {', '.join(map(repr, FILES))} or '' (automatic), got {backend!r}")
    return backend


def triton_is_interpreted() -> bool:
    """True where this process asked for Triton's interpreter, which runs on CPU tensors and is for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _order(backend: str, device: str) -> tuple[str, ...]:
    """The backends to ask, first to last, for tensors of this device type."""
    order = ORDER.get(device, OTHER_DEVICES)
    if not check_backend(backend):
        return order
    if (backend == "cuda" and has_host_engine()) or (backend == "triton" and triton_is_interpreted()):
        return (backend,)  # tests run the GPU's kernels on CPU tensors
    if backend not in order:
        allowed = ", ".join(map(repr, order))
        raise ValueError(f"backend {backend!r} does not run on {device} tensors; allowed there: {allowed}")
    return (backend,)


def _ask(op: str, order: tuple[str, ...], plan: Plan, tensors: tuple[Any, ...]) -> tuple[Any, dict[str, str]]:
    """The first backend of the order that does not refuse, or None, and the reasons of those before it."""
    refused = {}
    for name in order:
        module = _load(op, name)
        reason = module.refuse(plan, *tensors)
        if reason is None:
            return module, refused
        refused[name] = reason
    return None, refused


@dataclass(frozen=True)
class _Stand:
    """As much of a tensor as a refusal may look at."""

    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Explanation:
    """What `explain` found. Print it, or read it.

    Attributes:
        rows: (op, who runs it or None, {who refuses: why}) of each op.
        algorithm: "FFT" or "product".
        why: the reason for that.
        costs: {algorithm: (floating point operations, bytes)} a frame, estimated.
    """

    device: str
    dtype: torch.dtype
    plan: Plan
    rows: tuple[tuple[str, str | None, dict[str, str]], ...]
    algorithm: str = "FFT"
    why: str = ""
    costs: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __str__(self) -> str:
        computed = ", computed in float32," if self.dtype in HALVES else ""
        lines = [f"{self.plan}", f"{str(self.dtype).removeprefix('torch.')}{computed} on {self.device}"]
        lines.append(f"  by {self.algorithm}: {self.why}")
        for algorithm, (flops, size) in self.costs.items():
            lines.append(f"  {algorithm:<16} {flops / 1e3:,.1f} kFLOP and {size / 1e3:,.1f} kB a frame, estimated")
        for op, runs, refused in self.rows:
            lines.append(f"  {op:<16} {runs or 'nobody'}")
            lines += [f"  {'':<16}   {name} refuses: {reason}" for name, reason in refused.items()]
        return "\n".join(lines)


def _native() -> ModuleType | None:  # the CPU kernels, where there are any
    try:
        return importlib.import_module("fastspec._native")
    except ImportError:
        return None


if hasattr(os, "register_at_fork"):  # loaded by then, it can tell the child that OpenMP's threads are not its own
    os.register_at_fork(before=_native)


def empty_cache() -> None:
    """Gives the system the memory back that the native CPU kernels keep for their next results.

    Results of 4 MB and more lie in memory that is kept when they are freed, since fresh pages can cost as much as the
    transform: at most as much as was in use at one time, and 1 GB. The system may take what is older than the newest
    64 MB whenever it needs memory, so this is for those who watch a process' size. Does nothing where there are no
    native kernels.
    """
    if native := _native():
        native.empty_cache()


def explain(
    what: Any,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    backend: str | None = None,
) -> Explanation:
    """Which algorithm and which backend would run each op, why, and what it costs.

    Frames under a window go through an FFT; rows that are trained, or that are no bins of an FFT, through a product.

    Args:
        what: a FramePlan or a DensePlan, or anything with a `plan` attribute (the transforms have one).
        device: where the signal is; this machine need not have it.
        dtype: of the signal: torch.float32, torch.float64, torch.int16, or torch.float16 and torch.bfloat16,
            which are computed in float32.
        backend: ask about this backend alone; "" for the automatic order. Default: as the transform was made.

    Raises:
        ValueError: `what` has no plan, or device, dtype or the backend's name is unknown.
    """
    plan = getattr(what, "plan", what)
    if not isinstance(plan, (FramePlan, DensePlan)):
        raise ValueError(f"what must be a plan or have a `plan` attribute, got {type(what).__name__}")
    if dtype not in (torch.float32, torch.float64, torch.int16, *HALVES):
        raise ValueError(f"dtype must be float32, float64, int16, float16 or bfloat16, got {dtype!r}")
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError, AssertionError):
        raise ValueError(f"device must be a torch.device or the name of one, got {device!r}") from None
    real = torch.float64 if dtype is torch.float64 else torch.float32
    x = _Stand(real if dtype in HALVES else dtype, device)
    window, y = _Stand(real, device), _Stand(real.to_complex(), device)
    tensors = {
        "frame_transform": (x, window),
        "overlap_add": (y, window),
        "basis_grad": (x, y),
        "spectral_power": (x, window, window),
    }
    order = _order(_backend_of(what) if backend is None else backend, device.type)
    rows = []
    for op in OPS:
        module, refused = _ask(op, order, plan, tensors[op])
        rows.append((op, order[len(refused)] if module else None, refused))
    dense = isinstance(plan, DensePlan)
    default = "the rows are any numbers" if dense else "a Fourier basis under a window"
    why = getattr(what, "why", default)
    return Explanation(str(device), dtype, plan, tuple(rows), "product" if dense else "FFT", why, _costs(plan))


def _backend_of(what: Any) -> str:
    """The backend that a layer, or the first of its own layers to name one, was made with; "" is automatic."""
    layers = what.modules() if isinstance(what, torch.nn.Module) else (what,)
    return next((name for layer in layers if isinstance(name := getattr(layer, "backend", None), str)), "")


def _costs(plan: Plan) -> dict[str, tuple[float, float]]:
    """Operations and bytes a frame: samples in, complex spectrum out, and a dense basis once for 128 frames.

    For a dense plan the FFT is that of its frame, which could give its rows only if they were bins.
    """
    moved = 4.0 * plan.hop_length + 8.0 * plan.n_bins
    taps = plan.n_taps if isinstance(plan, DensePlan) else plan.n_bins * plan.win_length
    return {
        "FFT": (2.5 * plan.n_fft * math.log2(max(2, plan.n_fft)), moved),
        "product": (4.0 * taps, moved + 8.0 * taps / 128),
    }
