"""``librosa.core.spectrum``: the Fourier transform, its inverse, and samples from magnitudes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .... import functional as F
from ...._checks import integer, real
from .._arrays import REAL, frame_sizes, make_window, only, padding, result_type, samples, spectrum, tensor, write

__all__ = ["griffinlim", "istft", "magphase", "stft"]


def stft(
    y: np.ndarray,
    *,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    dtype: Any = None,
    pad_mode: Any = "constant",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """librosa.stft: [..., T] to complex [..., n_fft // 2 + 1, M], rows contiguous. out has exactly this shape."""
    x = samples(y)
    dtype = result_type(dtype, "D" if x.dtype is torch.float64 else "F", np.complexfloating)
    win_length, hop_length = frame_sizes(n_fft, win_length, hop_length)
    w = make_window(window, win_length)
    z = F.stft(x, n_fft, hop_length, win_length, w, center, padding(pad_mode), dtype=REAL[dtype.char])
    return write(z.numpy(), out)


def istft(
    stft_matrix: np.ndarray,
    *,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: Any = "hann",
    center: bool = True,
    dtype: Any = None,
    length: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """librosa.istft: complex [..., F, M] to [..., T]."""
    z = spectrum("stft_matrix", stft_matrix, is_complex=True)
    dtype = result_type(dtype, "d" if z.dtype is torch.complex128 else "f", np.floating)
    n_fft = 2 * (z.shape[-2] - 1) if n_fft is None else n_fft
    win_length, hop_length = frame_sizes(n_fft, win_length, hop_length)
    w = make_window(window, win_length)
    y = F.istft(z, n_fft, hop_length, win_length, w, center, length=length, onesided=True)
    return write(y.numpy().astype(dtype, copy=False), out)


def griffinlim(
    S: np.ndarray,
    *,
    n_iter: int = 32,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: Any = "hann",
    center: bool = True,
    dtype: Any = None,
    length: int | None = None,
    pad_mode: Any = "constant",
    momentum: float = 0.99,
    init: str | None = "random",
    rng: int | np.random.Generator | np.random.RandomState | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> np.ndarray:
    """librosa.griffinlim: magnitudes [..., F, M] to samples, from librosa's random phases. momentum is below 1.

    rng is librosa 1.0's, a seed of default_rng; random_state is 0.11's, a seed of RandomState.
    """
    magnitude = spectrum("S", S, is_complex=False)
    dtype = result_type(dtype, "d" if magnitude.dtype is torch.float64 else "f", np.floating)
    only("init", init, "random", None)
    generator = _generator(rng, random_state)
    n_fft = 2 * (magnitude.shape[-2] - 1) if n_fft is None else n_fft
    win_length, hop_length = frame_sizes(n_fft, win_length, hop_length)
    angles = None
    if init is not None:
        phases = np.exp(2j * np.pi * generator.random(size=magnitude.shape))
        angles = tensor(phases.astype("D" if magnitude.dtype is torch.float64 else "F"))
    w = make_window(window, win_length)
    settings = (n_fft, hop_length, win_length, 1.0, n_iter, momentum, length, False)
    y = F.griffinlim(magnitude, w, *settings, center=center, pad_mode=padding(pad_mode), angles=angles)
    return y.numpy().astype(dtype, copy=False)


def _generator(rng: Any, random_state: Any) -> Any:
    if rng is not None and random_state is not None:
        raise ValueError(f"rng must be None where random_state is given, got {rng!r}")
    given = random_state if rng is None else rng
    if isinstance(given, (np.random.RandomState, np.random.Generator)):
        return given
    if random_state is not None:
        return np.random.RandomState(integer("random_state", random_state, 0, 2**32 - 1, 2**32))
    return np.random.default_rng(None if rng is None else integer("rng", rng, 0))


def magphase(D: np.ndarray, *, power: float = 1) -> tuple[np.ndarray, np.ndarray]:
    """librosa.magphase: |D|^power, and D / |D| (1 where D is 0)."""
    D = np.asarray(D)
    magnitude = np.abs(D)
    silent = magnitude == 0
    size = magnitude + silent
    phase = np.real(D) / size + silent + 1j * (np.imag(D) / size)
    return magnitude ** real("power", power, 0.0, strict=True), phase
