"""librosa, with its filterbanks made once and not at every call, which is in its favour."""

from __future__ import annotations

import warnings

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import librosa

    librosa.vqt(np.zeros(22050, np.float32))  # its lazy imports and compilation, once for all processes
    librosa.feature.mfcc(y=np.zeros(22050, np.float32))

from bench.peers._numpy import forward, from_numpy, set_threads, to_numpy  # noqa: F401

warnings.filterwarnings("ignore", message="n_fft=.* is too large")  # its lowest octaves of short clips


def spectrum(s):
    same = {"n_fft": s["n_fft"], "hop_length": s["hop_length"], "pad_mode": "reflect"}
    return lambda x: librosa.stft(x, **same)


def magnitude(s):
    stft = spectrum(s)
    return lambda x: np.abs(stft(x))


def istft(s):
    return lambda y: librosa.istft(y, hop_length=s["hop_length"])


def mel(s):
    stft = magnitude(s)
    bank = librosa.filters.mel(sr=s["sample_rate"], n_fft=s["n_fft"], n_mels=s["n_mels"], fmax=s["f_max"])
    return lambda x: bank @ stft(x) ** 2


def log_mel(s):
    bands = mel(s)
    return lambda x: np.log10(np.maximum(bands(x), 1e-10))


def mfcc(s):
    bands = mel(s)
    return lambda x: librosa.feature.mfcc(S=librosa.power_to_db(bands(x)), n_mfcc=s["n_mfcc"])


def chroma(s):
    bank = librosa.filters.chroma(sr=s["sample_rate"], n_fft=s["n_fft"], tuning=0.0)
    stft = magnitude(s)
    return lambda x: librosa.util.normalize(bank @ stft(x) ** 2, norm=np.inf, axis=-2)


def _constant_q(s):
    same = {key: s[key] for key in ("hop_length", "fmin", "n_bins", "bins_per_octave")}
    return {"sr": s["sample_rate"], "tuning": 0.0, "pad_mode": "reflect", **same}


def cqt(s):
    same = _constant_q(s)
    return lambda x: np.abs(librosa.cqt(x, **same))


def vqt(s):
    same = _constant_q(s)
    return lambda x: np.abs(librosa.vqt(x, gamma=s["gamma"], **same))


def griffin_lim(s):
    same = {"n_iter": 32, "hop_length": s["hop_length"], "init": None, "pad_mode": "reflect", "momentum": 0.99}
    return lambda v: librosa.griffinlim(v, **same)
