"""``torchaudio.functional``: the spectral ones."""

import torch
from torch import Tensor

from ...functional import (
    amplitude_to_DB,
    compute_deltas,
    create_dct,
    griffinlim,
    inverse_spectrogram,
    linear_fbanks,
    mask_along_axis,
    mask_along_axis_iid,
    melscale_fbanks,
    phase_vocoder,
    pitch_shift,
    spectral_centroid,
    spectrogram,
)

__all__ = [
    "DB_to_amplitude",
    "amplitude_to_DB",
    "compute_deltas",
    "create_dct",
    "griffinlim",
    "inverse_spectrogram",
    "linear_fbanks",
    "mask_along_axis",
    "mask_along_axis_iid",
    "melscale_fbanks",
    "phase_vocoder",
    "pitch_shift",
    "spectral_centroid",
    "spectrogram",
]


def DB_to_amplitude(x: Tensor, ref: float, power: float) -> Tensor:
    """ref 10^(x power / 10) of decibels x of any shape: power 1 for power, 0.5 for magnitude."""
    return ref * torch.pow(torch.pow(10.0, 0.1 * x), power)
