"""The op tests on executed PTX: a few cases that together reach every branch of every kernel.

`gpu/test_kernels.py` runs them all; `gpu/mutate.py` runs them on kernels with something taken out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import torch

from fastspec import _launch
from fastspec.ops import frame_transform
from fastspec.ops.inverse import inverse
from fastspec.plan import Ending, FramePlan

from .compile import ROOT
from .engine import PtxEngine

sys.path.insert(0, str(ROOT / "tests"))
from cases import F64, Case, make_bank, signals
from test_ops import check_linear_ops, check_power

LINEAR = (
    Case(64, 2, 16, 4, win=9),
    Case(61, 2, 16, 40, pad="none"),
    Case(75, 1, 30, 7, pad="circular"),
    Case(90, 1, 27, 5, onesided=False),
    Case(600, 1, 128, 77, win=64, center_pad=130, pad="constant"),
    Case(700, 1, 125, 25, pad="replicate", dtype=F64),
    Case(2000, 2, 400, 160),
    Case(2300, 1, 600, 151, onesided=False),
)
POWER = (
    Case(64, 2, 16, 4, win=9),
    Case(500, 2, 75, 40, pad="constant", onesided=False),
    Case(2000, 2, 400, 160),
    Case(7840, 1, 400, 160),
    Case(1900, 2, 400, 147, win=333),
    Case(3000, 2, 512, 128, pad="none"),
    Case(9100, 1, 1024, 256),
    Case(5003, 1, 1024, 201, pad="circular"),
    Case(9000, 1, 2048, 512, pad="replicate"),
    Case(14000, 1, 4096, 1024, pad="constant"),
    Case(2400, 1, 600, 150, dtype=F64),
)
ENDINGS = (Ending.make(1.0), Ending.make(2.0, log="ln", floor=1e-2))
RARE_ENDINGS = (
    Ending.make(2.0),
    Ending.make(1.7, log="db", floor=1e-3, floor_mode="add"),
    Ending.make(1.0, eps=1e-6, log="log1p", scale=10.0),
)


def linear(case: Case) -> None:
    """frame_transform, overlap_add, basis_grad."""
    with _launch.using(PtxEngine()):
        check_linear_ops(case, "cuda")


def power(case: Case, ending: Ending, bands: int) -> None:
    """spectral_power and its backward."""
    bank = make_bank(case.plan.n_bins, bands, case.dtype) if bands else None
    with _launch.using(PtxEngine()):
        check_power(case, ending, bank, "cuda")


def pcm() -> None:
    """int16 samples mean x / 32768."""
    case = Case(900, 2, 128, 50)
    x, window = signals(case)
    whole = (8000 * x).to(torch.int16)
    with _launch.using(PtxEngine()):
        got = frame_transform(whole, window, case.plan, "cuda")
    truth = frame_transform(whole.double() / 32768, window.double(), case.plan, "reference")
    assert (got - truth).abs().max() < 1e-6 * truth.abs().max()


def inverted(n_fft: int, hop: int, frames: int, start: int, length: int) -> None:
    """inverse, its first samples cut off; longer or shorter than what the frames reach."""
    generator = torch.Generator().manual_seed(0)
    plan = FramePlan.make(n_fft, hop, n_fft - 3, center=False)
    y = torch.randn(2, plan.n_bins, frames, dtype=torch.complex64, generator=generator)
    window = torch.rand(n_fft - 3, generator=generator)
    gain = 0.5 + torch.rand(length, generator=generator)
    with _launch.using(PtxEngine()):
        got = inverse(y, window, gain, plan, start, "cuda")
    truth = inverse(y.to(torch.complex128), window.double(), gain.double(), plan, start, "reference")
    assert (got - truth).abs().max() < 1e-6 * truth.abs().max()


CHECKS: dict[str, Callable[[], None]] = {"int16": pcm}
CHECKS |= {
    f"inverse {args}": partial(inverted, *args)
    for args in ((16, 4, 40, 8, 150), (75, 20, 9, 0, 300), (64, 16, 20, 32, 99), (16, 40, 5, 0, 260))
}
CHECKS |= {f"linear {case}": partial(linear, case) for case in LINEAR}
CHECKS |= {
    f"power {case} {ending.log} {bands}": partial(power, case, ending, bands)
    for case in POWER
    for ending, bands in zip(ENDINGS, (0, 7), strict=True)
}
CHECKS |= {
    f"power {POWER[1]} {ending.log} {ending.power:g} {bands}": partial(power, POWER[1], ending, bands)
    for ending, bands in zip(RARE_ENDINGS, (0, 5, 5), strict=True)
}
"""By name; all raise where something is wrong."""
