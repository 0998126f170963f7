"""What a cubin needs of an SM: registers, spills, local and shared memory, and how many blocks then fit."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Processor:
    """Limits of an SM (CUDA C++ Programming Guide, compute capabilities): bytes, and counts."""

    threads: int
    blocks: int
    shared: int
    shared_block: int
    registers: int = 65536


_KB = 1024
PROCESSORS = {
    "sm_70": Processor(2048, 32, 96 * _KB, 96 * _KB),
    "sm_75": Processor(1024, 16, 64 * _KB, 64 * _KB),
    "sm_80": Processor(2048, 32, 164 * _KB, 163 * _KB),
    "sm_86": Processor(1536, 16, 100 * _KB, 99 * _KB),
    "sm_89": Processor(1536, 24, 100 * _KB, 99 * _KB),
    "sm_90": Processor(2048, 32, 228 * _KB, 227 * _KB),
    "sm_100": Processor(2048, 32, 228 * _KB, 227 * _KB),
    "sm_120": Processor(1536, 24, 100 * _KB, 99 * _KB),
}
RESERVED = 1024
"""Bytes of shared memory that the driver keeps for itself in every block, from sm_80 on."""


@dataclass(frozen=True)
class Resources:
    """Of one kernel in one cubin.

    Attributes:
        registers: a thread.
        stack, local: bytes a thread of local memory.
        shared: bytes a block of static shared memory, without what the driver keeps.
        spills: LDL and STL instructions.
        instructions: of the machine code by name, "FFMA" or "LDG".
    """

    registers: int
    stack: int
    local: int
    shared: int
    spills: int
    instructions: dict[str, int]

    @property
    def size(self) -> int:
        """Instructions in all, without padding."""
        return sum(self.instructions.values()) - self.instructions.get("NOP", 0)


def resources(cubin: bytes, arch: str) -> dict[str, Resources]:
    """Of every kernel, by its (mangled) name; `arch` as in PROCESSORS. Triton's cubins are read as well as NVRTC's.

    Raises:
        RuntimeError: cuobjdump or nvdisasm, which come with triton, are missing or refuse the file.
    """
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage, listing = _tool("cuobjdump", "-res-usage", file.name), _tool("nvdisasm", "-c", file.name)
    found = {}
    pattern = r"Function (\S+):\s*REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)"
    histograms = _histograms(listing)
    kept_by_driver = RESERVED if int(arch[3:]) >= 90 else 0
    for name, *numbers in re.findall(pattern, usage):
        registers, stack, shared, local = map(int, numbers)
        histogram = histograms[name]
        spills = histogram["LDL"] + histogram["STL"]
        found[name] = Resources(registers, stack, local, max(0, shared - kept_by_driver), spills, dict(histogram))
    if not found:
        raise RuntimeError(f"cuobjdump found no kernel in a cubin for {arch}")
    return found


def blocks_per_sm(arch: str, registers: int, shared: int, threads: int) -> int:
    """How many blocks an SM holds at once; `shared` is static and dynamic together, without the driver's part."""
    limits, warps = PROCESSORS[arch], -(-threads // 32)
    per_warp = -(-registers * 32 // 256) * 256  # registers are given out in units of 256
    by_registers = limits.registers // 4 // per_warp * 4 // warps  # each quarter of an SM has its own
    taken = -(-shared // 128) * 128 + (RESERVED if int(arch[3:]) >= 80 else 0)
    by_shared = limits.shared // taken if taken else limits.blocks
    if shared > limits.shared_block:
        return 0
    return min(limits.threads // (32 * warps), limits.blocks, by_registers, by_shared)


def occupancy(arch: str, registers: int, shared: int, threads: int) -> float:
    """Resident warps over those that an SM could hold."""
    warps = -(-threads // 32)
    return blocks_per_sm(arch, registers, shared, threads) * warps * 32 / PROCESSORS[arch].threads


def _tool(name: str, *arguments: str) -> str:
    spec = importlib.util.find_spec("triton")
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} comes with triton, which is not installed")
    path = Path(spec.origin).parent / "backends" / "nvidia" / "bin" / name
    done = subprocess.run([path, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    return done.stdout


def _histograms(listing: str) -> dict[str, Counter[str]]:
    """Machine instructions by kernel and name, from nvdisasm's listing."""
    found: dict[str, Counter[str]] = {}
    current: Counter[str] = Counter()
    for line in listing.splitlines():
        if section := re.match(r"\s*\.section\s+\.text\.([^\s,]+)", line):
            current = found.setdefault(section[1], Counter())
        elif operation := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+|\{\s*)*([A-Z][A-Z0-9_]*)", line):
            current[operation[1]] += 1
    return found
