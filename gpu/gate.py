"""Every kernel that fastspec may launch, on every architecture, against gpu/budgets.py: python -m gpu.gate."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product

import torch

from fastspec import _launch
from fastspec.dispatch import HALVES
from fastspec.ops import basis_grad, overlap_add, spectral_power
from fastspec.ops.frame_transform import _cuda as frame_transform_cuda
from fastspec.ops.inverse import inverse
from fastspec.ops.spectral_power import _cuda as spectral_power_cuda
from fastspec.plan import Ending, FramePlan

from .budgets import ceiling
from .compile import ARCHS
from .engine import Use, code_of, record
from .resources import PROCESSORS, Resources, blocks_per_sm, occupancy, resources
from .workloads import ALL, Workload

FIRST = "sm_80"
DTYPES = (torch.float32, torch.int16, torch.float16, torch.bfloat16, torch.float64)
LENGTHS = ((16, 4), (400, 160), (400, 100), (512, 128), (600, 150), (1024, 256), (1024, 200), (2048, 512), (4096, 1024))
ENDINGS = (Ending.make(1.0), Ending.make(2.0), Ending.make(2.0, log="ln"))


def uses() -> list[Use]:
    """One use of every distinct kernel, with the most threads and shared memory that it is launched with."""
    found: dict[_launch.Kernel, Use] = {}
    for use in _launched():
        known = found.get(use.kernel, use)
        shared = max(known.shared_bytes, use.shared_bytes)
        block = max(known.block, use.block, key=lambda block: block[0] * block[1] * block[2])
        found[use.kernel] = replace(use, block=block, shared_bytes=shared)
    return sorted(found.values(), key=lambda use: use.kernel.expression)


def _launched() -> Iterator[Use]:
    for workload in ALL:
        yield from _launched_by(workload)
    for (n_fft, hop), dtype in product(LENGTHS, DTYPES):
        yield from record(lambda n=n_fft, h=hop, d=dtype: _every_op(FramePlan.make(n, h), d))


def _launched_by(workload: Workload) -> list[Use]:
    forward, run = workload.run(64)
    return record(lambda: (forward(), run()))


def _every_op(plan: FramePlan, dtype: torch.dtype) -> None:
    real = torch.float64 if dtype is torch.float64 else torch.float32
    x = torch.zeros(2, 20 * plan.hop_length + plan.n_fft).to(dtype)
    window, bank = torch.zeros(plan.win_length, dtype=real), torch.zeros(plan.n_bins, 20, dtype=real)
    y = frame_transform_cuda.forward(x, window, plan)
    if dtype in HALVES:  # the ops convert them; the kernels read and write them as they are
        for weights in (None, bank):
            out = torch.empty(2, plan.n_bins if weights is None else 20, y.shape[2], dtype=dtype)
            spectral_power_cuda.forward(x, window, weights, plan, ENDINGS[0], out)
            spectral_power_cuda.forward(x.float(), window, weights, plan, ENDINGS[0], out)
        return
    if dtype is real:
        overlap_add(y, window, plan, x.shape[1], "cuda")
        gain, framing = torch.zeros(x.shape[1], dtype=real), replace(plan, pad=0, pad_mode="none")
        inverse(y, window, gain, framing, plan.pad, "cuda")
    basis_grad(x, y, plan, "cuda")
    for ending, weights in product(ENDINGS, (None, bank)):
        leaf = x.detach().requires_grad_(dtype is real)
        with torch.enable_grad():
            u = spectral_power(leaf, window, weights, plan, ending, "cuda")
        if u.requires_grad:
            torch.autograd.grad(u.sum(), leaf)


@dataclass(frozen=True)
class Verdict:
    """One kernel on one architecture."""

    use: Use
    arch: str
    needs: Resources
    warps: int
    occupancy: float
    faults: tuple[str, ...]


def judge(use: Use, arch: str) -> Verdict:
    """Compile, read what it needs, and compare with its ceiling."""
    code, name = code_of(use.kernel, arch)
    needs, limits = resources(code, arch)[name], ceiling(use.kernel.expression, arch)
    shared, processor = needs.shared + use.shared_bytes, PROCESSORS[arch]
    if shared > processor.shared_block:  # the launcher asks the device, and refuses or takes a smaller tile there
        return Verdict(use, arch, needs, 0, 0.0, _faults(needs, limits))
    warps = blocks_per_sm(arch, needs.registers, shared, use.threads) * -(-use.threads // 32)
    faults = _faults(needs, limits)
    if warps < min(limits.warps, processor.threads // 32):
        faults += (f"{warps} warps an SM, expected {limits.warps}",)
    return Verdict(use, arch, needs, warps, occupancy(arch, needs.registers, shared, use.threads), faults)


def _faults(needs: Resources, limits) -> tuple[str, ...]:
    faults = []
    if needs.spills:
        faults.append(f"{needs.spills} spills")
    if needs.stack or needs.local:
        faults.append(f"{max(needs.stack, needs.local)} bytes of local memory")
    if needs.registers > limits.registers:
        faults.append(f"{needs.registers} registers, at most {limits.registers} allowed")
    return tuple(faults)


def jobs_of(found: Iterable[Use], everything: bool) -> list[tuple[Use, str]]:
    """What float32 workloads launch on every architecture, other types of samples and results on FIRST alone:
    they are the same kernels between another load and store. With `everything`, all on all.
    """
    usual = {use.kernel for workload in ALL for use in _launched_by(workload)}
    return [(use, arch) for use in found for arch in ARCHS if everything or arch == FIRST or use.kernel in usual]


def judge_all(jobs: Sequence[tuple[Use, str]]) -> list[Verdict]:
    """In processes, as many as there are cores."""
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(judge, *zip(*jobs, strict=True), chunksize=4))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gpu.gate", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--all", action="store_true", help="every kernel on every architecture: half an hour")
    parser.add_argument("--verbose", action="store_true", help="a line for every kernel and architecture")
    options = parser.parse_args()
    verdicts = judge_all(jobs_of(uses(), options.all))
    for each in verdicts:
        if each.faults or options.verbose:
            told = "; ".join(each.faults) or "within its budget"
            needs = f"{each.needs.registers} registers, {each.use.shared_bytes + each.needs.shared} B shared"
            print(f"{each.arch} {each.use.kernel.expression}: {needs}, {each.warps} warps: {told}")
    bad = sum(bool(each.faults) for each in verdicts)
    kernels = len({each.use.kernel for each in verdicts})
    print(f"{kernels} kernels, {len(verdicts)} cubins for {', '.join(ARCHS)}: {bad} over their budgets")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
