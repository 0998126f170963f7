"""nnAudio's MelSpectrogram, MFCC and Gammatonegram."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .... import functional as F
from ...._accelerate._swaps import nnaudio_bands
from ....transforms._layer import Layer
from .. import utils
from .._held import Held, clips
from .stft import STFT

__all__ = ["MFCC", "Gammatonegram", "MelSpectrogram"]


class _Bands(Held):
    """A bank [K, F] after the powers of an STFT; one pass unless the STFT's kernels are trained."""

    _bank: str

    def _begin(self, bank: Tensor, trainable: bool, power: float, *frames: Any, **more: Any) -> None:
        n_fft, win_length, hop_length, window, center, pad_mode, sr, trainable_STFT = frames
        sizes = n_fft, win_length, None, hop_length, window, "no", center, pad_mode
        self.stft = STFT(*sizes, sr=sr, trainable=trainable_STFT, output_format="Magnitude", **more)
        self.stride, self.center, self.pad_mode = self.stft.stride, self.stft.center, self.stft.pad_mode
        self.n_fft, self.power, self.trainable_STFT = self.stft.n_fft, power, self.stft.trainable
        self.constants = {self._bank: lambda: bank}
        self.hold(self._bank, bank.clone(), trainable, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        bank, stft = getattr(self, self._bank), self.stft
        if stft._loaded:
            return nnaudio_bands(self, x, bank)
        sizes = stft.n_fft, stft.win_length, stft.stride
        return F.mel_spectrogram(
            clips(x),
            16000,
            *sizes,
            window=stft._core.window,
            power=self.power,
            center=self.center,
            pad_mode=self.pad_mode,
            filterbank=bank.mT,
        )


class MelSpectrogram(_Bands):
    """Mel spectrogram [B, n_mels, M].

    Args:
        norm: 1 for bands of equal area, else peaks of 1.
        trainable_mel: ``mel_basis`` [n_mels, F] is a parameter.
        trainable_STFT: ``stft.wsin`` and ``stft.wcos`` are.
        kwargs: further arguments of STFT.

    State dict: what is trained.
    """

    _bank = "mel_basis"

    def __init__(
        self,
        sr: float = 22050,
        n_fft: int = 2048,
        win_length: int | None = None,
        n_mels: int = 128,
        hop_length: int = 512,
        window: Any = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        power: float = 2.0,
        htk: bool = False,
        fmin: float = 0.0,
        fmax: float | None = None,
        norm: Any = 1,
        trainable_mel: bool = False,
        trainable_STFT: bool = False,
        verbose: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.trainable_mel = trainable_mel
        frames = n_fft, win_length, hop_length, window, center, pad_mode, sr, trainable_STFT
        bank = torch.tensor(utils.get_mel(sr, n_fft, n_mels, fmin, fmax, htk, norm))
        self._begin(bank, trainable_mel, power, *frames, **kwargs)


class Gammatonegram(_Bands):
    """Gammatone spectrogram [B, n_bins, M].

    Args:
        htk, norm: without effect, as in nnAudio.
        trainable_bins: ``gammatone_basis`` [n_bins, F] is a parameter.
        others: see MelSpectrogram.

    State dict: what is trained.
    """

    _bank = "gammatone_basis"

    def __init__(
        self,
        sr: float = 22050,
        n_fft: int = 2048,
        win_length: int | None = None,
        n_bins: int = 64,
        hop_length: int = 512,
        window: Any = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        power: float = 2.0,
        htk: bool = False,
        fmin: float = 0.0,
        fmax: float | None = None,
        norm: Any = 1,
        trainable_bins: bool = False,
        trainable_STFT: bool = False,
        verbose: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.trainable_bins = trainable_bins
        frames = n_fft, win_length, hop_length, window, center, pad_mode, sr, trainable_STFT
        bank = torch.tensor(utils.get_gammatone(sr, n_fft, n_bins, fmin, fmax))
        self._begin(bank, trainable_bins, power, *frames, **kwargs)


class MFCC(Layer):
    """Mel-frequency cepstral coefficients [B, n_mfcc, M]; decibels limited to top_db below each clip's maximum.

    Args:
        norm: without effect, as in nnAudio: always "ortho".
        kwargs: of MelSpectrogram.

    State dict: ``amin``, ``ref`` and what is trained.
    """

    amin: Tensor
    ref: Tensor

    def __init__(
        self,
        sr: float = 22050,
        n_mfcc: int = 20,
        norm: str = "ortho",
        verbose: bool = True,
        ref: float = 1.0,
        amin: float = 1e-10,
        top_db: float | None = 80.0,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if not amin > 0:
            raise ValueError(f"amin must be above 0, got {amin!r}")
        self.melspec_layer = MelSpectrogram(sr=sr, verbose=verbose, **kwargs)
        self.m_mfcc = self.n_mfcc = n_mfcc
        self.top_db = top_db
        self.register_buffer("amin", torch.tensor([amin]))
        self.register_buffer("ref", torch.tensor([ref]).abs())
        n_mels = self.melspec_layer.mel_basis.shape[0]
        self.register_buffer("_dct", F.create_dct(n_mfcc, n_mels, "ortho"), persistent=False)

    _dct: Tensor

    def forward(self, x: Tensor) -> Tensor:
        bands = self.melspec_layer(x)[:, None]  # a channel, so that each clip has its own maximum
        amin, ref = float(self.amin), float(self.ref)
        decibels = F.amplitude_to_DB(bands, 10.0, amin, math.log10(max(amin, ref)), self.top_db)[:, 0]
        return self._dct.to(decibels.dtype).mT @ decibels
