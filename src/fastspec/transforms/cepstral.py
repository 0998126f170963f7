"""Cepstral coefficients: the cosine transform of logarithmic bands."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import functional as F
from .._inputs import highest
from ..plan import FramePlan
from ._constants import Trainable, hold, trainable_names
from ._layer import Layer
from .amplitude import AmplitudeToDB
from .mel import MelSpectrogram
from .spectrogram import Spectrogram


class MFCC(Layer):
    """Mel-frequency cepstral coefficients of a waveform; logarithms of the bands in one pass, then the DCT.

    Args:
        sample_rate: in Hz.
        n_mfcc: number of coefficients, at most n_mels.
        dct_type: 2.
        norm: "ortho" or None, of the DCT.
        log_mels: ln(u + 1e-6) of the bands. Default: decibels, limited to 80 below their maximum over the
            last three dimensions (channel, K, M).
        melkwargs: further arguments of ``MelSpectrogram``, but none of log, floor, floor_mode, log_scale.
        trainable: "window", "filterbank", "dct" become parameters.
        backend, dtype: see ``fastspec.functional``.

    Shape: [..., T] to [..., n_mfcc, M].

    State dict: ``dct_mat`` [K, n_mfcc], ``MelSpectrogram.spectrogram.window``, ``MelSpectrogram.mel_scale.fb``.

    The submodules are not called, so hooks on them do not run.
    """

    dct_mat: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        n_mfcc: int = 40,
        dct_type: int = 2,
        norm: str | None = "ortho",
        log_mels: bool = False,
        melkwargs: dict[str, Any] | None = None,
        *,
        trainable: Trainable = (),
        backend: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check_dct_type(dct_type)
        _check_no_ending("melkwargs", melkwargs)
        names = trainable_names(trainable, ("window", "filterbank", "dct"))
        self.sample_rate = sample_rate
        self.n_mfcc = n_mfcc
        self.dct_type = dct_type
        self.norm = norm
        self.top_db = 80.0
        self.log_mels = log_mels
        self.amplitude_to_DB = AmplitudeToDB("power", self.top_db)
        extras = {"trainable": names - {"dct"}, "backend": backend, "dtype": dtype}
        self.MelSpectrogram = MelSpectrogram(sample_rate, **(extras | (melkwargs or {})))
        hold(self, "dct_mat", F.create_dct(n_mfcc, self.MelSpectrogram.n_mels, norm), "dct" in names)

    @property
    def plan(self) -> FramePlan:
        """The frames and bins, for ``fastspec.explain``."""
        return self.MelSpectrogram.plan

    def forward(self, waveform: Tensor) -> Tensor:
        bands = self.MelSpectrogram.band_arguments()
        return F.mfcc(waveform, log_mels=self.log_mels, top_db=self.top_db, dct=self.dct_mat, **bands)

    def extra_repr(self) -> str:
        shown = f"sample_rate={self.sample_rate}, n_mfcc={self.n_mfcc}, norm={self.norm!r}"
        return f"{shown}, log_mels={self.log_mels}"


class LFCC(Layer):
    """Linear-frequency cepstral coefficients of a waveform: ``MFCC`` on bands evenly spaced in Hz.

    Args:
        sample_rate: in Hz.
        n_filter: number of bands K.
        f_min, f_max: range of the bands in Hz; f_max defaults to half the sample rate.
        n_lfcc: number of coefficients, at most n_filter.
        dct_type: 2.
        norm: "ortho" or None, of the DCT.
        log_lf: ln(u + 1e-6) of the bands. Default: decibels, limited as in ``MFCC``.
        speckwargs: further arguments of ``Spectrogram``, but none of log, floor, floor_mode, log_scale.
        trainable: "window", "filterbank", "dct" become parameters.
        backend, dtype: see ``fastspec.functional``.

    Shape: [..., T] to [..., n_lfcc, M].

    State dict: ``filter_mat`` [F, K], ``dct_mat`` [K, n_lfcc], ``Spectrogram.window``.

    The submodules are not called, so hooks on them do not run.
    """

    filter_mat: Tensor
    dct_mat: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        n_filter: int = 128,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_lfcc: int = 40,
        dct_type: int = 2,
        norm: str | None = "ortho",
        log_lf: bool = False,
        speckwargs: dict[str, Any] | None = None,
        *,
        trainable: Trainable = (),
        backend: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check_dct_type(dct_type)
        _check_no_ending("speckwargs", speckwargs)
        names = trainable_names(trainable, ("window", "filterbank", "dct"))
        self.sample_rate = sample_rate
        self.f_min = f_min
        self.f_max = highest(f_max, sample_rate)
        self.n_filter = n_filter
        self.n_lfcc = n_lfcc
        self.dct_type = dct_type
        self.norm = norm
        self.top_db = 80.0
        self.log_lf = log_lf
        self.amplitude_to_DB = AmplitudeToDB("power", self.top_db)
        extras = {"trainable": names & {"window"}, "backend": backend, "dtype": dtype}
        self.Spectrogram = Spectrogram(**(extras | (speckwargs or {})))
        if self.Spectrogram.power is None or not self.Spectrogram.onesided:
            raise ValueError("speckwargs: power must be a positive number and onesided True")
        bank = F.linear_fbanks(self.plan.n_bins, f_min, self.f_max, n_filter, sample_rate)
        hold(self, "filter_mat", bank, "filterbank" in names)
        hold(self, "dct_mat", F.create_dct(n_lfcc, n_filter, norm), "dct" in names)

    @property
    def plan(self) -> FramePlan:
        """The frames and bins, for ``fastspec.explain``."""
        return self.Spectrogram.plan

    def forward(self, waveform: Tensor) -> Tensor:
        return F.lfcc(
            waveform,
            log_lf=self.log_lf,
            top_db=self.top_db,
            filterbank=self.filter_mat,
            dct=self.dct_mat,
            **self.Spectrogram.band_arguments(),
        )

    def extra_repr(self) -> str:
        return f"sample_rate={self.sample_rate}, n_lfcc={self.n_lfcc}, norm={self.norm!r}, log_lf={self.log_lf}"


def _check_dct_type(dct_type: int) -> None:
    if dct_type != 2:
        raise ValueError(f"dct_type must be 2, got {dct_type!r}")


def _check_no_ending(name: str, arguments: dict[str, Any] | None) -> None:
    taken = sorted({"log", "floor", "floor_mode", "log_scale"} & set(arguments or ()))
    if taken:
        raise ValueError(f"{name} must not hold {', '.join(taken)}: cepstral coefficients set their own logarithm")
