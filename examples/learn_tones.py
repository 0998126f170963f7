"""Learning to hear pitch: a fixed and a trained front end regress the frequency of sines.

The experiment of the nnAudio paper (Cheuk et al., IEEE Access 8, 2020, section on trainable kernels), smaller: short
sines of any phase, a front end, a linear head on the mean of its output over time, mean squared error. Both networks
begin with the same numbers; one may also change its front end: the rows of an STFT, or a mel filterbank and the window
before it.

    python examples/learn_tones.py            # about a minute on one core
    python examples/learn_tones.py --quick    # seconds, less clear

Prints the errors on tones that neither has heard, and saves a picture of the bases before and after.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import fastspec.transforms as T

SAMPLE_RATE, SAMPLES = 8000, 800
LOW, HIGH = 200.0, 3800.0  # Hz


class Ear(nn.Module):
    """A front end and a linear head: tones [B, T] to their frequencies [B], 0 for LOW and 1 for HIGH."""

    def __init__(self, front_end: nn.Module):
        super().__init__()
        self.front_end = front_end
        with torch.no_grad():
            features = self.listen(torch.randn(1, SAMPLES)).shape[1]
        self.head = nn.Linear(features, 1)

    def listen(self, x: Tensor) -> Tensor:
        return self.front_end(x).mean(-1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.listen(x))[:, 0]


def stft(trainable: bool) -> nn.Module:
    return T.STFT(64, hop_length=32, center=False, trainable=trainable, output_format="Magnitude", sr=SAMPLE_RATE)


def mel(trainable: str | tuple[str, ...]) -> nn.Module:
    names = trainable or ()
    return T.MelSpectrogram(
        SAMPLE_RATE, 128, hop_length=64, n_mels=16, power=1.0, center=False, f_min=100.0, trainable=names
    )


def tones(hertz: Tensor, generator: torch.Generator) -> Tensor:
    """Sines [B, T] of these frequencies [B], each of a random phase."""
    phase = torch.rand(len(hertz), 1, generator=generator, dtype=torch.float64)
    seconds = torch.arange(SAMPLES, dtype=torch.float64) / SAMPLE_RATE
    return torch.sin(2 * torch.pi * (hertz[:, None] * seconds + phase)).float()


def data(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(count, generator=generator, dtype=torch.float64)
    return tones(LOW + (HIGH - LOW) * target, generator), target.float()


def train(ear: Ear, epochs: int, count: int, rate: Callable[[str], float]) -> float:
    """Train what has gradients; the mean squared error on other tones."""
    x, target = data(count, 0)
    groups = [{"params": [p], "lr": rate(name)} for name, p in ear.named_parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(groups)
    batches = range(0, count, 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [g["lr"] for g in groups], total_steps=epochs * len(batches), pct_start=0.1
    )
    order = torch.Generator().manual_seed(1)
    for _ in range(epochs):
        shuffled = torch.randperm(count, generator=order)
        for start in batches:
            chosen = shuffled[start : start + 128]
            loss = (ear(x[chosen]) - target[chosen]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    unheard, truth = data(2000, 2)
    with torch.no_grad():
        return (ear(unheard) - truth).square().mean().item()


def rate_of(name: str) -> float:
    """The learning rate of a parameter: a basis of small numbers moves slower than a head."""
    return 2e-3 if name.startswith("front_end") else 2e-2


def compare(
    make: Callable, trainable: bool | str | tuple[str, ...], epochs: int, count: int
) -> tuple[float, float, Ear, Ear]:
    """Errors fixed and trained, and the trained network before and after."""
    torch.manual_seed(0)
    trained = Ear(make(trainable))
    fixed = Ear(make(False))
    fixed.head.load_state_dict(trained.head.state_dict())
    before = copy.deepcopy(trained)
    return train(fixed, epochs, count, rate_of), train(trained, epochs, count, rate_of), before, trained


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few tones, few epochs: seconds")
    parser.add_argument(
        "--out", type=Path, default=Path("learned_tones.png"), help="the picture (default: %(default)s)"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)  # the networks are too small for more
    epochs, count = (12, 1280) if options.quick else (60, 10240)

    experiments = {
        "STFT, rows trained": (stft, True),
        "mel, bank trained": (mel, ("filterbank", "window")),
    }
    print(f"mean squared error on unheard tones, {LOW:g} to {HIGH:g} Hz as 0 to 1; {count} tones, {epochs} epochs")
    print(f"{'front end':<22}{'fixed':>12}{'trained':>12}{'ratio':>8}{'seconds':>9}")
    pictures = {}
    for name, (make, trainable) in experiments.items():
        start = time.perf_counter()
        fixed, trained, before, after = compare(make, trainable, epochs, count)
        print(
            f"{name:<22}{fixed:>12.2e}{trained:>12.2e}{fixed / trained:>8.0f}{time.perf_counter() - start:>9.0f}",
            flush=True,
        )
        pictures[name] = before.front_end, after.front_end
    plot(pictures, options.out)
    print(options.out)


def plot(pictures: dict[str, tuple[nn.Module, nn.Module]], path: Path) -> None:
    """The bases before and after: a few rows of the STFT and its spectra, and the bands."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(pictures), 2, figsize=(11, 3 * len(pictures)), layout="constrained", squeeze=False)
    for row, (name, states) in zip(axes, pictures.items(), strict=True):
        for axis, state, when in zip(row, states, ("before", "after"), strict=True):
            with torch.no_grad():
                if isinstance(state, T.STFT):
                    real, imaginary = state.rows()[:, 2::5]
                    spectra = torch.fft.fft(torch.complex(real, -imaginary), 1024).abs()[:, :513]
                    axis.plot(torch.linspace(0, SAMPLE_RATE / 2, 513), 20 * spectra.T.log10(), lw=1)
                    axis.set(xlabel="Hz", ylabel="response of every fifth row, dB", ylim=(-100, 35))
                else:
                    bank = state.mel_scale.filterbank()
                    axis.plot(torch.linspace(0, SAMPLE_RATE / 2, len(bank)), bank, lw=1)
                    axis.set(xlabel="Hz", ylabel="weight of a bin")
            axis.set_title(f"{name}: {when}")
    figure.savefig(path, dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    main()
