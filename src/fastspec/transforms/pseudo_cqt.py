"""Constant-Q magnitudes by folding an STFT, and stacks of harmonics, as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from .. import pseudo_cqt
from ._layer import Layer


class PseudoCQT(Layer):
    """``fastspec.pseudo_cqt.pseudo_cqt`` as a layer.

    Args:
        sr: sample rate, Hz.
        others: those of the function, by name.

    Shape: [..., T] to [..., K, M].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """

    _function: Callable[..., Tensor] = staticmethod(pseudo_cqt.pseudo_cqt)

    def __init__(self, sr: float = 22050, **arguments: Any) -> None:
        super().__init__()
        self.sr, self.arguments = sr, arguments

    def forward(self, waveform: Tensor) -> Tensor:
        """[..., T] to [..., K, M]."""
        return self._function(waveform, self.sr, **self.arguments)

    def extra_repr(self) -> str:
        return ", ".join([f"sr={self.sr:g}", *(f"{k}={v!r}" for k, v in self.arguments.items())])


class HybridCQT(PseudoCQT):
    """``fastspec.pseudo_cqt.hybrid_cqt`` as a layer. Arguments and shape: see ``PseudoCQT``."""

    _function = staticmethod(pseudo_cqt.hybrid_cqt)


class HarmonicStack(Layer):
    """``fastspec.pseudo_cqt.harmonic_stack`` as a layer, with its arguments.

    Shape: [..., K, M] to [..., len(harmonics), n_bins, M].
    """

    def __init__(
        self,
        bins_per_octave: int = 36,
        harmonics: Sequence[float] = (0.5, 1, 2, 3, 4, 5, 6, 7),
        n_bins: int | None = None,
    ) -> None:
        super().__init__()
        self.bins_per_octave, self.harmonics, self.n_bins = bins_per_octave, tuple(harmonics), n_bins

    def forward(self, spectrum: Tensor) -> Tensor:
        """[..., K, M] to [..., H, n_bins, M]."""
        return pseudo_cqt.harmonic_stack(spectrum, self.bins_per_octave, self.harmonics, self.n_bins)

    def extra_repr(self) -> str:
        return f"bins_per_octave={self.bins_per_octave}, harmonics={self.harmonics}, n_bins={self.n_bins}"
