"""Instructions that the lanes of a warp do together."""

from __future__ import annotations

import numpy as np

from .machine import Lanes, Machine, opcode
from .memory import AccessError
from .parse import Instruction


def members(lanes_on: np.ndarray) -> np.ndarray:
    """A mask for every warp, of bools for every thread."""
    return (lanes_on.reshape(-1, 32).astype(np.int64) << np.arange(32)).sum(1)


def present(machine: Machine, at: Lanes) -> np.ndarray:
    on = np.zeros(machine.total, np.bool_)
    on[machine.lanes(at)] = True
    return on


def check_members(machine: Machine, at: Lanes, mask, what: str) -> np.ndarray:
    """Every living lane that the mask names must be here. The bools of the threads that are."""
    lane, on = machine.lanes(at), present(machine, at)
    named = np.broadcast_to(mask, lane.shape).astype(np.int64)
    missing = (named & ~members(on)[lane >> 5] & members(~machine.ended)[lane >> 5]) != 0
    if missing.any():
        raise AccessError(f"{what}: lanes of the mask are elsewhere", missing)
    return on


@opcode("bar", "barrier")
def _warp_barrier(machine: Machine, number: int, instruction: Instruction):
    mask = machine.source(instruction.operands[0], "u32")

    def run(at: Lanes) -> None:
        check_members(machine, at, mask(at), "divergent warp barrier")
        machine.shared.warp_epoch[np.unique(machine.lanes(at) >> 5)] += 1

    return run


@opcode("shfl")
def _shuffle(machine: Machine, number: int, instruction: Instruction):
    mode = next(m for m in instruction.modifiers if m in ("bfly", "up", "down", "idx"))
    target, *found = instruction.operands[0].split("|")
    value, by, clamp, mask = (
        machine.source(each, kind)
        for each, kind in zip(instruction.operands[1:], ("b32", "u32", "u32", "u32"), strict=True)
    )

    def run(at: Lanes) -> None:
        on = check_members(machine, at, mask(at), "divergent shuffle")
        thread = machine.lanes(at)
        lane = thread & 31
        step, limits = (np.broadcast_to(s(at), lane.shape).astype(np.int64) for s in (by, clamp))
        segment = limits >> 8 & 31
        last, first = (lane & segment) | (limits & 31 & ~segment), lane & segment
        source = {
            "bfly": lane ^ step,
            "up": lane - step,
            "down": lane + step,
            "idx": first | (step & ~segment & 31),
        }[mode]
        inside = source >= last if mode == "up" else source <= last
        source = (thread & ~31) + np.where(inside, source, lane)
        if (bad := ~on[source]).any():
            raise AccessError("shuffle from an inactive lane", bad)
        values = np.zeros(machine.total, np.uint32)
        values[thread] = value(at)
        machine.put(target, at, values[source])
        if found:
            machine.put(found[0], at, inside)

    return run


@opcode("vote")
def _vote(machine: Machine, number: int, instruction: Instruction):
    holds, mask = machine.source(instruction.operands[1], "pred"), machine.source(instruction.operands[2], "u32")
    mode = next(m for m in instruction.modifiers if m in ("ballot", "any", "all"))

    def run(at: Lanes) -> None:
        on = check_members(machine, at, mask(at), "divergent vote")
        thread = machine.lanes(at)
        named = np.broadcast_to(mask(at), thread.shape).astype(np.int64) & members(on)[thread >> 5]
        yes = np.zeros(machine.total, np.bool_)
        yes[thread] = holds(at)
        ballot = members(yes)[thread >> 5] & named
        result = {"ballot": ballot.astype(np.uint32), "any": ballot != 0, "all": ballot == named}[mode]
        machine.put(instruction.operands[0], at, result)

    return run


@opcode("activemask")
def _active(machine: Machine, number: int, instruction: Instruction):
    def run(at: Lanes) -> None:
        masks = members(present(machine, at))[machine.lanes(at) >> 5]
        machine.put(instruction.operands[0], at, masks.astype(np.uint32))

    return run
