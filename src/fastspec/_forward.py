"""From samples to a spectrum, or to its bands: what every front end calls once its plan is made."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import integer
from ._inputs import Window, constant, fold_waveform, make_bank, make_window, normalization, normalize_window, unfold
from .dispatch import check_backend
from .ops.frame_transform import frame_transform
from .ops.spectral_power import spectral_power
from .plan import Ending, FramePlan

Builder = tuple[str, tuple]  # a builder of bases and its arguments, for a constant not made yet


def transform(
    waveform: Tensor,
    pad: int,
    window: Window,
    bank: Tensor | Builder | None,
    plan: FramePlan,
    ending: Ending | None,
    normalized: bool | str,
    backend: str | None,
    dtype: torch.dtype | None,
    out: Tensor | None,
) -> Tensor:
    """Samples [..., T] to the complex spectrum [..., F, M] (no ending), or to [..., K or F, M]."""
    x, compute, result = fold_waveform(waveform, dtype)
    leading, name = waveform.shape[:-1], check_backend(backend)
    if type(pad) is not int or pad:
        pad = integer("pad", pad, 0)
        x = torch.nn.functional.pad(x, (pad, pad))
    device = x.device
    w = make_window(window, plan.win_length, compute, device)
    if normalized is not False:
        w = normalize_window(w, normalization(normalized), plan.n_fft)
    if isinstance(bank, tuple):
        bank = constant(*bank, compute, device)
    elif bank is not None:
        bank = make_bank(bank, plan.n_bins, compute, device)
    folded = None if out is None else _fold_out(out, leading, result)
    if ending is None:
        y = frame_transform(x, w, plan, name, folded)
    else:
        y = spectral_power(x, w, bank, plan, ending, name, folded)
    return unfold(y, leading, result) if out is None else out


def _fold_out(out: Tensor, leading: torch.Size, result: torch.dtype) -> Tensor:
    """``out`` as the op's [B, ...], which the op checks further."""
    if result not in (torch.float32, torch.float64):
        raise ValueError(f"out takes float32 and float64 results alone, got dtype {result}")
    if not isinstance(out, Tensor):
        raise ValueError(f"out must be a torch.Tensor, got {type(out).__name__}")
    if not out.is_contiguous() or out.shape[:-2] != leading:
        raise ValueError(f"out must be contiguous with leading dimensions {list(leading)}, got {list(out.shape)}")
    return out.view(-1, *out.shape[-2:])
