"""A small keyword classifier on words that it makes itself, with a front end that learns along.

Four "words" are spoken by a synthesiser: a buzzing voice of any pitch through two formants that glide from one vowel
to another, at any loudness, in noise. A mel spectrogram, whose bands are trained with the rest (two numbers a band:
centre and width), and a small convolutional network tell them apart.

    python examples/keyword_classifier.py            # about a minute on one core
    python examples/keyword_classifier.py --quick    # seconds
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn

import fastspec.transforms as T

SAMPLE_RATE, SAMPLES = 8000, 4000
VOWELS = {"a": (730, 1090), "i": (270, 2290), "u": (300, 870), "e": (530, 1840)}  # Hz: Peterson and Barney (1952)
WORDS = ("ai", "ia", "au", "ue")


def speak(word: str, count: int, generator: torch.Generator) -> Tensor:
    """`count` clips [count, SAMPLES] of a word, each of another voice."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, generator=generator)

    seconds = torch.arange(SAMPLES) / SAMPLE_RATE
    pitch = uniform(90, 250) * (1 + uniform(-0.2, 0.2) * seconds)
    phase = pitch.cumsum(1) / SAMPLE_RATE
    when = uniform(0.15, 0.3)  # of the glide, in seconds
    glide = torch.sigmoid((seconds - when) / 0.03)
    size = uniform(0.85, 1.2)  # of the speaker's mouth
    formants = [
        size * (start + (stop - start) * glide) for start, stop in zip(VOWELS[word[0]], VOWELS[word[1]], strict=True)
    ]
    voice = torch.zeros(count, SAMPLES)
    for harmonic in range(1, 40):
        hertz = harmonic * pitch
        gain = sum(1 / (1 + ((hertz - formant) / 90) ** 2) for formant in formants)
        voice += gain * torch.sin(2 * torch.pi * harmonic * phase) * (hertz < SAMPLE_RATE / 2) / harmonic**0.5
    loudness = torch.sin(torch.pi * seconds * SAMPLE_RATE / SAMPLES) ** 0.5 * uniform(0.1, 1.0)
    return loudness * voice + 0.4 * torch.randn(count, SAMPLES, generator=generator)


def data(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clips = torch.cat([speak(word, count, generator) for word in WORDS])
    return clips, torch.arange(len(WORDS)).repeat_interleave(count)


def network(trainable: tuple[str, ...]) -> nn.Module:
    front_end = T.MelSpectrogram(SAMPLE_RATE, 256, hop_length=80, n_mels=12, log="ln", floor=1e-4, trainable=trainable)
    return nn.Sequential(
        front_end,
        nn.BatchNorm1d(12),
        nn.Conv1d(12, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool1d(3),
        nn.Conv1d(32, 32, 5, padding=2),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(4),
        nn.Flatten(),
        nn.Linear(128, len(WORDS)),
    )


def train(model: nn.Module, clips: Tensor, labels: Tensor, epochs: int) -> None:
    front_end = [p for name, p in model.named_parameters() if name.startswith("0.")]
    rest = [p for name, p in model.named_parameters() if not name.startswith("0.")]
    optimizer = torch.optim.Adam([{"params": front_end, "lr": 1e-2}, {"params": rest, "lr": 2e-3}])
    order = torch.Generator().manual_seed(1)
    for _ in range(epochs):
        for chosen in torch.randperm(len(clips), generator=order).split(32):
            loss = nn.functional.cross_entropy(model(clips[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few clips, few epochs: seconds")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the network is too small for more
    count, epochs = (40, 6) if options.quick else (200, 12)
    clips, labels = data(count, 0)
    unheard, truth = data(100, 1)
    print(f"{len(clips)} clips of {len(WORDS)} words, {epochs} epochs")
    for name, trainable in (("fixed mel", ()), ("trained mel bands", ("bands",))):
        torch.manual_seed(0)
        model, start = network(trainable), time.perf_counter()
        train(model, clips, labels, epochs)
        with torch.no_grad():
            right = (model.eval()(unheard).argmax(1) == truth).float().mean().item()
        print(f"{name:<20}{right:>7.1%} of {len(truth)} unheard clips right, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
