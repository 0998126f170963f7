"""Arrays of other libraries: NumPy, CuPy, JAX and whatever speaks DLPack, as tensors over the same memory and back."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])

UNSCRIPTABLE = "fastspec's functions are Python: trace what calls them with torch.jit.trace, or use torch.export"


def takes_arrays(function: F) -> F:
    """The function for any arrays: its first argument decides what comes back.

    A tensor goes straight through. An array is taken as a tensor on its device, without a copy where torch allows, and
    so are the other arrays among the arguments; every tensor of the result is handed back as an array of that library.
    No gradients are recorded then.
    """
    parameters = list(inspect.signature(function).parameters)
    first = parameters[0] if parameters else ""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get(first)
        if isinstance(given, Tensor) or torch.compiler.is_compiling() or not is_array(given):
            return function(*args, **kwargs)
        out = kwargs.get("out")
        if out is not None:
            check_writable(out)
        with torch.no_grad():
            result = function(
                *(_taken(a, parameters[min(i, len(parameters) - 1)]) for i, a in enumerate(args)),
                **{name: _taken(a, name) for name, a in kwargs.items()},
            )
        return _handed_back(result, given) if out is None else out

    call.__script_unsupported = UNSCRIPTABLE  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def is_array(x: object) -> bool:
    """Whether x is an array in memory that a tensor can stand on; a tensor is one too."""
    if isinstance(x, np.generic):  # a number, whatever protocols it has
        return False
    return isinstance(x, np.ndarray) or hasattr(x, "__dlpack__") or hasattr(x, "__cuda_array_interface__")


def to_tensor(x: Any, name: str = "x") -> Tensor:
    """An array as a tensor on its device: the same memory, but for NumPy's that torch cannot address, see from_numpy.

    Raises:
        ValueError: torch has no such dtype, or cannot reach the memory.
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(x, np.ndarray):
        return from_numpy(x, name)
    try:
        if hasattr(x, "__dlpack__"):
            return torch.from_dlpack(x)
        return torch.as_tensor(x, device="cuda")
    except (TypeError, ValueError, RuntimeError, AttributeError, BufferError, AssertionError) as error:
        raise ValueError(f"{name} must be an array that torch can take, got {type(x).__name__}: {error}") from error


def from_numpy(x: np.ndarray, name: str = "x") -> Tensor:
    """A NumPy array as a tensor. A copy only where torch has no such tensor: of read-only memory, negative strides,
    strides that are no multiples of an element, foreign byte order, long doubles (as float64)."""
    if not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    if x.dtype == np.longdouble:
        x = x.astype(np.float64)
    if any(stride < 0 or stride % x.itemsize for stride in x.strides) or not (x.flags.writeable and x.flags.aligned):
        x = x.copy()
    try:
        return torch.from_numpy(x)
    except TypeError as error:
        raise ValueError(f"{name} must be an array of numbers, got dtype {x.dtype}: {error}") from error


def check_writable(out: Any) -> None:
    """Raise ValueError unless what a function writes to `out` arrives there."""
    module = type(out).__module__.partition(".")[0]
    numpy = isinstance(out, np.ndarray) and out.flags.writeable and out.flags.aligned and out.dtype.isnative
    if not (numpy or isinstance(out, Tensor) or module == "cupy"):
        raise ValueError(f"out must be a tensor or a writable array of NumPy or CuPy, got {type(out).__name__}")


def like(x: Tensor, given: Any) -> Any:
    """A tensor as an array of the library that `given` is from, over the same memory.

    Its array API's `__array_namespace__` is asked, or the `from_dlpack` of its package; where it has neither, the
    tensor itself comes back, which has `__dlpack__` and `__cuda_array_interface__`.
    """
    x = x.detach().resolve_conj().resolve_neg()
    if isinstance(given, np.ndarray):
        try:
            return x.numpy()
        except TypeError:
            raise ValueError(f"dtype must be one that NumPy has, got {x.dtype}") from None
    find = getattr(given, "__array_namespace__", None)
    library = find() if find else sys.modules.get(type(given).__module__.partition(".")[0])
    take = getattr(library, "from_dlpack", None)
    return x if take is None else take(x)


def _taken(x: Any, name: str) -> Any:
    return to_tensor(x, name) if is_array(x) else x


def _handed_back(result: Any, given: Any) -> Any:
    if isinstance(result, Tensor):
        return like(result, given)
    if isinstance(result, (tuple, list)):
        parts = [_handed_back(part, given) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    return result
