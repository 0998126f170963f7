"""nnAudio's constant-Q transforms. All are one transform here, without the lags of its octaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .... import transforms
from ...._accelerate._swaps import nnaudio_cqt
from ...._checks import warn
from ....bases.cqt import ConstantQ
from ....constant_q import apply_layout
from .. import utils
from .._held import Held, clips, to_complex

__all__ = ["CQT", "CQT1992", "CQT2010", "VQT", "CQT1992v2", "CQT2010v2", "iCQT"]

_SAVED = "lenghts", "lowpass_filter", "early_downsample_filter", "wsin", "wcos"


class _ConstantQ(Held):
    """What all have: the layer that computes, nnAudio's outputs and normalisations."""

    _convolutional_width = False  # CQT1992 and CQT2010 multiply "convolutional" by the FFT's length, n_fft
    _by_octaves = False  # n_fft is the width of the top octave's kernels

    def _begin(
        self,
        output_format: str,
        sr: float,
        hop_length: int,
        fmin: float,
        n_bins: int,
        bins_per_octave: int,
        filter_scale: float,
        norm: float,
        **more: Any,
    ) -> None:
        sizes = {"sr": sr, "hop_length": hop_length, "fmin": fmin, "n_bins": n_bins, "norm": norm}
        sizes |= {"bins_per_octave": bins_per_octave, "filter_scale": filter_scale}
        self._core = transforms.VQT(normalization_type="convolutional", **sizes, **more)
        spec = self._core.layout.spec
        self.hop_length, self.pad_mode, self.center = self._core.hop_length, self._core.pad_mode, self._core.center
        self.output_format, self.n_bins, self.frequencies = output_format, spec.n_bins, spec.frequencies
        self.trainable = self._core.trainable
        self.register_buffer("lenghts", torch.tensor(spec.lengths, dtype=torch.float32), persistent=False)
        self.kernel_width = _width(spec.lengths)
        self.n_fft = _width(spec.lengths[-bins_per_octave:]) if self._by_octaves else self.kernel_width
        self.n_octaves = spec.n_octaves
        self.dropped = _SAVED

    lenghts: Tensor

    def forward(self, x: Tensor, output_format: str | None = None, normalization_type: str = "librosa") -> Tensor:
        """To [B, K, M] ("Magnitude") or [B, K, M, 2] ("Complex"; "Phase": its cosine and sine)."""
        kind = output_format or self.output_format
        if kind not in ("Magnitude", "Complex", "Phase"):
            raise ValueError(f"output_format must be 'Magnitude', 'Complex' or 'Phase', got {kind!r}")
        if normalization_type not in ("librosa", "convolutional", "wrap"):
            raise ValueError(f"normalization_type must be librosa, convolutional or wrap, got {normalization_type!r}")
        core, x = self._core, clips(x)
        bases = tuple(getattr(core, f"basis_{i}").to(x.dtype) for i in range(len(core.layout.parts)))
        ending = "Magnitude" if kind == "Magnitude" else "Complex"
        place = core.center, core.pad_mode, ending, core.backend
        y = apply_layout(x, core.layout, bases, core.halfband.to(x.dtype), *place)
        if normalization_type == "librosa":
            y = y * self.lenghts.sqrt()[:, None].to(x.dtype)
        elif normalization_type == "wrap":
            y = y * 2.0
        elif self._convolutional_width:
            y = y * float(self.n_fft)
        if kind == "Magnitude":
            return y
        if kind == "Complex":
            return torch.view_as_real(y)
        angle = y.angle()
        return torch.stack([angle.cos(), angle.sin()], -1)


class CQT1992v2(_ConstantQ):
    """Constant-Q transform, kernels at the full rate; see ``fastspec.constant_q`` for the arguments.

    trainable: ``cqt_kernels_real``, ``cqt_kernels_imag`` [K, 1, W] are parameters, under nnAudio's keys.
    """

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        filter_scale: float = 1,
        norm: float = 1,
        window: Any = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        trainable: bool = False,
        output_format: str = "Magnitude",
        verbose: bool = True,
    ) -> None:
        super().__init__()
        sizes = sr, hop_length, fmin, n_bins, bins_per_octave, filter_scale, norm
        self._begin(output_format, *sizes, fmax=fmax, window=window, center=center, pad_mode=pad_mode)
        self.norm, self.trainable = norm, trainable
        spec = self._core.layout.spec
        self.constants = {
            "cqt_kernels_real": lambda: utils.dense_kernels(spec)[0][:, None],
            "cqt_kernels_imag": lambda: utils.dense_kernels(spec)[1][:, None],
        }
        if trainable:
            for name, make in list(self.constants.items()):
                self.hold(name, make().clone(), True)

    def forward(self, x: Tensor, output_format: str | None = None, normalization_type: str = "librosa") -> Tensor:
        if self._loaded:
            return nnaudio_cqt(self, x, output_format, normalization_type)
        return super().forward(x, output_format, normalization_type)


class CQT(CQT1992v2):
    """nnAudio's name of CQT1992v2."""


class _Octaves(_ConstantQ):
    """Layers whose kernels nnAudio keeps per octave or per frequency: their trained values have no place here."""

    _keeps_trained = False

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **more: Any) -> None:
        names = [key for key in list(state_dict) if key.startswith(prefix) and "cqt_kernels_" in key]
        for key in names:
            state_dict.pop(key)
        for key in [key for key in list(state_dict) if key.startswith(f"{prefix}cqt.")]:
            state_dict.pop(key)
        if names and self.trainable:
            args[-1].append(f"{names[0]}: trained kernels of nnAudio's {type(self).__name__} cannot be converted")
        elif names:  # which are not ours in shape, so that nothing tells whether they were trained
            warn(f"{names[0]} is made anew, not loaded: if it was trained, this layer's values are not the model's")
        super()._load_from_state_dict(state_dict, prefix, *args, **more)


class CQT1992(_Octaves):
    """Constant-Q transform. trainable_CQT trains the kernels in time, ``_core.basis_*``; see CQT1992v2."""

    _convolutional_width = True

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 220,
        fmax: float | None = None,
        n_bins: int = 84,
        trainable_STFT: bool = False,
        trainable_CQT: bool = False,
        bins_per_octave: int = 12,
        filter_scale: float = 1,
        output_format: str = "Magnitude",
        norm: float = 1,
        window: Any = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
    ) -> None:
        super().__init__()
        _no_trained_stft(trainable_STFT)
        sizes = sr, hop_length, fmin, n_bins, bins_per_octave, filter_scale, norm
        shape = {"window": window, "center": center, "pad_mode": pad_mode}
        self._begin(output_format, *sizes, fmax=fmax, trainable=trainable_CQT, **shape)
        self.norm = norm


class CQT2010(_Octaves):
    """Constant-Q transform by octaves. fmax, norm and window have no effect, as in nnAudio, nor has earlydownsample."""

    _convolutional_width = _by_octaves = True

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        norm: bool = True,
        basis_norm: float = 1,
        window: Any = "hann",
        pad_mode: str = "reflect",
        trainable_STFT: bool = False,
        filter_scale: float = 1,
        trainable_CQT: bool = False,
        output_format: str = "Magnitude",
        earlydownsample: bool = True,
        verbose: bool = True,
    ) -> None:
        super().__init__()
        _no_trained_stft(trainable_STFT)
        sizes = sr, hop_length, fmin, n_bins, bins_per_octave, filter_scale, basis_norm
        self._begin(output_format, *sizes, pad_mode=pad_mode, trainable=trainable_CQT)
        self.norm, self.earlydownsample = norm, earlydownsample


class CQT2010v2(_Octaves):
    """Constant-Q transform by octaves, kernels in time; see CQT2010. trainable trains ``_core.basis_*``."""

    _by_octaves = True

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int = 84,
        filter_scale: float = 1,
        bins_per_octave: int = 12,
        norm: bool = True,
        basis_norm: float = 1,
        window: Any = "hann",
        pad_mode: str = "reflect",
        earlydownsample: bool = True,
        trainable: bool = False,
        output_format: str = "Magnitude",
        verbose: bool = True,
    ) -> None:
        super().__init__()
        sizes = sr, hop_length, fmin, n_bins, bins_per_octave, filter_scale, basis_norm
        self._begin(output_format, *sizes, pad_mode=pad_mode, trainable=trainable)
        self.norm, self.earlydownsample = norm, earlydownsample


class VQT(_Octaves):
    """Variable-Q transform; gamma in Hz. trainable trains ``_core.basis_*`` (in nnAudio, nothing for gamma > 0)."""

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int = 84,
        filter_scale: float = 1,
        bins_per_octave: int = 12,
        norm: bool = True,
        basis_norm: float = 1,
        gamma: float = 0,
        window: Any = "hann",
        pad_mode: str = "reflect",
        earlydownsample: bool = True,
        trainable: bool = False,
        output_format: str = "Magnitude",
        verbose: bool = True,
    ) -> None:
        super().__init__()
        sizes = sr, hop_length, fmin, n_bins, bins_per_octave, filter_scale, basis_norm
        honoured = {"window": window, "fmax": fmax} if gamma == 0 else {"gamma": gamma}
        self._begin(output_format, *sizes, pad_mode=pad_mode, trainable=trainable, **honoured)
        self.norm, self.basis_norm, self.earlydownsample = norm, basis_norm, earlydownsample
        self.sr, self.gamma, self.filter_scale, self.bins_per_octave = sr, gamma, filter_scale, bins_per_octave


class iCQT(Held):
    """Samples [B, T] of a CQT1992v2's "Complex" [B, K, M, 2]: conjugate gradients, nnAudio's n_iter of them."""

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        filter_scale: float = 1,
        norm: float = 1,
        window: Any = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        n_iter: int = 32,
        verbose: bool = True,
    ) -> None:
        super().__init__()
        given = sr, hop_length, fmin, fmax, n_bins, bins_per_octave, filter_scale, norm, window, center, pad_mode
        self._core = transforms.ICQT(*given, n_iter=n_iter)
        self.hop_length, self.center, self.pad_mode, self.n_iter = hop_length, center, pad_mode, n_iter
        n_bins = n_bins if fmax is None else math.ceil(bins_per_octave * math.log2(fmax / fmin))
        spec = ConstantQ(sr, fmin, n_bins, bins_per_octave, filter_scale, 0.0, 0.0, window, norm)
        self.frequencies, self.kernel_width = spec.frequencies, _width(spec.lengths)
        self.register_buffer("lengths", torch.tensor(spec.lengths, dtype=torch.float32), persistent=False)
        self.dropped = "lengths", "cqt_kernels_real", "cqt_kernels_imag", "alpha"

    def forward(self, CQT: Tensor, length: int | None = None) -> Tensor:
        y = to_complex(CQT)
        return self._core(y, (y.shape[-1] - 1) * self.hop_length + 1 if length is None else length)


def _width(lengths: NDArray) -> int:
    """The power of two that holds the longest kernel."""
    return 2 ** int(np.ceil(np.log2(lengths.max())))


def _no_trained_stft(trainable: bool) -> None:
    if trainable:
        raise NotImplementedError("trainable_STFT: there is no STFT here; CQT1992v2(trainable=True) trains the kernels")
