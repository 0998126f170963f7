"""What docs/gpu.md tells of: the transforms of bench/, their backward, and hops and sizes of no special kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest.mock import patch

import torch
from torch import Tensor

from fastspec import _launch, bases
from fastspec.ops import _cuda_warp, spectral_power
from fastspec.plan import Ending, FramePlan

from .engine import PtxEngine, Recorder, Use
from .ptx import Counts
from .roofline import Sizes

SHORT = 480
"""Frames of one clip that is alone on the GPU: every block takes one tile (backward: as few as its halo is worth)."""
STEADY = 768
"""Frames of the clip that stands for a large batch: blocks take as many tiles in turn as they ever do, and every run is
whole (32, 64, 96 or 128 frames a block forward). The clip's two edges are in it still."""


@dataclass(frozen=True)
class Workload:
    """A spectrogram of one clip, Hann window, reflect padding.

    Attributes:
        bands: of a mel filterbank up to f_max, then the natural logarithm; 0 for the magnitude of the bins.
        backward: the gradient of the samples, from samples and the gradient of the result.
        dtype: of the samples.
    """

    n_fft: int
    hop: int
    bands: int = 0
    backward: bool = False
    sample_rate: int = 22050
    f_max: float | None = None
    dtype: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        kind = f"log-mel {self.bands}" if self.bands else "magnitude"
        return f"{self.n_fft}/{self.hop} {kind}" + (", backward" if self.backward else "")

    @property
    def in_turn(self) -> bool:
        """Whether its blocks take several tiles in turn where there are many: those of the kernels by warps."""
        core = _cuda_warp.CORES.get(self.n_fft)
        return core is not None and (core.backward or not self.backward)

    @property
    def plan(self) -> FramePlan:
        return FramePlan.make(self.n_fft, self.hop)

    @property
    def ending(self) -> Ending:
        return Ending.make(2.0, log="ln", floor=1e-5) if self.bands else Ending.make(1.0)

    def bank(self) -> Tensor | None:
        if not self.bands:
            return None
        high = self.f_max or self.sample_rate / 2
        bank = bases.mel_filterbank(self.plan.n_bins, 0.0, high, self.bands, self.sample_rate, "slaney", "slaney")
        return torch.tensor(bank, dtype=torch.float32)

    def sizes(self, frames: int) -> Sizes:
        plan = self.plan
        return Sizes((frames - 1) * self.hop, frames, self.n_fft, plan.n_bins, self.bands, plan.pad)

    def run(self, frames: int, backend: str = "cuda") -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
        """Two calls: the forward, and after it the one that this workload is about."""
        plan, ending, bank = self.plan, self.ending, self.bank()
        real = torch.float64 if self.dtype is torch.float64 else torch.float32
        x = torch.randn(1, self.sizes(frames).T, generator=torch.Generator().manual_seed(0)).to(self.dtype)
        x.requires_grad_(self.backward)
        window = torch.hann_window(self.n_fft).to(real)
        bank = None if bank is None else bank.to(real)
        kept: list[Tensor] = []

        def forward() -> Tensor:
            kept[:] = [spectral_power(x, window, bank, plan, ending, backend)]
            return kept[0]

        def backward() -> Tensor:
            seed = torch.randn(kept[0].shape, generator=torch.Generator().manual_seed(1))
            return torch.autograd.grad(kept[0], x, seed)[0]

        return forward, backward if self.backward else forward


@dataclass(frozen=True)
class Measured:
    """One workload executed: its launches, and what a frame of it costs in a clip of so many frames."""

    workload: Workload
    uses: tuple[Use, ...]
    counts: Counts
    each: tuple[Counts, ...]
    error: float
    frames: int


def execute(workload: Workload, steady: bool = True) -> Measured:
    """Run it as PTX; the error is the largest against float64, over the largest value (log: absolute).

    Args:
        steady: launched as in a large batch, where that makes a difference; else as one short clip is.
    """
    if steady and workload.in_turn:
        with patch.object(_cuda_warp, "BLOCKS", 1):
            return _execute(workload, STEADY)
    return _execute(workload, SHORT)


def _execute(workload: Workload, frames: int) -> Measured:
    forward, run = workload.run(frames)
    engine = PtxEngine()
    if workload.backward:  # it computes the spectrum again from the samples, so its forward need not run
        with _launch.using(Recorder()):
            forward()
    with _launch.using(engine):
        result = run()
    each = tuple(counts.per(frames) for counts in engine.counts)
    total = Counts()
    for counts in each:
        total = total + counts
    true_forward, true_run = replace(workload, dtype=torch.float64).run(frames, "reference")
    if workload.backward:
        true_forward()
    truth = true_run()
    largest = 1.0 if workload.bands and not workload.backward else float(truth.abs().max())
    error = float((result.double() - truth).abs().max()) / largest
    return Measured(workload, tuple(engine.uses), total, each, error, frames)


FORWARD = (
    Workload(400, 160, sample_rate=16000),
    Workload(400, 160, 80, sample_rate=16000),
    Workload(512, 128),
    Workload(512, 128, 80),
    Workload(1024, 256),
    Workload(1024, 256, 80, f_max=8000.0),
    Workload(2048, 512),
    Workload(2048, 512, 128),
    Workload(4096, 1024, sample_rate=44100),
    Workload(4096, 1024, 128, sample_rate=44100),
)
BACKWARD = tuple(replace(each, backward=True) for each in FORWARD)
HOPS = (
    Workload(400, 161, sample_rate=16000),
    Workload(400, 147, 80, sample_rate=16000),
    Workload(512, 161),
    Workload(512, 125, 80),
    Workload(1024, 250),
    Workload(1024, 441, 80),
    Workload(2048, 441),
    Workload(2048, 441, 128),
    Workload(1024, 250, backward=True),
    Workload(1024, 250, 80, backward=True),
)
"""The same lengths at hops that no build is special for."""
GENERAL = (Workload(600, 150), Workload(1000, 250, 80), Workload(960, 240, 80, backward=True))
"""5-smooth lengths without a kernel of their own."""
ALL = (*FORWARD, *BACKWARD, *HOPS, *GENERAL)
