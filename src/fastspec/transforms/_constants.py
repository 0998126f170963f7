"""How modules hold their constants: a buffer, or a parameter under the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import bases
from .._inputs import check_window

WindowFn = Callable[..., Tensor | np.ndarray] | str | tuple[str, float]
Trainable = str | Iterable[str]

# torch's own windows lose up to 1e-7 when they are evaluated in float32.
_TORCH_WINDOWS = frozenset(
    (
        torch.hann_window,
        torch.hamming_window,
        torch.blackman_window,
        torch.bartlett_window,
        torch.kaiser_window,
    )
)


def trainable_names(trainable: Trainable, allowed: tuple[str, ...]) -> frozenset[str]:
    """Check which constants are to be trained: one name or several."""
    try:
        names = frozenset((trainable,) if isinstance(trainable, str) else trainable)
    except TypeError:
        raise ValueError(f"trainable must be among {', '.join(allowed)}, got {trainable!r}") from None
    if not names <= set(allowed):
        unknown = sorted(map(str, names - set(allowed)))
        raise ValueError(f"trainable must be among {', '.join(allowed)}, got {', '.join(unknown)}")
    return names


def hold(module: nn.Module, name: str, value: Tensor, trainable: bool, persistent: bool = True) -> None:
    """Give the module a constant; in its state dict when it is trained, else when persistent."""
    if trainable:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value, persistent=persistent)


def window_tensor(
    window_fn: WindowFn, win_length: int, wkwargs: dict[str, Any] | None, dtype: torch.dtype | None = None
) -> Tensor:
    """The window [win_length] of a function, called as by torchaudio, or of a name of ``get_window``."""
    arguments = wkwargs or {}
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if not callable(window_fn):
        return torch.tensor(bases.get_window(window_fn, win_length, **arguments), dtype=dtype)
    if window_fn in _TORCH_WINDOWS and "dtype" not in arguments:
        return torch.as_tensor(window_fn(win_length, dtype=torch.float64, **arguments)).to(dtype)
    window = window_fn(win_length, **arguments)
    if isinstance(window, np.ndarray):
        window = torch.tensor(window, dtype=dtype)
    if not isinstance(window, Tensor):
        raise ValueError(f"window_fn must return a tensor or an array, got {type(window).__name__}")
    check_window(window, win_length)
    return window
