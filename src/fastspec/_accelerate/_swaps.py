"""What is known about other libraries' modules: for each class, by name, a forward of the same meaning.

A forward is written in the attributes of the module that it serves, so that a swapped module keeps its parameters,
buffers and every attribute, and a checkpoint loads as before. The libraries are not imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .. import functional as F
from ._kernels import transform

Forward = Callable[..., Any]


class Refused(Exception):
    """Why a module stays as it is."""


# torchaudio


def _spectrogram_arguments(m: Any) -> dict[str, Any]:
    names = "n_fft", "win_length", "hop_length", "pad", "window", "power", "normalized", "center", "pad_mode"
    return {name: getattr(m, name) for name in names}


def torchaudio_spectrogram(m: Any, waveform: Tensor) -> Tensor:
    return F.spectrogram(waveform, onesided=m.onesided, **_spectrogram_arguments(m))


def torchaudio_mel(m: Any, waveform: Tensor) -> Tensor:
    return F.mel_spectrogram(waveform, filterbank=m.mel_scale.fb, **_spectrogram_arguments(m.spectrogram))


def torchaudio_mfcc(m: Any, waveform: Tensor) -> Tensor:
    mel = m.MelSpectrogram
    arguments = _spectrogram_arguments(mel.spectrogram) | {"filterbank": mel.mel_scale.fb, "dct": m.dct_mat}
    return F.mfcc(waveform, log_mels=m.log_mels, top_db=m.top_db, **arguments)


def torchaudio_lfcc(m: Any, waveform: Tensor) -> Tensor:
    arguments = _spectrogram_arguments(m.Spectrogram) | {"filterbank": m.filter_mat, "dct": m.dct_mat}
    return F.lfcc(waveform, log_lf=m.log_lf, top_db=m.top_db, **arguments)


# nnAudio: x [T], [B, T] or [B, 1, T]


def _clips(x: Tensor) -> Tensor:
    if x.dim() == 3 and x.shape[1] == 1:
        return x[:, 0]
    if x.dim() not in (1, 2):
        raise ValueError(f"x must have shape [T], [B, T] or [B, 1, T], got {list(x.shape)}")
    return x[None] if x.dim() == 1 else x


def nnaudio_stft(m: Any, x: Tensor, output_format: str | None = None) -> Tensor:
    kind = output_format or m.output_format
    if kind not in ("Complex", "Magnitude", "Phase"):
        raise ValueError(f"output_format must be 'Complex', 'Magnitude' or 'Phase', got {kind!r}")
    power, eps = (1.0, 1e-8 if m.trainable else 0.0) if kind == "Magnitude" else (None, 0.0)
    where = m.stride, m.center, m.pad_mode
    y = transform(m, _clips(x), (m.wcos, m.wsin), *where, power, eps, conjugate=True)
    y = y[:, : m.freq_bins]
    return y if kind == "Magnitude" else torch.view_as_real(y) if kind == "Complex" else y.angle()


def nnaudio_bands(m: Any, x: Tensor, bank: Tensor) -> Tensor:
    stft = m.stft
    eps = 1e-8 if stft.trainable else 0.0
    where = stft.stride, stft.center, stft.pad_mode
    return transform(stft, _clips(x), (stft.wcos, stft.wsin), *where, m.power, eps, bank.mT, conjugate=True)


def nnaudio_mel(m: Any, x: Tensor) -> Tensor:
    return nnaudio_bands(m, x, m.mel_basis)


def nnaudio_gammatone(m: Any, x: Tensor) -> Tensor:
    return nnaudio_bands(m, x, m.gammatone_basis)


def nnaudio_cqt(m: Any, x: Tensor, output_format: str | None = None, normalization_type: str = "librosa") -> Tensor:
    kind = output_format or m.output_format
    factors = {"librosa": m.lenghts.sqrt()[:, None], "convolutional": 1.0, "wrap": 2.0}
    if normalization_type not in factors:
        raise ValueError(f"normalization_type must be one of {', '.join(factors)}, got {normalization_type!r}")
    power, eps = (1.0, 1e-8 if m.trainable else 0.0) if kind == "Magnitude" else (None, 0.0)
    if eps and normalization_type != "convolutional":  # the original adds it after the factor
        y = nnaudio_cqt(m, x, "Complex", normalization_type)
        return (y.square().sum(-1) + eps).sqrt()
    kernels, where = (m.cqt_kernels_real, m.cqt_kernels_imag), (m.hop_length, m.center, m.pad_mode)
    y = transform(m, _clips(x), kernels, *where, power, eps, conjugate=True)
    y = y * factors[normalization_type]
    if kind == "Magnitude":
        return y
    y = torch.view_as_real(y)
    if kind == "Complex":
        return y
    if kind != "Phase":
        raise ValueError(f"output_format must be 'Complex', 'Magnitude' or 'Phase', got {kind!r}")
    angle = torch.atan2(y[..., 1], y[..., 0])
    return torch.stack([angle.cos(), angle.sin()], -1)


# torchlibrosa: [B, T] to [B, 1, M, F]


def _librosa(m: Any, x: Tensor, power: float | None) -> Tensor:
    kernels = m.conv_real.weight, m.conv_imag.weight
    return transform(m, x, kernels, m.hop_length, m.center, m.pad_mode, power).mT[:, None]


def torchlibrosa_stft(m: Any, input: Tensor) -> tuple[Tensor, Tensor]:
    y = _librosa(m, input, None)
    return y.real, y.imag


def torchlibrosa_spectrogram(m: Any, input: Tensor) -> Tensor:
    return _librosa(m.stft, input, m.power)


def torchlibrosa_logmel(m: Any, input: Tensor) -> Tensor:
    """[..., M, F] to [..., M, K]."""
    return _librosa_log(m, torch.matmul(input, m.melW))


def _librosa_log(m: Any, mel: Tensor) -> Tensor:
    if not m.is_log:
        return mel
    y = 10.0 * (mel.clamp(min=m.amin).log10() - math.log10(max(m.amin, m.ref)))
    return y if m.top_db is None else y.clamp(min=y.detach().amax() - m.top_db)  # below the batch's largest value


# asteroid: rows of real filters [2 F, 1, N], the first half read as real parts, the second as imaginary ones


def asteroid_encoder(m: Any, waveform: Tensor) -> Tensor:
    """[..., T] to [..., 2 F, M]; [B, 1, T] to [B, 2 F, M] where ``as_conv1d``."""
    bank = m.filterbank
    if m.is_pinv:
        raise Refused("its filters are a pseudo-inverse, made at each call")
    filters = bank.filters()
    if filters.shape[0] % 2:
        raise Refused("an odd number of filters")
    kept = any(filters is t for t in (*bank.parameters(), *bank.buffers()))
    x = bank.pre_analysis(waveform)
    if m.padding:
        x = nn.functional.pad(x, (m.padding, m.padding))
    real, imag = filters.chunk(2)
    y = transform(m, x, (real, imag), m.stride, False, "constant", kept=kept)
    y = torch.cat([y.real, y.imag], -2)
    return bank.post_analysis(y[:, 0] if x.dim() == 3 and x.shape[1] == 1 and m.as_conv1d else y)


SWAPS: dict[tuple[str, str], Forward] = {
    ("torchaudio", "Spectrogram"): torchaudio_spectrogram,
    ("torchaudio", "MelSpectrogram"): torchaudio_mel,
    ("torchaudio", "MFCC"): torchaudio_mfcc,
    ("torchaudio", "LFCC"): torchaudio_lfcc,
    ("torchlibrosa", "STFT"): torchlibrosa_stft,
    ("torchlibrosa", "Spectrogram"): torchlibrosa_spectrogram,
    ("torchlibrosa", "LogmelFilterBank"): torchlibrosa_logmel,
    ("asteroid_filterbanks", "Encoder"): asteroid_encoder,
}
CHANNELLED = ("asteroid_filterbanks",)  # packages that read [B, 1, T]
for _root in ("nnAudio", "nnAudio2"):
    SWAPS |= {
        (_root, "STFT"): nnaudio_stft,
        (_root, "MelSpectrogram"): nnaudio_mel,
        (_root, "Gammatonegram"): nnaudio_gammatone,
        (_root, "CQT1992v2"): nnaudio_cqt,
        (_root, "CQT"): nnaudio_cqt,
    }

REFUSED: dict[tuple[str, str], str] = {
    (root, name): reason
    for root in ("nnAudio", "nnAudio2")
    for name, reason in {
        "CQT1992": "no equal form of its Fourier-domain kernels: use fastspec.transforms.CQT",
        "CQT2010": "its octaves lag by half a sample each: use fastspec.transforms.CQT",
        "CQT2010v2": "its octaves lag by half a sample each: use fastspec.transforms.CQT",
    }.items()
}

# Runs of modules in an nn.Sequential: package, classes, and the forward of them all.


def _decibels(db: Any, power: float) -> dict[str, Any]:
    if db.multiplier * power != 20.0:
        raise Refused(f"AmplitudeToDB({db.stype!r}) after power={power} is not our decibels")
    if db.db_multiplier != 0.0:
        raise Refused("AmplitudeToDB with a reference other than 1")
    return {"log": "db", "floor": db.amin}


def _limit(y: Tensor, db: Any) -> Tensor:
    if db.top_db is None:
        return y
    peak = y.amax(dim=tuple(range(-min(3, y.dim()), 0)), keepdim=True)
    return torch.maximum(y, peak - db.top_db)


def spectrogram_db(run: tuple[Any, ...], waveform: Tensor) -> Tensor:
    m, db = run
    arguments = _spectrogram_arguments(m) | _decibels(db, m.power)
    return _limit(F.spectrogram(waveform, onesided=m.onesided, **arguments), db)


def spectrogram_scale(run: tuple[Any, ...], waveform: Tensor) -> Tensor:
    m, scale = run
    return F.mel_spectrogram(waveform, filterbank=scale.fb, **_spectrogram_arguments(m))


def spectrogram_scale_db(run: tuple[Any, ...], waveform: Tensor) -> Tensor:
    m, scale, db = run
    arguments = _spectrogram_arguments(m) | _decibels(db, m.power)
    return _limit(F.mel_spectrogram(waveform, filterbank=scale.fb, **arguments), db)


def mel_db(run: tuple[Any, ...], waveform: Tensor) -> Tensor:
    m, db = run
    return spectrogram_scale_db((m.spectrogram, m.mel_scale, db), waveform)


def spectrogram_logmel(run: tuple[Any, ...], input: Tensor) -> Tensor:
    m, logmel = run
    stft = m.stft
    kernels = stft.conv_real.weight, stft.conv_imag.weight
    bank = logmel.melW
    mel = transform(stft, input, kernels, stft.hop_length, stft.center, stft.pad_mode, m.power, filterbank=bank)
    return _librosa_log(logmel, mel.mT[:, None])


RUNS: dict[tuple[str, tuple[str, ...]], Callable[[tuple[Any, ...], Tensor], Tensor]] = {
    ("torchaudio", ("Spectrogram", "MelScale", "AmplitudeToDB")): spectrogram_scale_db,
    ("torchaudio", ("MelSpectrogram", "AmplitudeToDB")): mel_db,
    ("torchaudio", ("Spectrogram", "MelScale")): spectrogram_scale,
    ("torchaudio", ("Spectrogram", "AmplitudeToDB")): spectrogram_db,
    ("torchlibrosa", ("Spectrogram", "LogmelFilterBank")): spectrogram_logmel,
}


def kind(module: nn.Module) -> tuple[str, str]:
    """(package, class) of a module; subclasses written elsewhere are not theirs."""
    return type(module).__module__.partition(".")[0], type(module).__name__
