"""kaldi-native-fbank: Kaldi's C++ on its own, a clip at a time, its frames handed out one by one."""

from __future__ import annotations

import kaldi_native_fbank as knf
import numpy as np

from bench.peers._numpy import clip_by_clip, forward, from_numpy, set_threads, to_numpy  # noqa: F401


def fbank(s):
    options = knf.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.samp_freq = s["sample_rate"]
    options.mel_opts.num_bins = s["n_mels"]
    options.energy_floor = 1.0

    def one(clip: np.ndarray) -> np.ndarray:
        computer = knf.OnlineFbank(options)
        computer.accept_waveform(s["sample_rate"], clip)
        return np.stack([computer.get_frame(m) for m in range(computer.num_frames_ready)])

    return clip_by_clip(one)
