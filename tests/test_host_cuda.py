"""The host engine catches what a GPU would not forgive: bugs planted on purpose (host_cuda/planted.cu)."""

import os
import re
import tempfile
from pathlib import Path

import pytest
import torch
from host_cuda.engine import HERE, KernelError

from fastspec import _launch
from fastspec._launch import Kernel, launch

KERNEL = Kernel("planted.cu", "planted_kernel")
EXPECTED = 63 - torch.arange(64.0)

# (bug, the build that catches it, what its report says). "wrong": no report, but the numbers differ (NaN or stale).
PLANTED = [
    ("kMissingBarrier", "plain", "wrong"),
    ("kMissingBarrier", "thread", "data race"),
    ("kBarrierInDivergentCode", "plain", "threads of one block meet at different __syncthreads"),
    ("kBarrierAfterEarlyExit", "plain", "__syncthreads although 14 threads have returned"),
    ("kSharedOutOfBounds", "address", "heap-buffer-overflow"),
    ("kGlobalReadOutOfBounds", "plain", "wrong"),
    ("kGlobalReadOutOfBounds", "address", "use-after-poison"),
    ("kGlobalWriteOutOfBounds", "plain", "writes behind an array"),
    ("kGlobalWriteOutOfBounds", "address", "use-after-poison"),
    ("kUninitialisedShared", "plain", "wrong"),
    ("kImplicitWarpSynchrony", "plain", "wrong"),
    ("kImplicitWarpSynchrony", "thread", "data race"),
    ("kDivergentShuffle", "plain", "waits for lanes that never come"),
    ("kShuffleFromOutside", "plain", "outside of its mask"),
    ("kCopyWithoutWait", "plain", "wrong"),
    ("kCopyWithoutBarrier", "plain", "wrong"),
    ("kCopyWithoutBarrier", "thread", "data race"),
    ("kCopyPendingAtExit", "plain", "before its cp.async has landed"),
    ("kUndefinedShift", "address", "shift"),
]
ALL = re.findall(r"k\w+", re.search(r"enum Bug[^{]*{([^}]*)}", (HERE / "planted.cu").read_text())[1])
BUILD = os.environ.get("FASTSPEC_HOST_CUDA", "plain").partition(":")[0]


@pytest.fixture
def planted(host_cuda, monkeypatch):
    """planted(bug, broken): the output of the kernel."""
    text = _launch.flatten((HERE / "planted.cu").read_text(), "cuda/planted.cu")
    monkeypatch.setattr(_launch, "source", lambda file: text)

    def run(bug, broken):
        out = torch.full((64,), -1.0)
        args = {"in": torch.arange(64.0), "out": out, "bug": ALL.index(bug), "broken": int(broken)}
        launch(KERNEL, (1, 1, 1), (64, 1, 1), args, 256)
        return out

    with _launch.using(host_cuda):
        yield run


def test_every_planted_bug_is_listed():
    assert {bug for bug, _, _ in PLANTED} == set(ALL)


@pytest.mark.parametrize("bug", ALL)
def test_nothing_is_reported_without_the_bug(bug, planted):
    assert torch.equal(planted(bug, False), EXPECTED)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("bug", "report"), [(bug, report) for bug, build, report in PLANTED if build == BUILD])
def test_the_bug_is_caught(bug, report, planted):
    """In a child process, since a sanitizer ends the one that it finds something in."""
    planted(bug, False)  # builds the kernel
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report"
        child = os.fork()
        if child == 0:
            os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), 2)
            try:
                wrong = not torch.equal(planted(bug, True), EXPECTED)
                os.write(2, b"wrong" if wrong else b"nothing")
            except KernelError as error:
                os.write(2, str(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert report in path.read_text(errors="replace")
