"""From bands back to bins: non-negative least squares, and on to samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._checks import integer, real
from ._griffin_lim import griffinlim
from ._inputs import Window, bank_arguments, constant, make_bank
from .plan import Ending, FramePlan
from .temporal import check_real

__all__ = ["inverse_filterbank", "inverse_mel_spectrogram", "undo_log"]

CHECK_EVERY = 10  # iterations


def inverse_filterbank(bands: Tensor, filterbank: Tensor, max_iter: int = 200, tolerance: float = 1e-4) -> Tensor:
    """The non-negative spectrogram whose bands come nearest: argmin over X >= 0 of |filterbank^T X - bands|^2.

    Accelerated projected gradients (A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for
    linear inverse problems", SIAM J. Imaging Sciences 2, 2009), restarted frame by frame when the momentum points
    uphill (B. O'Donoghue and E. Candès, "Adaptive restart for accelerated gradient schemes", Found. Comput. Math. 15,
    2015), every bin with a step of its own, 1 / (filterbank filterbank^T 1), which a matrix without negative numbers
    allows (A. R. De Pierro, "On the relation between the ISRA and the EM algorithm", IEEE Trans. Med. Imaging 12,
    1993). Where many spectrograms have the same bands, which is the rule, the one found is smooth, for it starts from
    the bands spread over their bins; bins that no band holds are 0.

    It stops when no frame's step moves a bin by more than ``tolerance`` times the frame's largest, looked at every 10
    iterations, or after ``max_iter``.

    Args:
        bands: real [..., K, M].
        filterbank: real [F, K], no weight negative.
        max_iter: iterations at most, 1 or more.
        tolerance: see above.

    Returns:
        [..., F, M].

    Raises:
        ValueError: a shape or dtype is wrong, or a weight negative.
    """
    max_iter, tolerance = integer("max_iter", max_iter, 1), real("tolerance", tolerance, 0.0)
    if not isinstance(bands, Tensor):
        raise ValueError(f"bands must be a torch.Tensor, got {type(bands).__name__}")
    if bands.dtype not in (torch.float32, torch.float64) or bands.dim() < 2 or bands.numel() == 0:
        raise ValueError(f"bands must be float32 or float64 [..., K, M], got {bands.dtype} {list(bands.shape)}")
    n_bins = filterbank.shape[0] if isinstance(filterbank, Tensor) and filterbank.dim() else 0
    bank = make_bank(filterbank, n_bins, bands.dtype, bands.device)
    if bank.shape[1] != bands.shape[-2]:
        raise ValueError(f"bands must have shape [..., {bank.shape[1]}, M] as the filterbank, got {list(bands.shape)}")
    if bool((bank < 0).any()):
        raise ValueError(f"filterbank must hold no negative weight, got {float(bank.min())}")
    folded = bands.reshape(-1, *bands.shape[-2:])
    x = _nearest(folded, bank, max_iter, tolerance)
    return x.reshape(*bands.shape[:-2], *x.shape[1:])


def _nearest(b: Tensor, bank: Tensor, max_iter: int, tolerance: float) -> Tensor:
    """X [B, F, M] of bands b [B, K, M]."""
    curvature = bank @ bank.sum(0)[:, None]  # [F, 1]
    step = torch.where(curvature > 0, 1 / curvature.where(curvature > 0, 1.0), 0.0)
    scaled = step * bank  # [F, K]
    x = before = (scaled @ b).relu()
    t = b.new_ones(b.shape[0], 1, b.shape[2])
    z = x
    for i in range(1, max_iter + 1):
        move = scaled @ (b - bank.mT @ z)
        x, before = (z + move).relu(), x
        moved = x - before
        uphill = ((z - x) * moved).sum(1, keepdim=True) > 0
        t = t.masked_fill(uphill, 1.0)
        after = 0.5 + (0.25 + t * t).sqrt()
        z, last, t = x + ((t - 1) / after).masked_fill(uphill, 0.0) * moved, z, after
        if i % CHECK_EVERY == 0 and bool(((x - last).abs().amax(1) <= tolerance * x.amax(1)).all()):
            break
    return x


def inverse_mel_spectrogram(
    melspec: Tensor,
    sample_rate: int = 16000,
    n_fft: int = 400,
    win_length: int | None = None,
    hop_length: int | None = None,
    f_min: float = 0.0,
    f_max: float | None = None,
    window: Window = None,
    power: float = 2.0,
    norm: str | None = None,
    mel_scale: str = "htk",
    n_iter: int = 32,
    momentum: float = 0.99,
    length: int | None = None,
    rand_init: bool = True,
    *,
    filterbank: Tensor | None = None,
    log: str | None = None,
    floor: float = 1e-10,
    floor_mode: str = "clamp",
    log_scale: float = 1.0,
    max_iter: int = 200,
    tolerance: float = 1e-4,
    **lim: Any,
) -> Tensor:
    """Samples whose ``mel_spectrogram`` comes near: the logarithm undone, ``inverse_filterbank``, ``griffinlim``.

    Args:
        melspec: real [..., K, M].
        sample_rate to mel_scale, filterbank, log to log_scale: those of ``mel_spectrogram``.
        n_iter, momentum, length, rand_init: see ``griffinlim``.
        max_iter, tolerance: see ``inverse_filterbank``.
        lim: ``griffinlim``'s keywords: ``center``, ``pad_mode``, ``center_pad``, ``angles``, ``generator``,
            ``callback``, ``backend``.

    Returns:
        Samples [..., length].
    """
    check_real("melspec", melspec, 2)
    bands = undo_log(melspec, log, power, floor, floor_mode, log_scale)
    n_bins = FramePlan.make(n_fft).n_bins
    if filterbank is None:
        arguments = bank_arguments(n_bins, f_min, f_max, melspec.shape[-2], sample_rate, "n_mels")
        filterbank = constant("mel_filterbank", (*arguments, norm, mel_scale), bands.dtype, bands.device)
    filterbank = make_bank(filterbank, n_bins, bands.dtype, bands.device)
    specgram = inverse_filterbank(bands, filterbank, max_iter, tolerance)
    sizes = n_fft, hop_length, win_length
    return griffinlim(specgram, window, *sizes, power, n_iter, momentum, length, rand_init, **lim)


def undo_log(values: Tensor, log: str | None, power: float, floor: float, floor_mode: str, log_scale: float) -> Tensor:
    """The values before a logarithm, not negative; what it had clamped stays at the floor.

    Args:
        values: any real tensor that came with ``log``, ``power``, ``floor``, ``floor_mode`` and ``log_scale`` of
            ``fastspec.functional``.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    check_real("values", values, 0)
    ending = Ending.make(power, 0.0, log, floor, floor_mode, real("log_scale", log_scale, 0.0, strict=True))
    if ending.log == "none":
        return values
    if ending.log == "log1p":
        return torch.expm1(values).clamp(min=0) / ending.scale
    base = {"ln": 1.0, "log10": 2.302585092994046, "db": 2.302585092994046 * ending.power / 20.0}[ending.log]
    u = torch.exp(values * base)
    return (u - ending.floor).clamp(min=0) if ending.floor_mode == "add" else u
