"""Registers, operands, and the order in which threads run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import memory
from .memory import AccessError, Global, Parameters, Shared, Traffic
from .parse import Instruction, Kernel, Module, PTXError
from .types import FLOAT, SIGNED, UNSIGNED, dtype, register_dtype, width

Lanes = np.ndarray | None
"""Numbers of the threads that run an instruction; None for all of the batch."""
Source = Callable[[Lanes], Any]
BATCH_THREADS = 1 << 14

FLOAT_LITERAL = re.compile(r"0([fFdD])([0-9a-fA-F]+)")
INTEGER_LITERAL = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|\d+)U?")
ADDRESS = re.compile(r"\[\s*([%\w$#.]+)\s*(?:\+\s*(-?\w+))?\s*\]")

OPCODES: dict[str, Callable[[Any, int, Instruction], Callable[[Lanes], None]]] = {}
"""What makes a function of an instruction, by opcode; filled by the modules of instructions."""


def opcode(*names: str):
    def register(build):
        OPCODES.update(dict.fromkeys(names, build))
        return build

    return register


def launch(
    module: Module,
    name: str,
    grid: Sequence[int],
    block: Sequence[int],
    args: Sequence[Any],
    shared_bytes: int = 0,
    buffers: Sequence[np.ndarray] = (),
    uninitialised: Sequence[np.ndarray] = (),
    counting: bool = True,
) -> Machine:
    """Run a kernel; arrays are changed in place.

    Args:
        args: arrays (their address is passed), numbers, and bytes for structs, as the kernel declares.
        shared_bytes: of dynamic shared memory.
        buffers: arrays that the kernel reaches through pointers in structs.
        uninitialised: arrays that may not be read before they are written.
        counting: also measure traffic and look for races; without it about twice as fast.

    Raises:
        PTXError: an access or synchronisation that a GPU might not survive, or something not modelled.
        Races and other doubtful things are in `problems` of the result.
    """
    machine = Machine(module, name, grid, block, args, shared_bytes, buffers, uninitialised, counting)
    machine.run()
    return machine


class Machine:
    """One launch: the state of the threads and what was seen of them."""

    def __init__(self, module, name, grid, block, args, shared_bytes, buffers, uninitialised, counting):
        self.kernel: Kernel = module.kernels[name]
        self.grid, self.block = ((*map(int, size), 1, 1)[:3] for size in (grid, block))
        self.threads = int(np.prod(self.block))
        if not 0 < self.threads <= 1024:
            raise PTXError(f"blocks of {self.threads} threads: expected 1 to 1024")
        self.block_lanes = -(-self.threads // 32) * 32  # the lanes beyond the threads never run
        self.counting = counting
        self.executed, self.traffic = Counter(), Traffic()
        self.problems: Counter[str] = Counter()
        self.parameters = Parameters(self.kernel.parameters, args)
        constants = {variable.name: memory.initial_bytes(variable) for variable in module.variables}
        arrays = [*(arg for arg in args if isinstance(arg, np.ndarray)), *buffers, *constants.values()]
        self.global_ = Global(arrays, [array.ctypes.data for array in uninitialised])
        self.symbols = {name: data.ctypes.data for name, data in constants.items()}
        self.symbols.update({name: place for name, place in self.parameters.places.items()})
        self.shared_bytes = self._lay_out_shared(module) + shared_bytes
        self.local_bytes = self._lay_out(self.kernel.local, 0)
        self.granule = self._granule()
        self._constants = constants
        self.program: list[Any] = [None] * len(self.kernel.instructions)  # made when first reached
        self.kinds = [kind_of(each) for each in self.kernel.instructions]

    def _lay_out(self, variables, cursor: int) -> int:
        for variable in variables:
            cursor = -(-cursor // variable.align) * variable.align
            self.symbols[variable.name] = cursor
            cursor += variable.size
        return cursor

    def _lay_out_shared(self, module: Module) -> int:
        cursor = -(-self._lay_out([*module.shared, *self.kernel.shared], 0) // 16) * 16
        self.symbols.update(dict.fromkeys(module.dynamic_shared, cursor))
        return cursor

    def _granule(self) -> int:
        """Bytes that races are told apart by: the narrowest access of shared memory."""
        widths = [4]
        for each in self.kernel.instructions:
            if each.opcode in ("ld", "st") and each.space in ("shared", "generic"):
                widths.append(width(each.types[-1]) // 8)
            if each.opcode == "ldmatrix" and "trans" in each.modifiers:
                widths.append(2)
        return min(widths)

    def _function(self, number: int) -> Callable[[Lanes], None]:
        if self.program[number] is None:
            instruction = self.kernel.instructions[number]
            if instruction.opcode not in OPCODES:
                raise PTXError(f"not modelled: {instruction.text}")
            self.program[number] = OPCODES[instruction.opcode](self, number, instruction)
        return self.program[number]

    # Operands

    def source(self, operand: str, kind: str) -> Source:
        """A function of the lanes that gives the operand's values, or one value for all, as this type."""
        target, bits = dtype(kind), width(kind)
        if operand in self.kernel.registers:
            narrow = None if width(self.kernel.registers[operand]) == bits else UNSIGNED[bits]

            def register(at: Lanes):
                values = self.registers[operand] if at is None else self.registers[operand][at]
                return (values if narrow is None else values.astype(narrow)).view(target)

            return register
        if operand.startswith("!"):
            inner = self.source(operand[1:], "pred")
            return lambda at: ~inner(at)
        if operand.startswith("%"):
            return self._special(operand, bits, target)
        if match := FLOAT_LITERAL.fullmatch(operand):
            single = match[1] in "fF"
            value = np.array(int(match[2], 16), UNSIGNED[32 if single else 64]).view(FLOAT[32 if single else 64])[()]
            constant = value.view(target) if value.itemsize * 8 == bits else target(value)
        elif INTEGER_LITERAL.fullmatch(operand):
            value = int(operand.rstrip("U"), 0)
            constant = np.bool_(value) if bits == 1 else UNSIGNED[bits](value & ((1 << bits) - 1)).view(target)
        elif operand in self.symbols:
            constant = UNSIGNED[bits](self.symbols[operand]).view(target)
        else:
            raise PTXError(f"unknown operand {operand}")
        return lambda at: constant

    def _special(self, operand: str, bits: int, target: type) -> Source:
        name, _, axis = operand.partition(".")
        index = {"x": 0, "y": 1, "z": 2}.get(axis, 0)
        constants = {"%ntid": self.block[index], "%nctaid": self.grid[index]}
        if name in constants:
            value = UNSIGNED[bits](constants[name]).view(target)
            return lambda at: value
        if name not in ("%tid", "%ctaid", "%laneid"):
            raise PTXError(f"special register {operand} is not modelled")

        def special(at: Lanes):
            values = {"%tid": self.thread, "%ctaid": self.block_index}.get(name, [self.lane_in_warp])[index]
            return (values if at is None else values[at]).astype(UNSIGNED[bits]).view(target)

        return special

    def put(self, register: str, at: Lanes, values) -> None:
        """Store bits: of the same width as they are, of narrower integers extended, of wider cut off."""
        if register == "_":
            return
        stored = self.registers[register]
        values = np.asarray(values)
        if stored.dtype != np.bool_:
            size = stored.dtype.itemsize
            if values.dtype.kind == "i" and values.dtype.itemsize < size:
                values = values.astype(SIGNED[8 * size])
            values = values.view(UNSIGNED[8 * values.dtype.itemsize])
        if at is None:
            stored[...] = values
        else:
            stored[at] = values

    def address(self, operand: str) -> Source:
        """Of [register + offset] or [name + offset], as int64."""
        match = ADDRESS.fullmatch(operand)
        if match is None:
            raise PTXError(f"cannot read the address {operand}")
        base, offset = match[1], int(match[2] or "0", 0)
        if base in self.kernel.registers:
            values = self.source(base, f"u{width(self.kernel.registers[base])}")
            return lambda at: values(at).astype(np.int64) + offset
        place = self.symbols[base] + offset
        return lambda at: np.full(self.total if at is None else len(at), place, np.int64)

    def lanes(self, at: Lanes) -> np.ndarray:
        return self.all_lanes if at is None else at

    def fail(self, number: int, at: Lanes, what: str, bad: np.ndarray) -> None:
        lane = int(self.lanes(at)[np.flatnonzero(bad)[0]])
        block = tuple(int(axis[lane]) for axis in self.block_index)
        text = self.kernel.instructions[number].text
        raise PTXError(f"{what}: `{text}`, block {block}, thread {lane % self.block_lanes}, {int(bad.sum())} thread(s)")

    # Threads

    def run(self) -> None:
        blocks = [(x, y, z) for z in range(self.grid[2]) for y in range(self.grid[1]) for x in range(self.grid[0])]
        together = max(1, BATCH_THREADS // self.block_lanes)
        with np.errstate(all="ignore"):
            for first in range(0, len(blocks), together):
                self._start(blocks[first : first + together], first)
                self._schedule()
                self.traffic.end_batch()
                if self.copies:
                    self.problems["cp.async that nobody waited for"] += 1
        self.global_.write_back()

    def _start(self, blocks: list[tuple[int, int, int]], first: int) -> None:
        count = len(blocks)
        self.total = count * self.block_lanes
        self.all_lanes = np.arange(self.total)
        number = np.tile(np.arange(self.block_lanes), count)
        x, y, _ = self.block
        self.thread = [number % x, number // x % y, number // (x * y)]
        self.block_index = list(np.repeat(np.array(blocks, np.int64), self.block_lanes, axis=0).T)
        self.lane_in_warp = number & 31
        self.block_in_batch = np.repeat(np.arange(count), self.block_lanes)
        self.first_block = first
        self.registers = {
            name: np.zeros(self.total, register_dtype(kind)) for name, kind in self.kernel.registers.items()
        }
        self.shared = Shared(count, self.block_lanes, self.shared_bytes, self.granule)
        self.local_stride = -(-max(self.local_bytes, 16) // 16) * 16
        self.local = np.zeros(self.total * self.local_stride, np.uint8)
        self.copies: list[tuple] = []
        self.copy_group = np.zeros(self.total, np.int64)
        self.ended = number >= self.threads

    def _schedule(self) -> None:
        counter = np.zeros(self.total, np.int64)
        waiting = np.zeros(self.total, np.bool_)
        while True:
            runnable = ~(self.ended | waiting)
            if not runnable.any():
                if self.ended.all():
                    return
                self._release(counter, waiting)
                continue
            current = int(counter[runnable].min())
            chosen = runnable & (counter == current)
            later = counter[runnable & ~chosen]
            stop = int(later.min()) if later.size else len(self.program) + 1
            self._advance(current, stop, None if chosen.all() else np.flatnonzero(chosen), counter, waiting)

    def _release(self, counter: np.ndarray, waiting: np.ndarray) -> None:
        """Every thread that lives waits at a barrier. Of each block they should be all, and at the same one."""
        shape = -1, self.block_lanes
        for waits, at in zip(waiting.reshape(shape), counter.reshape(shape), strict=True):
            waits, at = waits[: self.threads], at[: self.threads]
            if waits.any() and not waits.all():
                self.problems["barrier after some threads of the block have ended"] += 1
            if len(places := set(at[waits].tolist())) > 1:
                self.problems[f"divergent barriers: instructions {sorted(place - 1 for place in places)}"] += 1
        waiting[:] = False
        self.shared.epoch += 1

    def _advance(self, current: int, stop: int, at: Lanes, counter: np.ndarray, waiting: np.ndarray) -> None:
        """Run these threads from `current` on, until they part, wait, end, or reach others at `stop`."""
        lanes = self.lanes(at)
        warps = self.total // 32 if at is None else np.unique(at >> 5).size
        while True:
            if current >= len(self.program):
                self.ended[lanes] = True
                return
            instruction = self.kernel.instructions[current]
            if self.counting:
                self.executed[current] += warps
            on = at
            if instruction.predicate:
                holds = self.registers[instruction.predicate][lanes] != instruction.negated
                if not holds.all():
                    on = lanes[holds]
            kind = self.kinds[current]
            if not kind:
                if on is None or len(on):
                    try:
                        self._function(current)(on)
                    except AccessError as error:
                        self.fail(current, on, str(error), error.bad)
                current += 1
                if current >= stop:
                    counter[lanes] = current
                    return
                continue
            counter[lanes] = current + 1
            active = self.lanes(on)
            if kind == "branch":
                counter[active] = self._targets(instruction, on)
            elif kind == "end":
                self.ended[active] = True
            else:
                self._check_barrier(instruction)
                waiting[active] = True
            return

    def _targets(self, instruction: Instruction, on: Lanes):
        labels = self.kernel.labels
        if instruction.opcode == "bra":
            return labels[instruction.operands[0]]
        table = np.array([labels[name] for name in self.kernel.branch_tables[instruction.operands[1]]])
        return table[self.source(instruction.operands[0], "u32")(on)]

    def _check_barrier(self, instruction: Instruction) -> None:
        number, *count = instruction.operands or ("0",)
        if number != "0" or (count and count != [str(self.threads)]):
            raise PTXError(f"not modelled: a barrier of a part of the block, {instruction.text}")


def kind_of(instruction: Instruction) -> str:
    """What the scheduler does itself is a "branch", "end" or "barrier"; anything else is ""."""
    if instruction.opcode in ("bra", "brx"):
        return "branch"
    if instruction.opcode in ("ret", "exit"):
        return "end"
    return "barrier" if instruction.opcode in ("bar", "barrier") and "warp" not in instruction.modifiers else ""


from . import arithmetic, matrix, movement, warp  # noqa: E402, F401  (fill OPCODES)
