"""The types of PTX as those of NumPy. Registers hold bits: unsigned integers, or bools for predicates."""

from __future__ import annotations

import re

import numpy as np

UNSIGNED = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
SIGNED = {8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}
FLOAT = {16: np.float16, 32: np.float32, 64: np.float64}
TYPE = re.compile(r"[usb](?:8|16|32|64)|f(?:16|32|64)|f16x2|bf16|bf16x2|tf32|pred")
SPECIAL_WIDTHS = {"pred": 1, "bf16": 16, "f16x2": 32, "bf16x2": 32, "tf32": 32}


def is_type(modifier: str) -> bool:
    return TYPE.fullmatch(modifier) is not None


def width(kind: str) -> int:
    """Bits."""
    return SPECIAL_WIDTHS.get(kind) or int(kind[1:])


def is_float(kind: str) -> bool:
    return kind in ("f16", "f32", "f64")


def dtype(kind: str) -> type:
    """What NumPy computes with; types that it lacks stay bits."""
    if kind == "pred":
        return np.bool_
    family = FLOAT if is_float(kind) else SIGNED if kind[0] == "s" else UNSIGNED
    return family[width(kind)]


def register_dtype(kind: str) -> type:
    return np.bool_ if kind == "pred" else UNSIGNED[width(kind)]


def round_to_bf16(values: np.ndarray) -> np.ndarray:
    """float32 to the bits of bfloat16, to nearest even; NaN stays NaN."""
    bits = values.view(np.uint32).astype(np.uint64)
    rounded = (bits + np.uint64(0x7FFF) + (bits >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)
    return np.where(np.isnan(values), np.uint64(0x7FFF), rounded).astype(np.uint16)


def round_to_tf32(values: np.ndarray) -> np.ndarray:
    """float32 to the bits of tf32, to nearest, ties away from zero."""
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + np.uint64(0x1000)) & np.uint64(0xFFFFE000)).astype(np.uint32)


def from_bf16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
