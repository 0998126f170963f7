"""The README's table, out of bench/results: python -m bench.readme [results.csv], else of the newest ``make bench``."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from bench.workloads import LONG, WORKLOADS

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"
COLUMNS = ("fastspec, ms", "torch, ms", "faster", "faster, pages kept", "of auvux-dsp's time", "MB", "torch's MB")


def section(path: Path) -> str:
    """The table of one results file, and what it was measured on."""
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["threads"] == "1"]
    found = {(row["workload"], row["pass_"], row["contender"]): row for row in rows}
    lines = [
        f"{rows[0]['cpu']}, {rows[0]['simd']}, one thread, {rows[0]['date']}, torch {rows[0]['torch']};",
        "medians, float32, four clips of 30 s unless it says 1 s (one clip).",
        f"[The whole comparison](bench/results/{path.with_suffix('.md').name}), with torchaudio, librosa, nnAudio2,",
        "auvux-dsp, AVX2 alone, two threads, errors and the targets that we missed.",
        "",
        f"![Times faster than torch, by workload](bench/results/{path.with_suffix('.png').name})",
        "",
        f"| | {' | '.join(COLUMNS)} |",
        "|---|" + "---:|" * len(COLUMNS),
    ]
    for workload in (*LONG, *(w for w in WORKLOADS if w not in LONG)):
        for pass_ in workload.passes:
            name = workload.name + (", forward + backward" if pass_ == "both" else "")

            def row(contender: str, key: tuple[str, str] = (workload.name, pass_)) -> dict[str, str]:
                return found.get((*key, contender), {})

            ours, torchs, auvux = row("fastspec"), row("torch"), row("auvux-dsp")
            if not ours.get("median_ms") or not torchs.get("median_ms"):
                continue
            cells = [
                f"{float(ours['median_ms']):.3g}",
                f"{float(torchs['median_ms']):.3g}",
                ratio(torchs, ours),
                ratio(row("torch, pages kept"), row("fastspec, pages kept")),
                ratio(ours, auvux, "{:.2f}"),
                megabytes(ours),
                megabytes(torchs),
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def ratio(slow: dict[str, str], fast: dict[str, str], form: str = "{:.1f}x") -> str:
    """How many times longer `slow` takes, empty where either was not timed."""
    if not slow.get("median_ms") or not fast.get("median_ms"):
        return ""
    return form.format(float(slow["median_ms"]) / float(fast["median_ms"]))


def megabytes(row: dict[str, str]) -> str:
    return f"{float(row['peak_mb']):.0f}" if row.get("peak_mb") else ""


def main() -> None:
    results = (path for path in (ROOT / "bench" / "results").glob("*.csv") if not path.stem.endswith("-all"))
    path = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else max(results, key=lambda path: path.stat().st_mtime)
    readme = ROOT / "README.md"
    text = readme.read_text()
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    readme.write_text(f"{head}\n{section(path)}\n{tail}")


if __name__ == "__main__":
    main()
