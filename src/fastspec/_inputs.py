"""What every function does to its arguments before an op sees them: checks, folding, constants as tensors."""

from __future__ import annotations

import math
import numbers
import operator

import torch
from torch import Tensor

from . import bases
from ._checks import integer, real
from .plan import Ending, cached

Window = Tensor | str | tuple[str, float] | None

_REAL_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_constants: dict[tuple, Tensor] = {}


def constant(build: str, args: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``bases.<build>(*args)``, cast last and kept for the next call with the same arguments."""
    if torch.compiler.is_compiling():
        args = tuple(
            operator.index(a) if isinstance(a, int) and not isinstance(a, bool) else a for a in args
        )  # symbolic sizes become numbers
        _make_constant_is_one_operator()
        return _make_constant(build, args, dtype, device)
    key = (build, args, dtype, device)
    try:
        tensor = _constants.get(key)
    except TypeError:  # an unhashable argument, which the builder's checks name
        tensor = None
    if tensor is None:
        tensor = _make_constant(*key)
        if type(tensor) is Tensor:  # not a fake one of a tracer
            if len(_constants) >= 256:
                _constants.clear()
            _constants[key] = tensor
    return tensor


def _make_constant(build: str, args: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    array = getattr(bases, build)(*(float(a) if isinstance(a, torch.SymFloat) else a for a in args))
    with torch.inference_mode(False):  # an inference tensor could not be saved for a later backward
        return torch.tensor(array, dtype=dtype, device=device)


def _make_constant_is_one_operator() -> None:
    """torch.compile shall not look inside. Said at import, this would load the whole compiler, and Triton with it."""
    torch.compiler.allow_in_graph(_make_constant)


# Traced code runs such a function at once; the mark is all that torch.compiler.assume_constant_result does beyond
# loading the compiler.
_make_constant_is_one_operator._dynamo_marked_constant = True  # type: ignore[attr-defined]


def compute_dtype(given: torch.dtype) -> torch.dtype:
    """Half precision and int16 are computed in float32."""
    return torch.float64 if given is torch.float64 else torch.float32


def result_dtype(waveform: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """The dtype of the (real) result for these samples; ValueError for samples of another type or dtype."""
    if not isinstance(waveform, Tensor):
        raise ValueError(f"waveform must be a torch.Tensor, got {type(waveform).__name__}")
    given = waveform.dtype
    if given not in _REAL_DTYPES and given is not torch.int16:
        raise ValueError(f"waveform must be a real floating point or int16 tensor, got {given}")
    if dtype is None:
        return torch.float32 if given is torch.int16 else given
    return check_dtype(dtype)


def check_dtype(dtype: torch.dtype) -> torch.dtype:
    """Raise ValueError unless results can have this dtype."""
    if dtype not in _REAL_DTYPES:
        raise ValueError(f"dtype must be a real floating point dtype, got {dtype}")
    return dtype


def fold_waveform(waveform: Tensor, dtype: torch.dtype | None) -> tuple[Tensor, torch.dtype, torch.dtype]:
    """Check samples and fold leading dimensions.

    Returns:
        The clips [B, T] (float32, float64 or, when computed in float32, int16), the compute dtype, the
        result's dtype.
    """
    result = result_dtype(waveform, dtype)
    if waveform.dim() == 0 or waveform.numel() == 0:
        raise ValueError(f"waveform is empty: shape {tuple(waveform.shape)}; expected [..., T] with T >= 1")
    given, compute = waveform.dtype, compute_dtype(result)
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
        return constant("get_window", ("hann" if window is None else window, win_length), dtype, device)
    check_window(window, win_length)
    if window.device != device:
        raise ValueError(f"window lies on {window.device}, the data on {device}: expected one device")
    return window if window.dtype is dtype else window.to(dtype)


def check_window(window: Tensor, win_length: int) -> None:
    """Raise ValueError unless a tensor can be a window of this length."""
    if window.dim() != 1 or window.shape[0] != win_length:
        raise ValueError(f"window must have shape [win_length] = [{win_length}], got {list(window.shape)}")
    if not window.is_floating_point():
        raise ValueError(f"window must be a real floating point tensor, got {window.dtype}")


def normalization(normalized: bool | str) -> str:
    """torchaudio's ``normalized`` as "", "window" or "frame_length"."""
    if normalized is False:
        return ""
    if normalized is True:
        return "window"
    if isinstance(normalized, str) and normalized in ("window", "frame_length"):
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
    if not isinstance(bank, Tensor):
        raise ValueError(f"{name} must be a torch.Tensor, got {type(bank).__name__}")
    if bank.dim() != 2 or bank.shape[0] != n_bins or bank.shape[1] < 1:
        raise ValueError(f"{name} must have shape [{n_bins}, K] with K >= 1, got {list(bank.shape)}")
    if not bank.is_floating_point():
        raise ValueError(f"{name} must be a real floating point tensor, got {bank.dtype}")
    if bank.device != device:
        raise ValueError(f"{name} lies on {bank.device}, the data on {device}: expected one device")
    return bank if bank.dtype is dtype else bank.to(dtype)


def highest(f_max: float | None, sample_rate: float) -> float:
    """f_max, by default torchaudio's sample_rate // 2."""
    return float(real("sample_rate", sample_rate, 2.0) // 2) if f_max is None else f_max


@cached
def bank_arguments(
    n_freqs: int, f_min: float, f_max: float | None, n_bands: int, sample_rate: float, bands_name: str
) -> tuple[int, float, float, int, float]:
    """Checked arguments of a filterbank. As in torchaudio, the last bin is taken for sample_rate // 2 Hz."""
    rate = real("sample_rate", sample_rate, 2.0)
    high = highest(f_max, sample_rate)
    n_freqs, n_bands = integer("n_freqs", n_freqs, 1), integer(bands_name, n_bands, 1)
    return n_freqs, real("f_min", f_min), real("f_max", high), n_bands, rate // 2 * 2


def check_top_db(top_db: float | None) -> None:
    """Raise ValueError unless top_db is a range in decibels or None; infinity is no limit either."""
    if top_db is not None and not (isinstance(top_db, numbers.Real) and top_db >= 0):
        raise ValueError(f"top_db must be at least 0 or None, got {top_db!r}")


@cached
def make_ending(
    power: float | None, eps: float, log: str | None, floor: float, floor_mode: str, log_scale: float
) -> Ending | None:
    """What follows the transform; None for the complex spectrum. Decibels are those of |y|^2 at any power."""
    if power is None:
        if log is not None or eps != 0.0:
            raise ValueError(f"power=None keeps the complex spectrum, without log or eps: got log={log!r}, eps={eps!r}")
        return None
    power, log_scale = real("power", power, 0.0, strict=True), real("log_scale", log_scale, 0.0, strict=True)
    multiplier = 20.0 / power if isinstance(log, str) and log == "db" else 10.0
    return Ending.make(power, eps, log, floor, floor_mode, log_scale, multiplier)
