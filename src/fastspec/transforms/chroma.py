"""Pitch classes over time."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .. import chroma
from .._checks import one_of
from ._layer import Layer

_KINDS = {"stft": chroma.chroma_stft, "cqt": chroma.chroma_cqt, "vqt": chroma.chroma_vqt}


class Chroma(Layer):
    """Chroma of the power spectrum, or of constant-Q or variable-Q magnitudes, with librosa's numbers.

    Args:
        sr: sample rate, Hz.
        kind: "stft", "cqt" or "vqt".
        others: those of ``fastspec.chroma.chroma_stft`` or ``chroma_cqt``.

    Shape: [..., T] to [..., n_chroma, M].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """

    def __init__(self, sr: float = 22050, kind: str = "stft", **arguments: Any) -> None:
        super().__init__()
        self.sr, self.kind, self.arguments = sr, one_of("kind", kind, tuple(_KINDS)), arguments

    def forward(self, waveform: Tensor) -> Tensor:
        """[..., T] to [..., n_chroma, M]."""
        return _KINDS[self.kind](waveform, self.sr, **self.arguments)

    def extra_repr(self) -> str:
        return ", ".join([f"sr={self.sr:g}, kind={self.kind!r}", *(f"{k}={v!r}" for k, v in self.arguments.items())])
