"""Sizes and work lists of the Triton kernels: pure functions of a dense plan, a batch and block sizes.

See kernels/triton/pack.py for the row grid. A bin's place is its rank by support, so that a block of neighbouring
places covers little more than each of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..plan import DensePlan

MAX_COLUMNS = 2048  # of a work item: longer supports are cut, so that no program outlasts the others
SLACK = 64  # rows and columns that the last step of a loop may run over


def up(a: int, b: int) -> int:
    return -(-a // b) * b


@dataclass(frozen=True)
class Grid:
    """Every derived size of a batch of B clips of T samples on the row grid."""

    plan: DensePlan
    B: int
    T: int

    @property
    def M(self) -> int:
        """Frames a clip."""
        return self.plan.n_frames(self.T)

    @property
    def frames(self) -> int:
        return self.B * self.M

    @property
    def P(self) -> int:
        """Pitch of a row: the hop rounded up to 8."""
        return up(self.plan.hop_length, 8)

    @property
    def Q(self) -> int:
        """Rows that a frame touches."""
        return -(-self.plan.n_fft // self.plan.hop_length)

    @property
    def U(self) -> int:
        """Rows a clip."""
        return self.M + self.Q - 1

    @property
    def rows(self) -> int:
        return self.B * self.U

    @property
    def R(self) -> int:
        """Rows of the basis matrix: two a bin."""
        return up(2 * self.plan.n_bins, 32)

    @property
    def K(self) -> int:
        """Columns of the basis matrix, with zeros for the last step to run over."""
        return up(self.Q * self.P, 16) + 2 * SLACK

    @property
    def tail(self) -> int:
        """Zeros behind the row grid."""
        return (SLACK + self.Q) * self.P + 256

    @property
    def G(self) -> int:
        """Frames of the spectrum matrix with bins first."""
        return up(self.rows, 16) + SLACK

    @property
    def row_block(self) -> tuple[int, int]:
        """Rows and columns of a block of pack.wave and of overlap_add.fold: columns divide the pitch."""
        columns = min(256, self.P & -self.P)
        return 1024 // columns, columns


def _column(plan: DensePlan, n: np.ndarray) -> np.ndarray:
    """Column of tap n in the basis matrix."""
    return n // plan.hop_length * up(plan.hop_length, 8) + n % plan.hop_length


@lru_cache(maxsize=256)
def _places(plan: DensePlan) -> np.ndarray:
    """[F, 4]: bin, start, stop and offset of each place."""
    bins = sorted(range(plan.n_bins), key=lambda f: (plan.starts[f], -plan.stops[f]))
    return np.array([(f, plan.starts[f], plan.stops[f], plan.offsets[f]) for f in bins], np.int32)


@lru_cache(maxsize=256)
def _ranges(plan: DensePlan, BF: int) -> np.ndarray:
    """[blocks, 2]: columns / 16 that each block of BF places covers."""
    _, starts, stops, _ = _places(plan).T
    firsts = np.arange(0, plan.n_bins, BF)
    lo = _column(plan, np.minimum.reduceat(starts, firsts)) // 16
    hi = -(-(_column(plan, np.maximum.reduceat(stops, firsts) - 1) + 1) // 16)
    return np.stack([lo, hi], 1).astype(np.int32)


def waste(plan: DensePlan, BF: int) -> float:
    """Columns that blocks of BF places multiply, over the taps there are."""
    ranges = _ranges(plan, BF)
    return float((ranges[:, 1] - ranges[:, 0]).sum()) * 16 * BF / plan.offsets[-1]


def is_exact(plan: DensePlan, BF: int, BK: int) -> bool:
    """True where the product reads no sample outside the supports: nothing to mend."""
    places, ranges = _places(plan), _ranges(plan, BF)[np.arange(plan.n_bins) // BF]
    begins = _column(plan, places[:, 1]) == 16 * ranges[:, 0]
    ends = _column(plan, places[:, 2] - 1) + 1 == 16 * ranges[:, 1]
    return bool((begins & ends).all() and (16 * (ranges[:, 1] - ranges[:, 0]) % BK == 0).all())


def _items(plan: DensePlan, BF: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Work of the forward product: items [n, 4], blocks of several items [.., 3], and how many parts these have."""
    items, blocks, parts = [], [], 0
    for block, (lo, hi) in enumerate(_ranges(plan, BF).tolist()):
        n = -(-(hi - lo) * 16 // MAX_COLUMNS)
        width = up(-(-(hi - lo) // n), SLACK // 16)  # whole steps: only the last item of a block may run over
        cuts = [(block, a, min(a + width, hi)) for a in range(lo, hi, width)]
        if len(cuts) == 1:
            items.append((*cuts[0], -1))
            continue
        blocks.append((block, parts, parts + len(cuts)))
        items += [(*cut, parts + i) for i, cut in enumerate(cuts)]
        parts += len(cuts)
    items.sort(key=lambda item: item[1] - item[2])
    return np.array(items, np.int32), np.array(blocks, np.int32).reshape(-1, 3), parts


def _steps(plan: DensePlan, BN: int, BK: int, splits: int) -> tuple[np.ndarray, np.ndarray]:
    """Work of overlap_add: where each r-tile's and split's steps begin, and the steps (q, first column / 16)."""
    hop, (_, starts, stops, _) = plan.hop_length, _places(plan).T
    first, steps = [0], []
    for r in range(0, up(hop, 8), BN):
        own = []
        for q in range(-(-plan.n_fft // hop)):
            lo, hi = q * hop + r, q * hop + min(r + BN, hop)
            (used,) = np.nonzero((starts < hi) & (stops > lo))
            if used.size:
                own += [(q, c // 16) for c in range(2 * int(used[0]) // BK * BK, 2 * int(used[-1]) + 2, BK)]
        share = -(-len(own) // splits)
        first += [len(steps) + min((s + 1) * share, len(own)) for s in range(splits)]
        steps += own
    return np.array(first, np.int32), np.array([*steps, (0, 0)], np.int32)


def _tiles(plan: DensePlan, BR: int, BN: int) -> np.ndarray:
    """Work of basis_grad: (block of rows, block of columns) wherever the basis has taps."""
    ranges = _ranges(plan, BR // 2)
    return np.array(
        [(i, j) for i, (lo, hi) in enumerate(ranges.tolist()) for j in range(16 * lo // BN, -(-16 * hi // BN))],
        np.int32,
    )


def _tensors(device: torch.device, *arrays: np.ndarray) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(array).to(device) for array in arrays)


@lru_cache(maxsize=256)
def places(plan: DensePlan, device: torch.device) -> Tensor:
    return _tensors(device, _places(plan))[0]


@lru_cache(maxsize=256)
def ranges(plan: DensePlan, BF: int, device: torch.device) -> Tensor:
    return _tensors(device, _ranges(plan, BF))[0]


@lru_cache(maxsize=256)
def items(plan: DensePlan, BF: int, device: torch.device) -> tuple[Tensor, Tensor, int]:
    work, blocks, parts = _items(plan, BF)
    return torch.from_numpy(work).to(device), torch.from_numpy(blocks).to(device), parts


@lru_cache(maxsize=256)
def steps(plan: DensePlan, BN: int, BK: int, splits: int, device: torch.device) -> tuple[Tensor, ...]:
    return _tensors(device, *_steps(plan, BN, BK, splits))


@lru_cache(maxsize=256)
def tiles(plan: DensePlan, BR: int, BN: int, device: torch.device) -> Tensor:
    return _tensors(device, _tiles(plan, BR, BN))[0]
