"""torchaudio's transforms."""

from __future__ import annotations

import torch

from bench.peers import import_torchaudio
from bench.peers._torch import both, forward, from_numpy, set_threads, to_numpy  # noqa: F401

torchaudio = import_torchaudio()
T = torchaudio.transforms


def magnitude(s):
    return T.Spectrogram(s["n_fft"], hop_length=s["hop_length"], power=1.0)


def spectrum(s):
    return T.Spectrogram(s["n_fft"], hop_length=s["hop_length"], power=None)


def istft(s):
    return T.InverseSpectrogram(s["n_fft"], hop_length=s["hop_length"])


def _bands(s):
    same = {key: s[key] for key in ("n_fft", "hop_length", "n_mels", "f_max")}
    return {"norm": "slaney", "mel_scale": "slaney", **same}


def mel(s):
    return T.MelSpectrogram(s["sample_rate"], **_bands(s))


def log_mel(s):
    bands = mel(s)
    return lambda x: bands(x).clamp(min=1e-10).log10()


def mfcc(s):
    return T.MFCC(s["sample_rate"], s["n_mfcc"], melkwargs=_bands(s))


def fbank(s):
    """It takes one clip at a time."""
    one = {"num_mel_bins": s["n_mels"], "sample_frequency": float(s["sample_rate"])}
    return lambda x: torch.stack([torchaudio.compliance.kaldi.fbank(clip[None], **one) for clip in x])


def griffin_lim(s):
    return T.GriffinLim(s["n_fft"], 32, hop_length=s["hop_length"], power=1.0, rand_init=False)
