"""New results against old ones of the same kind of machine: python -m bench.compare OLD.csv NEW.csv.

What is compared is fastspec's time as a ratio to torch's of the same run (where torch has not the transform, to the
fastest other contender that is in both): a slower machine or hour changes both. Exits with 1 where fastspec became
slower than the allowance and the spreads of both runs explain.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

Line = dict[str, str]
Times = dict[tuple[str, ...], dict[str, tuple[float, float]]]  # by place: of each contender median and spread
PLACE = ("part", "workload", "pass_", "threads", "batch", "seconds", "n_fft")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--allow", type=float, default=0.15, help="share by which a ratio may fall (default: 0.15)")
    options = parser.parse_args()
    old, new = read(options.old), read(options.new)
    if old[0] != new[0]:
        sys.exit(f"not the same kind of machine: {old[0]} and {new[0]}")
    slower = 0
    print("| | ratio to | old | new | |\n|---|---|---:|---:|---|")
    for place, base, before, after, noise in changes(old[1], new[1]):
        bad = after < before * (1 - options.allow - noise)
        slower += bad
        print(f"| {', '.join(place)} | {base} | {before:.2f} | {after:.2f} | {'SLOWER' if bad else ''} |")
    sys.exit(1 if slower else 0)


def read(path: Path) -> tuple[tuple[str, str], Times]:
    """The machine, and the times."""
    with path.open() as file:
        lines = list(csv.DictReader(file))
    if not lines:
        sys.exit(f"{path}: no results")
    times: Times = {}
    for line in lines:
        if line["median_ms"]:
            place = tuple(line.get(key, "") for key in PLACE)
            times.setdefault(place, {})[line["contender"]] = float(line["median_ms"]), float(line["iqr_ms"])
    return (lines[0]["cpu"], lines[0]["simd"]), times


def changes(old: Times, new: Times) -> Iterator[tuple[tuple[str, ...], str, float, float, float]]:
    """For every place in both: what fastspec is compared with, both ratios, and the relative spread of all four."""
    for place, before in old.items():
        after = new.get(place, {})
        common = [name for name in before if name in after and name != "fastspec"]
        if "fastspec" not in before or "fastspec" not in after or not common:
            continue
        base = "torch" if "torch" in common else min(common, key=lambda name: before[name][0])
        spreads = [run[name][1] / run[name][0] / 2 for run in (before, after) for name in (base, "fastspec")]
        noise = sum(spread**2 for spread in spreads) ** 0.5
        yield place, base, before[base][0] / before["fastspec"][0], after[base][0] / after["fastspec"][0], noise


if __name__ == "__main__":
    main()
