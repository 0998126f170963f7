"""fastspec alone under pytest-benchmark, and that ``bench.run`` works. No time is asserted.

pytest bench --benchmark-only --benchmark-autosave     before a change
pytest bench --benchmark-only --benchmark-compare      after it
pytest bench --benchmark-disable                       everything once, in seconds
"""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.cells import QUICK, Cell
from bench.compare import changes
from bench.contenders import ours
from bench.measure import samples
from bench.transforms import TRANSFORMS
from bench.workloads import WORKLOADS, Workload


@pytest.mark.parametrize("pass_", ["forward", "both"])
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_speed(workload: Workload, pass_: str, benchmark) -> None:
    if pass_ not in workload.passes:
        pytest.skip("too short a clip for a gradient to be of interest")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = samples(workload.entry, workload.batch, workload.seconds)
        benchmark(ours(workload.entry).run(x, pass_ == "both"))
    finally:
        torch.set_num_threads(threads)


def test_run_writes_its_files(tmp_path: Path) -> None:
    options = "--quick --only 'log-mel 400' --seconds 0.3 --peers librosa,auvux-dsp"
    command = [sys.executable, "-m", "bench.run", *shlex.split(options), "--out", tmp_path]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".md", ".png"]
    with next(tmp_path.glob("*.csv")).open() as file:
        rows = list(csv.DictReader(file))
    assert {"fastspec", "torch"} <= {row["contender"] for row in rows if row["median_ms"]}
    assert all(row["median_ms"] or row["note"].startswith("missing") for row in rows)


def test_all_goes_on_where_it_stopped_and_makes_its_pages(tmp_path: Path) -> None:
    root, results = Path(__file__).parents[1], tmp_path / "all.csv"
    command = [sys.executable, "-m", "bench.all", "--quick", "--out", results, "--only"]
    for only, done in (("ceilings: copy.* 1 thread|transforms: chroma.*forward", 0), ("transforms: chroma", 1)):
        run = subprocess.run([*command, only], cwd=root, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert f"2 cells, {done} of them done before" in run.stderr
    with results.open() as file:
        rows = list(csv.DictReader(file))
    timed = {(row["contender"], row["pass_"]) for row in rows if row["part"] == "transforms" and row["median_ms"]}
    assert timed >= {(name, pass_) for name in ("fastspec", "torch") for pass_ in ("forward", "both")}
    assert all(row["median_ms"] or row["note"] for row in rows)
    for arguments in (["bench.compare", results, results], ["bench.pages", results, "--out", tmp_path]):
        run = subprocess.run([sys.executable, "-m", *arguments], cwd=root, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
    page = (tmp_path / "benchmarks.md").read_text()
    assert "chroma 2048/512/12" in page
    assert (tmp_path / "benchmarks" / "ratios.png").exists()


def test_a_wrong_contender_is_named_and_not_timed() -> None:
    truth = next(one for one in TRANSFORMS if one.kind == "magnitude")
    wrong = replace(truth, kind="spectrum")  # complex values where magnitudes are wanted
    results = list(Cell("transforms", wrong, "forward", 1, 1, 0.2, ("fastspec",)).measure(QUICK))
    assert [result.median_ms for result in results] == [None]
    assert results[0].note.startswith("differs")


def test_compare_sees_a_regression() -> None:
    place = ("transforms", "x")
    before = {place: {"fastspec": (1.0, 0.02), "torch": (10.0, 0.2)}}
    after = {place: {"fastspec": (2.0, 0.02), "torch": (10.0, 0.2)}}
    ((_, base, old, new, noise),) = changes(before, after)
    assert (base, old, new) == ("torch", 10.0, 5.0)
    assert noise < 0.05


def test_trainable_prints_its_table() -> None:
    command = [sys.executable, "-m", "bench.trainable", "--rounds", "1", "--seconds", "0.3"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "wrong" not in done.stdout
    assert len(re.findall(r"(?m)^\| (?:forward|both) \| fastspec", done.stdout)) == 4


def test_inverse_prints_its_table() -> None:
    command = [sys.executable, "-m", "bench.inverse", "--rounds", "1", "--budget", "0", "--seconds", "0.5"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "wrong" not in done.stdout
    assert len(re.findall(r"(?m)^\| (?:istft|stft, istft, gradient|Griffin-Lim, 32 rounds) \|", done.stdout)) == 12


def test_kaldi_prints_its_table() -> None:
    command = [sys.executable, "-m", "bench.kaldi"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"(?m)^\| (?:music|speech) \| ", done.stdout)) == 8
