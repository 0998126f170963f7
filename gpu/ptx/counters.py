"""What a run cost, by kind: the numbers that a profiler would give."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

from .machine import Machine
from .parse import Instruction

FLOAT_ARITHMETIC = ("add", "sub", "mul", "fma", "mad", "min", "max")
SPECIAL = ("sqrt", "rsqrt", "rcp", "lg2", "ex2", "sin", "cos", "tanh")


def kind_of(instruction: Instruction) -> str:
    """One of the kinds of Counts. "free" is what ptxas folds away: moves, and signs of floats."""
    name, types = instruction.opcode, instruction.types
    if name in ("mov", "cvta") or instruction.space == "param" or (name in ("neg", "abs") and types[-1] == "f32"):
        return "free"
    if name in ("ld", "st", "ldu"):
        return "shared" if instruction.space == "shared" else "local" if instruction.space == "local" else "global_"
    if name in ("ldmatrix", "cp"):
        return "shared" if name == "ldmatrix" else "global_"
    if name in SPECIAL:
        return "special"
    if name in FLOAT_ARITHMETIC and types[-1] in ("f32", "f64"):
        return types[-1].replace("f", "fp")
    direct = {"mma": "tensor", "shfl": "shuffle", "selp": "select"}
    if name in direct:
        return direct[name]
    return "control" if name in ("bra", "brx", "bar", "barrier", "ret", "exit") else "integer"


@dataclass(frozen=True)
class Counts:
    """Of one launch, or of its share for a frame.

    Attributes:
        fp32 .. control: warp instructions; each of at most 32 threads counts as one.
        free: instructions of the PTX that the machine code does not have; in no sum.
        wavefronts: passes through shared memory, shuffles among them; `ideal_wavefronts` without bank conflicts.
        shared_bytes: that the threads asked for.
        load_sectors, store_sectors: of 32 bytes, asked of the first-level cache.
        block_sectors: distinct ones a block, loads and stores: what the second level serves.
        l1_clocks: wavefronts, and for global accesses a clock for 4 sectors or 128 bytes of registers: the two
            share one data path of an SM.
        requests: of shared and global memory, for the load-store unit.
    """

    fp32: float = 0
    fp64: float = 0
    integer: float = 0
    special: float = 0
    tensor: float = 0
    select: float = 0
    shuffle: float = 0
    shared: float = 0
    global_: float = 0
    local: float = 0
    control: float = 0
    free: float = 0
    wavefronts: float = 0
    ideal_wavefronts: float = 0
    shared_bytes: float = 0
    load_sectors: float = 0
    store_sectors: float = 0
    block_sectors: float = 0
    l1_clocks: float = 0
    requests: float = 0

    @property
    def instructions(self) -> float:
        """Warp instructions, without the free ones."""
        names = [each.name for each in fields(self)]
        return sum(getattr(self, name) for name in names[: names.index("free")])

    @property
    def conflict_ratio(self) -> float:
        return self.wavefronts / self.ideal_wavefronts if self.ideal_wavefronts else 1.0

    def per(self, frames: float) -> Counts:
        return Counts(**{each.name: getattr(self, each.name) / frames for each in fields(self)})

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})


def counts(machine: Machine) -> Counts:
    """Of a finished run with `counting`."""
    instructions, found = machine.kernel.instructions, Counter()
    for number, times in machine.executed.items():
        found[kind_of(instructions[number])] += times
    for name in ("wavefronts", "ideal_wavefronts", "requests"):
        found[name] += found["shuffle"]
    found["shared_bytes"] += 128 * found["shuffle"]
    clocks = float(found["wavefronts"])
    for (number, space), (requests, taken, ideal, moved) in machine.traffic.of.items():
        found["requests"] += int(requests)
        if space == "shared":
            found["wavefronts"] += int(taken)
            found["ideal_wavefronts"] += int(ideal)
            found["shared_bytes"] += int(moved)
            clocks += taken
        else:
            found["store_sectors" if instructions[number].opcode == "st" else "load_sectors"] += int(taken)
            clocks += max(taken / 4, moved / 128)
    return Counts(**found, block_sectors=machine.traffic.block_sectors, l1_clocks=clocks)
