"""From a spectrum back to samples: overlap-add with the dual window."""

from __future__ import annotations

import sys
import warnings

import torch
from torch import Tensor

from ._checks import flag, integer
from ._inputs import Window, constant, make_window, normalize_window
from .ops._autograd import is_direct
from .ops.overlap_add import overlap_add
from .plan import FramePlan

SMALLEST_ENVELOPE = 1e-11

_envelopes: dict[tuple, tuple[Tensor, Tensor]] = {}


def invert(
    spectrum: Tensor,
    window: Window,
    plan: FramePlan,
    length: int | None,
    normalized: str,
    onesided: bool,
    backend: str,
) -> Tensor:
    """The samples whose frames come nearest to a spectrum: x = sum_m w f_m / sum_m w^2, f_m the inverse DFT
    of frame m.

    Args:
        spectrum: complex [..., F, M].
        plan: of the forward transform, one-sided; its padding is what gets cut off.
        length: samples wanted, or None.
        normalized: "", "window" or "frame_length".
        onesided: False: the spectrum has n_fft bins, of which the first half is used.

    Returns:
        Samples [..., length].
    """
    if not isinstance(spectrum, Tensor):
        raise ValueError(f"spectrum must be a torch.Tensor, got {type(spectrum).__name__}")
    if length is not None:
        length = integer("length", length, 1, largest=sys.maxsize)
    n_bins = plan.n_bins if flag("onesided", onesided) else plan.n_fft
    if not spectrum.is_complex() or spectrum.dtype is torch.complex32:
        raise ValueError(f"spectrum must be a complex64 or complex128 tensor, got {spectrum.dtype}")
    if spectrum.dim() < 2 or spectrum.shape[-2] != n_bins or spectrum.numel() == 0:
        raise ValueError(f"spectrum must have shape [..., {n_bins}, M] with M >= 1, got {list(spectrum.shape)}")
    leading, (n_bins, n_frames) = spectrum.shape[:-2], spectrum.shape[-2:]
    real = torch.float64 if spectrum.dtype is torch.complex128 else torch.float32
    device = spectrum.device
    y = spectrum.reshape(-1, n_bins, n_frames)[:, : plan.n_bins]

    covered = plan.n_fft + plan.hop_length * (n_frames - 1)
    start = plan.pad
    stop = covered - plan.pad if length is None else min(start + length, covered)
    if stop <= start:
        raise ValueError(f"length must be at least 1 sample, got {stop - start}: the frames cover no more than padding")

    w = make_window(window, plan.win_length, real, device)
    dual = normalize_window(w, normalized, plan.n_fft, inverse=True)
    uncut = FramePlan.make(plan.n_fft, plan.hop_length, plan.win_length, False)
    weights = constant("inverse_weights", (plan.n_fft,), real, device)
    frames = overlap_add(y * weights, dual, uncut, covered, backend)
    x = frames[:, start:stop] / _envelope(w, uncut, n_frames, start, stop)

    missing = 0 if length is None else length - (stop - start)
    if missing:
        warnings.warn(f"length = {length} exceeds what the frames cover by {missing} samples: zeros", stacklevel=3)
        x = torch.nn.functional.pad(x, (0, missing))
    return x.reshape(leading + x.shape[1:])


def _envelope(window: Tensor, plan: FramePlan, n_frames: int, start: int, stop: int) -> Tensor:
    """Samples start to stop of sum_m w[n - m hop]^2, kept for the next call with an equal window."""
    if window.device.type != "cpu" or not is_direct(window):
        return _build_envelope(window, plan, n_frames, start, stop)
    key = (window.dtype, plan, n_frames, start, stop)
    kept = _envelopes.get(key)
    if kept is None or not torch.equal(kept[0], window):
        with torch.inference_mode(False), torch.no_grad():
            kept = window.clone(), _build_envelope(window, plan, n_frames, start, stop)
        if len(_envelopes) >= 16:
            _envelopes.clear()
        _envelopes[key] = kept
    return kept[1]


def _build_envelope(window: Tensor, plan: FramePlan, n_frames: int, start: int, stop: int) -> Tensor:
    """The envelope by blocks of hop samples.

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
    envelope = sums.view(-1)[start - first : stop - first]
    if not torch.compiler.is_compiling() and not envelope.is_meta:
        _check_envelope(envelope.detach())
    return envelope.to(window.dtype)


def _check_envelope(envelope: Tensor) -> None:
    """Raise ValueError where the frames tell nothing."""
    low = (envelope.abs() < SMALLEST_ENVELOPE).nonzero().flatten()
    if len(low):
        gaps = (low.diff() > 1).nonzero().flatten()
        first, last = int(low[0]), int(low[gaps[0]] if len(gaps) else low[-1])
        raise ValueError(
            f"window: its squares sum to less than {SMALLEST_ENVELOPE:g} at samples {first} to {last} of the "
            f"result ({len(low)} samples in all), which no frame can tell; choose a smaller hop_length, "
            "center=True, or a window without zeros at its ends"
        )
