"""One contender of ``bench.all`` in a process of its own: python -m bench.serve PORT KEY.

It runs in the environment of its library (``bench.environments``), where there may be neither torch nor fastspec:
this file needs the standard library and numpy alone. The parent sends a job; the answer is the output of a short
input, which the parent judges; then come turns, for as long as the parent asks for them.
"""

from __future__ import annotations

import importlib
import sys
import time
import wave
from collections.abc import Callable
from multiprocessing.connection import Client, Connection
from typing import Any

import numpy as np

from bench.memory import keep_pages, peak_memory

Job = dict[str, Any]
"""peer: a module of bench/peers; transform, sizes: the function of it that builds, and its argument; pass_: "forward"
or "both"; threads; keep_pages: whether malloc keeps what is freed; check, input: arrays, short and timed, or for input
names of WAV files.

What builds returns a path, or a tuple: path; what makes the common layout of its output, untimed; and the unit of its
output and gradient.
"""


def serve(parent: Connection, job: Job) -> None:
    """Build, show the output of the short input, and take turns at the long one until told to stop."""
    begin = time.perf_counter()
    try:
        if job["keep_pages"]:
            keep_pages()
        peer = importlib.import_module(f"bench.peers.{job['peer']}")
        peer.set_threads(job["threads"])
    except ImportError as error:
        return parent.send({"note": f"not installed: {error}"})
    imported = time.perf_counter()
    build = getattr(peer, job["transform"], None)
    if build is None:
        return parent.send({"note": "does not have it"})
    if job["pass_"] == "both" and not hasattr(peer, "both"):
        return parent.send({"note": "no gradient"})
    try:
        made = build(job["sizes"])
        path, restore, unit = (*made, 1.0)[:3] if isinstance(made, tuple) else (made, lambda y: y, 1.0)
        get = peer.forward if job["pass_"] == "forward" else peer.both
        run = get(path, peer.from_numpy(job["check"]))
        first = time.perf_counter()
        found = run()
        done = time.perf_counter()
        output = np.array(peer.to_numpy(found))
        if job["pass_"] == "forward":
            output = restore(output)
        output = output / np.float32(unit)
        times = {"import_s": imported - begin, "first_ms": 1e3 * (done - first)}
        parent.send({"output": np.ascontiguousarray(output), **times})
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        return parent.send({"note": f"fails: {type(error).__name__}: {reason}"})
    if not parent.recv():
        return None
    run = _one_by_one(get, path, peer, job["input"]) if isinstance(job["input"], list) else None
    run = run or get(path, peer.from_numpy(job["input"]))
    peak = peak_memory(run)
    turn = turn_of(run)
    parent.send(None if peak is None else peak / 1e6)
    while parent.recv():
        parent.send(turn())
    return None


def _one_by_one(get: Callable, path: Callable, peer: Any, files: list[str]) -> Callable[[], None]:
    """Every sound file from disk through the transform, one after the other."""

    def run() -> None:
        for file in files:
            get(path, peer.from_numpy(_read(file)))()

    return run


def _read(file: str) -> np.ndarray:
    """Samples [1, T] of a WAV file of 16 bits, one channel."""
    with wave.open(file) as sound:
        values = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    return (values.astype(np.float32) / 32768.0)[None]


def turn_of(run: Callable[[], Any]) -> Callable[[], float]:
    """As ``fastspec.quickbench.turn_of``, which cannot be imported where there is no torch; but a call of more than
    0.3 s is its own preparation.
    """
    once = _seconds(run, 1)
    calls = max(1, round(0.02 / once))

    def turn() -> float:
        if once < 0.3:
            run()
        return _seconds(run, calls)

    return turn


def _seconds(run: Callable[[], Any], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - begin) / calls


def main() -> None:
    with Client(("localhost", int(sys.argv[1])), authkey=bytes.fromhex(sys.argv[2])) as parent:
        serve(parent, parent.recv())


if __name__ == "__main__":
    main()
