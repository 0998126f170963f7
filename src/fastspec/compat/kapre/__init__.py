"""Kapre's layers for Keras 3: ``import fastspec.compat.kapre as kapre``.

Arguments, defaults, shapes, configurations and registered names ("Kapre>STFT") are those of Kapre 0.4: models that it
saved load here. Keras' backend may be torch, where the layers are PyTorch and everything is differentiable, or
TensorFlow, where each layer is a ``tf.numpy_function`` with its gradient: on the CPU, the first derivative.
"""

from . import backend, composed, time_frequency
from .composed import (
    get_frequency_aware_conv2d,
    get_log_frequency_spectrogram_layer,
    get_melspectrogram_layer,
    get_perfectly_reconstructing_stft_istft,
    get_stft_mag_phase,
    get_stft_magnitude_layer,
)
from .time_frequency import (
    STFT,
    ApplyFilterbank,
    ConcatenateFrequencyMap,
    Delta,
    InverseSTFT,
    Magnitude,
    MagnitudeToDecibel,
    Phase,
)

__all__ = [
    "STFT",
    "ApplyFilterbank",
    "ConcatenateFrequencyMap",
    "Delta",
    "InverseSTFT",
    "Magnitude",
    "MagnitudeToDecibel",
    "Phase",
    "backend",
    "composed",
    "get_frequency_aware_conv2d",
    "get_log_frequency_spectrogram_layer",
    "get_melspectrogram_layer",
    "get_perfectly_reconstructing_stft_istft",
    "get_stft_mag_phase",
    "get_stft_magnitude_layer",
    "time_frequency",
]
