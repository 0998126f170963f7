"""nnAudio's ``utils``, in float32, with what it takes from ``librosa_functions``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv1d, fold

from ... import bases
from ..._checks import one_of, warn
from ...bases.cqt import ConstantQ, cqt_rows
from . import librosa_functions
from .librosa_functions import *  # noqa: F403
from .librosa_functions import pad_center

__all__ = [
    "broadcast_dim",
    "broadcast_dim_conv2d",
    "complex_mul",
    "create_cqt_kernels",
    "create_fourier_kernels",
    "create_lowpass_filter",
    "downsampling_by_2",
    "downsampling_by_n",
    "early_downsample",
    "early_downsample_count",
    "extend_fbins",
    "get_cqt_complex",
    "get_cqt_complex2",
    "get_early_downsample_params",
    "get_window_dispatch",
    "nextpow2",
    "overlap_add",
    "prepow2",
    "rfft_fn",
    "torch_window_sumsquare",
    "uniform_distribution",
]
__all__ += librosa_functions.__all__


def broadcast_dim(x: Tensor) -> Tensor:
    """[T], [B, T] or [B, 1, T] to [B, 1, T]."""
    if x.dim() not in (1, 2, 3):
        raise ValueError(f"x must have shape [T], [B, T] or [B, 1, T], got {list(x.shape)}")
    return x[None, None] if x.dim() == 1 else x[:, None] if x.dim() == 2 else x


def extend_fbins(X: Tensor) -> Tensor:
    """[B, n_fft / 2 + 1, M, 2] to [B, n_fft, M, 2], by the symmetry of real signals' spectra."""
    mirrored = X[:, 1:-1].flip(1)
    return torch.cat([X, torch.stack([mirrored[..., 0], -mirrored[..., 1]], -1)], 1)


def broadcast_dim_conv2d(x: Tensor) -> Tensor:
    """[B, F, M] to [B, 1, F, M]."""
    if x.dim() != 3:
        raise ValueError(f"x must have shape [B, F, M], got {list(x.shape)}")
    return x[:, None]


def nextpow2(A: float) -> int:
    """The exponent of the power of two from A up."""
    return math.ceil(math.log2(A))


def prepow2(A: float) -> int:
    """The exponent of the power of two from A down."""
    return math.floor(math.log2(A))


def uniform_distribution(r1: float, r2: float, *size: int, device: Any) -> Tensor:
    """Random numbers between r1 and r2."""
    return (r1 - r2) * torch.rand(*size, device=device) + r2


def rfft_fn(x: Tensor, n: int | None = None, onesided: bool = False) -> Tensor:
    """The Fourier transform along the last axis, both sides, [..., N, 2]; n and onesided have no effect."""
    return torch.view_as_real(torch.fft.fft(x))


def complex_mul(cqt_filter: tuple[Tensor, Tensor], stft: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The product of two complex matrices, each (real part, imaginary part)."""
    (a, b), (c, d) = cqt_filter, stft
    return a @ c - b @ d, a @ d + b @ c


def overlap_add(X: Tensor, stride: int) -> Tensor:
    """Frames [B, N, M] added up, `stride` samples apart: [B, N + stride (M - 1)]."""
    n_fft, n_frames = X.shape[1:]
    return fold(X, (1, n_fft + stride * (n_frames - 1)), kernel_size=(1, n_fft), stride=(1, stride)).flatten(1)


def torch_window_sumsquare(w: Tensor, n_frames: int, stride: int, n_fft: int, power: int = 2) -> Tensor:
    """The powers of a window w [n_fft] added up over the frames, [1, 1, 1, n_fft + stride (n_frames - 1)]."""
    return overlap_add((w**power)[None, :, None].expand(1, -1, n_frames), stride)[None, None]


def downsampling_by_n(x: Tensor, filterKernel: Tensor, n: int) -> Tensor:
    """Every n-th sample of x [B, 1, T] behind a filter [1, 1, N]."""
    return conv1d(x, filterKernel, stride=(n,), padding=((filterKernel.shape[-1] - 1) // 2,))


def downsampling_by_2(x: Tensor, filterKernel: Tensor) -> Tensor:
    """``downsampling_by_n`` with n = 2."""
    return downsampling_by_n(x, filterKernel, 2)


def create_lowpass_filter(
    band_center: float = 0.5, kernelLength: int = 256, transitionBandwidth: float = 0.03
) -> NDArray[np.float32]:
    """Low-pass filter [kernelLength] by frequency sampling and a Hamming window; band_center 1 is half the rate."""
    edges = 0.0, band_center / (1 + transitionBandwidth), band_center * (1 + transitionBandwidth), 1.0
    at = np.linspace(0.0, 1.0, 1 + 2 ** nextpow2(kernelLength))
    wanted = np.interp(at, edges, (1.0, 1.0, 0.0, 0.0))
    delayed = np.fft.irfft(wanted * np.exp(-0.5j * np.pi * (kernelLength - 1) * at))
    return (delayed[:kernelLength] * np.hamming(kernelLength)).astype(np.float32)


def early_downsample_count(nyquist: float, filter_cutoff: float, hop_length: int, n_octaves: int) -> int:
    """How often the rate may be halved before the top octave."""
    by_rate = math.ceil(math.log2(0.85 * nyquist / filter_cutoff)) - 2
    return min(max(0, by_rate), max(0, nextpow2(hop_length) - n_octaves + 1))


def early_downsample(
    sr: float, hop_length: int, n_octaves: int, nyquist: float, filter_cutoff: float
) -> tuple[float, int, int]:
    """The rate, hop and factor after that."""
    factor = 2 ** early_downsample_count(nyquist, filter_cutoff, hop_length, n_octaves)
    return sr / float(factor), hop_length // factor, factor


def get_early_downsample_params(
    sr: float, hop_length: int, fmax_t: float, Q: float, n_octaves: int, verbose: bool
) -> tuple[float, int, int, Tensor | None, bool]:
    """Rate, hop and factor of the early downsampling of octaves up to fmax_t, its filter, whether there is any."""
    cutoff = fmax_t * (1 + 0.75 / Q)
    sr, hop_length, factor = early_downsample(sr, hop_length, n_octaves, sr // 2, cutoff)
    kernel = None if factor == 1 else torch.tensor(create_lowpass_filter(1 / factor, 256, 0.03))[None, None]
    return sr, hop_length, factor, kernel, factor != 1


def get_window_dispatch(window: Any, N: int, fftbins: bool = True) -> NDArray[np.float64]:
    """Samples of a window: a name, (name, parameter), Kaiser's beta, or ("gaussian", decibels down at the ends)."""
    if isinstance(window, float):
        window = "kaiser", window
    if isinstance(window, tuple) and window[0] == "gaussian":
        window = "gaussian", math.ceil(N / 2 / math.sqrt(window[1] / 10 * math.log(10)))
    return np.array(bases.get_window(window, N, fftbins))


def create_fourier_kernels(
    n_fft: int,
    win_length: int | None = None,
    freq_bins: int | None = None,
    fmin: float = 50,
    fmax: float = 6000,
    sr: float = 44100,
    freq_scale: str = "linear",
    window: Any = "hann",
    verbose: bool = True,
) -> tuple[NDArray, NDArray, list[float], list[float], NDArray]:
    """nnAudio's sines and cosines [freq_bins, 1, n_fft] (no window), their Hz and bins, and the window [n_fft]."""
    one_of("freq_scale", freq_scale, ("no", "linear", "log", "log2"))
    n_bins = n_fft // 2 + 1 if freq_bins is None else freq_bins
    bins = bases.bin_frequencies(n_fft, n_bins, freq_scale, fmin, fmax, sr)
    cosine, sine = bases.fourier_basis(n_fft, bins, np.ones(n_fft))[:, :, None].astype(np.float32)
    mask = bases.get_window(window, n_fft if win_length is None else int(win_length))
    places = [int(k) if freq_scale == "no" else float(k) for k in bins]
    return -sine, cosine, [k * sr / n_fft for k in places], places, pad_center(mask, n_fft).astype(np.float32)


def get_cqt_complex(
    x: Tensor, cqt_kernels_real: Tensor, cqt_kernels_imag: Tensor, hop_length: int, padding: Any
) -> Tensor:
    """[B, 1, T] to [B, K, M, 2]: x, behind padding(x), with kernels [K, 1, W]. Short clips are padded with zeros."""
    return get_cqt_complex2(x, cqt_kernels_real, cqt_kernels_imag, hop_length, padding)


def get_cqt_complex2(
    x: Tensor,
    cqt_kernels_real: Tensor,
    cqt_kernels_imag: Tensor,
    hop_length: int,
    padding: Any,
    wcos: Tensor | None = None,
    wsin: Tensor | None = None,
) -> Tensor:
    """``get_cqt_complex``; with Fourier kernels wcos, wsin [F, 1, N] the kernels [K, F] are of frequencies."""
    try:
        x = padding(x)
    except RuntimeError:
        warn(f"{x.shape[-1]} samples are too few for this padding of {cqt_kernels_real.shape[-1]}: padded with zeros")
        x = torch.nn.functional.pad(x, (cqt_kernels_real.shape[-1] // 2,) * 2)
    if wcos is None or wsin is None:
        kernels = cqt_kernels_real, cqt_kernels_imag
        y = conv1d(x, kernels[0], stride=hop_length), -conv1d(x, kernels[1], stride=hop_length)
    else:
        spectrum = conv1d(x, wcos, stride=hop_length), conv1d(x, wsin, stride=hop_length)
        y = complex_mul((cqt_kernels_real, cqt_kernels_imag), spectrum)
    return torch.stack(y, -1)


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
    """nnAudio's kernels [K, W] (complex64), W, their lengths and frequencies. The top bin is always checked; pad_fft
    has no effect, as in nnAudio: W is a power of two."""
    if fmax is not None:
        n_bins = int(np.ceil(bins_per_octave * np.log2(fmax / fmin)))
    scale = Q * (2.0 ** (1.0 / bins_per_octave) - 1.0)
    spec = ConstantQ(fs, fmin, n_bins, bins_per_octave, scale, gamma, 0.0, window, norm)
    real, imag = dense_kernels(spec)
    kernels = (real + 1j * imag).numpy()
    return kernels, kernels.shape[1], torch.tensor(spec.lengths, dtype=torch.float32), spec.frequencies


def dense_kernels(spec: ConstantQ) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts [K, W] as nnAudio holds them: the conjugates of our rows, centred on W / 2."""
    rows = cqt_rows(spec)
    width = 2 ** nextpow2(spec.lengths.max())
    kernels = np.zeros((spec.n_bins, width), np.complex64)
    for kernel, first, taps in zip(kernels, rows.first, rows.taps, strict=True):
        start = max(0, width // 2 + first)
        kernel[start : start + len(taps)] = np.conj(taps)
    return torch.tensor(kernels.real), torch.tensor(kernels.imag)
