"""fastspec."""

from __future__ import annotations

import torch

import fastspec.functional as F
from bench.peers._torch import both, forward, from_numpy, set_threads, to_numpy  # noqa: F401
from fastspec import transforms


def magnitude(s):
    return transforms.Spectrogram(s["n_fft"], hop_length=s["hop_length"], power=1.0)


def spectrum(s):
    return transforms.Spectrogram(s["n_fft"], hop_length=s["hop_length"], power=None)


def istft(s):
    window = torch.hann_window(s["n_fft"])
    return lambda y: F.istft(y, s["n_fft"], s["hop_length"], window=window)


def _mel(s, **log):
    same = {key: s[key] for key in ("n_fft", "hop_length", "n_mels", "f_max")}
    return transforms.MelSpectrogram(s["sample_rate"], norm="slaney", mel_scale="slaney", **same, **log)


def mel(s):
    return _mel(s)


def log_mel(s):
    return _mel(s, log="log10")


def mfcc(s):
    mel = {key: s[key] for key in ("n_fft", "hop_length", "n_mels", "f_max")}
    mel |= {"norm": "slaney", "mel_scale": "slaney"}
    return transforms.MFCC(s["sample_rate"], s["n_mfcc"], melkwargs=mel)


def fbank(s):
    module = transforms.KaldiFbank(num_mel_bins=s["n_mels"], sample_frequency=s["sample_rate"])
    return module


def gammatone(s):
    same = {key: s[key] for key in ("n_fft", "hop_length", "n_bands")}
    return transforms.Gammatonegram(s["sample_rate"], f_min=20.0, **same)


def chroma(s):
    return lambda x: F.chroma_stft(x, s["sample_rate"], s["n_fft"], s["hop_length"], pad_mode="reflect")


def cqt(s):
    same = {key: s[key] for key in ("hop_length", "fmin", "n_bins", "bins_per_octave")}
    return transforms.CQT(s["sample_rate"], **same)


def vqt(s):
    same = {key: s[key] for key in ("hop_length", "fmin", "n_bins", "bins_per_octave", "gamma")}
    return transforms.VQT(s["sample_rate"], **same)


def log_stft(s):
    same = {key: s[key] for key in ("hop_length", "fmin", "fmax")}
    return transforms.STFT(s["n_fft"], freq_scale="log", sr=s["sample_rate"], output_format="Magnitude", **same)


def learned(s):
    """The rows are parameters."""
    return transforms.STFT(s["n_fft"], hop_length=s["hop_length"], output_format="Magnitude", trainable=True)


def griffin_lim(s):
    return transforms.GriffinLim(s["n_fft"], 32, hop_length=s["hop_length"], power=1.0, rand_init=False)
