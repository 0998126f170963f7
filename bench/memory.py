"""Memory: the peak of one call, and pages that malloc keeps. For any contender's Python: the standard library alone."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of <malloc.h>
KEPT = ", pages kept"
"""Behind the name of a peer: malloc gives nothing back to the system, so nobody waits for fresh pages."""


def peak_memory(run: Callable[[], Any]) -> int | None:
    """Peak memory of a call in bytes: the kernel's own high-water mark, which misses nothing. Linux only."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    gc.collect()
    if "fastspec" in sys.modules:
        sys.modules["fastspec"].empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)
    reset.write_text("5")
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def keep_pages() -> None:
    """malloc returns nothing to the system. By default glibc maps an array above 32 MB afresh at every call:
    the page faults are part of what torch's users wait for, but not of torch's arithmetic.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        raise ImportError("this malloc is not glibc's")
    for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1)):
        mallopt(option, value)


def _status(field: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)
