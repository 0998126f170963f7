"""Griffin and Lim's iteration: samples whose spectrogram has given magnitudes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ._checks import check_generator, flag, integer, real
from ._inputs import Window, make_window
from ._inverse import make_gain, result_length, without_padding
from .dispatch import check_backend
from .ops.frame_transform import frame_transform
from .ops.inverse import inverse
from .ops.restore_magnitude import restore_magnitude
from .plan import FramePlan

__all__ = ["griffinlim"]


def griffinlim(
    specgram: Tensor,
    window: Window,
    n_fft: int,
    hop_length: int | None,
    win_length: int | None,
    power: float,
    n_iter: int,
    momentum: float,
    length: int | None,
    rand_init: bool,
    *,
    center: bool = True,
    pad_mode: str = "reflect",
    center_pad: int | None = None,
    angles: Tensor | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[int], object] | None = None,
    backend: str | None = None,
) -> Tensor:
    """Samples whose spectrogram comes near to one without phases.

    Each round goes from the spectrum to samples and back, keeps the phases and restores the magnitudes S (D. W.
    Griffin and J. S. Lim, "Signal estimation from modified short-time Fourier transform", IEEE Trans. ASSP 32,
    1984), the step lengthened by momentum (N. Perraudin, P. Balazs and P. L. Søndergaard, "A fast Griffin-Lim
    algorithm", WASPAA 2013), in the form of torchaudio and librosa:

        y' = stft(istft(z)),  d = y' - momentum / (1 + momentum) y,  z = S d / (|d| + 1e-16),  y = y'

    From the same angles the result is torchaudio's up to rounding. librosa's starts from random phases of magnitude
    1 and pads with zeros: give ``angles`` = exp(i phases) and pad_mode="constant" for its result. Without gradients
    the rounds reuse two spectra and one array of samples, and allocate nothing.

    Args:
        specgram: real [..., F, M], F = n_fft // 2 + 1, not negative.
        window, hop_length, win_length: of the spectrogram, see ``fastspec.functional``.
        power: exponent of the magnitude that specgram holds.
        n_iter: rounds, at least 0.
        momentum: from 0, for the original algorithm, to below 1.
        length: samples of the result, such that M frames come out of them. Default: hop_length (M - 1), or what
            the frames cover without the padding.
        rand_init: start from complex numbers with real and imaginary parts uniform in [0, 1), torchaudio's; else
            from ones.
        center, pad_mode, center_pad: of the spectrogram, see ``fastspec.functional``.
        angles: complex tensor of specgram's shape to start from instead.
        generator: of the random numbers.
        callback: called with the number of rounds done, after each.
        backend: see ``fastspec.functional``.

    Returns:
        Samples [..., length].

    Raises:
        ValueError: an argument is wrong, or ``istft``'s reason.
    """
    plan = FramePlan.make(n_fft, hop_length, win_length, center, pad_mode, True, center_pad)
    name = check_backend(backend)
    power, momentum = real("power", power, 0.0, strict=True), real("momentum", momentum, 0.0)
    if momentum >= 1:
        raise ValueError(f"momentum must be at least 0 and below 1, got {momentum!r}")
    n_iter = integer("n_iter", n_iter, 0)
    check_generator(generator)
    if not (callback is None or callable(callback)):
        raise ValueError(f"callback must be a function of one number or None, got {callback!r}")
    if not isinstance(specgram, Tensor):
        raise ValueError(f"specgram must be a torch.Tensor, got {type(specgram).__name__}")
    if specgram.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"specgram must be a float32 or float64 tensor, got {specgram.dtype}")
    if specgram.dim() < 2 or specgram.shape[-2] != plan.n_bins or specgram.numel() == 0:
        raise ValueError(f"specgram must have shape [..., {plan.n_bins}, M] with M >= 1, got {list(specgram.shape)}")
    leading, n_frames = specgram.shape[:-2], specgram.shape[-1]
    length, _ = result_length(plan, n_frames, length)
    plan.check_length(length)
    if plan.n_frames(length) != n_frames:
        first = (n_frames - 1) * plan.hop_length + plan.n_fft - 2 * plan.pad
        raise ValueError(
            f"length must give the specgram's {n_frames} frames, so lie between {first} and "
            f"{first + plan.hop_length - 1}, got {length}"
        )
    w = make_window(window, plan.win_length, specgram.dtype, specgram.device)
    z = _start(specgram, flag("rand_init", rand_init), angles, generator)
    if power != 1:  # slope 0 in silence
        silent = specgram == 0
        specgram = specgram.masked_fill(silent, 1.0).pow(1 / power).masked_fill(silent, 0.0)
    magnitude = specgram.reshape(z.shape).contiguous()
    x = _iterate(magnitude, z, w, plan, n_iter, momentum / (1 + momentum), length, name, callback or (lambda _: None))
    return x.reshape(*leading, length)


def _start(specgram: Tensor, rand_init: bool, angles: Tensor | None, generator: torch.Generator | None) -> Tensor:
    """Where to begin, [B, F, M], before the magnitudes."""
    dtype = torch.complex128 if specgram.dtype is torch.float64 else torch.complex64  # torch.compile: no to_complex()
    shape, device = specgram.shape, specgram.device
    folded = (-1, *shape[-2:])
    if angles is not None:
        if not isinstance(angles, Tensor) or angles.shape != shape or angles.dtype != dtype or angles.device != device:
            got = f"{angles.dtype} {list(angles.shape)}" if isinstance(angles, Tensor) else type(angles).__name__
            raise ValueError(f"angles must be a {dtype} tensor of shape {list(shape)} on {device}, got {got}")
        return angles.reshape(folded)
    if rand_init:
        return torch.rand(shape, dtype=dtype, device=device, generator=generator).reshape(folded)
    return torch.ones(shape, dtype=dtype, device=device).reshape(folded)


def _iterate(
    magnitude: Tensor,
    z: Tensor,
    w: Tensor,
    plan: FramePlan,
    n_iter: int,
    step: float,
    length: int,
    backend: str,
    callback: Callable[[int], object],
) -> Tensor:
    gain = make_gain(w, plan, magnitude.shape[-1], plan.pad, length)
    frames = without_padding(plan)
    z = (z * magnitude).contiguous()
    if torch.compiler.is_compiling() or (torch.is_grad_enabled() and (z.requires_grad or w.requires_grad)):
        y = torch.zeros_like(z)
        for i in range(n_iter):
            rebuilt = frame_transform(inverse(z, w, gain, frames, plan.pad, backend), w, plan, backend)
            d = rebuilt - step * y
            z, y = d * (magnitude / (d.abs() + 1e-16)), rebuilt
            callback(i + 1)
        return inverse(z, w, gain, frames, plan.pad, backend)
    y = torch.zeros_like(z)
    x = z.new_empty((z.shape[0], length), dtype=magnitude.dtype)
    for i in range(n_iter):
        inverse(z, w, gain, frames, plan.pad, backend, x)
        frame_transform(x, w, plan, backend, z)  # z has done its duty; now it is the new y
        restore_magnitude(z, y, magnitude, step, plan)  # and y becomes the new z
        z, y = y, z
        callback(i + 1)
    return inverse(z, w, gain, frames, plan.pad, backend, x)
