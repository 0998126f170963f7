"""Checks of plain arguments: each returns the value, or raises ValueError with its name, value and what is allowed."""

from __future__ import annotations

import math
import numbers
import operator
import sys
import warnings

import torch

LARGEST = 2**31 - 1  # of a parameter in samples, bins or bands: more is a mistake, and products would overflow

__all__ = ["check_generator", "flag", "integer", "one_of", "real", "room", "warn"]


def integer(name: str, value: object, low: int, high: int | None = None, largest: int = LARGEST) -> int:
    """A whole number from low to high (or largest); True and False are none."""
    allowed = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
    if isinstance(value, bool):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    try:
        number = value if isinstance(value, (int, torch.SymInt)) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"{name} must be {allowed}, got {value!r}") from None
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    if number > largest:
        raise ValueError(f"{name} must be at most {largest}, got {value!r}")
    return number  # type: ignore[return-value]


def real(name: str, value: object, low: float = -math.inf, *, strict: bool = False) -> float:
    """A finite number of at least low; above it when strict."""
    bound = "" if low == -math.inf else f" {'>' if strict else '>='} {low:g}"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise ValueError(f"{name} must be a finite number{bound}, got {value!r}")
    number = float(value)
    if not -math.inf < number < math.inf or number < low or (strict and number == low):
        raise ValueError(f"{name} must be a finite number{bound}, got {value!r}")
    return number


def room(name: str, value: object, numbers: float) -> None:
    """Raise ValueError where an argument asks for an array of more numbers than are ever meant."""
    if numbers > LARGEST:
        raise ValueError(f"{name} = {value!r} asks for an array of {numbers:.3g} numbers, expected at most {LARGEST}")


def check_generator(generator: object) -> None:
    """Raise ValueError unless this is a generator of random numbers or None."""
    if not (generator is None or isinstance(generator, torch.Generator)):
        raise ValueError(f"generator must be a torch.Generator or None, got {generator!r}")


def flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def one_of(name: str, value: object, allowed: tuple[str | None, ...]) -> str:
    """One of some names."""
    if not (value is None or isinstance(value, str)) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value  # type: ignore[return-value]


def warn(message: str) -> None:
    """A UserWarning that points at the line outside of this package, and of torch's modules, that led here."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("fastspec", "torch"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
