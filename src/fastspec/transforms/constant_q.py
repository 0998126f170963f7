"""Constant-Q and variable-Q transforms as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._checks import flag, integer, one_of
from .._inputs import check_dtype, compute_dtype, fold_waveform, unfold
from ..augment import resample
from ..bases.cqt import Window
from ..constant_q import OUTPUT_FORMATS, apply_layout, icqt, layout_tensors, make_layout
from ..dispatch import check_backend
from ..plan import PAD_MODES
from ._layer import Layer


class VQT(Layer):
    """Variable-Q transform.

    Args:
        trainable: the kernels become parameters ``basis_0`` (the top bins) and so on: packed taps [2, S], real over
            imaginary parts.
        others: see ``fastspec.constant_q``.

    Shape: [..., T] to [..., K, M], M = T // hop_length + 1 when centred.

    State dict: empty, unless trainable.
    """

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int = 84,
        filter_scale: float = 1,
        bins_per_octave: int = 12,
        norm: float | None = 1,
        gamma: float | None = 0.0,
        window: Window = "hann",
        pad_mode: str = "reflect",
        trainable: bool = False,
        output_format: str = "Magnitude",
        normalization_type: str = "librosa",
        *,
        center: bool = True,
        algorithm: str = "recursive",
        convention: str = "nnaudio",
        tuning: float = 0.0,
        backend: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.layout = make_layout(
            sr,
            hop_length,
            fmin,
            fmax,
            n_bins,
            bins_per_octave,
            filter_scale,
            norm,
            window,
            gamma,
            tuning,
            convention,
            algorithm,
            normalization_type,
        )
        self.hop_length = hop_length
        self.center = flag("center", center)
        self.pad_mode = one_of("pad_mode", pad_mode, PAD_MODES[:-1])
        self.output_format = one_of("output_format", output_format, OUTPUT_FORMATS)
        self.trainable = flag("trainable", trainable)
        self.backend = check_backend(backend)
        self.dtype = None if dtype is None else check_dtype(dtype)
        bases, halfband = layout_tensors(self.layout, torch.get_default_dtype(), torch.get_default_device())
        self.register_buffer("halfband", halfband, persistent=False)
        for i, basis in enumerate(bases):
            if self.trainable:
                self.register_parameter(f"basis_{i}", nn.Parameter(basis))
            else:
                self.register_buffer(f"basis_{i}", basis, persistent=False)

    halfband: Tensor

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> VQT:
        """Moves the layer; fixed kernels are made anew, in full precision."""
        super()._apply(fn, recurse)
        if not self.trainable:
            dtype = compute_dtype(self.halfband.dtype)
            bases, self.halfband = layout_tensors(self.layout, dtype, self.halfband.device)
            for i, basis in enumerate(bases):
                setattr(self, f"basis_{i}", basis)
        return self

    @property
    def frequencies(self) -> Tensor:
        """Hz of each bin, float64 [K]."""
        return torch.tensor(self.layout.spec.frequencies)

    @property
    def n_bins(self) -> int:
        """K."""
        return self.layout.spec.n_bins

    def forward(self, waveform: Tensor) -> Tensor:
        """[..., T] to [..., K, M]."""
        x, compute, result = fold_waveform(waveform, self.dtype)
        bases = tuple(getattr(self, f"basis_{i}").to(compute) for i in range(len(self.layout.parts)))
        halfband = self.halfband.to(compute)
        y = apply_layout(x, self.layout, bases, halfband, self.center, self.pad_mode, self.output_format, self.backend)
        return unfold(y, waveform.shape[:-1], result)

    def extra_repr(self) -> str:
        spec = self.layout.spec
        return (
            f"sr={spec.sample_rate:g}, hop_length={self.hop_length}, fmin={spec.fmin:g}, n_bins={spec.n_bins}, "
            f"bins_per_octave={spec.bins_per_octave}, gamma={spec.gamma}, {self.layout.algorithm}"
        )


class CQT(VQT):
    """Constant-Q transform: nnAudio's CQT (CQT1992v2) and CQT2010v2, by algorithm="direct" and "recursive".

    Arguments, shape and state dict: see ``VQT`` and ``fastspec.constant_q``.
    """

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        filter_scale: float = 1,
        norm: float | None = 1,
        window: Window = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        trainable: bool = False,
        output_format: str = "Magnitude",
        normalization_type: str = "librosa",
        *,
        algorithm: str = "recursive",
        convention: str = "nnaudio",
        tuning: float = 0.0,
        backend: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            sr,
            hop_length,
            fmin,
            fmax,
            n_bins,
            filter_scale,
            bins_per_octave,
            norm,
            0.0,
            window,
            pad_mode,
            trainable,
            output_format,
            normalization_type,
            center=center,
            algorithm=algorithm,
            convention=convention,
            tuning=tuning,
            backend=backend,
            dtype=dtype,
        )


class DiscriminatorCQT(Layer):
    """The front ends of the multi-scale sub-band CQT discriminator of vocoders (Gu et al. 2024), in one call.

    Args:
        sample_rate: of the waveform, Hz; the transforms run at twice that.
        hop_lengths, bins_per_octave: of each front end, at twice the rate.
        n_octaves: octaves from 32.7 Hz up.
        others: see ``fastspec.constant_q``.

    Shape: [..., T] to a list of complex [..., n_octaves * bins_per_octave[i], M_i].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """

    def __init__(
        self,
        sample_rate: int = 24000,
        hop_lengths: Sequence[int] = (512, 256, 256),
        n_octaves: int = 9,
        bins_per_octave: Sequence[int] = (24, 36, 48),
        *,
        algorithm: str = "recursive",
        backend: str | None = None,
    ) -> None:
        super().__init__()
        if len(hop_lengths) != len(bins_per_octave):
            raise ValueError(
                f"hop_lengths, bins_per_octave must be equally many, got {len(hop_lengths)} and {len(bins_per_octave)}"
            )
        self.sample_rate = integer("sample_rate", sample_rate, 1)
        self.front_ends = nn.ModuleList(
            CQT(
                2 * sample_rate,
                hop,
                n_bins=n_octaves * bins,
                bins_per_octave=bins,
                pad_mode="constant",
                output_format="Complex",
                algorithm=algorithm,
                backend=backend,
            )
            for hop, bins in zip(hop_lengths, bins_per_octave, strict=True)
        )

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """[..., T] to a list of complex [..., K, M]."""
        doubled = resample(waveform, self.sample_rate, 2 * self.sample_rate)
        return [front_end(doubled) for front_end in self.front_ends]


class ICQT(Layer):
    """Samples of a constant-Q spectrum, by least squares: ``fastspec.constant_q.icqt`` as a layer.

    Arguments: those of the ``CQT`` that made the spectrum, and n_iter, the steps of the conjugate gradients.

    Shape: complex [..., K, M] to [..., T], T = (M - 1) * hop_length, or ``length``.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        filter_scale: float = 1,
        norm: float | None = 1,
        window: Window = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        normalization_type: str = "librosa",
        n_iter: int = 10,
        **extras: Any,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "sr": sr,
            "hop_length": hop_length,
            "fmin": fmin,
            "fmax": fmax,
            "n_bins": n_bins,
            "bins_per_octave": bins_per_octave,
            "filter_scale": filter_scale,
            "norm": norm,
            "window": window,
            "center": center,
            "pad_mode": pad_mode,
            "normalization_type": normalization_type,
            "n_iter": n_iter,
            **extras,
        }

    def forward(self, spectrum: Tensor, length: int | None = None) -> Tensor:
        """Complex [..., K, M] to samples [..., length]."""
        return icqt(spectrum, length=length, **self.arguments)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={self.arguments[name]}" for name in ("sr", "hop_length", "fmin", "n_bins", "n_iter"))
