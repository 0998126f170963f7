"""The Triton backend as far as this process goes; its kernels run in the interpreter, in a process of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import DENSE_CASES, Case, DenseCase, centred

from fastspec.dispatch import explain
from fastspec.ops import _triton_tables as tables
from fastspec.ops import frame_transform
from fastspec.ops._triton_configs import LARGE, LARGE_TILES, NARROW, SMALL, Gpu, config
from fastspec.ops._triton_tune import autotune
from fastspec.plan import PRECISIONS, DensePlan

TESTS = Path(__file__).parent
FILES = ("interpreted_triton.py", "test_ops.py")


def test_interpreted():
    """TRITON_INTERPRET must be set before Triton is imported: the kernels' own tests, and the shared ones."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(TESTS / file) for file in FILES)]
    env = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=TESTS.parent)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    summary = done.stdout.splitlines()[-1]
    passed = re.search(r"(\d+) passed", summary)
    assert passed is not None
    assert int(passed[1]) > 100, summary
    assert "skipped" not in summary


def test_refusals():
    dense, fourier = DENSE_CASES[0].plan, Case(64, 1, 16, 4).plan
    x, basis = torch.zeros(1, 40), torch.zeros(dense.basis_shape)
    with pytest.raises(ValueError, match="'triton' does not run on cpu tensors"):
        frame_transform(x, basis, dense, "triton")
    for plan, reason in ((dense, "float32"), (fourier, "dense basis")):
        _, runs, refused = explain(plan, device="cuda", dtype=torch.float64).rows[0]
        assert runs != "triton"
        assert reason in refused["triton"]
    assert all(runs == "triton" for _, runs, _ in explain(dense, device="cuda").rows)
    huge = DensePlan.make(1 << 20, 512, (0,) * 1100, (1 << 20,) * 1100)
    assert "2^31" in explain(huge, device="cuda").rows[0][2]["triton"]
    with pytest.raises(NotImplementedError, match="autotune: Triton runs on CUDA tensors"):
        autotune(dense, x, basis)
    with pytest.raises(ValueError, match="plan must be a DensePlan"):
        autotune(fourier, x, basis)  # pyright: ignore[reportArgumentType]


CQT = DensePlan.make(2000, 37, *zip(*centred(2000, *(int(2000 * 2 ** (-k / 12)) for k in range(60))), strict=True))
PLANS = [case.plan for case in DENSE_CASES] + [CQT]


@pytest.mark.parametrize("plan", PLANS, ids=repr)
@pytest.mark.parametrize("BF", [8, 32])
def test_items_cover_every_tap_once(plan, BF, monkeypatch):
    monkeypatch.setattr(tables, "MAX_COLUMNS", 256)
    items, blocks, parts = tables._items(plan, BF)
    lengths = items[:, 2] - items[:, 1]
    assert (np.diff(lengths) <= 0).all(), "longest first"
    assert lengths.max() * 16 <= 256
    hits = np.zeros((plan.n_bins, 16 * (lengths.sum() + 4096)), int)
    for block, lo, hi, _ in items:
        hits[block * BF : (block + 1) * BF, 16 * lo : 16 * hi] += 1
    for row, (_, start, stop, _) in enumerate(tables._places(plan)):
        assert (hits[row, tables._column(plan, np.arange(start, stop))] == 1).all()
    slots = sorted(slot for slot in items[:, 3] if slot >= 0)
    assert slots == list(range(parts))
    assert blocks[:, 1].tolist() == [0, *blocks[:, 2].tolist()][:-1][: len(blocks)]


@pytest.mark.parametrize("plan", PLANS, ids=repr)
@pytest.mark.parametrize("splits", [1, 3])
def test_steps_cover_every_tap_once(plan, splits):
    BN, BK = 64, 32
    first, steps = tables._steps(plan, BN, BK, splits)
    hop = plan.hop_length
    assert len(first) == -(-tables.up(hop, 8) // BN) * splits + 1
    assert (np.diff(first) >= 0).all()
    assert first[-1] == len(steps) - 1
    for tile in range((len(first) - 1) // splits):
        own = [tuple(s) for s in steps[first[tile * splits] : first[(tile + 1) * splits]]]
        assert len(set(own)) == len(own)
        for row, (_, start, stop, _) in enumerate(tables._places(plan)):
            n = np.arange(start, stop)
            n = n[(n % hop) // BN == tile]
            assert {(q, 2 * row // BK * BK // 16) for q in n // hop} <= set(own)


@pytest.mark.parametrize("plan", PLANS, ids=repr)
def test_tiles_cover_every_tap_once(plan):
    tiles = {tuple(t) for t in tables._tiles(plan, 64, 64)}
    assert len(tiles) == len(tables._tiles(plan, 64, 64))
    for row, (_, start, stop, _) in enumerate(tables._places(plan)):
        columns = tables._column(plan, np.arange(start, stop)) // 64
        assert {(2 * row // 64, int(c)) for c in columns} <= tiles


def test_exact_products_are_recognised():
    full = DensePlan.make(1024, 256, (0,) * 40, (1024,) * 40)
    assert tables.is_exact(full, 32, 32)
    assert not tables.is_exact(DensePlan.make(400, 160, (0,) * 40, (400,) * 40), 32, 32)  # 400 is no multiple of 32
    assert not tables.is_exact(DensePlan.make(1024, 256, (0,) * 40, (1024,) * 39 + (1008,)), 32, 32)
    assert not tables.is_exact(DensePlan.make(1024, 250, (0,) * 40, (1024,) * 40), 32, 32)


def test_waste_of_a_cqt():
    """kernels/README.md: 1.23 columns multiplied per useful tap at 8 bins a block."""
    quality = 1 / (2 ** (1 / 12) - 1)
    lengths = [int(np.ceil(quality * 22050 / (32.70319566 * 2 ** (k / 12)))) for k in range(84)]
    case = DenseCase(30000, 1, lengths[0], 512, centred(lengths[0], *lengths))
    assert tables.waste(case.plan, 8) < 1.24
    assert config("frame_transform", "tf32x3", case.plan, 10000, Gpu(90, 132)) == NARROW


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_shipped_tiles(precision):
    plan = DensePlan.make(1024, 256, (0,) * 513, (1024,) * 513)
    for capability in (75, 80, 86, 89, 90, 100, 120):
        gpu = Gpu(capability, 100)
        large = LARGE if capability in LARGE_TILES[precision] else SMALL
        for product in ("frame_transform", "overlap_add", "basis_grad"):
            assert config(product, precision, plan, 10_000, gpu)[:3] == large[:3]
            assert config(product, precision, plan, 500, gpu)[:3] == SMALL[:3]
