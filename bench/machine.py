"""The parts of ``bench.all`` that time no transform: what the machine can do at most, and what it costs to begin."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import torch

from bench.cells import PEERS, Effort, Result, process, spread
from bench.cells import _receive as receive
from bench.transforms import TRANSFORMS

MB = 1e6


@dataclass(frozen=True)
class Ceiling:
    """What no transform can exceed: bytes copied, a bare FFT, fused multiply-adds."""

    name: str
    threads: int

    @property
    def head(self) -> Result:
        return Result("ceilings", self.name, "forward", self.threads, "", 1, 0.0)

    def measure(self, effort: Effort) -> Iterator[Result]:
        """Rates in 1e9 a second, each of the median call."""
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=self._run, args=(theirs, effort))
        child.start()
        work, times = ours.recv()
        child.join()
        found = spread(times)
        yield replace(self.head, contender="torch", rate=1e-6 * work / found["median_ms"], **found)

    def _run(self, parent: Connection, effort: Effort) -> None:
        torch.set_num_threads(self.threads)
        work, run = CEILINGS[self.name]()
        times, end = [], time.perf_counter() + effort.budget
        run()
        while len(times) < effort.rounds or time.perf_counter() < end:
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        parent.send((work, times))


def _copy() -> tuple[float, Callable[[], object]]:
    source = torch.ones(32 << 20)
    target = torch.zeros_like(source)
    return 2.0 * 4 * source.numel(), lambda: target.copy_(source)


def _fft() -> tuple[float, Callable[[], object]]:
    x, out = torch.randn(128, 1024), torch.zeros(128, 513, dtype=torch.complex64)
    return 128 * fft_flops(1024), lambda: torch.fft.rfft(x, out=out)


def _product() -> tuple[float, Callable[[], object]]:
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    out = torch.zeros(1024, 1024)
    return 2.0 * 1024**3, lambda: torch.mm(a, b, out=out)


def fft_flops(n_fft: int) -> float:
    """The usual count for a real transform, 2.5 N log2 N."""
    return 2.5 * n_fft * (n_fft.bit_length() - 1)


CEILINGS = {"copy, GB/s": _copy, "bare FFT of 1024 in cache, GFLOP/s": _fft, "matrix product, GFLOP/s": _product}


def ceilings(effort: Effort) -> Iterator[Ceiling]:
    for threads in (1, 2):
        for name in CEILINGS:
            yield Ceiling(name, threads)


@dataclass(frozen=True)
class Startup:
    """One fresh process a contender: import, first call, and what its package takes on the disk."""

    @property
    def head(self) -> Result:
        return Result("startup", "magnitude of 1 s, fresh process", "forward", 1, "", 1, 1.0)

    def measure(self, effort: Effort) -> Iterator[Result]:
        """Import includes what the library itself imports, torch for most of them."""
        transform = TRANSFORMS[0]
        x = transform.input(1, 1.0)
        for name, peer in PEERS.items():
            result = replace(self.head, contender=name)
            if peer.lacks(transform.kind, "forward") or (name == "torch.compile" and effort.quick):
                continue
            job = {"peer": peer.module, "transform": transform.kind, "sizes": transform.sizes, "pass_": "forward"}
            job |= {"threads": 1, "keep_pages": False, "check": x, "input": x}
            try:
                with process(peer, job, fresh=True) as child:
                    found = receive(child)
                    if "note" in found:
                        yield replace(result, note=found["note"])
                        continue
                    child.send(False)
            except FileNotFoundError as missing:
                yield replace(result, note=str(missing))
                continue
            times = {"first_ms": found["first_ms"], "import_ms": 1e3 * found["import_s"]}
            yield replace(result, **times, size_mb=_size(name))


PACKAGES = {
    "fastspec": ("fastspec", "fastspec._native"),
    "torch": ("torch",),
    "torch.compile": ("torch",),
    "torchaudio": ("torchaudio",),
    "librosa": ("librosa",),
    "nnaudio2": ("nnAudio2",),
    "nnAudio 0.3.4": ("nnAudio",),
    "auvux-dsp": ("auvux",),
    "torchlibrosa": ("torchlibrosa",),
    "tf.signal": ("tensorflow",),
    "Keras": ("keras",),
    "Kapre": ("kapre",),
    "audioFlux": ("audioflux",),
}

SIZES = """
import importlib.util, pathlib, sys
files = set()
for name in sys.argv[1:]:
    spec = importlib.util.find_spec(name)
    for folder in map(pathlib.Path, spec.submodule_search_locations or []):
        if (folder / "pyproject.toml").exists():  # fastspec's checkout, in an editable install
            folder /= "kernels"
        files |= {p.resolve() for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    if spec.origin:
        files.add(pathlib.Path(spec.origin).resolve())
print(sum(p.stat().st_size for p in files))
"""


def _size(name: str) -> float | None:
    """MB of the package itself, without what it needs."""
    peer = PEERS[name]
    python = str(peer.python) if peer.environment else sys.executable
    done = subprocess.run([python, "-c", SIZES, *PACKAGES[name]], capture_output=True, text=True)
    return float(done.stdout) / MB if done.returncode == 0 else None


def startup(effort: Effort) -> Iterator[Startup]:
    yield Startup()
