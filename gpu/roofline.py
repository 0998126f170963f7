"""From counts to what limits a GPU, and what the same transform moves through memory in torch.

A bound is the time that one resource needs when nothing else holds it up; the largest is predicted, never measured.
It knows no latency, so believe ratios before times.
"""

from __future__ import annotations

from dataclasses import dataclass

from .ptx import Counts


@dataclass(frozen=True)
class GPU:
    """Of NVIDIA's data sheets; the L2 rate is what microbenchmarks find.

    Attributes:
        processors: SMs.
        clock: GHz, boost.
        fp32: lanes of float32 arithmetic an SM; 64 of integer and 16 of special functions everywhere.
        dram, l2: GB/s.
    """

    name: str
    arch: str
    processors: int
    clock: float
    fp32: int
    dram: float
    l2: float


GPUS = (
    GPU("A100", "sm_80", 108, 1.41, 64, 1555, 4500),
    GPU("H100", "sm_90", 132, 1.75, 128, 3350, 5500),
    GPU("RTX 4090", "sm_89", 128, 2.52, 128, 1008, 5000),
)


def bounds(gpu: GPU, counts: Counts, dram_bytes: float) -> dict[str, float]:
    """Nanoseconds that each resource needs for these counts."""
    clocks = {
        "issue": counts.instructions / 4,
        "fp32": counts.fp32 * 32 / gpu.fp32,
        "integer": counts.integer * 32 / 64,
        "special": counts.special * 32 / 16,
        "shared + L1": counts.l1_clocks,
        "load-store": counts.requests,
    }
    times = {name: value / gpu.processors / gpu.clock for name, value in clocks.items()}
    return {**times, "L2": counts.block_sectors * 32 / gpu.l2, "DRAM": dram_bytes / gpu.dram}


def limit(gpu: GPU, counts: Counts, dram_bytes: float) -> tuple[str, float]:
    """The resource that needs the longest, and its nanoseconds."""
    times = bounds(gpu, counts, dram_bytes)
    name = max(times, key=times.__getitem__)
    return name, times[name]


@dataclass(frozen=True)
class Sizes:
    """A transform of one clip: T samples, M frames of N samples, F bins, K bands (0: none), P samples of padding."""

    T: int
    M: int
    N: int
    F: int
    K: int = 0
    P: int = 0


def fused_bytes(s: Sizes, backward: bool = False) -> int:
    """What must move, float32: samples in and rows out; with `backward` also samples and gradients in, gradient out."""
    rows = 4 * (s.K or s.F) * s.M
    return 4 * s.T + rows + (8 * s.T + rows if backward else 0)


def torch_kernels(s: Sizes, backward: bool = False) -> list[tuple[str, int]]:
    """The kernels of torch.stft(x).abs(), with K also .pow(2), a matrix product, clamp and log; bytes in and out.

    Every kernel reads its inputs from memory and writes its results there. The backward is that of torch 2: a
    complex transform of zero-extended spectra, then as_strided's, which adds through an int64 index of every sample
    of every frame.
    """
    padded, frames, spectra, bins, bands = (
        4 * (s.T + 2 * s.P),
        4 * s.N * s.M,
        8 * s.F * s.M,
        4 * s.F * s.M,
        4 * s.K * s.M,
    )
    kernels = [
        ("pad", 4 * s.T + padded),
        ("frames times window", padded + frames),
        ("real FFT", frames + spectra),
        ("abs", spectra + bins),
    ]
    if s.K:
        kernels += [("square", 2 * bins), ("filterbank", bins + bands), ("clamp", 2 * bands), ("log", 2 * bands)]
    if not backward:
        return kernels
    if s.K:
        kernels += [
            ("log'", 3 * bands),
            ("clamp'", 3 * bands),
            ("filterbank'", bands + bins),
            ("square': power, factor, product", 7 * bins),
        ]
    return [
        *kernels,
        ("abs': sign", 2 * spectra),
        ("abs': product", 2 * spectra + bins),
        ("zeros for the FFT", 2 * frames),
        ("spectra into them", 2 * spectra),
        ("complex FFT", 4 * frames),
        ("real part times window", 3 * frames),
        ("zeros for the samples", padded),
        ("index of the samples", 2 * padded),
        ("index of the frames", 4 * frames),
        ("add through the index", 2 * frames + frames + 2 * frames),
        ("pad'", padded + 4 * s.T),
    ]


def torch_bytes(s: Sizes, backward: bool = False) -> int:
    return sum(moved for _, moved in torch_kernels(s, backward))
