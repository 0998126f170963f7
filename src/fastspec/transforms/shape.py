"""Spectral features of a waveform."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from .. import functional as F
from .. import shape
from .._checks import one_of
from ..plan import FramePlan
from ._constants import WindowFn
from ._layer import Layer
from .spectrogram import Spectrogram


class SpectralCentroid(Layer):
    """Mean frequency of every frame in Hz, weighted by magnitude, in one pass; 0 (torchaudio: NaN) in silence.

    Args:
        sample_rate: in Hz.
        n_fft, win_length, hop_length, pad, window_fn, wkwargs: see ``Spectrogram``.
        backend, dtype: see ``fastspec.functional``.

    Shape: [..., T] to [..., M].

    State dict: ``window``, as torchaudio's.
    """

    window: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        pad: int = 0,
        window_fn: WindowFn = torch.hann_window,
        wkwargs: dict[str, Any] | None = None,
        *,
        backend: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        made = Spectrogram(n_fft, win_length, hop_length, pad, window_fn, wkwargs=wkwargs, backend=backend, dtype=dtype)
        self.sample_rate = sample_rate
        self.n_fft = made.n_fft
        self.win_length = made.win_length
        self.hop_length = made.hop_length
        self.pad = made.pad
        self.backend = backend
        self.dtype = dtype
        self.register_buffer("window", made.window)

    @property
    def plan(self) -> FramePlan:
        """The frames and bins, for ``fastspec.explain``."""
        return FramePlan.make(self.n_fft, self.hop_length, self.win_length)

    def forward(self, waveform: Tensor) -> Tensor:
        sizes = self.n_fft, self.hop_length, self.win_length
        given = waveform, self.sample_rate, self.pad, self.window, *sizes
        return F.spectral_centroid(*given, backend=self.backend, dtype=self.dtype)


class SpectralFeatures(Layer):
    """Several features of the shape of the spectrum out of one magnitude spectrogram, with librosa's defaults.

    Args:
        sample_rate: in Hz.
        features: which, in the order of the result's rows: "centroid" (Hz), "bandwidth" (Hz), "rolloff" (Hz, no
            gradient), "flatness" and "contrast" (dB, n_bands + 1 rows).
        n_fft, hop_length: samples.
        roll_percent, fmin, n_bands, quantile: see ``functional.spectral_rolloff`` and ``spectral_contrast``.
        spectral: further arguments of ``Spectrogram``, but none of power, normalized, onesided, log.

    Shape: [..., T] to [..., R, M]; ``rows`` names the R rows.

    State dict: ``spectrogram.window``.
    """

    NAMES = ("centroid", "bandwidth", "rolloff", "flatness", "contrast")

    def __init__(
        self,
        sample_rate: float = 22050,
        features: Iterable[str] = NAMES,
        n_fft: int = 2048,
        hop_length: int = 512,
        *,
        roll_percent: float = 0.85,
        fmin: float = 200.0,
        n_bands: int = 6,
        quantile: float = 0.02,
        **spectral: Any,
    ) -> None:
        super().__init__()
        self.features = tuple(one_of("features", name, self.NAMES) for name in features)
        self.sample_rate = sample_rate
        self.roll_percent = roll_percent
        self.contrast = {"fmin": fmin, "n_bands": n_bands, "quantile": quantile}
        spectral = {"pad_mode": "constant"} | spectral
        if taken := sorted({"power", "normalized", "onesided", "log"} & set(spectral)):
            raise ValueError(f"spectral must not hold {', '.join(taken)}: the features are those of magnitudes")
        self.spectrogram = Spectrogram(n_fft, hop_length=hop_length, power=1.0, **spectral)

    @property
    def plan(self) -> FramePlan:
        """The frames and bins, for ``fastspec.explain``."""
        return self.spectrogram.plan

    @property
    def rows(self) -> tuple[str, ...]:
        """The name of every row of the result."""
        several = {"contrast": tuple(f"contrast {k}" for k in range(self.contrast["n_bands"] + 1))}
        return tuple(row for name in self.features for row in several.get(name, (name,)))

    def forward(self, waveform: Tensor) -> Tensor:
        s, rate = self.spectrogram(waveform), self.sample_rate
        centroid = shape.centroid_of(s, rate)
        make = {
            "centroid": lambda: centroid,
            "bandwidth": lambda: F.spectral_bandwidth(s, rate, centroid=centroid),
            "rolloff": lambda: F.spectral_rolloff(s, rate, self.roll_percent),
            "flatness": lambda: F.spectral_flatness(s),
            "contrast": lambda: F.spectral_contrast(s, rate, **self.contrast),
        }
        rows = [make[name]() for name in self.features]
        return torch.cat([row if row.dim() == s.dim() else row[..., None, :] for row in rows], -2)
