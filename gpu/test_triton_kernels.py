"""The Triton kernels as compiled: executed as sm_80 PTX in every precision, and what they need of every GPU."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

from fastspec.ops import _triton
from fastspec.ops.spectral_power import _triton as spectral_power
from fastspec.ops.spectral_power import reference
from fastspec.plan import PRECISIONS, DensePlan, Ending
from gpu.ptx import PTXError
from gpu.triton_offline import Gpu, PtxEngine, judge, using

A100 = Gpu(80, 108)
ARCHS = (80, 86, 89, 90, 100, 120)
ERRORS = {"ieee": 1e-6, "tf32x3": 1e-6, "split-fp16": 1e-6, "tf32": 3e-3, "bf16": 3e-2}
PLAN = DensePlan.make(64, 13, (0,) * 20 + (10,) * 3, (64,) * 20 + (50,) * 3)
ENDING = Ending.make(1.0, log="db", floor=1e-3)


def run(functions, x, basis, bank, seed):
    """Value, spectrum and both gradients of a log-power with bands: every kernel but two."""
    u, y = functions.forward_keeping(x, basis, bank, PLAN, ENDING)
    return u, y, *functions.backward(seed, x, basis, bank, PLAN, ENDING, True, True, y=y)


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_executed_ptx(precision):
    generator = torch.Generator().manual_seed(0)
    x, basis = torch.randn(2, 300, generator=generator), torch.randn(PLAN.basis_shape, generator=generator)
    bank = torch.rand(PLAN.n_bins, 5, generator=generator)
    seed = torch.randn(2, 5, PLAN.n_frames(300), generator=generator)
    with using(PtxEngine(), A100, precision) as engine:
        found = run(spectral_power, x, basis, bank, seed)
    truth = run(reference, x.double(), basis.double(), bank.double(), seed.double())
    for a, t in zip(found, truth, strict=True):
        assert ((a.to(t.dtype) - t).abs().max() / t.abs().max()).item() < ERRORS[precision]
    names = {use.name for use in engine.uses}
    assert len(names) == 10, names
    for use, counts in zip(engine.uses, engine.counts, strict=True):
        product = use.name.endswith((".transform", ".product"))
        assert (counts.tensor > 0) == (product and precision != "ieee"), use.name
        assert counts.conflict_ratio < 1.05, use.name
        assert not counts.local, use.name


def test_the_engine_sees_a_short_buffer(monkeypatch):
    """A planted error: the row grid without its tail, which the last step of the product runs over."""
    pack = _triton.pack_wave

    def short(work, *rest):
        c, dirty = pack(work, *rest)
        return c[:, : work.grid.rows * work.grid.P - 40].contiguous(), dirty

    monkeypatch.setattr(_triton, "pack_wave", short)
    x, basis = torch.zeros(1, 300), torch.zeros(PLAN.basis_shape)
    with using(PtxEngine(counting=False), A100, "ieee"), pytest.raises(PTXError):
        spectral_power.forward(x, basis, None, PLAN, ENDING)


@pytest.mark.parametrize("arch", ARCHS)
def test_resources(arch):
    """At every shipped tile: no spills, shared memory that fits, tensor cores and asynchronous copies where meant."""
    with ProcessPoolExecutor(2) as pool:
        verdicts = [v for found in pool.map(judge, [arch] * 5, PRECISIONS[1:]) for v in found]
    assert len({v.name for v in verdicts}) == 11
    faults = [f"{v.name} {v.tile} {v.precision}: {fault}" for v in verdicts for fault in v.faults]
    assert not faults, "\n".join(faults)
