"""The same workloads on a GPU, timed by CUDA events: python -m bench.gpu. Writes bench/results/<gpu>.csv.

Contenders take turns in one process, each on the current stream; what one call costs is measured over as many calls
as fill five milliseconds. The gate is that of bench.measure: who is wrong is not timed. No time is ever asserted.
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from bench.contenders import Contender, with_nnaudio2, with_torchaudio
from bench.measure import Row, check, samples
from bench.report import facts, write_csv
from bench.workloads import LONG, SHORT, Workload
from fastspec.presets import Preset
from fastspec.quickbench import take_turns, torch_path

BATCH = 32  # clips of 30 s: the workload that docs/gpu.md predicts
BUDGET, ROUNDS = 2.0, 7  # seconds, and rounds at least


def ours(entry: Preset) -> Contender:
    return Contender(entry.transform().cuda())


def with_torch(entry: Preset) -> Contender:
    return Contender(torch_path(entry, device="cuda"))


def with_flashmel(entry: Preset) -> Contender:
    import flashmel

    if entry.kind != "mel":
        raise NotImplementedError("flashmel has no STFT")
    module = flashmel.MelSpectrogram(
        sample_rate=entry.sample_rate,
        n_fft=entry.n_fft,
        hop_length=entry.hop_length,
        f_min=entry.f_min,
        f_max=entry.f_max,
        n_mels=entry.n_mels,
        norm=entry.norm,
        mel_scale=entry.mel_scale,
    ).cuda()
    return Contender(lambda x: module(x).clamp(min=entry.floor).log10(), differentiable=False)


def there(build: Callable[[Preset], Contender]) -> Callable[[Preset], Contender]:
    """A contender of bench.contenders whose constants are made on the GPU."""

    def on_device(entry: Preset) -> Contender:
        with torch.device("cuda"):
            return build(entry)

    return on_device


CONTENDERS: dict[str, Callable[[Preset], Contender]] = {
    "fastspec": ours,
    "torch": with_torch,
    "torchaudio": there(with_torchaudio),
    "nnaudio2": there(with_nnaudio2),
    "flashmel": with_flashmel,
}


def turn_of(run: Callable[[], object]) -> Callable[[], float]:
    """A turn of ``run``, giving the seconds of one call between two CUDA events."""

    def seconds(calls: int) -> float:
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(calls):
            run()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / 1e3 / calls

    run(), seconds(1)  # compiles, and fills the allocator
    return partial(seconds, max(1, round(0.005 / seconds(3))))


def measure(workload: Workload, pass_: str) -> Iterator[Row]:
    """The rows of one workload and pass."""
    backward, rows, turns = pass_ == "both", [], []
    for name, build in CONTENDERS.items():
        row = Row(workload.name, pass_, 0, name, workload.batch, workload.seconds)
        try:
            contender = replace(build(workload.entry), ready=lambda x: x.cuda())
        except ImportError as error:
            yield replace(row, note=f"missing: {error}")
            continue
        except NotImplementedError:
            continue
        if backward and not contender.differentiable:
            continue
        row = replace(row, **check(contender, workload, backward))
        if row.note:
            yield row
            continue
        run = contender.run(samples(workload.entry, workload.batch, workload.seconds), backward)
        turns.append(turn_of(run))
        rows.append(replace(row, peak_mb=_peak_mb(run)))
    for row, times in zip(rows, take_turns(turns, BUDGET, ROUNDS) if turns else [], strict=True):
        first, median, third = statistics.quantiles([1e3 * t for t in times], n=4)
        yield replace(row, median_ms=median, iqr_ms=third - first, rounds=len(times))


def _peak_mb(run: Callable[[], object]) -> float:
    """Peak memory of a call beyond what was there before."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("bench.gpu: torch sees no GPU here (torch.cuda.is_available() is False)")
    gpu = torch.cuda.get_device_name()
    rows: list[Row] = []
    for workload in (*(replace(each, batch=BATCH) for each in LONG), *SHORT):
        for pass_ in workload.passes:
            print(f"{workload.name}, {pass_}", file=sys.stderr, flush=True)
            rows += measure(workload, pass_)
            torch.cuda.empty_cache()
    path = Path(__file__).parent / "results" / (re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-") + ".csv")
    write_csv(rows, {"gpu": gpu, "cuda": str(torch.version.cuda)} | facts(), path)
    print(path)


if __name__ == "__main__":
    main()
