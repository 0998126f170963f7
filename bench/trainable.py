"""Trainable STFT layers beside each other: python -m bench.trainable.

fastspec's, nnaudio2's convolutions and torch's unfold with a product: the same magnitudes of the same rows, one thread,
in one process that they take turns in. "both" is forward and the gradient of the rows. Peak memory is the kernel's own
high-water mark. A contender whose magnitudes or gradient are wrong is not timed. No time is ever asserted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.memory import peak_memory
from fastspec import bases
from fastspec.ops import frame_transform
from fastspec.plan import DensePlan
from fastspec.transforms import STFT


@dataclass(frozen=True)
class Layer:
    """A trainable STFT over `batch` clips of `seconds`."""

    n_fft: int = 1024
    hop_length: int = 256
    batch: int = 4
    seconds: float = 30.0
    sample_rate: int = 22050


Pass = Callable[[Tensor], Tensor]  # samples to magnitudes
Rows = Callable[[], Tensor]  # the gradient [2, F, N] of real and imaginary rows


def ours(layer: Layer, recompute: bool = False) -> tuple[Pass, list[Tensor], Rows]:
    module = STFT(
        layer.n_fft, hop_length=layer.hop_length, trainable=True, output_format="Magnitude", recompute=recompute
    )
    return module, [module.basis], lambda: _grad(module.basis)


def nnaudio2(layer: Layer) -> tuple[Pass, list[Tensor], Rows]:
    os.environ.setdefault("NNAUDIO_DISABLE_CITATION_REMINDER", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nnAudio2 import features
    module = features.STFT(
        layer.n_fft, hop_length=layer.hop_length, trainable=True, output_format="Magnitude", verbose=False
    )
    rows = [module.wcos, module.wsin]
    return module, rows, lambda: torch.stack([_grad(rows[0])[:, 0], -_grad(rows[1])[:, 0]])


def unfold(layer: Layer) -> tuple[Pass, list[Tensor], Rows]:
    n = layer.n_fft
    rows = _rows(n).flatten(0, 1).float().requires_grad_()

    def path(x: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(x[:, None], (n // 2, n // 2), "reflect")[:, 0]
        y = rows @ padded.unfold(1, n, layer.hop_length).mT
        real, imaginary = y.unflatten(1, (2, -1)).unbind(1)
        return (real.square() + imaginary.square()).sqrt()

    return path, [rows], lambda: _grad(rows).unflatten(0, (2, -1))


CONTENDERS: dict[str, Callable[[Layer], tuple[Pass, list[Tensor], Rows]]] = {
    "fastspec": ours,
    "fastspec, recompute": lambda layer: ours(layer, recompute=True),
    "nnaudio2": nnaudio2,
    "torch: unfold, matmul": unfold,
}


def _rows(n_fft: int) -> Tensor:
    return torch.tensor(bases.fourier_basis(n_fft, bases.bin_frequencies(n_fft), bases.get_window("hann", n_fft)))


def _grad(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def _run(path: Pass, leaves: list[Tensor], x: Tensor, backward: bool) -> Callable[[], Tensor]:
    def forward() -> Tensor:
        with torch.no_grad():
            return path(x)

    def both() -> Tensor:
        for leaf in leaves:
            leaf.grad = None
        out = path(x)
        out.sum().backward()
        return out.detach()

    return both if backward else forward


def _error(path: Pass, leaves: list[Tensor], rows: Rows, layer: Layer) -> tuple[float, float]:
    """The largest errors of magnitudes and gradient over the largest true value, on a second of noise."""
    x = torch.randn(2, layer.sample_rate, generator=torch.Generator().manual_seed(0))
    got = _run(path, leaves, x, True)()
    n = layer.n_fft
    basis = _rows(n).requires_grad_()
    plan = DensePlan.make(n, layer.hop_length, (0,) * (n // 2 + 1), (n,) * (n // 2 + 1))
    truth = frame_transform(x.double(), basis.flatten(1), plan, "reference").abs()
    truth.sum().backward()
    return tuple(
        ((a - t).abs().max() / t.abs().max()).item() for a, t in ((got, truth.detach()), (rows(), _grad(basis)))
    )


def supports(rounds: int) -> None:
    """Does time follow the taps? 513 rows of one length, and of lengths from 64 to 1024 in any order, in turns.

    Without overlap of the frames, and with one of three quarters, where longer rows share more between frames.
    """
    n, lengths = 1024, [64 + 960 * i // 512 for i in range(513)]
    order = torch.randperm(513, generator=torch.Generator().manual_seed(0)).tolist()
    kinds = {"all of 1024": [n] * 513, "of 64 to 1024, shuffled": [lengths[i] for i in order]}
    print("\n| hop | 513 rows | taps | ms | ps a tap and frame |\n|---|---|---|---|---|")
    for hop in (1024, 256):
        x = torch.randn(4, 800 * hop)
        plans = {}
        for name, widths in kinds.items():
            starts = [(n - width) // 2 for width in widths]
            stops = [start + width for start, width in zip(starts, widths, strict=True)]
            plans[name] = DensePlan.make(n, hop, tuple(starts), tuple(stops), pad_mode="constant")
        times: dict[str, list[float]] = {name: [] for name in plans}
        bases_ = {name: torch.randn(plan.basis_shape) for name, plan in plans.items()}
        for _ in range(rounds + 1):
            for name, plan in plans.items():
                start = time.perf_counter()
                frame_transform(x, bases_[name], plan)
                times[name].append(time.perf_counter() - start)
        for name, plan in plans.items():
            median, frames = statistics.median(times[name][1:]), 4 * plan.n_frames(x.shape[1])
            each = f"{1e3 * median:.0f} | {1e12 * median / frames / plan.n_taps:.1f}"
            print(f"| {hop} | {name} | {plan.n_taps} | {each} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.trainable", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a clip (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    layer = Layer(seconds=options.seconds)
    x = 0.1 * torch.randn(layer.batch, round(layer.seconds * layer.sample_rate))
    print(f"{layer}, one thread, medians of {options.rounds} rounds in turns\n")
    made = {}
    for name, build in CONTENDERS.items():
        try:
            path, leaves, rows = build(layer)
        except ImportError as error:
            print(f"{name}: missing: {error}")
            continue
        errors = _error(path, leaves, rows, layer)
        if not max(errors) < 1e-3:
            print(f"{name}: wrong: errors {errors}")
            continue
        made[name] = path, leaves, errors
    print("| pass | layer | ms | nnaudio2 / this | peak MB | largest error |")
    print("|---|---|---|---|---|---|")
    for backward in (False, True):
        runs = {name: _run(path, leaves, x, backward) for name, (path, leaves, _) in made.items()}
        memory = {name: peak_memory(run) for name, run in runs.items()}
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                times[name].append(1e3 * (time.perf_counter() - start))
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, median in medians.items():
            ratio = f"{medians['nnaudio2'] / median:.2f}" if "nnaudio2" in medians else ""
            error, peak = made[name][2][backward], memory[name]
            shown = "" if peak is None else f"{peak / 1e6:.0f}"
            print(f"| {'both' if backward else 'forward'} | {name} | {median:.0f} | {ratio} | {shown} | {error:.1e} |")
    supports(options.rounds)


if __name__ == "__main__":
    main()
