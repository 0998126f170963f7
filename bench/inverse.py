"""Back to samples, beside torch and torchaudio: python -m bench.inverse.

The inverse STFT; the gradient through an STFT and its inverse; 32 rounds of Griffin-Lim. One thread, float32, in one
process that both take turns in. Where the results differ, nothing is timed. No time is ever asserted. The last
column is the spectral convergence of both results of Griffin-Lim, the norm of the difference of the magnitudes over
their norm.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

import fastspec.functional as F
from bench.peers import import_torchaudio
from fastspec.quickbench import take_turns, turn_of

SAMPLE_RATE = 22050


@dataclass(frozen=True)
class Frames:
    """Clips of noise, and the frames they are cut into."""

    n_fft: int
    hop_length: int
    batch: int = 4
    seconds: float = 30.0

    def __str__(self) -> str:
        return f"{self.n_fft}/{self.hop_length}, {self.batch} x {self.seconds:g} s"


WORKLOADS = (
    Frames(1024, 256),
    Frames(2048, 512),
    Frames(1024, 256, batch=1, seconds=1.0),
    Frames(2048, 512, batch=1, seconds=1.0),
)


@dataclass(frozen=True)
class Rival:
    """A task done by fastspec and by another; how far the results may differ, over the largest value."""

    task: str
    target: float  # times faster, for clips of 30 s
    ours: Callable[[], Tensor]
    theirs: Callable[[], Tensor]
    allowed: float
    judge: Callable[[Tensor], str] = lambda samples: ""  # how good samples are, for what has no one right answer


def rivals(frames: Frames) -> Iterator[Rival]:
    """The three tasks on these frames, ready to run."""
    n_fft, hop = frames.n_fft, frames.hop_length
    count = round(frames.seconds * SAMPLE_RATE) // hop * hop
    x = 0.1 * torch.randn(frames.batch, count, generator=torch.Generator().manual_seed(0))
    window = torch.hann_window(n_fft)
    y = F.stft(x, n_fft, hop, window=window)

    def without_grad(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        return torch.inference_mode()(run)

    yield Rival(
        "istft",
        6.0,
        without_grad(lambda: F.istft(y, n_fft, hop, window=window, length=count)),
        without_grad(lambda: torch.istft(y, n_fft, hop, window=window, length=count)),
        1e-5,
    )
    leaf = x.clone().requires_grad_()
    seed = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))

    def both(forward: Callable[[Tensor], Tensor], inverse: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        return lambda: torch.autograd.grad(inverse(forward(leaf)), leaf, seed)[0]

    yield Rival(
        "stft, istft, gradient",
        10.0,
        both(
            lambda x: F.stft(x, n_fft, hop, window=window),
            lambda y: F.istft(y, n_fft, hop, window=window, length=count),
        ),
        both(
            lambda x: torch.stft(x, n_fft, hop, window=window, return_complex=True),
            lambda y: torch.istft(y, n_fft, hop, window=window, length=count),
        ),
        1e-5,
    )
    magnitude = y.abs()
    functional = import_torchaudio().functional
    arguments = magnitude, window, n_fft, hop, n_fft, 1.0, 32, 0.99, None, False

    def distance(x: Tensor) -> Tensor:
        return (F.stft(x, n_fft, hop, window=window).abs() - magnitude).norm()

    yield Rival(
        "Griffin-Lim, 32 rounds",
        6.0,
        without_grad(lambda: F.griffinlim(*arguments)),
        without_grad(lambda: functional.griffinlim(*arguments)),
        0.05,  # rounding grows from round to round, on noise fastest; tests/test_griffin_lim.py is strict, in float64
        lambda x: f"{20 * (distance(x) / magnitude.norm()).log10():.3f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.inverse", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--budget", type=float, default=4.0, help="seconds a row (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each, at least (default: %(default)s)")
    parser.add_argument("--seconds", type=float, help="length of every clip, instead of the workloads' own")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("One thread, float32, medians of rounds in turns; torchaudio for Griffin-Lim, else torch.\n")
    print("| task | frames | fastspec, ms | torch, ms | faster | target | difference | convergence, dB |")
    print("|---|---|---|---|---|---|---|---|")
    for frames in WORKLOADS:
        if options.seconds:
            frames = Frames(frames.n_fft, frames.hop_length, frames.batch, options.seconds)
        for rival in rivals(frames):
            got, other = rival.ours(), rival.theirs()
            difference = ((got - other).norm() / other.norm()).item()  # one sample may go far astray in Griffin-Lim
            if not difference <= rival.allowed:
                print(f"| {rival.task} | {frames} | wrong: off by {difference:.1e} |")
                continue
            judged = " and ".join(filter(None, map(rival.judge, (got, other))))
            del got, other
            times = take_turns([turn_of(rival.ours), turn_of(rival.theirs)], options.budget, options.rounds)
            mine, theirs = (1e3 * statistics.median(one) for one in times)
            target = f"{rival.target:g}x" if frames.seconds >= 30 else ""
            cells = f"{mine:.3g} | {theirs:.3g} | {theirs / mine:.1f}x | {target} | {difference:.0e} | {judged}"
            print(f"| {rival.task} | {frames} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
