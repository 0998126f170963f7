"""Who takes part: one builder each, all given the same transform, with its constants made beforehand.

A builder imports its library itself, so that a missing library is a missing row and nothing else.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import fastspec.functional as F
from bench.memory import keep_pages
from bench.peers import import_torchaudio
from fastspec import _native, bases
from fastspec.presets import Preset
from fastspec.quickbench import runner, torch_path


@dataclass(frozen=True)
class Contender:
    """One way to compute a transform.

    Attributes:
        path: the call that is timed, from samples [B, T] (or what ``ready`` made of them) to a spectrogram.
        differentiable: torch's autograd goes through it.
        ready: done once to the samples, untimed.
        check: makes of the output, untimed, the tensor [B, K or F, M] that the others give.
        unit: the output is this many times that of the others.
    """

    path: Callable[[Any], Any]
    differentiable: bool = True
    ready: Callable[[Tensor], Any] = lambda x: x
    check: Callable[[Any], Tensor] = torch.as_tensor
    unit: float = 1.0

    def run(self, x: Tensor, backward: bool) -> Callable[[], Any]:
        """The call to be timed on these samples: the output, or for ``backward`` the gradient of x."""
        return runner(self.path, self.ready(x), backward)


def ours(entry: Preset) -> Contender:
    return Contender(entry.transform())


def ours_reusing(entry: Preset) -> Contender:
    """Writes to the same array again and again."""
    if entry.kind == "fbank":
        raise NotImplementedError("Kaldi's functions take no array to write to")
    module = entry.transform()
    outputs: dict[torch.Size, Tensor] = {}

    def path(x: Tensor) -> Tensor:
        out = outputs.get(x.shape)
        if out is None:
            out = outputs[x.shape] = torch.empty(len(x), entry.n_rows, entry.n_frames(x.shape[1]))
        if entry.kind == "mel":
            return F.mel_spectrogram(x, log=entry.log, floor=entry.floor, out=out, **module.band_arguments())
        sizes = entry.n_fft, entry.hop_length, entry.win_length
        return F.spectrogram(x, 0, module.window, *sizes, entry.power, False, out=out)

    return Contender(path, differentiable=False)


def with_torch(entry: Preset) -> Contender:
    return Contender(torch_path(entry))


def with_mkl(entry: Preset) -> Contender:
    """The FFT alone, of frames that are cut, windowed and in memory already; no magnitude, no bands."""
    if entry.kind != "stft":
        raise NotImplementedError("an FFT is no log-mel spectrogram")
    if not torch.backends.mkl.is_available():
        raise ImportError("this torch has no MKL")
    window = torch.hann_window(entry.win_length)

    def frames(x: Tensor) -> Tensor:
        padded = functional.pad(x, (entry.n_fft // 2,) * 2, mode=entry.pad_mode)
        return padded.unfold(1, entry.n_fft, entry.hop_length) * window

    return Contender(torch.fft.rfft, differentiable=False, ready=frames, check=lambda y: y.abs().mT)


def with_torchaudio(entry: Preset) -> Contender:
    torchaudio = import_torchaudio()
    if entry.kind == "fbank":
        fbank = torchaudio.compliance.kaldi.fbank
        one = {"sample_frequency": float(entry.sample_rate), "num_mel_bins": entry.n_mels, "low_freq": entry.f_min}
        return Contender(lambda x: torch.stack([fbank(clip[None], **one) for clip in x]))
    transforms = torchaudio.transforms
    same = {
        "n_fft": entry.n_fft,
        "hop_length": entry.hop_length,
        "pad_mode": entry.pad_mode,
        "power": entry.power,
    }
    if entry.kind == "stft":
        return Contender(transforms.Spectrogram(**same))
    module = transforms.MelSpectrogram(
        entry.sample_rate,
        f_min=entry.f_min,
        f_max=entry.f_max,
        n_mels=entry.n_mels,
        norm=entry.norm,
        mel_scale=entry.mel_scale,
        **same,
    )
    return Contender(lambda x: module(x).clamp(min=entry.floor).log10())


def with_librosa(entry: Preset) -> Contender:
    """librosa.stft, and the mel matrix made once instead of at every call of melspectrogram."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import librosa
        from threadpoolctl import threadpool_limits  # of a library that librosa needs
    _no_kaldi(entry)
    stft = partial(librosa.stft, n_fft=entry.n_fft, hop_length=entry.hop_length, pad_mode=entry.pad_mode)

    def count_threads(x: Tensor) -> Tensor:
        threadpool_limits(torch.get_num_threads(), user_api="blas")
        return x

    def magnitude(x: Tensor) -> np.ndarray:
        return np.abs(stft(x.numpy()))

    if entry.kind == "stft":
        return Contender(magnitude, differentiable=False, ready=count_threads)
    bank = np.ascontiguousarray(_bank(entry).T, dtype=np.float32)

    def log_mel(x: Tensor) -> np.ndarray:
        return np.log10(np.maximum(bank @ magnitude(x) ** 2, entry.floor))

    return Contender(log_mel, differentiable=False, ready=count_threads)


def with_nnaudio2(entry: Preset) -> Contender:
    os.environ.setdefault("NNAUDIO_DISABLE_CITATION_REMINDER", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nnAudio2 import features
    _no_kaldi(entry)
    same = {
        "sr": entry.sample_rate,
        "n_fft": entry.n_fft,
        "hop_length": entry.hop_length,
        "pad_mode": entry.pad_mode,
        "verbose": False,
    }
    if entry.kind == "stft":
        return Contender(features.STFT(output_format="Magnitude", **same))
    module = features.MelSpectrogram(n_mels=entry.n_mels, fmin=entry.f_min, fmax=entry.f_max, **same)
    return Contender(lambda x: module(x).clamp(min=entry.floor).log10())


def with_auvux_dsp(entry: Preset) -> Contender:
    """Its fused decibels, 10 log10(max(u, 1e-10)), in place of the logarithm."""
    from auvux import dsp

    _no_kaldi(entry)
    same = {
        "sr": entry.sample_rate,
        "n_fft": entry.n_fft,
        "hop_length": entry.hop_length,
        "pad_mode": entry.pad_mode,
    }

    def count_threads(x: Tensor) -> Tensor:
        dsp.set_num_threads(torch.get_num_threads())
        return x

    if entry.kind == "stft":
        return Contender(dsp.STFT(output="magnitude", **same), ready=count_threads)
    module = dsp.MelSpectrogram(n_mels=entry.n_mels, fmin=entry.f_min, fmax=entry.f_max, output="db", **same)
    return Contender(module, ready=count_threads, unit=10.0)


def with_kaldi_native_fbank(entry: Preset) -> Contender:
    """Kaldi's own C++ on its own, a clip at a time; its Python interface hands out frames one by one."""
    import kaldi_native_fbank as knf

    if entry.kind != "fbank":
        raise NotImplementedError("it computes Kaldi's features alone")
    options = knf.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.samp_freq = entry.sample_rate
    options.mel_opts.num_bins = entry.n_mels
    options.mel_opts.low_freq = entry.f_min
    options.energy_floor = 1.0

    def one(clip: np.ndarray) -> np.ndarray:
        computer = knf.OnlineFbank(options)
        computer.accept_waveform(entry.sample_rate, clip)
        return np.stack([computer.get_frame(m) for m in range(computer.num_frames_ready)])

    def path(x: Tensor) -> np.ndarray:
        return np.stack([one(clip) for clip in x.numpy()])

    return Contender(path, differentiable=False)


def _no_kaldi(entry: Preset) -> None:
    if entry.kind == "fbank":
        raise NotImplementedError("its frames are not Kaldi's")


def hold_down(level: str) -> None:
    """fastspec with the instructions of an older processor."""
    try:
        _native.set_simd_level(level)
    except ValueError:
        raise ImportError(f"this processor has no {level}") from None


def nothing() -> None:
    """No preparation."""


CONTENDERS: dict[str, tuple[Callable[[Preset], Contender], Callable[[], None]]] = {
    "fastspec": (ours, nothing),
    "fastspec, out=": (ours_reusing, nothing),
    "torch": (with_torch, nothing),
    "torchaudio": (with_torchaudio, nothing),
    "librosa": (with_librosa, nothing),
    "nnaudio2": (with_nnaudio2, nothing),
    "auvux-dsp": (with_auvux_dsp, nothing),
    "kaldi-native-fbank": (with_kaldi_native_fbank, nothing),
    "MKL rfft alone": (with_mkl, nothing),
    "fastspec, avx2": (ours, partial(hold_down, "avx2")),
    "fastspec, baseline": (ours, partial(hold_down, "baseline")),
    "fastspec, 1 thread": (ours, partial(torch.set_num_threads, 1)),
    "fastspec, pages kept": (ours, keep_pages),
    "torch, pages kept": (with_torch, keep_pages),
    "MKL rfft alone, pages kept": (with_mkl, keep_pages),
}
"""The builder of each, and what is done first in the process that it has for itself."""


def _bank(entry: Preset) -> np.ndarray:
    high = entry.sample_rate / 2 if entry.f_max is None else entry.f_max
    return bases.mel_filterbank(
        entry.n_fft // 2 + 1,
        entry.f_min,
        high,
        entry.n_mels,
        entry.sample_rate,
        entry.norm,
        entry.mel_scale,
    )
