"""The builders of nnAudio's ``utils`` and ``librosa_functions`` that stand by themselves, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import bases
from ...bases.cqt import ConstantQ, cqt_rows

__all__ = ["broadcast_dim", "create_cqt_kernels", "extend_fbins", "fft_frequencies", "get_gammatone", "get_mel"]


def broadcast_dim(x: Tensor) -> Tensor:
    """[T], [B, T] or [B, 1, T] to [B, 1, T]."""
    if x.dim() not in (1, 2, 3):
        raise ValueError(f"x must have shape [T], [B, T] or [B, 1, T], got {list(x.shape)}")
    return x[None, None] if x.dim() == 1 else x[:, None] if x.dim() == 2 else x


def extend_fbins(X: Tensor) -> Tensor:
    """[B, n_fft / 2 + 1, M, 2] to [B, n_fft, M, 2], by the symmetry of real signals' spectra."""
    mirrored = X[:, 1:-1].flip(1)
    return torch.cat([X, torch.stack([mirrored[..., 0], -mirrored[..., 1]], -1)], 1)


def fft_frequencies(sr: float = 22050, n_fft: int = 2048) -> NDArray[np.float64]:
    """Hz of the bins, [n_fft // 2 + 1]."""
    return np.linspace(0.0, sr / 2, n_fft // 2 + 1)


def get_mel(
    sr: float,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Any = 1,
    dtype: Any = np.float32,
) -> NDArray:
    """Mel filters [n_mels, F]; norm=1 for equal areas, None or inf for peaks of 1."""
    area = "slaney" if norm == 1 else None
    arguments = n_fft // 2 + 1, fmin, sr / 2 if fmax is None else fmax, n_mels, sr, area, "htk" if htk else "slaney"
    return bases.mel_filterbank(*arguments).T.astype(dtype)


def get_gammatone(
    sr: float,
    n_fft: int,
    n_bins: int = 64,
    fmin: float = 20.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Any = 1,
    dtype: Any = np.float32,
) -> NDArray:
    """Gammatone filters [n_bins, F]; htk and norm have no effect."""
    high = sr / 2 if fmax is None else fmax
    return (bases.gammatone_filterbank(n_fft // 2 + 1, fmin, high, n_bins, sr).T / n_fft).astype(dtype)


def create_cqt_kernels(
    Q: float,
    fs: float,
    fmin: float,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    norm: float | None = 1,
    window: Any = "hann",
    fmax: float | None = None,
    topbin_check: bool = True,
    gamma: float = 0,
    pad_fft: bool = True,
) -> tuple[NDArray, int, Tensor, NDArray]:
    """nnAudio's kernels [K, W] (complex64), W, their lengths and frequencies. The top bin is always checked."""
    if fmax is not None:
        n_bins = int(np.ceil(bins_per_octave * np.log2(fmax / fmin)))
    scale = Q * (2.0 ** (1.0 / bins_per_octave) - 1.0)
    spec = ConstantQ(fs, fmin, n_bins, bins_per_octave, scale, gamma, 0.0, window, norm)
    real, imag = dense_kernels(spec, pad_fft)
    kernels = (real + 1j * imag).numpy()
    return kernels, kernels.shape[1], torch.tensor(spec.lengths, dtype=torch.float32), spec.frequencies


def dense_kernels(spec: ConstantQ, pad_fft: bool = True) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts [K, W] as nnAudio holds them: the conjugates of our rows, centred on W / 2."""
    rows = cqt_rows(spec)
    longest = int(spec.lengths.max())
    width = 2 ** int(np.ceil(np.log2(longest))) if pad_fft else longest
    kernels = np.zeros((spec.n_bins, width), np.complex64)
    for kernel, first, taps in zip(kernels, rows.first, rows.taps, strict=True):
        start = max(0, width // 2 + first)
        kernel[start : start + len(taps)] = np.conj(taps)
    return torch.tensor(kernels.real), torch.tensor(kernels.imag)
