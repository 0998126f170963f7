"""The transform with any basis, as a function of samples and tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import integer
from ._inputs import fold_waveform, make_bank, make_ending, unfold
from ._least_squares import least_squares
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
    lengths: Sequence[int] | Tensor | None = None,
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
        lengths: how many samples each clip of waveform [B, T] really has, B integers up to T, for clips brought to one
            length: each is transformed by itself, its own end padded as the plan says, and frames that it does not
            have are 0. What stands behind a clip's end is never read.
        others: see the module.

    Returns:
        [..., F, M], or [..., K, M] with a filterbank.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    if lengths is not None:
        clips = _cut(waveform, lengths)
        options = {"log": log, "floor": floor, "floor_mode": floor_mode, "log_scale": log_scale, "eps": eps}
        options |= {"filterbank": filterbank, "recompute": recompute, "backend": backend, "dtype": dtype}
        parts = [basis_transform(clip, basis, plan, power, **options) for clip in clips]
        frames = plan.n_frames(waveform.shape[1])
        return torch.cat([torch.nn.functional.pad(part, (0, frames - part.shape[-1])) for part in parts])
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


def _cut(waveform: Tensor, lengths: Sequence[int] | Tensor) -> list[Tensor]:
    """The clips [1, lengths[b]] of a waveform [B, T]."""
    counts = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
    shape = list(waveform.shape) if isinstance(waveform, Tensor) else type(waveform).__name__
    if not isinstance(waveform, Tensor) or waveform.dim() != 2 or len(counts) != waveform.shape[0]:
        raise ValueError(f"waveform must be [B, T] with B = {len(counts)} lengths, got {shape}")
    counts = [integer(f"lengths[{b}]", n, 1) for b, n in enumerate(counts)]
    if max(counts, default=0) > waveform.shape[1]:
        raise ValueError(f"lengths must be at most T = {waveform.shape[1]}, got {max(counts)}")
    return [waveform[b : b + 1, :n] for b, n in enumerate(counts)]


def inverse_basis_transform(
    spectrum: Tensor,
    basis: Tensor,
    plan: DensePlan,
    length: int | None = None,
    *,
    weights: Tensor | None = None,
    n_iter: int = 20,
    backend: str | None = None,
) -> Tensor:
    """Samples whose ``basis_transform`` comes nearest to a spectrum: least squares by conjugate gradients.

    argmin over x of the sum over f and m of weights[f]^2 |y'[f, m] - y[f, m]|^2, y' that of x, each clip by its own
    steps (CGLS: M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res.
    Nat. Bureau of Standards 49, 1952). What no row hears cannot come back and is left away: the solution is the
    shortest one. Rows that lie closer together than others say the same thing more often; weights that even this out,
    the roots of the rows' spacings, do in a few steps what takes many without.

    Args:
        spectrum: complex [..., F, M].
        basis, plan: those of ``basis_transform``.
        length: samples wanted, of which M frames come. Default: what the frames cover without padding.
        weights: positive [F]; None for equal ones.
        n_iter: steps.
        backend: see the module.

    Returns:
        Samples [..., length]; differentiable in the spectrum.
    """
    if not isinstance(plan, DensePlan):
        raise ValueError(f"plan must be a DensePlan, got {type(plan).__name__}")
    if not isinstance(spectrum, Tensor) or spectrum.dtype not in (torch.complex64, torch.complex128):
        got = spectrum.dtype if isinstance(spectrum, Tensor) else type(spectrum).__name__
        raise ValueError(f"spectrum must be a complex64 or complex128 tensor, got {got}")
    if spectrum.dim() < 2 or spectrum.shape[-2] != plan.n_bins or spectrum.numel() == 0:
        raise ValueError(f"spectrum must have shape [..., {plan.n_bins}, M] with M >= 1, got {list(spectrum.shape)}")
    n_frames, n_iter = spectrum.shape[-1], integer("n_iter", n_iter, 1)
    covered = plan.n_fft + plan.hop_length * (n_frames - 1) - 2 * plan.pad
    length = max(1, covered) if length is None else integer("length", length, 1)
    plan.check_length(length)
    if plan.n_frames(length) != n_frames:
        raise ValueError(f"length must give the spectrum's {n_frames} frames, got {length}: {plan.n_frames(length)}")
    target, name = spectrum.reshape(-1, plan.n_bins, n_frames), check_backend(backend)
    basis = basis.to(target.dtype.to_real())
    if weights is not None:
        if not isinstance(weights, Tensor) or weights.shape != (plan.n_bins,) or not bool((weights > 0).all()):
            raise ValueError(f"weights must be positive, of shape [{plan.n_bins}], got {weights!r:.80}")
        weights = weights.to(basis)
        counts = torch.tensor([b - a for a, b in zip(plan.starts, plan.stops, strict=True)], device=basis.device)
        basis, target = basis * weights.repeat_interleave(counts), target * weights[:, None]
    if basis.is_inference():
        with torch.inference_mode(False):
            basis = basis.clone()
    x = least_squares(lambda x: frame_transform(x, basis, plan, name), target, length, n_iter)
    return x.reshape(*spectrum.shape[:-2], length)
