"""Spectrograms and clips made different: masks, and changes of speed, pitch and sample rate. torchaudio's names,
arguments and defaults; everything is differentiable, and every draw can be given its generator."""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor
from torch.nn.functional import pad

from ._checks import check_generator, integer, real, room
from ._inputs import Window, constant, fold_waveform
from .temporal import check_real

_CPU = torch.device("cpu")

__all__ = ["mask_along_axis", "mask_along_axis_iid", "phase_vocoder", "pitch_shift", "resample"]


def mask_along_axis(
    specgram: Tensor,
    mask_param: int,
    mask_value: float | Tensor,
    axis: int,
    p: float = 1.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One run of frames or bands set to a value, the same in every clip (Park et al. 2019, "SpecAugment").

    The run has fewer than mask_param columns (and at most the share p of all), uniformly; so has its place.

    Args:
        specgram: [..., F, M] of any dtype.
        mask_param: bound on the length of the run.
        mask_value: what is written: a number that the dtype can hold, or a tensor that broadcasts to specgram.
        axis: of the frequencies or of the frames, one of the last two.
        p: largest share of the axis that may be masked, 0 to 1.
        generator: of the two draws, on the CPU. With the same seed the masks are torchaudio's.

    Returns:
        Tensor of the shape of specgram.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    axis, most = _mask_sizes(specgram, mask_param, axis, p, 2)
    _check_mask_value(mask_value, specgram)
    check_generator(generator)
    if most < 1:
        return specgram
    length = torch.rand(1, generator=generator) * most
    first = torch.rand(1, generator=generator) * (specgram.shape[axis] - length)
    begin, end = (t.to(specgram.device) for t in (first.long(), first.long() + length.long()))
    return _masked(specgram, begin, end, mask_value, axis)


def mask_along_axis_iid(
    specgrams: Tensor,
    mask_param: int,
    mask_value: float | Tensor,
    axis: int,
    p: float = 1.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """``mask_along_axis`` with a run of its own for every clip and channel.

    Args:
        specgrams: [..., F, M], at least three dimensions.
        generator: of the draws, on the device of specgrams. With the same seed the masks are torchaudio's for
            float32 and float64; others (torchaudio refuses integers) are drawn as for float32.
        others: see ``mask_along_axis``.

    Returns:
        Tensor of the shape of specgrams.
    """
    axis, most = _mask_sizes(specgrams, mask_param, axis, p, 3)
    _check_mask_value(mask_value, specgrams)
    check_generator(generator)
    if most < 1:
        return specgrams
    dtype = torch.float64 if specgrams.dtype is torch.float64 else torch.float32  # half precision skips places
    draw = {"generator": generator, "device": specgrams.device, "dtype": dtype}
    length = torch.rand(specgrams.shape[:-2], **draw) * most
    first = torch.rand(specgrams.shape[:-2], **draw) * (specgrams.shape[axis] - length)
    begin, end = first.long(), first.long() + length.long()
    return _masked(specgrams, begin[..., None, None], end[..., None, None], mask_value, axis)


def _mask_sizes(specgram: Tensor, mask_param: int, axis: int, p: float, least: int) -> tuple[int, int]:
    """The axis, -2 or -1, and the bound on the length of a mask."""
    if not isinstance(specgram, Tensor) or specgram.dim() < least:
        shape = list(specgram.shape) if isinstance(specgram, Tensor) else type(specgram).__name__
        raise ValueError(f"the spectrogram must be a tensor of at least {least} dimensions [..., F, M], got {shape}")
    mask_param, dims = integer("mask_param", mask_param, 0), specgram.dim()
    if isinstance(axis, bool) or not isinstance(axis, int) or axis not in (dims - 2, dims - 1, -2, -1):
        raise ValueError(f"axis must be {dims - 2} (frequency) or {dims - 1} (frames), or -2 or -1, got {axis!r}")
    axis = axis - dims if axis >= 0 else axis
    if not 0 <= real("p", p) <= 1:
        raise ValueError(f"p must be from 0 to 1, got {p!r}")
    return axis, mask_param if p == 1 else min(mask_param, int(specgram.shape[axis] * p))


def _check_mask_value(value: float | Tensor, specgram: Tensor) -> None:
    dtype = specgram.dtype
    if isinstance(value, Tensor):
        shape, found = specgram.shape, value.shape
        fits = len(found) <= len(shape) and all(a in (1, b) for a, b in zip(found[::-1], shape[::-1], strict=False))
        if not fits or not torch.can_cast(value.dtype, dtype) or value.device not in (specgram.device, _CPU):
            raise ValueError(
                f"mask_value must broadcast to the spectrogram, {dtype} {list(shape)} on {specgram.device}, got "
                f"{value.dtype} {list(found)} on {value.device}"
            )
        return
    if not isinstance(value, numbers.Number):
        raise ValueError(f"mask_value must be a number or a tensor, got {value!r}")
    if not dtype.is_complex and not dtype.is_floating_point:
        low, high = (0, 1) if dtype is torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
        if not isinstance(value, numbers.Real) or value != value // 1 or not low <= value <= high:
            raise ValueError(f"mask_value must be a whole number from {low} to {high} for {dtype}, got {value!r}")
    elif not dtype.is_complex and not isinstance(value, numbers.Real):
        raise ValueError(f"mask_value must be a real number for {dtype}, got {value!r}")


def _masked(specgram: Tensor, begin: Tensor, end: Tensor, value: float | Tensor, axis: int) -> Tensor:
    n = torch.arange(specgram.shape[axis], device=specgram.device)
    n = n[:, None] if axis == -2 else n
    inside = (n >= begin) & (n < end)
    if isinstance(value, Tensor):
        return torch.where(inside, value.to(specgram), specgram)
    return specgram.masked_fill(inside, value)


def phase_vocoder(complex_specgrams: Tensor, rate: float, phase_advance: Tensor | None = None) -> Tensor:
    """A spectrogram played ``rate`` times as fast, at the same pitch (Flanagan & Golden 1966).

    Frame m takes its magnitude from between the frames about m * rate, and goes on from frame m - 1 by the turn that
    the phases make there.

    Args:
        complex_specgrams: complex [..., F, M].
        rate: > 0; above 1 is faster.
        phase_advance: torchaudio's third argument, the turn [F, 1] that each bin makes from frame to frame. It
            shifts phases by whole turns, so the result is the same without, and nearer to the exact one in float32.

    Returns:
        Complex [..., F, ceil(M / rate)].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    del phase_advance
    z = complex_specgrams
    if not isinstance(z, Tensor) or not z.is_complex():
        raise ValueError(f"complex_specgrams must be a complex tensor, got {getattr(z, 'dtype', type(z).__name__)}")
    if z.dim() < 2 or z.numel() == 0:
        raise ValueError(f"complex_specgrams must have shape [..., F, M] and not be empty, got {list(z.shape)}")
    rate = real("rate", rate, 0.0, strict=True)
    if rate == 1:
        return z
    if rate < 1:
        room("rate", rate, z.numel() / rate)
    angle, magnitude = pad(z.angle(), (0, 2)), pad(z.abs(), (0, 2))
    places = torch.arange(0, z.shape[-1], rate, device=z.device, dtype=angle.dtype)
    this, following = places.long(), (places + 1).long()
    turn = angle.index_select(-1, following) - angle.index_select(-1, this)
    turn = turn - 2 * math.pi * torch.round(turn / (2 * math.pi))
    phase = torch.cumsum(torch.cat([angle[..., :1], turn[..., :-1]], -1), -1)
    share = places % 1.0
    between = share * magnitude.index_select(-1, following) + (1 - share) * magnitude.index_select(-1, this)
    return torch.polar(between, phase)


def pitch_shift(
    waveform: Tensor,
    sample_rate: int,
    n_steps: float,
    bins_per_octave: int = 12,
    n_fft: int = 512,
    win_length: int | None = None,
    hop_length: int | None = None,
    window: Window = None,
    *,
    backend: str | None = None,
) -> Tensor:
    """The clip higher by n_steps / bins_per_octave octaves, as long as before: a phase vocoder, then ``resample``.

    As torchaudio's, its resampling included (soxr would have no gradient).

    Args:
        waveform: real samples [..., T], T > n_fft / 2.
        sample_rate: in Hz, a whole number.
        n_steps: steps up; negative is down; 10 octaves at most.
        hop_length: default n_fft // 4. win_length: default n_fft.
        window: see ``fastspec.functional``.

    Returns:
        Tensor of the shape of waveform.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    from .functional import istft, stft

    check_real("waveform", waveform, 1)
    sample_rate, length = integer("sample_rate", sample_rate, 1), waveform.shape[-1]
    octaves = real("n_steps", n_steps) / integer("bins_per_octave", bins_per_octave, 1)
    if abs(octaves) > 10 or sample_rate * 2.0**octaves < 1:
        raise ValueError(
            f"n_steps must lie within 10 octaves, and leave a sample rate of at least 1 Hz, got {n_steps!r} steps of "
            f"1 / {bins_per_octave} octave at {sample_rate} Hz"
        )
    rate = 2.0**-octaves
    spectrum = stft(waveform, n_fft, hop_length, win_length, window, backend=backend)
    faster = phase_vocoder(spectrum, rate)
    covered = (faster.shape[-1] - 1) * (n_fft // 4 if hop_length is None else hop_length) + n_fft // 2
    wanted = max(1, round(length / rate))
    stretched = istft(faster, n_fft, hop_length, win_length, window, length=min(wanted, covered), backend=backend)
    stretched = pad(stretched, (0, wanted - stretched.shape[-1]))
    shifted = resample(stretched, int(sample_rate / rate), sample_rate).to(waveform.dtype)
    return pad(shifted, (0, length - shifted.shape[-1]))  # a negative number cuts


def resample(
    waveform: Tensor, orig_freq: int, new_freq: int, lowpass_filter_width: int = 6, rolloff: float = 0.99
) -> Tensor:
    """Another sample rate, by interpolation with a sinc under a Hann window: torchaudio's formula and values.

    Every output sample costs the few taps that are not zero, whatever the two rates have in common; torchaudio's
    table has orig_freq / gcd taps a sample.

    Args:
        waveform: real samples [..., T].
        orig_freq, new_freq: Hz, whole numbers.
        lowpass_filter_width: zero crossings of the sinc on each side.
        rolloff: cut-off as a share of half the lower rate, > 0.

    Returns:
        Samples [..., ceil(T new_freq / orig_freq)].

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    orig_freq, new_freq = integer("orig_freq", orig_freq, 1), integer("new_freq", new_freq, 1)
    width = integer("lowpass_filter_width", lowpass_filter_width, 1)
    rolloff = real("rolloff", rolloff, 0.0, strict=True)
    check_real("waveform", waveform, 1)
    if orig_freq == new_freq:
        return waveform
    common = math.gcd(orig_freq, new_freq)
    orig, new = orig_freq // common, new_freq // common
    x, compute, result = fold_waveform(waveform, None)
    room("new_freq", new_freq, x.numel() * new / orig)
    taps = constant("sinc_taps", (orig, new, width, rolloff), compute, x.device)
    reach = (taps.shape[1] - 1) // 2
    t = torch.arange(-(-new * x.shape[-1] // orig), device=x.device)
    places, phases = t * orig // new, t % new
    padded = pad(x, (reach, reach + 1))
    out = torch.zeros((), dtype=compute, device=x.device)
    for k in range(taps.shape[1]):
        out = out + taps[:, k].index_select(0, phases) * padded.index_select(1, places + k)
    return out.to(result).reshape(*waveform.shape[:-1], -1)
