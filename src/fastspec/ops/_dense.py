"""Dense bases on the CPU: a walk over tiles of frames, with the three products and the ending on each.

A tile holds the spectra `z` [2, F, tile] of 256 frames or so (of one clip, or of several short clips), real parts over
imaginary parts, which stay in the nearer caches: memory sees the samples and the results alone. Rows stand in the order
of their supports, longest first, so that rows which are taken together have similar ones.

    transform      z = H f                 f [tile, N] the frames          native, kernels/cpu/dense.cc
    add_products   g += z f                                                native
    add_frames     f = z^T H               native, kernels/cpu/dense_adjoint.cc; added where they come from
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import _native
from ..plan import DensePlan, Ending
from ._cpu import DTYPES, empty, ending_of
from ._frames import to_float

TILE_FRAMES = 96  # at least; a multiple of the 12 fours that the kernels take at a time
TILE_COLUMNS = 2048
TILE_SIZE = 128 * 1024  # frames x (columns or real rows), as far as there are more frames

Tile = tuple[int, int, int, int]  # clips b0 to b1, frames m0 to m1


class Rows:
    """The rows of a plan in the order of their supports, as the native kernels take them.

    Attributes:
        order: the address of the rows' numbers in that order [F], or 0 where they stand in it already.
    """

    def __init__(self, plan: DensePlan):
        starts, stops, offsets = (np.array(numbers) for numbers in (plan.starts, plan.stops, plan.offsets[:-1]))
        order = np.argsort(starts - stops, kind="stable")
        self._order = None if (np.diff(order) == 1).all() else np.ascontiguousarray(order, dtype=np.int64)
        self.order = 0 if self._order is None else self._order.ctypes.data
        self._arrays = [np.ascontiguousarray(numbers[order], dtype=np.int64) for numbers in (starts, stops, offsets)]
        self._sizes = plan.n_bins, plan.n_taps, *(array.ctypes.data for array in self._arrays)

    def native(self, dtype: torch.dtype) -> tuple[int, ...]:
        """The first arguments of ``_native.dense_*``."""
        return *self._sizes, DTYPES[dtype], torch.get_num_threads()


@lru_cache(maxsize=64)
def rows_of(plan: DensePlan) -> Rows:
    return Rows(plan)


def pad(x: Tensor, plan: DensePlan) -> Tensor:
    """The padded samples [B, T + 2 pad], contiguous and in floating point."""
    x, pad, length = to_float(x), plan.pad, x.shape[1]
    if plan.pad_mode == "reflect":  # torch's own is ten times slower
        padded = empty((x.shape[0], length + 2 * pad), x.dtype)
        padded[:, pad : pad + length] = x
        padded[:, :pad] = x[:, 1 : pad + 1].flip(1)
        padded[:, pad + length :] = x[:, length - 1 - pad : length - 1].flip(1)
        return padded
    return F.pad(x[:, None], (pad, pad), plan.pad_mode)[:, 0] if pad else x.contiguous()


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
        self.plan, self.batch, self.frames, self.rows = plan, batch, frames, rows_of(plan)
        self._native = self.rows.native(dtype)
        self.low, self.high = min(plan.starts), max(plan.stops)
        columns = min(TILE_COLUMNS, self.high - self.low)
        wished = max(TILE_FRAMES, TILE_SIZE // max(columns, 2 * plan.n_bins) // 48 * 48)
        self.clips = min(batch, max(1, wished // frames))  # in a tile; more than one: all their frames
        self.size = self.clips * frames if self.clips > 1 else min(wished, frames)
        self.z = torch.empty(2 * plan.n_bins * self.size, dtype=dtype)

    def tiles(self) -> Iterator[tuple[Tile, Tensor]]:
        """Each tile with its z [2, F, tile], whose values are yet to come."""
        step = self.frames if self.clips > 1 else self.size
        for b in range(0, self.batch, self.clips):
            b_end = min(b + self.clips, self.batch)
            for m in range(0, self.frames, step):
                m_end = min(m + step, self.frames)
                size = (b_end - b) * (m_end - m)
                yield (b, b_end, m, m_end), self.z[: 2 * self.plan.n_bins * size].view(2, -1, size)

    def _new_panels(self) -> Tensor:
        return empty((_native.dense_size(*self._native, self.plan.hop_length),), self.z.dtype)

    def pack(self, basis: Tensor) -> Tensor:
        """The packed basis as the native kernels read it."""
        basis, panels = basis.contiguous(), self._new_panels()
        _native.dense_pack(*self._native, self.plan.hop_length, basis.data_ptr(), panels.data_ptr())
        return panels

    def unpack(self, panels: Tensor) -> Tensor:
        """The packed basis [2, S] of panels."""
        basis = self.z.new_empty(self.plan.basis_shape)
        _native.dense_unpack(*self._native, self.plan.hop_length, panels.data_ptr(), basis.data_ptr())
        return basis

    def no_products(self) -> Tensor:
        """Panels of zeros, for `add_products`."""
        return self._new_panels().zero_()

    def transform(self, padded: Tensor, panels: Tensor, tile: Tile, z: Tensor) -> None:
        """z from the samples."""
        sizes, address = self._sizes(tile, padded.stride(0)), self._first(padded, tile)
        _native.dense_transform(*self._native, *sizes, address, panels.data_ptr(), z.data_ptr())

    def add_products(self, padded: Tensor, panels: Tensor, tile: Tile, z: Tensor) -> None:
        """Add z times the frames to the gradient of the basis."""
        sizes, address = self._sizes(tile, padded.stride(0)), self._first(padded, tile)
        _native.dense_gradient(*self._native, *sizes, address, z.data_ptr(), panels.data_ptr())

    def _first(self, padded: Tensor, tile: Tile) -> int:
        """The address of a tile's first sample."""
        return padded.data_ptr() + (tile[0] * padded.stride(0) + tile[2] * self.plan.hop_length) * padded.element_size()

    def pack_adjoint(self, basis: Tensor) -> tuple[Tensor, Tensor, int]:
        """What `add_frames` reads of a packed basis: where frames share products, the first columns in another form."""
        basis, hop = basis.contiguous(), self.plan.hop_length
        size, columns = _native.dense_shared_size(*self._native, hop)
        taps = empty((size,), self.z.dtype)
        if size:
            _native.dense_shared_pack(*self._native, hop, basis.data_ptr(), taps.data_ptr())
        return basis, taps, columns

    def add_frames(self, padded: Tensor, packed: tuple[Tensor, Tensor, int], tile: Tile, z: Tensor) -> None:
        """Add the adjoint of `transform` to the samples."""
        b0, b1, m0, m1 = tile
        basis, taps, columns = packed
        hop, stride, sizes = self.plan.hop_length, padded.stride(0), self._sizes(tile, padded.stride(0))
        if columns:
            _native.dense_shared_adjoint(
                *self._native, *sizes, z.data_ptr(), taps.data_ptr(), self._first(padded, tile)
            )
        for low in range(self.low + columns, self.high, TILE_COLUMNS):
            high = min(low + TILE_COLUMNS, self.high)
            cut = z.new_empty(z.shape[2], high - low)
            rows = z.data_ptr(), basis.data_ptr()
            _native.dense_frames(*self._native, *sizes, *rows, low, high, cut.data_ptr())
            for a in range(low, high, hop):  # frames do not overlap within hop columns
                e = min(a + hop, high)
                first = padded.storage_offset() + b0 * stride + m0 * hop + a
                into = padded.as_strided((b1 - b0, m1 - m0, e - a), (stride, hop, 1), first)
                into += cut[:, a - low : e - low].view(into.shape)

    def store(
        self, z: Tensor, tile: Tile, y: Tensor | None, ending: Ending | None = None, out: Tensor | None = None
    ) -> None:
        """z into a part y [clips, F, frames] of a spectrum, and what the ending makes of |y| into such a part, out."""
        native = None if ending is None else ending_of(ending)
        y, to_y = _array(y)
        out, to_out = _array(out)
        sizes = self._sizes(tile)
        _native.dense_store(*self._native, *sizes, z.data_ptr(), self.rows.order, *to_y, native, *to_out)

    def load(
        self, y: Tensor | None, tile: Tile, z: Tensor, ending: Ending | None = None, grad: Tensor | None = None
    ) -> None:
        """z from such a y (None: what it holds), then the gradient in y, given the gradient in what `store` wrote."""
        native = None if ending is None else ending_of(ending)
        y, from_y = _array(y)
        grad, slopes = _array(grad)
        sizes = self._sizes(tile)
        _native.dense_load(*self._native, *sizes, *from_y, native, *slopes, self.rows.order, z.data_ptr())

    def _sizes(self, tile: Tile, stride: int = 0) -> tuple[int, int, int, int]:
        """Clips, frames, hop and stride of a tile."""
        b0, b1, m0, m1 = tile
        return b1 - b0, m1 - m0, self.plan.hop_length, stride


def part(whole: Tensor, tile: Tile) -> Tensor:
    """A tile's part [clips, rows, frames] of a tensor [B, rows, M]."""
    b0, b1, m0, m1 = tile
    return whole[b0:b1, :, m0:m1]


def _array(rows: Tensor | None) -> tuple[Tensor | None, tuple[int, int, int]]:
    """What to hold on to during a call, and the address and strides of it."""
    if rows is None:
        return None, (0, 0, 0)
    if rows.stride(2) != 1:
        rows = rows.contiguous()
    return rows, (rows.data_ptr(), rows.stride(0), rows.stride(1))
