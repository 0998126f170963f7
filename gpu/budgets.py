"""What the kernels may need: the gate (gpu/gate.py) and the tests hold them to it. A change here is a decision.

Always: no spills and no local memory, on every architecture.
"""

from __future__ import annotations

from dataclasses import dataclass

THREADS = 65536
"""Registers of an SM."""


@dataclass(frozen=True)
class Ceiling:
    """For the kernels whose C++ name starts with `prefix`; the longest prefix counts.

    Attributes:
        registers: a thread, at most.
        warps: resident on an SM, at least, at the launch's threads and shared memory.
        local: bytes of stack a thread, at most.
        why: of a ceiling that is not the common one.
    """

    prefix: str
    registers: int
    warps: int
    local: int = 0
    why: str = ""


COMMON = Ceiling("", 128, 16)
"""Two blocks of 256 threads on every SM."""

CEILINGS: tuple[Ceiling, ...] = (COMMON,)


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


COSTS: dict[str, Cost] = {}
"""By the name of the workload."""


def ceiling(expression: str) -> Ceiling:
    """The one for a kernel's C++ name."""
    return max((each for each in CEILINGS if expression.startswith(each.prefix)), key=lambda each: len(each.prefix))
