"""The small table behind ``fastspec bench``: this machine, a few presets, fastspec against torch.stft.

The comparison with other libraries, ``bench/`` in the repository, is built of the same pieces.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .presets import Preset, preset

DEFAULT = ("whisper", "hifi-gan", "panns-cnn14", "beat-this", "open-unmix", "htdemucs")
"""The presets of the table when none are named: every common frame length and ending once."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: the preset.
        shape: of the output.
        ours, theirs: median seconds of fastspec and of the path through torch.stft.
        error, their_error: largest error against the same path in float64, divided by the largest value for a
            linear output, and in units of the logarithm for a logarithmic one.
    """

    name: str
    shape: tuple[int, ...]
    ours: float
    theirs: float
    error: float
    their_error: float

    @property
    def ratio(self) -> float:
        """How many times faster fastspec is."""
        return self.theirs / self.ours


def torch_path(
    entry: Preset, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Callable[[Tensor], Tensor]:
    """The same front end as a careful user writes it in torch: stft, power, matrix product, logarithm.

    Args:
        entry: the preset.
        dtype, device: of the constants and of the waveform that the result will be given.

    Returns:
        A function of waveforms ``[B, T]``, with window and filterbank made beforehand.
    """
    if entry.kind == "fbank":
        return _kaldi_path(entry, dtype, device)
    state = entry.transform().to(device).state_dict()
    mel = entry.kind == "mel"
    window = state["spectrogram.window" if mel else "window"].to(dtype)
    bank = state["mel_scale.fb"].to(dtype).T.contiguous() if mel else None
    scale = {False: 1.0, "frame_length": entry.n_fft**-0.5}.get(entry.normalized)
    if scale is None:
        scale = float(window.pow(2).sum().rsqrt())

    def forward(x: Tensor) -> Tensor:
        if entry.center and entry.center_pad is not None:
            x = functional.pad(x[:, None], (entry.center_pad,) * 2, mode=entry.pad_mode)[:, 0]
        y = torch.stft(
            x,
            entry.n_fft,
            entry.hop_length,
            entry.win_length,
            window=window,
            center=entry.center and entry.center_pad is None,
            pad_mode=entry.pad_mode,
            return_complex=True,
        )
        if scale != 1.0:
            y = y * scale
        if entry.power is None:
            return y
        if entry.eps:
            v = (y.real.square() + y.imag.square() + entry.eps).pow(entry.power / 2)
        else:
            v = y.abs() if entry.power == 1 else y.abs().pow(entry.power)
        return _compress(v if bank is None else bank @ v, entry)

    return forward


def _kaldi_path(entry: Preset, dtype: torch.dtype, device: torch.device | str) -> Callable[[Tensor], Tensor]:
    """Kaldi's bands in torch: frames cut, freed of their mean, pre-emphasised, windowed and zero-padded in memory."""
    state = entry.transform().to(device).state_dict()
    window, bank = state["window"].to(dtype) * entry.scale, state["fb"].to(dtype)

    def forward(x: Tensor) -> Tensor:
        frames = x.unfold(-1, entry.win_length, entry.hop_length)
        frames = frames - frames.mean(-1, keepdim=True)
        frames = frames - 0.97 * functional.pad(frames, (1, 0), mode="replicate")[..., :-1]
        return _compress(torch.fft.rfft(frames * window, entry.n_fft).abs().square() @ bank, entry)

    return forward


def measure(entry: Preset, *, batch: int, seconds: float, backward: bool, budget: float, backend: str | None) -> Row:
    """Time one preset, taking turns between fastspec and torch until ``budget`` seconds are spent.

    Args:
        entry: the preset.
        batch, seconds: the workload: clips, and the length of each.
        backward: time forward and backward together (gradient of the waveform).
        budget: seconds for the whole measurement; at least five rounds are run.
        backend: name of fastspec's backend; ``None`` is its own choice.
    """
    samples = max(round(seconds * entry.sample_rate), entry.n_fft)
    x = 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))
    ours, theirs = entry.transform(backend=backend), torch_path(entry)
    with torch.inference_mode():
        piece = x[:1]
        truth = torch_path(entry, torch.float64)(piece.double())
        got, their_own = ours(piece), theirs(piece)
    log = entry.log is not None
    turns = [turn_of(runner(path, x, backward)) for path in (ours, theirs)]
    our_times, their_times = take_turns(turns, budget)
    return Row(
        entry.name,
        (batch, *got.shape[1:]),
        statistics.median(our_times),
        statistics.median(their_times),
        largest_error(got, truth, log),
        largest_error(their_own, truth, log),
    )


def runner(path: Callable[[Tensor], Any], x: Tensor, backward: bool) -> Callable[[], Any]:
    """A call to be timed: ``path(x)`` without autograd, or the gradient of x with all ones above it."""
    if not backward:

        def forward() -> Any:
            with torch.inference_mode():
                return path(x)

        return forward

    leaf = x.clone().requires_grad_()
    with torch.no_grad():
        seed = torch.ones_like(path(x))
    return lambda: torch.autograd.grad(path(leaf), leaf, seed)[0]


def turn_of(run: Callable[[], Any]) -> Callable[[], float]:
    """A turn of ``run``, giving the seconds of one call: one untimed, for caches, threads and malloc to be as
    in a loop of this call alone; then one timed, or as many as fill twenty milliseconds: threads of whoever had the
    turn before may spin for some of them.
    """
    run()
    calls = max(1, round(0.02 / _seconds(run, 1)))

    def turn() -> float:
        run()
        return _seconds(run, calls)

    return turn


def take_turns(turns: Sequence[Callable[[], float]], budget: float, least: int = 5) -> list[list[float]]:
    """Seconds of each, taken in turns so that a busy or throttled machine disturbs all alike.

    Args:
        turns: see ``turn_of``.
        budget: seconds to spend.
        least: rounds at least.

    Returns:
        For each the seconds that it returned, one a round.
    """
    times: list[list[float]] = [[] for _ in turns]
    end = time.perf_counter() + budget
    while len(times[0]) < least or time.perf_counter() < end:
        for turn, list_ in zip(turns, times, strict=True):
            list_.append(turn())
    return times


def largest_error(got: Tensor, truth: Tensor, log: bool) -> float:
    """The largest difference: as it is (``log``: in units of the logarithm), or over the largest value."""
    worst = float((got.to(truth.dtype) - truth).abs().max())
    largest = 1.0 if log else float(truth.abs().max())
    return worst / largest if largest and math.isfinite(largest) else worst


def table(
    names: Sequence[str] = DEFAULT,
    *,
    batch: int = 1,
    seconds: float = 10.0,
    threads: int = 1,
    backward: bool = False,
    budget: float = 2.0,
    backend: str | None = None,
) -> Iterator[Row]:
    """Measure the presets one after the other, with ``threads`` threads for fastspec and torch alike.

    Raises:
        ValueError: an unknown preset, or a number that is not positive.
    """
    for name, value in (("batch", batch), ("seconds", seconds), ("threads", threads), ("budget", budget)):
        if not value > 0:
            raise ValueError(f"{name}={value!r}: expected more than 0")
    entries = [preset(name) for name in names]
    with using_threads(threads):
        for entry in entries:
            yield measure(entry, batch=batch, seconds=seconds, backward=backward, budget=budget, backend=backend)


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """``count`` threads for torch and fastspec in this block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compress(u: Tensor, entry: Preset) -> Tensor:
    if entry.log is None:
        return u
    if entry.log == "log1p":
        return torch.log1p(entry.log_scale * u)
    u = u + entry.floor if entry.floor_mode == "add" else u.clamp(min=entry.floor)
    if entry.log == "ln":
        return u.log()
    return u.log10() * (1.0 if entry.log == "log10" else 20.0 / (entry.power or 1.0))


def _seconds(run: Callable[[], Any], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - begin) / calls
