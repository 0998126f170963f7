"""From spectrograms without phases back to samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import functional as F
from .._checks import integer, real
from .._inputs import highest
from ..dispatch import check_backend
from ..plan import FramePlan
from ._constants import WindowFn, hold, window_tensor
from ._layer import Layer


class GriffinLim(Layer):
    """Samples whose spectrogram comes near to given magnitudes: ``functional.griffinlim``, with its sources.

    Args:
        n_fft, win_length, hop_length, window_fn, wkwargs: those of the spectrogram, see ``Spectrogram``.
        n_iter: rounds.
        power: exponent of the magnitude in the spectrogram.
        momentum: 0 (the original algorithm) to below 1.
        length: samples of the result, such that the frames of the spectrogram come out of them. Default:
            hop_length (M - 1).
        rand_init: start from random numbers (torchaudio's), else from ones.
        center, pad_mode, center_pad: of the spectrogram.
        backend: see ``fastspec.functional``.

    Shape: real [..., F, M] to [..., length]; ``angles`` and ``generator`` as in the function.

    State dict: ``window``.
    """

    window: Tensor

    def __init__(
        self,
        n_fft: int = 400,
        n_iter: int = 32,
        win_length: int | None = None,
        hop_length: int | None = None,
        window_fn: WindowFn = torch.hann_window,
        power: float = 2.0,
        wkwargs: dict[str, Any] | None = None,
        momentum: float = 0.99,
        length: int | None = None,
        rand_init: bool = True,
        *,
        center: bool = True,
        pad_mode: str = "reflect",
        center_pad: int | None = None,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        plan = FramePlan.make(n_fft, hop_length, win_length, center, pad_mode, True, center_pad)
        self.n_fft = plan.n_fft
        self.n_iter = integer("n_iter", n_iter, 0)
        self.win_length = plan.win_length
        self.hop_length = plan.hop_length
        self.power = real("power", power, 0.0, strict=True)
        self.momentum = real("momentum", momentum, 0.0)
        if momentum >= 1:
            raise ValueError(f"momentum must be at least 0 and below 1, got {momentum!r}")
        self.length = length if length is None else integer("length", length, 1)
        self.rand_init = rand_init
        self.center = center
        self.pad_mode = pad_mode
        self.center_pad = center_pad
        self.backend = backend
        check_backend(backend)
        hold(self, "window", window_tensor(window_fn, plan.win_length, wkwargs), False)

    @property
    def plan(self) -> FramePlan:
        """The frames and bins, for ``fastspec.explain``."""
        sizes = self.n_fft, self.hop_length, self.win_length
        return FramePlan.make(*sizes, self.center, self.pad_mode, True, self.center_pad)

    def forward(
        self, specgram: Tensor, *, angles: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        return F.griffinlim(
            specgram,
            self.window,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.power,
            self.n_iter,
            self.momentum,
            self.length,
            self.rand_init,
            center=self.center,
            pad_mode=self.pad_mode,
            center_pad=self.center_pad,
            angles=angles,
            generator=generator,
            backend=self.backend,
        )

    def extra_repr(self) -> str:
        sizes = f"n_fft={self.n_fft}, win_length={self.win_length}, hop_length={self.hop_length}"
        return f"{sizes}, power={self.power}, n_iter={self.n_iter}, momentum={self.momentum}"


class InverseMelScale(Layer):
    """Spectrogram of mel bands, by non-negative least squares: ``functional.inverse_filterbank``, with its sources.

    torchaudio's solves without the bound and clips afterwards, and raises an error for banks with empty bands
    (80 or 128 htk bands of 400 samples at 16 kHz are such).

    Args:
        n_stft: number of bins F, n_fft // 2 + 1.
        n_mels, sample_rate, f_min, f_max, norm, mel_scale: see ``MelScale``.
        driver: without effect; torchaudio's choice of a LAPACK routine.
        max_iter, tolerance: when to stop.

    Shape: [..., K, M] to [..., F, M].

    State dict: ``fb`` [F, K].
    """

    fb: Tensor

    def __init__(
        self,
        n_stft: int,
        n_mels: int = 128,
        sample_rate: int = 16000,
        f_min: float = 0.0,
        f_max: float | None = None,
        norm: str | None = None,
        mel_scale: str = "htk",
        driver: str = "gels",
        *,
        max_iter: int = 200,
        tolerance: float = 1e-4,
    ) -> None:
        super().__init__()
        self.n_stft = n_stft
        self.n_mels = n_mels
        self.sample_rate = sample_rate
        self.f_min = f_min
        self.f_max = highest(f_max, sample_rate)
        self.norm = norm
        self.mel_scale = mel_scale
        self.driver = driver
        self.max_iter = integer("max_iter", max_iter, 1)
        self.tolerance = real("tolerance", tolerance, 0.0)
        hold(self, "fb", F.melscale_fbanks(n_stft, f_min, self.f_max, n_mels, sample_rate, norm, mel_scale), False)

    def forward(self, melspec: Tensor) -> Tensor:
        return F.inverse_filterbank(melspec, self.fb, self.max_iter, self.tolerance)

    def extra_repr(self) -> str:
        shown = f"n_stft={self.n_stft}, n_mels={self.n_mels}, sample_rate={self.sample_rate}"
        return f"{shown}, f_min={self.f_min}, f_max={self.f_max}, norm={self.norm!r}, mel_scale={self.mel_scale!r}"


class InverseMelSpectrogram(Layer):
    """Samples of a mel spectrogram: the logarithm undone, ``InverseMelScale``, ``GriffinLim``.

    Args:
        sample_rate to mel_scale, center_pad: those of ``MelSpectrogram``, in its order.
        n_iter, momentum, length, rand_init, backend: see ``GriffinLim``.
        log, floor, floor_mode, log_scale: those of ``MelSpectrogram``.
        max_iter, tolerance: see ``InverseMelScale``.

    Shape: [..., K, M] to [..., length].

    State dict: ``inverse_mel_scale.fb``, ``griffin_lim.window``.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_mels: int = 128,
        window_fn: WindowFn = torch.hann_window,
        power: float = 2.0,
        wkwargs: dict[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        norm: str | None = None,
        mel_scale: str = "htk",
        *,
        center_pad: int | None = None,
        n_iter: int = 32,
        momentum: float = 0.99,
        length: int | None = None,
        rand_init: bool = True,
        log: str | None = None,
        floor: float = 1e-10,
        floor_mode: str = "clamp",
        log_scale: float = 1.0,
        max_iter: int = 200,
        tolerance: float = 1e-4,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        self.log, self.floor, self.floor_mode, self.log_scale = log, floor, floor_mode, log_scale
        self.griffin_lim = GriffinLim(
            n_fft,
            n_iter,
            win_length,
            hop_length,
            window_fn,
            power,
            wkwargs,
            momentum,
            length,
            rand_init,
            center=center,
            pad_mode=pad_mode,
            center_pad=center_pad,
            backend=backend,
        )
        self.inverse_mel_scale = InverseMelScale(
            self.griffin_lim.n_fft // 2 + 1,
            n_mels,
            sample_rate,
            f_min,
            f_max,
            norm,
            mel_scale,
            max_iter=max_iter,
            tolerance=tolerance,
        )

    def forward(self, melspec: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        power = self.griffin_lim.power
        bands = F.undo_log(melspec, self.log, power, self.floor, self.floor_mode, self.log_scale)
        return self.griffin_lim(self.inverse_mel_scale(bands), generator=generator)
