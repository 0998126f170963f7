"""Masks, and changes of speed and pitch, as modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import functional as F
from .._checks import integer, real
from ._constants import WindowFn, window_tensor
from ._layer import Layer


class TimeStretch(Layer):
    """A complex spectrogram played faster or slower at the same pitch, by a phase vocoder.

    Args:
        hop_length: without effect (see ``functional.phase_vocoder``), as n_freq; both are torchaudio's.
        n_freq: number of bins F.
        fixed_rate: speed, where ``forward`` is given none.

    Shape: complex [..., F, M] to [..., F, ceil(M / rate)].
    """

    def __init__(self, hop_length: int | None = None, n_freq: int = 201, fixed_rate: float | None = None) -> None:
        super().__init__()
        self.hop_length = hop_length
        self.n_freq = n_freq
        self.fixed_rate = None if fixed_rate is None else real("fixed_rate", fixed_rate, 0.0, strict=True)

    def forward(self, complex_specgrams: Tensor, overriding_rate: float | None = None) -> Tensor:
        rate = self.fixed_rate if overriding_rate is None else overriding_rate
        if rate is None:
            raise ValueError("overriding_rate must be given where fixed_rate is None")
        return F.phase_vocoder(complex_specgrams, rate)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **more: Any) -> None:
        state_dict.pop(f"{prefix}phase_advance", None)  # torchaudio's buffer
        super()._load_from_state_dict(state_dict, prefix, *args, **more)

    def extra_repr(self) -> str:
        return f"fixed_rate={self.fixed_rate}"


class PitchShift(Layer):
    """The clip at another pitch, as long as before.

    Args:
        sample_rate: in Hz.
        n_steps, bins_per_octave: up by n_steps / bins_per_octave octaves.
        n_fft, win_length, hop_length, window_fn, wkwargs: of the phase vocoder; hop_length defaults to
            win_length // 4.
        backend: see ``fastspec.functional``.

    Shape: [..., T], the same out.

    State dict: ``window``. (torchaudio's has a ``kernel`` too, which its resampler trains by accident.)
    """

    window: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_steps: float,
        bins_per_octave: int = 12,
        n_fft: int = 512,
        win_length: int | None = None,
        hop_length: int | None = None,
        window_fn: WindowFn = torch.hann_window,
        wkwargs: dict[str, Any] | None = None,
        *,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        self.sample_rate = integer("sample_rate", sample_rate, 1)
        self.n_steps = real("n_steps", n_steps)
        self.bins_per_octave = integer("bins_per_octave", bins_per_octave, 1)
        self.n_fft = n_fft
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = self.win_length // 4 if hop_length is None else hop_length
        self.backend = backend
        self.register_buffer("window", window_tensor(window_fn, self.win_length, wkwargs))

    def forward(self, waveform: Tensor) -> Tensor:
        steps = self.n_steps, self.bins_per_octave
        sizes = self.n_fft, self.win_length, self.hop_length
        return F.pitch_shift(waveform, self.sample_rate, *steps, *sizes, self.window, backend=self.backend)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **more: Any) -> None:
        state_dict.pop(f"{prefix}kernel", None)
        super()._load_from_state_dict(state_dict, prefix, *args, **more)


class _AxisMasking(Layer):
    def __init__(
        self, mask_param: int, axis: int, iid_masks: bool, p: float, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.mask_param = integer("mask_param", mask_param, 0)
        self.axis = axis
        self.iid_masks = iid_masks
        if not 0 <= real("p", p) <= 1:
            raise ValueError(f"p must be from 0 to 1, got {p!r}")
        self.p = p
        self.generator = generator

    def forward(self, specgram: Tensor, mask_value: float | Tensor = 0.0) -> Tensor:
        mask = F.mask_along_axis_iid if self.iid_masks else F.mask_along_axis
        return mask(specgram, self.mask_param, mask_value, self.axis, self.p, generator=self.generator)

    def extra_repr(self) -> str:
        return f"{self.mask_param}, iid_masks={self.iid_masks}, p={self.p:g}"


class FrequencyMasking(_AxisMasking):
    """A run of bands masked (SpecAugment).

    Args:
        freq_mask_param: bound on its length.
        iid_masks: a run of its own for every clip and channel.
        generator: draws; on the CPU, with iid_masks on the device of the spectrogram.

    Shape: [..., F, M] and the value to write (default 0), the same out.
    """

    def __init__(
        self, freq_mask_param: int, iid_masks: bool = False, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(freq_mask_param, -2, iid_masks, 1.0, generator)


class TimeMasking(_AxisMasking):
    """A run of frames masked (SpecAugment).

    Args:
        time_mask_param: bound on its length.
        iid_masks: a run of its own for every clip and channel.
        p: largest share of the frames that may be masked.
        generator: draws; on the CPU, with iid_masks on the device of the spectrogram.

    Shape: [..., F, M] and the value to write (default 0), the same out.
    """

    def __init__(
        self,
        time_mask_param: int,
        iid_masks: bool = False,
        p: float = 1.0,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(time_mask_param, -1, iid_masks, p, generator)


class SpecAugment(Layer):
    """Several masks in time, then in frequency (Park et al. 2019).

    Args:
        n_time_masks, time_mask_param, n_freq_masks, freq_mask_param: how many, and the bounds on their lengths.
        iid_masks: masks of its own for every clip and channel (where there are any).
        p: largest share of the axis that one mask may take.
        zero_masking: masks are 0; default: the mean of what comes in.
        generator: draws; on the device of the spectrogram, without iid_masks on the CPU.

    Shape: [..., F, M], the same out.
    """

    def __init__(
        self,
        n_time_masks: int,
        time_mask_param: int,
        n_freq_masks: int,
        freq_mask_param: int,
        iid_masks: bool = True,
        p: float = 1.0,
        zero_masking: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_time_masks = integer("n_time_masks", n_time_masks, 0)
        self.time_mask_param = integer("time_mask_param", time_mask_param, 0)
        self.n_freq_masks = integer("n_freq_masks", n_freq_masks, 0)
        self.freq_mask_param = integer("freq_mask_param", freq_mask_param, 0)
        self.iid_masks = iid_masks
        self.p = p
        self.zero_masking = zero_masking
        self.generator = generator

    def forward(self, specgram: Tensor) -> Tensor:
        value = 0.0 if self.zero_masking else specgram.mean()
        mask = F.mask_along_axis_iid if self.iid_masks and specgram.dim() > 2 else F.mask_along_axis
        masks = [(self.time_mask_param, -1)] * self.n_time_masks + [(self.freq_mask_param, -2)] * self.n_freq_masks
        for param, axis in masks:
            specgram = mask(specgram, param, value, axis, self.p, generator=self.generator)
        return specgram
