"""``patch``: torch.stft on fastspec's kernels inside a ``with`` block, where that is safe and equal."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .. import functional as F

_NAMES = "hop_length", "win_length", "window", "center", "pad_mode", "normalized", "onesided", "return_complex"
_lock = threading.Lock()
_patches = 0  # how many are on, of all threads
_originals: tuple[Any, Any] = torch.stft, torch.functional.stft


@dataclass
class Redirected:
    """Calls of torch.stft while a patch was on.

    Attributes:
        redirected: how many ran here.
        kept: how many ran as before, by reason.
    """

    redirected: int = 0
    kept: collections.Counter[str] = field(default_factory=collections.Counter)
    _equal: dict[tuple, bool] = field(default_factory=dict, repr=False)


_active: ContextVar[tuple[Redirected, float] | None] = ContextVar("fastspec.patch", default=None)


@contextlib.contextmanager
def patch(tolerance: float = 1e-5) -> Iterator[Redirected]:
    """Redirect torch.stft (and what calls it: Tensor.stft, torchaudio, Hugging Face's features) for a while.

    A call is redirected when its samples are real float32 or float64, its result is complex and one-sided, and no
    compiler or tracer is running. The first call of every set of parameters is computed both ways, and a set whose
    results differ by more than `tolerance` of the largest value is left to torch. The values of the window are part
    of the set where that costs nothing: a window on the CPU that is not being trained.

    Only the calls of this thread (of this task, under asyncio) are redirected: threads that run meanwhile, or are
    begun inside the block, keep torch's, and may have patches of their own. Inside another patch the inner one counts.

    Yields:
        ``Redirected``: the counts.
    """
    counts = Redirected()
    _install()
    token = _active.set((counts, tolerance))
    try:
        yield counts
    finally:
        _active.reset(token)
        _uninstall()


def _install() -> None:
    """torch.stft is one for the whole process: the first patch puts ours there, the last one takes it away."""
    global _patches, _originals
    with _lock:
        if _patches == 0:
            _originals = torch.stft, torch.functional.stft
            torch.stft = torch.functional.stft = _stft
        _patches += 1


def _uninstall() -> None:
    global _patches
    with _lock:
        _patches -= 1
        if _patches == 0:
            torch.stft, torch.functional.stft = _originals


def _stft(input: Tensor, n_fft: int, *args: Any, **kwargs: Any) -> Tensor:
    original = _originals[0]
    if torch.compiler.is_compiling():
        return original(input, n_fft, *args, **kwargs)
    active = _active.get()
    if active is None:
        return original(input, n_fft, *args, **kwargs)
    counts, tolerance = active
    given = dict(zip(_NAMES, args, strict=False)) | kwargs
    why = _unsafe(input, n_fft, given) if len(args) <= len(_NAMES) else "more arguments than are known"
    if not why:
        try:
            return _ours(counts, original, input, n_fft, given, tolerance)
        except (ValueError, NotImplementedError) as error:
            why = str(error)
    counts.kept[why] += 1
    return original(input, n_fft, *args, **kwargs)


def _unsafe(x: Any, n_fft: int, given: dict[str, Any]) -> str:
    """Why torch must do this call itself, or ""."""
    if torch._C._get_tracing_state() is not None:
        return "traced"
    if type(x) not in (Tensor, torch.nn.Parameter) or x.dtype not in (torch.float32, torch.float64):
        return "samples are not a plain float32 or float64 tensor"
    if x.dim() not in (1, 2) or x.numel() == 0:
        return "samples are not [T] or [B, T]"
    if given.get("return_complex") is not True:
        return "result is not complex"
    if given.get("onesided") is False:
        return "result has two sides"
    if given.get("align_to_window") is not None:
        return "align_to_window"
    window = given.get("window")
    if window is not None and (type(window) not in (Tensor, torch.nn.Parameter) or window.dtype is not x.dtype):
        return "window is of another dtype than the samples"
    if window is not None and window.device != x.device:
        return "window lies on another device"
    if not isinstance(n_fft, int) or (given.get("center", True) and x.shape[-1] <= n_fft // 2):
        return "clip shorter than its padding"
    return ""


def _ours(counts: Redirected, original: Any, x: Tensor, n_fft: int, given: dict[str, Any], tolerance: float) -> Tensor:
    win_length = given.get("win_length") or n_fft
    window = given.get("window")
    if window is None:
        window = torch.ones(win_length, dtype=x.dtype, device=x.device)
    hop_length = given.get("hop_length") or n_fft // 4
    center, pad_mode = given.get("center", True), given.get("pad_mode", "reflect")
    normalized = "frame_length" if given.get("normalized") else False
    y = F.stft(x, n_fft, hop_length, win_length, window, center, pad_mode, normalized)
    values = None if window.device.type != "cpu" or window.requires_grad else window.numpy().tobytes()
    key = n_fft, hop_length, win_length, center, pad_mode, normalized, x.dtype, x.device.type, values
    if key not in counts._equal:
        with torch.no_grad():
            want = original(x, n_fft, **given)
            same = want.shape == y.shape
            counts._equal[key] = same and bool((y - want).abs().max() <= tolerance * want.abs().max())
    if not counts._equal[key]:
        raise NotImplementedError("differs")
    counts.redirected += 1
    return y
