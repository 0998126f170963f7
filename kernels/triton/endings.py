"""The ending of a spectrum: |y|^p, compression, and their slopes, on tiles in registers. See `fastspec.plan.Ending`.

POWER: 2, 1, or 0 for any other exponent `half` of |y|^2. LOG: 0 none, 1 factor * ln(max(u, floor)),
2 factor * ln(u + floor), 3 ln(1 + factor * u).
"""

import triton
import triton.language as tl


@triton.jit
def _raise(e, exponent):
    """e ** exponent, 0 where e is 0, whatever the exponent; NaN stays NaN."""
    silent = e == 0
    return tl.where(silent, 0.0, tl.exp2(exponent * tl.log2(tl.where(silent, 1.0, e))))


@triton.jit
def power(re, im, eps, half, POWER: tl.constexpr):
    """(|y|^2 + eps)^half."""
    e = re * re + im * im + eps
    if POWER == 2:
        return e
    elif POWER == 1:
        return tl.sqrt(e)
    else:
        return _raise(e, half)


@triton.jit
def power_slope(re, im, eps, half, POWER: tl.constexpr):
    """2 d(|y|^2 + eps)^half / d|y|^2: the gradient in y is y times this. 0 where |y|^2 + eps is 0 (POWER 2: 2)."""
    e = re * re + im * im + eps
    if POWER == 2:
        return tl.full(e.shape, 2.0, tl.float32)
    elif POWER == 1:
        silent = e == 0
        return tl.where(silent, 0.0, tl.rsqrt(tl.where(silent, 1.0, e)))
    else:
        return 2.0 * half * _raise(e, half - 1.0)


@triton.jit
def compress(u, floor, factor, LOG: tl.constexpr):
    if LOG == 0:
        return u
    elif LOG == 1:
        return factor * tl.log(tl.where(u < floor, floor, u))
    elif LOG == 2:
        return factor * tl.log(u + floor)
    else:
        v = factor * u
        w = 1.0 + v
        # ln(1 + v) = ln(w) v / (w - 1) to the last bit where w has lost the low bits of v
        near = tl.where(w == 1.0, v, tl.log(w) * (v / tl.where(w == 1.0, 1.0, w - 1.0)))
        return tl.where(v < 1e30, near, tl.log(w))


@triton.jit
def compress_slope(u, floor, factor, LOG: tl.constexpr):
    if LOG == 0:
        return tl.full(u.shape, 1.0, tl.float32)
    elif LOG == 1:
        flat = (u < floor) | (u == 0)
        return tl.where(flat, 0.0, factor / tl.where(flat, 1.0, u))
    elif LOG == 2:
        u += floor
        flat = u == 0
        return tl.where(flat, 0.0, factor / tl.where(flat, 1.0, u))
    else:
        return factor / (1.0 + factor * u)
