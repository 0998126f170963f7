"""audioFlux: its C library, a clip at a time; its frames begin at the first sample, so clips are padded outside."""

from __future__ import annotations

import audioflux
import numpy as np

from bench.peers._numpy import clip_by_clip, forward, from_numpy, set_threads, to_numpy  # noqa: F401


def spectrum(s):
    made = audioflux.STFT(
        radix2_exp=s["n_fft"].bit_length() - 1,
        slide_length=s["hop_length"],
        window_type=audioflux.type.WindowType.HANN,
    )
    half, bins = s["n_fft"] // 2, s["n_fft"] // 2 + 1
    return clip_by_clip(lambda clip: made.stft(np.pad(clip, half, mode="reflect"))[:bins])


def magnitude(s):
    stft = spectrum(s)
    return lambda x: np.abs(stft(x))
