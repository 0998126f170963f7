"""``librosa.core``'s levels: decibels, and per-channel energy normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as F
from ...._checks import one_of, real
from .._arrays import only, spectrum

__all__ = ["amplitude_to_db", "db_to_amplitude", "db_to_power", "pcen", "power_to_db"]

CONVENTIONS = "1.0", "0.11"
Axes = None | int | tuple[int, ...] | str


def power_to_db(
    S: Any,
    *,
    ref: float | Callable[..., Any] = 1.0,
    amin: float = 1e-10,
    top_db: float | None = 80.0,
    axes: Axes = "auto",
    convention: str = "1.0",
) -> Any:
    """librosa.power_to_db of a real S: 10 log10(max(S, amin) / ref), within top_db of the largest.

    axes: what the largest, and a ref that is a function, are taken over; "auto": the last two, so that every channel
        is by itself.
    convention: "1.0"; "0.11": over all values, and ref is called with S alone.
    """
    S, amin = _real("S", S), real("amin", amin, 0.0, strict=True)
    over = _over(S, axes, convention)
    return _decibels(S, _reference(ref, S, over, convention), amin, top_db, over)


def amplitude_to_db(
    S: Any,
    *,
    ref: float | Callable[..., Any] = 1.0,
    amin: float = 1e-5,
    top_db: float | None = 80.0,
    axes: Axes = "auto",
    convention: str = "1.0",
) -> Any:
    """librosa.amplitude_to_db of a real S: 20 log10(max(|S|, amin) / ref); see ``power_to_db``."""
    S, amin = np.abs(_real("S", S)), real("amin", amin, 0.0, strict=True)
    over = _over(S, axes, convention)
    return _decibels(np.square(S), _reference(ref, S, over, convention) ** 2, amin**2, top_db, over)


def db_to_power(S_db: Any, *, ref: float = 1.0) -> Any:
    """librosa.db_to_power: ref 10^(S_db / 10)."""
    return ref * np.power(10.0, 0.1 * _real("S_db", S_db))


def db_to_amplitude(S_db: Any, *, ref: float = 1.0) -> Any:
    """librosa.db_to_amplitude: ref 10^(S_db / 20)."""
    return db_to_power(S_db, ref=ref**2) ** 0.5


def pcen(
    S: np.ndarray,
    *,
    sr: float = 22050,
    hop_length: int = 512,
    gain: float = 0.98,
    bias: float = 2,
    power: float = 0.5,
    time_constant: float = 0.400,
    eps: float = 1e-6,
    b: float | None = None,
    max_size: int = 1,
    ref: np.ndarray | None = None,
    axis: int = -1,
    max_axis: int | None = None,
    zi: np.ndarray | None = None,
    return_zf: bool = False,
) -> np.ndarray:
    """librosa.pcen of a real S [..., K, M] along its frames; axis, max_axis, zi and return_zf keep their defaults."""
    s = spectrum("S", S, is_complex=False)
    only("axis", axis, -1, s.dim() - 1)
    only("max_axis", max_axis, None, -2, s.dim() - 2)
    only("zi", zi, None)
    only("return_zf", return_zf, False)
    seen = None if ref is None else spectrum("ref", ref, is_complex=False).to(s.dtype)
    return F.pcen(s, sr, hop_length, gain, bias, power, time_constant, eps, b, max_size, seen).numpy()


def _over(S: np.ndarray, axes: Axes, convention: str) -> Any:
    """The axes of the largest value and of the reference."""
    old = one_of("convention", convention, CONVENTIONS) == "0.11"
    if not isinstance(axes, str):
        return axes
    only("axes", axes, "auto")
    return None if old or S.ndim == 0 else tuple(range(-min(S.ndim, 2), 0))


def _reference(ref: float | Callable[..., Any], S: np.ndarray, over: Any, convention: str) -> Any:
    if not callable(ref):
        return np.abs(ref)
    if convention == "0.11":
        return ref(S)
    try:
        return ref(S, axis=over, keepdims=True)
    except TypeError as error:
        raise ValueError(f'ref must take axis and keepdims (not with convention="0.11"), got {ref!r}') from error


def _decibels(power: np.ndarray, reference: Any, amin: float, top_db: float | None, over: Any) -> Any:
    decibels = 10.0 * np.log10(np.maximum(amin, power))
    decibels -= 10.0 * np.log10(np.maximum(amin, reference))  # in place: float32 stays float32
    if top_db is None:
        return decibels
    return np.maximum(decibels, decibels.max(axis=over, keepdims=True) - real("top_db", top_db, 0.0))


def _real(name: str, x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be real numbers (take np.abs of a spectrum first), got {x.dtype}")
    return x
