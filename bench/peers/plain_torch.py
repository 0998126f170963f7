"""torch alone: torch.stft, torch.istft and a matrix product, as a careful user writes them."""

from __future__ import annotations

import torch

from bench.peers._torch import both, forward, from_numpy, set_threads, to_numpy  # noqa: F401
from fastspec import bases, transforms


def spectrum(s):
    window = torch.hann_window(s["n_fft"])
    return lambda x: torch.stft(x, s["n_fft"], s["hop_length"], window=window, pad_mode="reflect", return_complex=True)


def magnitude(s):
    stft = spectrum(s)
    return lambda x: stft(x).abs()


def istft(s):
    window = torch.hann_window(s["n_fft"])
    return lambda y: torch.istft(y, s["n_fft"], s["hop_length"], window=window)


def mel(s):
    stft, bins = spectrum(s), s["n_fft"] // 2 + 1
    made = bases.mel_filterbank(bins, 0.0, s["f_max"], s["n_mels"], s["sample_rate"], "slaney", "slaney")
    bank = torch.tensor(made).float().T.contiguous()
    return lambda x: bank @ stft(x).abs().square()


def log_mel(s):
    bands = mel(s)
    return lambda x: bands(x).clamp(min=1e-10).log10()


def mfcc(s):
    bands, dct = log_mel(s), torch.tensor(bases.create_dct(s["n_mfcc"], s["n_mels"], "ortho")).float().T

    def path(x):
        decibels = 10 * bands(x)
        return dct @ torch.maximum(decibels, decibels.amax((-2, -1), keepdim=True) - 80.0)

    return path


def fbank(s):
    """Frames cut, freed of their mean, pre-emphasised and windowed in memory, all clips at once."""
    state = transforms.KaldiFbank(num_mel_bins=s["n_mels"], sample_frequency=s["sample_rate"]).state_dict()
    window, bank, floor = state["window"], state["fb"], torch.finfo(torch.float32).eps

    def path(x):
        frames = x.unfold(-1, s["n_fft"], s["hop_length"])
        frames = frames - frames.mean(-1, keepdim=True)
        frames = frames - 0.97 * torch.nn.functional.pad(frames, (1, 0), mode="replicate")[..., :-1]
        power = torch.fft.rfft(frames * window, 512).abs().square()
        return (power @ bank).clamp(min=floor).log()

    return path


def gammatone(s):
    same = {key: s[key] for key in ("n_fft", "hop_length", "n_bands")}
    bank = transforms.Gammatonegram(s["sample_rate"], f_min=20.0, **same).filterbank().T.contiguous()
    stft = spectrum(s)
    return lambda x: bank @ stft(x).abs().square()


def chroma(s):
    bank = torch.tensor(bases.chroma_filterbank(s["sample_rate"], s["n_fft"])).float().T.contiguous()
    stft = spectrum(s)

    def path(x):
        u = bank @ stft(x).abs().square()
        return u / u.amax(-2, keepdim=True)

    return path
