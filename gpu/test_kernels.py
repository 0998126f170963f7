"""The kernels as NVRTC compiles them, executed: values and gradients, bounds, races; then their budgets."""

from __future__ import annotations

import re

import pytest

from fastspec import _launch
from gpu import gate
from gpu.budgets import COSTS
from gpu.kernel_checks import CHECKS, run
from gpu.workloads import ALL, execute


@pytest.mark.parametrize("check", CHECKS)
def test_executed_ptx(check):
    run(check)


def test_every_kernel_is_enumerated():
    """The gate compiles what the launchers choose; no `__global__` function may escape it."""
    declared = set()
    for path in (_launch.folder() / "cuda").iterdir():
        if path.name.endswith((".cu", ".cuh")):
            text = re.sub(r"//[^\n]*", "", path.read_text())
            declared |= set(re.findall(r"__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(", text))
    assert declared, "no kernels found"
    assert {use.kernel.name for use in gate.uses()} == declared


@pytest.mark.parametrize("name", COSTS)
def test_a_frame_costs_what_it_may(name):
    budget, counts = COSTS[name], execute(next(each for each in ALL if each.name == name)).counts
    assert counts.instructions <= budget.instructions
    assert counts.l1_clocks <= budget.clocks
    assert counts.conflict_ratio <= budget.conflicts
