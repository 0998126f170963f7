"""The op tests on executed PTX: a few cases that together reach every branch of every kernel.

`gpu/test_kernels.py` runs them all; `gpu/mutate.py` runs them on kernels with something taken out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import torch

from fastspec import _launch
from fastspec.ops import _cuda_warp, frame_transform
from fastspec.ops.inverse import inverse
from fastspec.plan import Ending, FramePlan

from .compile import ROOT
from .engine import PtxEngine, Use

sys.path.insert(0, str(ROOT / "tests"))
from cases import F64, Case, make_bank, nan_memory, signals
from test_cuda import (
    test_half_and_integer_samples_are_the_numbers_they_stand_for,
    test_half_results_are_rounded_as_torch_rounds,
    test_ragged_clips_are_what_each_gives_alone,
)
from test_cuda_warp import (
    BACKWARD_CASES,
    test_backward_owns_its_samples,
    test_edges,
    test_ragged_clips_and_16_bit_numbers,
    test_silence_has_no_gradient,
)
from test_cuda_warp import CASES as EDGES
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
    Case(300, 2, 48, 20, onesided=False),
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
IN_TURN = (Case(17600, 1, 400, 160), Case(17700, 1, 1024, 256))
"""Four tiles and a bit: a block takes several."""
RARE_ENDINGS = (
    Ending.make(2.0),
    Ending.make(1.7, log="db", floor=1e-3, floor_mode="add"),
    Ending.make(1.0, eps=1e-6, log="log1p", scale=10.0),
)


def linear(case: Case, _: PtxEngine) -> None:
    """frame_transform, overlap_add, basis_grad."""
    check_linear_ops(case, "cuda")


def power(case: Case, ending: Ending, bands: int, _: PtxEngine) -> None:
    """spectral_power and its backward."""
    bank = make_bank(case.plan.n_bins, bands, case.dtype) if bands else None
    check_power(case, ending, bank, "cuda")


def pcm(_: PtxEngine) -> None:
    """int16 samples mean x / 32768."""
    case = Case(900, 2, 128, 50)
    x, window = signals(case)
    whole = (8000 * x).to(torch.int16)
    got = frame_transform(whole, window, case.plan, "cuda")
    truth = frame_transform(whole.double() / 32768, window.double(), case.plan, "reference")
    assert (got - truth).abs().max() < 1e-6 * truth.abs().max()


def inverted(n_fft: int, hop: int, frames: int, start: int, length: int, _: PtxEngine) -> None:
    """inverse, its first samples cut off; longer or shorter than what the frames reach."""
    generator = torch.Generator().manual_seed(0)
    plan = FramePlan.make(n_fft, hop, n_fft - 3, center=False)
    y = torch.randn(2, plan.n_bins, frames, dtype=torch.complex64, generator=generator)
    window = torch.rand(n_fft - 3, generator=generator)
    gain = 0.5 + torch.rand(length, generator=generator)
    got = inverse(y, window, gain, plan, start, "cuda")
    truth = inverse(y.to(torch.complex128), window.double(), gain.double(), plan, start, "reference")
    assert (got - truth).abs().max() < 1e-6 * truth.abs().max()


def in_turn(test: Callable[[Case, PtxEngine], None], case: Case, engine: PtxEngine) -> None:
    """A test of the kernels by warps, launched as for a large batch: blocks take several tiles."""
    with patch.object(_cuda_warp, "BLOCKS", 1):
        test(case, engine)


def backward(banded: bool, case: Case, engine: PtxEngine) -> None:
    test_backward_owns_its_samples(case, banded, engine)


CHECKS: dict[str, Callable[[PtxEngine], None]] = {"int16": pcm}
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
CHECKS |= {
    f"ragged {n_fft} {hop} {pad}": partial(test_ragged_clips_are_what_each_gives_alone, n_fft, hop, pad)
    for n_fft, hop, pad in ((64, 16, "reflect"), (75, 100, "replicate"))
}
CHECKS |= {
    f"samples of {dtype}": partial(test_half_and_integer_samples_are_the_numbers_they_stand_for, dtype)
    for dtype in (torch.float16, torch.bfloat16)
}
CHECKS["results of bfloat16"] = partial(test_half_results_are_rounded_as_torch_rounds, torch.bfloat16)
CHECKS |= {f"silence {n_fft}": partial(test_silence_has_no_gradient, n_fft) for n_fft in (64, 1024)}
CHECKS |= {f"warps ragged {n_fft}": partial(test_ragged_clips_and_16_bit_numbers, n_fft) for n_fft in (400, 1024)}
CHECKS |= {f"warps {case}": partial(test_edges, case) for case in EDGES}
CHECKS |= {
    f"warps backward {case} {'bands' if banded else 'bins'}": partial(backward, banded, case)
    for case in BACKWARD_CASES
    for banded in (False, True)
}
CHECKS |= {f"warps in turn {case}": partial(in_turn, test_edges, case) for case in IN_TURN}
CHECKS |= {
    f"warps in turn backward {'bands' if banded else 'bins'}": partial(in_turn, partial(backward, banded), IN_TURN[1])
    for banded in (False, True)
}
"""By name; all raise where something is wrong. They launch on the engine in use, which they are given: see `run`."""


def run(name: str) -> list[Use]:
    """One check on executed PTX, and what it launched. An element that no kernel wrote is NaN."""
    engine = PtxEngine()
    with _launch.using(engine), nan_memory():
        CHECKS[name](engine)
    return engine.uses
