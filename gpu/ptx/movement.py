"""Instructions that move: loads, stores, copies to shared memory, addresses."""

from __future__ import annotations

import numpy as np

from .arithmetic import elementwise, vector
from .machine import Lanes, Machine, opcode
from .memory import LOCAL_BASE, PARAM_BASE, SHARED_BASE, AccessError
from .parse import Instruction, PTXError
from .types import SIGNED, UNSIGNED, width

WINDOWS = {"shared": SHARED_BASE, "local": LOCAL_BASE, "param": PARAM_BASE, "global": 0, "const": 0}


@opcode("cvta")
def _convert_address(machine: Machine, number: int, instruction: Instruction):
    base = np.uint64(WINDOWS[instruction.space])
    down = "to" in instruction.modifiers
    return elementwise(machine, instruction, lambda x: x - base if down else x + base, ["u64"])


@opcode("membar", "fence", "prefetch", "prefetchu", "nanosleep", "griddepcontrol", "applypriority", "discard")
def _nothing(machine: Machine, number: int, instruction: Instruction):
    return lambda at: None


def place(space: str, address: np.ndarray) -> tuple[str, np.ndarray]:
    """The true space of a generic address, and the address in it."""
    if space != "generic":
        return space, address
    for name in ("param", "local", "shared"):
        inside = address >= WINDOWS[name]
        if inside.all():
            return name, address - WINDOWS[name]
        if inside.any():
            raise PTXError("one instruction reaches two state spaces")
    return "global", address


def check_alignment(address: np.ndarray, size: int) -> None:
    bad = address % size != 0
    if bad.any():
        raise AccessError(f"misaligned access of {size} bytes", bad)


def read(machine: Machine, number: int, at: Lanes, space: str, address: np.ndarray, size: int) -> np.ndarray:
    """`size` bytes (1, 2, 4, 8) a thread, after all checks."""
    lane = machine.lanes(at)
    if space == "param":
        return machine.parameters.load(address, size)
    if space == "local":
        return machine.local.view(UNSIGNED[8 * size])[_local(machine, address, size, lane) // size]
    if space == "shared":
        block = machine.block_in_batch[lane]
        offset = machine.shared.offsets(address, size, block)
        bad = ~machine.shared.valid[offset]
        if bad.any():
            raise AccessError("read of shared memory that was never written, or whose cp.async is under way", bad)
        if machine.counting:
            races(machine, number, offset, size, lane, False)
        return machine.shared.data.view(UNSIGNED[8 * size])[offset // size]
    memory = machine.global_
    offset = memory.offsets(address, size)
    bad = ~memory.written[offset]
    if bad.any():
        raise AccessError("read of global memory that was never written", bad)
    memory.read_sectors[offset >> 5] = True
    if machine.counting and (memory.writer[offset >> 2] >= 0).any():
        _check_global_race(machine, number, offset, size, lane, None)
    return memory.data.view(UNSIGNED[8 * size])[offset // size]


def _local(machine: Machine, address: np.ndarray, size: int, lane: np.ndarray) -> np.ndarray:
    bad = (address < 0) | (address + size > machine.local_bytes)
    if bad.any():
        raise AccessError("out-of-bounds local access", bad)
    return address + lane * machine.local_stride


def races(machine: Machine, number: int, offset: np.ndarray, size: int, lane: np.ndarray, store: bool) -> None:
    for other in machine.shared.race(offset, size, lane, machine.block_in_batch[lane], number, store):
        here = machine.kernel.instructions[number].text
        there = "another thread of the same instruction" if other < 0 else machine.kernel.instructions[other].text
        machine.problems[f"shared race: `{here}` with `{there}`"] += 1


def write(machine: Machine, number: int, at: Lanes, space: str, address: np.ndarray, size: int, values) -> None:
    lane = machine.lanes(at)
    if space == "local":
        machine.local.view(UNSIGNED[8 * size])[_local(machine, address, size, lane) // size] = values
    elif space == "shared":
        offset = machine.shared.offsets(address, size, machine.block_in_batch[lane])
        if machine.counting:
            races(machine, number, offset, size, lane, True)
        machine.shared.data.view(UNSIGNED[8 * size])[offset // size] = values
        for byte in range(size):
            machine.shared.valid[offset + byte] = True
    elif space == "global":
        memory = machine.global_
        offset = memory.offsets(address, size)
        if machine.counting:
            _check_global_race(machine, number, offset, size, lane, values)
        memory.data.view(UNSIGNED[8 * size])[offset // size] = values
        memory.written_sectors[offset >> 5] = True
        for byte in range(size):
            memory.written[offset + byte] = True
        if machine.counting:
            _check_writers(machine, number, offset, size, lane)
    else:
        raise PTXError(f"a store to {space} memory, which only calls make, and calls are not executed")


def _check_writers(machine: Machine, number: int, offset: np.ndarray, size: int, lane: np.ndarray) -> None:
    """No word may be written by two blocks: their order is unknown, and there are no atomics."""
    block = machine.block_in_batch[lane] + machine.first_block
    if size < 4:
        return  # neighbouring halves of a word may belong to two blocks
    for word in range(0, size, 4):
        at = offset + word >> 2
        before = machine.global_.writer[at]
        machine.global_.writer[at] = block
        if ((before >= 0) & (before != block)).any() or (machine.global_.writer[at] != block).any():
            text = machine.kernel.instructions[number].text
            machine.problems[f"global word written by two blocks: `{text}`"] += 1


def _check_global_race(machine: Machine, number: int, offset: np.ndarray, size: int, lane: np.ndarray, values) -> None:
    """No thread may read, or write otherwise (`values`), what another of its block wrote, without a barrier between."""
    if size < 4:
        return
    memory, warp, block = machine.global_, lane >> 5, machine.block_in_batch[lane]
    epoch, order = machine.shared.epoch[block], machine.shared.warp_epoch[warp]
    same = np.False_
    if values is not None:
        same = memory.data.view(UNSIGNED[8 * size])[offset // size] == np.asarray(values).view(UNSIGNED[8 * size])
    for word in range(0, size, 4):
        at = offset + word >> 2
        ordered = (memory.epoch[at] != epoch) | ((memory.lane[at] >> 5 == warp) & (memory.order[at] < order))
        mine = (memory.writer[at] != block + machine.first_block) | (memory.lane[at] == lane)
        if not (ordered | mine | same).all():
            machine.problems[f"global race: `{machine.kernel.instructions[number].text}`"] += 1
        if values is not None:
            memory.lane[at], memory.epoch[at], memory.order[at] = lane, epoch, order


def note_traffic(machine: Machine, number: int, at: Lanes, space: str, address: np.ndarray, size: int) -> None:
    if not machine.counting:
        return
    lane = machine.lanes(at)
    if space == "shared":
        machine.traffic.note_shared(number, address, size, lane)
    elif space in ("global", "const"):
        machine.traffic.note_global(number, address, size, lane, machine.block_in_batch[lane])


@opcode("ld", "ldu")
def _load(machine: Machine, number: int, instruction: Instruction):
    kind, declared = instruction.types[-1], instruction.space
    size, targets = width(kind) // 8, vector(instruction.operands[0])
    address = machine.address(instruction.operands[1])

    def run(at: Lanes) -> None:
        space, first = place(declared, address(at))
        check_alignment(first, size * len(targets))
        note_traffic(machine, number, at, space, first, size * len(targets))
        values = [read(machine, number, at, space, first + i * size, size) for i in range(len(targets))]
        for target, value in zip(targets, values, strict=True):
            machine.put(target, at, value.view(SIGNED[8 * size]) if kind[0] == "s" else value)

    return run


@opcode("st")
def _store(machine: Machine, number: int, instruction: Instruction):
    size, declared = width(instruction.types[-1]) // 8, instruction.space
    address = machine.address(instruction.operands[0])
    sources = [machine.source(each, f"b{8 * size}") for each in vector(instruction.operands[1])]

    def run(at: Lanes) -> None:
        space, first = place(declared, address(at))
        check_alignment(first, size * len(sources))
        note_traffic(machine, number, at, space, first, size * len(sources))
        for i, source in enumerate(sources):
            write(machine, number, at, space, first + i * size, size, source(at))

    return run


@opcode("cp")
def _copy_async(machine: Machine, number: int, instruction: Instruction):
    """cp.async: the bytes arrive when their own thread waits for them, never earlier."""
    modifiers = instruction.modifiers
    if "bulk" in modifiers or "async" not in modifiers:
        raise PTXError(f"not modelled: {instruction.text}")
    if "commit_group" in modifiers:

        def commit(at: Lanes) -> None:
            machine.copy_group[machine.lanes(at)] += 1

        return commit
    if "wait_group" in modifiers or "wait_all" in modifiers:
        kept = int(instruction.operands[0]) if instruction.operands else 0
        return lambda at: _arrive(machine, at, kept, "wait_all" in modifiers)
    to, of = (machine.address(each) for each in instruction.operands[:2])
    size = int(instruction.operands[2], 0)
    source_size = machine.source(instruction.operands[3], "u32") if len(instruction.operands) > 3 else None

    def run(at: Lanes) -> None:
        lane, source = machine.lanes(at), of(at)
        asked = np.broadcast_to(source_size(at) if source_size else size, lane.shape).astype(np.int64)
        data = np.zeros((len(lane), size), np.uint8)
        reads = asked > 0
        if reads.any():
            offset = machine.global_.offsets(source[reads], int(asked.max()))
            data[reads] = machine.global_.data[offset[:, None] + np.arange(size)]
            data[np.arange(size)[None] >= asked[:, None]] = 0
            machine.global_.read_sectors[offset >> 5] = True
            note_traffic(machine, number, lane[reads], "global", source[reads], size)
        target = to(at)
        check_alignment(target, size)
        note_traffic(machine, number, at, "shared", target, size)
        offset = machine.shared.offsets(target, size, machine.block_in_batch[lane])
        if machine.counting:
            races(machine, number, offset, size, lane, True)
        machine.shared.valid[offset[:, None] + np.arange(size)] = False
        machine.copies.append((number, lane.copy(), machine.copy_group[lane], offset, data))

    return run


def _arrive(machine: Machine, at: Lanes, kept: int, everything: bool) -> None:
    """Of the threads that wait, all copies land but those of the last `kept` groups."""
    waits = np.zeros(machine.total, np.bool_)
    waits[machine.lanes(at)] = True
    pending = []
    for number, lane, group, offset, data in machine.copies:
        lands = waits[lane] & (everything | (group < machine.copy_group[lane] - kept))
        if lands.any():
            bytes_ = offset[lands][:, None] + np.arange(data.shape[1])
            machine.shared.data[bytes_], machine.shared.valid[bytes_] = data[lands], True
            if machine.counting:
                races(machine, number, offset[lands], data.shape[1], lane[lands], True)
        if not lands.all():
            stays = ~lands
            pending.append((number, lane[stays], group[stays], offset[stays], data[stays]))
    machine.copies = pending
