"""Frames correlated with a spectrum: G[c, k] = sum over g of Y[g, c] C[g P + k], only where the basis has taps.

Frames are split over programs; the partial sums are added in a fixed order.
"""

import triton
import triton.language as tl

from .numbers import multiply_add


@triton.jit(do_not_specialize=["grid_rows"])
def product(
    y,  # spectrum matrix, bins first [PLANES, R, G]
    c,  # row grid [PLANES, ...]
    partial,  # [splits, tiles, BR, BN]
    tiles,  # [n, 2]: block of rows, block of columns
    chunk,  # rows of the grid a split
    grid_rows,
    R,
    G,
    y_plane,
    c_plane,
    P: tl.constexpr,
    PLANES: tl.constexpr,
    DOT: tl.constexpr,
    BR: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
):
    tile = tl.program_id(0)
    row = tl.minimum(tl.load(tiles + 2 * tile) * BR + tl.arange(0, BR), R - 1)
    n = tl.load(tiles + 2 * tile + 1) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    first = tl.program_id(1) * chunk
    g = first.to(tl.int64)
    p_y = y + g
    o_y = row.to(tl.int64)[:, None] * G + k[None, :]
    p_c = c + g * P
    o_c = k[:, None] * P + n[None, :]
    acc = tl.zeros((BR, BN), tl.float32)
    for _ in range(0, tl.minimum(chunk, grid_rows - first), BK):  # past the end: zeros in y, finite in c
        a = tl.load(p_y + o_y)
        t = tl.load(p_c + o_c)
        a_lo = a
        t_lo = t
        if PLANES == 2:
            a_lo = tl.load(p_y + y_plane + o_y)
            t_lo = tl.load(p_c + c_plane + o_c)
        acc = multiply_add(acc, a, a_lo, t, t_lo, PLANES, DOT)
        p_y += BK
        p_c += BK * P
    o = (tl.program_id(1).to(tl.int64) * tl.num_programs(0) + tile) * (BR * BN)
    tl.store(partial + o + tl.arange(0, BR)[:, None] * BN + tl.arange(0, BN)[None, :], acc)


@triton.jit(do_not_specialize=["n_tiles", "splits", "S", "F"])
def add_splits(
    partial,  # [splits, tiles, BR, BN]
    tiles,  # [n, 2]
    rows,  # [F, 4]: bin, start, stop, offset of each place
    unscale,  # [1]
    g,  # packed taps [2, S]
    n_tiles,
    splits,
    S,
    F,
    HOP: tl.constexpr,
    P: tl.constexpr,
    BR: tl.constexpr,
    BN: tl.constexpr,
    ROWS: tl.constexpr,
):
    """The splits in order, back to packed taps; ROWS of a tile a program."""
    tile = tl.program_id(0)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    c = tl.load(tiles + 2 * tile) * BR + row
    k = tl.load(tiles + 2 * tile + 1) * BN + tl.arange(0, BN)
    o = row[:, None] * BN + tl.arange(0, BN)[None, :]
    acc = tl.zeros((ROWS, BN), tl.float32)
    p = partial + tile.to(tl.int64) * (BR * BN)
    for _ in range(0, splits):
        acc += tl.load(p + o)
        p += n_tiles.to(tl.int64) * (BR * BN)
    r = k % P
    n = (k // P) * HOP + r
    place = rows + (c // 2) * 4
    start = tl.load(place + 1, mask=c < 2 * F, other=0)
    stop = tl.load(place + 2, mask=c < 2 * F, other=0)
    offset = tl.load(place + 3, mask=c < 2 * F, other=0) + (c % 2) * S
    inside = (r < HOP)[None, :] & (n[None, :] >= start[:, None]) & (n[None, :] < stop[:, None])
    tl.store(g + (offset - start)[:, None] + n[None, :], acc * tl.load(unscale), mask=inside)
