"""How a constant-Q transform runs: directly, or octave by octave on decimated signals, out of the dense linear ops.

Every step is `frame_transform` (or `spectral_power`) with a `DensePlan`, the half-band filter too, so whatever
backends and derivatives these have, the transform has.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .bases.cqt import ConstantQ, Rows, cqt_rows, cqt_supports, normalization_factors
from .bases.decimation import octaves
from .bases.librosa_cqt import librosa_octaves
from .dispatch import choose
from .ops._autograd import is_eager
from .ops.frame_transform import frame_transform
from .ops.spectral_power import spectral_power
from .ops.spectral_power.reference import grad_spectrum
from .plan import DensePlan, Ending

ALGORITHMS = ("recursive", "direct")
Framing = tuple[int, int, str]  # M, the sample that frame 0 is centred on, pad_mode, "none" for zeros


@dataclass(frozen=True)
class Part:
    """Bins low to high, from the signal at 1 / step of its rate.

    Attributes:
        phases: P frames in turn have rows of their own; phase p serves the frames p, p + P, ...
        first: offset of the frame's first sample from the decimated sample that the frame is counted from.
        plan: frames of the decimated signal, from its first sample on, without padding; phases times bins rows.
    """

    step: int
    low: int
    high: int
    phases: int
    first: int
    plan: DensePlan


@dataclass(frozen=True, eq=False)
class Layout:
    """A transform as parts, the top bins first, and the numbers of each: a packed basis [2, S] in float64.

    Attributes:
        halfband: the decimator's filter, [2, taps + 2], see `_pairs`; [2, 0] for the direct transform.
        reach: full-rate samples that the direct kernels reach to the left (and one less to the right) of a centre.
        error: largest relative error (L2, white noise) of a bin against the direct transform; 0 for the direct one.
    """

    spec: ConstantQ
    hop_length: int
    parts: tuple[Part, ...]
    bases: tuple[NDArray[np.float64], ...]
    halfband: NDArray[np.float64]
    reach: int
    error: float

    @property
    def algorithm(self) -> str:
        return "direct" if len(self.parts) == 1 and self.parts[0].step == 1 else "recursive"

    @property
    def n_taps(self) -> int:
        """Complex taps of all parts together: the size of the buffers."""
        return sum(basis.shape[1] for basis in self.bases)


@functools.lru_cache(maxsize=32)
def layout(spec: ConstantQ, hop_length: int, algorithm: str, normalization_type: str) -> Layout:
    """The parts of a transform. "recursive" falls back to "direct" where no rate is good enough."""
    firsts, stops = cqt_supports(spec)
    reach = max(-min(firsts), max(stops))
    if spec.convention == "librosa":
        found = librosa_octaves(spec, hop_length)  # scaled already
        reach = max(level.step * max(-min(level.rows.first), max(level.rows.stop)) for level in found.levels)
        factors = normalization_factors(normalization_type, spec.lengths) / np.sqrt(spec.lengths)
    else:
        found = octaves(spec, hop_length) if algorithm == "recursive" else None
        factors = normalization_factors(normalization_type, spec.lengths)
    if found is None:
        part, basis = _part(1, 0, spec.n_bins, 1, hop_length, cqt_rows(spec).scaled(factors))
        return Layout(spec, hop_length, (part,), (basis,), np.empty((2, 0)), reach, 0.0)
    parts, bases = [], []
    for level in found.levels:
        low, high = level.bins
        rows = level.rows.scaled(np.tile(factors[low:high], level.phases))
        part, basis = _part(level.step, low, high, level.phases, hop_length, rows)
        parts.append(part)
        bases.append(basis)
    return Layout(spec, hop_length, tuple(parts), tuple(bases), _pairs(found.filter), reach, found.error)


def _pairs(h: NDArray[np.float64]) -> NDArray[np.float64]:
    """A real filter as a complex row [2, len(h) + 2] that gives two results at once, two samples apart."""
    return np.stack([np.append(h, [0.0, 0.0]), np.append([0.0, 0.0], h)])


def _part(step: int, low: int, high: int, phases: int, hop: int, rows: Rows) -> tuple[Part, NDArray[np.float64]]:
    first, stop = min(rows.first), max(rows.stop)
    starts = tuple(f - first for f in rows.first)
    stops = tuple(s - first for s in rows.stop)
    plan = DensePlan.make(stop - first, phases * hop // step, starts, stops, center=False)
    taps = np.concatenate(rows.taps)
    return Part(step, low, high, phases, first, plan), np.stack([taps.real, taps.imag])


def transform(
    x: Tensor,
    layout: Layout,
    bases: tuple[Tensor, ...],
    halfband: Tensor,
    center: bool,
    pad_mode: str,
    ending: Ending | None,
    backend: str,
) -> Tensor:
    """The transform of x [B, T]: complex [B, K, M], or |.|^p by the ending; M = T // hop + 1 when centred.

    Args:
        bases, halfband: the layout's numbers in the dtype and on the device of x.
        center: frame m is centred on sample m hop; else it begins there, and is 2^ceil(log2(longest kernel)) long.
    """
    hop, length = layout.hop_length, x.shape[1]
    if center:
        centre, n_frames = 0, length // hop + 1
    else:
        frame = frame_length(layout)
        if length < frame:
            raise ValueError(f"waveform must hold at least {frame} samples for one frame, got {length}")
        centre, n_frames = frame // 2, (length - frame) // hop + 1
    framing = n_frames, centre, pad_mode if center else "none"
    if layout.algorithm == "direct":
        return _direct(x, layout, bases[0], framing, ending, backend)
    if not _is_native(x, bases, layout, backend):
        return _composed(x, layout, bases, halfband, framing, ending, backend)
    if torch.is_grad_enabled() and x.requires_grad:
        return _Native.apply(x, layout, bases, halfband, framing, ending)
    return octaves_cpu().transform(x, layout, bases, halfband, framing, ending)[0]


def octaves_cpu() -> Any:
    """ops/_octaves_cpu.py, which needs the native library."""
    return importlib.import_module("fastspec.ops._octaves_cpu")


def _is_native(x: Tensor, bases: tuple[Tensor, ...], layout: Layout, backend: str) -> bool:
    """Whether one native call does it: fixed rows, on a CPU, and nobody traces or transforms."""
    if not is_eager(x, *bases):
        return False
    if torch.is_grad_enabled() and any(basis.requires_grad for basis in bases):
        return False
    return choose("frame_transform", backend, layout.parts[0].plan, x, bases[0]).__name__.endswith("._cpu")


class _Native(torch.autograd.Function):
    """The native transform with a native gradient; derivatives of that are those of the composed transform."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layout, bases, halfband, framing, ending) -> Tensor:
        out, y = octaves_cpu().transform(x, layout, bases, halfband, framing, ending, keep=True)
        ctx.save_for_backward(x, y if ending is not None else None)
        ctx.rest = layout, bases, halfband, framing, ending
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (x, y), (layout, bases, halfband, framing, ending) = ctx.saved_tensors, ctx.rest
        if torch.is_grad_enabled():
            out = _composed(x, layout, bases, halfband, framing, ending, "cpu")
            (grad_x,) = torch.autograd.grad(out, x, grad, create_graph=True)
        else:
            if ending is not None:
                grad = grad_spectrum(grad, y, None, ending)
            grad_x = octaves_cpu().adjoint(grad, layout, bases, halfband, framing, x.shape[1])
        return grad_x, None, None, None, None, None


def _direct(x: Tensor, layout: Layout, basis: Tensor, framing: Framing, ending: Ending | None, backend: str) -> Tensor:
    """All bins at the full rate."""
    pad_mode, (part,) = framing[2], layout.parts
    half = max(-part.first, part.first + part.plan.n_fft)
    if pad_mode == "none" or (half >= x.shape[1] and pad_mode in ("reflect", "circular")):
        return _composed(x, layout, (basis,), basis, framing, ending, backend)
    shift = half + part.first
    starts, stops = (tuple(n + shift for n in ends) for ends in (part.plan.starts, part.plan.stops))
    plan = DensePlan.make(2 * half, part.plan.hop_length, starts, stops, True, pad_mode, half)
    return _frames(x, basis, plan, ending, backend)


def _composed(
    x: Tensor,
    layout: Layout,
    bases: tuple[Tensor, ...],
    halfband: Tensor,
    framing: Framing,
    ending: Ending | None,
    backend: str,
) -> Tensor:
    """The transform out of the linear ops: any backend, every derivative."""
    n_frames, centre, pad_mode = framing
    left, right = _reach(layout, n_frames)
    reach = 0 if pad_mode == "none" else layout.reach
    signal, origin = _extend(x, left - centre, right + centre + 1 - x.shape[1], reach, pad_mode), -left
    step, pieces = 1, []
    for part, basis in zip(layout.parts, bases, strict=True):
        while step < part.step:
            signal, origin = _halve(signal, origin, halfband, backend)
            step *= 2
        rounds = -(-n_frames // part.phases)
        first = part.first - origin
        used = signal[:, first : first + (rounds - 1) * part.plan.hop_length + part.plan.n_fft]
        y = _frames(used, basis, part.plan, ending, backend)
        if part.phases > 1:
            y = y.unflatten(1, (part.phases, part.high - part.low)).permute(0, 2, 3, 1)
            y = y.flatten(2)[:, :, :n_frames]
        pieces.append(y)
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces[::-1], dim=1)


def _frames(signal: Tensor, basis: Tensor, plan: DensePlan, ending: Ending | None, backend: str) -> Tensor:
    if ending is None:
        return frame_transform(signal, basis, plan, backend)
    return spectral_power(signal, basis, None, plan, ending, backend)


def frame_length(layout: Layout) -> int:
    """Samples of a frame that is not centred: 2^ceil(log2(longest kernel)), as in nnAudio."""
    return 1 << (int(max(np.ceil(layout.spec.lengths))) - 1).bit_length()


def _reach(layout: Layout, n_frames: int) -> tuple[int, int]:
    """First (negated) and last full-rate sample, counted from the first frame's centre, that the parts need."""
    half = (layout.halfband.shape[1] - 3) // 2  # unused where nothing is halved
    left = right = 0
    for part in layout.parts:
        low = part.first
        rounds = -(-n_frames // part.phases)
        high = (rounds - 1) * part.plan.hop_length + part.first + part.plan.n_fft - 1
        step = part.step
        while step > 1:
            low, high, step = 2 * low - half - 1, 2 * high + half + 4, step // 2
        left, right = max(left, -low), max(right, high)
    return left, right


def _extend(x: Tensor, left: int, right: int, reach: int, pad_mode: str) -> Tensor:
    """x with `left` and `right` more samples, negative numbers cutting: up to `reach` of each side by pad_mode, zeros
    beyond. Reflections repeat where the clip is shorter than them."""
    length = x.shape[1]
    if pad_mode == "constant" or reach == 0:
        return F.pad(x, (left, right))
    inner_left, inner_right = min(left, reach), min(right, reach)
    t = torch.arange(-inner_left, length + inner_right, device=x.device)
    if pad_mode == "reflect":
        period = torch.full_like(t, max(1, 2 * (length - 1)))  # a tensor: ONNX takes no size for a divisor
        t = t.remainder(period)
        t = torch.minimum(t, period - t)
    elif pad_mode == "replicate":
        t = t.clamp(0, length - 1)
    else:
        t = t.remainder(length)
    head, tail = x[:, t[: max(0, inner_left)]], x[:, t[length + max(0, inner_left) :]]
    body = x[:, max(0, -left) : length - max(0, -right)]
    zeros = x.new_zeros(x.shape[0], max(0, left - reach)), x.new_zeros(x.shape[0], max(0, right - reach))
    return torch.cat([zeros[0], head, body, tail, zeros[1]], dim=1)


def _halve(x: Tensor, origin: int, halfband: Tensor, backend: str) -> tuple[Tensor, int]:
    """Low-pass and every second sample: those at even distance from the sample that `origin` is counted from.

    Two neighbouring results are the real and the imaginary part of one row: nothing is computed for nothing.
    """
    length = halfband.shape[1]
    half = (length - 3) // 2
    skip = (origin + half) % 2
    plan = DensePlan.make(length, 4, (0,), (length,), center=False)
    pairs = frame_transform(x[:, skip:], halfband, plan, backend)
    return torch.view_as_real(pairs)[:, 0].flatten(1), (origin + skip + half) // 2
