"""Filterbanks made of two trained numbers a band, its centre and its width: differentiable, in float64.

Both numbers are counted in steps from one centre to the next of the bank that training begins with, on the bank's own
scale (mel, ERB rate), so that one learning rate suits every band. At first the bank is that of ``fastspec.bases``.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .. import bases
from ..bases import gammatone

SMALLEST_WIDTH = 1e-2  # steps; a band of no width would be gone for good


def first_bands(n_bands: int) -> Tensor:
    """[2, K]: centres 1 ... K over widths 1, what training begins with."""
    return torch.stack([torch.arange(1.0, n_bands + 1), torch.ones(n_bands)])


def mel_bands(
    bands: Tensor, n_freqs: int, f_min: float, f_max: float, sample_rate: float, norm: str | None, mel_scale: str
) -> Tensor:
    """``bases.mel_filterbank`` [F, K] for bands [2, K]: triangles that reach one width to both sides, in mel."""
    low, high = bases.hz_to_mel([f_min, f_max], mel_scale)
    step = float(high - low) / (bands.shape[1] + 1)
    centre, width = bands.double()
    width = width.clamp(min=SMALLEST_WIDTH)
    corners = low + step * torch.stack([centre - width, centre, centre + width])  # mel
    x = torch.linspace(0.0, sample_rate / 2, n_freqs, dtype=torch.float64, device=bands.device)
    if mel_scale == "kaldi":
        x = torch.tensor(bases.hz_to_mel(np.linspace(0.0, sample_rate / 2, n_freqs), mel_scale)).to(x)
    hertz = _mel_to_hz(corners, mel_scale)
    left, peak, right = corners if mel_scale == "kaldi" else hertz
    rising, falling = (x[:, None] - left) / (peak - left), (right - x[:, None]) / (right - peak)
    bank = torch.minimum(rising, falling).clamp(min=0.0)
    if norm == "slaney":
        bank = bank * (2.0 / (hertz[2] - hertz[0]))
    return bank.to(bands.dtype)


def gammatone_bands(bands: Tensor, n_freqs: int, f_min: float, f_max: float, sample_rate: float) -> Tensor:
    """``bases.gammatone_filterbank`` [F, K] for bands [2, K]; widths are in ERB."""
    centre, width = bands.double()
    n_bands = bands.shape[1]
    hertz = gammatone.centre_frequencies(torch, n_bands + 1 - centre, n_bands, f_min, f_max)
    x = torch.linspace(0.0, sample_rate / 2, n_freqs, dtype=torch.float64, device=bands.device)
    return gammatone.responses(torch, x, hertz, width.clamp(min=SMALLEST_WIDTH), sample_rate).to(bands.dtype)


def _mel_to_hz(mel: Tensor, mel_scale: str) -> Tensor:
    """``bases.mel_to_hz`` of a tensor."""
    if mel_scale != "slaney":
        return 700.0 * torch.expm1(mel / (1127.0 if mel_scale == "kaldi" else 2595.0 / math.log(10.0)))
    above = 1000.0 * torch.exp((mel - 15.0).clamp(min=0.0) * (math.log(6.4) / 27.0))
    return torch.where(mel < 15.0, mel * (200.0 / 3.0), above)
