"""spectral_power of a dense basis on the GPU: kernels/triton/frame_transform.py and spectral_power.py."""

from __future__ import annotations

import torch
from torch import Tensor

from ...plan import DensePlan, Ending
from .. import _triton as triton
from .._triton import refuse
from .reference import compress_slope, power_slope, powers

__all__ = ["backward", "forward", "forward_keeping", "refuse"]


def forward(
    x: Tensor, basis: Tensor, bank: Tensor | None, plan: DensePlan, ending: Ending, out: Tensor | None = None
) -> Tensor:
    """See the reference; power and compression happen in the registers of the product, bands in one kernel after."""
    return _forward(x, basis, bank, plan, ending, None, out)


def forward_keeping(
    x: Tensor, basis: Tensor, bank: Tensor | None, plan: DensePlan, ending: Ending
) -> tuple[Tensor, Tensor]:
    """The same, and the spectrum for `backward`."""
    y = triton.empty((x.shape[0], plan.n_bins, plan.n_frames(x.shape[1])), x, torch.complex64)
    return _forward(x, basis, bank, plan, ending, y, None), y


def _forward(
    x: Tensor,
    basis: Tensor,
    bank: Tensor | None,
    plan: DensePlan,
    ending: Ending,
    y: Tensor | None,
    out: Tensor | None,
) -> Tensor:
    work = triton.work_of(plan, x, x.shape[1])
    if out is None:
        out = triton.empty((x.shape[0], plan.n_bins if bank is None else bank.shape[1], work.grid.M), x)
    basis = basis.contiguous()
    if bank is None:
        triton.transform(work, x, basis, ending, y=y, v=out)
    elif y is not None:
        triton.transform(work, x, basis, y=y)
        triton.bands(y, bank, ending, out)
    else:
        v = triton.empty((x.shape[0], plan.n_bins, work.grid.M), x)
        triton.transform(work, x, basis, ending, v=v, log=False)
        triton.bands(v, bank, ending, out)
    return out


def backward(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    bank: Tensor | None,
    plan: DensePlan,
    ending: Ending,
    need_x: bool,
    need_basis: bool,
    y: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """See the reference; y is the spectrum that `forward_keeping` kept, or it is computed again."""
    work = triton.work_of(plan, x, x.shape[1])
    grad, basis = grad.contiguous(), basis.contiguous()
    if y is None:
        y = triton.empty((x.shape[0], plan.n_bins, work.grid.M), x, torch.complex64)
        triton.transform(work, x, basis, y=y)
    uncompressed = ending if bank is None else Ending(ending.power, ending.eps)
    if bank is not None:
        slope = triton.empty(tuple(grad.shape), x)
        triton.bands(y, bank, ending, slope, grad=grad)
        grad = triton.empty((x.shape[0], plan.n_bins, work.grid.M), x)
        triton.bands(slope, bank.mT, None, grad)
    if work.is_split:  # its scale wants to know the largest gradient
        v = powers(y, ending)
        grad = 2.0 * grad * power_slope(y, ending)
        y = y * (grad if bank is not None else grad * compress_slope(v, ending))
        scale, unscale = triton.scales(work, y, common=True)
        pack = {}
    else:
        scale, unscale = triton.scales(work, grad, common=True)
        pack = {"grad": grad, "ending": uncompressed}
    frames, bins = triton.pack_spectrum(work, y, scale, frames_first=need_x, bins_first=need_basis, **pack)
    grad_x = triton.overlap_add(work, frames, unscale, basis) if need_x else None
    grad_basis = triton.basis_grad(work, bins, unscale, x) if need_basis else None
    return grad_x, grad_basis
