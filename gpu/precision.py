"""The error of each `precision` of a dense basis, as a table: `TRITON_INTERPRET=1 python -m gpu.precision`.

Triton's interpreter, cured: operands are rounded as the kernels and the tensor cores do; sums are exact to float32.
Random samples and taps; errors relative to the largest value of the float64 truth.
"""

from __future__ import annotations

import torch

from fastspec.ops import basis_grad, frame_transform, overlap_add
from fastspec.plan import PRECISIONS, DensePlan

from . import triton_interpreter

LENGTHS = (64, 1024, 4096)
BINS = 8


def errors(precision: str, n: int) -> list[float]:
    """Of frame_transform, overlap_add and basis_grad on frames of n samples."""
    supports = (0,) * BINS, (n,) * BINS
    plan, reference = (DensePlan.make(n, n // 2, *supports, pad_mode="none", precision=p) for p in (precision, ""))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 8 * n, generator=generator)
    basis = torch.randn(2, BINS * n, generator=generator)
    y = torch.randn(1, BINS, plan.n_frames(8 * n), dtype=torch.complex64, generator=generator)
    found = (
        frame_transform(x, basis, plan, "triton"),
        overlap_add(y, basis, plan, 8 * n, "triton"),
        basis_grad(x, y, plan, "triton"),
    )
    x, basis, y = x.double(), basis.double(), y.to(torch.complex128)
    truth = (
        frame_transform(x, basis, reference, "reference"),
        overlap_add(y, basis, reference, 8 * n, "reference"),
        basis_grad(x, y, reference, "reference"),
    )
    return [((a.to(t.dtype) - t).abs().max() / t.abs().max()).item() for a, t in zip(found, truth, strict=True)]


def main() -> None:
    triton_interpreter.install()
    print("| precision | " + " | ".join(f"N = {n}" for n in LENGTHS) + " |")
    print("|---|" + "---|" * len(LENGTHS))
    for precision in PRECISIONS[1:]:
        cells = [" / ".join(f"{e:.0e}" for e in errors(precision, n)) for n in LENGTHS]
        print(f"| `{precision}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
