"""What a transform computes, as plain numbers: the framing of the signal and the ending of the spectrum.

A plan is a `FramePlan` (the basis is Fourier's, under a window) or a `DensePlan` (the basis is any complex rows,
each on its own support). All classes are frozen, hashable and made of ints, bools, floats and strings alone, so an
operator schema can carry them (`args()`) and equal ones are one cached object. Every ValueError about sizes is
raised here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from itertools import accumulate
from typing import ParamSpec, TypeVar

from torch.compiler import is_compiling

from ._checks import flag, integer, one_of, real

P = ParamSpec("P")
R = TypeVar("R")

PAD_MODES = ("reflect", "constant", "replicate", "circular", "none")
LOGS = ("none", "ln", "log10", "log1p", "db")
FLOOR_MODES = ("clamp", "add")
PRECISIONS = ("", "ieee", "tf32x3", "split-fp16", "tf32", "bf16")
MAX_N_FFT = 65536
MAX_DENSE_LENGTH = 1 << 22  # the lowest CQT row anybody asked for is half of that


def cached(build: Callable[P, R]) -> Callable[P, R]:
    """lru_cache that torch.compile traces past (it warns about functools' own).

    What cannot be a key goes to `build`, whose checks name it.
    """
    kept = lru_cache(maxsize=1024, typed=True)(build)

    @wraps(build)
    def make(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_compiling():
            return build(*args, **kwargs)
        try:
            return kept(*args, **kwargs)
        except TypeError:
            return build(*args, **kwargs)

    return make


class Framing:
    """What both plans share: a signal of T samples, padded and cut into M frames of n_fft samples."""

    n_fft: int
    hop_length: int
    pad: int
    pad_mode: str

    @property
    def min_length(self) -> int:
        """The shortest clip, in samples, that this plan accepts."""
        padding = {"reflect": self.pad + 1, "circular": self.pad}.get(self.pad_mode, 1)
        return max(1, self.n_fft - 2 * self.pad, padding)

    def n_frames(self, length: int) -> int:
        """M, the number of frames of a clip of `length` samples."""
        return (length + 2 * self.pad - self.n_fft) // self.hop_length + 1

    def check_length(self, length: int) -> None:
        """Raise ValueError when a clip of `length` samples is too short for this plan."""
        if length < 1:
            raise ValueError(f"waveform must hold at least one sample, got {length}")
        if self.pad_mode == "reflect" and length <= self.pad:
            raise ValueError(
                f"waveform must be longer than the reflect padding of {self.pad} samples, got {length} samples; "
                "another pad_mode or center=False takes shorter clips"
            )
        if self.pad_mode == "circular" and length < self.pad:
            raise ValueError(
                f"waveform must be no shorter than the circular padding of {self.pad} samples, got {length} samples"
            )
        if length + 2 * self.pad < self.n_fft:
            raise ValueError(
                f"waveform must hold at least {self.n_fft - 2 * self.pad} samples for one frame "
                f"(n_fft = {self.n_fft}, padding {self.pad} on each side), got {length}"
            )


@dataclass(frozen=True)
class FramePlan(Framing):
    """How a signal of T samples is padded and cut into M frames, and how many bins a frame gives.

    Build one with `FramePlan.make`, which checks; the bare constructor trusts its arguments.

    Attributes:
        n_fft: frame length N in samples.
        hop_length: samples from one frame to the next; may exceed n_fft.
        win_length: window length in samples; a shorter window stands in the middle of the frame.
        pad: samples added on each side of the signal.
        pad_mode: where they come from: "reflect", "constant" (zeros), "replicate", "circular"; or "none".
        onesided: keep the bins 0 .. n_fft // 2 only (all that a real signal needs).
        preemphasis: c of x[n] - c x[n - 1] inside the frame, its first sample being its own predecessor.
        remove_dc: take off the mean of the frame, before the pre-emphasis.

    Both prepare the win_length samples of a frame under the window, before the window, as Kaldi does; being linear,
    they leave the ops what they are.
    """

    n_fft: int
    hop_length: int
    win_length: int
    pad: int
    pad_mode: str
    onesided: bool = True
    preemphasis: float = 0.0
    remove_dc: bool = False

    @staticmethod
    @cached
    def make(
        n_fft: int,
        hop_length: int | None = None,
        win_length: int | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool = True,
        center_pad: int | None = None,
        preemphasis: float = 0.0,
        remove_dc: bool = False,
    ) -> FramePlan:
        """The plan for these parameters, the same object whenever they are the same.

        Args:
            n_fft: frame length in samples, 2 to 65536, odd or even.
            hop_length: samples between frames, 1 to 2^31 - 1. Default: win_length // 2, as in torchaudio.
            win_length: window length in samples, 1 to n_fft. Default: n_fft.
            center: pad both sides, so that frame m is centred on sample m * hop_length.
            pad_mode: "reflect", "constant", "replicate", "circular", or "none" for no padding.
            onesided: n_fft // 2 + 1 bins instead of n_fft.
            center_pad: samples added on each side when `center`. Default: n_fft // 2.
            preemphasis: coefficient within every frame, 0 (none) to 1.
            remove_dc: subtract every frame's mean first.

        Raises:
            ValueError: names the argument, its value and what is allowed.
        """
        n_fft = integer("n_fft", n_fft, 2, MAX_N_FFT)
        win_length = n_fft if win_length is None else integer("win_length", win_length, 1)
        if win_length > n_fft:
            raise ValueError(f"win_length must be at most n_fft = {n_fft}, got {win_length}")
        if hop_length is None:
            hop_length = win_length // 2
            if hop_length < 1:
                raise ValueError(f"hop_length must be given when win_length // 2 is 0, got win_length = {win_length}")
        hop_length = integer("hop_length", hop_length, 1)
        onesided = flag("onesided", onesided)
        pad, pad_mode = _padding(n_fft, center, pad_mode, center_pad)
        preemphasis = real("preemphasis", preemphasis, 0.0)
        if preemphasis > 1:
            raise ValueError(f"preemphasis must be from 0 to 1, got {preemphasis}")
        remove_dc = flag("remove_dc", remove_dc)
        return FramePlan(n_fft, hop_length, win_length, pad, pad_mode, onesided, preemphasis, remove_dc)

    @property
    def n_bins(self) -> int:
        """F, the number of frequency bins."""
        return self.n_fft // 2 + 1 if self.onesided else self.n_fft

    @property
    def prepared(self) -> bool:
        """Frames are not mere pieces of the signal: `preemphasis` or `remove_dc` is set."""
        return self.preemphasis != 0 or self.remove_dc

    @property
    def basis_shape(self) -> tuple[int, ...]:
        """The shape of what the ops take for this plan's basis: a window [win_length]."""
        return (self.win_length,)

    @property
    def left(self) -> int:
        """First sample of the frame under the window; win_length samples follow."""
        return (self.n_fft - self.win_length) // 2

    def args(self) -> PlanArgs:
        """The fields in order, for an operator schema; `plan_of(*plan.args()) == plan`."""
        sizes = self.n_fft, self.hop_length, self.win_length, self.pad, self.pad_mode, self.onesided
        return *sizes, self.preemphasis, self.remove_dc, (), (), ""


@dataclass(frozen=True)
class DensePlan(Framing):
    """Frames as in `FramePlan`, and F rows of any complex numbers, row f on the samples starts[f] to stops[f].

    The basis of the ops is a real tensor [2, S], real parts over imaginary parts: the rows' taps one after another,
    S = sum of stops - starts. y[b, f, m] = sum over n from starts[f] to stops[f] of H[f, n] x_padded[b, m * hop + n].

    Build one with `DensePlan.make`, which checks; the bare constructor trusts its arguments.

    Attributes:
        n_fft: frame length N in samples.
        hop_length: samples from one frame to the next; may exceed n_fft.
        pad, pad_mode: as in `FramePlan`.
        starts, stops: the support of each row within the frame, 0 <= start < stop <= n_fft.
        precision: how a GPU may multiply, see docs/precision.md; "" for its default, which is exact to float32
            rounding. Other backends compute in the dtype of the signal, whatever this says.
        offsets: where each row's taps begin in the packed basis, and at the end S: F + 1 numbers.
    """

    n_fft: int
    hop_length: int
    pad: int
    pad_mode: str
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    precision: str = ""
    offsets: tuple[int, ...] = field(init=False, compare=False)
    _hash: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        lengths = (stop - start for start, stop in zip(self.starts, self.stops, strict=True))
        object.__setattr__(self, "offsets", (0, *accumulate(lengths)))
        object.__setattr__(self, "_hash", hash(self.args()))

    @staticmethod
    @cached
    def make(
        n_fft: int,
        hop_length: int,
        starts: Sequence[int],
        stops: Sequence[int],
        center: bool = True,
        pad_mode: str = "reflect",
        center_pad: int | None = None,
        precision: str = "",
    ) -> DensePlan:
        """The plan for these parameters, the same object whenever they are the same (and the sequences tuples).

        Args:
            n_fft: frame length in samples, 1 to 4,194,304.
            hop_length: samples between frames, 1 to 2^31 - 1.
            starts, stops: first sample of each row's support within the frame, and the one after its last.
            center, pad_mode, center_pad: as in `FramePlan.make`.
            precision: "ieee", "tf32x3", "split-fp16", "tf32", "bf16", or "" for the default of the device.

        Raises:
            ValueError: names the argument, its value and what is allowed.
        """
        precision = one_of("precision", precision, PRECISIONS)
        n_fft = integer("n_fft", n_fft, 1, MAX_DENSE_LENGTH)
        hop_length = integer("hop_length", hop_length, 1)
        pad, pad_mode = _padding(n_fft, center, pad_mode, center_pad)
        starts, stops = tuple(starts), tuple(stops)
        if not starts or len(starts) != len(stops):
            raise ValueError(f"starts, stops must be equally many, one or more, got {len(starts)} and {len(stops)}")
        for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            if not 0 <= integer(f"starts[{row}]", start, 0) < integer(f"stops[{row}]", stop, 1) <= n_fft:
                raise ValueError(f"row {row} must lie within 0 <= start < stop <= {n_fft}, got {start} to {stop}")
        return DensePlan(n_fft, hop_length, pad, pad_mode, starts, stops, precision)

    def __hash__(self) -> int:  # of long tuples, once: a plan is the key of every choice of a backend
        return self._hash

    @property
    def n_bins(self) -> int:
        """F, the number of rows."""
        return len(self.starts)

    @property
    def n_taps(self) -> int:
        """S, the number of complex taps of all rows together."""
        return self.offsets[-1]

    @property
    def basis_shape(self) -> tuple[int, ...]:
        """The shape of the packed basis: [2, S]."""
        return (2, self.n_taps)

    def __repr__(self) -> str:  # hundreds of supports are no news
        lengths = [stop - start for start, stop in zip(self.starts, self.stops, strict=True)]
        return (
            f"DensePlan(n_fft={self.n_fft}, hop_length={self.hop_length}, pad={self.pad}, "
            f"pad_mode={self.pad_mode!r}, {self.n_bins} rows of {min(lengths)} to {max(lengths)} taps"
            f"{', precision=' + repr(self.precision) if self.precision else ''})"
        )

    def args(self) -> PlanArgs:
        """The fields in order, for an operator schema; `plan_of(*plan.args()) == plan`."""
        sizes = self.n_fft, self.hop_length, 0, self.pad, self.pad_mode, False
        return *sizes, 0.0, False, self.starts, self.stops, self.precision


Plan = FramePlan | DensePlan
PlanArgs = tuple[int, int, int, int, str, bool, float, bool, tuple[int, ...], tuple[int, ...], str]


def plan_of(
    n_fft: int,
    hop_length: int,
    win_length: int,
    pad: int,
    pad_mode: str,
    onesided: bool,
    preemphasis: float,
    remove_dc: bool,
    starts: Sequence[int],
    stops: Sequence[int],
    precision: str,
) -> Plan:
    """The plan that gave these `args()`."""
    if starts:
        return DensePlan(n_fft, hop_length, pad, pad_mode, tuple(starts), tuple(stops), precision)
    return FramePlan(n_fft, hop_length, win_length, pad, pad_mode, onesided, preemphasis, remove_dc)


def _padding(n_fft: int, center: bool, pad_mode: str, center_pad: int | None) -> tuple[int, str]:
    """Checked: samples added on each side, and where they come from."""
    pad_mode, center = one_of("pad_mode", pad_mode, PAD_MODES), flag("center", center)
    if center_pad is not None and not center:
        raise ValueError(f"center_pad needs center=True, got center_pad = {center_pad!r} with center=False")
    pad = n_fft // 2 if center_pad is None else integer("center_pad", center_pad, 0)
    return (0, "none") if not center or pad_mode == "none" or pad == 0 else (pad, pad_mode)


@dataclass(frozen=True)
class Ending:
    """The ending of a complex spectrum y: v = (|y|^2 + eps)^(power / 2), then compression of u = bank^T v.

    "none": u; "ln", "log10": the logarithm of max(u, floor) (floor_mode "clamp") or of u + floor ("add");
    "log1p": ln(1 + scale * u); "db": multiplier * log10 of the floored value.

    Gradients: that of |y|^p at y = 0 is 0; clamping passes the gradient where u >= floor; the logarithm of 0
    (floor = 0 only) passes none.
    """

    power: float = 2.0
    eps: float = 0.0
    log: str = "none"
    floor: float = 1e-10
    floor_mode: str = "clamp"
    scale: float = 1.0
    multiplier: float = 10.0

    @staticmethod
    @cached
    def make(
        power: float = 2.0,
        eps: float = 0.0,
        log: str | None = None,
        floor: float = 1e-10,
        floor_mode: str = "clamp",
        scale: float = 1.0,
        multiplier: float = 10.0,
    ) -> Ending:
        """The ending for these parameters, one object for equal ones; those unused do not matter.

        Args:
            power: exponent p of |y|, any positive real number (1 magnitude, 2 power).
            eps: added to |y|^2 under the exponent, >= 0.
            log: None or "none", "ln", "log10", "log1p", "db".
            floor: smallest value under the logarithm, or the value added to it, >= 0.
            floor_mode: "clamp" or "add".
            scale: factor inside log1p, > 0.
            multiplier: factor outside log10 for "db", > 0 (10 for powers, 20 for magnitudes).

        Raises:
            ValueError: names the argument, its value and what is allowed.
        """
        power = real("power", power, 0.0, strict=True)
        eps = real("eps", eps, 0.0)
        log = "none" if log is None else one_of("log", log, LOGS)
        floor = real("floor", floor, 0.0)
        floor_mode = one_of("floor_mode", floor_mode, FLOOR_MODES)
        scale = real("scale", scale, 0.0, strict=True)
        multiplier = real("multiplier", multiplier, 0.0, strict=True)
        if log in ("none", "log1p"):
            floor, floor_mode = Ending.floor, Ending.floor_mode
        return Ending(
            power,
            eps,
            log,
            floor,
            floor_mode,
            scale if log == "log1p" else Ending.scale,
            multiplier if log == "db" else Ending.multiplier,
        )

    def args(self) -> tuple[float, float, str, float, str, float, float]:
        """The fields in order, for an operator schema; `Ending(*ending.args()) == ending`."""
        return self.power, self.eps, self.log, self.floor, self.floor_mode, self.scale, self.multiplier
