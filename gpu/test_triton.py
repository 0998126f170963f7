"""The interpreter on what Triton makes for sm_80: ldmatrix, mma.sync, pipelined cp.async; and its cubins' resources."""

from __future__ import annotations

import numpy as np
import pytest
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from gpu import ptx
from gpu.resources import resources

M, N, K = 64, 32, 96
OPTIONS = {"num_warps": 4, "num_stages": 3, "enable_fp_fusion": True}


@triton.jit
def product_kernel(a, b, c, PREC: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    """c [M, N] = a [M, K] b [K, N] in steps of 32, ptrs to whole arrays."""
    o_m, o_n, o_k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, 32)
    sums = tl.zeros((M, N), dtype=tl.float32)
    for k in tl.range(0, K, 32, num_stages=3):
        b_a = tl.load(a + o_m[:, None] * K + (k + o_k)[None, :])
        b_b = tl.load(b + (k + o_k)[:, None] * N + o_n[None, :])
        sums = tl.dot(b_a, b_b, sums, input_precision=PREC)
    tl.store(c + o_m[:, None] * N + o_n[None, :], sums)


def build(kind: str, precision: str, arch: int):
    names = product_kernel.arg_names
    constants = {"PREC": precision, "M": M, "N": N, "K": K}
    signature = {"a": f"*{kind}", "b": f"*{kind}", "c": "*fp32"}
    source = ASTSource(
        product_kernel,
        {name: signature.get(name, "constexpr") for name in names},
        {(names.index(name),): value for name, value in constants.items()},
        {(i,): [["tt.divisibility", 16]] for i in range(3)},
    )
    return triton.compile(source, target=GPUTarget("cuda", arch, 32), options=OPTIONS)


def as_bf16(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bits = (x.view(np.uint32) >> 16).astype(np.uint16)
    return bits, (bits.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize(
    ("kind", "precision", "error"),
    [
        ("fp32", "ieee", 1e-6),
        ("fp32", "tf32", 2e-3),
        ("fp32", "tf32x3", 1e-6),
        ("bf16", "ieee", 1e-6),
        ("fp16", "ieee", 1e-6),
    ],
)
def test_triton_product(kind, precision, error):
    kernel = build(kind, precision, 80)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((M, K), (K, N)))
    true_a, true_b = a, b
    if kind == "bf16":
        (a, true_a), (b, true_b) = as_bf16(a), as_bf16(b)
    elif kind == "fp16":
        a, b = (true_a, true_b) = a.astype(np.float16), b.astype(np.float16)
    a, b, c = ptx.aligned(a), ptx.aligned(b), ptx.aligned(np.full((M, N), np.nan, np.float32))
    module = ptx.parse(kernel.asm["ptx"])
    (name,) = module.kernels
    # Triton appends pointers to scratch memory that this kernel does not use
    unused = [0] * (len(module.kernels[name].parameters) - 3)
    machine = ptx.launch(module, name, (1,), (128,), [a, b, c, *unused], kernel.metadata.shared, uninitialised=[c])
    truth = true_a.astype(np.float64) @ true_b.astype(np.float64)
    found = np.abs(c - truth).max() / np.abs(truth).max()
    assert found < error
    if precision == "tf32":
        assert found > 1e-5  # the interpreter does not compute more precisely than the instruction
    assert not machine.problems
    counts = ptx.counts(machine)
    products = {"fp32": {"ieee": 0, "tf32": 1, "tf32x3": 3}[precision] * 2}.get(kind, 1)
    assert counts.tensor == products * (M // 16) * (N // 8) * (K // 16)
    assert any(i.opcode == "cp" for i in machine.kernel.instructions), "nothing is pipelined"


@pytest.mark.parametrize("arch", [80, 90, 120])
def test_resources_of_a_triton_cubin(arch):
    kernel = build("fp32", "tf32", arch)
    (found,) = resources(kernel.asm["cubin"], f"sm_{arch}").values()
    assert found.spills == 0
    assert 16 < found.registers <= 255
    assert any(name.startswith(("HMMA", "HGMMA", "UTCMMA")) for name in found.instructions)
