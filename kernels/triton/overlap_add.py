"""The adjoint of the forward product: GC[u, r] = sum over q, c of Y[u - q, c] W[c, q P + r], then a fold.

One program owns its samples and gathers what covers them: no atomics.
"""

import triton
import triton.language as tl

from .numbers import multiply_add


@triton.jit(do_not_specialize=["tiles", "grid_rows"])
def product(
    y,  # spectrum matrix [PLANES, Q - 1 + B U + slack, R], its first Q - 1 rows zeros
    w,  # W^T [PLANES, K, R], or W [PLANES, R, K] where STRAIGHT
    gc,  # [splits, B U, P]
    first,  # [tiles splits + 1]: where the steps of each r-tile and split begin
    steps,  # [n + 1, 2]: q, first column / 16 of each block of W that is not zero
    tiles,
    grid_rows,
    R,
    K,
    y_plane,
    w_plane,
    P: tl.constexpr,
    Q: tl.constexpr,
    PLANES: tl.constexpr,
    DOT: tl.constexpr,
    STRAIGHT: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
):
    tile = tl.program_id(0) % tiles
    segment = tile * tl.num_programs(1) + tl.program_id(1)
    gc += tl.program_id(1) * (grid_rows.to(tl.int64) * P)
    u = (tl.program_id(0) // tiles).to(tl.int64) * BM
    i = tl.arange(0, BM)
    r = tile * BN + tl.arange(0, BN)  # past P lie the columns of q + 1, which nobody stores
    k = tl.arange(0, BK)
    room = tl.minimum(grid_rows - 1 - u, BM - 1).to(tl.int32)
    o_y = tl.minimum(i, room)[:, None] * R + k[None, :]
    if STRAIGHT:
        o_w = k[:, None] * K + r[None, :]
    else:
        o_w = r[:, None] * R + k[None, :]
    base = y + (u + (Q - 1)) * R
    acc = tl.zeros((BM, BN), tl.float32)
    begin = tl.load(first + segment)
    q = tl.load(steps + 2 * begin)
    column = tl.load(steps + 2 * begin + 1) * 16
    for s in range(begin, tl.load(first + segment + 1)):
        p_y = base - q.to(tl.int64) * R + column
        if STRAIGHT:
            p_w = w + column * K + q * P
        else:
            p_w = w + q * (P * R) + column
        a = tl.load(p_y + o_y)
        t = tl.load(p_w + o_w)
        a_lo = a
        t_lo = t
        if PLANES == 2:
            a_lo = tl.load(p_y + y_plane + o_y)
            t_lo = tl.load(p_w + w_plane + o_w)
        if STRAIGHT:
            acc = multiply_add(acc, a, a_lo, t, t_lo, PLANES, DOT)
        else:
            acc = multiply_add(acc, a, a_lo, t.T, t_lo.T, PLANES, DOT)
        # one step early: an address that waits for a load of its own step is not pipelined
        q = tl.load(steps + 2 * s + 2)
        column = tl.load(steps + 2 * s + 3) * 16
    mask = (u + i < grid_rows)[:, None] & (r < P)[None, :]
    tl.store(gc + (u + i)[:, None] * P + r[None, :], acc, mask=mask)


@triton.jit
def _at(row, splits, plane, p, inside, U, HOP: tl.constexpr, P: tl.constexpr):
    """Sum over the splits of GC at samples p of the padded clip."""
    i = p // HOP
    o = i * P + (p - i * HOP)
    inside = inside & (i < U)
    v = tl.zeros(p.shape, tl.float32)
    for _ in range(0, splits):
        v += tl.load(row + o, mask=inside, other=0.0)
        row += plane
    return v


@triton.jit(do_not_specialize=["T", "U", "pad", "splits", "plane", "tiles"])
def fold(
    gc,  # [splits, B U, P]
    lengths,  # [B], where RAGGED
    unscale,  # [B]
    x,  # [B, T]
    T,
    U,
    pad,
    splits,
    plane,
    tiles,
    HOP: tl.constexpr,
    P: tl.constexpr,
    MODE: tl.constexpr,
    RAGGED: tl.constexpr,
    BU: tl.constexpr,
    BR: tl.constexpr,
    BP: tl.constexpr,
):
    """The adjoint of pack.wave as a gather: every sample sums the places that it was copied to, split by split."""
    b = (tl.program_id(0) // tiles).to(tl.int64)
    width = T
    if RAGGED:
        T = tl.load(lengths + b)
    i0 = ((tl.program_id(0) % tiles) // (P // BR)).to(tl.int64) * BU
    i = i0 + tl.arange(0, BU)
    r = ((tl.program_id(0) % tiles) % (P // BR)) * BR + tl.arange(0, BR)
    row = gc + b * U * P
    t = i[:, None] * HOP + r[None, :] - pad
    own = (r < HOP)[None, :] & (t >= 0) & (t < T)
    v = tl.zeros((BU, BR), tl.float32)
    p = row
    for _ in range(0, splits):
        v += tl.load(p + i[:, None] * P + r[None, :], mask=own & (i < U)[:, None], other=0.0)
        p += plane
    if (i0 * HOP - pad <= pad) | ((i0 + BU) * HOP - pad >= T - 1 - pad):  # samples that padding has copied
        if MODE == "reflect":
            v += _at(row, splits, plane, pad - t, own & (t > 0) & (t <= pad), U, HOP, P)
            v += _at(row, splits, plane, pad + 2 * (T - 1) - t, own & (t < T - 1) & (t >= T - 1 - pad), U, HOP, P)
        elif MODE == "circular":
            v += _at(row, splits, plane, t + pad - T, own & (t >= T - pad), U, HOP, P)
            v += _at(row, splits, plane, t + pad + T, own & (t < pad), U, HOP, P)
        elif MODE == "replicate":
            left = tl.zeros((BP,), tl.float32)
            right = tl.zeros((BP,), tl.float32)
            for p0 in range(0, pad, BP):
                j = p0 + tl.arange(0, BP)
                left += _at(row, splits, plane, j.to(tl.int64), j < pad, U, HOP, P)
                right += _at(row, splits, plane, (j + pad).to(tl.int64) + T, j < pad, U, HOP, P)
            v += tl.where(t == 0, tl.sum(left, axis=0), 0.0)
            v += tl.where(t == T - 1, tl.sum(right, axis=0), 0.0)
    tl.store(x + b * width + t, v * tl.load(unscale + b), mask=(r < HOP)[None, :] & (t >= 0) & (t < width))
