"""nnAudio's combined frequency and periodicity."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from ....transforms import CombinedFrequencyPeriodicity

__all__ = ["CFP", "Combined_Frequency_Periodicity"]


class Combined_Frequency_Periodicity(CombinedFrequencyPeriodicity):
    """``fastspec.transforms.CombinedFrequencyPeriodicity``, which loads nnAudio's state dicts."""

    def __init__(
        self,
        fr: float = 2,
        fs: float = 16000,
        hop_length: int = 320,
        window_size: int = 2049,
        fc: float = 80,
        tc: float = 1 / 1000,
        g: Any = (0.24, 0.6, 1),
        NumPerOct: int = 48,
    ) -> None:
        super().__init__(fr, fs, hop_length, window_size, fc, tc, g, NumPerOct)
        self.window_size, self.hop_length, self.N = window_size, hop_length, self.n_fft
        self.pad_value, self.NumofLayer = self.N - window_size, len(g)
        self.fc_idx, self.tc_idx = self.cutoffs
        self.HighFreqIdx, self.HighQuefIdx = round(1 / tc / fr) + 1, round(fs / fc) + 1
        self.f = fs * np.linspace(0, 0.5, round(self.N / 2))[: self.HighFreqIdx]
        self.q = np.arange(self.HighQuefIdx) / float(fs)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **more: Any) -> None:
        for name in ("h", "freq2logfreq_matrix", "quef2logfreq_matrix"):
            state_dict.pop(prefix + name, None)
        super()._load_from_state_dict(state_dict, prefix, *args, **more)


class CFP(Combined_Frequency_Periodicity):
    """The product Z alone, of every frame."""

    edges = slice(None)

    def forward(self, waveform: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(waveform)[0]
