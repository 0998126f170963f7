"""Take out each barrier and each comparison of the kernels in turn; the checks must notice: make mutate-kernels.

Two processes at a time, the checks that noticed most so far first, none that would launch the same code as ever. What
is known of each mutant stays in build/mutants, by the hash of its text: a stopped run goes on where it was, and a new
check is tried on survivors alone. (After a change of what a check does under its old name, remove that folder.)
A mutant that no check notices needs a written reason in gpu/survivors.py; one that has it is tried on the quick checks
alone, 20 seconds of them, and last. A whole run writes gpu/mutants.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import itertools
import json
import multiprocessing
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from fastspec import _launch
from fastspec.dispatch import OPS

from . import compile as compiling
from .compile import KERNELS, ROOT
from .engine import PTX_TARGET, code_of
from .kernel_checks import CHECKS, run
from .mutants import Mutant, mutants
from .survivors import REASONS

RESULTS = ROOT / "build" / "mutants"
REPORT = Path(__file__).with_name("mutants.txt")
SECONDS = 240  # of a processor, for one mutant; a kernel that never ends has been noticed
TIME = "time"  # what notices a kernel that never ends
REASONED = 20  # seconds of checks for a mutant that has a written reason
PROCESSES = 2
FORKING = multiprocessing.get_context("fork")  # everything is imported already


@dataclass(frozen=True)
class Known:
    """A check on the kernels as they are: the seconds it takes, compilation included, and what it launches."""

    name: str
    seconds: float
    code: tuple[tuple[_launch.Kernel, str], ...]

    @property
    def files(self) -> set[str]:
        return {kernel.file for kernel, _ in self.code}


@dataclass
class Outcome:
    """What became of a mutant: the check that noticed it ("" while none has), how, and the checks that did not."""

    noticed: str = ""
    how: str = ""
    passed: list[str] = field(default_factory=list)


# ---- what depends on what -------------------------------------------------------------------------------------------


def _closure(path: Path) -> set[str]:
    """The names of a file and of all that it includes."""
    found = {path.name}
    for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
        found |= _closure((path.parent / name).resolve())
    return found


def users_of(file: str, folder: Path) -> set[str]:
    """The .cu files that are made of this file."""
    return {path.name for path in folder.glob("*.cu") if file in _closure(path)}


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def key_of(mutant: Mutant, folder: Path) -> str:
    """Changes whenever the mutant or a source that is compiled with it does."""
    together = {name for user in users_of(mutant.file, folder) for name in _closure(folder / user)}
    texts = (path.read_text() for path in sorted(folder.iterdir()) if path.name in together)
    return _hash(str(mutant.start), mutant.replacement, mutant.file, *texts)


def _compile_from(kernels: Path, cache: Path) -> None:
    """From here on, in this process, kernels are those of this folder."""
    _launch.folder = lambda: kernels
    compiling.CACHE = cache
    for cached in (_launch.source, _launch.signature):
        cached.cache_clear()


def _code(kernel: _launch.Kernel) -> str:
    """Of the PTX, without the names that NVRTC makes of the source's hash."""
    return _hash(re.sub(r"_ZN\d+_INTERNAL_\w+", "", code_of(kernel, PTX_TARGET)[0].decode()))


# ---- the checks on the kernels as they are --------------------------------------------------------------------------


def _look(name: str, kernels: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        _compile_from(kernels, Path(folder))
        begin = time.process_time()
        launched = dict.fromkeys(use.kernel for use in run(name))
        seconds = time.process_time() - begin
        return {"name": name, "seconds": seconds, "code": [(k.file, k.name, k.types, _code(k)) for k in launched]}


def look_all(kernels: Path) -> list[Known]:
    """Every check, run on unchanged kernels, which it must pass."""
    texts = [path.read_text() for part in ("common", "cuda") for path in sorted((kernels / part).iterdir())]
    paths = {name: RESULTS / f"{_hash(name, *texts)}.json" for name in CHECKS}
    missing = [name for name, path in paths.items() if not path.exists()]
    print(f"{len(CHECKS)} checks, {len(missing)} to be run on the kernels as they are", flush=True)
    with FORKING.Pool(PROCESSES, maxtasksperchild=1) as pool:

        def keep(found: dict[str, Any]) -> None:
            paths[found["name"]].write_text(json.dumps(found))

        for result in [pool.apply_async(_look, (name, kernels), callback=keep) for name in missing]:
            result.get()
    found = []
    for name, path in paths.items():
        read = json.loads(path.read_text())
        code = tuple((_launch.Kernel(file, kernel, tuple(types)), code) for file, kernel, types, code in read["code"])
        found.append(Known(name, read["seconds"], code))
    return found


# ---- mutants --------------------------------------------------------------------------------------------------------


def _try(mutant: Mutant, kernels: Path, checks: list[Known], answer: Connection) -> None:
    """In a process of its own: the outcome of these checks, up to the first that notices."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    torch.set_num_threads(1)
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(shutil.copytree(kernels, Path(folder) / "kernels")) / "cuda" / mutant.file
        changed.write_text(mutant.apply(changed.read_text()))
        _compile_from(Path(folder) / "kernels", Path(folder) / "cache")
        for check in checks:
            try:
                if any(_code(kernel) != code for kernel, code in check.code):
                    run(check.name)
            except (ImportError, NotImplementedError):
                raise  # not the mutant's doing: no outcome
            except Exception as error:
                how = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
                outcome.noticed, outcome.how = check.name, how
                break
            outcome.passed.append(check.name)
    answer.send(outcome)


def run_all(found: list[Mutant], kernels: Path) -> dict[Mutant, Outcome]:
    """The outcome of each."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    checks, begin = look_all(kernels), time.monotonic()
    paths = {mutant: RESULTS / f"{key_of(mutant, kernels / 'cuda')}.json" for mutant in found}
    users = {file: users_of(file, kernels / "cuda") for file in {mutant.file for mutant in found}}
    outcomes: dict[Mutant, Outcome] = {}
    for mutant, path in paths.items():
        known = Outcome(**json.loads(path.read_text())) if path.exists() else Outcome()
        outcomes[mutant] = known if known.noticed in ("", TIME, *CHECKS) else Outcome(passed=known.passed)

    def left(mutant: Mutant) -> list[Known]:
        """The checks that may still notice: the likely ones first, then the quick ones."""
        if outcomes[mutant].noticed:
            return []
        here = Counter(outcome.noticed for other, outcome in outcomes.items() if other.file == mutant.file)
        passed = outcomes[mutant].passed
        fits = [check for check in checks if check.files & users[mutant.file]]
        if mutant.key in REASONS:
            fits.sort(key=lambda check: check.seconds)
            spent = itertools.accumulate(check.seconds for check in fits)
            fits = [check for check, so_far in zip(fits, spent, strict=True) if so_far <= REASONED]
        fits = [check for check in fits if check.name not in passed]
        return sorted(fits, key=lambda check: (-here[check.name], check.seconds))

    waiting = sorted(filter(left, found), key=lambda mutant: mutant.key in REASONS)
    running: dict[Connection, tuple[Mutant, Any]] = {}
    print(f"{len(found)} mutants, {len(found) - len(waiting)} known from before", flush=True)
    done = len(found) - len(waiting)
    while waiting or running:
        while waiting and len(running) < PROCESSES:
            mutant = waiting.pop(0)
            ours, theirs = FORKING.Pipe(duplex=False)
            process = FORKING.Process(target=_try, args=(mutant, kernels, left(mutant), theirs))
            process.start()
            theirs.close()
            running[ours] = mutant, process
        for pipe in wait(list(running)):
            assert isinstance(pipe, Connection)
            mutant, process = running.pop(pipe)
            try:
                outcome = pipe.recv()
            except EOFError:
                process.join()
                if process.exitcode != -signal.SIGPROF:
                    sys.exit(f"{mutant}: the checks themselves failed")
                outcome = Outcome(TIME, f"no end within {SECONDS} s")
            process.join()
            outcome.passed = outcomes[mutant].passed + outcome.passed
            outcomes[mutant], done = outcome, done + 1
            paths[mutant].write_text(json.dumps(asdict(outcome)))
            share = f"{done}/{len(found)} in {time.monotonic() - begin:.0f} s"
            print(f"[{share}] {mutant}: {outcome.noticed or 'SURVIVED'}: {outcome.how[:110]}", flush=True)
    return outcomes


def report(outcomes: dict[Mutant, Outcome], kernels: Path) -> str:
    """gpu/mutants.txt: each mutant and what noticed it, or why nothing can."""
    survived = sum(not outcome.noticed for outcome in outcomes.values())
    texts = (path.read_text() for path in sorted((kernels / "cuda").iterdir()) if path.suffix in (".cu", ".cuh"))
    lines = [
        "Generated by `make mutate-kernels`; do not edit. Each barrier and each <, >, <=, >= of kernels/cuda outside",
        "of loop heads, taken out in turn: the check of gpu/kernel_checks.py that noticed first, or the reason that a",
        "person wrote why none can; such a mutant is tried on the quick checks alone, for 20 s.",
        f"{len(outcomes)} mutants of kernels {_hash(*texts)}: {len(outcomes) - survived} noticed, {survived} survived.",
    ]
    for mutant, outcome in outcomes.items():
        told = f"{outcome.noticed}: {outcome.how[:120]}" if outcome.noticed else "survived: " + _reason(mutant)
        lines += ["", str(mutant), f"  {told}"]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _reason(mutant: Mutant) -> str:
    return REASONS.get(mutant.key, "NO REASON WRITTEN")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gpu.mutate", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--file", default="", help="only mutants of files whose name contains this")
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    options = parser.parse_args()
    for op in OPS:
        importlib.import_module(f"fastspec.ops.{op}._cuda")  # before the processes part
    with tempfile.TemporaryDirectory() as folder:  # the sources as they are now; the tree may go on changing
        kernels = Path(shutil.copytree(KERNELS, Path(folder) / "kernels"))
        found = [each for each in mutants(kernels / "cuda") if options.file in each.file]
        if options.list:
            print("\n".join(map(str, found)))
            return
        outcomes = run_all(found, kernels)
        if not options.file:
            REPORT.write_text(report(outcomes, kernels))
    survivors = [each for each, outcome in outcomes.items() if not outcome.noticed]
    unexplained = [each for each in survivors if each.key not in REASONS]
    for each in survivors:
        print(f"survived: {each}: {_reason(each)}")
    print(f"{len(found)} mutants: {len(found) - len(survivors)} noticed, {len(survivors)} survived, ", end="")
    print(f"{len(unexplained)} of them without a reason")
    if not options.file and (stale := set(REASONS) - {each.key for each in survivors}):
        print(f"reasons of no survivor, to be removed: {sorted(stale)}")
    sys.exit(bool(unexplained))


if __name__ == "__main__":
    main()
