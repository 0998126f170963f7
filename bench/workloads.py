"""What is timed, and what is hoped for: data, without behaviour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fastspec.presets import Preset, preset


@dataclass(frozen=True)
class Workload:
    """One transform of a batch of clips.

    Attributes:
        name: unique, and readable in a table.
        entry: the transform. Logarithms are log10(max(u, 1e-10)), which every rival can be made to compute.
        batch, seconds: clips, and the length of each.
        passes: "forward", or "both" for forward and the gradient of the samples together.
    """

    name: str
    entry: Preset
    batch: int = 4
    seconds: float = 30.0
    passes: tuple[str, ...] = ("forward", "both")


def _stft(n_fft: int, hop_length: int, sample_rate: int) -> Preset:
    return Preset(
        f"magnitude {n_fft}/{hop_length}",
        "torch.stft(...).abs()",
        kind="stft",
        sample_rate=sample_rate,
        n_fft=n_fft,
        win_length=n_fft,
        hop_length=hop_length,
        power=1.0,
    )


_STFT = (
    _stft(400, 160, 16000),
    _stft(512, 128, 22050),
    _stft(1024, 256, 22050),
    _stft(2048, 512, 22050),
    _stft(4096, 1024, 44100),
)
_MEL = (
    replace(preset("whisper"), name="log-mel 400/160/80"),
    Preset("log-mel 1024/256/80", "the sizes of HiFi-GAN", sample_rate=22050, f_max=8000.0, log="log10"),
    Preset(
        "log-mel 2048/512/128",
        "librosa.feature.melspectrogram's defaults",
        sample_rate=22050,
        n_fft=2048,
        win_length=2048,
        hop_length=512,
        n_mels=128,
        log="log10",
    ),
)

_KALDI = Preset(
    "Kaldi fbank 400/160/80",
    "torchaudio.compliance.kaldi.fbank(num_mel_bins=80)",
    kind="fbank",
    n_fft=512,
    win_length=400,
    hop_length=160,
    f_min=20.0,
    window="povey",
    log="ln",
    floor=2.0**-23,
)

LONG = tuple(Workload(entry.name, entry) for entry in (*_STFT, *_MEL, _KALDI))
"""Four clips of 30 s."""

SHORT = tuple(
    Workload(f"{entry.name}, 1 s", entry, batch=1, seconds=1.0, passes=("forward",))
    for entry in (*_STFT, *_MEL, _KALDI)
)
"""One clip of 1 s: what a call costs."""

WORKLOADS = (*LONG, *SHORT)


@dataclass(frozen=True)
class Target:
    """``slow`` must take at least ``factor`` times as long as ``fast``."""

    what: str
    workload: str
    pass_: str
    factor: float
    slow: str = "torch"
    fast: str = "fastspec"
    threads: int = 1


_OVER_TORCH = {
    ("magnitude 400/160", "forward"): 6.0,
    ("magnitude 512/128", "forward"): 10.0,
    ("magnitude 1024/256", "forward"): 10.0,
    ("magnitude 2048/512", "forward"): 10.0,
    ("magnitude 4096/1024", "forward"): 6.0,
    ("log-mel 400/160/80", "forward"): 9.0,
    ("log-mel 1024/256/80", "forward"): 18.0,
    ("log-mel 2048/512/128", "forward"): 16.0,
    ("log-mel 400/160/80", "both"): 15.0,
    ("log-mel 1024/256/80", "both"): 18.0,
    ("log-mel 2048/512/128", "both"): 16.0,
}


def _targets() -> Iterator[Target]:
    for (name, pass_), factor in _OVER_TORCH.items():
        yield Target("over torch", name, pass_, factor)
        yield Target("AVX2 over torch", name, pass_, factor / 2, fast="fastspec, avx2")
        yield Target("two threads over one", name, pass_, 1.7, slow="fastspec, 1 thread", threads=2)
        if "400/" not in name:
            yield Target("over auvux-dsp", name, pass_, 3.5, slow="auvux-dsp")
        if name.startswith("magnitude"):
            yield Target("over MKL's bare rfft", name, pass_, 1.0, slow="MKL rfft alone")
    yield Target("over a loop of torchaudio's", _KALDI.name, "forward", 8.0, slow="torchaudio")
    for workload in SHORT:
        yield Target("over torch", workload.name, "forward", 3.0)


TARGETS = tuple(_targets())
"""Set before anything was measured here, after a prototype on another machine."""
