"""auvux-dsp, on torch's tensors (it has their gradients)."""

from __future__ import annotations

from auvux import dsp

from bench.peers import _torch
from bench.peers._torch import both, forward, from_numpy, to_numpy  # noqa: F401


def set_threads(count: int) -> None:
    _torch.set_threads(count)
    dsp.set_num_threads(count)


def _frames(s):
    return {
        "sr": s["sample_rate"],
        "n_fft": s["n_fft"],
        "hop_length": s["hop_length"],
    }


def magnitude(s):
    return dsp.STFT(output="magnitude", pad_mode="reflect", **_frames(s))


def spectrum(s):
    return dsp.STFT(output="complex", pad_mode="reflect", **_frames(s))


def istft(s):
    return dsp.ISTFT(**_frames(s))


def _bands(s):
    return {"n_mels": s["n_mels"], "fmax": s["f_max"], "pad_mode": "reflect", **_frames(s)}


def mel(s):
    return dsp.MelSpectrogram(**_bands(s))


def log_mel(s):
    """Its fused decibels."""
    return dsp.MelSpectrogram(output="db", **_bands(s)), lambda y: y, 10.0


def mfcc(s):
    return dsp.MFCC(n_mfcc=s["n_mfcc"], **_bands(s))


def _constant_q(s):
    same = {key: s[key] for key in ("hop_length", "fmin", "n_bins", "bins_per_octave")}
    return {"sr": s["sample_rate"], **same}


def cqt(s):
    return dsp.CQT(**_constant_q(s))


def vqt(s):
    return dsp.VQT(gamma=s["gamma"], **_constant_q(s))
