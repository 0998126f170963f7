"""The one table of shapes and endings that the op tests run through, and the truth that they compare with.

The truth is a slow, separate formula: NumPy's padding of an index, frames cut one by one, and an explicit DFT
matrix (torch.fft in float64 for long frames). Its gradients are PyTorch's own.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from fastspec.plan import DensePlan, Ending, FramePlan, Plan


@dataclass(frozen=True)
class Case:
    """Framing of `B` clips of `T` samples."""

    T: int
    B: int
    n_fft: int
    hop: int
    win: int | None = None
    pad: str = "reflect"
    center_pad: int | None = None
    onesided: bool = True
    dtype: torch.dtype = torch.float32
    preemphasis: float = 0.0
    remove_dc: bool = False

    @property
    def plan(self) -> FramePlan:
        return FramePlan.make(
            self.n_fft,
            self.hop,
            self.win,
            pad_mode=self.pad,
            onesided=self.onesided,
            center_pad=self.center_pad,
            preemphasis=self.preemphasis,
            remove_dc=self.remove_dc,
        )

    def __str__(self) -> str:
        parts = [f"n{self.n_fft}", f"h{self.hop}", f"T{self.T}", f"B{self.B}", self.pad]
        parts += [f"w{self.win}"] if self.win else []
        parts += [f"p{self.center_pad}"] if self.center_pad is not None else []
        parts += [] if self.onesided else ["two"]
        parts += ["f64"] if self.dtype == torch.float64 else []
        parts += [f"c{self.preemphasis}"] if self.preemphasis else []
        parts += ["dc"] if self.remove_dc else []
        return "-".join(parts)


@dataclass(frozen=True)
class DenseCase:
    """A dense basis: rows on the supports (start, stop) of frames of `n` samples, over `B` clips of `T`."""

    T: int
    B: int
    n: int
    hop: int
    supports: tuple[tuple[int, int], ...]
    pad: str = "reflect"
    center_pad: int | None = None
    dtype: torch.dtype = torch.float32

    @property
    def plan(self) -> DensePlan:
        starts, stops = zip(*self.supports, strict=True)
        return DensePlan.make(self.n, self.hop, starts, stops, pad_mode=self.pad, center_pad=self.center_pad)

    def __str__(self) -> str:
        parts = [f"n{self.n}", f"h{self.hop}", f"T{self.T}", f"B{self.B}", self.pad, f"rows{len(self.supports)}"]
        parts += [f"p{self.center_pad}"] if self.center_pad is not None else []
        parts += ["f64"] if self.dtype == torch.float64 else []
        return "dense-" + "-".join(parts)


def centred(n: int, *lengths: int) -> tuple[tuple[int, int], ...]:
    """Supports of these lengths in the middle of a frame, as those of a CQT."""
    return tuple(((n - length) // 2, (n - length) // 2 + length) for length in lengths)


F64 = torch.float64
CASES = [
    Case(17, 2, 2, 1),
    Case(9, 1, 2, 3, win=1, pad="none"),
    Case(20, 2, 3, 2, pad="replicate"),
    Case(31, 3, 4, 1, pad="circular", dtype=F64),
    Case(5, 1, 5, 5, pad="none"),
    Case(40, 2, 5, 11, pad="constant", onesided=False),
    Case(50, 2, 7, 3, onesided=False),
    Case(64, 2, 16, 4, win=9),
    Case(16, 1, 16, 16, pad="none", dtype=F64),
    Case(61, 2, 16, 40, pad="none"),
    Case(75, 1, 30, 7, pad="circular"),
    Case(131, 2, 49, 10, win=21, pad="constant"),
    Case(200, 2, 97, 33, pad="replicate", onesided=False),
    Case(330, 1, 100, 100, dtype=F64),
    Case(300, 2, 127, 1, pad="none"),
    Case(500, 3, 128, 32),
    Case(65, 2, 128, 50),
    Case(140, 2, 128, 64, center_pad=32, onesided=False, dtype=F64),
    Case(600, 1, 128, 77, win=64, center_pad=130, pad="constant"),
    Case(10, 2, 128, 16, pad="replicate"),
    Case(2000, 2, 400, 160),
    Case(1999, 2, 400, 160, win=320, pad="constant", dtype=F64),
    Case(1500, 1, 512, 128, pad="circular", onesided=False),
    Case(1024, 5, 512, 256, win=333, pad="none"),
    Case(2400, 2, 600, 151, pad="replicate"),
    Case(3100, 1, 1000, 250, dtype=F64),
    Case(4096, 2, 1024, 256, center_pad=384),
    Case(9000, 1, 1024, 1500, pad="none"),
    Case(2600, 2, 1009, 300, win=1000),
    Case(1009, 1, 1009, 7, pad="none", onesided=False, dtype=F64),
    Case(8200, 2, 2048, 512),
    Case(2048, 1, 2048, 1, pad="none", dtype=F64),
    Case(20000, 1, 400, 160, pad="constant"),
    Case(1000, 2, 512, 160, win=400, pad="constant", center_pad=56, preemphasis=0.97, remove_dc=True),
    Case(300, 2, 97, 33, win=40, preemphasis=1.0, dtype=F64),
    Case(300, 3, 64, 70, pad="none", remove_dc=True, onesided=False),
    Case(31, 2, 5, 1, win=1, preemphasis=0.5),
    Case(190, 2, 75, 20),
    Case(500, 2, 225, 60, win=100, pad="constant", onesided=False, dtype=F64),
    Case(9000, 1, 4096, 1024, pad="circular"),
    Case(18000, 1, 16384, 3000),
    Case(9000, 1, 10125, 4000, pad="replicate"),
]

DENSE_CASES = [
    DenseCase(40, 2, 8, 2, ((0, 8),)),  # one row
    DenseCase(9, 1, 1, 1, ((0, 1), (0, 1)), pad="none"),  # one sample a frame
    DenseCase(31, 2, 5, 11, ((0, 1), (4, 5), (0, 5)), pad="constant"),  # rows at the frame's ends, hop > N
    DenseCase(50, 3, 16, 1, ((3, 7), (0, 16), (15, 16), (2, 14)), pad="circular", dtype=F64),
    DenseCase(150, 2, 33, 7, centred(33, 33, 20, 5, 1), pad="replicate"),
    DenseCase(300, 2, 64, 16, tuple((0, 64) for _ in range(33))),  # a trainable STFT
    DenseCase(301, 2, 64, 13, tuple((0, 64) for _ in range(20)), dtype=F64),
    DenseCase(700, 3, 200, 37, centred(200, 200, 151, 113, 80, 57, 40, 29, 20, 14, 10), pad="constant"),  # a CQT
    DenseCase(600, 1, 128, 77, ((5, 120), (0, 30), (98, 128), (60, 61)), pad="constant", center_pad=130),
    DenseCase(500, 2, 96, 100, ((0, 96), (10, 20)), pad="none"),
    DenseCase(2100, 2, 512, 128, centred(512, *range(512, 12, -20)), pad="replicate", dtype=F64),
    DenseCase(2500, 2, 230, 20, centred(230, *range(230, 20, -9))),  # pieces of four hops, of two, and a rest
    DenseCase(2500, 2, 440, 40, tuple((10, 430) for _ in range(40))),  # the same, and all rows on one support
    DenseCase(900, 3, 130, 50, centred(130, *[130] * 18, 120, 60), pad="none", dtype=F64),  # a piece of two, and a rest
    DenseCase(4000, 2, 1000, 250, tuple((0, 1000) for _ in range(60)), pad="constant"),
    DenseCase(3000, 2, 1500, 10, centred(1500, 1500, 700, 300), pad="reflect"),  # far more frames than rows
]

ENDINGS = [
    Ending.make(2.0),
    Ending.make(1.0),
    Ending.make(0.5),
    Ending.make(1.7),
    Ending.make(3.0),
    Ending.make(1.0, eps=1e-6),
    Ending.make(2.0, eps=1e-3, log="ln"),
    Ending.make(2.0, log="ln"),
    Ending.make(1.0, log="ln", floor=1e-1),
    Ending.make(1.0, log="ln", floor=1e-2, floor_mode="add"),
    Ending.make(2.0, log="log10"),
    Ending.make(2.0, log="log10", floor=1e-1, floor_mode="add"),
    Ending.make(2.0, log="log1p"),
    Ending.make(1.0, log="log1p", scale=10.0),
    Ending.make(2.0, log="db", floor=1.0),
    Ending.make(1.0, log="db", multiplier=20.0, floor=1e-5),
    Ending.make(1.7, log="db", floor=1e-3, floor_mode="add"),
]

ENDING_CASES = [
    Case(64, 2, 16, 4, win=9),
    Case(300, 2, 97, 33, pad="constant", onesided=False, dtype=F64),
    Case(2000, 2, 400, 160),
    Case(1024, 3, 512, 200, pad="none"),
    Case(900, 2, 256, 80, win=200, preemphasis=0.97, remove_dc=True),
    Case(300, 2, 75, 33, pad="circular", onesided=False, dtype=F64),
    DENSE_CASES[7],
    DENSE_CASES[6],
]


def ending_name(ending: Ending) -> str:
    name = f"p{ending.power:g}" + (f"-eps{ending.eps:g}" if ending.eps else "") + f"-{ending.log}"
    if ending.log == "log1p":
        return f"{name}-{ending.scale:g}"
    return name if ending.log == "none" else f"{name}-{ending.floor_mode}{ending.floor:g}"


def make_bank(n_bins: int, n_bands: int, dtype: torch.dtype) -> torch.Tensor:
    """Overlapping triangles [F, K], sparse; band 1 is empty, the last bin belongs to nobody."""
    bins = torch.arange(n_bins, dtype=dtype)[:, None]
    centres = torch.linspace(0, n_bins - 2, n_bands, dtype=dtype)[None]
    bank = (1 - (bins - centres).abs() / max(1.0, 1.5 * n_bins / n_bands)).clamp(min=0)
    bank[:, 1] = 0
    bank[-1] = 0
    return bank


def signals(case: Case | DenseCase, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A noisy tone x [B, T] and a basis (an asymmetric positive window, or any taps), exact in the case's dtype."""
    rng = np.random.default_rng(seed)
    tone = np.sin(0.3 * np.arange(case.T)) + 0.5 * rng.standard_normal((case.B, case.T))
    shape = case.plan.basis_shape
    basis = 0.2 + rng.random(shape) if isinstance(case, Case) else rng.standard_normal(shape)
    return torch.tensor(tone, dtype=case.dtype), torch.tensor(basis, dtype=case.dtype)


def true_transform(x: torch.Tensor, basis: torch.Tensor, case: Case | DenseCase) -> torch.Tensor:
    """frame_transform by its formula, differentiable, in the dtype of x."""
    plan, n = case.plan, case.plan.n_fft
    if plan.pad_mode == "constant":
        x = F.pad(x, (plan.pad, plan.pad))
    elif plan.pad:
        mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[plan.pad_mode]
        x = x[:, torch.from_numpy(np.pad(np.arange(x.shape[1]), plan.pad, mode=mode))]
    starts = range(0, x.shape[1] - n + 1, plan.hop_length)
    if isinstance(plan, DensePlan):
        framed = torch.stack([x[:, s : s + n] for s in starts], dim=2)  # [B, N, M]
        rows, first = [], 0
        for start, stop in zip(plan.starts, plan.stops, strict=True):
            taps = basis[:, first : first + stop - start]
            rows.append(torch.einsum("cn,bnm->cbm", taps, framed[:, start:stop]))
            first += stop - start
        return torch.complex(*torch.stack(rows, dim=2))
    left = (n - plan.win_length) // 2
    framed = torch.stack([x[:, s + left : s + left + plan.win_length] for s in starts], dim=2)  # [B, N, M]
    if case.remove_dc:
        framed = framed - framed.mean(1, keepdim=True)
    before = torch.cat([framed[:, :1], framed[:, :-1]], dim=1)
    framed = (framed - case.preemphasis * before) * basis[:, None]
    if n > 128:
        framed = F.pad(framed, (0, 0, left, n - plan.win_length - left))
        return torch.fft.fft(framed, dim=1)[:, : plan.n_bins]
    turns = np.outer(np.arange(plan.n_bins), np.arange(left, left + plan.win_length)) % n / n
    dft = torch.from_numpy(np.exp(-2j * np.pi * turns)).to(framed.dtype.to_complex())
    return torch.einsum("fn,bnm->bfm", dft, framed.to(dft.dtype))


def true_power(
    x: torch.Tensor, basis: torch.Tensor, bank: torch.Tensor | None, case: Case | DenseCase, ending: Ending
) -> torch.Tensor:
    """spectral_power by its formula, differentiable, in the dtype of x."""
    y = true_transform(x, basis, case)
    u = (y.real**2 + y.imag**2 + ending.eps) ** (ending.power / 2)
    if bank is not None:
        u = torch.einsum("fk,bfm->bkm", bank, u)
    if ending.log == "none":
        return u
    if ending.log == "log1p":
        return torch.log(1 + ending.scale * u)
    floor = torch.tensor(ending.floor, dtype=u.dtype)
    u = torch.maximum(u, floor) if ending.floor_mode == "clamp" else u + floor
    return torch.log(u) * {"ln": 1, "log10": 1 / math.log(10), "db": ending.multiplier / math.log(10)}[ending.log]


def tolerance(truth: torch.Tensor, plan: Plan, dtype: torch.dtype) -> float:
    """What rounding may cost a linear op: an FFT of length N loses about eps * log2(N) of the largest value.

    The factor 4 leaves room for Bluestein's convolution (three transforms of up to four times the length).
    Sums of N products lose about eps * sqrt(N), those of a dense basis over frames or rows too.
    """
    scale = truth.abs().max().item() if truth.numel() else 0.0
    if isinstance(plan, DensePlan):
        return 4 * torch.finfo(dtype).eps * math.sqrt(max(plan.n_fft, 2 * plan.n_bins, truth.shape[-1])) * scale
    return 4 * torch.finfo(dtype).eps * math.log2(2 * plan.n_fft) * scale


@contextmanager
def nan_memory() -> Iterator[None]:
    """Fill new uninitialised tensors with NaN (torch's own switch): an unwritten element fails the test."""
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    assert torch.empty(3).isnan().all()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.utils.deterministic.fill_uninitialized_memory = before[1]


def assert_close(actual: torch.Tensor, truth: torch.Tensor, tol: float, what: str) -> None:
    """Every element within tol of the truth; the message names the worst one."""
    assert actual.shape == truth.shape, f"{what}: shape {tuple(actual.shape)}, expected {tuple(truth.shape)}"
    assert actual.is_contiguous(), f"{what}: not contiguous"
    error = (actual.to(truth.dtype) - truth).abs()
    worst = error.max().item() if error.numel() else 0.0
    if not worst <= tol:
        at = np.unravel_index(int(error.nan_to_num(math.inf).argmax()), error.shape)
        at = tuple(map(int, at))
        raise AssertionError(
            f"{what}: error {worst:.3g} > {tol:.3g} at {at}: {actual[at].item()}, truth {truth[at].item()}"
        )
