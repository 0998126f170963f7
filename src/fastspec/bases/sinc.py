"""Taps of a windowed-sinc resampler, in float64."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from .._checks import room


@functools.lru_cache(maxsize=16)
def sinc_taps(orig: int, new: int, width: int, rolloff: float) -> NDArray[np.float64]:
    """Taps [new, n] of the output samples j = 0 .. new - 1 (then they repeat) about input sample floor(j orig / new).

    y(t) = sum_i x[i] c sinc(c (i - t)) cos^2(pi c (i - t) / (2 width)), |c (i - t)| < width, with the cut-off c =
    rolloff min(1, new / orig): J. O. Smith, "Digital audio resampling", with a Hann window. n is odd, the middle tap
    is that of the sample floor(j orig / new) itself.
    """
    cut = rolloff * min(orig, new) / orig
    room("lowpass_filter_width / rolloff", width / rolloff, new * (2 * width / cut + 3))
    reach = math.ceil(width / cut) + 1
    j = np.arange(new)
    after = (j * orig % new) / new  # from the input sample to t
    distance = np.clip(cut * (np.arange(-reach, reach + 1) - after[:, None]), -width, width)
    taps = cut * np.sinc(distance) * np.cos(0.5 * np.pi * distance / width) ** 2
    taps.flags.writeable = False
    return taps
