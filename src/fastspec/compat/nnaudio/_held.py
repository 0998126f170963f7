"""Constants that nnAudio saves and that are made anew here: dropped from old checkpoints, kept where trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...transforms._constants import hold
from ...transforms._layer import Layer

NEAR = 1e-5  # of the largest value: how near a saved constant must be to count as untrained


class Held(Layer):
    """A layer that reads nnAudio's state dicts.

    ``constants``: what nnAudio computes and saves, by key, and how to make it; readable as attributes. A saved one that
    was trained becomes a buffer, if ``_keeps_trained``, and an error else. ``dropped``: keys without a use here.
    """

    _keeps_trained = True

    def __init__(self) -> None:
        super().__init__()
        self.constants: dict[str, Callable[[], Tensor]] = {}
        self.dropped: tuple[str, ...] = ()

    def hold(self, name: str, value: Tensor, trainable: bool, persistent: bool = True) -> None:
        """One of ``constants`` as a parameter or a buffer."""
        make = self.constants.pop(name)  # else its name would count as taken
        hold(self, name, value, trainable, persistent)
        self.constants[name] = make

    def __getattr__(self, name: str) -> Any:
        constants = self.__dict__.get("constants", {})
        if name in constants and name not in self._parameters and name not in self._buffers:
            return constants[name]()
        return super().__getattr__(name)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **more: Any) -> None:
        for name in self.dropped:
            state_dict.pop(prefix + name, None)
        frozen = [n for n in self.constants if n not in self._parameters and prefix + n in state_dict]
        if any(not _near(state_dict[prefix + n], self.constants[n]()) for n in frozen):
            if self._keeps_trained:
                for name in frozen:
                    like = state_dict[prefix + name]
                    self._buffers.pop(name, None)
                    self._non_persistent_buffers_set.discard(name)
                    self.hold(name, torch.empty_like(like, dtype=torch.get_default_dtype()), False)
                frozen = []
            else:
                args[-1].append(
                    f"{prefix}: {', '.join(frozen)} were trained, and {type(self).__name__} cannot use them"
                )
        for name in frozen:
            if name not in self._buffers or name in self._non_persistent_buffers_set:
                state_dict.pop(prefix + name)
        super()._load_from_state_dict(state_dict, prefix, *args, **more)

    @property
    def _loaded(self) -> bool:
        """Whether kernels came from a checkpoint, or are parameters."""
        return any(n in self._parameters or n in self._buffers for n in self.constants)


def _near(saved: Tensor, made: Tensor) -> bool:
    if saved.shape != made.shape:
        return False
    return bool((saved.cpu() - made.cpu()).abs().max() <= NEAR * made.abs().max())


def clips(x: Tensor) -> Tensor:
    """[T], [B, T] or [B, 1, T] to [B, T]."""
    if x.dim() == 3 and x.shape[1] == 1:
        return x[:, 0]
    if x.dim() not in (1, 2):
        raise ValueError(f"x must have shape [T], [B, T] or [B, 1, T], got {list(x.shape)}")
    return x[None] if x.dim() == 1 else x


def to_complex(x: Tensor) -> Tensor:
    """nnAudio's [B, F, M, 2] to complex [B, F, M]."""
    if x.dim() != 4 or x.shape[-1] != 2:
        raise ValueError(f"X must have shape [B, F, M, 2], got {list(x.shape)}")
    return torch.view_as_complex(x.contiguous())
