"""``librosa.core.constantq``: constant-Q and variable-Q transforms, and the inverse."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .... import functional as F
from ...._checks import integer, real
from .._arrays import REAL, only, padding, result_type, samples, spectrum
from .pitch import estimate_tuning

__all__ = ["cqt", "hybrid_cqt", "icqt", "pseudo_cqt", "vqt"]

C1 = 32.70319566257483  # Hz


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
    """librosa.cqt: complex [..., n_bins, M]. sparsity, scale and res_type keep their defaults."""
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
    x, tuning, half = _begin(y, sr, bins_per_octave, tuning, sparsity, scale, dtype)
    only("intervals", intervals, "equal")
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
        tuning=tuning,
        dtype=half,
    )
    return z.numpy()


def pseudo_cqt(
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
    dtype: Any = None,
) -> np.ndarray:
    """librosa.pseudo_cqt: magnitudes [..., n_bins, M]. dtype, a complex one, tells the precision."""
    x, tuning, half = _begin(y, sr, bins_per_octave, tuning, sparsity, scale, dtype)
    bins = C1 if fmin is None else fmin, n_bins, bins_per_octave, tuning
    shape = filter_scale, norm, window, padding(pad_mode)
    return F.pseudo_cqt(x, sr, hop_length, *bins, *shape, dtype=half).numpy()


def hybrid_cqt(
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
    res_type: str = "soxr_hq",
    dtype: Any = None,
) -> np.ndarray:
    """librosa.hybrid_cqt: magnitudes [..., n_bins, M]. dtype, a complex one, tells the precision."""
    x, tuning, half = _begin(y, sr, bins_per_octave, tuning, sparsity, scale, dtype)
    only("res_type", res_type, "soxr_hq")
    bins = C1 if fmin is None else fmin, n_bins, bins_per_octave, tuning
    shape = filter_scale, norm, window, padding(pad_mode)
    return F.hybrid_cqt(x, sr, hop_length, *bins, *shape, dtype=half).numpy()


def icqt(
    C: np.ndarray,
    *,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float | None = None,
    bins_per_octave: int = 12,
    tuning: float = 0.0,
    filter_scale: float = 1,
    norm: float | None = 1,
    sparsity: float = 0.01,
    window: Any = "hann",
    scale: bool = True,
    length: int | None = None,
    res_type: str = "soxr_hq",
    dtype: Any = None,
) -> np.ndarray:
    """The inverse of ``cqt``: the samples [..., length] whose transform comes nearest to C, nearer than librosa's.

    length: samples; default (M - 1) * hop_length. Where it does not have the frames of C, ends are cut, or 0.
    """
    z = spectrum("C", C, is_complex=True)
    result = result_type(dtype, "d" if z.dtype is torch.complex128 else "f", np.floating)
    only("sparsity", sparsity, 0.01)
    only("scale", scale, True)
    only("res_type", res_type, "soxr_hq")
    hop_length, n_frames = integer("hop_length", hop_length, 1), z.shape[-1]
    length = max(1, (n_frames - 1) * hop_length) if length is None else integer("length", length, 1)
    whole = min(max(length, (n_frames - 1) * hop_length, 1), n_frames * hop_length - 1)
    y = F.icqt(
        z,
        sr,
        hop_length,
        C1 if fmin is None else fmin,
        n_bins=z.shape[-2],
        bins_per_octave=bins_per_octave,
        filter_scale=filter_scale,
        norm=norm,
        window=window,
        pad_mode="constant",
        length=whole,
        convention="librosa",
        tuning=real("tuning", tuning),
    )
    y = torch.nn.functional.pad(y, (0, length - whole))
    return y.numpy().astype(result, copy=False)


def _begin(
    y: Any, sr: float, bins_per_octave: int, tuning: float | None, sparsity: float, scale: bool, dtype: Any
) -> tuple[Tensor, float, torch.dtype]:
    """Samples, the tuning (estimated where it is None) and the dtype to compute in."""
    x = samples(y)
    dtype = result_type(dtype, "D" if x.dtype is torch.float64 else "F", np.complexfloating)
    only("sparsity", sparsity, 0.01)
    only("scale", scale, True)
    if tuning is None:
        tuning = estimate_tuning(y=y, sr=sr, bins_per_octave=bins_per_octave)
    return x, real("tuning", tuning), REAL[dtype.char]
