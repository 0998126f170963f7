"""What every function does to its arguments before an op sees them: checks, folding, constants as tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from . import bases
from .plan import Ending

Window = Tensor | str | tuple[str, float] | None

_REAL_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_constants: dict[tuple, Tensor] = {}


def constant(build: Callable[..., NDArray], args: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``build(*args)``, cast last and kept for the next call with the same arguments."""
    key = (build, args, dtype, device)
    tensor = _constants.get(key)
    if tensor is None:
        tensor = _make_constant(*key)
        if type(tensor) is Tensor:  # not a fake one of a tracer
            if len(_constants) >= 256:
                _constants.clear()
            _constants[key] = tensor
    return tensor


@torch.compiler.disable()
def _make_constant(build: Any, args: Any, dtype: Any, device: Any) -> Tensor:
    with torch.inference_mode(False):  # an inference tensor could not be saved for a later backward
        return torch.tensor(build(*args), dtype=dtype, device=device)


def compute_dtype(given: torch.dtype) -> torch.dtype:
    """Half precision and int16 are computed in float32."""
    return torch.float64 if given is torch.float64 else torch.float32


def fold_waveform(waveform: Tensor, dtype: torch.dtype | None) -> tuple[Tensor, torch.dtype, torch.dtype]:
    """Check samples and fold leading dimensions.

    Returns:
        The clips [B, T] (float32, float64 or, when computed in float32, int16), the compute dtype, the
        result's dtype.
    """
    if not isinstance(waveform, Tensor):
        raise ValueError(f"waveform must be a torch.Tensor, got {type(waveform).__name__}")
    given = waveform.dtype
    if given not in _REAL_DTYPES and given is not torch.int16:
        raise ValueError(f"waveform must be a real floating point or int16 tensor, got {given}")
    if waveform.dim() == 0 or waveform.numel() == 0:
        raise ValueError(f"waveform is empty: shape {tuple(waveform.shape)}; expected [..., T] with T >= 1")
    if dtype is None:
        result = torch.float32 if given is torch.int16 else given
    elif dtype in _REAL_DTYPES:
        result = dtype
    else:
        raise ValueError(f"dtype must be a real floating point dtype, got {dtype}")
    compute = compute_dtype(result)
    if given is torch.int16:
        if compute is torch.float64:
            waveform = waveform.to(compute) / 32768.0
    elif given is not compute:
        waveform = waveform.to(compute)
    if waveform.dim() != 2:
        waveform = waveform.reshape(-1, waveform.shape[-1])
    return waveform, compute, result


def unfold(result: Tensor, leading: torch.Size, dtype: torch.dtype) -> Tensor:
    """Give an op's output [B, ...] the leading dimensions of its input, and the dtype unless complex."""
    if len(leading) != 1:
        result = result.reshape(leading + result.shape[1:])
    if result.dtype is not dtype and not result.is_complex():
        result = result.to(dtype)
    return result


def make_window(window: Window, win_length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The window [win_length] in the compute dtype; None is a periodic Hann window."""
    if not isinstance(window, Tensor):
        return constant(bases.get_window, (window or "hann", win_length), dtype, device)
    if window.dim() != 1 or window.shape[0] != win_length:
        raise ValueError(f"window must have shape [win_length] = [{win_length}], got {list(window.shape)}")
    if not window.is_floating_point():
        raise ValueError(f"window must be a real floating point tensor, got {window.dtype}")
    if window.device != device:
        raise ValueError(f"window lies on {window.device}, the data on {device}: expected one device")
    return window if window.dtype is dtype else window.to(dtype)


def normalization(normalized: bool | str) -> str:
    """torchaudio's ``normalized`` as "", "window" or "frame_length"."""
    if normalized is False:
        return ""
    if normalized is True:
        return "window"
    if normalized in ("window", "frame_length"):
        return normalized
    raise ValueError(f'normalized must be a bool, "window" or "frame_length", got {normalized!r}')


def normalize_window(window: Tensor, kind: str, n_fft: int, inverse: bool = False) -> Tensor:
    """Fold the normalisation of a spectrum into its window, which the transform is linear in.

    "window" divides by the window's L2 norm, "frame_length" by sqrt(n_fft); inverse multiplies.
    """
    if not kind:
        return window
    factor = window.square().sum().sqrt() if kind == "window" else math.sqrt(n_fft)
    return window * factor if inverse else window / factor


def make_bank(bank: Tensor, n_bins: int, dtype: torch.dtype, device: torch.device, name: str = "filterbank") -> Tensor:
    """Check a matrix [n_bins, K] that multiplies the bins of a spectrum."""
    if bank.dim() != 2 or bank.shape[0] != n_bins:
        raise ValueError(f"{name} must have shape [{n_bins}, K], got {list(bank.shape)}")
    if not bank.is_floating_point():
        raise ValueError(f"{name} must be a real floating point tensor, got {bank.dtype}")
    if bank.device != device:
        raise ValueError(f"{name} lies on {bank.device}, the data on {device}: expected one device")
    return bank if bank.dtype is dtype else bank.to(dtype)


def check_pad(pad: int) -> None:
    """Raise ValueError unless pad is a number of samples."""
    if not isinstance(pad, int) or pad < 0:
        raise ValueError(f"pad must be an integer of at least 0, got {pad!r}")


def make_ending(
    power: float | None, eps: float, log: str | None, floor: float, floor_mode: str, log_scale: float
) -> Ending | None:
    """What follows the transform; None for the complex spectrum. Decibels are those of |y|^2 at any power."""
    if power is None:
        if log is not None or eps != 0.0:
            raise ValueError(f"power=None keeps the complex spectrum, without log or eps: got log={log!r}, eps={eps!r}")
        return None
    multiplier = 20.0 / power if log == "db" and power else 10.0
    return Ending.make(power, eps, log, floor, floor_mode, log_scale, multiplier)
