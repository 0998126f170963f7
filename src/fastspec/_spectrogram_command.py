"""What ``fastspec spectrogram`` does: options to a module, files through it, results to disk."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from . import audio, presets, transforms
from ._files import FORMATS, outputs, require, write
from .dispatch import explain

_FRAMES = {
    "n_fft",
    "win_length",
    "hop_length",
    "window_fn",
    "wkwargs",
    "center",
    "center_pad",
    "pad_mode",
    "pad",
    "power",
    "eps",
    "normalized",
    "backend",
}
_MEL = {"sample_rate", "n_mels", "f_min", "f_max", "mel_scale", "norm"}
_ENDING = {"log", "floor", "floor_mode", "log_scale"}
_TAKES = {
    "stft": _FRAMES | _ENDING | {"onesided"},
    "mel": _FRAMES | _ENDING | _MEL,
    "mfcc": _FRAMES | _MEL | {"n_mfcc", "dct_norm", "log_mels"},
}
_OPTION_NAMES = {"window_fn": "window", "wkwargs": "periodic"}
_LABELS = {"db": "dB", "ln": "ln", "log10": "log10", "log1p": "log1p"}


@dataclass(frozen=True)
class Request:
    """The options of one call; ``arguments`` holds those that the user gave, under the modules' names."""

    kind: str | None = None
    preset: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    mono: bool = False
    offset: float = 0.0
    duration: float | None = None
    resample: int | None = None
    keep_rate: bool = False
    look: dict[str, Any] = field(default_factory=dict)
    title: str | None = None
    dpi: int = 120


class Transform:
    """The module for one sample rate, and how its results are drawn and described."""

    def __init__(self, request: Request, sample_rate: int) -> None:
        entry = presets.preset(request.preset) if request.preset else None
        self.kind = request.kind or (entry.kind if entry else "mel")
        takes = _TAKES[self.kind]
        given = _translate(request.arguments)
        for key in given:
            if key not in takes:
                name = _OPTION_NAMES.get(key, key).replace("_", "-")
                raise ValueError(f"--{name} does not apply to --kind {self.kind}")
        base = entry.arguments() if entry else _defaults(sample_rate, given, "n_mels" in takes)
        self.arguments = {key: value for key, value in base.items() if key in takes} | given
        self.sample_rate = sample_rate
        self.preset = entry
        if "sample_rate" in takes:
            self.arguments["sample_rate"] = sample_rate
        self.module = self._build(dict(self.arguments)).requires_grad_(False)
        explain(self.module, backend=self.arguments.get("backend") or "")  # an unknown backend is an error now

    def _build(self, arguments: dict[str, Any]) -> transforms.Spectrogram | transforms.MelSpectrogram | transforms.MFCC:
        if self.kind == "stft":
            return transforms.Spectrogram(**arguments)
        if self.kind == "mel":
            return transforms.MelSpectrogram(**arguments)
        own = {"n_mfcc": arguments.pop("n_mfcc", 20), "log_mels": arguments.pop("log_mels", False)}
        own |= {"norm": arguments.pop("dct_norm", "ortho"), "sample_rate": arguments.pop("sample_rate")}
        return transforms.MFCC(**own, backend=arguments.pop("backend", None), melkwargs=arguments)

    def __call__(self, samples: NDArray) -> NDArray:
        """``[C, T]`` samples to ``[C, F, M]`` values."""
        waveform = torch.from_numpy(samples).to(torch.get_default_dtype())
        with torch.inference_mode():
            return self.module(waveform).numpy()

    def look(self, offset: float) -> dict[str, Any]:
        """Options of :func:`fastspec.display.specshow` that fit this transform."""
        frames = self.module.plan
        log, power = self.arguments.get("log"), self.arguments.get("power", 2.0)
        axis = {"stft": "hz", "mel": "mel", "mfcc": "mfcc"}[self.kind]
        look = {
            "sample_rate": self.sample_rate,
            "hop_length": frames.hop_length,
            "start": offset + (frames.n_fft / 2 - frames.pad - self.arguments.get("pad", 0)) / self.sample_rate,
            "y_axis": axis if frames.onesided else "index",
            "db": log is None,
            "power": power or 1.0,
            "label": _LABELS[log] if log else None,
        }
        if self.kind == "mel":
            look |= {key: self.arguments[key] for key in ("f_min", "f_max", "mel_scale") if key in self.arguments}
        return look

    def about(self, source: Path) -> dict[str, Any]:
        """What made a result, for the metadata of the file."""
        made = {"source": source.name, "kind": self.kind, **self.arguments, "sample_rate": self.sample_rate}
        return made | ({"preset": self.preset.name} if self.preset else {})


def run(request: Request, inputs: list[Path], out: Path, format: str | None, threads: int | None, quiet: bool) -> int:
    """Transform every input; the number of those that failed.

    Raises:
        ValueError, TypeError, NotImplementedError, ImportError: options that suit no input, before anything
            is written.
    """
    console = Console(stderr=True, soft_wrap=True, emoji=False, highlight=False)
    audio.check_part(request.offset, request.duration)
    if request.preset:
        presets.preset(request.preset)
    found, failures = _gather(inputs)
    jobs = _plan_outputs(found, inputs, out, format)
    for suffix in {path.suffix.lower().lstrip(".") for _, path in jobs}:
        require(suffix)
    for message in failures:
        console.print(f"[red]error:[/] {escape(message)}")
    dtype = request.arguments.get("dtype", "float32")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype={dtype!r}: expected float32 or float64")
    made: dict[int, Transform] = {}
    failed = len(failures)
    with (
        _settings(getattr(torch, dtype), threads),
        _progress(console, shown=len(jobs) > 1 and not quiet) as progress,
    ):
        task = progress.add_task("", total=len(jobs))
        for source, target in jobs:
            progress.update(task, description=escape(source.name))
            try:
                shape = _one(request, source, target, made, console)
            except _OptionError as error:
                raise ValueError(str(error)) from error.__cause__
            except (
                ValueError,
                OSError,
                ImportError,
                NotImplementedError,
                RuntimeError,
                MemoryError,
            ) as error:
                failed += 1
                text = str(error) or type(error).__name__
                named = text if str(source) in text else f"{source}: {text}"
                console.print(f"[red]error:[/] {escape(named)}")
            else:
                if len(jobs) == 1 and not quiet:
                    console.print(f"{escape(str(target))}  [dim]{' x '.join(map(str, shape))}[/]")
            progress.advance(task)
    total = len(jobs) + len(failures)
    if total > 1 and not quiet:
        console.print(f"{total - failed} of {total} written to {escape(str(out))}")
    return failed


class _OptionError(Exception):
    """Options that cannot work, seen when the first module is made from them."""


def _one(request: Request, source: Path, target: Path, made: dict[int, Transform], console: Console) -> tuple[int, ...]:
    """One file from ``source`` to ``target``; the shape of the result."""
    samples, rate = audio.load(source, offset=request.offset, duration=request.duration, mono=request.mono)
    samples, rate = _at_wanted_rate(request, source, samples, rate)
    if rate not in made:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                made[rate] = Transform(request, rate)
            except (ValueError, TypeError, NotImplementedError) as error:
                if made:
                    raise
                raise _OptionError(str(error)) from error
        for warning in caught:
            console.print(f"[yellow]warning:[/] {escape(str(warning.message))}")
    transform = made[rate]
    values = transform(samples)
    if request.mono:
        values = values[0]
    look = transform.look(request.offset) | {key: value for key, value in request.look.items() if value is not None}
    title = source.name if request.title is None else request.title or None
    write(target, values, transform.about(source), partial(_draw, title=title, dpi=request.dpi, look=look))
    return values.shape


def _draw(values: NDArray, file: BinaryIO, *, title: str | None, dpi: int, look: dict[str, Any]) -> None:
    from .display import picture

    picture(values, title=title, **look).savefig(file, format="png", dpi=dpi)


def _at_wanted_rate(request: Request, source: Path, samples: NDArray, rate: int) -> tuple[NDArray, int]:
    """The samples at the rate asked for, or at the preset's; a preset is not quietly run at another rate."""
    wanted = request.resample
    if wanted is None and request.preset and not request.keep_rate:
        wanted = presets.preset(request.preset).sample_rate
    if wanted is None or wanted == rate:
        return samples, rate
    if wanted < 1:
        raise _OptionError(f"--resample {wanted}: expected Hz, 1 or more")
    try:
        return audio.resample(samples, rate, wanted), wanted
    except ImportError as error:
        hint = " (or --keep-rate, to run the preset at the file's own rate)" if request.resample is None else ""
        raise ImportError(f"{source}: {error}{hint}") from error


def _translate(arguments: dict[str, Any]) -> dict[str, Any]:
    """Options as typed to the modules' arguments: "none" to None, "kaiser:12" to ("kaiser", 12.0)."""
    given = {key: value for key, value in arguments.items() if key not in ("dtype", "periodic")}
    for key in ("norm", "dct_norm", "log"):
        if given.get(key) == "none":
            given[key] = None
    if given.get("normalized") == "none":
        given["normalized"] = False
    if "power" in given:
        given["power"] = _power(given["power"])
    name, _, parameter = str(given.get("window_fn", "")).partition(":")
    if parameter:
        try:
            given["window_fn"] = (name, float(parameter))
        except ValueError as error:
            raise ValueError(f"--window {name}:{parameter}: expected a number after the colon") from error
    if "periodic" in arguments:
        given["wkwargs"] = {"periodic": arguments["periodic"]}
    return given


def _power(text: str) -> float | None:
    if text in ("complex", "none"):
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"--power {text}: expected a number or complex") from error


def _defaults(sample_rate: int, given: dict[str, Any], bands: bool) -> dict[str, Any]:
    """Frames of about 50 ms, a quarter of a window apart, and bands that all hold bins."""
    n_fft = given.get("n_fft") or 2 ** max(5, round(math.log2(0.0464 * sample_rate)))
    window = given.get("win_length") or n_fft
    defaults: dict[str, Any] = {"n_fft": n_fft, "hop_length": max(window // 4, 1), "window_fn": "hann"}
    if bands:
        defaults["n_mels"] = 128 if sample_rate >= 32000 else 80
    return defaults


def _gather(inputs: list[Path]) -> tuple[list[tuple[Path, Path]], list[str]]:
    """(file, its path below the folder searched) of every input, and messages about folders without audio."""
    found: list[tuple[Path, Path]] = []
    failures = []
    for path in inputs:
        if path.is_dir():
            files = audio.find(path)
            found += [(file, file.relative_to(path)) for file in files]
            if not files:
                failures.append(f"{path}: no sound files ({', '.join(audio.SUFFIXES)}) in this folder")
        else:
            found.append((path, Path(path.name)))
    return found, failures


def _plan_outputs(
    found: list[tuple[Path, Path]], inputs: list[Path], out: Path, format: str | None
) -> list[tuple[Path, Path]]:
    """(input, output) pairs."""
    ending = out.suffix.lower().lstrip(".")
    single = len(inputs) == 1 and not inputs[0].is_dir()
    if ending in FORMATS and not out.is_dir():
        if not single:
            raise ValueError(
                f"--out {out}: expected a folder, for several inputs; choose the format by --format {ending}"
            )
        if format not in (None, ending):
            raise ValueError(f"--out {out} and --format {format} disagree")
        return [(found[0][0], out)]
    if single and ending and not out.is_dir():
        raise ValueError(f"--out {out}: expected a name that ends in .{', .'.join(FORMATS)}, or a folder")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out}: expected a folder, this is a file")
    return outputs(found, out, format or "png")


@contextmanager
def _settings(dtype: torch.dtype, threads: int | None) -> Iterator[None]:
    """torch's default dtype (the modules make their constants in it) and threads, put back afterwards."""
    if threads is not None and threads < 1:
        raise ValueError(f"--threads {threads}: expected 1 or more")
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads or before[1])
    try:
        yield
    finally:
        torch.set_default_dtype(before[0])
        torch.set_num_threads(before[1])


def _progress(console: Console, shown: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not (shown and console.is_terminal), transient=True)
