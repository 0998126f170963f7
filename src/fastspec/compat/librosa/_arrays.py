"""NumPy's arrays and librosa's arguments as fastspec's."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import bases
from ... import functional as F
from ..._arrays import from_numpy as tensor
from ..._checks import integer

REAL = {"F": torch.float32, "D": torch.float64}  # what a complex dtype is computed in
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


def frame_sizes(n_fft: int, win_length: int | None, hop_length: int | None) -> tuple[int, int]:
    """librosa's win_length and hop_length: n_fft and a quarter of the window."""
    win_length = integer("n_fft", n_fft, 2) if win_length is None else integer("win_length", win_length, 1)
    return win_length, max(1, win_length // 4) if hop_length is None else integer("hop_length", hop_length, 1)


def n_fft_of(s: Tensor, n_fft: int | None) -> int:
    """librosa's: n_fft where the bins agree with it, else the even number that has them."""
    if n_fft is None or integer("n_fft", n_fft, 2) // 2 + 1 != s.shape[-2]:
        return 2 * (s.shape[-2] - 1)
    return n_fft


def magnitude(
    y: object,
    S: object,
    *,
    n_fft: int | None,
    hop_length: int | None,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: object = "constant",
    power: float = 1.0,
) -> tuple[Tensor, int]:
    """The spectrogram of y, or S [..., F, M], and its n_fft."""
    if S is None:
        x = samples(y)
        n_fft = integer("n_fft", n_fft, 2)
        win_length, hop_length = frame_sizes(n_fft, win_length, hop_length)
        w = make_window(window, win_length)
        return F.spectrogram(x, 0, w, n_fft, hop_length, win_length, power, False, center, padding(pad_mode)), n_fft
    s = spectrum("S", S, is_complex=False)
    if (s < 0).any():
        raise ValueError("S must not be negative")
    return s, n_fft_of(s, n_fft)


def _kind(x: object) -> str:
    return f"{x.dtype} of shape {list(x.shape)}" if isinstance(x, np.ndarray) else type(x).__name__


def not_here(module: str) -> Callable[[str], Any]:
    """``__getattr__`` of a module: names what librosa has and fastspec has not."""
    theirs = module.replace("fastspec.compat.", "")

    def __getattr__(name: str) -> Any:
        raise AttributeError(f"module {module!r} has no attribute {name!r}: if librosa has it, use {theirs}.{name}")

    return __getattr__
