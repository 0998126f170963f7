"""Convolution kernels [F, 1, N], other libraries' way to hold a basis, on our ops.

Rows that are a window times the FFT's sinusoids, and are not being trained, run as an FFT; others as a product, over
their supports where nothing is trained.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import bases
from .. import functional as F
from ..plan import MAX_N_FFT, DensePlan

NEAR = 1e-6  # of the largest tap: how exactly rows must be the FFT's


def transform(
    module: nn.Module,
    x: Tensor,
    kernels: tuple[Tensor, Tensor],
    hop_length: int,
    center: bool,
    pad_mode: str,
    power: float | None = None,
    eps: float = 0.0,
    filterbank: Tensor | None = None,
    conjugate: bool = False,
    kept: bool = True,
) -> Tensor:
    """[..., T] to [..., F, M] (or [..., K, M]): x with kernels[0] + i kernels[1] (- i: conjugate), raised, banded.

    What is found out about the kernels is kept on the module until they change, unless they are trained, or made anew
    at every call (kept=False).
    """
    real, imag = kernels
    n_rows, n_fft = real.shape[0], real.shape[-1]
    trained = real.requires_grad or imag.requires_grad or not kept
    window, gains, packed = (None, None, None) if trained else _known(module, real, imag, conjugate)
    if window is not None and (gains is None or (power is None and filterbank is None)):
        sizes = {"n_fft": n_fft, "hop_length": hop_length, "center": center, "pad_mode": pad_mode}
        if filterbank is not None and n_rows == n_fft // 2 + 1:
            return F.mel_spectrogram(x, window=window, power=power or 1.0, eps=eps, filterbank=filterbank, **sizes)
        y = F.spectrogram(x, 0, window, win_length=None, power=power, normalized=False, eps=eps, **sizes)
        y = y[..., :n_rows, :] if gains is None else y[..., :n_rows, :] * gains
        return y if filterbank is None else F.apply_filterbank(y, filterbank)
    if packed is None:
        taps = torch.stack([real.flatten(), -imag.flatten() if conjugate else imag.flatten()])
        packed = (0,) * n_rows, (n_fft,) * n_rows, taps
    starts, stops, basis = packed
    plan = DensePlan.make(n_fft, hop_length, starts, stops, center, pad_mode)
    return F.basis_transform(x, basis, plan, power, eps=eps, filterbank=filterbank)


def _known(module: nn.Module, real: Tensor, imag: Tensor, conjugate: bool) -> tuple[Tensor | None, Tensor | None, Any]:
    """The window of Fourier rows, and their gains [F, 1] where they differ; else starts, stops and packed taps."""
    key = tuple((t.data_ptr(), t._version, t.device, t.dtype) for t in (real, imag))
    found = module.__dict__.get("_fastspec_kernels")
    if found is None or found[0] != key:
        with torch.no_grad():
            imag = -imag if conjugate else imag
            window, gains = _window(real, imag)
            found = key, window, gains, None if window is not None else _packed(real, imag)
        module.__dict__["_fastspec_kernels"] = found
    return found[1:]


def _window(real: Tensor, imag: Tensor) -> tuple[Tensor | None, Tensor | None]:
    n_rows, n_fft = real.shape[0], real.shape[-1]
    if n_rows > n_fft // 2 + 1 or not 2 <= n_fft <= MAX_N_FFT:
        return None, None
    rows = torch.stack([real, imag]).detach().reshape(2, n_rows, n_fft).double()
    sizes = rows.square().sum((0, 2)).sqrt()
    gains = sizes / sizes[n_rows // 2]  # asteroid's first and last rows are smaller than the others
    window = rows[0, 0] / gains[0]
    want = torch.tensor(bases.fourier_basis(n_fft, range(n_rows), window.cpu().numpy()), device=rows.device)
    if not (rows - want * gains[:, None]).abs().max() <= NEAR * window.abs().max():
        return None, None
    if (gains - 1).abs().max() <= NEAR:
        return real[0].detach().flatten().clone(), None
    return window.to(real.dtype), gains[:, None].to(real.dtype)


def _packed(real: Tensor, imag: Tensor) -> tuple[tuple[int, ...], tuple[int, ...], Tensor]:
    rows = torch.stack([real, imag]).detach().reshape(2, real.shape[0], -1)
    used = (rows != 0).any(0).cpu()
    n_fft = rows.shape[-1]
    starts = [int(u.int().argmax()) if u.any() else 0 for u in used]
    stops = [n_fft - int(u.flip(0).int().argmax()) if u.any() else 1 for u in used]
    taps = [rows[:, k, start:stop] for k, (start, stop) in enumerate(zip(starts, stops, strict=True))]
    return tuple(starts), tuple(stops), torch.cat(taps, 1).contiguous()
