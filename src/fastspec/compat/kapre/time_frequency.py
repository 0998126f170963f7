"""``kapre.time_frequency``: the layers."""

from __future__ import annotations

from typing import Any

import keras
import torch
import torch.nn.functional as tnf
from torch import Tensor

from ..._checks import integer, one_of
from ..._forward import transform
from ...ops.inverse import inverse
from ...plan import Ending, FramePlan
from . import backend
from ._bridge import apply

Shape = tuple[int | None, ...]
register = keras.saving.register_keras_serializable(package="Kapre")
_REAL = {"complex64": "float32", "complex128": "float64"}
_BANKS = {"mel": backend.filterbank_mel, "log": backend.filterbank_log}


class _Layer(keras.layers.Layer):
    """What is computed, of torch tensors (`compute`), and what Keras must know before (`result`)."""

    def compute(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def result(self, shape: Shape, dtype: str) -> tuple[Shape, str]:
        """Shape and dtype of the result for an input's."""
        return shape, dtype

    def call(self, x: Any) -> Any:
        return apply(self.compute, x, *self.result(tuple(x.shape), keras.backend.standardize_dtype(x.dtype)))

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        shape, dtype = self.result(tuple(x.shape), x.dtype)
        return keras.KerasTensor(shape, dtype=dtype)


def is_first(data_format: str) -> bool:
    """Whether the channels come before time; "default" is what Keras is set to."""
    backend.validate_data_format_str(data_format)
    found = keras.config.image_data_format() if data_format == "default" else data_format
    return found == "channels_first"


def make_bank(type: str, *arguments: tuple[str, Any]) -> Any:
    """A filterbank [F, K] of Kapre's by its type and named arguments."""
    return _BANKS[type](**dict(arguments))


@register
class STFT(_Layer):
    """Complex spectra: [B, T, C] to [B, M, F, C], or with the channels second.

    Frame m is the samples m hop ... m hop + win_length - 1, its window at the beginning of the n_fft samples that are
    transformed, as by tf.signal.stft.

    Args:
        n_fft: DFT length in samples. win_length: of the window, default n_fft. hop_length: default win_length // 4.
        window_name: of ``tf.signal``: "hann_window" (None), "hamming_window", "kaiser_window",
            "kaiser_bessel_derived_window", "vorbis_window".
        pad_begin: n_fft - hop_length zeros before the signal.
        pad_end: zeros after it, so that a frame begins at every hop_length-th sample.
        input_data_format, output_data_format: "channels_last", "channels_first" or "default", Keras' setting.
    """

    def __init__(
        self,
        n_fft: int = 2048,
        win_length: int | None = None,
        hop_length: int | None = None,
        window_name: str | None = None,
        pad_begin: bool = False,
        pad_end: bool = False,
        input_data_format: str = "default",
        output_data_format: str = "default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.n_fft = integer("n_fft", n_fft, 2)
        self.win_length = self.n_fft if win_length is None else integer("win_length", win_length, 1)
        self.hop_length = self.win_length // 4 if hop_length is None else integer("hop_length", hop_length, 1)
        self.window_name = window_name
        backend.get_window_fn(window_name)  # its errors now
        self.pad_begin, self.pad_end = pad_begin, pad_end
        self.input_data_format, self.output_data_format = input_data_format, output_data_format
        self._input_first, self._output_first = is_first(input_data_format), is_first(output_data_format)
        self._plan = FramePlan.make(self.n_fft, self.hop_length, self.n_fft, center=False)

    def frames(self, length: int) -> tuple[int, int]:
        """M for a signal of this many samples, and the zeros before it."""
        begin = max(0, self.n_fft - self.hop_length) if self.pad_begin else 0
        length += begin
        count = -(-length // self.hop_length) if self.pad_end else (length - self.win_length) // self.hop_length + 1
        if count < 1:
            raise ValueError(
                f"x must hold at least {self.win_length - begin} samples for a frame, got {length - begin}"
            )
        return count, begin

    def compute(self, x: Tensor) -> Tensor:
        return self.spectrum(x)

    def spectrum(self, x: Tensor, ending: Ending | None = None, bank: Tensor | None = None) -> Tensor:
        """The spectrum, or what an ending and a bank [F, K] make of it in the same pass."""
        clips = x if self._input_first else x.mT
        count, begin = self.frames(clips.shape[-1])
        end = (count - 1) * self.hop_length + self.n_fft - begin - clips.shape[-1]
        if begin or end:
            clips = tnf.pad(clips, (begin, end))
        dtype = torch.float64 if x.dtype is torch.float64 else torch.float32
        window = backend.held(backend.analysis_window, (self.window_name, self.win_length, self.n_fft), dtype, x.device)
        y = transform(clips, 0, window, bank, self._plan, ending, False, None, None, None)  # [B, C, F, M]
        return y.mT if self._output_first else y.permute(0, 3, 2, 1)

    def result(self, shape: Shape, dtype: str) -> tuple[Shape, str]:
        if len(shape) != 3:
            raise ValueError(f"x must have shape [B, C, T] or [B, T, C], got {list(shape)}")
        batch, channels, length = shape if self._input_first else (shape[0], shape[2], shape[1])
        count = None if length is None else self.frames(length)[0]
        n_bins = self.n_fft // 2 + 1
        spectrum = (channels, count, n_bins) if self._output_first else (count, n_bins, channels)
        return (batch, *spectrum), "complex128" if dtype == "float64" else "complex64"

    def get_config(self) -> dict[str, Any]:
        names = ("n_fft", "win_length", "hop_length", "window_name", "pad_begin", "pad_end")
        names += ("input_data_format", "output_data_format")
        return super().get_config() | {name: getattr(self, name) for name in names}


@register
class InverseSTFT(_Layer):
    """Samples of complex spectra, as by tf.signal.inverse_stft: [B, M, F, C] to [B, (M - 1) hop + win_length, C].

    Frames are windowed by the forward window divided by the sum of its squares in steps of hop_length, and added up:
    exact inside, not where fewer windows lie, at the ends.

    Args:
        n_fft, win_length, hop_length: of the forward transform. forward_window_name: its window_name.
        input_data_format, output_data_format: as in STFT.
    """

    def __init__(
        self,
        n_fft: int = 2048,
        win_length: int | None = None,
        hop_length: int | None = None,
        forward_window_name: str | None = None,
        input_data_format: str = "default",
        output_data_format: str = "default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.n_fft = integer("n_fft", n_fft, 2)
        self.win_length = self.n_fft if win_length is None else integer("win_length", win_length, 1)
        self.hop_length = self.win_length // 4 if hop_length is None else integer("hop_length", hop_length, 1)
        self.forward_window_name = forward_window_name
        backend.get_window_fn(forward_window_name)  # its errors now
        self.input_data_format, self.output_data_format = input_data_format, output_data_format
        self._input_first, self._output_first = is_first(input_data_format), is_first(output_data_format)
        self._plan = FramePlan.make(self.n_fft, self.hop_length, self.n_fft, center=False, pad_mode="none")

    def compute(self, x: Tensor) -> Tensor:
        y = x.mT if self._input_first else x.permute(0, 3, 2, 1)  # [B, C, F, M]
        batch = y.shape[:2]
        real = y.dtype.to_real()
        arguments = (self.forward_window_name, self.win_length, self.hop_length, self.n_fft)
        window = backend.held(backend.synthesis_window, arguments, real, y.device)
        length = (y.shape[-1] - 1) * self.hop_length + self.win_length
        gain = torch.full((length,), 2.0 / self.n_fft, dtype=real, device=y.device)
        samples = inverse(y.flatten(0, 1), window, gain, self._plan, 0).unflatten(0, batch)
        return samples if self._output_first else samples.mT

    def result(self, shape: Shape, dtype: str) -> tuple[Shape, str]:
        if len(shape) != 4:
            raise ValueError(f"x must have shape [B, C, M, F] or [B, M, F, C], got {list(shape)}")
        channels, count = (shape[1], shape[2]) if self._input_first else (shape[3], shape[1])
        length = None if count is None else (count - 1) * self.hop_length + self.win_length
        samples = (channels, length) if self._output_first else (length, channels)
        return (shape[0], *samples), "float64" if dtype == "complex128" else "float32"

    def get_config(self) -> dict[str, Any]:
        names = ("n_fft", "win_length", "hop_length", "forward_window_name", "input_data_format", "output_data_format")
        return super().get_config() | {name: getattr(self, name) for name in names}


@register
class Magnitude(_Layer):
    """The magnitude of a complex tensor. Its gradient at 0 is 0."""

    def compute(self, x: Tensor) -> Tensor:
        return x.abs()

    def result(self, shape: Shape, dtype: str) -> tuple[Shape, str]:
        return shape, _REAL.get(dtype, dtype)


@register
class Phase(_Layer):
    """The phase of a complex tensor in radians, -pi to pi.

    Args:
        approx_atan_accuracy: kept for Kapre's sake; the phase is exact whatever it is.
    """

    def __init__(self, approx_atan_accuracy: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approx_atan_accuracy = approx_atan_accuracy

    def compute(self, x: Tensor) -> Tensor:
        return x.angle()

    def result(self, shape: Shape, dtype: str) -> tuple[Shape, str]:
        return shape, _REAL.get(dtype, dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"approx_atan_accuracy": self.approx_atan_accuracy}


@register
class MagnitudeToDecibel(_Layer):
    """10 log10 of magnitudes, see ``backend.magnitude_to_decibel``: Kapre's decibels of magnitudes are half the usual.

    Args:
        ref_value: what becomes 0 dB. amin: the smallest value under the logarithm.
        dynamic_range: decibels that a clip keeps below its largest value.
    """

    def __init__(self, ref_value: float = 1.0, amin: float = 1e-5, dynamic_range: float = 80.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        backend.check_decibels(ref_value, amin, dynamic_range)
        self.ref_value = ref_value
        self.amin = amin
        self.dynamic_range = dynamic_range

    def compute(self, x: Tensor) -> Tensor:
        return backend.magnitude_to_decibel(x, self.ref_value, self.amin, self.dynamic_range)

    def get_config(self) -> dict[str, Any]:
        names = ("ref_value", "amin", "dynamic_range")
        return super().get_config() | {name: getattr(self, name) for name in names}


@register
class ApplyFilterbank(_Layer):
    """Bands out of bins: [B, M, F, C] to [B, M, K, C], or with the channels second.

    Args:
        type: "mel" or "log".
        filterbank_kwargs: arguments of ``backend.filterbank_mel`` or ``backend.filterbank_log``.
        data_format: "channels_last", "channels_first" or "default", Keras' setting.
    """

    def __init__(
        self, type: str, filterbank_kwargs: dict[str, Any], data_format: str = "default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if type not in _BANKS:
            raise ValueError(f"type must be 'mel' or 'log', got {type!r}")
        self.type = type
        self.filterbank_kwargs = dict(filterbank_kwargs)
        self.data_format = data_format
        self._first = is_first(data_format)
        self._arguments = (type, *self.filterbank_kwargs.items())
        self._n_bands = make_bank(*self._arguments).shape[1]  # its errors now

    def bank(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """[F, K]."""
        return backend.held(make_bank, self._arguments, dtype, device)

    def compute(self, x: Tensor) -> Tensor:
        bank = self.bank(x.dtype, x.device)
        return x @ bank if self._first else (x.mT @ bank).mT

    def result(self, shape: Shape, dtype: str) -> tuple[Shape, str]:
        axis = 3 if self._first else 2
        return (*shape[:axis], self._n_bands, *shape[axis + 1 :]), dtype

    def get_config(self) -> dict[str, Any]:
        names = ("type", "filterbank_kwargs", "data_format")
        return super().get_config() | {name: getattr(self, name) for name in names}


@register
class Delta(_Layer):
    """The slope over time of spectrograms, least squares over win_length frames; the shape stays.

    Args:
        win_length: frames, odd, from 3 on.
        mode: what lies beyond the ends: "symmetric" (the last frame twice), "reflect" or "constant" (zeros).
        data_format: "channels_last", "channels_first" or "default", Keras' setting.
    """

    def __init__(
        self, win_length: int = 5, mode: str = "symmetric", data_format: str = "default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.win_length = integer("win_length", win_length, 3)
        if self.win_length % 2 == 0:
            raise ValueError(f"win_length must be odd, got {win_length}")
        self.mode = mode
        self._mode = one_of("mode", mode.lower(), ("symmetric", "reflect", "constant"))
        self.data_format = data_format
        self._axis = 2 if is_first(data_format) else 1

    def compute(self, x: Tensor) -> Tensor:
        n, length = self.win_length // 2, x.shape[self._axis]
        x = x.movedim(self._axis, -1)
        if self._mode == "constant":
            x = tnf.pad(x, (n, n))
        else:
            edge = int(self._mode == "reflect")
            if length < n + edge:
                raise ValueError(f"x must hold at least {n + edge} frames for win_length = {2 * n + 1}, got {length}")
            x = torch.cat([x[..., edge : n + edge].flip(-1), x, x[..., length - n - edge : length - edge].flip(-1)], -1)
        parts = [k * (x[..., n + k : n + k + length] - x[..., n - k : n - k + length]) for k in range(1, n + 1)]
        return (torch.stack(parts).sum(0) / (2 * sum(k * k for k in range(1, n + 1)))).movedim(-1, self._axis)

    def get_config(self) -> dict[str, Any]:
        names = ("win_length", "mode", "data_format")
        return super().get_config() | {name: getattr(self, name) for name in names}


@register
class ConcatenateFrequencyMap(_Layer):
    """One more channel, the last: 0 at the lowest bin to 1 at the highest."""

    def __init__(self, data_format: str = "default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format
        self._first = is_first(data_format)

    def compute(self, x: Tensor) -> Tensor:
        ramp = torch.linspace(0.0, 1.0, x.shape[3 if self._first else 2], dtype=x.dtype, device=x.device)
        if self._first:
            return torch.cat([x, ramp.expand(x.shape[0], 1, x.shape[2], -1)], 1)
        return torch.cat([x, ramp[:, None].expand(x.shape[0], x.shape[1], -1, 1)], 3)

    def result(self, shape: Shape, dtype: str) -> tuple[Shape, str]:
        axis = 1 if self._first else 3
        channels = shape[axis]
        return (*shape[:axis], None if channels is None else channels + 1, *shape[axis + 1 :]), dtype

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"data_format": self.data_format}
