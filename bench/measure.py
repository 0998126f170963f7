"""Contenders in processes of their own, which take turns.

One at a time is told to run: the rounds are interleaved, and yet nobody finds the heap, the threads or the
settings of another, or falls with it. Before that comes the gate: a contender whose output, or gradient, is
not that of the same transform in float64 is named with its error and not timed.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor

from bench.contenders import CONTENDERS, Contender
from bench.memory import peak_memory
from bench.workloads import Workload
from fastspec.presets import Preset
from fastspec.quickbench import largest_error, runner, take_turns, torch_path, turn_of

# How far the largest error may go: relative to the largest value, and in units of log10. Wide enough for every
# way to sum in float32, and far below what another padding, window or mel scale would give.
LINEAR, LOGARITHMIC = 1e-3, 1e-2


@dataclass(frozen=True)
class Row:
    """One contender at one workload.

    Attributes:
        workload, pass_, threads, contender: what was measured.
        batch, seconds: clips, and the length of each.
        median_ms, iqr_ms: of one call; None where it was not timed.
        rounds: turns that they are taken over.
        error, largest_error: of the output (forward) or the gradient (both) against float64: root mean square,
            and largest. In units of log10 where the output is a logarithm, else over the same of the truth.
        peak_mb: memory at the peak of one call (1e6 bytes) beyond what was there after a call on one second.
        result_mb: what the output takes (forward), or output and gradient together (both).
        note: why it was not timed.
    """

    workload: str
    pass_: str
    threads: int
    contender: str
    batch: int
    seconds: float
    median_ms: float | None = None
    iqr_ms: float | None = None
    rounds: int = 0
    error: float | None = None
    largest_error: float | None = None
    peak_mb: float | None = None
    result_mb: float | None = None
    note: str = ""


def measure(
    workload: Workload, pass_: str, threads: int, names: Iterable[str], budget: float, least: int
) -> Iterator[Row]:
    """Time one workload and pass for ``budget`` seconds and ``least`` rounds; the contenders' rows."""
    with ExitStack() as stack:
        rows, turns = [], []
        for name in names:
            row = Row(workload.name, pass_, threads, name, workload.batch, workload.seconds)
            child = stack.enter_context(_process(row, workload))
            try:
                found = child.recv()
            except EOFError:
                found = {"note": "crashed"}
            if found is None:
                continue
            row = replace(row, **found)
            if row.note:
                yield row
            else:
                rows.append(row)
                turns.append(_remote(child))
        if not turns:
            return
        for row, times in zip(rows, take_turns(turns, budget, least), strict=True):
            first, median, third = statistics.quantiles([1e3 * t for t in times], n=4)
            yield replace(row, median_ms=median, iqr_ms=third - first, rounds=len(times))


@contextmanager
def _process(row: Row, workload: Workload) -> Iterator[Connection]:
    """A process that gets the contender ready, says what it found, and does a turn whenever it gets True."""
    ours, theirs = multiprocessing.Pipe()
    forking = multiprocessing.get_context("fork")  # what the parent has imported need not be imported again
    process = forking.Process(target=_serve, args=(theirs, row, workload), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        with suppress(BrokenPipeError):
            ours.send(False)
        process.join()


def _remote(child: Connection) -> Callable[[], float]:
    def turn() -> float:
        child.send(True)
        return child.recv()

    return turn


def _serve(parent: Connection, row: Row, workload: Workload) -> None:
    backward = row.pass_ == "both"
    torch.set_num_threads(row.threads)
    build, prepare = CONTENDERS[row.contender]
    try:
        prepare()
        contender = build(workload.entry)
    except ImportError as error:
        return parent.send({"note": f"missing: {error}"})
    except NotImplementedError:
        return parent.send(None)
    if backward and not contender.differentiable:
        return parent.send(None)
    errors = check(contender, workload, backward)
    if "note" in errors:
        return parent.send(errors)
    run = contender.run(samples(workload.entry, workload.batch, workload.seconds), backward)
    memory = _memory(run, workload, backward)
    turn = turn_of(run)
    parent.send({**errors, **memory})
    while parent.recv():
        parent.send(turn())


def samples(entry: Preset, batch: int, seconds: float) -> Tensor:
    """Noise [batch, T]."""
    count = round(seconds * entry.sample_rate)
    return 0.1 * torch.randn(batch, count, generator=torch.Generator().manual_seed(0))


def check(contender: Contender, workload: Workload, backward: bool) -> dict[str, Any]:
    """The errors on one second of noise, and a note where they are too large."""
    log = workload.entry.log is not None and not backward
    x, exact = samples(workload.entry, 1, 1.0), torch_path(workload.entry, torch.float64)
    got = contender.run(x, backward)()
    got = (got if backward else contender.check(got)).cpu() / contender.unit
    truth = runner(exact, x.double(), backward)()
    error = (got - truth).square().mean().sqrt() / (1.0 if log else truth.square().mean().sqrt())
    largest, allowed = largest_error(got, truth, log), LOGARITHMIC if log else LINEAR
    found: dict[str, Any] = {"error": float(error), "largest_error": largest}
    return found if largest <= allowed else {**found, "note": f"wrong: off by {largest:.1e}, allowed {allowed:.0e}"}


def _memory(run: Callable[[], Any], workload: Workload, backward: bool) -> dict[str, float]:
    """Peak memory of a call, and that of its results."""
    peak = peak_memory(run)
    if peak is None:
        return {}
    entry, clips = workload.entry, workload.batch
    count = round(workload.seconds * entry.sample_rate)
    values = clips * (entry.n_rows * entry.n_frames(count) + (count if backward else 0))
    return {"peak_mb": peak / 1e6, "result_mb": 4 * values / 1e6}
