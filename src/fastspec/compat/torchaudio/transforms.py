"""``torchaudio.transforms``: the spectral ones."""

from ...transforms import (
    LFCC,
    MFCC,
    AmplitudeToDB,
    ComputeDeltas,
    FrequencyMasking,
    GriffinLim,
    InverseMelScale,
    InverseSpectrogram,
    MelScale,
    MelSpectrogram,
    PitchShift,
    SpecAugment,
    SpectralCentroid,
    Spectrogram,
    TimeMasking,
    TimeStretch,
)

__all__ = [
    "LFCC",
    "MFCC",
    "AmplitudeToDB",
    "ComputeDeltas",
    "FrequencyMasking",
    "GriffinLim",
    "InverseMelScale",
    "InverseSpectrogram",
    "MelScale",
    "MelSpectrogram",
    "PitchShift",
    "SpecAugment",
    "SpectralCentroid",
    "Spectrogram",
    "TimeMasking",
    "TimeStretch",
]
