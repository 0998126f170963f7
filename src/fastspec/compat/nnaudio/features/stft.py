"""nnAudio's STFT, iSTFT and Griffin_Lim."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .... import bases, transforms
from .... import functional as F
from ...._accelerate._swaps import nnaudio_stft
from ....transforms._layer import Layer
from .._held import Held, clips, to_complex

__all__ = ["STFT", "Griffin_Lim", "iSTFT"]


class STFT(Held):
    """Short-time Fourier transform. See ``fastspec.transforms.STFT`` for the arguments.

    Args:
        iSTFT: without effect: ``inverse`` is always there.
        trainable: ``wsin`` and ``wcos`` [F, 1, n_fft] are parameters, under nnAudio's keys.
        output_format: "Complex" [B, F, M, 2], "Magnitude" [B, F, M] or "Phase" [B, F, M].
        verbose: without effect: nothing is printed.

    Shape: [T], [B, T] or [B, 1, T].

    State dict: empty unless trainable.
    """

    def __init__(
        self,
        n_fft: int = 2048,
        win_length: int | None = None,
        freq_bins: int | None = None,
        hop_length: int | None = None,
        window: Any = "hann",
        freq_scale: str = "no",
        center: bool = True,
        pad_mode: str = "reflect",
        iSTFT: bool = False,
        fmin: float = 50,
        fmax: float = 6000,
        sr: float = 22050,
        trainable: bool = False,
        output_format: str = "Complex",
        verbose: bool = True,
    ) -> None:
        super().__init__()
        place = freq_scale, center, pad_mode, fmin, fmax, sr
        self._core = transforms.STFT(n_fft, win_length, freq_bins, hop_length, window, *place)
        self.n_fft, self.win_length, self.stride = n_fft, self._core.win_length, self._core.hop_length
        self.freq_bins, self.window, self.freq_scale = freq_bins, window, freq_scale
        self.center, self.pad_mode, self.pad_amount = center, pad_mode, n_fft // 2
        self.trainable, self.output_format, self.iSTFT = trainable, output_format, iSTFT
        self.supports_inverse = freq_scale == "no"
        self.bin_list = list(self._core._first_bins)
        self.bins2freq = [k * sr / n_fft for k in self.bin_list]
        self.constants = {"wsin": lambda: -self._rows(1), "wcos": lambda: self._rows(0)}
        self.dropped = "window_mask", "kernel_sin_inv", "kernel_cos_inv"
        if trainable:
            for name, make in list(self.constants.items()):
                self.hold(name, make().clone(), True)

    def _rows(self, part: int) -> Tensor:
        return self._centred(self._core.rows()[part].detach())[:, None]

    def _centred(self, taps: Tensor) -> Tensor:
        left = (self.n_fft - self.win_length) // 2
        return nn.functional.pad(taps, (left, self.n_fft - self.win_length - left))

    @property
    def window_mask(self) -> Tensor:
        """The window [1, n_fft, 1]."""
        return self._centred(self._window())[None, :, None]

    def forward(self, x: Tensor, output_format: str | None = None) -> Tensor:
        kind = output_format or self.output_format
        if self._loaded:
            return nnaudio_stft(self, x, kind)
        y = self._core(clips(x), kind)
        return torch.view_as_real(y) if kind == "Complex" else y

    def inverse(self, X: Tensor, onesided: bool = True, length: int | None = None, refresh_win: bool = True) -> Tensor:
        """[B, F, M, 2] to [B, T]; F tells whether the spectrum is one-sided."""
        return _inverse(self, to_complex(X), self._window(), length)

    def _window(self) -> Tensor:
        return torch.tensor(bases.get_window(self.window, self.win_length), dtype=torch.get_default_dtype())

    def extra_repr(self) -> str:
        return f"n_fft={self.n_fft}, stride={self.stride}, trainable={self.trainable}"


def _inverse(m: Any, y: Tensor, window: Tensor, length: int | None) -> Tensor:
    if not m.supports_inverse:
        raise RuntimeError("the inverse needs freq_scale='no'; others: fastspec.transforms.STFT.inverse")
    window = window.to(y.device, y.real.dtype)
    return F.istft(y, m.n_fft, m.stride, m.win_length, window, m.center, length=length)


class iSTFT(Held):
    """Inverse of STFT: [B, F, M, 2] to float32 [B, T].

    Args:
        trainable_kernels: NotImplementedError: the result would be no inverse.
        trainable_window: ``window_mask`` [1, win_length, 1] is a parameter.
        freq_bins, fmin, fmax, sr, verbose, refresh_win: without effect.

    State dict: empty, or ``window_mask``.
    """

    _keeps_trained = False

    def __init__(
        self,
        n_fft: int = 2048,
        win_length: int | None = None,
        freq_bins: int | None = None,
        hop_length: int | None = None,
        window: Any = "hann",
        freq_scale: str = "no",
        center: bool = True,
        fmin: float = 50,
        fmax: float = 6000,
        sr: float = 22050,
        trainable_kernels: bool = False,
        trainable_window: bool = False,
        verbose: bool = True,
        refresh_win: bool = True,
    ) -> None:
        super().__init__()
        if trainable_kernels:
            raise NotImplementedError("trainable_kernels: an inverse with kernels of its own; train the window instead")
        self.n_fft, self.win_length = n_fft, n_fft if win_length is None else win_length
        self.stride = self.win_length // 4 if hop_length is None else hop_length
        self.center, self.freq_scale, self.supports_inverse = center, freq_scale, freq_scale == "no"
        self.pad_amount, self.refresh_win = n_fft // 2, refresh_win
        mask = torch.tensor(bases.get_window(window, self.win_length), dtype=torch.get_default_dtype())[None, :, None]
        if trainable_window:
            self.window_mask = nn.Parameter(mask)
        else:
            self.register_buffer("window_mask", mask, persistent=False)
            self.dropped = ("window_mask",)
        turns = torch.arange(n_fft, dtype=torch.float64)
        self.constants = {
            "kernel_sin": lambda: (2 * torch.pi * (turns[:, None] * turns % n_fft) / n_fft).sin()[:, None, :, None],
            "kernel_cos": lambda: (2 * torch.pi * (turns[:, None] * turns % n_fft) / n_fft).cos()[:, None, :, None],
        }

    def forward(
        self, X: Tensor, onesided: bool = False, length: int | None = None, refresh_win: bool | None = None
    ) -> Tensor:
        return _inverse(self, to_complex(X), self.window_mask.flatten(), length)


class Griffin_Lim(Layer):
    """Samples of magnitudes [B, F, M]. ``device`` is where the window begins."""

    def __init__(
        self,
        n_fft: int,
        n_iter: int = 32,
        hop_length: int | None = None,
        win_length: int | None = None,
        window: Any = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        momentum: float = 0.99,
        device: Any = "cpu",
    ) -> None:
        super().__init__()
        self.n_fft, self.n_iter, self.momentum, self.device = n_fft, n_iter, momentum, device
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = n_fft // 4 if hop_length is None else hop_length
        self.center, self.pad_mode = center, pad_mode
        window = bases.get_window(window, self.win_length)
        self.register_buffer("w", torch.tensor(window, dtype=torch.float32, device=device), persistent=False)

    w: Tensor

    def forward(self, S: Tensor) -> Tensor:
        if S.dim() != 3:
            raise ValueError(f"S must have shape [B, F, M], got {list(S.shape)}")
        sizes = self.n_fft, self.hop_length, self.win_length
        rounds = 1.0, self.n_iter, self.momentum, None, True
        return F.griffinlim(S, self.w, *sizes, *rounds, center=self.center, pad_mode=self.pad_mode)
