"""Constant-Q beside librosa, nnaudio2 and auvux-dsp: python -m bench.constant_q.

84 bins of 4 clips of 30 s; the three front ends of a vocoder's discriminator, forward and backward; the inverse. One
thread, float32, in one process that all take turns in. Where the results differ, nothing is timed. No time is ever
asserted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastspec import audio
from fastspec.constant_q import icqt
from fastspec.quickbench import runner, take_turns, turn_of
from fastspec.transforms import CQT

SAMPLE_RATE = 22050
F_MIN = 32.70
MUSIC = Path(__file__).parents[1] / "examples" / "audio" / "music.ogg"


def nnaudio2() -> Any:
    os.environ.setdefault("NNAUDIO_DISABLE_CITATION_REMINDER", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nnAudio2 import features
    return features


@dataclass(frozen=True)
class Rival:
    """A task done by fastspec and by another; how far the magnitudes may differ, relative L2 of everything.

    Attributes:
        target: times faster.
        why: where the difference comes from, if it is not rounding.
    """

    task: str
    target: float
    ours: Callable[[Tensor], Tensor]
    theirs: Callable[[Tensor], Tensor]
    allowed: float
    why: str = ""


def forward_rivals() -> Iterator[Rival]:
    """The transforms of 84 bins. librosa's and auvux-dsp's magnitudes are those of convention="librosa"."""
    import librosa
    from auvux import dsp

    same: dict[str, Any] = {"sr": SAMPLE_RATE, "hop_length": 512, "fmin": F_MIN, "n_bins": 84, "bins_per_octave": 12}
    features = nnaudio2()

    def of_librosa(x: Tensor) -> Tensor:
        return torch.from_numpy(np.abs(librosa.cqt(x.numpy(), tuning=0.0, **same)))

    dsp.set_num_threads(1)
    auvux = dsp.CQT(output="magnitude", **same)
    zeros = {"pad_mode": "constant"}
    as_librosa = CQT(convention="librosa", **zeros, **same)
    recursive = CQT(**zeros, **same)
    other = "its lengths, filters and sparsity"
    yield Rival(
        "direct, nnaudio2 CQT1992v2", 10, CQT(algorithm="direct", **same), quiet(features.CQT1992v2, same), 1e-4
    )
    yield Rival("recursive, nnaudio2 CQT2010v2", 80, CQT(**same), quiet(features.CQT2010v2, same), 0.05, "its filters")
    yield Rival("recursive, librosa", 12, recursive, of_librosa, 0.05, other)
    yield Rival("recursive in librosa's convention, librosa", 12, as_librosa, of_librosa, 1e-3)
    yield Rival("recursive, auvux-dsp", 3.5, recursive, lambda x: torch.as_tensor(auvux(x.numpy())), 0.05, other)


def quiet(layer: Callable[..., Any], arguments: dict[str, Any], **more: Any) -> Callable[[Tensor], Tensor]:
    """A layer of nnaudio2, whose complex results end in an axis of 2."""
    module = layer(verbose=False, **arguments, **more)

    def path(x: Tensor) -> Tensor:
        y = module(x)
        return torch.view_as_complex(y.contiguous()) if y.dim() == 4 else y

    return path


FRONT_ENDS = ((512, 24), (256, 36), (256, 48))  # hop, bins an octave
DISCRIMINATOR_RATE = 48000  # twice a vocoder's 24 kHz


def discriminator_rivals() -> Iterator[Rival]:
    """The three front ends of the multi-scale sub-band CQT discriminator, then all of them."""
    features = nnaudio2()
    pairs = []
    for hop, bins in FRONT_ENDS:
        same: dict[str, Any] = {
            "sr": DISCRIMINATOR_RATE,
            "hop_length": hop,
            "n_bins": 9 * bins,
            "bins_per_octave": bins,
            "fmin": F_MIN,
            "pad_mode": "constant",
            "output_format": "Complex",
        }
        pairs.append((CQT(**same), quiet(features.CQT2010v2, same)))
        yield Rival(f"{bins} an octave", 20, *pairs[-1], 0.05, "its filters")

    def all_of(which: int, x: Tensor) -> Tensor:
        return torch.cat([pair[which](x).flatten() for pair in pairs])

    yield Rival("all three", 20, partial(all_of, 0), partial(all_of, 1), 0.05, "its filters")


def compare(rival: Rival, x: Tensor, backward: bool, budget: float, rounds: int) -> str:
    """One line of the table."""
    with torch.no_grad():
        got, other = rival.ours(x).abs(), rival.theirs(x).abs()
        difference = ((got - other).norm() / other.norm()).item()
    if not difference <= rival.allowed:
        return f"| {rival.task} | wrong: off by {difference:.1e} |"
    del got, other
    times = take_turns([turn_of(runner(path, x, backward)) for path in (rival.ours, rival.theirs)], budget, rounds)
    mine, theirs = (1e3 * statistics.median(one) for one in times)
    verdict = "met" if theirs / mine >= rival.target else "missed"
    note = f"{difference:.0e}{': ' + rival.why if rival.why else ''}"
    return (
        f"| {rival.task} | {mine:.3g} | {theirs:.3g} | {theirs / mine:.1f}x | {rival.target:g}x | {verdict} | {note} |"
    )


# ---- the inverse ----------------------------------------------------------------------------------------------------

SHORTEST = 94  # samples, the kernel of bin 83
INVERSE = ((32, 60, 70), (48, 50, 60), (64, 38, 50), (512, 2, 14))  # hop, least dB of noise and of music


def between_bins(x: np.ndarray) -> np.ndarray:
    """Limited to [2 fmin, 0.9 of the top bin], with silent ends."""
    import scipy.signal

    top = F_MIN * 2 ** (83 / 12)
    band = scipy.signal.firwin(4001, [2 * F_MIN, 0.9 * top], pass_zero=False, fs=SAMPLE_RATE)
    return scipy.signal.fftconvolve(x, band, mode="same") * scipy.signal.windows.tukey(len(x), 0.1)


def snr(x: Tensor, back: Tensor) -> float:
    return float(10 * torch.log10(x.square().sum() / (x - back).square().sum()))


Way = Callable[[Tensor, int], tuple[Tensor, float]]  # samples [1, T] and a hop to samples again, and its seconds


def timed(inverse: Callable[..., Tensor], *arguments: Any, **named: Any) -> tuple[Tensor, float]:
    begin = time.perf_counter()
    return inverse(*arguments, **named), time.perf_counter() - begin


def ours_back(x: Tensor, hop: int, n_iter: int = 10) -> tuple[Tensor, float]:
    """Ten iterations."""
    same: dict[str, Any] = {"hop_length": hop, "fmin": F_MIN, "pad_mode": "constant"}
    spectrum = CQT(output_format="Complex", **same).to(x.dtype)(x)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore", UserWarning)  # that r is below 1.3
        return timed(icqt, spectrum, length=x.shape[1], n_iter=n_iter, **same)


def librosa_back(x: Tensor, hop: int) -> tuple[Tensor, float]:
    import librosa

    spectrum = librosa.cqt(x.numpy(), sr=SAMPLE_RATE, hop_length=hop, fmin=F_MIN, tuning=0.0)
    back, seconds = timed(librosa.icqt, spectrum, sr=SAMPLE_RATE, hop_length=hop, fmin=F_MIN, length=x.shape[1])
    return torch.from_numpy(back), seconds


def nnaudio2_back(x: Tensor, hop: int) -> tuple[Tensor, float]:
    """Its own number of iterations, 32."""
    features, same = nnaudio2(), {"hop_length": hop, "fmin": F_MIN, "pad_mode": "constant", "verbose": False}
    spectrum = features.CQT1992v2(output_format="Complex", **same)(x)
    with torch.no_grad():
        return timed(features.iCQT(**same), spectrum, length=x.shape[1])


WAYS: dict[str, Way] = {"fastspec": ours_back, "librosa": librosa_back, "nnaudio2": nnaudio2_back}


def inverse_line(hop: int, least: tuple[float, float], signals: list[Tensor]) -> str:
    """Signal-to-noise ratios of noise and music, dB, and seconds of the inverse."""
    cells, ratios = [], {}
    for name, way in WAYS.items():
        try:
            found = [way(x, hop) for x in signals]
        except Exception as error:  # theirs do not take every hop
            if name == "fastspec":
                raise
            cells.append(type(error).__name__)
            continue
        ratios[name] = [snr(x, back) for x, (back, _) in zip(signals, found, strict=True)]
        seconds = statistics.mean(seconds for _, seconds in found)
        cells.append(f"{ratios[name][0]:.1f} / {ratios[name][1]:.1f} in {seconds:.2g} s")
    met = all(ratio >= bound for ratio, bound in zip(ratios["fastspec"], least, strict=True))
    wanted = f"{least[0]:g} / {least[1]:g} | {'met' if met else 'missed'}"
    return f"| {hop} | {SHORTEST / hop:.2f} | {' | '.join(cells)} | {wanted} |"


def inverse_signals(recording: Path, start: float, seconds: float) -> list[Tensor]:
    """Noise and the recording, [1, T] each."""
    samples, rate = audio.load(recording, offset=start, duration=seconds, mono=True)
    music = audio.resample(samples, rate, SAMPLE_RATE)[0]
    noise = np.random.default_rng(0).standard_normal(len(music))
    return [torch.from_numpy(between_bins(x)).float()[None] for x in (noise, music)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.constant_q", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--budget", type=float, default=4.0, help="seconds a row (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each, at least (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of 4 clips (default: %(default)s)")
    parser.add_argument("--segment", type=float, default=2.0, help="of a discriminator's (default: %(default)s)")
    parser.add_argument("--inverse", type=float, default=5.0, help="of the inverse's clip (default: %(default)s)")
    parser.add_argument("--recording", type=Path, default=MUSIC, help="music to invert (default: the example)")
    parser.add_argument("--start", type=float, default=0.0, help="second at which it begins (default: %(default)s)")
    parser.add_argument("--only", choices=("forward", "discriminator", "inverse"), help="one of the three tables")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("One thread, float32, medians of rounds in turns.")
    generator = torch.Generator().manual_seed(0)
    head = "\n| {} | fastspec, ms | theirs, ms | faster | target | | difference |\n|---|---|---|---|---|---|---|"
    if options.only in (None, "forward"):
        print(head.format(f"84 bins, 4 x {options.seconds:g} s"))
        x = 0.1 * torch.randn(4, round(options.seconds * SAMPLE_RATE), generator=generator)
        ends = torch.arange(x.shape[1]) * (10 / x.shape[1])  # librosa drops what its resampler leaves beyond them
        x *= torch.minimum(ends, ends.flip(0)).clamp(max=1)
        for rival in forward_rivals():
            print(compare(rival, x, False, options.budget, options.rounds), flush=True)
        numbers = sum(buffer.numel() for buffer in CQT(algorithm="direct").buffers())
        theirs = sum(buffer.numel() for buffer in nnaudio2().CQT1992v2(verbose=False).buffers())
        supports = 2 * int(np.ceil(CQT().layout.spec.lengths).sum())
        verdict = "met" if numbers <= supports else "missed"
        print(
            f"\nBuffers: {numbers} numbers, the supports of complex kernels {supports}: {verdict}; nnaudio2 {theirs}."
        )
    if options.only in (None, "discriminator"):
        print(head.format(f"front ends, forward and backward, 4 x {options.segment:g} s"))
        x = 0.1 * torch.randn(4, round(options.segment * DISCRIMINATOR_RATE), generator=generator)
        for rival in discriminator_rivals():
            print(compare(rival, x, True, options.budget, options.rounds), flush=True)
    if options.only in (None, "inverse"):
        print(f"\n| hop, {options.inverse:g} s | r | {' | '.join(f'{name}, dB' for name in WAYS)} | target | |")
        print("|---|---|---|---|---|---|---|")
        signals = inverse_signals(options.recording, options.start, options.inverse)
        for hop, *least in INVERSE:
            print(inverse_line(hop, (least[0], least[1]), signals), flush=True)
        best = [snr(x, ours_back(x.double(), hop, 300)[0]) for x in signals]
        print(f"\nAt hop {hop} the frames hold no more than {best[0]:.1f} / {best[1]:.1f} dB: 300 steps in float64.")


if __name__ == "__main__":
    main()
