"""``kapre.composed``: layers put together. Samples to magnitudes, bands and decibels is one kernel then."""

from __future__ import annotations

from typing import Any

import keras
import torch
from torch import Tensor

from ...plan import Ending
from . import backend
from ._bridge import apply
from .time_frequency import (
    STFT,
    ApplyFilterbank,
    ConcatenateFrequencyMap,
    InverseSTFT,
    Magnitude,
    MagnitudeToDecibel,
    Phase,
    is_first,
)


@keras.saving.register_keras_serializable(package="fastspec")
class FrontEnd(keras.Sequential):
    """STFT, Magnitude and, where wanted, ApplyFilterbank and MagnitudeToDecibel, in one pass over the samples.

    ``layers`` are Kapre's, to be added to other models one by one; the numbers are the same.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        if isinstance(inputs, keras.KerasTensor):
            return super().call(inputs, training, mask, **kwargs)
        shape, dtype = tuple(inputs.shape), keras.backend.standardize_dtype(inputs.dtype)
        for layer in self.layers:
            shape, dtype = layer.result(shape, dtype)
        return apply(self._compute, inputs, shape, dtype)

    def _compute(self, x: Tensor) -> Tensor:
        stft, bank, ending, decibels = self.layers[0], None, Ending.make(1.0), None
        for layer in self.layers[2:]:
            if isinstance(layer, ApplyFilterbank):
                bank = layer.bank(torch.float64 if x.dtype is torch.float64 else torch.float32, x.device)
            else:
                decibels = layer
                ending = Ending.make(1.0, log="db", floor=layer.amin, multiplier=10.0)
        u = stft.spectrum(x, ending, bank)
        if decibels is None:
            return u
        return backend.relative_decibels(u, decibels.ref_value, decibels.amin, decibels.dynamic_range)


def get_stft_magnitude_layer(
    input_shape: tuple[int | None, ...] | None = None,
    n_fft: int = 2048,
    win_length: int | None = None,
    hop_length: int | None = None,
    window_name: str | None = None,
    pad_begin: bool = False,
    pad_end: bool = False,
    return_decibel: bool = False,
    db_amin: float = 1e-5,
    db_ref_value: float = 1.0,
    db_dynamic_range: float = 80.0,
    input_data_format: str = "default",
    output_data_format: str = "default",
    name: str = "stft_magnitude",
) -> FrontEnd:
    """STFT, Magnitude and, with return_decibel, MagnitudeToDecibel; arguments as theirs."""
    stft = STFT(n_fft, win_length, hop_length, window_name, pad_begin, pad_end, input_data_format, output_data_format)
    return _front_end(input_shape, stft, [], return_decibel, db_ref_value, db_amin, db_dynamic_range, name)


def get_melspectrogram_layer(
    input_shape: tuple[int | None, ...] | None = None,
    n_fft: int = 2048,
    win_length: int | None = None,
    hop_length: int | None = None,
    window_name: str | None = None,
    pad_begin: bool = False,
    pad_end: bool = False,
    sample_rate: float = 22050,
    n_mels: int = 128,
    mel_f_min: float = 0.0,
    mel_f_max: float | None = None,
    mel_htk: bool = False,
    mel_norm: str | None = "slaney",
    return_decibel: bool = False,
    db_amin: float = 1e-5,
    db_ref_value: float = 1.0,
    db_dynamic_range: float = 80.0,
    input_data_format: str = "default",
    output_data_format: str = "default",
    name: str = "melspectrogram",
) -> FrontEnd:
    """STFT, Magnitude, mel bands of magnitudes and, with return_decibel, MagnitudeToDecibel; arguments as theirs."""
    stft = STFT(n_fft, win_length, hop_length, window_name, pad_begin, pad_end, input_data_format, output_data_format)
    bank = {"sample_rate": sample_rate, "n_freq": n_fft // 2 + 1, "n_mels": n_mels, "f_min": mel_f_min}
    bank |= {"f_max": mel_f_max, "htk": mel_htk, "norm": mel_norm}
    bands = ApplyFilterbank("mel", bank, output_data_format)
    return _front_end(input_shape, stft, [bands], return_decibel, db_ref_value, db_amin, db_dynamic_range, name)


def get_log_frequency_spectrogram_layer(
    input_shape: tuple[int | None, ...] | None = None,
    n_fft: int = 2048,
    win_length: int | None = None,
    hop_length: int | None = None,
    window_name: str | None = None,
    pad_begin: bool = False,
    pad_end: bool = False,
    sample_rate: float = 22050,
    log_n_bins: int = 84,
    log_f_min: float | None = None,
    log_bins_per_octave: int = 12,
    log_spread: float = 0.125,
    return_decibel: bool = False,
    db_amin: float = 1e-5,
    db_ref_value: float = 1.0,
    db_dynamic_range: float = 80.0,
    input_data_format: str = "default",
    output_data_format: str = "default",
    name: str = "log_frequency_spectrogram",
) -> FrontEnd:
    """STFT, Magnitude, log-frequency bands and, with return_decibel, MagnitudeToDecibel; arguments as theirs."""
    stft = STFT(n_fft, win_length, hop_length, window_name, pad_begin, pad_end, input_data_format, output_data_format)
    bank = {"sample_rate": sample_rate, "n_freq": n_fft // 2 + 1, "n_bins": log_n_bins}
    bank |= {"bins_per_octave": log_bins_per_octave, "f_min": log_f_min, "spread": log_spread}
    bands = ApplyFilterbank("log", bank, output_data_format)
    return _front_end(input_shape, stft, [bands], return_decibel, db_ref_value, db_amin, db_dynamic_range, name)


def get_perfectly_reconstructing_stft_istft(
    n_fft: int,
    hop_length: int,
    waveform_data_format: str,
    stft_data_format: str,
    stft_name: str | None = None,
    istft_name: str | None = None,
) -> tuple[STFT, InverseSTFT]:
    """An STFT padded at both ends, and its inverse: sample t comes back as sample t + n_fft - hop_length."""
    stft = STFT(
        n_fft, n_fft, hop_length, "hann_window", True, True, waveform_data_format, stft_data_format, name=stft_name
    )
    istft = InverseSTFT(
        n_fft, n_fft, hop_length, "hann_window", stft_data_format, waveform_data_format, name=istft_name
    )
    return stft, istft


def get_stft_mag_phase(
    input_shape: tuple[int | None, ...],
    n_fft: int = 2048,
    win_length: int | None = None,
    hop_length: int | None = None,
    window_name: str | None = None,
    pad_begin: bool = False,
    pad_end: bool = False,
    return_decibel: bool = False,
    db_amin: float = 1e-5,
    db_ref_value: float = 1.0,
    db_dynamic_range: float = 80.0,
    input_data_format: str = "default",
    output_data_format: str = "default",
    name: str = "stft_mag_phase",
) -> keras.Model:
    """Magnitudes (in decibels with return_decibel) and phases as channels, magnitudes first."""
    stft = STFT(n_fft, win_length, hop_length, window_name, pad_begin, pad_end, input_data_format, output_data_format)
    waveforms = keras.Input(shape=input_shape)
    spectra = stft(waveforms)
    magnitudes, phases = Magnitude()(spectra), Phase()(spectra)
    if return_decibel:
        magnitudes = MagnitudeToDecibel(db_ref_value, db_amin, db_dynamic_range)(magnitudes)
    both = keras.layers.Concatenate(axis=1 if is_first(output_data_format) else 3)([magnitudes, phases])
    return keras.Model(inputs=waveforms, outputs=both, name=name)


def get_frequency_aware_conv2d(
    data_format: str = "default", freq_aware_name: str = "frequency_aware_conv2d", *args: Any, **kwargs: Any
) -> keras.Sequential:
    """ConcatenateFrequencyMap and keras.layers.Conv2D(*args, **kwargs), without groups."""
    if kwargs.get("groups", 1) > 1 or (len(args) > 6 and args[6] > 1):
        raise ValueError("groups must be 1: only the last group would see the frequencies")
    if data_format != "default":
        kwargs["data_format"] = data_format
    layers = [ConcatenateFrequencyMap(data_format), keras.layers.Conv2D(*args, **kwargs)]
    return keras.Sequential(layers, name=freq_aware_name)


def _front_end(
    input_shape: tuple[int | None, ...] | None,
    stft: STFT,
    bands: list[ApplyFilterbank],
    return_decibel: bool,
    ref_value: float,
    amin: float,
    dynamic_range: float,
    name: str,
) -> FrontEnd:
    given = [] if input_shape is None else [keras.Input(shape=input_shape)]
    decibels = [MagnitudeToDecibel(ref_value, amin, dynamic_range)] if return_decibel else []
    return FrontEnd([*given, stft, Magnitude(), *bands, *decibels], name=name)
