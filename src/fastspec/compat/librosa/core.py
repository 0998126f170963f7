"""``librosa.core``: the transforms and decibels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ... import functional as F
from ..._checks import integer, real
from ._arrays import make_window, only, padding, result_type, samples, spectrum, tensor, write

C1 = 32.70319566257483  # Hz
_HALF = {"F": torch.float32, "D": torch.float64}


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
    win_length, hop_length = _frames(n_fft, win_length, hop_length)
    w = make_window(window, win_length)
    z = F.stft(x, n_fft, hop_length, win_length, w, center, padding(pad_mode), dtype=_HALF[dtype.char])
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
    win_length, hop_length = _frames(n_fft, win_length, hop_length)
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
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> np.ndarray:
    """librosa.griffinlim: magnitudes [..., F, M] to samples, from librosa's random phases. momentum is below 1."""
    magnitude = spectrum("S", S, is_complex=False)
    dtype = result_type(dtype, "d" if magnitude.dtype is torch.float64 else "f", np.floating)
    only("init", init, "random", None)
    if random_state is None:
        rng: Any = np.random.default_rng()
    elif isinstance(random_state, (np.random.RandomState, np.random.Generator)):
        rng = random_state
    else:
        rng = np.random.RandomState(integer("random_state", random_state, 0, 2**32 - 1, 2**32))
    n_fft = 2 * (magnitude.shape[-2] - 1) if n_fft is None else n_fft
    win_length, hop_length = _frames(n_fft, win_length, hop_length)
    angles = None
    if init is not None:
        phases = np.exp(2j * np.pi * rng.random(size=magnitude.shape))
        angles = tensor(phases.astype("D" if magnitude.dtype is torch.float64 else "F"))
    w = make_window(window, win_length)
    settings = (n_fft, hop_length, win_length, 1.0, n_iter, momentum, length, False)
    y = F.griffinlim(magnitude, w, *settings, center=center, pad_mode=padding(pad_mode), angles=angles)
    return y.numpy().astype(dtype, copy=False)


def cqt(
    y: np.ndarray,
    *,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: float | None = 0.0,
    filter_scale: float = 1,
    norm: float | None = 1,
    sparsity: float = 0.01,
    window: Any = "hann",
    scale: bool = True,
    pad_mode: Any = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> np.ndarray:
    """librosa.cqt: complex [..., n_bins, M]. tuning is a number; sparsity, scale and res_type keep their defaults."""
    return vqt(
        y,
        sr=sr,
        hop_length=hop_length,
        fmin=fmin,
        n_bins=n_bins,
        gamma=0,
        bins_per_octave=bins_per_octave,
        tuning=tuning,
        filter_scale=filter_scale,
        norm=norm,
        sparsity=sparsity,
        window=window,
        scale=scale,
        pad_mode=pad_mode,
        res_type=res_type,
        dtype=dtype,
    )


def vqt(
    y: np.ndarray,
    *,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    intervals: Any = "equal",
    gamma: float | None = None,
    bins_per_octave: int = 12,
    tuning: float | None = 0.0,
    filter_scale: float = 1,
    norm: float | None = 1,
    sparsity: float = 0.01,
    window: Any = "hann",
    scale: bool = True,
    pad_mode: Any = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> np.ndarray:
    """librosa.vqt: as ``cqt``, of equal intervals."""
    x = samples(y)
    dtype = result_type(dtype, "D" if x.dtype is torch.float64 else "F", np.complexfloating)
    only("intervals", intervals, "equal")
    only("sparsity", sparsity, 0.01)
    only("scale", scale, True)
    only("res_type", res_type, "soxr_hq")
    z = F.vqt(
        x,
        sr,
        hop_length,
        C1 if fmin is None else fmin,
        n_bins=n_bins,
        filter_scale=filter_scale,
        norm=norm,
        window=window,
        pad_mode=padding(pad_mode),
        bins_per_octave=bins_per_octave,
        gamma=gamma,
        output_format="Complex",
        convention="librosa",
        tuning=real("tuning", tuning),
        dtype=_HALF[dtype.char],
    )
    return z.numpy()


def power_to_db(
    S: Any, *, ref: float | Callable[..., Any] = 1.0, amin: float = 1e-10, top_db: float | None = 80.0
) -> Any:
    """librosa.power_to_db of a real S: 10 log10(max(S, amin) / ref), within top_db of the largest of all."""
    S = _real("S", S)
    real("amin", amin, 0.0, strict=True)
    reference = ref(S) if callable(ref) else np.abs(ref)
    decibels = 10.0 * np.log10(np.maximum(amin, S))
    decibels -= 10.0 * np.log10(np.maximum(amin, reference))  # in place: float32 stays float32
    if top_db is None:
        return decibels
    return np.maximum(decibels, decibels.max() - real("top_db", top_db, 0.0))


def amplitude_to_db(
    S: Any, *, ref: float | Callable[..., Any] = 1.0, amin: float = 1e-5, top_db: float | None = 80.0
) -> Any:
    """librosa.amplitude_to_db of a real S: 20 log10(max(|S|, amin) / ref)."""
    S = np.abs(_real("S", S))
    reference = ref(S) if callable(ref) else np.abs(ref)
    amin = real("amin", amin, 0.0, strict=True)
    return power_to_db(np.square(S), ref=reference**2, amin=amin**2, top_db=top_db)


def db_to_power(S_db: Any, *, ref: float = 1.0) -> Any:
    """librosa.db_to_power: ref 10^(S_db / 10)."""
    return ref * np.power(10.0, 0.1 * _real("S_db", S_db))


def db_to_amplitude(S_db: Any, *, ref: float = 1.0) -> Any:
    """librosa.db_to_amplitude: ref 10^(S_db / 20)."""
    return db_to_power(S_db, ref=ref**2) ** 0.5


def _real(name: str, x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be real numbers (take np.abs of a spectrum first), got {x.dtype}")
    return x


def _frames(n_fft: int, win_length: int | None, hop_length: int | None) -> tuple[int, int]:
    """librosa's win_length and hop_length: n_fft and a quarter of the window."""
    win_length = integer("n_fft", n_fft, 2) if win_length is None else integer("win_length", win_length, 1)
    return win_length, max(1, win_length // 4) if hop_length is None else integer("hop_length", hop_length, 1)
