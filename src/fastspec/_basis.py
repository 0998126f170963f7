"""The transform with any basis, as a function of samples and tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from ._inputs import fold_waveform, make_bank, make_ending, unfold
from .dispatch import check_backend
from .ops.frame_transform import frame_transform
from .ops.spectral_power import spectral_power
from .plan import DensePlan


def basis_transform(
    waveform: Tensor,
    basis: Tensor,
    plan: DensePlan,
    power: float | None = None,
    *,
    filterbank: Tensor | None = None,
    log: str | None = None,
    floor: float = 1e-10,
    floor_mode: str = "clamp",
    log_scale: float = 1.0,
    eps: float = 0.0,
    recompute: bool = False,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Every frame times any complex rows, each on its own part of the frame; differentiable in all tensors.

    Args:
        waveform: samples [..., T].
        basis: packed taps [2, S], real parts over imaginary parts, the rows' taps one after another.
        plan: frames, and the rows' supports; ``fastspec.plan.DensePlan.make``.
        power: exponent of the magnitude, or None for the complex spectrum (then no filterbank and no log).
        filterbank: any matrix [F, K] that follows the power.
        recompute: for gradients of a power, compute the spectrum again instead of keeping it: less memory, and one
            more product.
        others: see the module.

    Returns:
        [..., F, M], or [..., K, M] with a filterbank.
    """
    if not isinstance(plan, DensePlan):
        raise ValueError(f"plan must be a DensePlan, got {type(plan).__name__}")
    ending = make_ending(power, eps, log, floor, floor_mode, log_scale)
    x, compute, result = fold_waveform(waveform, dtype)
    if not isinstance(basis, Tensor) or not basis.is_floating_point() or basis.device != x.device:
        raise ValueError(f"basis must be a real floating point tensor on {x.device}, got {basis!r:.80}")
    basis, name = basis.to(compute), check_backend(backend)
    if ending is None:
        if filterbank is not None:
            raise ValueError("filterbank must be None with power=None: a complex spectrum has no bands")
        return unfold(frame_transform(x, basis, plan, name), waveform.shape[:-1], result)
    bank = None if filterbank is None else make_bank(filterbank, plan.n_bins, compute, x.device)
    u = spectral_power(x, basis, bank, plan, ending, name, recompute=recompute)
    return unfold(u, waveform.shape[:-1], result)
