"""``kapre.backend``: windows, filterbanks and decibels."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import bases
from ..._checks import integer, real
from ..librosa.filters import mel

C1 = 32.70319566  # Hz
DATA_FORMATS = ("default", "channels_first", "channels_last")


def validate_data_format_str(data_format: str) -> None:
    """Raise TypeError or ValueError unless this is "default", "channels_first" or "channels_last"."""
    if not isinstance(data_format, str):
        raise TypeError(f"data_format must be a string, got {data_format!r}")
    if data_format not in DATA_FORMATS:
        raise ValueError(f"data_format must be one of {', '.join(map(repr, DATA_FORMATS))}, got {data_format!r}")


def get_window_fn(window_name: str | None = None) -> Callable[[int], NDArray[np.float64]]:
    """The function of a length that makes a window of ``tf.signal``, by its name there; a Hann window for None."""
    name = "hann_window" if window_name is None else window_name
    if name not in _WINDOWS:
        raise NotImplementedError(f"window_name must be one of {', '.join(map(repr, _WINDOWS))}, got {window_name!r}")
    return _WINDOWS[name]


def _raised_cosine(name: str) -> Callable[[int], NDArray[np.float64]]:
    # tf.signal's periodic windows of an odd length are the symmetric ones
    return lambda length: bases.get_window(name, length, periodic=length % 2 == 0)


def _kaiser(length: int) -> NDArray[np.float64]:
    return bases.get_window(("kaiser", 12.0), length, periodic=False)


def _kaiser_bessel_derived(length: int) -> NDArray[np.float64]:
    if length % 2:
        raise ValueError(f"win_length must be even for kaiser_bessel_derived_window, got {length}")
    total = np.cumsum(_kaiser(length // 2 + 1))
    half = np.sqrt(total[:-1] / total[-1])
    return np.concatenate([half, half[::-1]])


_WINDOWS: dict[str, Callable[[int], NDArray[np.float64]]] = {
    "hamming_window": _raised_cosine("hamming"),
    "hann_window": _raised_cosine("hann"),
    "kaiser_bessel_derived_window": _kaiser_bessel_derived,
    "kaiser_window": _kaiser,
    "vorbis_window": lambda length: bases.get_window("vorbis", length),
}


def analysis_window(window_name: str | None, win_length: int, n_fft: int) -> NDArray[np.float64]:
    """[n_fft]: a window at the beginning, then zeros; cut off where it is longer."""
    return _fit(get_window_fn(window_name)(win_length), n_fft)


def synthesis_window(window_name: str | None, win_length: int, hop_length: int, n_fft: int) -> NDArray[np.float64]:
    """[n_fft]: the window of ``tf.signal.inverse_stft_window_fn``, w[n] / sum_k w[n + k hop_length]^2, then zeros."""
    window = get_window_fn(window_name)(win_length)
    squares = _fit(window**2, -(-win_length // hop_length) * hop_length).reshape(-1, hop_length)
    total = np.resize(squares.sum(0), win_length)
    return _fit(np.divide(window, total, out=np.zeros(win_length), where=total > 0), n_fft)


def _fit(x: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    return np.pad(x, (0, max(0, length - len(x))))[:length]


def magnitude_to_decibel(x: Tensor, ref_value: float = 1.0, amin: float = 1e-5, dynamic_range: float = 80.0) -> Tensor:
    """10 log10(max(x, amin)) - 10 log10(max(amin, ref_value)), at most dynamic_range below the largest of its clip.

    Args:
        x: [B, ...], or one dimension, which is one clip.
    """
    check_decibels(ref_value, amin, dynamic_range)
    return relative_decibels(10.0 * x.clamp(min=amin).log10(), ref_value, amin, dynamic_range)


def check_decibels(ref_value: float, amin: float, dynamic_range: float) -> None:
    """Raise ValueError unless all three are positive."""
    for name, value in (("ref_value", ref_value), ("amin", amin), ("dynamic_range", dynamic_range)):
        real(name, value, 0.0, strict=True)


def relative_decibels(decibels: Tensor, ref_value: float, amin: float, dynamic_range: float) -> Tensor:
    """The second half of ``magnitude_to_decibel``: what the reference and the range make of 10 log10(max(x, amin))."""
    decibels = decibels - 10.0 * math.log10(max(amin, ref_value))
    dims = tuple(range(1, decibels.dim())) or (0,)
    return torch.maximum(decibels, decibels.amax(dims, keepdim=True) - dynamic_range)


def filterbank_mel(
    sample_rate: float,
    n_freq: int,
    n_mels: int = 128,
    f_min: float = 0.0,
    f_max: float | None = None,
    htk: bool = False,
    norm: Any = "slaney",
) -> NDArray[np.float64]:
    """librosa's mel filterbank [n_freq, n_mels]; norm is "slaney" or None."""
    n_fft = 2 * (integer("n_freq", n_freq, 2) - 1)
    bank = mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min, fmax=f_max, htk=htk, norm=norm, dtype=np.float64)
    return bank.T


def filterbank_log(
    sample_rate: float,
    n_freq: int,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    f_min: float | None = None,
    spread: float = 0.125,
) -> NDArray[np.float64]:
    """Log-normal bands [n_freq, n_bins], each of sum 1: a constant-Q transform's bins out of a spectrum's.

    Band k at bin f: exp(-(log2 f - log2 c_k)^2 / (2 s^2)) / f, c_k = f_min 2^(k / bins_per_octave), s = spread /
    bins_per_octave. f_min: default C1, 32.7 Hz.
    """
    rate, n_freq = real("sample_rate", sample_rate, 0.0, strict=True), integer("n_freq", n_freq, 2)
    low = C1 if f_min is None else real("f_min", f_min, 0.0, strict=True)
    n_bins, per_octave = integer("n_bins", n_bins, 1), integer("bins_per_octave", bins_per_octave, 1)
    highest = low * 2 ** (n_bins / per_octave)
    if highest > rate // 2:
        raise RuntimeError(f"n_bins = {n_bins} from {low:g} Hz on reach {highest:g} Hz, above sample_rate / 2")
    octaves = np.log2(np.linspace(0.0, rate / 2, n_freq)[1:])[:, None]
    centres = np.log2(low) + np.arange(n_bins) / per_octave
    sigma = real("spread", spread, 0.0, strict=True) / per_octave
    bands = np.exp(-0.5 * ((octaves - centres) / sigma) ** 2 - np.log2(sigma) - octaves)
    total = bands.sum(0)
    bands /= np.where(total < np.finfo(np.float64).tiny, 1.0, total)
    return np.concatenate([np.zeros((1, n_bins)), bands])


@lru_cache(maxsize=256)
def held(make: Callable[..., np.ndarray], arguments: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    """make(*arguments) as a tensor, kept for the next call."""
    with torch.inference_mode(False):
        return torch.tensor(make(*arguments), dtype=dtype, device=device)
