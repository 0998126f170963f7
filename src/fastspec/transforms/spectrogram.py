"""Spectrogram and its inverse."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from .. import functional as F
from .._checks import integer
from .._inputs import check_dtype, make_ending, normalization
from ..dispatch import check_backend
from ..plan import FramePlan
from ._constants import Trainable, WindowFn, hold, trainable_names, window_tensor
from ._layer import Layer


class _Framed(Layer):
    """What a spectrogram and its inverse share: the framing and the window."""

    window: Tensor

    def __init__(
        self,
        n_fft: int,
        win_length: int | None,
        hop_length: int | None,
        pad: int,
        window_fn: WindowFn,
        normalized: bool | str,
        wkwargs: dict[str, Any] | None,
        center: bool,
        pad_mode: str,
        onesided: bool,
        center_pad: int | None,
        trainable: Trainable,
        backend: str | None,
    ) -> None:
        super().__init__()
        plan = FramePlan.make(n_fft, hop_length, win_length, center, pad_mode, onesided, center_pad)
        self.n_fft = plan.n_fft
        self.win_length = plan.win_length
        self.hop_length = plan.hop_length
        self.pad = integer("pad", pad, 0)
        self.normalized = normalized
        self.center = center
        self.pad_mode = pad_mode
        self.onesided = onesided
        self.center_pad = center_pad
        self.backend = backend
        normalization(normalized)  # its errors now, not at the first clip
        check_backend(backend)
        names = trainable_names(trainable, ("window",))
        hold(self, "window", window_tensor(window_fn, plan.win_length, wkwargs), "window" in names)

    @property
    def plan(self) -> FramePlan:
        """The frames and bins, for ``fastspec.explain``."""
        return FramePlan.make(
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.center,
            self.pad_mode,
            self.onesided,
            self.center_pad,
        )

    def extra_repr(self) -> str:
        return f"n_fft={self.n_fft}, win_length={self.win_length}, hop_length={self.hop_length}"


class Spectrogram(_Framed):
    """Spectrogram of a waveform, in one pass.

    Args:
        n_fft: frame length in samples, 2 to 65536.
        win_length: window length in samples. Default: n_fft.
        hop_length: samples between frames. Default: win_length // 2.
        pad: zeros added on both sides before anything else.
        window_fn: function of win_length (and ``wkwargs``) that returns the window, a tensor or an array; or a
            name, or (name, parameter), of ``fastspec.bases.get_window``. The window is not searched for NaN.
        power: exponent of the magnitude (2 power, 1 magnitude, any positive number), or None for the complex
            spectrum. The native float32 kernel squares first, so magnitudes below 1e-19 fade to 0.
        normalized: True or "window" divides by the window's L2 norm, "frame_length" by sqrt(n_fft).
        wkwargs: further arguments of window_fn.
        center, pad_mode: pad both sides, so that frame m is centred on sample m * hop_length.
        onesided: n_fft // 2 + 1 bins instead of n_fft.
        return_complex: deprecated and without effect, as in torchaudio.
        log, floor, floor_mode, log_scale, eps, center_pad, backend, dtype: see ``fastspec.functional``.
        trainable: "window" makes the window a parameter.

    Shape: [..., T] to [..., F, M], M = (T + 2 pad + 2 center_pad - n_fft) // hop_length + 1.

    State dict: ``window``.

    Like every transform here, works under torch.compile, torch.export and torch.jit.trace; TorchScript
    (torch.jit.script) is not supported.
    """

    def __init__(
        self,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        pad: int = 0,
        window_fn: WindowFn = torch.hann_window,
        power: float | None = 2.0,
        normalized: bool | str = False,
        wkwargs: dict[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool = True,
        return_complex: bool | None = None,
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
        super().__init__(
            n_fft,
            win_length,
            hop_length,
            pad,
            window_fn,
            normalized,
            wkwargs,
            center,
            pad_mode,
            onesided,
            center_pad,
            trainable,
            backend,
        )
        if return_complex is not None:
            warnings.warn("return_complex has no effect: power=None returns the complex spectrum", stacklevel=2)
        make_ending(power, eps, log, floor, floor_mode, log_scale)
        if dtype is not None:
            check_dtype(dtype)
        self.power = power
        self.log = log
        self.floor = floor
        self.floor_mode = floor_mode
        self.log_scale = log_scale
        self.eps = eps
        self.dtype = dtype

    def band_arguments(self) -> dict[str, Any]:
        """What ``functional.mel_spectrogram`` needs of this module, but for the compression at the end."""
        return {
            "n_fft": self.n_fft,
            "win_length": self.win_length,
            "hop_length": self.hop_length,
            "pad": self.pad,
            "window": self.window,
            "power": self.power,
            "normalized": self.normalized,
            "center": self.center,
            "pad_mode": self.pad_mode,
            "eps": self.eps,
            "center_pad": self.center_pad,
            "backend": self.backend,
            "dtype": self.dtype,
        }

    def forward(self, waveform: Tensor) -> Tensor:
        return F.spectrogram(
            waveform,
            self.pad,
            self.window,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.power,
            self.normalized,
            self.center,
            self.pad_mode,
            self.onesided,
            log=self.log,
            floor=self.floor,
            floor_mode=self.floor_mode,
            log_scale=self.log_scale,
            eps=self.eps,
            center_pad=self.center_pad,
            backend=self.backend,
            dtype=self.dtype,
        )

    def extra_repr(self) -> str:
        log = "" if self.log is None else f", log={self.log!r}"
        return f"{super().extra_repr()}, power={self.power}{log}"


class InverseSpectrogram(_Framed):
    """Waveform of a complex spectrogram, by overlap-add: the inverse of ``Spectrogram(power=None)``.

    Args:
        n_fft, win_length, hop_length, pad, window_fn, normalized, wkwargs, center, onesided, center_pad,
            backend: those of the forward transform.
        pad_mode: without effect; the padding is cut off.
        trainable: "window" makes the window a parameter.

    Shape: complex [..., F, M] and a length in samples (or None) to [..., length].

    State dict: ``window``.
    """

    def __init__(
        self,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        pad: int = 0,
        window_fn: WindowFn = torch.hann_window,
        normalized: bool | str = False,
        wkwargs: dict[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool = True,
        *,
        center_pad: int | None = None,
        trainable: Trainable = (),
        backend: str | None = None,
    ) -> None:
        super().__init__(
            n_fft,
            win_length,
            hop_length,
            pad,
            window_fn,
            normalized,
            wkwargs,
            center,
            pad_mode,
            onesided,
            center_pad,
            trainable,
            backend,
        )

    def forward(self, spectrogram: Tensor, length: int | None = None) -> Tensor:
        return F.inverse_spectrogram(
            spectrogram,
            length,
            self.pad,
            self.window,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.normalized,
            self.center,
            self.pad_mode,
            self.onesided,
            center_pad=self.center_pad,
            backend=self.backend,
        )
