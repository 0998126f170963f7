"""Mel filters, alone and fused with the spectrogram before them."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from .. import functional as F
from .._inputs import highest
from ..plan import FramePlan
from ._bands import first_bands, mel_bands
from ._constants import Trainable, WindowFn, hold, trainable_names
from ._layer import Layer
from .spectrogram import Spectrogram


class MelScale(Layer):
    """Mel bands of a spectrogram that is there already. From samples, ``MelSpectrogram`` is much faster.

    Args:
        n_mels: number of bands K.
        sample_rate: in Hz.
        f_min, f_max: range of the bands in Hz; f_max defaults to half the sample rate.
        n_stft: number of bins F, n_fft // 2 + 1.
        norm: None, or "slaney" for bands of equal area.
        mel_scale: "htk", "slaney" or "kaldi".
        trainable: "filterbank" makes the matrix a parameter; "bands" two numbers a band, its centre and its width,
            in steps from one centre to the next at first, on the mel scale.

    Shape: [..., F, M] to [..., K, M].

    State dict: ``fb`` [F, K]; with trained bands ``bands`` [2, K] instead.
    """

    fb: Tensor
    bands: Tensor

    def __init__(
        self,
        n_mels: int = 128,
        sample_rate: int = 16000,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_stft: int = 201,
        norm: str | None = None,
        mel_scale: str = "htk",
        *,
        trainable: Trainable = (),
    ) -> None:
        super().__init__()
        self.n_mels = n_mels
        self.sample_rate = sample_rate
        self.f_max = highest(f_max, sample_rate)
        self.f_min = f_min
        self.n_stft = n_stft
        self.norm = norm
        self.mel_scale = mel_scale
        names = trainable_names(trainable, ("filterbank", "bands"))
        if len(names) > 1:
            raise ValueError("trainable must be one of 'filterbank' and 'bands', got both")
        bank = F.melscale_fbanks(n_stft, f_min, self.f_max, n_mels, sample_rate, norm, mel_scale)
        if "bands" in names:
            hold(self, "bands", first_bands(n_mels).to(bank.dtype), True)
        else:
            hold(self, "fb", bank, "filterbank" in names)

    def filterbank(self) -> Tensor:
        """The matrix [F, K] as it is now; differentiable."""
        if "bands" not in self._parameters:
            return self.fb
        rate = self.sample_rate // 2 * 2  # as torchaudio's
        return mel_bands(self.bands, self.n_stft, self.f_min, self.f_max, rate, self.norm, self.mel_scale)

    def forward(self, specgram: Tensor) -> Tensor:
        return F.apply_filterbank(specgram, self.filterbank())

    def extra_repr(self) -> str:
        shown = f"n_mels={self.n_mels}, sample_rate={self.sample_rate}, f_min={self.f_min}, f_max={self.f_max}"
        return f"{shown}, norm={self.norm!r}, mel_scale={self.mel_scale!r}"


class MelSpectrogram(Layer):
    """Mel spectrogram of a waveform, from samples to (logarithms of) bands in one pass.

    Args:
        sample_rate: in Hz.
        n_fft, win_length, hop_length, pad, window_fn, power, normalized, wkwargs, center, pad_mode: see
            ``Spectrogram``.
        f_min, f_max: range of the bands in Hz; f_max defaults to half the sample rate.
        n_mels: number of bands K.
        onesided: deprecated and without effect, as in torchaudio.
        norm: None, or "slaney" for bands of equal area.
        mel_scale: "htk", "slaney" or "kaldi".
        log, floor, floor_mode, log_scale, eps, center_pad, backend, dtype: see ``fastspec.functional``.
        trainable: "window", and "filterbank" or "bands" (see ``MelScale``), become parameters.

    Shape: [..., T] to [..., K, M].

    State dict: ``spectrogram.window``, ``mel_scale.fb`` (or ``mel_scale.bands``).

    The two submodules hold these and the numbers; they are not called, so hooks on them do not run.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        pad: int = 0,
        n_mels: int = 128,
        window_fn: WindowFn = torch.hann_window,
        power: float = 2.0,
        normalized: bool | str = False,
        wkwargs: dict[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool | None = None,
        norm: str | None = None,
        mel_scale: str = "htk",
        *,
        log: str | None = None,
        floor: float = 1e-10,
        floor_mode: str = "clamp",
        log_scale: float = 1.0,
        eps: float = 0.0,
        center_pad: int | None = None,
        trainable: Trainable = (),
        backend: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if onesided is not None:
            warnings.warn("onesided has no effect on a mel spectrogram", stacklevel=2)
        if power is None:
            raise ValueError("power must be a positive number, got None: mel bands of a complex spectrum are undefined")
        names = trainable_names(trainable, ("window", "filterbank", "bands"))
        self.spectrogram = Spectrogram(
            n_fft,
            win_length,
            hop_length,
            pad,
            window_fn,
            power,
            normalized,
            wkwargs,
            center,
            pad_mode,
            log=log,
            floor=floor,
            floor_mode=floor_mode,
            log_scale=log_scale,
            eps=eps,
            center_pad=center_pad,
            trainable=names & {"window"},
            backend=backend,
            dtype=dtype,
        )
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.win_length = self.spectrogram.win_length
        self.hop_length = self.spectrogram.hop_length
        self.pad = pad
        self.power = power
        self.normalized = normalized
        self.n_mels = n_mels
        self.f_max = f_max
        self.f_min = f_min
        self.mel_scale = MelScale(
            n_mels,
            sample_rate,
            f_min,
            f_max,
            self.plan.n_bins,
            norm,
            mel_scale,
            trainable=names & {"filterbank", "bands"},
        )

    @property
    def plan(self) -> FramePlan:
        """The frames and bins, for ``fastspec.explain``."""
        return self.spectrogram.plan

    def band_arguments(self) -> dict[str, Any]:
        """The arguments of ``functional.mel_spectrogram``, but for the compression at the end."""
        return {**self.spectrogram.band_arguments(), "filterbank": self.mel_scale.filterbank()}

    def forward(self, waveform: Tensor) -> Tensor:
        ending = self.spectrogram
        return F.mel_spectrogram(
            waveform,
            log=ending.log,
            floor=ending.floor,
            floor_mode=ending.floor_mode,
            log_scale=ending.log_scale,
            **self.band_arguments(),
        )
