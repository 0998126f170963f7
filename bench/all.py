"""The whole comparison: python -m bench.all. Restartable: what is in the results file, of this commit, is skipped.

Appends every result to bench/results/<machine>-all.csv as soon as it is there; `python -m bench.pages` (make gen)
makes docs/benchmarks.md and its plots of it.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.cells import PEERS, QUICK, Effort, Result, Work, shown
from bench.machine import ceilings, startup
from bench.parts import (
    allocation,
    batches,
    clip_lengths,
    frame_lengths,
    maps,
    musicnet,
    thread_counts,
    transforms,
    transforms_on_two_threads,
)
from bench.report import facts

RESULTS = Path(__file__).parent / "results"

PARTS: tuple[Callable[[Effort], Iterator[Work]], ...] = (
    ceilings,
    startup,
    transforms,
    musicnet,
    maps,
    clip_lengths,
    batches,
    frame_lengths,
    allocation,
    thread_counts,
    transforms_on_two_threads,
)


def main() -> None:
    options = _options()
    torch.set_num_threads(1)  # the processes forked below could not use threads started here
    for peer in PEERS.values():
        if not peer.environment:
            with suppress(ImportError):
                importlib.import_module(f"bench.peers.{peer.module}")  # once for all those processes
    about = facts()
    path = options.out or RESULTS / f"{machine(about)}-all.csv"
    table = Table(path, {**about, "effort": "quick" if options.effort.quick else "full"})
    cells = [cell for make in PARTS for cell in make(options.effort) if re.search(options.only, label(cell))]
    todo = [cell for cell in cells if options.again or not table.has(cell)]
    failed: list[str] = []
    console = Console(stderr=True)
    console.print(f"{len(cells)} cells, {len(cells) - len(todo)} of them done before; results: {path}")
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("", total=len(todo))
        for cell in todo:
            progress.update(task, description=label(cell)[:60])
            if not console.is_terminal:
                print(label(cell), file=sys.stderr, flush=True)
            try:
                table.put(cell, list(cell.measure(options.effort)))
            except Exception:  # one cell must not end hours of others; a rerun tries it again
                failed.append(label(cell))
                console.print_exception()
            progress.advance(task)
    print(path)
    if failed:
        sys.exit(f"{len(failed)} cells failed: {'; '.join(failed)}")


def machine(about: dict[str, str]) -> str:
    """A name for the kind of machine."""
    return re.sub(r"[^a-z0-9]+", "-", f"{about['cpu']}, {about['simd']}".lower()).strip("-")


def label(cell: Work) -> str:
    head = cell.head
    return f"{head.part}: {head.workload}, {head.pass_}, {head.batch} x {head.seconds:g} s, {head.threads} thread(s)"


class Table:
    """The results file. A line is one contender in one cell; a cell is written in one go, over its older lines."""

    def __init__(self, path: Path, about: dict[str, str]) -> None:
        self.path, self.about = path, about
        self.lines: list[dict[str, str]] = []
        if path.exists():
            with path.open() as file:
                self.lines = list(csv.DictReader(file))

    def has(self, cell: Work) -> bool:
        """Whether the cell is there, of the same commit and effort."""
        wanted = (cell.head.place, *_made_by(self.about))
        return any((_place(line), *_made_by(line)) == wanted for line in self.lines)

    def put(self, cell: Work, results: list[Result]) -> None:
        """Write the cell; a file that is half written never takes the place of the whole one."""
        place = cell.head.place
        self.lines = [line for line in self.lines if _place(line) != place]
        self.lines += [self.about | {k: shown(v) for k, v in asdict(result).items()} for result in results]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        with part.open("w", newline="") as file:
            columns = [*self.about, *(field.name for field in fields(Result))]
            writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(self.lines)
        part.replace(self.path)


def _place(line: dict[str, str]) -> tuple[str, ...]:
    return tuple(line[key] for key in ("part", "workload", "pass_", "threads", "batch", "seconds", "n_fft"))


def _made_by(line: dict[str, str]) -> tuple[str, str]:
    return line["commit"], line["effort"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.all", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="short clips and few rounds: about 8 minutes on two cores")
    add("--only", default="", help="cells whose part and name match this regular expression")
    add("--again", action="store_true", help="measure what is there, too")
    add("--out", type=Path, help="the results file (default: bench/results/<machine>-all.csv)")
    options = parser.parse_args()
    options.effort = QUICK if options.quick else Effort()
    return options


if __name__ == "__main__":
    main()
