"""What the three products read: the row grid C, the basis matrix W, and the spectrum matrix Y.

The row grid. A padded clip is written once, one hop of samples a row, at a pitch P = hop rounded up to 8 (every load
is a 16-byte one for every hop), U = M + Q - 1 rows a clip, Q = ceil(N / hop):

    C[b U + i, r] = x_padded[b, i hop + r]   for r < hop, 0 for hop <= r < P

A frame is then Q P consecutive elements from row b U + m on: frames are never copied. W [R, K] has two rows a bin,
the real and the imaginary taps, bins in the order of their supports, tap n in column (n // hop) P + n % hop. The
inner loops of the products know no padding, no odd hop and no end of a clip.
"""

import triton
import triton.language as tl

from .endings import compress_slope, power, power_slope
from .numbers import put


@triton.jit
def source(t, T, MODE: tl.constexpr):
    """The sample that the padded signal holds at sample t, and whether it is one; t may lie outside 0 .. T - 1."""
    if MODE == "reflect":
        t = tl.where(t < 0, -t, t)
        t = tl.where(t >= T, 2 * (T - 1) - t, t)
    elif MODE == "replicate":
        t = tl.minimum(tl.maximum(t, 0), T - 1)
    elif MODE == "circular":
        t = tl.where(t < 0, t + T, t)
        t = tl.where(t >= T, t - T, t)
    return t, (t >= 0) & (t < T)


@triton.jit(do_not_specialize=["x_stride", "T", "U", "pad", "plane", "tail", "clips", "tiles"])
def wave(
    x,  # samples [B, T], rows x_stride apart
    lengths,  # samples of each clip [B], where RAGGED
    scale,  # [B], powers of two
    c,  # [PLANES, B U P + tail]: the row grid; the tail is zeros
    dirty,  # [P / BR, B U]: 1 where a row of the grid holds a NaN or an infinity
    x_stride,
    T,
    U,
    pad,
    plane,
    tail,
    clips,
    tiles,
    HOP: tl.constexpr,
    P: tl.constexpr,
    MODE: tl.constexpr,
    RAGGED: tl.constexpr,
    PLANES: tl.constexpr,
    ROUND: tl.constexpr,
    BU: tl.constexpr,
    BR: tl.constexpr,
):
    """x -> C. The only place that knows about padding on the way in."""
    b = (tl.program_id(0) // tiles).to(tl.int64)
    i = ((tl.program_id(0) % tiles) // (P // BR)).to(tl.int64) * BU + tl.arange(0, BU)
    column = (tl.program_id(0) % tiles) % (P // BR)
    r = column * BR + tl.arange(0, BR)
    padded = T + 2 * pad
    if RAGGED:
        T = tl.load(lengths + b)
    p = i[:, None] * HOP + r[None, :]
    t, inside = source(p - pad, T, MODE)
    inside = inside & (p < padded) & (p < T + 2 * pad) & (r < HOP)[None, :] & (i < U)[:, None]
    v = tl.load(x + b * x_stride + t, mask=inside, other=0.0).to(tl.float32) * tl.load(scale + b)
    end = tl.where(b == clips - 1, tail, 0)
    o = i[:, None] * P + r[None, :]
    put(c, plane, b * U * P + o, v, o < U.to(tl.int64) * P + end, PLANES, ROUND)
    bad = tl.max(tl.where(tl.abs(v) < float("inf"), 0.0, 1.0), axis=1)
    tl.store(dirty + (column * clips + b) * U + i, bad.to(tl.int8), mask=i < U)


@triton.jit(do_not_specialize=["S", "F"])
def basis(
    h,  # packed taps [2, S]: real parts, imaginary parts
    rows,  # [F, 4]: for each place in the order of supports its bin, start, stop, offset
    scale,  # [1], a power of two
    w,  # [PLANES, R, K]
    wt,  # its transpose [PLANES, K, R], where TRANSPOSE
    S,
    F,
    R,
    K,
    plane,
    HOP: tl.constexpr,
    P: tl.constexpr,
    PLANES: tl.constexpr,
    ROUND: tl.constexpr,
    STRAIGHT: tl.constexpr,
    TRANSPOSE: tl.constexpr,
    BR: tl.constexpr,
    BK: tl.constexpr,
):
    """Packed taps -> W and its transpose, zeros outside the supports."""
    c = tl.program_id(0) * BR + tl.arange(0, BR)
    k = tl.program_id(1) * BK + tl.arange(0, BK)
    r = k % P
    n = (k // P) * HOP + r
    row = rows + (c // 2) * 4
    some = c < 2 * F
    start = tl.load(row + 1, mask=some, other=0)
    stop = tl.load(row + 2, mask=some, other=0)
    offset = tl.load(row + 3, mask=some, other=0) + (c % 2) * S
    inside = (r < HOP)[None, :] & (n[None, :] >= start[:, None]) & (n[None, :] < stop[:, None])
    v = tl.load(h + (offset - start)[:, None] + n[None, :], mask=inside, other=0.0) * tl.load(scale)
    mask = (c < R)[:, None] & (k < K)[None, :]
    if STRAIGHT:
        put(w, plane, c[:, None] * K + k[None, :], v, mask, PLANES, ROUND)
    if TRANSPOSE:
        put(wt, plane, k[:, None] * R + c[None, :], tl.trans(v), tl.trans(mask), PLANES, ROUND)


@triton.jit(do_not_specialize=["B", "M", "U", "F", "lead", "total"])
def spectrum(
    y,  # complex [B, F, M, 2]
    grad,  # where GRAD [B, F, M]: the gradient in v = compress((|y|^2 + eps)^half); packed is that in y
    rows,  # [F, 4]: first the bin of each place
    scale,  # [B], powers of two
    frames_first,  # where FRAMES [PLANES, lead + B U + slack, R]
    bins_first,  # where BINS [PLANES, R, G]
    B,
    M,
    U,
    F,
    R,
    G,
    lead,
    total,
    frames_plane,
    bins_plane,
    eps,
    half,
    floor,
    factor,
    GRAD: tl.constexpr,
    POWER: tl.constexpr,
    LOG: tl.constexpr,
    FRAMES: tl.constexpr,
    BINS: tl.constexpr,
    PLANES: tl.constexpr,
    ROUND: tl.constexpr,
    BG: tl.constexpr,
    BF: tl.constexpr,
):
    """y -> Y: for each row of the grid the real and imaginary parts of the bins in turn, zeros where no frame is."""
    f = tl.program_id(1) * BF + tl.arange(0, BF)
    g = tl.program_id(0).to(tl.int64) * BG + tl.arange(0, BG) - lead
    b = g // U
    m = g - b * U
    there = (g >= 0) & (b < B) & (m < M)
    bin = tl.load(rows + f * 4, mask=f < F, other=0)
    at = (b[:, None] * F + bin[None, :]) * M + m[:, None]
    mask = there[:, None] & (f < F)[None, :]
    size = tl.load(scale + b, mask=there, other=0.0)[:, None]
    re = tl.load(y + 2 * at, mask=mask, other=0.0)
    im = tl.load(y + 2 * at + 1, mask=mask, other=0.0)
    if GRAD:
        slope = tl.load(grad + at, mask=mask, other=0.0) * power_slope(re, im, eps, half, POWER)
        if LOG != 0:
            slope *= compress_slope(power(re, im, eps, half, POWER), floor, factor, LOG)
        size *= slope
    v = tl.reshape(tl.join(re * size, im * size), (BG, 2 * BF))
    c = tl.program_id(1) * (2 * BF) + tl.arange(0, 2 * BF)
    if FRAMES:
        inside = (g + lead < total)[:, None] & (c < R)[None, :]
        put(frames_first, frames_plane, (g + lead)[:, None] * R + c[None, :], v, inside, PLANES, ROUND)
    if BINS:
        inside = ((g >= 0) & (g < G))[:, None] & (c < R)[None, :]
        put(bins_first, bins_plane, c[None, :].to(tl.int64) * G + g[:, None], v, inside, PLANES, ROUND)
