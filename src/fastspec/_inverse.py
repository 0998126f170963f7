"""From a spectrum back to samples: overlap-add with the dual window."""

from __future__ import annotations

import sys
from dataclasses import replace

import torch
from torch import Tensor

from ._checks import flag, integer, room, warn
from ._inputs import Window, make_window, normalize_window
from .ops._autograd import check_out, copy_out, is_direct
from .ops.inverse import inverse
from .plan import FramePlan, cached

SMALLEST_ENVELOPE = 1e-11

_gains: dict[tuple, tuple[Tensor, Tensor]] = {}


def invert(
    spectrum: Tensor,
    window: Window,
    plan: FramePlan,
    length: int | None,
    normalized: str,
    onesided: bool | None,
    backend: str,
    out: Tensor | None = None,
) -> Tensor:
    """The samples whose frames come nearest to a spectrum: x = sum_m w f_m / sum_m w^2, f_m the inverse DFT
    of frame m.

    Args:
        spectrum: complex [..., F, M].
        plan: of the forward transform, one-sided; its padding is what gets cut off.
        length: samples wanted, or None.
        normalized: "", "window" or "frame_length".
        onesided: False: the spectrum has n_fft bins, of which the first half is used. None: whichever it has.
        out: contiguous [..., length] to write to, or None.

    Returns:
        Samples [..., length].
    """
    if torch.jit.is_tracing():  # type: ignore[reportPrivateImportUsage]
        raise NotImplementedError("torch.jit.trace would fix the number of frames; use torch.export.export")
    y, n_frames = fold_spectrum(spectrum, plan, onesided)
    length, told = result_length(plan, n_frames, length)
    if told < length:
        room("length", length, length)
        warn(f"length = {length} exceeds what the frames cover by {length - told} samples: zeros")
    real = torch.float64 if y.dtype is torch.complex128 else torch.float32
    w = make_window(window, plan.win_length, real, y.device)
    gain = make_gain(w, plan, n_frames, plan.pad, length)
    leading = spectrum.shape[:-2]
    folded = None
    if out is not None:
        if not isinstance(out, Tensor) or not out.is_contiguous() or out.shape[:-1] != leading:
            raise ValueError(f"out must be a contiguous tensor with leading dimensions {list(leading)}, got {out!r}")
        folded = out.view(-1, out.shape[-1])
    dual = normalize_window(w, normalized, plan.n_fft, inverse=True)
    x = add_up(y, dual, gain, without_padding(plan), plan.pad, backend, folded)
    return x.reshape(leading + x.shape[1:]) if out is None else out


def add_up(
    y: Tensor, dual: Tensor, gain: Tensor, plan: FramePlan, start: int, backend: str, out: Tensor | None = None
) -> Tensor:
    """``ops.inverse``, in float64 where more than 32 frames meet at a sample: float32 sums of so many terms, alike as
    those of a window without a slope, would keep less than 130 dB (127 of 64 frames, 115 of 256)."""
    if y.dtype is torch.complex128 or plan.n_fft <= 32 * plan.hop_length:
        return inverse(y, dual, gain, plan, start, backend, out)
    check_out(out, (y.shape[0], gain.shape[0]), gain.dtype, y.device)
    x = inverse(y.to(torch.complex128), dual.double(), gain.double(), plan, start, backend).to(dual.dtype)
    return x if out is None else copy_out(out, x)


def fold_spectrum(spectrum: Tensor, plan: FramePlan, onesided: bool | None) -> tuple[Tensor, int]:
    """Check a spectrum; its one-sided half [B, F, M], and M."""
    if not isinstance(spectrum, Tensor):
        raise ValueError(f"spectrum must be a torch.Tensor, got {type(spectrum).__name__}")
    if not spectrum.is_complex() or spectrum.dtype is torch.complex32:
        raise ValueError(f"spectrum must be a complex64 or complex128 tensor, got {spectrum.dtype}")
    if onesided is None:
        allowed = plan.n_bins, plan.n_fft
    else:
        allowed = (plan.n_bins if flag("onesided", onesided) else plan.n_fft,)
    if spectrum.dim() < 2 or spectrum.shape[-2] not in allowed or spectrum.numel() == 0:
        bins = " or ".join(map(str, allowed))
        raise ValueError(f"spectrum must have shape [..., {bins}, M] with M >= 1, got {list(spectrum.shape)}")
    n_bins, n_frames = spectrum.shape[-2:]
    return spectrum.reshape(-1, n_bins, n_frames)[:, : plan.n_bins], n_frames


def result_length(plan: FramePlan, n_frames: int, length: int | None) -> tuple[int, int]:
    """Samples of the result, and how many of them the frames reach."""
    if length is not None:
        length = integer("length", length, 1, largest=sys.maxsize)
    covered = plan.n_fft + plan.hop_length * (n_frames - 1)
    told = covered - 2 * plan.pad if length is None else min(length, covered - plan.pad)
    if told < 1:
        raise ValueError(f"length must be at least 1 sample, got {told}: the frames cover no more than padding")
    return told if length is None else length, told


@cached
def without_padding(plan: FramePlan) -> FramePlan:
    """The same frames of a signal that holds its padding."""
    return replace(plan, pad=0, pad_mode="none")


def make_gain(
    window: Tensor, plan: FramePlan, n_frames: int, start: int, length: int, ends: tuple[bool, bool] | None = None
) -> Tensor:
    """The ``gain`` [length] of ``ops.inverse``: 2 / (n_fft sum_m w[n - m hop]^2) from sample ``start`` on.

    Kept for the next call with an equal window. At an open end it is 0 as far as no frame tells; elsewhere that
    is a ValueError.

    Args:
        ends: which ends are open, first and last. Default: both without padding (center=False), else none.
    """
    ends = (plan.pad == 0, plan.pad == 0) if ends is None else ends
    if window.device.type != "cpu" or not is_direct(window):
        return _build_gain(window, plan, n_frames, start, length, ends)
    key = (window.dtype, plan, n_frames, start, length, ends)
    kept = _gains.get(key)
    if kept is None or not torch.equal(kept[0], window):
        with torch.inference_mode(False), torch.no_grad():
            kept = window.clone(), _build_gain(window, plan, n_frames, start, length, ends)
        if len(_gains) >= 16:
            _gains.clear()
        _gains[key] = kept
    return kept[1]


def _build_gain(
    window: Tensor, plan: FramePlan, n_frames: int, start: int, length: int, ends: tuple[bool, bool]
) -> Tensor:
    covered = plan.n_fft + plan.hop_length * (n_frames - 1)
    envelope = _envelope(window, plan, n_frames, start, max(start, min(start + length, covered)))
    told = envelope >= SMALLEST_ENVELOPE
    if not torch.compiler.is_compiling() and not envelope.is_meta:
        _check(told, ends)
    gain = torch.where(told, 2.0 / plan.n_fft / envelope.where(told, 1.0), 0.0)
    return torch.nn.functional.pad(gain, (0, length - gain.shape[0])).to(window.dtype)


def _envelope(window: Tensor, plan: FramePlan, n_frames: int, start: int, stop: int) -> Tensor:
    """Samples start to stop of sum_m w[n - m hop]^2, in float64, by blocks of hop samples.

    The squared window has R blocks; block j of the envelope is the sum of the blocks max(0, j - M + 1) to
    min(j, R - 1): the difference of two partial sums, in float64 so that nothing is lost.
    """
    hop, blocks = plan.hop_length, -(-plan.n_fft // plan.hop_length)
    square = window.double().square()
    right = blocks * hop - plan.left - plan.win_length
    partial = torch.nn.functional.pad(square, (plan.left, right)).view(blocks, hop).cumsum(0)
    partial = torch.nn.functional.pad(partial, (0, 0, 1, 0))  # partial[r]: sum of the blocks below r
    j = torch.arange(start // hop, -(-stop // hop), device=window.device)
    sums = partial[(j + 1).clamp(max=blocks)] - partial[(j + 1 - n_frames).clamp(0, blocks)]
    first = start // hop * hop
    return sums.view(-1)[start - first : stop - first]


def _check(told: Tensor, ends: tuple[bool, bool]) -> None:
    """Raise ValueError where the frames tell nothing; at open ends they may."""
    if bool(told.all()):
        return
    low = (~told).nonzero().flatten()
    if any(ends):
        some = told.nonzero().flatten()
        if all(ends) and not len(some):
            raise ValueError("window: its squares sum to nothing at every sample of the result; is it zero?")
        first, last = (int(some[0]), int(some[-1])) if len(some) else (len(told), -1)
        low = low[((low > first) | (not ends[0])) & ((low < last) | (not ends[1]))]
    if len(low):
        gaps = (low.diff() > 1).nonzero().flatten()
        first, last = int(low[0]), int(low[gaps[0]] if len(gaps) else low[-1])
        raise ValueError(
            f"window: its squares sum to less than {SMALLEST_ENVELOPE:g} at samples {first} to {last} of the "
            f"result ({len(low)} samples in all), which no frame can tell; choose a smaller hop_length, "
            "center=True, or a window without zeros at its ends"
        )
