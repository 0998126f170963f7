"""fastspec beside torch, torchaudio, librosa, nnaudio2, auvux-dsp and MKL's bare FFT: python -m bench.run.

Writes a table (.md), a plot (.png) and every row (.csv) to bench/results. The rounds are interleaved by our
own loop and not by pytest-benchmark, which times one function to its end before the next begins: on a shared
machine the ratio of two such times says more about the minute than about the code. test_speed.py has the same
workloads under pytest-benchmark, to compare a change with what was before it. No time is ever asserted.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from bench.contenders import CONTENDERS
from bench.measure import Row, measure
from bench.memory import KEPT
from bench.report import facts, write
from bench.workloads import LONG, WORKLOADS

OURS = ("fastspec", "fastspec, out=")
RIVALS = ("torch", "torchaudio", "librosa", "nnaudio2", "auvux-dsp", "kaldi-native-fbank", "MKL rfft alone")
KEEPERS = tuple(name for name in CONTENDERS if name.endswith(KEPT))


def main() -> None:
    options = _options()
    torch.set_num_threads(1)  # the processes forked below could not use threads started here
    for build, _ in CONTENDERS.values():
        with suppress(ImportError, NotImplementedError):
            build(LONG[0].entry)  # imports its library, once for all those processes
    levels = [f"fastspec, {level}" for level in options.simd]
    chosen = [workload for workload in WORKLOADS if options.only in workload.name]
    rows: list[Row] = []
    for threads in options.threads:
        alone = ["fastspec, 1 thread"] if threads > 1 else []
        kept = KEEPERS if options.keep_pages and threads == 1 else []
        names = [*OURS, *(name for name in RIVALS if name in options.peers), *alone, *levels, *kept]
        for workload in chosen:
            if options.seconds:
                workload = replace(workload, seconds=options.seconds)
            for pass_ in workload.passes:
                print(f"{workload.name}, {pass_}, {threads} thread(s)", file=sys.stderr, flush=True)
                rows += measure(workload, pass_, threads, names, *options.effort)
    for path in write(rows, facts(), options.out):
        print(path)


def _options() -> argparse.Namespace:
    def several(text: str) -> list[str]:
        return [item for item in text.split(",") if item]

    parser = argparse.ArgumentParser(prog="python -m bench.run", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="torch alone, one thread, few rounds: a minute or two")
    add("--threads", type=several, help="counts of threads (default: 1,2)")
    add("--only", default="", help="the workloads whose name contains this")
    add("--simd", type=several, default=["avx2"], help="fastspec held down to these, too (avx2, baseline)")
    add("--peers", type=several, help=f"some of {', '.join(RIVALS)} (default: all); torch always")
    add("--no-keep-pages", dest="keep_pages", action="store_false", help="leave out the rows of kept pages")
    add("--seconds", type=float, help="length of every clip, instead of the workloads' own")
    add("--out", type=Path, default=Path(__file__).parent / "results", help="folder")
    options = parser.parse_args()

    options.effort = (0.5, 3) if options.quick else (6.0, 7)  # seconds and rounds, at least
    options.keep_pages &= not options.quick
    options.peers = [*(options.peers or ([] if options.quick else RIVALS)), "torch"]
    if not any(options.only in workload.name for workload in WORKLOADS):
        parser.error(f"--only: no workload contains {options.only!r}; they are named as {WORKLOADS[0].name!r}")
    if unknown := sorted(set(options.peers) - set(RIVALS)):
        parser.error(f"--peers: unknown {', '.join(unknown)}; expected some of {', '.join(RIVALS)}")
    if unknown := [level for level in options.simd if level not in ("avx2", "baseline")]:
        parser.error(f"--simd: unknown {', '.join(unknown)}; expected avx2, baseline or both")
    try:
        options.threads = [int(count) for count in options.threads or (["1"] if options.quick else ["1", "2"])]
    except ValueError:
        options.threads = [0]
    if min(options.threads) < 1:
        parser.error("--threads: expected whole numbers of at least 1, such as 1,2")
    return options


if __name__ == "__main__":
    main()
