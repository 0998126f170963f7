"""Frames times basis: Y[g, c] = sum over k of C[g P + k] W[c, k], with the ending in registers.

A work item is a block of BF bins and a range of at most 2048 columns of its supports; items come longest first. An
item that is its block's only one ends by itself, the others store partial sums, which `add_items` adds in order.
"""

import triton
import triton.language as tl

from .endings import compress, power
from .numbers import multiply_add


@triton.jit
def _end(
    acc, y, v, rows, block, b, m, there, M, F, eps, half, floor, factor,
    Y: tl.constexpr, V: tl.constexpr, POWER: tl.constexpr, LOG: tl.constexpr, BM: tl.constexpr, BF: tl.constexpr
):  # fmt: skip
    """acc [BM, 2 BF] -> complex y [B, F, M, 2] where Y, compressed power v [B, F, M] where V."""
    place = block * BF + tl.arange(0, BF)
    bin = tl.load(rows + place * 4, mask=place < F, other=0)
    mask = there[:, None] & (place < F)[None, :]
    o = (b.to(tl.int64)[:, None] * F + bin[None, :]) * M + m[:, None]
    pair = tl.reshape(acc, (BM, BF, 2))  # neighbours in one thread: no data moves
    if Y:
        at = tl.reshape(tl.join(2 * o, 2 * o + 1), (BM, BF, 2))
        both = tl.join(mask, mask)
        tl.store(y + at, pair, mask=both)
    if V:
        re, im = tl.split(pair)
        tl.store(v + o, compress(power(re, im, eps, half, POWER), floor, factor, LOG), mask=mask)


@triton.jit(do_not_specialize=["n_items", "M", "U", "frames", "F"])
def transform(
    c,  # row grid [PLANES, ...], see pack.py
    w,  # basis [PLANES, R, K]; its transpose [PLANES, K, R] where TRANSPOSED
    items,  # [n, 4]: block of bins, first and last column / 16, and where the partial sum goes (-1: item ends here)
    rows,  # [F, 4]: first the bin of each place
    counts,  # frames of each clip [B], where RAGGED
    unscale,  # [B]
    partial,  # [parts, B M, 2 BF]
    y,  # [B, F, M, 2]
    v,  # [B, F, M]
    n_items,
    M,
    U,
    frames,
    F,
    R,
    K,
    c_plane,
    w_plane,
    eps,
    half,
    floor,
    factor,
    P: tl.constexpr,
    RAGGED: tl.constexpr,
    PLANES: tl.constexpr,
    DOT: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    PARTS: tl.constexpr,
    Y: tl.constexpr,
    V: tl.constexpr,
    POWER: tl.constexpr,
    LOG: tl.constexpr,
    BM: tl.constexpr,
    BF: tl.constexpr,
    BK: tl.constexpr,
):
    """Items run fastest: the programs in flight share the frames and sweep W, both in the second-level cache.

    TRANSPOSED is right for "ieee", whose scalar loads from a tile with k contiguous conflict 3.3-fold in shared
    memory; tensor cores want k contiguous (ldmatrix, and wgmma takes no other fp32).
    """
    item = items + (tl.program_id(0) % n_items) * 4
    block = tl.load(item)
    lo = tl.load(item + 1) * 16
    hi = tl.load(item + 2) * 16
    slot = tl.load(item + 3)
    g0 = (tl.program_id(0) // n_items) * BM
    b0 = g0 // M
    g = g0 + tl.arange(0, BM)
    last = tl.minimum(g, frames - 1)
    b = last // M
    m = last - b * M
    if RAGGED:  # a tile without a frame does no step
        some = tl.max((m < tl.load(counts + b)).to(tl.float32), axis=0)
        hi = tl.where(some > 0, hi, lo)
    o_frame = ((b - b0) * U + m) * P  # int32: a tile never spans 2^31 samples
    column = block * (2 * BF) + tl.arange(0, 2 * BF)
    k = tl.arange(0, BK)
    p_c = c + b0.to(tl.int64) * (U * P) + lo
    o_c = o_frame[:, None] + k[None, :]
    if TRANSPOSED:
        p_w = w + lo * R
        o_w = k[:, None] * R + column[None, :]  # columns past R belong to no bin: whatever lies there will do
        step = BK * R
    else:
        p_w = w + lo
        o_w = tl.minimum(column, R - 1)[:, None] * K + k[None, :]
        step = BK
    acc = tl.zeros((BM, 2 * BF), tl.float32)
    for _ in range(lo, hi, BK):
        a = tl.load(p_c + o_c)
        t = tl.load(p_w + o_w)
        a_lo = a
        t_lo = t
        if PLANES == 2:
            a_lo = tl.load(p_c + c_plane + o_c)
            t_lo = tl.load(p_w + w_plane + o_w)
        if TRANSPOSED:
            acc = multiply_add(acc, a, a_lo, t, t_lo, PLANES, DOT)
        else:
            acc = multiply_add(acc, a, a_lo, t.T, t_lo.T, PLANES, DOT)
        p_c += BK
        p_w += step
    acc *= tl.load(unscale + b)[:, None]
    there = g < frames
    if RAGGED:
        acc = tl.where((m < tl.load(counts + b))[:, None], acc, 0.0)
    if PARTS:
        if slot >= 0:
            o = (slot * frames.to(tl.int64) + g)[:, None] * (2 * BF) + tl.arange(0, 2 * BF)[None, :]
            tl.store(partial + o, acc, mask=there[:, None])
        else:
            _end(acc, y, v, rows, block, b, m, there, M, F, eps, half, floor, factor, Y, V, POWER, LOG, BM, BF)
    else:
        _end(acc, y, v, rows, block, b, m, there, M, F, eps, half, floor, factor, Y, V, POWER, LOG, BM, BF)


@triton.jit(do_not_specialize=["M", "frames", "F"])
def add_items(
    partial,  # [parts, B M, 2 BF]
    blocks,  # [n, 3]: block of bins, its first part, the one after its last
    rows,  # [F, 4]
    y,
    v,
    M,
    frames,
    F,
    eps,
    half,
    floor,
    factor,
    Y: tl.constexpr,
    V: tl.constexpr,
    POWER: tl.constexpr,
    LOG: tl.constexpr,
    BM: tl.constexpr,
    BF: tl.constexpr,
):
    """The partial sums of every block of several items, in order, and its ending."""
    entry = blocks + tl.program_id(1) * 3
    block = tl.load(entry)
    first = tl.load(entry + 1)
    g = tl.program_id(0) * BM + tl.arange(0, BM)
    b = g // M
    m = g - b * M
    there = g < frames
    p = partial + first * frames.to(tl.int64) * (2 * BF)
    o = g.to(tl.int64)[:, None] * (2 * BF) + tl.arange(0, 2 * BF)[None, :]
    acc = tl.zeros((BM, 2 * BF), tl.float32)
    for _ in range(first, tl.load(entry + 2)):
        acc += tl.load(p + o, mask=there[:, None], other=0.0)
        p += frames.to(tl.int64) * (2 * BF)
    _end(acc, y, v, rows, block, b, m, there, M, F, eps, half, floor, factor, Y, V, POWER, LOG, BM, BF)


@triton.jit(do_not_specialize=["M", "U", "frames", "F", "k_stride", "row_stride", "layers", "grid_rows"])
def mend(
    c,
    w,  # W or its transpose, see the strides
    ranges,  # [blocks, 2]: first and last column / 16 of each block of bins
    rows,  # [F, 4]: bin, start, stop of each place
    counts,
    dirty,  # [layers, B U], see pack.py
    unscale,
    y,
    v,
    M,
    U,
    frames,
    F,
    R,
    k_stride,
    row_stride,
    c_plane,
    w_plane,
    layers,
    grid_rows,
    eps,
    half,
    floor,
    factor,
    HOP: tl.constexpr,
    P: tl.constexpr,
    RAGGED: tl.constexpr,
    PLANES: tl.constexpr,
    Y: tl.constexpr,
    V: tl.constexpr,
    POWER: tl.constexpr,
    LOG: tl.constexpr,
    BM: tl.constexpr,
    BF: tl.constexpr,
    BK: tl.constexpr,
):
    """Computes again, tap by tap, the tiles that read a NaN or an infinity: 0 NaN = NaN leaks through zero taps.

    Returns at once where the rows are clean. An output whose support holds such a sample is NaN, others are exact.
    """
    block = tl.program_id(1)
    g0 = tl.program_id(0) * BM
    g1 = tl.minimum(g0 + BM, frames) - 1
    g = g0 + tl.arange(0, BM)
    last = tl.minimum(g, frames - 1)
    b = last // M
    m = last - b * M
    lo = tl.load(ranges + block * 2) * 16
    hi = tl.load(ranges + block * 2 + 1) * 16
    first_row = (g0 // M).to(tl.int64) * U + g0 % M
    last_row = tl.minimum((g1 // M).to(tl.int64) * U + g1 % M + (hi + BK) // P + 1, grid_rows - 1)
    found = tl.zeros((128,), tl.float32)
    for layer in range(0, layers):
        for u in range(first_row, last_row + 1, 128):
            i = u + tl.arange(0, 128)
            mark = tl.load(dirty + layer * grid_rows + i, mask=i <= last_row, other=0)
            found = tl.maximum(found, mark.to(tl.float32))
    if tl.max(found, axis=0) > 0:
        c2 = tl.arange(0, 2 * BF)
        place = block * BF + c2 // 2
        start = tl.load(rows + place * 4 + 1, mask=place < F, other=0)
        stop = tl.load(rows + place * 4 + 2, mask=place < F, other=0)
        column = tl.minimum(block * (2 * BF) + c2, R - 1)
        p_frame = c + (b.to(tl.int64) * U + m) * P
        acc = tl.zeros((BM, 2 * BF), tl.float32)
        bad = tl.zeros((BM, 2 * BF), tl.float32)
        for k0 in range(lo, hi, BK):
            k = k0 + tl.arange(0, BK)
            r = k % P
            n = (k // P) * HOP + r
            used = (r < HOP)[:, None] & (n[:, None] >= start[None, :]) & (n[:, None] < stop[None, :])
            a = tl.load(p_frame[:, None] + k[None, :]).to(tl.float32)
            p_w = w + k[:, None] * k_stride + column[None, :] * row_stride
            t = tl.load(p_w).to(tl.float32)
            if PLANES == 2:
                a += tl.load(p_frame[:, None] + c_plane + k[None, :]).to(tl.float32)
                t += tl.load(p_w + w_plane).to(tl.float32)
            finite = tl.abs(a) < float("inf")
            acc = tl.dot(tl.where(finite, a, 0.0), t, acc, input_precision="ieee")
            bad = tl.dot(tl.where(finite, 0.0, 1.0), used.to(tl.float32), bad, input_precision="ieee")
        acc = tl.where(bad > 0, float("nan"), acc * tl.load(unscale + b)[:, None])
        if RAGGED:
            acc = tl.where((m < tl.load(counts + b))[:, None], acc, 0.0)
        _end(acc, y, v, rows, block, b, m, g < frames, M, F, eps, half, floor, factor, Y, V, POWER, LOG, BM, BF)
