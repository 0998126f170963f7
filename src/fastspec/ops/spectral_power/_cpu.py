"""spectral_power on the CPU: kernels/cpu/spectral_power.cc, and for dense bases the walk of ops/_dense.py."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import _native
from ...plan import DensePlan, Ending, Plan
from .. import _cpu as cpu
from .. import _dense as dense
from .. import _few_rows as few_rows
from .._cpu import refuse
from ..basis_grad import _cpu as basis_grad
from .reference import bands, compress, compress_slope, grad_spectrum, powers

__all__ = ["backward", "forward", "forward_keeping", "refuse"]


def forward(
    x: Tensor, basis: Tensor, bank: Tensor | None, plan: Plan, ending: Ending, out: Tensor | None = None
) -> Tensor:
    """See the reference; one pass from samples to bands."""
    if isinstance(plan, DensePlan):
        return _dense_forward(x, basis, bank, plan, ending, out, None)
    batch, samples = x.shape
    frames = plan.n_frames(samples)
    x, address = cpu.rows(x)
    basis = basis.contiguous()
    native_bank, _owner = cpu.bank_of(bank, plan)
    if out is None:
        out = cpu.empty((batch, plan.n_bins if bank is None else bank.shape[1], frames), basis.dtype)
    _native.spectral_power(
        cpu.plan_of(plan),
        *cpu.call(basis.dtype, batch, samples, frames),
        *address,
        basis.data_ptr(),
        native_bank,
        cpu.ending_of(ending),
        out.data_ptr(),
    )
    return out


def backward(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    bank: Tensor | None,
    plan: Plan,
    ending: Ending,
    need_x: bool,
    need_basis: bool,
    y: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """See the reference; without y computes the spectrum again, and writes nothing but the gradients."""
    if isinstance(plan, DensePlan):
        return _dense_backward(grad, x, basis, bank, plan, ending, need_x, need_basis, y)
    batch, samples = x.shape
    x, address = cpu.rows(x)
    grad, basis = grad.contiguous(), basis.contiguous()
    native_bank, _owner = cpu.bank_of(bank, plan)
    grad_x = cpu.empty((batch, samples), basis.dtype) if need_x else None
    grad_basis = torch.empty_like(basis) if need_basis else None
    _native.spectral_power_backward(
        cpu.plan_of(plan),
        *cpu.call(basis.dtype, batch, samples, grad.shape[2]),
        grad.data_ptr(),
        *address,
        basis.data_ptr(),
        native_bank,
        cpu.ending_of(ending),
        0 if grad_x is None else grad_x.data_ptr(),
        0 if grad_basis is None else grad_basis.data_ptr(),
    )
    return grad_x, grad_basis


def forward_keeping(
    x: Tensor, basis: Tensor, bank: Tensor | None, plan: DensePlan, ending: Ending
) -> tuple[Tensor, Tensor]:
    """The result and the spectrum."""
    y = cpu.empty((x.shape[0], plan.n_bins, plan.n_frames(x.shape[1])), basis.dtype.to_complex())
    return _dense_forward(x, basis, bank, plan, ending, None, y), y


def _dense_forward(
    x: Tensor,
    basis: Tensor,
    bank: Tensor | None,
    plan: DensePlan,
    ending: Ending,
    out: Tensor | None,
    y: Tensor | None,
) -> Tensor:
    """The result; the spectrum is written to y, or nowhere."""
    batch, frames = x.shape[0], plan.n_frames(x.shape[1])
    n_bands = plan.n_bins if bank is None else bank.shape[1]
    out = cpu.empty((batch, n_bands, frames), basis.dtype) if out is None else out
    if few_rows.suits(plan):
        if bank is None:
            few_rows.transform(x, basis, plan, y, ending, out)
            return out
        if y is None:
            y = cpu.empty((batch, plan.n_bins, frames), basis.dtype.to_complex())
        few_rows.transform(x, basis, plan, y)
        return out.copy_(compress(bands(powers(y, ending), bank), ending))
    padded, walk = dense.pad(x, plan), dense.Walk(plan, batch, frames, basis.dtype)
    panels = walk.pack(basis)
    for tile, z in walk.tiles():
        walk.transform(padded, panels, tile, z)
        spectrum, results = None if y is None else dense.part(y, tile), dense.part(out, tile)
        if bank is None:
            walk.store(z, tile, spectrum, ending, results)
        else:
            v = _values(walk, z, tile, spectrum, ending)
            results.copy_(compress(bands(v, bank), ending))
    return out


def _values(walk: dense.Walk, z: Tensor, tile: dense.Tile, y: Tensor | None, ending: Ending) -> Tensor:
    """|y|^p of a tile [clips, F, frames], before bands and logarithm."""
    v = z.new_empty(tile[1] - tile[0], z.shape[1], tile[3] - tile[2])
    walk.store(z, tile, y, Ending(ending.power, ending.eps), v)
    return v


def _dense_backward(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    bank: Tensor | None,
    plan: DensePlan,
    ending: Ending,
    need_x: bool,
    need_basis: bool,
    y: Tensor | None,
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients in x and in the basis; that in the spectrum is never in memory, unless the rows are few."""
    if few_rows.suits(plan):
        if y is None:
            y = cpu.empty((x.shape[0], plan.n_bins, grad.shape[2]), basis.dtype.to_complex())
            few_rows.transform(x, basis, plan, y)
        grad_y = grad_spectrum(grad, y, bank, ending)
        grad_x = cpu.empty(tuple(x.shape), basis.dtype) if need_x else None
        if grad_x is not None:
            few_rows.overlap_add(grad_y, basis, plan, x.shape[1], grad_x)
        return grad_x, basis_grad.forward(x, grad_y, plan) if need_basis else None
    basis, padded = basis.contiguous(), dense.pad(x, plan)
    walk = dense.Walk(plan, x.shape[0], grad.shape[2], basis.dtype)
    panels = walk.pack(basis) if y is None else None
    adjoint = (torch.zeros_like(padded), walk.pack_adjoint(basis)) if need_x else None
    products = walk.no_products() if need_basis else None
    for tile, z in walk.tiles():
        if panels is not None:
            walk.transform(padded, panels, tile, z)
        spectrum, grad_u = None if y is None else dense.part(y, tile), dense.part(grad, tile)
        if bank is None:
            walk.load(spectrum, tile, z, ending, grad_u)
        else:
            if spectrum is not None:
                walk.load(spectrum, tile, z)
            slope = compress_slope(bands(_values(walk, z, tile, None, ending), bank), ending)
            walk.load(None, tile, z, Ending(ending.power, ending.eps), bands(grad_u * slope, bank.mT))
        if adjoint is not None:
            walk.add_frames(*adjoint, tile, z)
        if products is not None:
            walk.add_products(padded, products, tile, z)
    return (
        None if adjoint is None else dense.unpad(adjoint[0], plan),
        None if products is None else walk.unpack(products),
    )
