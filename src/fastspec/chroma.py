"""Pitch classes over time: spectra folded by octaves. librosa's names, defaults and numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._checks import integer, real
from ._inputs import Window, constant, fold_waveform, make_window, unfold
from .constant_q import vqt
from .dispatch import check_backend
from .ops.spectral_power import spectral_power
from .plan import Ending, FramePlan

__all__ = ["chroma_cqt", "chroma_stft", "chroma_vqt"]


def chroma_stft(
    waveform: Tensor,
    sr: float = 22050,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    n_chroma: int = 12,
    tuning: float = 0.0,
    norm: float | None = math.inf,
    *,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Chroma of the power spectrum, in one pass (``fastspec.bases.chroma_filterbank``).

    Args:
        waveform: samples [..., T].
        sr: sample rate, Hz.
        n_fft, hop_length, win_length, window, center, pad_mode, backend, dtype: see ``fastspec.functional``.
        n_chroma: classes an octave.
        tuning: offset from A = 440 Hz in fractions of a class (librosa's default estimates it).
        norm: each frame is divided by its p-norm (inf: its largest class), or None.

    Returns:
        [..., n_chroma, M].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    plan = FramePlan.make(n_fft, hop_length, win_length, center, pad_mode)
    x, compute, result = fold_waveform(waveform, dtype)
    window = make_window(window, plan.win_length, compute, x.device)
    bank = constant("chroma_filterbank", (sr, plan.n_fft, n_chroma, tuning), compute, x.device)
    classes = spectral_power(x, window, bank, plan, Ending.make(2.0), check_backend(backend))
    return unfold(normalize_frames(classes, norm), waveform.shape[:-1], result)


def chroma_cqt(
    waveform: Tensor,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float = 32.70319566257483,
    n_chroma: int = 12,
    n_octaves: int = 7,
    bins_per_octave: int = 36,
    tuning: float = 0.0,
    norm: float | None = math.inf,
    threshold: float = 0.0,
    gamma: float | None = 0.0,
    *,
    pad_mode: str = "constant",
    convention: str = "librosa",
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Chroma of the constant-Q magnitudes.

    Args:
        waveform: samples [..., T].
        n_chroma: classes an octave, a divisor of bins_per_octave.
        n_octaves: octaves from fmin up.
        tuning: in fractions of a bin (librosa's default estimates it).
        norm: each frame is divided by its p-norm (inf: its largest class), or None.
        threshold: classes below are set to 0 before that.
        gamma: bandwidth offset in Hz, see ``fastspec.constant_q.vqt``.
        others: see ``fastspec.constant_q``.

    Returns:
        [..., n_chroma, M].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    n_bins = integer("n_octaves", n_octaves, 1) * integer("bins_per_octave", bins_per_octave, 1)
    bins = vqt(
        waveform,
        sr,
        hop_length,
        fmin,
        n_bins=n_bins,
        bins_per_octave=bins_per_octave,
        gamma=gamma,
        tuning=tuning,
        pad_mode=pad_mode,
        convention=convention,
        backend=backend,
        dtype=dtype,
    )
    fold = constant("cqt_to_chroma", (n_bins, bins_per_octave, n_chroma, fmin), bins.dtype, bins.device)
    classes = fold.mT @ bins
    if real("threshold", threshold, 0.0) > 0:
        classes = classes.masked_fill(classes < threshold, 0.0)
    return normalize_frames(classes, norm)


def chroma_vqt(waveform: Tensor, sr: float = 22050, hop_length: int = 512, **kwargs: object) -> Tensor:
    """`chroma_cqt` with gamma=None: variable Q on the ERB scale, as librosa's. Equal-tempered bins."""
    return chroma_cqt(waveform, sr, hop_length, **{"gamma": None, **kwargs})  # type: ignore[arg-type]


def normalize_frames(classes: Tensor, norm: float | None) -> Tensor:
    """[..., K, M] divided by each frame's p-norm; frames of (almost) nothing stay as they are."""
    if norm is None:
        return classes
    order = norm if norm == math.inf else real("norm", norm, 0.0, strict=True)
    size = torch.linalg.vector_norm(classes, order, dim=-2, keepdim=True)
    return classes / size.masked_fill(size < torch.finfo(size.dtype).tiny, 1.0)
