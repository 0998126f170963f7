"""NumPy's arrays and librosa's arguments as fastspec's."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import bases

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def only(name: str, value: object, *allowed: object) -> None:
    """Raise ValueError unless an argument has a value that is honoured here."""
    if not any(value is a or (isinstance(value, (str, numbers.Real)) and value == a) for a in allowed):
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))} in fastspec, got {value!r}")


def samples(y: object) -> Tensor:
    """Samples [..., T] from a finite array of floating point numbers; not a copy where NumPy allows."""
    if not isinstance(y, np.ndarray) or y.ndim < 1 or not np.issubdtype(y.dtype, np.floating):
        raise ValueError(f"y must be an array [..., T] of floating point numbers, got {_kind(y)}")
    if not np.isfinite(y).all():
        raise ValueError("y must be finite everywhere, got NaN or infinity")
    return tensor(y)


def spectrum(name: str, x: object, *, is_complex: bool) -> Tensor:
    """A real or complex array [..., F, M]."""
    kind = np.complexfloating if is_complex else np.floating
    if not isinstance(x, np.ndarray) or x.ndim < 2 or not np.issubdtype(x.dtype, kind):
        raise ValueError(f"{name} must be {'a complex' if is_complex else 'a real'} array [..., F, M], got {_kind(x)}")
    return tensor(x)


def tensor(x: np.ndarray) -> Tensor:
    """Without a copy where torch can; it has no read-only tensors, no negative strides, no long doubles."""
    x = np.require(x, None, ["C", "W"])
    return torch.from_numpy(x.astype(np.float64) if x.dtype == np.longdouble else x)


def make_window(window: Any, win_length: int) -> Tensor:
    """librosa's window, a name, (name, parameter), Kaiser's beta, function of the length or array, in float64."""
    if callable(window):
        window = window(win_length)
    elif isinstance(window, numbers.Real) and not isinstance(window, bool):
        window = ("kaiser", float(window))
    if isinstance(window, (str, tuple)):
        return torch.tensor(bases.get_window(window, win_length), dtype=torch.float64)
    values = np.asarray(window)
    if values.shape != (win_length,) or values.dtype.kind not in "fiu":
        raise ValueError(f"window must have shape [win_length] = [{win_length}], got {_kind(values)}")
    return torch.tensor(values, dtype=torch.float64)


def padding(pad_mode: object) -> str:
    """NumPy's name of a padding as torch's."""
    only("pad_mode", pad_mode, *_PAD_MODES)
    return _PAD_MODES[str(pad_mode)]


def result_type(dtype: Any, default: Any, kind: type) -> np.dtype:
    """The dtype of a result: float32 or float64, or their complex ones."""
    found = np.dtype(default if dtype is None else dtype)
    if not np.issubdtype(found, kind) or found.char not in "fdFD":
        allowed = "complex64 or complex128" if kind is np.complexfloating else "float32 or float64"
        raise ValueError(f"dtype must be {allowed}, got {dtype!r}")
    return found


def write(result: np.ndarray, out: object) -> np.ndarray:
    """The result, or out with it."""
    if out is None:
        return result
    if not isinstance(out, np.ndarray) or out.shape != result.shape or out.dtype != result.dtype:
        raise ValueError(f"out must be a {result.dtype} array of shape {list(result.shape)}, got {_kind(out)}")
    out[...] = result
    return out


def _kind(x: object) -> str:
    return f"{x.dtype} of shape {list(x.shape)}" if isinstance(x, np.ndarray) else type(x).__name__
