"""Cells of ``bench.all``: one transform and pass, whose contenders take turns in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import re
import secrets
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Protocol

import numpy as np

from bench.memory import KEPT
from bench.serve import Job, serve
from bench.transforms import Transform
from fastspec.quickbench import take_turns

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / "build" / "peers"
PATIENCE = 120.0
"""Seconds that a contender may take to import, build and run its first call."""


@dataclass(frozen=True)
class Peer:
    """A contender: its module in bench/peers, and the environment that it needs where not the bench's own."""

    module: str
    environment: str = ""

    @property
    def python(self) -> Path:
        return ENVIRONMENTS / self.environment / "bin" / "python"

    def lacks(self, kind: str, pass_: str) -> str:
        """Why it cannot take part, as its file says, without a process for that; empty if it can."""
        text = (Path(__file__).parent / "peers" / f"{self.module}.py").read_text()
        if not re.search(rf"(?m)^(def {kind}\(|.*\b_made\.{kind}\b)", text):
            return "does not have it"
        return "" if pass_ == "forward" or re.search(r"\bboth\b", text) else "no gradient"


PEERS = {
    "fastspec": Peer("ours"),
    "torch": Peer("plain_torch"),
    "torch.compile": Peer("compiled"),
    "torchaudio": Peer("audio"),
    "librosa": Peer("librosa_"),
    "nnaudio2": Peer("nnaudio2"),
    "nnAudio 0.3.4": Peer("nnaudio", "nnaudio"),
    "auvux-dsp": Peer("auvux_dsp"),
    "torchlibrosa": Peer("librosa_in_torch"),
    "kaldi-native-fbank": Peer("kaldi_native"),
    "tf.signal": Peer("tensorflow_", "keras"),
    "Keras": Peer("keras_", "keras"),
    "Kapre": Peer("kapre_", "keras"),
    "audioFlux": Peer("audioflux_", "audioflux"),
}


@dataclass(frozen=True)
class Effort:
    """Seconds and rounds that a cell is given at least; and whether sizes are the small ones."""

    budget: float = 3.0
    rounds: int = 5
    quick: bool = False


QUICK = Effort(0.5, 3, True)


@dataclass(frozen=True)
class Result:
    """One contender in one cell: a number with its spread, or the reason why there is none.

    Attributes:
        part: of the benchmark.
        workload, pass_, threads, contender: what was measured.
        batch, seconds, n_fft: the sizes.
        median_ms, iqr_ms, rounds: of one call.
        error: as the gate saw it (``Transform.error``).
        peak_mb: memory at the peak of one call (1e6 bytes) beyond what was there before.
        first_ms, import_ms, size_mb: of a fresh process: the first call, the import, the files of the package.
        rate: of a ceiling: 1e9 bytes or floating-point operations a second.
        note: why it was not timed.
    """

    part: str
    workload: str
    pass_: str
    threads: int
    contender: str
    batch: int
    seconds: float
    n_fft: int = 0
    median_ms: float | None = None
    iqr_ms: float | None = None
    rounds: int = 0
    error: float | None = None
    peak_mb: float | None = None
    first_ms: float | None = None
    import_ms: float | None = None
    size_mb: float | None = None
    rate: float | None = None
    note: str = ""

    @property
    def place(self) -> tuple[str, ...]:
        """What it is of, but for the contender."""
        sizes = shown(self.batch), shown(self.seconds), shown(self.n_fft)
        return self.part, self.workload, self.pass_, str(self.threads), *sizes


def shown(value: object) -> str:
    """As the results file has it."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def spread(times: list[float]) -> dict[str, float | int]:
    """Median and quartiles of seconds."""
    first, median, third = statistics.quantiles([1e3 * t for t in times], n=4)
    return {"median_ms": median, "iqr_ms": third - first, "rounds": len(times)}


class Work(Protocol):
    """What ``bench.all`` goes through."""

    @property
    def head(self) -> Result: ...
    def measure(self, effort: Effort) -> Iterator[Result]: ...


@dataclass(frozen=True)
class Cell:
    """One transform and pass of one size, for several contenders."""

    part: str
    transform: Transform
    pass_: str
    threads: int
    batch: int
    seconds: float
    contenders: tuple[str, ...]
    files: tuple[str, ...] = ()

    @property
    def head(self) -> Result:
        """What is common to its results."""
        sizes = self.batch, self.seconds, self.transform.sizes["n_fft"]
        return Result(self.part, self.transform.name, self.pass_, self.threads, "", *sizes)

    def measure(self, effort: Effort) -> Iterator[Result]:
        """The contenders' results; those of one that has not such a transform are left out."""
        x = list(self.files) or self.transform.input(self.batch, self.seconds)
        with ExitStack() as stack:
            results, turns = [], []
            for name in self.contenders:
                child, result = stack.enter_context(self._contender(name, x))
                if child is None:
                    yield result
                else:
                    results.append(result)
                    turns.append(_remote(child))
            if turns:
                try:
                    all_times = take_turns(turns, effort.budget, effort.rounds)
                except (EOFError, OSError) as error:
                    for result in results:
                        yield replace(result, note=f"a contender crashed during the turns: {type(error).__name__}")
                    return
                for result, times in zip(results, all_times, strict=True):
                    yield replace(result, **spread(times))

    @contextmanager
    def _contender(self, name: str, x: object) -> Iterator[tuple[Connection | None, Result]]:
        result = replace(self.head, contender=name)
        peer = PEERS[name.removesuffix(KEPT)]
        job_pass = "both" if self.pass_ == "both" else "forward"
        if lacking := peer.lacks(self.transform.kind, job_pass):
            yield None, replace(result, note=lacking)
            return
        check, truth = _truth(self.transform, job_pass)
        job = {
            "peer": peer.module,
            "transform": self.transform.kind,
            "sizes": self.transform.sizes,
            "pass_": job_pass,
            "threads": self.threads,
            "keep_pages": name.endswith(KEPT),
            "check": check,
            "input": x,
        }
        try:
            with process(peer, job) as child:
                found = _receive(child)
                error = None
                if "note" not in found:
                    error = self.transform.error(found["output"], truth, job_pass)
                    if not error <= self.transform.allowed:
                        found["note"] = _wrong(found["output"], truth, error, self.transform.allowed)
                if "note" in found:
                    with suppress(OSError):
                        child.send(False)
                    yield None, replace(result, note=found["note"], error=error)
                    return
                child.send(True)
                peak = _receive(child)
                if isinstance(peak, dict):
                    yield None, replace(result, **peak)
                    return
                yield child, replace(result, error=error, peak_mb=peak)
                with suppress(OSError):
                    child.send(False)
        except FileNotFoundError as missing:
            yield None, replace(result, note=str(missing))


def _wrong(got: np.ndarray, truth: np.ndarray, error: float, allowed: float) -> str:
    if got.shape != truth.shape:
        return f"differs: shape {got.shape}, expected {truth.shape}"
    if np.iscomplexobj(got) != np.iscomplexobj(truth):
        return f"differs: {got.dtype} where {truth.dtype} was expected"
    return f"differs: off by {error:.1e}, allowed {allowed:.0e}"


@cache
def _truth(transform: Transform, pass_: str) -> tuple[np.ndarray, np.ndarray]:
    check = transform.input(2, transform.check_seconds)
    return check, transform.exact(check, pass_)


def _receive(child: Connection):
    try:
        if child.poll(PATIENCE):
            return child.recv()
    except (EOFError, OSError):
        return {"note": "crashed"}
    return {"note": f"gave no answer in {PATIENCE:g} s"}


def _remote(child: Connection) -> Callable[[], float]:
    def turn() -> float:
        child.send(True)
        return child.recv()

    return turn


@contextmanager
def process(peer: Peer, job: Job, fresh: bool = False) -> Iterator[Connection]:
    """A process that serves the job: forked, or (of another environment, or fresh) started.

    Raises:
        FileNotFoundError: its environment was not made.
    """
    if peer.environment and not peer.python.exists():
        raise FileNotFoundError(f"not installed: python -m bench.environments {peer.environment}")
    if not (peer.environment or fresh):
        with _forked(job) as connection:
            yield connection
        return
    key = secrets.token_bytes(16)
    with Listener(("localhost", 0), authkey=key) as listener:
        python = str(peer.python) if peer.environment else sys.executable
        command = [python, "-m", "bench.serve", str(listener.address[1]), key.hex()]
        environment = {**os.environ, "OMP_NUM_THREADS": str(job["threads"])}
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        try:
            with _accepted(listener, started) as connection:
                connection.send(job)
                yield connection
        finally:
            _end(started.wait, started.kill)


def _accepted(listener: Listener, started: subprocess.Popen) -> Connection:
    """The connection of the process that was started, unless it ended before it called."""
    socket = listener._listener._socket  # type: ignore[attr-defined]
    socket.settimeout(1.0)
    while True:
        try:
            return listener.accept()
        except TimeoutError:
            if started.poll() is not None:
                raise FileNotFoundError(f"its Python ended with {started.returncode} before it began") from None


@contextmanager
def _forked(job: Job) -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    forking = multiprocessing.get_context("fork")  # what the parent has imported need not be imported again
    process = forking.Process(target=_serve, args=(theirs, ours, job), daemon=False)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        _end(process.join, process.kill)


def _serve(theirs: Connection, ours: Connection, job: Job) -> None:
    ours.close()  # else the parent's end would never be seen to close
    with suppress(EOFError, OSError):
        serve(theirs, job)


def _end(wait: Callable[..., object], kill: Callable[[], None]) -> None:
    """Give it five seconds to leave by itself."""
    with suppress(subprocess.TimeoutExpired):
        wait(timeout=5.0)
    with suppress(OSError):
        kill()
    wait()
