"""Rows to files: every row as .csv, tables as Markdown, a plot as .png."""

from __future__ import annotations

import csv
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.contenders import CONTENDERS
from bench.measure import Row
from bench.memory import KEPT
from bench.workloads import TARGETS, WORKLOADS
from fastspec import _native
from fastspec.doctor import cpu_name

PASSES = {"forward": "forward", "both": "forward + backward"}
LIBRARIES = ("fastspec", "torch", "torchaudio", "librosa", "nnaudio2", "auvux-dsp", "numpy")
SCRATCH_MB = 4.0  # "a few MB" beside output and gradient
VARIANTS = [name for name in CONTENDERS if name.startswith("fastspec, ") or name.endswith(KEPT)]
VARIANTS.remove("fastspec, out=")
MARKS = {
    "fastspec, avx2": ("|", "#1b4f72"),
    "torchaudio": ("o", "#e67e22"),
    "librosa": ("s", "#7d3c98"),
    "nnaudio2": ("^", "#c0392b"),
    "auvux-dsp": ("D", "#1e8449"),
    "MKL rfft alone": ("x", "#555555"),
}

TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)

Place = tuple[str, str, int]  # workload, pass, threads
Times = dict[Place, dict[str, float]]  # of each contender, ms


def facts() -> dict[str, str]:
    """What the figures depend on: the machine and the versions."""
    found = {
        "cpu": f"{cpu_name()}, {os.cpu_count()} cores",
        "simd": _native.simd_level(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "date": date.today().isoformat(),
        "commit": _commit(),
    }
    return found | {library: _version(library) for library in LIBRARIES}


def write(rows: Sequence[Row], about: dict[str, str], folder: Path) -> list[Path]:
    """Write the three files, named after the processor; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "-", f"{about['cpu']}, {about['simd']}".lower()).strip("-")
    table, text, picture = (folder / f"{slug}.{ending}" for ending in ("csv", "md", "png"))
    times = _times(rows)
    write_csv(rows, about, table)
    text.write_text("\n".join(_markdown(rows, times, about)) + "\n")
    _plot(times, about, picture)
    return [table, text, picture]


def _times(rows: Sequence[Row]) -> Times:
    times: Times = {}
    for row in rows:
        if row.median_ms is not None:
            times.setdefault(_place(row), {})[row.contender] = row.median_ms
    return times


def _place(row: Row) -> Place:
    return row.workload, row.pass_, row.threads


def _ratio(times: Times, row: Row) -> float | None:
    base = f"torch{KEPT}" if row.contender.endswith(KEPT) else "torch"
    theirs = times.get(_place(row), {}).get(base)
    return theirs / row.median_ms if theirs and row.median_ms else None


def write_csv(rows: Sequence[Row], about: dict[str, str], path: Path) -> None:
    """Every row, with what the figures depend on."""
    times = _times(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*about, *asdict(rows[0]), "ratio_to_torch"])
        writer.writeheader()
        for row in rows:
            cells = about | asdict(row) | {"ratio_to_torch": _ratio(times, row)}
            writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in cells.items()})


def _markdown(rows: Sequence[Row], times: Times, about: dict[str, str]) -> Iterator[str]:
    yield f"# {about['cpu']}, {about['simd']}\n"
    yield f"{about['system']}, Python {about['python']}, {about['date']}, commit {about['commit']},"
    yield ", ".join(f"{library} {about[library]}" for library in LIBRARIES) + ".\n"
    clips = dict.fromkeys(f"{row.batch} x {row.seconds:g} s" for row in rows)
    yield f"Medians of interleaved rounds, float32, {' and '.join(clips)}; what is measured, and how:"
    yield "[bench/README.md](../README.md)."
    for note in dict.fromkeys(f"{row.contender}: {row.note}." for row in rows if row.note):
        yield f"\n{note}"
    if {(row.workload, row.seconds) for row in rows} <= {(one.name, one.seconds) for one in WORKLOADS}:
        yield from _targets(rows, times, about["simd"])
    for threads in dict.fromkeys(row.threads for row in rows):
        here = [row for row in rows if row.threads == threads]
        yield f"\n## Milliseconds, {'one thread' if threads == 1 else f'{threads} threads'}\n"
        yield "In brackets: how many times faster than torch (with pages kept: than torch with pages kept).\n"
        variants = [row for row in here if row.contender in VARIANTS]
        for part in ([row for row in here if row not in variants], variants):
            yield from _grid(part, lambda row: _time(row.median_ms, _ratio(times, row)))
            yield ""
    first = [row for row in rows if row.threads == rows[0].threads and row.contender not in VARIANTS]
    yield "## Peak memory, MB\n"
    yield "In brackets: what output, or output and gradient, take by themselves.\n"
    yield from _grid(
        [row for row in first if row.peak_mb is not None and row.batch > 1],
        lambda row: f"{row.peak_mb:.1f} ({row.result_mb:.1f})",
    )
    yield "\n## Errors\n"
    yield "Against float64: root mean square, in brackets the largest; in units of log10 where the output is a"
    yield "logarithm, else over the same of the exact output or gradient. The largest one is a matter of luck.\n"
    first = [row for row in first if row.batch > 1 and row.error is not None]
    yield from _grid(first, lambda row: f"{row.error:.1e} ({row.largest_error:.1e})")


def _targets(rows: Sequence[Row], times: Times, simd: str) -> Iterator[str]:
    """What was hoped for beside what was measured."""
    met = {True: 0, False: 0}
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for target in TARGETS:
        here = times.get((target.workload, target.pass_, target.threads), {})
        if target.slow in here and target.fast in here:
            ratio = here[target.slow] / here[target.fast]
            reached = ratio >= target.factor
            met[reached] += 1
            shown = f"{ratio:.1f} ≥ {target.factor:g}" if reached else f"**{ratio:.2f} < {target.factor:g}**"
            line = cells.setdefault((target.workload, target.pass_), {})
            line[target.what] = shown
            if target.what == "over torch" and {f"fastspec{KEPT}", f"torch{KEPT}"} <= here.keys():
                line["over torch, pages kept"] = f"{here[f'torch{KEPT}'] / here[f'fastspec{KEPT}']:.1f}"
    for row in rows:
        mel_gradient = row.pass_ == "both" and row.workload.startswith("log-mel")
        if not (mel_gradient and row.contender == "fastspec" and row.threads == 1 and row.peak_mb is not None):
            continue
        extra = row.peak_mb - (row.result_mb or 0.0)
        reached = extra <= SCRATCH_MB
        met[reached] += 1
        shown = f"{extra:.1f} ≤ {SCRATCH_MB:g}" if reached else f"**{extra:.1f} > {SCRATCH_MB:g}**"
        cells.setdefault((row.workload, row.pass_), {})["MB beside output and gradient"] = shown
    columns = list(dict.fromkeys(what for line in cells.values() for what in line))
    yield "\n## Targets\n"
    yield f"{met[True]} of {sum(met.values())} met; **bold** where missed. Ratios of times, one thread unless"
    yield "the column says two. They were set after a prototype on another machine."
    if simd != "avx512":
        yield f"All but those of AVX2 were meant for AVX-512, which this machine has not: it runs {simd}."
    yield "Pages kept: malloc keeps them for both; no target is about that.\n"
    body = ([f"{w}, {PASSES[p]}", *(line.get(c, "") for c in columns)] for (w, p), line in cells.items())
    yield from _table(["", *columns], body)


def _plot(times: Times, about: dict[str, str], path: Path) -> None:
    """How many times faster than torch, one thread: bars for fastspec, marks for the others."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    places = [
        (workload.name, pass_, 1)
        for pass_ in PASSES
        for workload in WORKLOADS
        if "torch" in times.get((workload.name, pass_, 1), {})
    ]
    if not places:
        return
    figure, axes = plt.subplots(figsize=(9, 1.6 + 0.27 * len(places)), layout="constrained")
    labelled: set[str] = set()
    for y, place in enumerate(places):
        here = times[place]
        ratio = here["torch"] / here["fastspec"]
        axes.barh(y, ratio - 1, left=1, color="#85c1e9", height=0.7, label=None if y else "fastspec")
        axes.text(ratio * 1.05, y, f"{ratio:.1f}", va="center", fontsize=8)
        for name, (mark, color) in MARKS.items():
            if name in here:
                label = None if name in labelled else name
                labelled.add(name)
                axes.plot(here["torch"] / here[name], y, mark, color=color, markersize=6, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("times faster than torch (left of 1: slower)")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.grid(axis="x", which="both", alpha=0.2)
    left, right = axes.get_xlim()
    axes.xaxis.set_minor_formatter("")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.set_xlim(left, right * 1.2)
    axes.set_yticks(range(len(places)), [f"{place[0]}, {PASSES[place[1]]}" for place in places], fontsize=8)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_title(f"{about['cpu']}, {about['simd']}, one thread, {about['date']}", fontsize=10)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.08), ncols=4, fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _time(ms: float | None, ratio: float | None) -> str:
    if ms is None:
        return ""
    return f"{ms:.3g}" + ("" if ratio is None else f" ({ratio:.2g}x)")


def _grid(rows: Sequence[Row], cell: Callable[[Row], str]) -> Iterator[str]:
    """A table of workloads by contenders."""
    cells = {(row.workload, row.pass_, row.contender): cell(row) for row in rows}
    names = [name for name in CONTENDERS if any(key[2] == name and shown for key, shown in cells.items())]
    places = dict.fromkeys((row.workload, row.pass_) for row in rows)
    yield from _table(
        ["", *names],
        ([f"{w}, {PASSES[p]}", *(cells.get((w, p, name), "") for name in names)] for w, p in places),
    )


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for line in body:
        yield "| " + " | ".join(line) + " |"


def _commit() -> str:
    """This commit; "-dirty" where the sources differ from it. Results do not count: they are what is being written."""
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results", ":!docs")
        return git("describe", "--always") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
