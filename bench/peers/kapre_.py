"""Kapre's layers, on clips padded outside: it pads with zeros alone, which would be another transform."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kapre

from bench.peers.tensorflow_ import both, forward, from_numpy, padded, set_threads, to_numpy  # noqa: F401


def _swapped(y):
    """[B, M, F, 1] to [B, F, M]."""
    return y[..., 0].swapaxes(-1, -2)


def magnitude(s):
    stft = kapre.STFT(n_fft=s["n_fft"], hop_length=s["hop_length"])
    absolute = kapre.Magnitude()
    return lambda x: absolute(stft(padded(x, s)[..., None])), _swapped


def mel(s):
    bank = {"sample_rate": s["sample_rate"], "n_freq": s["n_fft"] // 2 + 1, "n_mels": s["n_mels"]}
    bank |= {"f_min": 0.0, "f_max": s["f_max"], "htk": False, "norm": "slaney"}
    bands, absolute = kapre.ApplyFilterbank(type="mel", filterbank_kwargs=bank), magnitude(s)[0]
    return lambda x: bands(absolute(x) ** 2), _swapped
