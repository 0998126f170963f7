"""What `make test-gpu` says where there is no GPU, and how the suite reaches one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fastspec import _launch
from gpu.compile import ROOT
from gpu.engine import Carrying, PtxEngine
from gpu.kernel_checks import Case, check_linear_ops

WITHOUT = os.environ | {"CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize("module", ["gpu.on_gpu", "bench.gpu"])
def test_without_a_gpu_it_fails_with_one_line(module):
    done = subprocess.run([sys.executable, "-m", module], cwd=ROOT, env=WITHOUT, capture_output=True, text=True)
    assert done.returncode == 1
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert "no GPU" in line


def test_tensors_are_carried_there_and_back():
    """On the way to a GPU the op tests go through `Carrying`; here the far side is the interpreter's."""
    case = Case(900, 2, 128, 50)
    engine = Carrying(PtxEngine(), "cpu")
    with _launch.using(engine):
        check_linear_ops(case, "cuda")
    assert len(engine.inner.uses) > 3
