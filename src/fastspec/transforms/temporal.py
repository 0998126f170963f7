"""What runs along the frames: deltas, and per-channel energy normalisation with trained constants."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import functional as F
from .._checks import integer, one_of, real
from ..temporal import smoothing
from ._constants import Trainable, trainable_names
from ._layer import Layer


class ComputeDeltas(Layer):
    """Slopes along the frames.

    Args:
        win_length: frames, at least 3.
        mode: what stands beyond the ends: "replicate", "reflect", "constant", "circular".

    Shape: [..., M], the same out.
    """

    def __init__(self, win_length: int = 5, mode: str = "replicate") -> None:
        super().__init__()
        self.win_length = integer("win_length", win_length, 3)
        self.mode = one_of("mode", mode, ("replicate", "reflect", "constant", "circular"))

    def forward(self, specgram: Tensor) -> Tensor:
        return F.compute_deltas(specgram, self.win_length, self.mode)

    def extra_repr(self) -> str:
        return f"win_length={self.win_length}, mode={self.mode!r}"


class PCEN(Layer):
    """Per-channel energy normalisation with constants that may be trained, one a band (Wang et al. 2017, section 3).

    Args:
        n_bands: bands K; needed where something is trained.
        sample_rate, hop_length, gain, bias, power, time_constant, eps, b, max_size, initial: see
            ``functional.pcen``; the defaults are librosa's. What is trained starts from them, above 0 (b below 1).
        trainable: "gain", "bias", "power", "b". They are kept positive by training their logarithms, as in the
            paper; of b the logit.

    Shape: energies [..., K, M], the same out.

    State dict: ``log_gain``, ``log_bias``, ``log_power``, ``logit_b`` [K], of those trained.
    """

    def __init__(
        self,
        n_bands: int | None = None,
        sample_rate: float = 22050,
        hop_length: int = 512,
        gain: float = 0.98,
        bias: float = 2.0,
        power: float = 0.5,
        time_constant: float = 0.4,
        eps: float = 1e-6,
        b: float | None = None,
        max_size: int = 1,
        *,
        initial: float | None = 1.0,
        trainable: Trainable = (),
    ) -> None:
        super().__init__()
        b = smoothing(sample_rate, hop_length, time_constant) if b is None else b
        self.eps = real("eps", eps, 0.0, strict=True)
        self.max_size = integer("max_size", max_size, 1)
        self.initial = initial
        self.constants = {"gain": gain, "bias": bias, "power": power, "b": b}
        names = trainable_names(trainable, tuple(self.constants))
        for name in sorted(names):
            start = real(name, self.constants[name], 0.0, strict=True)
            if n_bands is None:
                raise ValueError("n_bands must be given where something is trained, got None")
            value = torch.full((integer("n_bands", n_bands, 1),), start, dtype=torch.float64)
            if name == "b" and not start < 1:
                raise ValueError(f"b must be below 1 to be trained, got {b!r}")
            value = value.logit() if name == "b" else value.log()
            parameter = nn.Parameter(value.to(torch.get_default_dtype()))
            self.register_parameter("logit_b" if name == "b" else f"log_{name}", parameter)
        self.trained = names

    def forward(self, specgram: Tensor) -> Tensor:
        gain, bias, power = (self._now(name) for name in ("gain", "bias", "power"))
        rest = {"b": self._now("b"), "max_size": self.max_size, "initial": self.initial}
        return F.pcen(specgram, gain=gain, bias=bias, power=power, eps=self.eps, **rest)

    def _now(self, name: str) -> float | Tensor:
        if name not in self.trained:
            return self.constants[name]
        return torch.sigmoid(self.get_parameter("logit_b")) if name == "b" else self.get_parameter(f"log_{name}").exp()

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value:g}" for name, value in self.constants.items()) + f", eps={self.eps:g}"
