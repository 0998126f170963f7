"""Combined frequency and periodicity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .. import bases
from .._checks import integer, real
from .._inputs import fold_waveform, unfold
from ..dispatch import check_backend
from ..ops.spectral_power import spectral_power
from ..plan import Ending, FramePlan
from ._layer import Layer


class CombinedFrequencyPeriodicity(Layer):
    """Spectrum and cepstrum, each sharpened in turn, on one logarithmic frequency axis: a pitch that shows in both
    is a fundamental (Su & Yang 2015, "Combining spectral and temporal representations for multipitch estimation").

    nnAudio's arguments, order, defaults and numbers; its backward raises, this one has gradients to any order.

    Args:
        fr: frequency resolution, Hz: the FFT has N = fs / fr points.
        fs: sample rate, Hz.
        hop_length: samples between frames.
        window_size: samples of the Blackman-Harris window, at most N.
        fc: lowest frequency, Hz.
        tc: shortest period, seconds; 1 / tc is the highest frequency.
        g: exponents of the spectrum, the cepstrum, the spectrum of the cepstrum, ...; two or more, each above 0.
        NumPerOct: bands an octave.
        backend: see ``fastspec.functional``.

    Shape: [..., T] to four of [..., K, M], M = T // hop_length - 1 (the first and the last frame are dropped): the
    product of the third and the fourth; the spectrum; the sharpened spectrum; the sharpened cepstrum.
    """

    edges = slice(1, -1)  # the frames that are kept

    def __init__(
        self,
        fr: float = 2,
        fs: float = 16000,
        hop_length: int = 320,
        window_size: int = 2049,
        fc: float = 80,
        tc: float = 1 / 1000,
        g: Sequence[float] = (0.24, 0.6, 1),
        NumPerOct: int = 48,
        *,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        self.n_fft = int(real("fs", fs, 0.0, strict=True) / real("fr", fr, 0.0, strict=True))
        self.plan = FramePlan.make(
            self.n_fft,
            integer("hop_length", hop_length, 1),
            integer("window_size", window_size, 1),
            pad_mode="constant",
        )
        if len(g) < 2:
            raise ValueError(f"g must hold two exponents or more, got {g!r}")
        self.g = tuple(real(f"g[{i}]", exponent, 0.0, strict=True) for i, exponent in enumerate(g))
        self.cutoffs = round(fc / fr), round(fs * tc)  # bins that the spectrum, and the cepstrum, lose at the bottom
        self.backend = check_backend(backend)
        default = torch.get_default_dtype()
        window = bases.get_window("blackmanharris", self.plan.win_length, periodic=False)
        by_frequency, by_period = bases.cfp_matrices(fr, fs, fc, tc, NumPerOct)
        for name, array in (("window", window), ("by_frequency", by_frequency), ("by_period", by_period)):
            self.register_buffer(name, torch.tensor(array, dtype=default), persistent=False)

    window: Tensor
    by_frequency: Tensor
    by_period: Tensor

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[..., T] to four of [..., K, M]."""
        x, compute, result = fold_waveform(waveform, None)
        window = self.window.to(compute)
        magnitude = spectral_power(x, window / window.norm(), None, self.plan, Ending.make(1.0), self.backend)
        magnitude = magnitude[:, :, self.edges]
        layers, cut = [_power(magnitude, self.g[0])], 0
        for i, exponent in enumerate(self.g[1:]):
            layers.append(self._sharpen(_halve(layers[-1], cut), exponent, cut := self.cutoffs[(i + 1) % 2]))
        spectrum, cepstrum = (layers[-1], layers[-2]) if len(layers) % 2 else (layers[-2], layers[-1])
        by_frequency, by_period = self.by_frequency.to(compute), self.by_period.to(compute)
        bands = [_bands(magnitude, by_frequency), _bands(spectrum, by_frequency), _bands(cepstrum, by_period)]
        bands.insert(0, bands[1] * bands[2])
        z, *rest = (unfold(b, waveform.shape[:-1], result) for b in bands)
        return z, rest[0], rest[1], rest[2]

    def _sharpen(self, x: Tensor, exponent: float, cutoff: int) -> Tensor:
        """The cosine transform of an even sequence (its half [B, N/2 + 1, M]), rectified, cut and raised."""
        y = torch.fft.hfft(x, n=self.n_fft, dim=1)[:, : x.shape[1]] / math.sqrt(self.n_fft)
        bins = torch.arange(x.shape[1], device=x.device)
        return _power(torch.relu(y).masked_fill((bins < cutoff)[:, None], 0.0), exponent)


def _halve(x: Tensor, cutoff: int) -> Tensor:
    """nnAudio cuts a whole sequence from 0 to cutoff - 1 and from N - cutoff to its end: bin `cutoff` loses its mirror
    image, and half of it goes on."""
    if not cutoff:
        return x
    bins = torch.arange(x.shape[1], device=x.device)[:, None]
    return torch.where(bins == cutoff, 0.5 * x, x)


def _power(x: Tensor, exponent: float) -> Tensor:
    """x ** exponent for x >= 0, with slope 0 at 0."""
    zero = x <= 0
    return x.masked_fill(zero, 1.0).pow(exponent).masked_fill(zero, 0.0)


def _bands(x: Tensor, matrix: Tensor) -> Tensor:
    return matrix.mT @ x[:, : matrix.shape[0]]


CFP = CombinedFrequencyPeriodicity
"""nnAudio has both names."""
