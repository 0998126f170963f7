"""nnAudio's classes, which nnAudio2 has too."""

from __future__ import annotations

from typing import Any

import torch


class Builders:
    """The builders for one of the two libraries."""

    def __init__(self, features: Any) -> None:
        self.features = features

    def _stft(self, s, output_format, **more):
        made = self.features.STFT(
            n_fft=s["n_fft"], hop_length=s["hop_length"], output_format=output_format, verbose=False, **more
        )
        return made.requires_grad_(False)

    def magnitude(self, s):
        return self._stft(s, "Magnitude")

    def spectrum(self, s):
        """Real and imaginary parts in a last axis of two."""
        return self._stft(s, "Complex"), lambda y: y[..., 0] + 1j * y[..., 1]

    def istft(self, s):
        inverse = self.features.iSTFT(n_fft=s["n_fft"], hop_length=s["hop_length"], verbose=False)
        return lambda y: inverse(torch.view_as_real(y), onesided=True)

    def learned(self, s):
        """The kernels are parameters."""
        same = {"n_fft": s["n_fft"], "hop_length": s["hop_length"]}
        return self.features.STFT(output_format="Magnitude", trainable=True, verbose=False, **same)

    def log_stft(self, s):
        """Frames of frequencies in a geometric series."""
        return self._stft(s, "Magnitude", freq_scale="log", fmin=s["fmin"], fmax=s["fmax"], sr=s["sample_rate"])

    def _mel(self, s):
        same = {"sr": s["sample_rate"], "fmax": s["f_max"], "verbose": False}
        return same | {key: s[key] for key in ("n_fft", "hop_length", "n_mels")}

    def mel(self, s):
        return self.features.MelSpectrogram(**self._mel(s)).requires_grad_(False)

    def log_mel(self, s):
        bands = self.mel(s)
        return lambda x: bands(x).clamp(min=1e-10).log10()

    def mfcc(self, s):
        return self.features.MFCC(n_mfcc=s["n_mfcc"], **self._mel(s)).requires_grad_(False)

    def gammatone(self, s):
        same = {key: s[key] for key in ("n_fft", "hop_length")}
        made = self.features.Gammatonegram(
            sr=s["sample_rate"], n_bins=s["n_bands"], fmin=20.0, fmax=s["sample_rate"] / 2, verbose=False, **same
        )
        return made.requires_grad_(False), lambda y: y, 1.0 / s["n_fft"]

    def _constant_q(self, s):
        same = {key: s[key] for key in ("hop_length", "fmin", "n_bins", "bins_per_octave")}
        return {"sr": s["sample_rate"], "verbose": False, **same}

    def cqt(self, s):
        """By octaves, the faster of its two algorithms; its early downsampling changes the gain."""
        made = self.features.CQT2010v2(**self._constant_q(s), earlydownsample=False).requires_grad_(False)
        return lambda x: made(x, normalization_type="librosa")

    def vqt(self, s):
        made = self.features.VQT(**self._constant_q(s), gamma=s["gamma"], earlydownsample=False).requires_grad_(False)
        return lambda x: made(x, normalization_type="librosa")

    def griffin_lim(self, s):
        return self.features.Griffin_Lim(s["n_fft"], 32, s["hop_length"])
