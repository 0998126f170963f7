"""The memories of a GPU: bounds, initialisation and races are checked here, traffic is measured.

`shared` is one array for all blocks that run together, a stride apart; so is `local` for threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .parse import PTXError, Variable
from .types import UNSIGNED, width

SHARED_BASE, LOCAL_BASE, PARAM_BASE = 1 << 60, 1 << 61, 1 << 62
"""Where the windows of shared, local and parameter memory lie in generic addresses."""


class AccessError(PTXError):
    """A bad access, with the positions of the threads at fault among those that ran the instruction."""

    def __init__(self, what: str, bad: np.ndarray):
        super().__init__(what)
        self.bad = bad


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy that starts on 256 bytes, as GPU allocations do: sectors are counted from true addresses."""
    array = np.ascontiguousarray(array)
    room = np.empty(array.nbytes + 256, np.uint8)
    start = -room.ctypes.data % 256
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _ceil(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def initial_bytes(variable: Variable) -> np.ndarray:
    """A module variable's initialiser: numbers, or the hexadecimal bits of floats."""
    bits = width(variable.kind)
    raw = bytearray()
    for item in variable.values.strip("{} \n").replace("{", "").replace("}", "").split(",") if variable.values else []:
        item = item.strip()
        value = int(item[2:], 16) if item[:2] in ("0f", "0F", "0d", "0D") else int(item, 0)
        raw += (value & ((1 << bits) - 1)).to_bytes(bits // 8, "little")
    data = np.zeros(max(variable.size, 1), np.uint8)
    data[: len(raw)] = np.frombuffer(bytes(raw), np.uint8)
    return data


class Global:
    """Copies of the arrays that a launch may touch, found by their true addresses."""

    def __init__(self, arrays: Sequence[np.ndarray], uninitialised: Sequence[int] = ()):
        distinct = {array.ctypes.data: array for array in arrays if array.nbytes}
        self.arrays = [distinct[address] for address in sorted(distinct)]
        self.bases = np.array(sorted(distinct), np.int64)
        self.ends = self.bases + np.array([array.nbytes for array in self.arrays], np.int64)
        if (self.bases[1:] < self.ends[:-1]).any():
            raise PTXError("two of the arrays overlap")
        self.places, cursor = [], 0
        for base, end in zip(self.bases, self.ends, strict=True):
            place = _ceil(cursor, 256) + int(base) % 256
            self.places.append(place)
            cursor = place + int(end - base)
        self.data = np.zeros(_ceil(cursor + 16, 256), np.uint8)  # cp.async may look 16 bytes ahead
        self.shifts = np.array(self.places, np.int64) - self.bases
        for place, array in zip(self.places, self.arrays, strict=True):
            if not array.flags.c_contiguous:
                raise PTXError("arrays must be contiguous")
            self.data[place : place + array.nbytes] = array.reshape(-1).view(np.uint8)
        self.written = np.ones(self.data.size, np.bool_)
        for base, end, place in zip(self.bases, self.ends, self.places, strict=True):
            if int(base) in uninitialised:
                self.written[place : place + int(end - base)] = False
        words = self.data.size // 4
        self.writer = np.full(words, -1, np.int64)  # block that wrote each word, and its thread, when
        self.lane, self.epoch, self.order = (np.full(words, -1, np.int64) for _ in range(3))
        self.read_sectors = np.zeros(self.data.size // 32, np.bool_)
        self.written_sectors = self.read_sectors.copy()

    def offsets(self, address: np.ndarray, size: int) -> np.ndarray:
        """Positions in `data`."""
        if not len(self.bases):
            raise AccessError("wild global address", np.ones(address.shape, np.bool_))
        low, high = int(address.min()), int(address.max())
        index = int(np.searchsorted(self.bases, low, "right")) - 1
        if index >= 0 and high + size <= self.ends[index]:
            return address + self.shifts[index]
        found = np.searchsorted(self.bases, address, "right") - 1
        bad = (found < 0) | (address + size > self.ends[found])
        if bad.any():
            raise AccessError("out-of-bounds global access", bad)
        return address + self.shifts[found]

    def write_back(self) -> None:
        for place, array in zip(self.places, self.arrays, strict=True):
            array.reshape(-1).view(np.uint8)[:] = self.data[place : place + array.nbytes]

    def touched_bytes(self, array: np.ndarray) -> tuple[int, int]:
        """Bytes of the sectors of one array that were read, and written."""
        index = int(np.searchsorted(self.bases, array.ctypes.data))
        first, last = self.places[index] // 32, -(-(self.places[index] + array.nbytes) // 32)
        return int(32 * self.read_sectors[first:last].sum()), int(32 * self.written_sectors[first:last].sum())


class Shared:
    """Shared memory of the blocks that run together, and who touched each granule since the last barrier.

    Two accesses of one granule race when different threads make them, one of them stores, and neither a barrier
    of the block nor (for lanes of one warp) a `bar.warp.sync` lies between.
    """

    def __init__(self, blocks: int, threads: int, size: int, granule: int):
        self.size, self.stride, self.granule = size, _ceil(max(size, 16), 128), granule
        self.data = np.full(blocks * self.stride, 0xFF, np.uint8)  # NaN
        self.valid = np.zeros(blocks * self.stride, np.bool_)
        self.epoch = np.zeros(blocks, np.int64)
        self.warp_epoch = np.zeros(blocks * threads // 32, np.int64)
        granules = blocks * self.stride // granule
        self.marks = {
            kind: {name: np.full(granules, -1, np.int64) for name in ("epoch", "lane", "warp", "order", "by")}
            for kind in ("read", "write")
        }

    def offsets(self, address: np.ndarray, size: int, block: np.ndarray) -> np.ndarray:
        bad = (address < 0) | (address + size > self.size)
        if bad.any():
            raise AccessError("out-of-bounds shared access", bad)
        return address + block * self.stride

    def race(self, offset: np.ndarray, size: int, lane: np.ndarray, block: np.ndarray, by: int, store: bool) -> set:
        """Note an access; the instructions that it races with (-1: itself)."""
        epoch, warp = self.epoch[block], lane >> 5
        order, found = self.warp_epoch[warp], set()
        for step in range(0, size, self.granule):
            at = (offset + step) // self.granule
            for kind in ("write", "read") if store else ("write",):
                mark = self.marks[kind]
                ordered = (mark["warp"][at] == warp) & (mark["order"][at] < order)
                bad = (mark["epoch"][at] == epoch) & (mark["lane"][at] != lane) & ~ordered
                if bad.any():
                    found |= set(mark["by"][at[bad]].tolist())
            found |= self._note(self.marks["write" if store else "read"], at, epoch, lane, warp, order, by, store)
        return found

    @staticmethod
    def _note(mark, at, epoch, lane, warp, order, by, store) -> set:
        """Several readers of one granule are noted as lane -2, of several warps as warp -2.

        A reader that a barrier of its warp sets before this one is forgotten: whoever races with it races with this.
        """
        ordered = (mark["warp"][at] == warp) & (mark["order"][at] < order)
        several = (mark["epoch"][at] == epoch) & ~ordered & ~store
        others = several & (mark["lane"][at] != lane)
        other_warps = several & (mark["warp"][at] != warp)
        mark["lane"][at] = np.where(others, -2, lane)
        mark["warp"][at] = np.where(other_warps, -2, warp)
        mark["epoch"][at], mark["order"][at], mark["by"][at] = epoch, order, by
        mine = mark["lane"][at]
        clash = (mine != lane) & (mine >= 0)  # another thread of this very instruction noted itself last
        if not clash.any():
            return set()
        if store:
            return {-1}
        far = mark["warp"][at] != warp
        mark["warp"][at[clash & far]] = -2
        mark["lane"][at[clash]] = -2
        return set()


def wavefronts(address: np.ndarray, size: int, lane: np.ndarray) -> tuple[int, int]:
    """Passes that accesses of shared memory take, and what they would take without bank conflicts.

    32 banks of 4 bytes; a warp's accesses of 8 bytes go by half warps, of 16 by quarters; equal words are one.
    """
    words = max(1, size // 4)
    group = (lane >> 5) * 4 + ((lane & 31) * words // 32 if words > 1 else 0)
    word = address[:, None] // 4 + np.arange(words)
    keys = np.unique((np.repeat(group, words) << 40) | word.ravel())
    banks, count = np.unique((keys >> 40) * 32 + (keys & 31), return_counts=True)
    groups = banks // 32
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return int(np.maximum.reduceat(count, starts).sum()), len(starts)


class Traffic:
    """What each instruction moved: by its number and space, [requests, wavefronts or sectors, ideal, bytes]."""

    def __init__(self) -> None:
        self.of: dict[tuple[int, str], np.ndarray] = {}
        self.block_sectors = 0
        self._touched: list[np.ndarray] = []

    def _note(self, by: int, space: str, requests: int, taken: int, ideal: int, moved: int) -> None:
        self.of.setdefault((by, space), np.zeros(4, np.int64))[:] += requests, taken, ideal, moved

    def note_shared(self, by: int, address: np.ndarray, size: int, lane: np.ndarray) -> None:
        self._note(by, "shared", np.unique(lane >> 5).size, *wavefronts(address, size, lane), size * len(lane))

    def note_global(self, by: int, address: np.ndarray, size: int, lane: np.ndarray, block: np.ndarray) -> None:
        sector, warp = address >> 5, lane >> 5
        taken = np.unique((warp << 44) | (sector & (1 << 44) - 1)).size
        self._note(by, "global", np.unique(warp).size, taken, -(-size * len(lane) // 32), size * len(lane))
        self._touched.append(np.unique((block << 44) | (sector & (1 << 44) - 1)))

    def end_batch(self) -> None:
        """Sectors that each block must fetch or store at least once."""
        if self._touched:
            self.block_sectors += np.unique(np.concatenate(self._touched)).size
            self._touched = []


class Parameters:
    """The arguments of a kernel, laid out as its declaration says."""

    def __init__(self, declared: Sequence[Variable], values: Sequence):
        if len(declared) != len(values):
            raise PTXError(f"the kernel takes {len(declared)} arguments, got {len(values)}")
        self.places, raw = {}, bytearray()
        for parameter, value in zip(declared, values, strict=True):
            raw += bytes(-len(raw) % max(parameter.align, 1))
            self.places[parameter.name] = len(raw)
            item = _packed(parameter, value)
            if len(item) != parameter.size:
                raise PTXError(f"argument {parameter.name} takes {parameter.size} bytes, got {len(item)}")
            raw += item
        self.data = np.frombuffer(bytes(raw) + bytes(16), np.uint8)

    def load(self, offset: np.ndarray, size: int) -> np.ndarray:
        if offset.min() < 0 or offset.max() + size > self.data.size - 16:
            raise AccessError("out-of-bounds parameter access", (offset < 0) | (offset + size > self.data.size - 16))
        return self.data[offset[:, None] + np.arange(size)].view(UNSIGNED[8 * size])[:, 0]


def _packed(parameter: Variable, value) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, np.ndarray):
        return int(value.ctypes.data).to_bytes(8, "little")
    if isinstance(value, float | np.floating):
        return (np.float64 if width(parameter.kind) == 64 else np.float32)(value).tobytes()
    return (int(value) & ((1 << width(parameter.kind)) - 1)).to_bytes(width(parameter.kind) // 8, "little")
