"""Spectrograms as functions: check the arguments, make the plan, call the op.

Names, argument order, defaults and meaning of ``spectrogram``, ``inverse_spectrogram``, ``melscale_fbanks``,
``linear_fbanks``, ``create_dct`` and ``amplitude_to_DB`` are torchaudio's. Shapes: B batch, T samples, M
frames, F bins, K bands; any leading dimensions, written ``...``, are kept.

Arguments that several functions share:

    window: tensor [win_length]; in stft, istft, mel_spectrogram, mfcc and lfcc also a name or (name,
        parameter) of ``fastspec.bases.get_window``; None is a periodic Hann window.
    win_length, hop_length: samples, 1 <= win_length <= n_fft, hop_length >= 1. A window shorter than n_fft
        stands in the middle of the frame.
    center: pad both sides so that frame m is centred on sample m * hop_length. center_pad: samples padded on
        each side then (default n_fft // 2; HiFi-GAN and its kin: (n_fft - hop_length) // 2).
    pad_mode: "reflect", "constant" (zeros), "replicate", "circular".
    normalized: True or "window" divides the spectrum by the window's L2 norm, "frame_length" by sqrt(n_fft).
    power: exponent p of the magnitude; eps: added under the root, (|y|^2 + eps)^(p/2). The native float32
        kernel squares first, so magnitudes below 1e-19 fade to 0.
    log: None, "ln", "log10", "log1p" (ln(1 + log_scale u)) or "db" (20/p log10 u, decibels whatever p is).
        floor: smallest value under ln, log10 and db; floor_mode "add" adds it instead of clamping.
    dtype: compute in, and return, this dtype. Default: the waveform's. float16 and bfloat16 are computed in
        float32 (and a complex result stays complex64); int16 samples are divided by 32768 and give float32.
    backend: name of the one backend that may run; it runs or raises NotImplementedError. Default: the best
        one.
    out: contiguous tensor of the result's shape and dtype, written and returned; not where gradients are
        recorded.

Every function that takes samples or a spectrum takes arrays of NumPy, CuPy, JAX and whatever speaks DLPack as well, and
returns the like, see docs/arrays.md.

Errors: ValueError names the argument, its value and what is allowed. NaN and infinity among the samples reach
the frames that hold them and no others. A NaN inside a window or a filterbank is not looked for (that would cost
a pass) and reaches every result that it weights.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch
from torch import Tensor

from . import bases
from ._arrays import takes_arrays
from ._basis import basis_transform, inverse_basis_transform
from ._checks import integer, real
from ._forward import transform
from ._griffin_lim import griffinlim
from ._inputs import (
    Window,
    bank_arguments,
    check_top_db,
    compute_dtype,
    constant,
    make_bank,
    make_ending,
    normalization,
    result_dtype,
)
from ._inverse import invert
from ._inverse_mel import inverse_filterbank, inverse_mel_spectrogram, undo_log
from .augment import mask_along_axis, mask_along_axis_iid, phase_vocoder, pitch_shift, resample
from .chroma import chroma_cqt, chroma_stft, chroma_vqt
from .constant_q import cqt, icqt, ivqt, vqt
from .dispatch import check_backend
from .plan import FramePlan
from .pseudo_cqt import harmonic_stack, hybrid_cqt, pseudo_cqt
from .shape import (
    spectral_bandwidth,
    spectral_centroid,
    spectral_contrast,
    spectral_flatness,
    spectral_rolloff,
)
from .temporal import compute_deltas, pcen

__all__ = [
    "amplitude_to_DB",
    "apply_filterbank",
    "basis_transform",
    "chroma_cqt",
    "chroma_stft",
    "chroma_vqt",
    "compute_deltas",
    "cqt",
    "create_dct",
    "griffinlim",
    "harmonic_stack",
    "hybrid_cqt",
    "icqt",
    "inverse_basis_transform",
    "inverse_filterbank",
    "inverse_mel_spectrogram",
    "inverse_spectrogram",
    "istft",
    "ivqt",
    "lfcc",
    "linear_fbanks",
    "mask_along_axis",
    "mask_along_axis_iid",
    "mel_spectrogram",
    "melscale_fbanks",
    "mfcc",
    "pcen",
    "phase_vocoder",
    "pitch_shift",
    "pseudo_cqt",
    "resample",
    "spectral_bandwidth",
    "spectral_centroid",
    "spectral_contrast",
    "spectral_flatness",
    "spectral_rolloff",
    "spectrogram",
    "stft",
    "undo_log",
    "vqt",
]


def spectrogram(
    waveform: Tensor,
    pad: int,
    window: Window,
    n_fft: int,
    hop_length: int | None,
    win_length: int | None,
    power: float | None,
    normalized: bool | str,
    center: bool = True,
    pad_mode: str = "reflect",
    onesided: bool = True,
    return_complex: bool | None = None,
    *,
    log: str | None = None,
    floor: float = 1e-10,
    floor_mode: str = "clamp",
    log_scale: float = 1.0,
    eps: float = 0.0,
    center_pad: int | None = None,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Spectrum of every frame: complex, or a power of its magnitude, in one pass.

    Args:
        waveform: samples [..., T].
        pad: zeros added on both sides before anything else.
        power: 2 power, 1 magnitude, any positive number; None keeps the complex spectrum (then no log and no
            eps).
        onesided: the n_fft // 2 + 1 bins that a real signal needs; False: all n_fft.
        return_complex: deprecated and without effect, as in torchaudio.
        others: see the module.

    Returns:
        [..., F, M] with M = (T + 2 pad + 2 center_pad - n_fft) // hop_length + 1.
    """
    if return_complex is not None:
        warnings.warn("return_complex has no effect: power=None returns the complex spectrum", stacklevel=2)
    ending = make_ending(power, eps, log, floor, floor_mode, log_scale)
    plan = FramePlan.make(n_fft, hop_length, win_length, center, pad_mode, onesided, center_pad)
    return transform(waveform, pad, window, None, plan, ending, normalized, backend, dtype, out)


def stft(
    waveform: Tensor,
    n_fft: int = 400,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool | str = False,
    onesided: bool = True,
    *,
    center_pad: int | None = None,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Complex short-time Fourier transform: y[f, m] = sum_n w[n] x[m hop + n - center_pad] exp(-2 pi i f n /
    n_fft).

    Args:
        waveform: samples [..., T].
        hop_length: default n_fft // 4, as torch.stft's.
        others: see the module. Unlike torch.stft's, the default window is Hann, and normalized=True means
            "window".

    Returns:
        Complex [..., F, M].
    """
    plan = FramePlan.make(n_fft, _quarter(n_fft, hop_length), win_length, center, pad_mode, onesided, center_pad)
    return transform(waveform, 0, window, None, plan, None, normalized, backend, dtype, out)


def istft(
    spectrum: Tensor,
    n_fft: int = 400,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = None,
    center: bool = True,
    normalized: bool | str = False,
    onesided: bool | None = None,
    length: int | None = None,
    *,
    center_pad: int | None = None,
    backend: str | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Inverse of ``stft``: the signal whose STFT is nearest in the least-squares sense.

    x[t] = sum_m w[t - m hop] f_m[t - m hop] / sum_m w[t - m hop]^2, f_m the inverse DFT of frame m: D. W. Griffin
    and J. S. Lim, "Signal estimation from modified short-time Fourier transform", IEEE Trans. ASSP 32 (1984),
    eq. 6. On the CPU one kernel.

    The ends: with ``center`` the padding is cut off, and every sample that is left lies under whole windows, at the
    end as far as the frames reach. With center=False the first and last samples lie under the flanks of few windows:
    sample n of the result carries the rounding errors of its frame divided by w[n], and those samples at either end
    where the squared windows sum to less than 1e-11 (the first one, with a Hann window) are 0, the shortest of all
    nearest signals (torch.istft raises an error there).

    Args:
        spectrum: complex [..., F, M], F = n_fft // 2 + 1, or n_fft (then only the first half is used).
        hop_length: default n_fft // 4, as in ``stft``.
        onesided: True or False demands that F; None takes either.
        length: samples to return; beyond the last frame they are zero, with a warning. Default: what the
            frames cover without the padding of ``center``.
        out: contiguous real tensor of the result's shape; not where gradients are recorded.
        others: see the module.

    Returns:
        Samples [..., length].

    Raises:
        ValueError: among others, where the squared windows sum to less than 1e-11, but for the ends with
            center=False: no frame tells those samples, which the message names.
    """
    plan = FramePlan.make(n_fft, _quarter(n_fft, hop_length), win_length, center, "constant", True, center_pad)
    kind, name = normalization(normalized), check_backend(backend)
    return invert(spectrum, window, plan, length, kind, onesided, name, out)


def inverse_spectrogram(
    spectrogram: Tensor,
    length: int | None,
    pad: int,
    window: Window,
    n_fft: int,
    hop_length: int | None,
    win_length: int | None,
    normalized: bool | str,
    center: bool = True,
    pad_mode: str = "reflect",
    onesided: bool | None = True,
    *,
    center_pad: int | None = None,
    backend: str | None = None,
) -> Tensor:
    """Inverse of ``spectrogram(power=None)``; ``istft`` with torchaudio's argument order.

    Args:
        spectrogram: complex [..., F, M].
        length: samples to return, or None for what the frames cover.
        pad: the ``pad`` of the forward transform, removed when length is given.
        pad_mode: without effect; the padding is cut off.
        others: see ``istft`` and the module.

    Returns:
        Samples [..., length].
    """
    plan = FramePlan.make(n_fft, hop_length, win_length, center, "constant", True, center_pad)
    pad = integer("pad", pad, 0)
    padded = None if length is None else integer("length", length, 1, largest=sys.maxsize // 2) + 2 * pad
    samples = invert(spectrogram, window, plan, padded, normalization(normalized), onesided, check_backend(backend))
    return samples if length is None or pad == 0 else samples[..., pad : pad + length]


def mel_spectrogram(
    waveform: Tensor,
    sample_rate: int = 16000,
    n_fft: int = 400,
    win_length: int | None = None,
    hop_length: int | None = None,
    f_min: float = 0.0,
    f_max: float | None = None,
    pad: int = 0,
    n_mels: int = 128,
    window: Window = None,
    power: float = 2.0,
    normalized: bool | str = False,
    center: bool = True,
    pad_mode: str = "reflect",
    norm: str | None = None,
    mel_scale: str = "htk",
    *,
    filterbank: Tensor | None = None,
    log: str | None = None,
    floor: float = 1e-10,
    floor_mode: str = "clamp",
    log_scale: float = 1.0,
    eps: float = 0.0,
    center_pad: int | None = None,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Mel spectrogram, from samples to (logarithms of) bands in one pass.

    Args:
        waveform: samples [..., T].
        sample_rate: in Hz.
        hop_length: default win_length // 2.
        f_min, f_max: range of the bands in Hz; f_max defaults to half the sample rate.
        n_mels, norm, mel_scale: see ``melscale_fbanks``.
        filterbank: any matrix [F, K] to use instead; then sample_rate, f_min, f_max, n_mels, norm and
            mel_scale have no effect.
        others: see the module.

    Returns:
        [..., K, M].
    """
    if power is None:
        raise ValueError("power must be a positive number, got None: a complex spectrum has no bands")
    ending = make_ending(power, eps, log, floor, floor_mode, log_scale)
    plan = FramePlan.make(n_fft, hop_length, win_length, center, pad_mode, True, center_pad)
    if filterbank is None:
        bank = (
            "mel_filterbank",
            (*bank_arguments(plan.n_bins, f_min, f_max, n_mels, sample_rate, "n_mels"), norm, mel_scale),
        )
    else:
        bank = filterbank
    return transform(waveform, pad, window, bank, plan, ending, normalized, backend, dtype, out)


def mfcc(
    waveform: Tensor,
    sample_rate: int = 16000,
    n_mfcc: int = 40,
    dct_norm: str | None = "ortho",
    log_mels: bool = False,
    *,
    top_db: float | None = 80.0,
    dct: Tensor | None = None,
    **mel: Any,
) -> Tensor:
    """Mel-frequency cepstral coefficients: the DCT of the logarithms of the mel bands.

    Args:
        waveform: samples [..., T].
        n_mfcc: number of coefficients, at most n_mels.
        dct_norm: "ortho" or None, see ``create_dct``.
        log_mels: ln(u + 1e-6). Default: decibels, 10 log10(max(u, 1e-10)), limited to top_db below their
            maximum.
        top_db: see ``amplitude_to_DB``; None for no limit.
        dct: any matrix [K, n_mfcc] to use instead of the DCT.
        mel: arguments of ``mel_spectrogram``, but none of log, floor, floor_mode, log_scale, out.

    Returns:
        [..., n_mfcc, M].
    """
    return _cepstrum(waveform, dct, ("n_mfcc", n_mfcc, dct_norm), log_mels, top_db, sample_rate=sample_rate, **mel)


def lfcc(
    waveform: Tensor,
    sample_rate: int = 16000,
    n_filter: int = 128,
    f_min: float = 0.0,
    f_max: float | None = None,
    n_lfcc: int = 40,
    dct_norm: str | None = "ortho",
    log_lf: bool = False,
    *,
    top_db: float | None = 80.0,
    filterbank: Tensor | None = None,
    dct: Tensor | None = None,
    **spectral: Any,
) -> Tensor:
    """Linear-frequency cepstral coefficients: ``mfcc`` on bands evenly spaced in Hz.

    Args:
        waveform: samples [..., T].
        n_filter, f_min, f_max: see ``linear_fbanks``; f_max defaults to half the sample rate.
        n_lfcc: number of coefficients, at most n_filter.
        dct_norm, log_lf, top_db, dct: as in ``mfcc``.
        filterbank: any matrix [F, n_filter] to use instead.
        spectral: n_fft and further arguments of ``mel_spectrogram``, but none of log, floor, floor_mode,
            log_scale, out.

    Returns:
        [..., n_lfcc, M].
    """
    if filterbank is None:
        n_freqs = FramePlan.make(spectral.get("n_fft", 400)).n_bins
        arguments = bank_arguments(n_freqs, f_min, f_max, n_filter, sample_rate, "n_filter")
        dtype = compute_dtype(result_dtype(waveform, spectral.get("dtype")))
        filterbank = constant("linear_filterbank", arguments, dtype, waveform.device)
    return _cepstrum(waveform, dct, ("n_lfcc", n_lfcc, dct_norm), log_lf, top_db, filterbank=filterbank, **spectral)


def apply_filterbank(spectrogram: Tensor, filterbank: Tensor) -> Tensor:
    """Bands of a spectrogram that is there already: [..., F, M] and [F, K] to [..., K, M].

    From samples, ``mel_spectrogram(filterbank=...)`` is faster: it never writes the spectrogram.
    """
    if not isinstance(spectrogram, Tensor):
        raise ValueError(f"spectrogram must be a torch.Tensor, got {type(spectrogram).__name__}")
    if spectrogram.dim() < 2 or not spectrogram.is_floating_point():
        raise ValueError(
            f"spectrogram must be a real tensor [..., F, M], got {spectrogram.dtype} of shape {list(spectrogram.shape)}"
        )
    if isinstance(filterbank, Tensor) and filterbank.dim() == 2 and filterbank.shape[0] != spectrogram.shape[-2]:
        raise ValueError(
            f"spectrogram must have shape [..., {filterbank.shape[0]}, M] as the filterbank is "
            f"{list(filterbank.shape)}, got {list(spectrogram.shape)}"
        )
    bank = make_bank(filterbank, spectrogram.shape[-2], spectrogram.dtype, spectrogram.device)
    return torch.matmul(bank.t(), spectrogram)


def amplitude_to_DB(
    x: Tensor, multiplier: float, amin: float, db_multiplier: float, top_db: float | None = None
) -> Tensor:
    """Decibels: multiplier (log10(max(x, amin)) - db_multiplier), at most top_db below their maximum.

    Args:
        x: [..., F, M], power or magnitude.
        multiplier: 10 for power, 20 for magnitude.
        amin: smallest value under the logarithm, positive.
        db_multiplier: log10 of the reference value.
        top_db: limit below the maximum, taken over the last three dimensions (channel, F, M), or None. One
            NaN among them makes them all NaN.

    Returns:
        Tensor of the shape of x.
    """
    if not isinstance(x, Tensor):
        raise ValueError(f"x must be a torch.Tensor, got {type(x).__name__}")
    if not x.is_floating_point():
        raise ValueError(f"x must be a real floating point tensor, got {x.dtype}")
    multiplier, db_multiplier = real("multiplier", multiplier), real("db_multiplier", db_multiplier)
    amin = real("amin", amin, 0.0, strict=True)
    return _limit_range(multiplier * (torch.log10(torch.clamp(x, min=amin)) - db_multiplier), top_db)


def melscale_fbanks(
    n_freqs: int,
    f_min: float,
    f_max: float,
    n_mels: int,
    sample_rate: int,
    norm: str | None = None,
    mel_scale: str = "htk",
) -> Tensor:
    """Triangular mel filters [n_freqs, n_mels] in the default dtype; see ``bases.mel_filterbank``.

    As torchaudio, takes the last bin for sample_rate // 2 Hz, which half an odd sample rate is not.
    """
    arguments = bank_arguments(n_freqs, f_min, f_max, n_mels, sample_rate, "n_mels")
    return torch.tensor(bases.mel_filterbank(*arguments, norm, mel_scale), dtype=torch.get_default_dtype())


def linear_fbanks(n_freqs: int, f_min: float, f_max: float, n_filter: int, sample_rate: int) -> Tensor:
    """Triangular filters [n_freqs, n_filter], evenly spaced in Hz, in the default dtype."""
    arguments = bank_arguments(n_freqs, f_min, f_max, n_filter, sample_rate, "n_filter")
    return torch.tensor(bases.linear_filterbank(*arguments), dtype=torch.get_default_dtype())


def create_dct(n_mfcc: int, n_mels: int, norm: str | None) -> Tensor:
    """DCT-II matrix [n_mels, n_mfcc] in the default dtype; norm "ortho" or None; see ``bases.create_dct``."""
    return torch.tensor(bases.create_dct(n_mfcc, n_mels, norm), dtype=torch.get_default_dtype())


def _cepstrum(
    waveform: Tensor,
    dct: Tensor | None,
    default: tuple[str, int, str | None],
    log_bands: bool,
    top_db: float | None,
    dtype: torch.dtype | None = None,
    **arguments: Any,
) -> Tensor:
    """DCT of the logarithmic bands. The 10 of the decibels goes into the small matrix."""
    result = result_dtype(waveform, dtype)
    log = {"log": "ln", "floor": 1e-6, "floor_mode": "add"} if log_bands else {"log": "log10", "floor": 1e-10}
    bands = mel_spectrogram(waveform, dtype=compute_dtype(result), **arguments, **log)
    if dct is None:
        name, number, norm = default
        dct = constant("create_dct", (integer(name, number, 1), bands.shape[-2], norm), bands.dtype, bands.device)
    else:
        dct = make_bank(dct, bands.shape[-2], bands.dtype, bands.device, "dct")
    if not log_bands:
        bands = _limit_range(bands, top_db, unit=10.0)
        dct = dct * 10.0
    return torch.matmul(dct.t(), bands).to(result)


def _limit_range(x: Tensor, top_db: float | None, unit: float = 1.0) -> Tensor:
    """Raise what lies more than top_db / unit below the maximum of the last three dimensions."""
    check_top_db(top_db)
    if top_db is None or x.numel() == 0:
        return x
    peak = x.amax(dim=tuple(range(-min(3, x.dim()), 0)), keepdim=True)
    return torch.maximum(x, peak - top_db / unit)


def _quarter(n_fft: int, hop_length: int | None) -> int | None:
    return max(1, n_fft // 4) if hop_length is None and isinstance(n_fft, int) else hop_length


for _name in __all__:
    globals()[_name] = takes_arrays(globals()[_name])
