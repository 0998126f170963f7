"""``librosa.core.pitch``: the peaks of spectra, and how far from A = 440 Hz they are tuned."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...._checks import integer, real
from .._arrays import magnitude
from .convert import fft_frequencies

__all__ = ["estimate_tuning", "piptrack", "pitch_tuning"]


def piptrack(
    *,
    y: np.ndarray | None = None,
    sr: float = 22050,
    S: np.ndarray | None = None,
    n_fft: int | None = 2048,
    hop_length: int | None = None,
    fmin: float = 150.0,
    fmax: float = 4000.0,
    threshold: float = 0.1,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: Any = "constant",
    ref: float | Callable[..., Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """librosa.piptrack: frequency in Hz and magnitude of the peaks between fmin and fmax, 0 elsewhere; [..., F, M].

    A peak is larger than threshold times its frame's largest bin (or the frame's ref, or than a number ref); its
    place and height are those of the parabola through three bins.
    """
    frames = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "window": window}
    spectrogram, n_fft = magnitude(y, S, center=center, pad_mode=pad_mode, **frames)
    s = spectrogram.numpy()
    slope = np.gradient(s, axis=-2)
    bend = np.zeros_like(s)
    bend[..., 1:-1, :] = s[..., 2:, :] + s[..., :-2, :] - 2 * s[..., 1:-1, :]
    is_bent = np.abs(slope) < np.abs(bend)
    shift = np.where(is_bent, -slope / np.where(is_bent, bend, 1), 0).astype(s.dtype)
    if callable(ref) or ref is None:
        least = np.expand_dims(threshold * (ref or np.max)(s, axis=-2), -2)
    else:
        least = np.abs(ref)
    loud = np.where(s > least, s, 0)
    peak = np.zeros(s.shape, bool)
    peak[..., 1:, :] = loud[..., 1:, :] > loud[..., :-1, :]
    peak[..., :-1, :] &= loud[..., :-1, :] >= loud[..., 1:, :]
    hertz = fft_frequencies(sr=sr, n_fft=n_fft)[:, None]
    peak &= (max(fmin, 0) <= hertz) & (hertz < min(fmax, sr / 2))
    place = (np.arange(s.shape[-2])[:, None] + shift) * float(sr) / n_fft
    return np.where(peak, place, 0).astype(s.dtype), np.where(peak, s + 0.5 * slope * shift, 0).astype(s.dtype)


def pitch_tuning(frequencies: Any, *, resolution: float = 0.01, bins_per_octave: int = 12) -> float:
    """librosa.pitch_tuning: the commonest distance of frequencies (Hz) from A = 440 Hz's scale, -0.5 to 0.5 bins."""
    found = np.atleast_1d(frequencies)
    found = found[found > 0]
    if not found.size:
        warnings.warn("no frequency to estimate the tuning from: 0.0 is taken", stacklevel=2)
        return 0.0
    off = np.mod(integer("bins_per_octave", bins_per_octave, 1) * np.log2(found / (440.0 / 16)), 1.0)
    off[off >= 0.5] -= 1.0
    edges = np.linspace(-0.5, 0.5, int(np.ceil(1.0 / real("resolution", resolution, 0.0, strict=True))) + 1)
    counts, edges = np.histogram(off, edges)
    return float(edges[np.argmax(counts)])


def estimate_tuning(
    *,
    y: np.ndarray | None = None,
    sr: float = 22050,
    S: np.ndarray | None = None,
    n_fft: int | None = 2048,
    resolution: float = 0.01,
    bins_per_octave: int = 12,
    **kwargs: Any,
) -> float:
    """librosa.estimate_tuning: ``pitch_tuning`` of ``piptrack``'s louder half; kwargs are piptrack's."""
    pitches, heights = piptrack(y=y, sr=sr, S=S, n_fft=n_fft, **kwargs)
    found = pitches > 0
    least = np.median(heights[found]) if found.any() else 0.0
    return pitch_tuning(pitches[found & (heights >= least)], resolution=resolution, bins_per_octave=bins_per_octave)
