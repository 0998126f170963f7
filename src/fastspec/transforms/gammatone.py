"""Gammatone spectrogram."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import bases
from .. import functional as F
from .._inputs import bank_arguments
from ..plan import FramePlan
from ._bands import first_bands, gammatone_bands
from ._constants import Trainable, WindowFn, hold, trainable_names
from ._layer import Layer
from .spectrogram import Spectrogram


class Gammatonegram(Layer):
    """Gammatone spectrogram: the power spectrum through the responses of gammatone filters, in one pass.

    Args:
        sample_rate: in Hz.
        n_fft, win_length: frame and window in samples; win_length defaults to n_fft.
        hop_length: samples between frames.
        f_min, f_max: range of the centres in Hz, f_max excluded; f_max defaults to half the sample rate.
        n_bands: number of bands K.
        width: bandwidth in ERB.
        window_fn, power, center, pad_mode, log, floor, floor_mode, log_scale, eps, backend, dtype: see
            ``Spectrogram``.
        trainable: "window", and "filterbank" (the matrix) or "bands" (two numbers a band: its centre in steps from one
            centre to the next at first, in ERB rate, and its width in ERB), become parameters.

    Shape: [..., T] to [..., K, M].

    State dict: the parameters alone: ``spectrogram.window`` (a buffer, when it is not trained), ``fb`` [F, K] or
    ``bands`` [2, K].

    The filters are ``bases.gammatone_filterbank``'s, 1 at their centres; nnAudio's Gammatonegram is this divided by
    n_fft.
    """

    fb: Tensor
    bands: Tensor

    def __init__(
        self,
        sample_rate: int = 22050,
        n_fft: int = 2048,
        win_length: int | None = None,
        hop_length: int = 512,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_bands: int = 64,
        width: float = 1.0,
        window_fn: WindowFn = "hann",
        power: float = 2.0,
        center: bool = True,
        pad_mode: str = "reflect",
        *,
        log: str | None = None,
        floor: float = 1e-10,
        floor_mode: str = "clamp",
        log_scale: float = 1.0,
        eps: float = 0.0,
        trainable: Trainable = (),
        backend: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        names = trainable_names(trainable, ("window", "filterbank", "bands"))
        if {"filterbank", "bands"} <= names:
            raise ValueError("trainable must hold one of 'filterbank' and 'bands', got both")
        if power is None:
            raise ValueError("power must be a positive number, got None: bands of a complex spectrum are undefined")
        self.spectrogram = Spectrogram(
            n_fft,
            win_length,
            hop_length,
            0,
            window_fn,
            power,
            center=center,
            pad_mode=pad_mode,
            log=log,
            floor=floor,
            floor_mode=floor_mode,
            log_scale=log_scale,
            eps=eps,
            trainable=names & {"window"},
            backend=backend,
            dtype=dtype,
        )
        self._range = bank_arguments(self.plan.n_bins, f_min, f_max, n_bands, sample_rate, "n_bands")
        kind = torch.get_default_dtype()
        if "bands" in names:
            bands = first_bands(n_bands).to(kind)
            bands[1] *= width
            hold(self, "bands", bands, True)
        else:
            bank = torch.tensor(bases.gammatone_filterbank(*self._range, width), dtype=kind)
            hold(self, "fb", bank, "filterbank" in names, persistent=False)

    @property
    def plan(self) -> FramePlan:
        """The frames and bins, for ``fastspec.explain``."""
        return self.spectrogram.plan

    def filterbank(self) -> Tensor:
        """The matrix [F, K] as it is now; differentiable."""
        if "bands" not in self._parameters:
            return self.fb
        n_freqs, f_min, f_max, _, rate = self._range
        return gammatone_bands(self.bands, n_freqs, f_min, f_max, rate)

    def forward(self, waveform: Tensor) -> Tensor:
        ending = self.spectrogram
        return F.mel_spectrogram(
            waveform,
            log=ending.log,
            floor=ending.floor,
            floor_mode=ending.floor_mode,
            log_scale=ending.log_scale,
            filterbank=self.filterbank(),
            **ending.band_arguments(),
        )
