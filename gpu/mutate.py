"""Take out each barrier and each comparison of the kernels in turn; the checks must notice: make mutate-kernels.

Two processes at a time; the outcome of each mutant is kept in build/mutants by the hash of the changed text, so that
a stopped run goes on where it was. A mutant that no check notices needs a written reason in gpu/survivors.py.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import multiprocessing
import re
import shutil
import signal
import sys
import tempfile
import time
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from fastspec import _launch
from fastspec.dispatch import OPS

from .compile import KERNELS, ROOT
from .kernel_checks import CHECKS
from .mutants import Mutant, mutants
from .survivors import REASONS

HERE = Path(__file__).parent
RESULTS = ROOT / "build" / "mutants"
SECONDS = 240  # for one mutant; a kernel that never ends has been noticed
PROCESSES = 2
SURVIVED = "survived"


def users_of(file: str, folder: Path) -> set[str]:
    """The .cu files that are made of this file."""
    return {path.name for path in folder.glob("*.cu") if file in _closure(path)}


def checks_for(users: set[str]) -> list[str]:
    """The checks that launch a kernel of these files."""
    if users == {"spectral_power.cu"}:
        return [name for name in CHECKS if name.startswith("power")]
    if "spectral_power.cu" not in users:
        return [name for name in CHECKS if not name.startswith("power")]
    return list(CHECKS)


def _closure(path: Path) -> set[str]:
    """The names of a file and of all that it includes."""
    found = {path.name}
    for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
        found |= _closure((path.parent / name).resolve())
    return found


def key_of(mutant: Mutant, folder: Path) -> str:
    """Changes whenever the mutant, a source that is compiled with it, or the checks do."""
    parts = [str(mutant.start), mutant.replacement, mutant.file, (HERE / "kernel_checks.py").read_text()]
    together = {name for user in users_of(mutant.file, folder) for name in _closure(folder / user)}
    parts += [path.read_text() for path in sorted(folder.iterdir()) if path.name in together]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _run(mutant: Mutant, kernels: Path, answer: Connection) -> None:
    """In a process of its own: the first check that fails, and how."""
    signal.alarm(SECONDS)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(kernels, Path(folder) / "kernels")
        changed = Path(folder) / "kernels" / "cuda" / mutant.file
        changed.write_text(mutant.apply(changed.read_text()))
        _launch.folder = lambda: Path(folder) / "kernels"
        for cached in (_launch.source, _launch.signature):
            cached.cache_clear()
        for name in checks_for(users_of(mutant.file, kernels / "cuda")):
            try:
                CHECKS[name]()
            except (ImportError, NotImplementedError):
                raise  # not the mutant's doing: no outcome
            except Exception as error:
                return answer.send(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
    answer.send(SURVIVED)


def run_all(found: list[Mutant], kernels: Path) -> dict[Mutant, str]:
    """The outcome of each: what noticed it, or SURVIVED."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    outcomes: dict[Mutant, str] = {}
    waiting, running, begin = [], {}, time.monotonic()
    for mutant in found:
        path = RESULTS / f"{key_of(mutant, kernels / 'cuda')}.json"
        if path.exists():
            outcomes[mutant] = json.loads(path.read_text())
        else:
            waiting.append((mutant, path))
    print(f"{len(found)} mutants, {len(outcomes)} known from before", flush=True)
    forking = multiprocessing.get_context("fork")  # everything is imported already
    while waiting or running:
        while waiting and len(running) < PROCESSES:
            mutant, path = waiting.pop(0)
            ours, theirs = forking.Pipe(duplex=False)
            process = forking.Process(target=_run, args=(mutant, kernels, theirs))
            process.start()
            theirs.close()
            running[ours] = mutant, path, process
        for done in wait(list(running)):
            mutant, path, process = running.pop(done)
            try:
                outcome = done.recv()
            except EOFError:
                process.join()
                if process.exitcode != -signal.SIGALRM:
                    sys.exit(f"{mutant}: the checks themselves failed")
                outcome = f"no end within {SECONDS} s"
            process.join()
            outcomes[mutant] = outcome
            path.write_text(json.dumps(outcome))
            share = f"{len(outcomes)}/{len(found)} in {time.monotonic() - begin:.0f} s"
            print(f"[{share}] {mutant}: {outcome[:110]}", flush=True)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gpu.mutate", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--file", default="", help="only mutants of files whose name contains this")
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    options = parser.parse_args()
    for op in OPS:
        importlib.import_module(f"fastspec.ops.{op}._cuda")  # before the processes part
    with tempfile.TemporaryDirectory() as folder:  # the sources as they are now; the tree may go on changing
        kernels = shutil.copytree(KERNELS, Path(folder) / "kernels")
        found = [each for each in mutants(kernels / "cuda") if options.file in each.file]
        if options.list:
            print("\n".join(map(str, found)))
            return
        outcomes = run_all(found, kernels)
    survivors = [each for each, outcome in outcomes.items() if outcome == SURVIVED]
    unexplained = [each for each in survivors if each.key not in REASONS]
    for each in survivors:
        print(f"survived: {each}: {REASONS.get(each.key, 'NO REASON WRITTEN')}")
    print(f"{len(found)} mutants: {len(found) - len(survivors)} noticed, {len(survivors)} survived, ", end="")
    print(f"{len(unexplained)} of them without a reason")
    if not options.file and (stale := set(REASONS) - {each.key for each in survivors}):
        print(f"reasons of no survivor, to be removed: {sorted(stale)}")
    sys.exit(bool(unexplained))


if __name__ == "__main__":
    main()
