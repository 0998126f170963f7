"""What runs along the frames of a spectrogram: deltas, and per-channel energy normalisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

from ._checks import integer, one_of, real, room

__all__ = ["compute_deltas", "pcen", "smooth"]

Number = float | Tensor
BLOCK = 32  # frames of the smoother that are one product


def compute_deltas(specgram: Tensor, win_length: int = 5, mode: str = "replicate") -> Tensor:
    """Slopes of lines fitted to win_length frames: sum_k k x[m + k] / sum_k k^2, |k| <= (win_length - 1) / 2.

    As ``torchaudio.functional.compute_deltas``.

    Args:
        specgram: real [..., M].
        win_length: frames, at least 3; an even number counts as the odd one below.
        mode: what stands beyond the ends: "replicate", "reflect", "constant" (zeros), "circular".

    Returns:
        Tensor of the shape of specgram.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    check_real("specgram", specgram, 1)
    n = (integer("win_length", win_length, 3) - 1) // 2
    mode = one_of("mode", mode, ("replicate", "reflect", "constant", "circular"))
    length = specgram.shape[-1]
    room("win_length", win_length, specgram.numel() // length * (length + 2 * n))
    if (mode == "reflect" and length <= n) or (mode == "circular" and length < n):
        raise ValueError(f"specgram must hold more frames than mode {mode!r} adds at each end, {n}, got {length}")
    x = pad(specgram.reshape(1, -1, length), (n, n), mode=mode)

    def at(k: int) -> Tensor:
        return x[..., n + k : n + k + length]

    slopes = sum((k * (at(k) - at(-k)) for k in range(2, n + 1)), at(1) - at(-1))
    return (slopes * (3 / (n * (n + 1) * (2 * n + 1)))).reshape(specgram.shape)


def smooth(x: Tensor, b: Number, initial: Number | None = 1.0) -> Tensor:
    """The first-order smoother y[m] = (1 - b) y[m - 1] + b x[m], in blocks: products instead of steps.

    A block of 32 frames is the product with a triangular matrix of powers of 1 - b; the blocks' last values follow
    the same recursion with (1 - b)^32. Differentiable in x, b and initial, exactly.

    Args:
        x: real [..., K, M].
        b: from 0 (excluded) to 1; a number, or one a band, [K].
        initial: y[-1]: a number, one a band [K], or None for x[0].

    Returns:
        Tensor of the shape of x.
    """
    check_real("x", x, 2)
    b = _bands("b", b, x)
    start = x[..., :1] if initial is None else _bands("initial", initial, x).expand(*x.shape[:-1], 1)
    return _scan(b * x, 1 - b, start)


def _scan(x: Tensor, a: Tensor, before: Tensor) -> Tensor:
    """y[m] = a y[m - 1] + x[m]; x [..., K, M], a [K, 1] or [1, 1], before = y[-1] [..., K, 1]."""
    length = x.shape[-1]
    block = min(BLOCK, length)
    n = torch.arange(block, device=x.device)
    steps = n[:, None] - n  # of the matrix [m, m'], the power of a with which x[m'] is in y[m]
    matrix = torch.where(steps >= 0, a[..., None] ** steps.clamp(min=0), 0.0)
    decay = a ** (n + 1)
    blocks = pad(x, (0, -length % block)).unflatten(-1, (-1, block))
    inside = torch.matmul(blocks, matrix.mT)
    if length > block:
        ends = _scan(inside[..., -1], a**block, before)
        before = torch.cat([before, ends[..., :-1]], -1)
    return (inside + before[..., None] * decay[..., None, :]).flatten(-2)[..., :length]


def pcen(
    specgram: Tensor,
    sample_rate: float = 22050,
    hop_length: int = 512,
    gain: Number = 0.98,
    bias: Number = 2.0,
    power: Number = 0.5,
    time_constant: float = 0.4,
    eps: float = 1e-6,
    b: Number | None = None,
    max_size: int = 1,
    ref: Tensor | None = None,
    *,
    initial: Number | None = 1.0,
) -> Tensor:
    """Per-channel energy normalisation, (E / (eps + M)^gain + bias)^power - bias^power, M being E smoothed along time.

    Wang et al. 2017, "Trainable frontend for robust and far-field keyword spotting", eq. 1 and 2; arguments and
    defaults are librosa.pcen's (Lostanlen et al. 2019).

    Args:
        specgram: energies E [..., K, M], not negative.
        sample_rate, hop_length: of the frames; they matter through time_constant alone.
        gain, bias, power: alpha, delta, r: a number, or a tensor with one a band, [K], trained perhaps. Numbers must
            not be negative; power 0 is ln(1 + .), bias 0 the plain power.
        time_constant: seconds that the smoother spans, where b is None.
        eps: added to M, > 0.
        b: coefficient of ``smooth``, 0 to 1.
        max_size: the smoother sees the largest of this many neighbouring bands.
        ref: [..., K, M], what is smoothed in place of the energies.
        initial: M before the first frame, 1 as in librosa; None: the first frame's energy, as in the paper.

    Returns:
        Tensor of the shape of specgram.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    check_real("specgram", specgram, 2)
    eps = real("eps", eps, 0.0, strict=True)
    if b is None:
        b = smoothing(sample_rate, hop_length, time_constant)
    if ref is None:
        ref = _largest_neighbour(specgram, integer("max_size", max_size, 1))
    elif not isinstance(ref, Tensor) or ref.shape != specgram.shape:
        raise ValueError(f"ref must be a tensor of the shape of specgram, {list(specgram.shape)}")
    level = smooth(ref, b, initial)
    normal = torch.exp(-_bands("gain", gain, specgram) * (math.log(eps) + torch.log1p(level / eps)))
    delta, r = _bands("bias", bias, specgram), _bands("power", power, specgram)
    if not isinstance(power, Tensor) and power == 0:
        return torch.log1p(specgram * normal)
    u = specgram * normal
    silent, unbiased = u == 0, delta == 0
    plain = (u.masked_fill(silent, 1.0) ** r).masked_fill(silent, 0.0)  # slope 0 in silence
    delta = delta.masked_fill(unbiased, 1.0)
    return torch.where(unbiased, plain, delta**r * torch.expm1(r * torch.log1p(u / delta)))


def smoothing(sample_rate: float, hop_length: int, time_constant: float) -> float:
    """The b of ``smooth`` whose power response is half at 1 / time_constant (librosa's approximation)."""
    rate = real("sample_rate", sample_rate, 0.0, strict=True)
    frames = real("time_constant", time_constant, 0.0, strict=True) * rate / integer("hop_length", hop_length, 1)
    return 2 / (math.hypot(1, 2 * frames) + 1)  # (sqrt(1 + 4 f^2) - 1) / (2 f^2), whatever the size of f


def check_real(name: str, x: Tensor, dims: int) -> None:
    """Raise ValueError unless x is a real floating point tensor of so many dimensions, and not empty."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if not x.is_floating_point():
        raise ValueError(f"{name} must be a real floating point tensor, got {x.dtype}")
    if x.dim() < dims or x.numel() == 0:
        shape = "[..., M]" if dims < 2 else "[..., K, M]"
        raise ValueError(f"{name} must have shape {shape} and not be empty, got {list(x.shape)}")


def _bands(name: str, value: Number, like: Tensor) -> Tensor:
    """A number, or one a band, as a tensor [K or 1, 1]."""
    if not isinstance(value, Tensor):
        number = real(name, value, 0.0)
        if name == "b" and not 0 < number <= 1:
            raise ValueError(f"b must be above 0 and at most 1, got {value!r}")
        return torch.full((1, 1), number, dtype=like.dtype, device=like.device)
    if value.shape not in ((), (1,), (like.shape[-2],)) or not value.is_floating_point():
        raise ValueError(
            f"{name} must be a number or a real tensor [{like.shape[-2]}], one a band, got {list(value.shape)}"
        )
    return value.to(like.dtype).reshape(-1, 1)


def _largest_neighbour(x: Tensor, size: int) -> Tensor:
    if size == 1:
        return x
    size = min(size, 2 * x.shape[-2])  # all of them
    rows = x.mT.reshape(1, -1, x.shape[-2])
    rows = pad(rows, (size // 2, size - 1 - size // 2), value=-math.inf)
    return max_pool1d(rows, size, 1).reshape(x.mT.shape).mT
