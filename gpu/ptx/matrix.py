"""Tensor cores of sm_80: ldmatrix and mma.sync."""

from __future__ import annotations

import re

import numpy as np

from .arithmetic import vector
from .machine import Lanes, Machine, opcode
from .memory import AccessError
from .movement import note_traffic, read
from .parse import Instruction, PTXError
from .types import from_bf16

LANE = np.arange(32)
GROUP, MEMBER = LANE >> 2, LANE & 3  # of a fragment: its row or column, and the place in it


def whole_warps(machine: Machine, at: Lanes) -> np.ndarray:
    """The threads by warp [W, 32]."""
    lane = machine.lanes(at)
    if len(lane) % 32 or (lane.reshape(-1, 32)[:, 0] & 31).any() or (np.diff(lane.reshape(-1, 32)) != 1).any():
        raise AccessError("a divergent warp", np.ones(len(lane), np.bool_))
    return lane.reshape(-1, 32)


@opcode("ldmatrix")
def _load_matrix(machine: Machine, number: int, instruction: Instruction):
    """Up to four 8x8 matrices of 16-bit elements; lane i names row i of them all."""
    count = int(next(m for m in instruction.modifiers if re.fullmatch(r"x[124]", m))[1:])
    transposed = "trans" in instruction.modifiers
    targets, address = vector(instruction.operands[0]), machine.address(instruction.operands[1])

    def run(at: Lanes) -> None:
        warps = whole_warps(machine, at)
        rows, values = address(at).reshape(-1, 32), []
        for matrix in range(count):
            row = rows[:, 8 * matrix : 8 * matrix + 8]
            note_traffic(machine, number, warps[:, :8].ravel(), "shared", row.ravel(), 16)
            if not transposed:
                where = row[:, GROUP] + 4 * MEMBER
                values.append(read(machine, number, at, "shared", where.ravel(), 4))
                continue
            low, high = (
                read(machine, number, at, "shared", (row[:, 2 * MEMBER + half] + 2 * GROUP).ravel(), 2)
                for half in (0, 1)
            )
            values.append(low.astype(np.uint32) | high.astype(np.uint32) << np.uint32(16))
        for target, value in zip(targets, values, strict=True):
            machine.put(target, at, value)

    return run


def _elements(kind: str, registers: np.ndarray) -> list[np.ndarray]:
    """The numbers in fragments of 32 bits, as the multipliers see them."""
    if kind == "tf32":
        return [(registers & np.uint32(0xFFFFE000)).view(np.float32)]  # the low 13 bits are ignored
    halves = [(registers >> np.uint32(shift)).astype(np.uint16) for shift in (0, 16)]
    return [half.view(np.float16) if kind == "f16" else from_bf16(half) for half in halves]


@opcode("mma")
def _multiply(machine: Machine, number: int, instruction: Instruction):
    """D = A B + C for one 16 x 8 tile a warp, summed in float64 and rounded once."""
    shape = next(m for m in instruction.modifiers if re.fullmatch(r"m\d+n\d+k\d+", m))
    kind, depth = instruction.types[1], int(shape.split("k")[1])
    if not shape.startswith("m16n8") or instruction.types[3] != "f32" or kind not in ("f16", "bf16", "tf32"):
        raise PTXError(f"not modelled: {instruction.text}")
    targets, *operands = (vector(operand) for operand in instruction.operands)
    a_of, b_of, c_of = (
        [machine.source(each, kind) for each in operand]
        for operand, kind in zip(operands, ("b32", "b32", "f32"), strict=True)
    )
    per = 1 if kind == "tf32" else 2  # elements a register
    row, column = GROUP, MEMBER

    def run(at: Lanes) -> None:
        warps = len(whole_warps(machine, at))

        def fragments(sources):
            return [np.broadcast_to(source(at), warps * 32).reshape(warps, 32) for source in sources]

        a, b, c = np.zeros((warps, 16, depth)), np.zeros((warps, depth, 8)), np.zeros((warps, 16, 8))
        for i, register in enumerate(fragments(a_of)):
            for e, values in enumerate(_elements(kind, register)):
                a[:, row + 8 * (i & 1), column * per + e + 4 * per * (i >> 1)] = values
        for i, register in enumerate(fragments(b_of)):
            for e, values in enumerate(_elements(kind, register)):
                b[:, column * per + e + 4 * per * i, row] = values
        for i, values in enumerate(fragments(c_of)):
            c[:, row + 8 * (i >> 1), column * 2 + (i & 1)] = values
        d = (a @ b + c).astype(np.float32)
        for i, target in enumerate(targets):
            machine.put(target, at, d[:, row + 8 * (i >> 1), column * 2 + (i & 1)].ravel())

    return run
