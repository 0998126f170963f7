"""Padding, framing and the product with a basis in plain PyTorch, and their adjoints: what the references share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from ..plan import DensePlan, FramePlan, Framing, Plan

DTYPES = (torch.float32, torch.float64, torch.int16)
INT16_SCALE = 1.0 / 32768.0


def refuse(plan: Plan, *tensors: Tensor | None) -> str | None:
    """The references run everywhere, in float32 and float64 (and int16 samples)."""
    for tensor in tensors:
        if (
            tensor is not None
            and tensor.dtype not in DTYPES
            and tensor.dtype not in (torch.complex64, torch.complex128)
        ):
            return f"the reference computes in float32 and float64, not in {tensor.dtype}"
    return None


def to_float(x: Tensor) -> Tensor:
    """Samples as numbers: int16 PCM means x / 32768 in float32."""
    return x.to(torch.float32) * INT16_SCALE if x.dtype == torch.int16 else x


def _sources(plan: Framing, length: int, device: torch.device) -> Tensor:
    """For each sample of the padded signal the index it is copied from; `length` stands for a zero."""
    t = torch.arange(-plan.pad, length + plan.pad, device=device)
    if plan.pad_mode == "reflect":
        t = t.abs()
        return (length - 1) - ((length - 1) - t).abs()
    if plan.pad_mode == "replicate":
        return t.clamp(0, length - 1)
    if plan.pad_mode == "circular":
        return t.remainder(length)
    return t.where((t >= 0) & (t < length), length)


def _prepare(frames: Tensor, plan: FramePlan) -> Tensor:
    """The samples under the window [B, M, win_length], without their mean, then z[n] - c z[max(n - 1, 0)]."""
    if plan.remove_dc:
        frames = frames - frames.mean(-1, keepdim=True)
    return frames - plan.preemphasis * torch.cat([frames[..., :1], frames[..., :-1]], -1)


def _prepare_adjoint(pieces: Tensor, plan: FramePlan) -> Tensor:
    """The adjoint of `_prepare`."""
    first = F.pad(plan.preemphasis * pieces[..., :1], (0, plan.win_length - 1))
    pieces = pieces - plan.preemphasis * F.pad(pieces[..., 1:], (0, 1)) - first
    return pieces - pieces.mean(-1, keepdim=True) if plan.remove_dc else pieces


def frames(x: Tensor, plan: Plan) -> Tensor:
    """Frames [B, M, n_fft] of x [B, T], padded as the plan says; a view of the padded signal, unless prepared."""
    length = x.shape[1]
    if plan.pad:
        x = F.pad(x, (0, 1)).index_select(1, _sources(plan, x.shape[1], x.device))
    if isinstance(plan, DensePlan) or not plan.prepared:
        return x.unfold(1, plan.n_fft, plan.hop_length)
    under_window = x[:, plan.left :].unfold(1, plan.win_length, plan.hop_length)[:, : plan.n_frames(length)]
    return F.pad(_prepare(under_window, plan), (plan.left, plan.n_fft - plan.win_length - plan.left))


def fold(pieces: Tensor, plan: Plan, length: int) -> Tensor:
    """The adjoint of `frames`: pieces [B, M, n_fft] added where they come from, [B, T = length]."""
    n_frames = pieces.shape[1]
    if isinstance(plan, FramePlan) and plan.prepared:
        outside = plan.left, plan.n_fft - plan.win_length - plan.left
        pieces = F.pad(_prepare_adjoint(pieces[..., outside[0] : plan.n_fft - outside[1]], plan), outside)
    covered = (n_frames - 1) * plan.hop_length + plan.n_fft
    padded = F.fold(pieces.mT, (1, covered), (1, plan.n_fft), stride=(1, plan.hop_length)).flatten(1)
    padded = F.pad(padded, (0, length + 2 * plan.pad - covered))
    if not plan.pad:
        return padded
    sources = _sources(plan, length, pieces.device)
    return padded.new_zeros(pieces.shape[0], length + 1).index_add_(1, sources, padded)[:, :length].clone()


def transform(pieces: Tensor, basis: Tensor, plan: Plan) -> Tensor:
    """Frames [B, M, n_fft] to their spectra [B, M, F]: sum over n of H[f, n] pieces[n]."""
    if isinstance(plan, DensePlan):
        rows = _rows(basis, plan)
        return torch.complex(_matmul(pieces, rows[0].mT), _matmul(pieces, rows[1].mT))
    pieces = pieces * F.pad(basis, (plan.left, plan.n_fft - plan.win_length - plan.left))
    return torch.fft.rfft(pieces) if plan.onesided else torch.fft.fft(pieces)


def transform_adjoint(y: Tensor, basis: Tensor, plan: Plan) -> Tensor:
    """The adjoint of `transform` in the frames: Re of the sum over f of conj(H[f, n]) y[f], [B, M, n_fft]."""
    if isinstance(plan, DensePlan):
        rows = _rows(basis, plan)
        return _matmul(y.real, rows[0]) + _matmul(y.imag, rows[1])
    return _turned(y, plan) * F.pad(basis, (plan.left, plan.n_fft - plan.win_length - plan.left))


def basis_adjoint(pieces: Tensor, y: Tensor, plan: Plan) -> Tensor:
    """The adjoint of `transform` in the basis: [win_length], or [2, S]."""
    if isinstance(plan, DensePlan):
        flat = pieces.flatten(0, 1)
        rows = torch.stack([_matmul(part.flatten(0, 1).mT, flat) for part in (y.real, y.imag)])
        return torch.cat([rows[:, f, a:b] for f, (a, b) in enumerate(zip(plan.starts, plan.stops, strict=True))], 1)
    under_window = slice(plan.left, plan.left + plan.win_length)
    return (pieces[..., under_window] * _turned(y, plan)[..., under_window]).sum((0, 1))


def _turned(y: Tensor, plan: FramePlan) -> Tensor:
    """The adjoint of the bare Fourier transform: Re of the sum over f of y[f] exp(2 pi i f n / n_fft)."""
    if plan.onesided:  # not left to ifft, and in two parts: ONNX pads no complex numbers
        y = torch.complex(*(F.pad(part, (0, plan.n_fft - plan.n_bins)) for part in (y.real, y.imag)))
    return torch.fft.ifft(y, norm="forward").real


def own_precision(device: str) -> AbstractContextManager:
    """Products in their operands' precision even under autocast, which some devices ("meta") do not have."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    with own_precision(a.device.type):
        return torch.matmul(a, b)


def _rows(basis: Tensor, plan: DensePlan) -> Tensor:
    """Packed taps [2, S] as rows [2, F, n_fft] with zeros around the supports."""
    ends = list(zip(plan.starts, plan.stops, strict=True))
    pieces = basis.split([stop - start for start, stop in ends], 1)
    rows = [F.pad(piece, (a, plan.n_fft - b)) for piece, (a, b) in zip(pieces, ends, strict=True)]
    return torch.stack(rows, 1)
