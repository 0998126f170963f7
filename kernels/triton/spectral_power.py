"""The end of a spectrogram after the products: bands, compression, and its slope."""

import triton
import triton.language as tl

from .endings import compress, compress_slope, power


@triton.jit(do_not_specialize=["M", "n_in", "n_out", "i_stride", "j_stride"])
def bands(
    v,  # [B, n_in, M], or where SPECTRUM complex y [B, n_in, M, 2], of which the power is taken
    bank,  # [n_in, n_out], read with the strides given
    grad,  # [B, n_out, M], where SLOPE
    out,  # [B, n_out, M]
    M,
    n_in,
    n_out,
    i_stride,
    j_stride,
    eps,
    half,
    floor,
    factor,
    SPECTRUM: tl.constexpr,
    POWER: tl.constexpr,
    LOG: tl.constexpr,
    SLOPE: tl.constexpr,
    BM: tl.constexpr,
    BJ: tl.constexpr,
    BI: tl.constexpr,
):
    """out[b, j, m] = compress(u), or where SLOPE grad compress'(u); u = sum over i of bank[i, j] v[b, i, m]."""
    tiles = tl.cdiv(M, BM)
    j = tl.program_id(1) * BJ + tl.arange(0, BJ)
    m = (tl.program_id(0) % tiles) * BM + tl.arange(0, BM)
    b = (tl.program_id(0) // tiles).to(tl.int64)
    i = tl.arange(0, BI)
    acc = tl.zeros((BJ, BM), tl.float32)
    for i0 in range(0, n_in, BI):
        there = (i0 + i < n_in)[:, None] & (m < M)[None, :]
        o = (b * n_in + i0 + i)[:, None] * M + m[None, :]
        if SPECTRUM:
            re = tl.load(v + 2 * o, mask=there, other=0.0)
            im = tl.load(v + 2 * o + 1, mask=there, other=0.0)
            t = tl.where(there, power(re, im, eps, half, POWER), 0.0)
        else:
            t = tl.load(v + o, mask=there, other=0.0)
        used = (j < n_out)[:, None] & (i0 + i < n_in)[None, :]
        a = tl.load(bank + j[:, None] * j_stride + (i0 + i)[None, :] * i_stride, mask=used, other=0.0)
        acc = tl.dot(a, t, acc, input_precision="ieee")
    mask = (j < n_out)[:, None] & (m < M)[None, :]
    o = (b * n_out + j)[:, None] * M + m[None, :]
    if SLOPE:
        acc = tl.load(grad + o, mask=mask, other=0.0) * compress_slope(acc, floor, factor, LOG)
    else:
        acc = compress(acc, floor, factor, LOG)
    tl.store(out + o, acc, mask=mask)
