"""What the kernels may need: the gate (gpu/gate.py) and the tests hold them to it. A change here is a decision.

Always: no spills and no local memory, on every architecture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Ceiling:
    """For the kernels in whose C++ name `pattern` (a regular expression) is found; the first one counts.

    Attributes:
        registers: a thread, at most.
        warps: resident on an SM, at least, at the launch's threads and shared memory, n_fft up to 4096.
        why: of a ceiling that is not the common one.
        archs: where it holds; everywhere when empty.
    """

    pattern: str
    registers: int
    warps: int
    why: str = ""
    archs: tuple[str, ...] = ()


CEILINGS = (
    Ceiling(r"<double", 255, 8, "float64 is there for exact gradients, not for speed: one block an SM is enough"),
    Ceiling(
        r"::spectral_power_bwd_kernel<", 176, 8, "held to 128 registers for two blocks an SM, it spills two of them"
    ),
    Ceiling(r"", 128, 8, "64 KB of shared memory an SM hold one block of 33 KB", ("sm_75",)),
    Ceiling(r"", 128, 16),  # two blocks of 256 threads on every SM
)


@dataclass(frozen=True)
class Cost:
    """What one frame of a workload of gpu/workloads.py may cost; kernels.md section 4 set the first of them.

    Attributes:
        instructions: warp instructions.
        clocks: of shared memory and the first-level cache.
        conflicts: wavefronts over those without bank conflicts.
    """

    instructions: float
    clocks: float
    conflicts: float


COSTS = {
    "400/160 magnitude": Cost(460, 115, 1.25),
    "400/160 log-mel 80": Cost(530, 135, 1.25),
    "512/128 magnitude": Cost(390, 90, 1.05),
    "512/128 log-mel 80": Cost(455, 117, 1.15),
    "1024/256 magnitude": Cost(840, 190, 1.05),
    "1024/256 log-mel 80": Cost(915, 210, 1.05),
    "2048/512 magnitude": Cost(1875, 500, 1.05),
    "2048/512 log-mel 128": Cost(2110, 610, 1.05),
    "1024/256 magnitude, backward": Cost(1900, 450, 1.05),
    "1024/256 log-mel 80, backward": Cost(1900, 555, 1.05),
}
"""By the name of the workload, launched as in a large batch (STEADY there). Set before the kernels were written: clocks
and conflicts of 400 and 1024, instructions of the backward. The others are what the kernels took of a short clip, and
5%."""
GENERAL_HOP = 1.25
"""Instructions and clocks at a hop that no build is special for, over those at the usual hop: at most."""


def ceiling(expression: str, arch: str) -> Ceiling:
    """The one for a kernel's C++ name."""
    fits = (each for each in CEILINGS if re.search(each.pattern, expression))
    return next(each for each in fits if not each.archs or arch in each.archs)
