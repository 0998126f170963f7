"""The shape of a spectrum in a few numbers: centroid, bandwidth, rolloff, flatness, contrast.

``spectral_centroid`` goes from samples to the result in one pass, with torchaudio's arguments. The others take a
spectrogram, so that one serves them all, and have the meaning and the defaults of ``librosa.feature``. Silent frames
have centroid, bandwidth and rolloff 0 and flatness 1, without NaN in values or gradients.

    specgram: magnitudes [..., F, M], not negative; F = n_fft // 2 + 1 bins from 0 to half of sample_rate (Hz).

Results are [..., M] (contrast: [..., n_bands + 1, M]), in Hz where they are frequencies. Errors: ValueError names the
argument, its value and what is allowed.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from ._checks import flag, integer, real
from ._forward import transform
from ._inputs import Window, compute_dtype, result_dtype
from .plan import Ending, FramePlan
from .temporal import check_real

__all__ = ["spectral_bandwidth", "spectral_centroid", "spectral_contrast", "spectral_flatness", "spectral_rolloff"]


def spectral_centroid(
    waveform: Tensor,
    sample_rate: int,
    pad: int,
    window: Window,
    n_fft: int,
    hop_length: int | None,
    win_length: int | None,
    *,
    center: bool = True,
    pad_mode: str = "reflect",
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Mean frequency of every frame, weighted by magnitude; as torchaudio, with the last bin at sample_rate // 2 Hz.

    Args:
        waveform: samples [..., T].
        sample_rate: in Hz.
        pad, window, n_fft, hop_length, win_length, center, pad_mode, backend, dtype: see ``fastspec.functional``.

    Returns:
        [..., M], in Hz; 0 (torchaudio: NaN) where a frame is silent.
    """
    plan = FramePlan.make(n_fft, hop_length, win_length, center, pad_mode)
    compute = compute_dtype(result_dtype(waveform, dtype))
    high = real("sample_rate", sample_rate, 0.0, strict=True) // 2
    hertz = torch.linspace(0, high, plan.n_bins, dtype=torch.float64, device=waveform.device)
    bank = torch.stack([hertz, torch.ones_like(hertz)], 1).to(compute)
    moments = transform(waveform, pad, window, bank, plan, Ending.make(1.0), False, backend, dtype, None)
    return _ratio(moments[..., 0, :], moments[..., 1, :])


def centroid_of(specgram: Tensor, sample_rate: float) -> Tensor:
    """Mean frequency [..., M] of a magnitude spectrogram that is there already, the last bin at half the rate."""
    return _ratio((_hertz(specgram, sample_rate) * specgram).sum(-2), specgram.sum(-2))


def spectral_bandwidth(
    specgram: Tensor,
    sample_rate: float = 22050,
    p: float = 2.0,
    norm: bool = True,
    centroid: Tensor | None = None,
) -> Tensor:
    """(sum_f S |f - centroid|^p)^(1/p), S being shares of the frame's sum where ``norm``.

    Args:
        specgram, sample_rate: see the module.
        p: > 0.
        norm: divide the frame by its sum.
        centroid: [..., M] in Hz. Default: that of specgram.
    """
    hertz = _hertz(specgram, sample_rate)
    centroid = centroid_of(specgram, sample_rate) if centroid is None else centroid
    shape = specgram.shape[:-2] + specgram.shape[-1:]
    if not isinstance(centroid, Tensor) or centroid.shape != shape:
        got = list(centroid.shape) if isinstance(centroid, Tensor) else repr(centroid)
        raise ValueError(f"centroid must be a tensor of shape {list(shape)}, got {got}")
    p = real("p", p, 0.0, strict=True)
    distance = (hertz - centroid[..., None, :]).abs()
    there = distance == 0  # slope 0, whatever p
    moment = (specgram * (distance.masked_fill(there, 1.0) ** p).masked_fill(there, 0.0)).sum(-2)
    moment = _ratio(moment, specgram.sum(-2)) if flag("norm", norm) else moment
    silent = moment == 0
    return (moment.masked_fill(silent, 1.0) ** (1 / p)).masked_fill(silent, 0.0)


def spectral_rolloff(specgram: Tensor, sample_rate: float = 22050, roll_percent: float = 0.85) -> Tensor:
    """The frequency of the first bin up to which a frame holds the share roll_percent of its sum; without gradient.

    Args:
        specgram, sample_rate: see the module.
        roll_percent: between 0 and 1.
    """
    hertz = _hertz(specgram, sample_rate)
    if not 0 < real("roll_percent", roll_percent) < 1:
        raise ValueError(f"roll_percent must be between 0 and 1, got {roll_percent!r}")
    sums = specgram.detach().cumsum(-2)
    below = (sums < roll_percent * sums[..., -1:, :]).sum(-2)
    return hertz[below.clamp(max=len(hertz) - 1), 0]


def spectral_flatness(specgram: Tensor, amin: float = 1e-10, power: float = 2.0) -> Tensor:
    """Geometric over arithmetic mean of max(S^power, amin): 1 for white noise, near 0 for a tone.

    Args:
        specgram: see the module.
        amin: > 0. power: > 0.
    """
    check_real("specgram", specgram, 2)
    power, amin = real("power", power, 0.0, strict=True), real("amin", amin, 0.0, strict=True)
    powers = (specgram.clamp(min=amin ** (1.0 / power)) ** power).clamp(min=amin)
    return powers.log().mean(-2).exp() / powers.mean(-2)


def spectral_contrast(
    specgram: Tensor,
    sample_rate: float = 22050,
    fmin: float = 200.0,
    n_bands: int = 6,
    quantile: float = 0.02,
    linear: bool = False,
) -> Tensor:
    """Peaks less valleys of the octaves from fmin on, and of what is below (Jiang et al. 2002).

    Args:
        specgram, sample_rate: see the module.
        fmin: upper end of the first band in Hz.
        n_bands: octaves above it; all begin below half the sample rate.
        quantile: share of a band's bins that its peak, and its valley, are the means of; at least one bin.
        linear: differences of the values; default: of decibels, limited to 80 below the loudest peak (valley) of
            the last two dimensions.

    Returns:
        [..., n_bands + 1, M].
    """
    n_bins, half = _hertz(specgram, sample_rate).shape[0], 0.5 * sample_rate
    fmin, n_bands = real("fmin", fmin, 0.0, strict=True), integer("n_bands", n_bands, 1, 64)
    if not 0 < real("quantile", quantile) < 1:
        raise ValueError(f"quantile must be between 0 and 1, got {quantile!r}")
    edges = [0.0] + [fmin * 2.0**k for k in range(n_bands + 1)]
    if edges[-2] >= 0.5 * sample_rate:
        raise ValueError(
            f"fmin, n_bands: the last band begins at {edges[-2]:g} Hz, expected less than half of sample_rate = "
            f"{sample_rate!r}"
        )
    peaks, valleys = [], []
    for k, (low, high) in enumerate(pairwise(edges)):
        first = math.ceil(low / half * (n_bins - 1))
        last = min(n_bins - 1, math.floor(high / half * (n_bins - 1)))
        if first > last:
            raise ValueError(f"specgram: no bin lies from {low:g} to {high:g} Hz; expected a larger n_fft or fmin")
        first -= k > 0  # librosa's bands: one bin more below, none at the upper edge but the last band's
        last = n_bins if k == n_bands else last + 1
        some = max(1, round(quantile * (last - first)))
        ordered = specgram[..., first : last - (k < n_bands), :].sort(-2).values
        valleys.append(ordered[..., :some, :].mean(-2))
        peaks.append(ordered[..., -some:, :].mean(-2))
    peak, valley = torch.stack(peaks, -2), torch.stack(valleys, -2)
    return peak - valley if flag("linear", linear) else _decibels(peak) - _decibels(valley)


def _hertz(specgram: Tensor, sample_rate: float) -> Tensor:
    """The frequencies of the bins, [F, 1]; checks both."""
    check_real("specgram", specgram, 2)
    half = 0.5 * real("sample_rate", sample_rate, 0.0, strict=True)
    steps = torch.linspace(0, half, specgram.shape[-2], dtype=torch.float64, device=specgram.device)
    return steps[:, None].to(specgram.dtype)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is 0."""
    silent = b == 0
    return (a / b.masked_fill(silent, 1.0)).masked_fill(silent, 0.0)


def _decibels(power: Tensor) -> Tensor:
    decibels = 10 * power.clamp(min=1e-10).log10()
    return torch.maximum(decibels, decibels.amax((-2, -1), keepdim=True) - 80.0)
