"""The parts of ``bench.all`` that time transforms: all of them, the paper's two protocols, and how time grows."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bench.cells import PEERS, ROOT, Cell, Effort
from bench.memory import KEPT
from bench.transforms import MAPS, MUSICNET, TRANSFORMS, Transform

PAPER = ("fastspec", "librosa", "nnaudio2")
SCALING = ("fastspec", "torch", "librosa", "auvux-dsp")


def transforms(effort: Effort, threads: int = 1) -> Iterator[Cell]:
    """Every transform and pass, all peers."""
    for transform in TRANSFORMS:
        slow = effort.quick and transform.kind not in ("magnitude", "log_mel")  # to compile
        names = tuple(name for name in PEERS if not (slow and name == "torch.compile"))
        for pass_ in transform.passes:
            yield Cell("transforms", transform, pass_, threads, 4, 5.0 if effort.quick else 30.0, names)


def transforms_on_two_threads(effort: Effort) -> Iterator[Cell]:
    """The same once more; not in a quick run."""
    if not effort.quick:
        yield from transforms(effort, threads=2)


def musicnet(effort: Effort) -> Iterator[Cell]:
    """Files from disk one by one, and the same length in equal clips at once, as the paper did and did not."""
    files, total = sound_files(3 if effort.quick else 8, 6.0 if effort.quick else 30.0)
    for transform in MUSICNET:
        yield Cell("musicnet", transform, "one by one", 1, len(files), total / len(files), PAPER, files)
        if not effort.quick:
            yield Cell("musicnet", transform, "batched", 1, len(files), total / len(files), PAPER)


def maps(effort: Effort) -> Iterator[Cell]:
    """A fraction of the 1770 clips of 80,000 samples, in one batch."""
    for transform in MAPS:
        yield Cell("maps", transform, "forward", 1, 8 if effort.quick else 100, 80_000 / 44_100, (*PAPER, "torch"))


def clip_lengths(effort: Effort) -> Iterator[Cell]:
    """One clip of 1 s to one hour."""
    for seconds in (1.0, 10.0, 60.0, 300.0) if effort.quick else (1.0, 10.0, 60.0, 600.0, 3600.0):
        for transform in _two():
            yield Cell("clip length", transform, "forward", 1, 1, seconds, SCALING)


def batches(effort: Effort) -> Iterator[Cell]:
    """1 to 256 clips of a second; the first is the latency of a call."""
    for batch in (1, 16, 256) if effort.quick else (1, 4, 16, 64, 256):
        for transform in _two():
            yield Cell("batch", transform, "forward", 1, batch, 1.0, SCALING)


def frame_lengths(effort: Effort) -> Iterator[Cell]:
    """Frames of 64 to 16,384 samples, a quarter of them the hop."""
    magnitude = _two()[0]
    for n_fft in (64, 512, 4096, 16384) if effort.quick else (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384):
        sizes = {**magnitude.sizes, "n_fft": n_fft, "hop_length": n_fft // 4}
        transform = replace(magnitude, name="STFT magnitude", sizes=sizes, check_seconds=2.0)
        yield Cell("n_fft", transform, "forward", 1, 4, 5.0 if effort.quick else 30.0, SCALING)


def allocation(effort: Effort) -> Iterator[Cell]:
    """Results in fresh memory, as users have them, and in memory that malloc has kept."""
    names = [name for name in SCALING if name != "librosa"]
    for transform in _two():
        for pass_ in ("forward", "both"):
            both = (*names, *(name + KEPT for name in names))
            yield Cell("allocation", transform, pass_, 1, 4, 5.0 if effort.quick else 30.0, both)


def thread_counts(effort: Effort) -> Iterator[Cell]:
    """One thread and two."""
    for threads in (1, 2):
        for transform in _two():
            for pass_ in ("forward", "both"):
                names = tuple(name for name in SCALING if name != "librosa")
                yield Cell("threads", transform, pass_, threads, 4, 5.0 if effort.quick else 30.0, names)


def _two() -> tuple[Transform, Transform]:
    found = {transform.kind: transform for transform in TRANSFORMS}
    return found["magnitude"], found["log_mel"]


def sound_files(count: int, longest: float) -> tuple[tuple[str, ...], float]:
    """Names of files of made music in build/, each of another length; and seconds altogether.

    Notes of ten harmonics that fade, over a little noise: 44.1 kHz, 16 bits, the same on every machine.
    """
    folder, rate = ROOT / "build" / "bench-sounds", 44_100
    folder.mkdir(parents=True, exist_ok=True)
    names, total = [], 0.0
    for i in range(count):
        seconds = longest * (i + 1) / count
        path = folder / f"{i}-{seconds:g}s.wav"
        total += seconds
        names.append(str(path))
        if path.exists():
            continue
        generator = np.random.default_rng(i)
        t = np.arange(round(seconds * rate)) / rate
        x = 0.003 * generator.standard_normal(len(t))
        for start in np.arange(0.0, seconds, 0.25):
            n = int(start * rate)
            tail = t[n : n + rate] - t[n]
            pitch = 55.0 * 2 ** (generator.integers(60) / 12)
            for harmonic in range(1, 11):
                tone = np.sin(2 * np.pi * pitch * harmonic * tail) * np.exp(-3 * tail) / harmonic
                x[n : n + rate] += 0.05 * tone
        with wave.open(str(path), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes((np.clip(x, -1, 1) * 32767).astype("<i2").tobytes())
    return tuple(names), total
