"""torchlibrosa: librosa's functions as convolutions."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torchlibrosa import stft

from bench.peers._torch import both, forward, from_numpy, set_threads, to_numpy  # noqa: F401


def _swapped(y):
    return y[:, 0].swapaxes(-1, -2)


def _frames(s):
    return {"n_fft": s["n_fft"], "hop_length": s["hop_length"]}


def magnitude(s):
    return stft.Spectrogram(power=1.0, **_frames(s)), _swapped


def learned(s):
    """The kernels are parameters."""
    return stft.Spectrogram(power=1.0, freeze_parameters=False, **_frames(s)), _swapped


def istft(s):
    inverse = stft.ISTFT(**_frames(s))

    def path(y):
        y = y.mT[:, None]
        return inverse(y.real, y.imag, s["hop_length"] * (y.shape[-2] - 1))

    return path


def _mel(s, is_log):
    power = stft.Spectrogram(power=2.0, **_frames(s))
    bands = stft.LogmelFilterBank(
        sr=s["sample_rate"], n_fft=s["n_fft"], n_mels=s["n_mels"], fmax=s["f_max"], is_log=is_log, top_db=None
    )
    return lambda x: bands(power(x))


def mel(s):
    return _mel(s, False), _swapped


def log_mel(s):
    """Its decibels."""
    return _mel(s, True), _swapped, 10.0
