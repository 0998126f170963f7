"""The number formats of the operands, and the product that goes with each.

PLANES = 1: an operand is one array. PLANES = 2: it is hi + lo, two arrays one after another, and a product is
three products on tensor cores. Operands may be stored times a power of two, which the kernel's end undoes.
"""

import triton
import triton.language as tl


@triton.jit
def round_tf32(v):
    """v rounded to tf32 (10 bits), nearest, halves away from zero, as cvt.rna does; NaN stays NaN."""
    rounded = ((v.to(tl.uint32, bitcast=True) + 0x1000) & 0xFFFFE000).to(tl.float32, bitcast=True)
    return tl.where(v == v, rounded, v)


@triton.jit
def put(p, plane, o, v, mask, PLANES: tl.constexpr, ROUND: tl.constexpr):
    """Store v at p + o in the format of p: one plane (ROUND: to tf32, which tl.dot would truncate), or hi + lo."""
    if PLANES == 1:
        if ROUND:
            v = round_tf32(v)
        tl.store(p + o, v.to(p.dtype.element_ty), mask=mask)
    else:
        hi = v.to(p.dtype.element_ty)
        lo = (v - hi.to(tl.float32)).to(p.dtype.element_ty)
        tl.store(p + o, hi, mask=mask)
        tl.store(p + plane + o, lo, mask=mask)


@triton.jit
def multiply_add(acc, a, a_lo, b, b_lo, PLANES: tl.constexpr, DOT: tl.constexpr):
    """acc + a b.

    The long sum of three products is kept outside the tensor cores, whose own additions round towards zero: chained
    through all of K they cost 1e-5 (K = 1024) to 1e-4 (K = 11341). "tf32x3" does the same by itself.
    """
    if PLANES == 1:
        acc = tl.dot(a, b, acc, input_precision=DOT)
    else:
        p = tl.dot(a_lo, b)
        p = tl.dot(a, b_lo, p)
        acc += tl.dot(a, b, p)
    return acc
