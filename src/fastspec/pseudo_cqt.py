"""Constant-Q magnitudes by folding an STFT, in part or in whole, and stacks of harmonics. librosa's numbers.

Differentiable, on every backend: ``spectral_power`` with a filterbank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import integer, real
from ._inputs import constant, fold_waveform, unfold
from .bases.cqt import ConstantQ, Window
from .bases.librosa_cqt import pseudo_cqt_n_fft
from .constant_q import cqt
from .dispatch import check_backend
from .ops.spectral_power import spectral_power
from .plan import Ending, FramePlan

__all__ = ["harmonic_stack", "hybrid_cqt", "pseudo_cqt"]


def pseudo_cqt(
    waveform: Tensor,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float = 32.70319566257483,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: float = 0.0,
    filter_scale: float = 1,
    norm: float | None = 1,
    window: Window = "hann",
    pad_mode: str = "constant",
    *,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Magnitudes of one STFT folded by the magnitudes of the constant-Q kernels' spectra, in one pass.

    Args:
        waveform: samples [..., T].
        others: see ``fastspec.constant_q``; the convention is librosa's.

    Returns:
        [..., K, M], M = T // hop_length + 1: librosa's pseudo_cqt.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    spec = ConstantQ(sr, fmin, n_bins, bins_per_octave, filter_scale, 0.0, tuning, window, norm, "librosa")
    n_fft = pseudo_cqt_n_fft(spec, integer("hop_length", hop_length, 1))
    plan = FramePlan.make(n_fft, hop_length, pad_mode=pad_mode)
    x, compute, result = fold_waveform(waveform, dtype)
    hann = constant("get_window", ("hann", n_fft), compute, x.device)
    bank = constant("pseudo_cqt_filterbank", (spec, hop_length), compute, x.device)
    y = spectral_power(x, hann, bank, plan, Ending.make(1.0), check_backend(backend))
    return unfold(y, waveform.shape[:-1], result)


def hybrid_cqt(
    waveform: Tensor,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float = 32.70319566257483,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: float = 0.0,
    filter_scale: float = 1,
    norm: float | None = 1,
    window: Window = "hann",
    pad_mode: str = "constant",
    *,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Magnitudes: `pseudo_cqt` of the bins whose kernels, up to a power of two, are shorter than two hops, `cqt` of
    those below.

    Arguments, result and errors: those of `pseudo_cqt`; librosa's hybrid_cqt.
    """
    spec = ConstantQ(sr, fmin, n_bins, bins_per_octave, filter_scale, 0.0, tuning, window, norm, "librosa")
    two_hops = 2 * integer("hop_length", hop_length, 1)
    full = sum(2.0 ** math.ceil(math.log2(length)) >= two_hops for length in spec.lengths)
    shared = dict(filter_scale=filter_scale, norm=norm, window=window, pad_mode=pad_mode, backend=backend, dtype=dtype)
    pieces = []
    if full:
        low = dict(fmin=fmin, n_bins=full, bins_per_octave=bins_per_octave, tuning=tuning, convention="librosa")
        pieces.append(cqt(waveform, sr, hop_length, **low, **shared))  # type: ignore[arg-type]
    if full < n_bins:
        fmin = float(spec.frequencies[full])
        rest = n_bins - full
        pieces.append(pseudo_cqt(waveform, sr, hop_length, fmin, rest, bins_per_octave, **shared))  # type: ignore[arg-type]
    return torch.cat(pieces, dim=-2)


def harmonic_stack(
    spectrum: Tensor,
    bins_per_octave: int,
    harmonics: Sequence[float] = (0.5, 1, 2, 3, 4, 5, 6, 7),
    n_bins: int | None = None,
) -> Tensor:
    """Copies of a log-frequency spectrum, shifted so that a note's harmonics lie over its bin.

    Bittner et al. 2017, "Deep salience representations for F0 estimation"; the defaults are basic-pitch's.

    Args:
        spectrum: [..., K, M].
        bins_per_octave: of the spectrum.
        harmonics: h: bin k holds the input's bin k + round(bins_per_octave log2(h)), 0 where there is none.
        n_bins: bins kept, from the lowest up. Default: K.

    Returns:
        [..., len(harmonics), n_bins, M].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    if not isinstance(spectrum, Tensor) or spectrum.dim() < 2:
        raise ValueError(f"spectrum must be a tensor [..., K, M], got {getattr(spectrum, 'shape', spectrum)}")
    if not harmonics:
        raise ValueError("harmonics must hold at least one factor, got none")
    per_octave, total = integer("bins_per_octave", bins_per_octave, 1), spectrum.shape[-2]
    kept = total if n_bins is None else integer("n_bins", n_bins, 1)
    if kept > total:
        raise ValueError(f"n_bins must be at most the spectrum's {total}, got {n_bins}")
    shifts = [round(per_octave * math.log2(real("harmonics", h, 0.0, strict=True))) for h in harmonics]
    below, above = max(0, -min(shifts)), max(0, max(shifts))
    padded = torch.nn.functional.pad(spectrum, (0, 0, below, above))
    return torch.stack([padded.narrow(-2, below + shift, kept) for shift in shifts], dim=-3)
