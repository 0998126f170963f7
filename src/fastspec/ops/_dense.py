"""Dense bases on the CPU: tiles of frames, copied to the nearest caches, times blocks of rows, by torch's BLAS.

A tile holds 128 frames or more (of one clip, or several short clips) and up to 2048 of their columns: it stays in the
second-level cache, so memory sees the samples and the results alone. Rows are grouped into blocks of similar
support, longest first; a block is one real matrix [2 r, U], the r real parts over the r imaginary ones, on the union
U of its supports. The spectrum of a tile, `z`, has these blocks one below the other.

    forward      z_b = W_b f^T             f [tile, U]: the frames' columns on U
    overlap_add  f += z_b^T W_b            then the columns are added where they come from
    basis_grad   g_b += z_b f
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..plan import DensePlan, Ending
from ._frames import to_float
from .spectral_power.reference import bands, compress, compress_slope, energy_slope, raise_energy

TILE_FRAMES = 128  # at least
TILE_COLUMNS = 2048
TILE_SIZE = TILE_FRAMES * 1024  # frames x (columns or real rows), as far as there are more frames
ROW_OVERHEAD = 8  # real rows: what a product costs beside its own rows, measured

Tile = tuple[int, int, int, int]  # clips b0 to b1, frames m0 to m1


@dataclass(frozen=True)
class Block:
    """Rows that are multiplied together, on the union of their supports.

    Attributes:
        rows: their numbers [r], or a slice where they follow each other.
        first: number of rows in the blocks before this one.
        start, stop: the union of the supports, U = stop - start.
        taps, places: where each tap lies in the packed basis, and in [r * U]; None where both agree.
    """

    rows: slice | Tensor
    first: int
    n_rows: int
    start: int
    stop: int
    taps: Tensor | slice
    places: Tensor | None

    def part(self, z: Tensor) -> Tensor:
        """This block's rows of z [2 F, tile]: [2 r, tile]."""
        return z[2 * self.first : 2 * (self.first + self.n_rows)]


@lru_cache(maxsize=64)
def blocks_of(plan: DensePlan) -> tuple[Block, ...]:
    """Blocks of rows with similar supports, longest first, so that the sum of U * (2 r + overhead) is least."""
    starts, stops, offsets = (np.array(numbers) for numbers in (plan.starts, plan.stops, plan.offsets))
    order = np.argsort(starts - stops, kind="stable")
    cost, begin = np.zeros(plan.n_bins + 1), np.zeros(plan.n_bins + 1, dtype=int)
    for last in range(plan.n_bins):  # the cheapest way to have a block end here
        until = order[last::-1]
        union = np.maximum.accumulate(stops[until]) - np.minimum.accumulate(starts[until])
        costs = cost[last::-1] + union * (2 * np.arange(1, last + 2) + ROW_OVERHEAD)
        begin[last + 1] = last - int(costs.argmin())
        cost[last + 1] = costs.min()
    cuts = [plan.n_bins]
    while cuts[-1]:
        cuts.append(int(begin[cuts[-1]]))

    blocks = []
    for first, end in zip(cuts[:0:-1], cuts[-2::-1], strict=True):
        rows = np.sort(order[first:end])
        start, stop = int(starts[rows].min()), int(stops[rows].max())
        lengths = stops[rows] - starts[rows]
        follow = bool((np.diff(rows) == 1).all())
        if follow and (lengths == stop - start).all():
            taps, places = slice(int(offsets[rows[0]]), int(offsets[rows[-1] + 1])), None
        else:
            within = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)
            taps = torch.from_numpy(np.repeat(offsets[rows], lengths) + within)
            shifts = np.arange(len(rows)) * (stop - start) + starts[rows] - start
            places = torch.from_numpy(np.repeat(shifts, lengths) + within)
        kept = slice(int(rows[0]), int(rows[-1]) + 1) if follow else torch.from_numpy(rows)
        blocks.append(Block(kept, first, len(rows), start, stop, taps, places))
    return tuple(blocks)


def weights_of(basis: Tensor, plan: DensePlan) -> list[Tensor]:
    """Each block's matrix [2 r, U]; a view of the basis where all rows have one support."""
    matrices = []
    for block in blocks_of(plan):
        width = block.stop - block.start
        matrix = basis[:, block.taps]
        if block.places is not None:
            matrix = basis.new_zeros(2, block.n_rows * width).index_copy_(1, block.places, matrix)
        matrices.append(matrix.reshape(2 * block.n_rows, width))
    return matrices


def pad(x: Tensor, plan: DensePlan) -> Tensor:
    """The padded samples [B, T + 2 pad], contiguous and in floating point."""
    x = to_float(x)
    if not plan.pad:
        return x.contiguous()
    return F.pad(x[:, None], (plan.pad, plan.pad), plan.pad_mode)[:, 0]


def unpad(padded: Tensor, plan: DensePlan) -> Tensor:
    """The adjoint of `pad`: [B, T + 2 pad] to [B, T]."""
    if not plan.pad:
        return padded
    pad, length = plan.pad, padded.shape[1] - 2 * plan.pad
    left, x, right = padded[:, :pad], padded[:, pad : pad + length].clone(), padded[:, pad + length :]
    if plan.pad_mode == "reflect":
        x[:, 1 : pad + 1] += left.flip(1)
        x[:, length - 1 - pad : length - 1] += right.flip(1)
    elif plan.pad_mode == "replicate":
        x[:, 0] += left.sum(1)
        x[:, -1] += right.sum(1)
    elif plan.pad_mode == "circular":
        x[:, length - pad :] += left
        x[:, :pad] += right
    return x


class Walk:
    """A walk over the tiles of B clips of M frames, and the three products on each."""

    def __init__(self, plan: DensePlan, batch: int, frames: int, dtype: torch.dtype):
        self.plan, self.batch, self.frames = plan, batch, frames
        self.blocks = blocks_of(plan)
        self.low, self.high = min(plan.starts), max(plan.stops)
        columns = min(TILE_COLUMNS, self.high - self.low)
        wished = max(TILE_FRAMES, TILE_SIZE // max(columns, 2 * plan.n_bins))
        self.clips = min(batch, max(1, wished // frames))  # in a tile; more than one: all their frames
        self.size = self.clips * frames if self.clips > 1 else min(wished, frames)
        self.z = torch.empty(2 * plan.n_bins, self.size, dtype=dtype)
        self.cut = torch.empty(self.size, columns, dtype=dtype)

    def tiles(self) -> Iterator[tuple[Tile, Tensor]]:
        """Each tile with its z [2 F, tile], whose values are yet to come."""
        step = self.frames if self.clips > 1 else self.size
        for b in range(0, self.batch, self.clips):
            b_end = min(b + self.clips, self.batch)
            for m in range(0, self.frames, step):
                m_end = min(m + step, self.frames)
                yield (b, b_end, m, m_end), self._z((b_end - b) * (m_end - m))

    def _z(self, size: int) -> Tensor:
        return self.z.flatten()[: 2 * self.plan.n_bins * size].view(-1, size)

    def transform(self, padded: Tensor, weights: list[Tensor], tile: Tile, z: Tensor) -> None:
        """z from the samples."""
        for low, high, columns in self._columns(padded, tile):
            for block, matrix in zip(self.blocks, weights, strict=True):
                a, e = max(low, block.start), min(high, block.stop)
                if a < e:
                    out, factors = block.part(z), (matrix[:, a - block.start : e - block.start], columns(a, e).mT)
                    torch.mm(*factors, out=out) if a == block.start else torch.addmm(out, *factors, out=out)

    def add_frames(self, padded: Tensor, weights: list[Tensor], tile: Tile, z: Tensor) -> None:
        """Add the adjoint of `transform` to the samples."""
        for low in range(self.low, self.high, TILE_COLUMNS):
            high = min(low + TILE_COLUMNS, self.high)
            cut = self.cut.flatten()[: z.shape[1] * (high - low)].view(z.shape[1], -1).zero_()
            for block, matrix in zip(self.blocks, weights, strict=True):
                a, e = max(low, block.start), min(high, block.stop)
                if a < e:
                    out, taps = cut[:, a - low : e - low], matrix[:, a - block.start : e - block.start]
                    torch.addmm(out, block.part(z).mT, taps, out=out)
            hop = self.plan.hop_length
            for a in range(low, high, hop):  # frames do not overlap within hop columns
                e = min(a + hop, high)
                into = self._frames(padded, tile, a, e)
                into += cut[:, a - low : e - low].view(into.shape)

    def add_products(self, padded: Tensor, grads: list[Tensor], tile: Tile, z: Tensor) -> None:
        """Add z times the frames to each block's gradient."""
        for low, high, columns in self._columns(padded, tile):
            for block, grad in zip(self.blocks, grads, strict=True):
                a, e = max(low, block.start), min(high, block.stop)
                if a < e:
                    out = grad[:, a - block.start : e - block.start]
                    torch.addmm(out, block.part(z), columns(a, e), out=out)

    def _columns(self, padded: Tensor, tile: Tile) -> Iterator[tuple[int, int, Callable[[int, int], Tensor]]]:
        """Runs of columns low to high, with what gives a part of them [tile, columns]."""
        for low in range(self.low, self.high, TILE_COLUMNS):
            high = min(low + TILE_COLUMNS, self.high)
            frames = self._frames(padded, tile, low, high)
            cut = self.cut.flatten()[: frames.numel()].view(frames.shape).copy_(frames).flatten(0, 1)
            yield low, high, lambda a, e, low=low, cut=cut: cut[:, a - low : e - low]

    def _frames(self, padded: Tensor, tile: Tile, start: int, stop: int) -> Tensor:
        """Columns start to stop of the tile's frames, a view [b1 - b0, m1 - m0, columns] of the samples."""
        b0, b1, m0, m1 = tile
        hop, row = self.plan.hop_length, padded.stride(0)
        first = padded.storage_offset() + b0 * row + m0 * hop + start
        return padded.as_strided((b1 - b0, m1 - m0, stop - start), (row, hop, 1), first)

    def grads(self) -> list[Tensor]:
        """Zeros for `add_products`: each block's [2 r, U]."""
        return [self.z.new_zeros(2 * block.n_rows, block.stop - block.start) for block in self.blocks]

    def pack(self, grads: list[Tensor]) -> Tensor:
        """The blocks' gradients as the packed basis [2, S]."""
        packed = self.z.new_empty(self.plan.basis_shape)
        for block, grad in zip(self.blocks, grads, strict=True):
            flat = grad.view(2, -1)
            packed[:, block.taps] = flat if block.places is None else flat[:, block.places]
        return packed

    def load(self, y: Tensor, tile: Tile, z: Tensor) -> None:
        """z from a spectrum y [B, F, M]."""
        b0, b1, m0, m1 = tile
        parts = torch.view_as_real(part(y, tile)).permute(3, 1, 0, 2)  # [2, F, clips, frames]
        for block in self.blocks:
            block.part(z).view(2, block.n_rows, b1 - b0, m1 - m0).copy_(parts[:, block.rows])

    def store(self, y: Tensor, tile: Tile, z: Tensor) -> None:
        """z into a spectrum y [B, F, M]."""
        b0, b1, m0, m1 = tile
        parts = torch.view_as_real(part(y, tile)).permute(3, 1, 0, 2)
        for block in self.blocks:
            parts[:, block.rows] = block.part(z).view(2, block.n_rows, b1 - b0, m1 - m0)

    def energy(self, z: Tensor, ending: Ending) -> Tensor:
        """|y|^2 + eps of a tile, [F, tile]."""
        energy = z.new_empty(self.plan.n_bins, z.shape[1])
        for block in self.blocks:
            re, im = block.part(z).unflatten(0, (2, -1))
            energy[block.rows] = (re * re).addcmul_(im, im)
        return energy.add_(ending.eps) if ending.eps else energy

    def scale(self, z: Tensor, factor: Tensor) -> None:
        """Multiply every row's real and imaginary part of z by factor [F, tile]."""
        for block in self.blocks:
            block.part(z).unflatten(0, (2, -1)).mul_(factor[block.rows])


def part(whole: Tensor, tile: Tile) -> Tensor:
    """A tile's part [clips, rows, frames] of a tensor [B, rows, M]."""
    b0, b1, m0, m1 = tile
    return whole[b0:b1, :, m0:m1]


def result_of(v: Tensor, bank: Tensor | None, ending: Ending) -> Tensor:
    """compress(bank^T v) of a tile, [K or F, tile]."""
    return compress(v if bank is None else bands(v[None], bank)[0], ending)


def grad_factor(grad: Tensor, energy: Tensor, bank: Tensor | None, ending: Ending) -> Tensor:
    """The f with grad_y = f y, of a tile [F, tile], given the gradient [K or F, tile] in the result."""
    v = raise_energy(energy, ending)
    if bank is None:
        grad_v = grad * compress_slope(v, ending)
    else:
        grad_u = grad * compress_slope(bands(v[None], bank)[0], ending)
        grad_v = bands(grad_u[None], bank.mT)[0]
    return 2.0 * grad_v * energy_slope(energy, ending)
