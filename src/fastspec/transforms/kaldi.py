"""Kaldi's features as modules."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from .. import bases, kaldi
from .._inputs import check_dtype
from ..dispatch import check_backend
from ..plan import FramePlan
from ._constants import Trainable, hold, trainable_names
from ._layer import Layer

_GIVEN = ("waveform", "window", "filterbank", "generator", "backend", "dtype")


class _Kaldi(Layer):
    """A function of ``fastspec.kaldi`` with its options, window and filterbank."""

    window: Tensor
    function: Callable[..., Tensor]
    constants: tuple[str, ...] = ("window", "filterbank")

    def __init__(
        self,
        *,
        trainable: Trainable = (),
        generator: torch.Generator | None = None,
        backend: str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        defaults = {k: p.default for k, p in signature(self.function).parameters.items() if k not in _GIVEN}
        if unknown := sorted(options.keys() - defaults.keys()):
            raise ValueError(f"{unknown[0]}={options[unknown[0]]!r}: expected some of {', '.join(defaults)}")
        check_backend(backend)
        if dtype is not None:
            check_dtype(dtype)
        self.given = options
        self.options = defaults | options
        self.generator = generator
        self.backend = backend
        self.dtype = dtype
        names = trainable_names(trainable, self.constants)
        window = bases.kaldi_window(self.options["window_type"], self.plan.win_length, self.options["blackman_coeff"])
        hold(self, "window", torch.tensor(window, dtype=torch.get_default_dtype()), "window" in names)
        if "filterbank" in self.constants:
            sizes = "low_freq", "high_freq", "vtln_low", "vtln_high", "vtln_warp"
            bank = bases.kaldi_filterbank(
                self.options["num_mel_bins"],
                self.plan.n_fft,
                self.options["sample_frequency"],
                *(self.options[name] for name in sizes),
            )
            hold(self, "fb", torch.tensor(bank, dtype=torch.get_default_dtype()), "filterbank" in names)

    @property
    def plan(self) -> FramePlan:
        """The frames and bins, for ``fastspec.explain``."""
        names = "sample_frequency", "frame_length", "frame_shift", "round_to_power_of_two", "remove_dc_offset"
        return kaldi.frame_plan(*(self.options[name] for name in (*names, "preemphasis_coefficient")))

    def forward(self, waveform: Tensor) -> Tensor:
        held = {"window": self.window} | ({"filterbank": self.fb} if "filterbank" in self.constants else {})
        rest = {"generator": self.generator, "backend": self.backend, "dtype": self.dtype}
        return type(self).function(waveform, **self.options, **held, **rest)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.given.items())


class KaldiSpectrogram(_Kaldi):
    """Kaldi's log power spectrogram.

    Args:
        options: arguments of ``fastspec.kaldi.spectrogram``, by name, with its defaults.
        trainable: "window" makes the window a parameter.
        generator, backend, dtype: see ``fastspec.kaldi``.

    Shape: [..., T] to [..., M, F].

    State dict: ``window``.

    Raises:
        ValueError: an option is unknown or refused.
    """

    function = staticmethod(kaldi.spectrogram)
    constants = ("window",)


class KaldiFbank(_Kaldi):
    """Kaldi's mel bands, from samples to their logarithms in one pass.

    Args:
        options: arguments of ``fastspec.kaldi.fbank``, by name, with its defaults.
        trainable: "window", "filterbank" or both become parameters.
        generator, backend, dtype: see ``fastspec.kaldi``.

    Shape: [..., T] to [..., M, K] (K + 1 with ``use_energy``).

    State dict: ``window``, ``fb`` [F, K].

    Raises:
        ValueError: an option is unknown or refused.
    """

    fb: Tensor
    function = staticmethod(kaldi.fbank)


class KaldiMFCC(_Kaldi):
    """Kaldi's cepstral coefficients.

    Args:
        options: arguments of ``fastspec.kaldi.mfcc``, by name, with its defaults.
        trainable: "window", "filterbank" or both become parameters.
        generator, backend, dtype: see ``fastspec.kaldi``.

    Shape: [..., T] to [..., M, num_ceps].

    State dict: ``window``, ``fb`` [F, K].

    Raises:
        ValueError: an option is unknown or refused.
    """

    fb: Tensor
    function = staticmethod(kaldi.mfcc)
