"""Instructions that compute: one thread's registers to its registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .machine import Lanes, Machine, opcode
from .parse import Instruction, PTXError
from .types import SIGNED, UNSIGNED, dtype, from_bf16, is_float, register_dtype, round_to_bf16, round_to_tf32, width

SMALLEST_NORMAL = np.float32(1.1754944e-38)


def _finish(instruction: Instruction) -> Callable[[Any], Any]:
    """What the modifiers .ftz and .sat do to a float32 result."""
    flush, saturate = "ftz" in instruction.modifiers, "sat" in instruction.modifiers

    def finish(values):
        if flush and values.dtype == np.float32:
            values = np.where(np.abs(values) < SMALLEST_NORMAL, np.copysign(np.float32(0), values), values)
        return np.clip(values, 0, 1).astype(values.dtype) if saturate and values.dtype.kind == "f" else values

    return finish


def elementwise(machine: Machine, instruction: Instruction, function, kinds: list[str] | None = None):
    """The function of the source operands, put where the first operand says."""
    target, *operands = instruction.operands
    kind = instruction.types[-1]
    sources = [machine.source(each, k) for each, k in zip(operands, kinds or [kind] * len(operands), strict=True)]

    def run(at: Lanes) -> None:
        machine.put(target, at, function(*(source(at) for source in sources)))

    return run


def _precisely(function):
    """In float64, rounded once: what .approx instructions approximate."""
    return lambda x: function(x.astype(np.float64)).astype(x.dtype)


FLOAT_UNARY = {
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "rsqrt": _precisely(lambda x: 1 / np.sqrt(x)),
    "rcp": _precisely(np.reciprocal),
    "ex2": _precisely(np.exp2),
    "lg2": _precisely(np.log2),
    "sin": _precisely(np.sin),
    "cos": _precisely(np.cos),
    "tanh": _precisely(np.tanh),
}
FLOAT_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "min": np.fmin,
    "max": np.fmax,
    "copysign": lambda sign, size: np.copysign(size, sign),
}
INTEGER_UNARY = {
    "neg": lambda x: np.negative(x),
    "abs": np.abs,
    "not": np.invert,
    "cnot": lambda x: (x == 0).astype(x.dtype),
}
INTEGER_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}


@opcode(*FLOAT_UNARY, *FLOAT_BINARY, *INTEGER_UNARY, *INTEGER_BINARY)
def _plain(machine: Machine, number: int, instruction: Instruction):
    name, kind = instruction.opcode, instruction.types[-1]
    if kind in ("bf16", "f16x2", "bf16x2"):
        raise PTXError(f"arithmetic in {kind} is not modelled: {instruction.text}")
    if is_float(kind):
        function = {**FLOAT_UNARY, **FLOAT_BINARY}[name]
        if "NaN" in instruction.modifiers:
            function = {"min": np.minimum, "max": np.maximum}[name]
        finish = _finish(instruction)
        return elementwise(machine, instruction, lambda *values: finish(function(*values)))
    if name == "mul":
        return _multiply(machine, number, instruction)
    if name == "div":
        return _divide(machine, number, instruction)
    unary = len(instruction.operands) == 2
    return elementwise(machine, instruction, (INTEGER_UNARY if unary else INTEGER_BINARY)[name])


@opcode("fma", "mad")
def _fused(machine: Machine, number: int, instruction: Instruction):
    kind = instruction.types[-1]
    if not is_float(kind):
        return _multiply(machine, number, instruction)
    # the product of two float32 is exact in float64: rounded twice only in the rarest cases
    wide, narrow, finish = {"f16": np.float32, "f32": np.float64, "f64": np.longdouble}[kind], dtype(kind), None
    finish = _finish(instruction)

    def fma(a, b, c):
        return finish((a.astype(wide) * b.astype(wide) + c.astype(wide)).astype(narrow))

    return elementwise(machine, instruction, fma)


def _multiply(machine: Machine, number: int, instruction: Instruction):
    """mul and mad of integers: .lo, .hi or .wide."""
    kind, modifiers = instruction.types[-1], instruction.modifiers
    bits, family = width(kind), (SIGNED if kind[0] == "s" else UNSIGNED)
    kinds = [kind] * (len(instruction.operands) - 1)
    if "wide" in modifiers:
        wide = family[2 * bits]
        kinds[2:] = [f"{kind[0]}{2 * bits}"] * len(kinds[2:])

        def product(a, b):
            return a.astype(wide) * b.astype(wide)
    elif "hi" in modifiers and bits == 64:
        whole = np.vectorize(lambda a, b: int(a) * int(b) >> 64, otypes=[family[64]])

        def product(a, b):
            return whole(a, b)
    elif "hi" in modifiers:
        wide = family[64]

        def product(a, b):
            return (a.astype(wide) * b.astype(wide) >> wide(bits)).astype(family[bits])
    else:
        product = np.multiply
    return elementwise(
        machine, instruction, lambda a, b, c=None: product(a, b) if c is None else product(a, b) + c, kinds
    )


@opcode("rem")
def _divide(machine: Machine, number: int, instruction: Instruction):
    """div and rem of integers, towards zero; division by zero gives 0 here, anything on a GPU."""
    remainder = instruction.opcode == "rem"

    def divide(a, b):
        safe = np.where(b == 0, b.dtype.type(1), b)
        quotient = a // safe
        rest = a - quotient * safe
        quotient = quotient + ((rest != 0) & ((a < 0) != (b < 0))).astype(a.dtype)
        return (a - quotient * safe) if remainder else quotient

    return elementwise(machine, instruction, divide)


@opcode("shl", "shr")
def _shift(machine: Machine, number: int, instruction: Instruction):
    kind = instruction.types[-1]
    bits, plain = width(kind), UNSIGNED[width(kind)]

    def shift(x, by):
        inside = np.minimum(by, bits - 1)
        if instruction.opcode == "shl":
            return np.where(by < bits, x.view(plain) << inside.astype(plain), plain(0))
        if kind[0] == "s":
            return x >> inside.astype(x.dtype)
        return np.where(by < bits, x.view(plain) >> inside.astype(plain), plain(0))

    return elementwise(machine, instruction, shift, [kind, "u32"])


@opcode("shf")
def _funnel(machine: Machine, number: int, instruction: Instruction):
    left, wrap = "l" in instruction.modifiers, "wrap" in instruction.modifiers

    def funnel(low, high, by):
        by = by & np.uint32(31) if wrap else np.minimum(by, np.uint32(32))
        both = low.astype(np.uint64) | high.astype(np.uint64) << np.uint64(32)
        by = np.asarray(by).astype(np.uint64)
        return ((both << by) >> np.uint64(32) if left else both >> by).astype(np.uint32)

    return elementwise(machine, instruction, funnel)


@opcode("bfe")
def _extract(machine: Machine, number: int, instruction: Instruction):
    kind = instruction.types[-1]
    bits, signed = width(kind), kind[0] == "s"

    def extract(x, position, length):
        position, length = np.asarray(position & 255, np.int64), np.asarray(length & 255, np.int64)
        value = x.astype(np.int64) if signed else x.astype(np.uint64).view(np.int64)
        value = np.where(position < bits, value >> np.minimum(position, 63), -(value < 0).astype(np.int64) * signed)
        kept = np.minimum(length, 63)
        value = np.where(length >= bits, value, value & ((np.int64(1) << kept) - 1))
        if signed:
            negative = (length > 0) & (length < bits) & (value >> np.maximum(kept - 1, 0) & 1 == 1)
            value = np.where(negative, value - (np.int64(1) << kept), value)
        return value.astype(SIGNED[bits])

    return elementwise(machine, instruction, extract, [kind, "u32", "u32"])


@opcode("bfi")
def _insert(machine: Machine, number: int, instruction: Instruction):
    kind = instruction.types[-1]

    def insert(x, into, position, length):
        position = np.asarray(position & 255, np.uint64)
        length = np.minimum(np.asarray(length & 255, np.uint64), np.uint64(63))
        mask = ((np.uint64(1) << length) - np.uint64(1)) << position
        return ((x.astype(np.uint64) << position) & mask | into.astype(np.uint64) & ~mask).astype(UNSIGNED[width(kind)])

    return elementwise(machine, instruction, insert, [kind, kind, "u32", "u32"])


@opcode("prmt")
def _permute(machine: Machine, number: int, instruction: Instruction):
    if len(instruction.types) != 1 or len(instruction.modifiers) != 1:
        raise PTXError(f"not modelled: {instruction.text}")
    eight, seven, byte = np.uint64(8), np.uint64(7), np.uint64(255)

    def permute(a, b, selector):
        both = a.astype(np.uint64) | b.astype(np.uint64) << np.uint64(32)
        selector, result = np.asarray(selector, np.uint64), np.uint64(0)
        for place in range(4):
            choice = selector >> np.uint64(4 * place) & np.uint64(15)
            value = both >> (choice & seven) * eight & byte
            sign = np.where(value & np.uint64(128), byte, np.uint64(0))
            result = result | np.where(choice & eight, sign, value) << np.uint64(8 * place)
        return result.astype(np.uint32)

    return elementwise(machine, instruction, permute)


@opcode("lop3")
def _logic3(machine: Machine, number: int, instruction: Instruction):
    table = int(instruction.operands[4], 0)
    target, *operands = instruction.operands[:4]
    sources = [machine.source(each, "b32") for each in operands]

    def run(at: Lanes) -> None:
        a, b, c = (source(at) for source in sources)
        result = np.uint32(0)
        for row in range(8):
            if table >> row & 1:
                result = result | (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
        machine.put(target, at, np.broadcast_to(result, machine.lanes(at).shape))

    return run


@opcode("popc", "clz", "brev", "bfind")
def _bits(machine: Machine, number: int, instruction: Instruction):
    bits, name = width(instruction.types[-1]), instruction.opcode

    def count(x):
        x = x.view(UNSIGNED[bits])
        if name == "popc":
            return np.bitwise_count(x).astype(np.uint32)
        if name == "brev":
            one = x.dtype.type(1)
            return sum((x >> x.dtype.type(i) & one) << x.dtype.type(bits - 1 - i) for i in range(bits))
        highest = np.full(np.shape(x), -1)
        for i in range(bits):
            highest = np.where(x >> x.dtype.type(i) & x.dtype.type(1), i, highest)
        return (highest if name == "bfind" else bits - 1 - highest).astype(np.int32)

    return elementwise(machine, instruction, count)


COMPARE = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
}
COMBINE = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


@opcode("setp")
def _compare(machine: Machine, number: int, instruction: Instruction):
    name, kind = instruction.modifiers[0], instruction.types[-1]
    targets = instruction.operands[0].split("|")
    a, b = (machine.source(each, kind) for each in instruction.operands[1:3])
    combine = next((COMBINE[m] for m in instruction.modifiers[1:] if m in COMBINE), None)
    other = machine.source(instruction.operands[3], "pred") if combine else None

    def holds(x, y):
        if not is_float(kind):
            return COMPARE[name](x, y)
        unordered = np.isnan(x) | np.isnan(y)
        if name in ("num", "nan"):
            return ~unordered if name == "num" else unordered
        if name in COMPARE:
            return COMPARE[name](x, y) & ~unordered
        return COMPARE[name[:-1]](x, y) | unordered  # equ, neu, ltu ...

    def run(at: Lanes) -> None:
        value = holds(a(at), b(at))
        results = [value, ~value]
        if combine and other:
            condition = other(at)
            results = [combine(result, condition) for result in results]
        for target, result in zip(targets, results, strict=False):
            machine.put(target, at, result)

    return run


@opcode("selp")
def _select(machine: Machine, number: int, instruction: Instruction):
    kind = instruction.types[-1]
    return elementwise(machine, instruction, lambda a, b, c: np.where(c, a, b), [kind, kind, "pred"])


@opcode("mov")
def _move(machine: Machine, number: int, instruction: Instruction):
    target, operand = instruction.operands
    kind = instruction.types[-1]
    if not (target + operand).count("{"):
        return elementwise(machine, instruction, lambda x: x)
    parts = vector(target if target.startswith("{") else operand)
    bits = width(kind) // len(parts)
    if target.startswith("{"):
        source = machine.source(operand, f"b{width(kind)}")

        def unpack(at: Lanes) -> None:
            whole = source(at)
            pieces = [(whole >> whole.dtype.type(i * bits)).astype(UNSIGNED[bits]) for i in range(len(parts))]
            for part, piece in zip(parts, pieces, strict=True):
                machine.put(part, at, piece)

        return unpack
    sources, plain = [machine.source(part, f"b{bits}") for part in parts], UNSIGNED[width(kind)]

    def pack(at: Lanes) -> None:
        whole = plain(0)
        for i, source in enumerate(sources):
            whole = whole | source(at).astype(plain) << plain(i * bits)
        machine.put(target, at, whole)

    return pack


def vector(operand: str) -> list[str]:
    """The registers of {a, b}, or of a alone."""
    return [part.strip() for part in operand[1:-1].split(",")] if operand.startswith("{") else [operand]


ROUND = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


@opcode("cvt")
def _convert(machine: Machine, number: int, instruction: Instruction):
    to, of = instruction.types
    target, *operands = instruction.operands
    finish = _finish(instruction)
    if to in ("f16x2", "bf16x2"):
        narrow = round_to_bf16 if to == "bf16x2" else lambda x: x.astype(np.float16).view(np.uint16)

        def both(high, low):
            return narrow(high).astype(np.uint32) << np.uint32(16) | narrow(low).astype(np.uint32)

        return elementwise(machine, instruction, both)
    if to in ("bf16", "tf32"):
        return elementwise(machine, instruction, round_to_bf16 if to == "bf16" else round_to_tf32, ["f32"])
    if of == "bf16":
        return elementwise(machine, instruction, from_bf16, ["b16"])
    rounding = next((ROUND[m] for m in instruction.modifiers if m in ROUND), None)
    truncate = "rz" in instruction.modifiers
    source, stored = machine.source(operands[0], of), register_dtype(machine.kernel.registers[target])

    def convert(at: Lanes) -> None:
        x = source(at)
        if is_float(of) and rounding is not None:
            x = rounding(x)
        if is_float(of) and not is_float(to):
            x = _saturated(x, dtype(to))
        y = np.asarray(x).astype(dtype(to))
        if truncate and is_float(to) and of == "f64":
            y = np.where(np.abs(y.astype(np.float64)) > np.abs(x), np.nextafter(y, y.dtype.type(0)), y)
        y = finish(y) if is_float(to) else y
        if y.dtype.kind == "u" and y.dtype.itemsize < np.dtype(stored).itemsize:
            y = y.astype(stored)
        machine.put(target, at, y)

    return convert


def _saturated(x, to: type):
    """Floats brought into the range of an integer type; NaN gives 0."""
    limits = np.iinfo(to)
    x = np.nan_to_num(x.astype(np.float64), nan=0.0)
    low, high = float(limits.min), float(limits.max)
    inside = np.clip(x, low, np.nextafter(high, 0) if limits.bits == 64 else high).astype(to)
    return np.where(x >= high, to(limits.max), inside)
