"""Decibels."""

from __future__ import annotations

import math

from torch import Tensor

from .. import functional as F
from .._inputs import check_top_db
from ._layer import Layer


class AmplitudeToDB(Layer):
    """Decibels of a power or magnitude spectrogram, relative to 1, not below 1e-10.

    Args:
        stype: "power" (default) or "magnitude".
        top_db: limit below the maximum of the last three dimensions (channel, F, M), or None (default).

    Shape: any, the same out. From samples, ``Spectrogram(log="db")`` does both in one pass.
    """

    def __init__(self, stype: str = "power", top_db: float | None = None) -> None:
        super().__init__()
        if stype not in ("power", "magnitude", "amplitude"):
            raise ValueError(f'stype must be "power" or "magnitude", got {stype!r}')
        check_top_db(top_db)
        self.stype = stype
        self.top_db = top_db
        self.multiplier = 10.0 if stype == "power" else 20.0
        self.amin = 1e-10
        self.ref_value = 1.0
        self.db_multiplier = math.log10(max(self.amin, self.ref_value))

    def forward(self, x: Tensor) -> Tensor:
        return F.amplitude_to_DB(x, self.multiplier, self.amin, self.db_multiplier, self.top_db)

    def extra_repr(self) -> str:
        return f"stype={self.stype!r}, top_db={self.top_db}"
