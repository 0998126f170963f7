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
from .bases.gammatone import gammatone_frequencies
from .dispatch import check_backend, explain
from .display import check_look

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
    "fbank": {"win_length", "hop_length", "window_fn", "n_mels", "f_min", "f_max", "log", "backend"},
    "cqt": {"hop_length", "f_min", "n_bins", "bins_per_octave", "pad_mode", "backend"},
    "vqt": {"hop_length", "f_min", "n_bins", "bins_per_octave", "gamma", "pad_mode", "backend"},
    "gammatone": (_FRAMES | _ENDING | {"f_min", "f_max", "n_bins"}) - {"wkwargs", "pad", "center_pad", "normalized"},
    "chroma": {"hop_length", "f_min", "backend"},
}
_NOTES = ("cqt", "vqt", "chroma")
_Y_AXES = {  # the default first
    "stft": ("hz", "log", "index"),
    "mel": ("mel", "index"),
    "mfcc": ("mfcc", "index"),
    "fbank": ("mel", "index"),
    "cqt": ("note", "hz", "index"),
    "vqt": ("note", "hz", "index"),
    "gammatone": ("hz", "index"),
    "chroma": ("chroma", "index"),
}
_C1 = 440.0 * 2.0 ** (-45 / 12)  # Hz
_ANY_RATE = 2**20  # Hz; the default n_fft is the largest here, and every frequency is below the half of it
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

    @property
    def entry(self) -> presets.Preset | None:
        """The preset, if any."""
        return presets.preset(self.preset) if self.preset else None

    @property
    def made_kind(self) -> str:
        """What is made: as asked for, or the preset's."""
        return self.kind or (self.entry.kind if self.entry else "mel")

    @property
    def rate(self) -> int | None:
        """The one sample rate of all files: as asked for, or the preset's; None for their own ones."""
        if self.resample is None and self.entry and not self.keep_rate:
            return self.entry.sample_rate
        return self.resample

    @property
    def y_axes(self) -> tuple[str, ...]:
        """The axes that tell the truth about the rows, the default first."""
        return _Y_AXES[self.made_kind] if self.arguments.get("onesided", True) else ("index",)

    def check(self, formats: set[str]) -> None:
        """ValueError about whatever is wrong for every file, and ImportError if a format cannot be written."""
        audio.check_part(self.offset, self.duration)
        if self.preset:
            presets.preset(self.preset)
        if self.resample is not None and self.resample < 1:
            raise ValueError(f"--resample {self.resample}: expected Hz, 1 or more")
        axis = self.look.get("y_axis")
        if axis is not None and axis not in self.y_axes:
            of = f"--kind {self.made_kind}" + ("" if self.arguments.get("onesided", True) else " --twosided")
            raise ValueError(f"--y-axis {axis} does not apply to {of}: expected {' or '.join(self.y_axes)}")
        for format in formats:
            require(format)
        look = {key: self.look[key] for key in ("top_db", "cmap", "size") if self.look.get(key) is not None}
        if "png" not in formats:
            look.pop("cmap", None)  # matplotlib, which knows the names, need not be there
        check_look(dpi=self.dpi, **look)


class Transform:
    """The module for one sample rate, and how its results are drawn and described."""

    def __init__(self, request: Request, sample_rate: int) -> None:
        entry = request.entry
        self.kind = request.made_kind
        takes = _TAKES[self.kind]
        given = _translate(request.arguments)
        for key in given:
            if key not in takes:
                raise ValueError(f"--{_option_name(key)} does not apply to --kind {self.kind}")
        if self.kind == "fbank":
            self.arguments = _kaldi_options(given, sample_rate, entry)
        elif self.kind in _NOTES:
            if entry:
                raise ValueError(f"--preset {entry.name} does not apply to --kind {self.kind}")
            self.arguments = _note_options(self.kind, given, sample_rate)
        else:
            base = entry.arguments() if entry else _defaults(sample_rate, given, "n_mels" in takes)
            self.arguments = {key: value for key, value in base.items() if key in takes} | given
        self.sample_rate = sample_rate
        self.preset = entry
        self.y_axis = request.look.get("y_axis") or request.y_axes[0]
        if "sample_rate" in takes:
            self.arguments["sample_rate"] = sample_rate
        self.module = self._build(dict(self.arguments)).requires_grad_(False)
        check_backend(self.arguments.get("backend"))  # an unknown one is an error now
        if self.kind not in _NOTES:
            explain(self.module, backend=self.arguments.get("backend") or "")

    def _build(self, arguments: dict[str, Any]) -> Any:
        if self.kind == "fbank":
            return transforms.KaldiFbank(**arguments)
        if self.kind == "stft":
            return transforms.Spectrogram(**arguments)
        if self.kind == "gammatone":
            named = {"n_bands" if key == "n_bins" else key: value for key, value in arguments.items()}
            return transforms.Gammatonegram(sample_rate=self.sample_rate, **named)
        if self.kind in _NOTES:
            layer = {"cqt": transforms.CQT, "vqt": transforms.VQT, "chroma": partial(transforms.Chroma, kind="cqt")}
            return layer[self.kind](sr=self.sample_rate, **arguments)
        if self.kind == "mel":
            return transforms.MelSpectrogram(**arguments)
        own = {"n_mfcc": arguments.pop("n_mfcc", 20), "log_mels": arguments.pop("log_mels", False)}
        own |= {"norm": arguments.pop("dct_norm", "ortho"), "sample_rate": arguments.pop("sample_rate")}
        return transforms.MFCC(**own, backend=arguments.pop("backend", None), melkwargs=arguments)

    def __call__(self, samples: NDArray) -> NDArray:
        """``[C, T]`` samples to ``[C, F, M]`` values."""
        waveform = torch.from_numpy(samples).to(torch.get_default_dtype())
        with torch.inference_mode():
            values = self.module(waveform)
            return (values.mT if self.kind == "fbank" else values).numpy()

    def look(self, offset: float) -> dict[str, Any]:
        """Options of :func:`fastspec.display.specshow` that fit this transform."""
        if self.kind in _NOTES:
            look = {"sample_rate": self.sample_rate, "hop_length": self.arguments["hop_length"], "start": offset}
            look |= {"y_axis": self.y_axis, "power": 1.0, "db": self.kind != "chroma"}
            if self.kind == "chroma":
                look["label"] = "share of the loudest"
            if self.y_axis in ("note", "hz"):
                look["frequencies"] = self.module.frequencies.numpy()
            return look
        frames = self.module.plan
        log, power = self.arguments.get("log"), self.arguments.get("power", 2.0)
        if self.kind == "fbank":
            log = "ln" if self.arguments.get("use_log_fbank", True) else None
        look = {
            "sample_rate": self.sample_rate,
            "hop_length": frames.hop_length,
            "n_fft": frames.n_fft,
            "start": offset + (frames.n_fft / 2 - frames.pad - self.arguments.get("pad", 0)) / self.sample_rate,
            "y_axis": self.y_axis,
            "db": log is None and self.kind != "mfcc",
            "power": power or 1.0,
            "label": _LABELS[log] if log else None,
        }
        if self.y_axis == "mel":
            look |= {key: self.arguments[key] for key in ("f_min", "f_max", "mel_scale") if key in self.arguments}
        if self.kind == "gammatone":
            del look["n_fft"]
            if self.y_axis == "hz":
                _, f_min, f_max, n_bands, _ = self.module._range
                look["frequencies"] = gammatone_frequencies(n_bands, f_min, f_max)
        if self.kind == "fbank" and self.y_axis == "mel":
            high = self.arguments.get("high_freq", 0.0)
            high += 0.5 * self.sample_rate if high <= 0 else 0.0
            look |= {"f_min": self.arguments.get("low_freq", 20.0), "f_max": high, "mel_scale": "kaldi"}
        return look

    def about(self, source: Path, samples: int) -> dict[str, Any]:
        """What made a result, and of how many samples, for the metadata of the file."""
        made = {"source": source.name, "kind": self.kind, **self.arguments, "sample_rate": self.sample_rate}
        made["samples"] = samples
        return made | ({"preset": self.preset.name} if self.preset else {})


def run(request: Request, inputs: list[Path], out: Path, format: str | None, threads: int | None, quiet: bool) -> int:
    """Transform every input; the number of those that failed.

    Raises:
        ValueError, TypeError, NotImplementedError, ImportError: options that suit no input, before anything
            is written.
    """
    console = Console(stderr=True, soft_wrap=True, emoji=False, highlight=False)
    found, failures = _gather(inputs)
    jobs = _plan_outputs(found, inputs, out, format)
    request.check({path.suffix.lower().lstrip(".") for _, path in jobs})
    for message in failures:
        console.print(f"[red]error:[/] {escape(message)}")
    dtype = request.arguments.get("dtype", "float32")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype={dtype!r}: expected float32 or float64")
    made = _Transforms(request, console)
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
                TypeError,
                OSError,
                ImportError,
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
    """Options that cannot work, whatever the file."""


class _Transforms:
    """The module for every sample rate that was met."""

    def __init__(self, request: Request, console: Console) -> None:
        self.request = request
        self.console = console
        self.made: dict[int, Transform] = {}
        self.suits_some_rate = False

    def at(self, rate: int) -> Transform:
        """The module for ``rate``; an _OptionError if the options suit no file, ValueError if not this rate."""
        if rate not in self.made:
            with _shown_warnings(self.console):
                try:
                    self.made[rate] = Transform(self.request, rate)
                except (ValueError, TypeError, NotImplementedError) as error:
                    self._check_other_rates(error)
                    raise
            self.suits_some_rate = True
        return self.made[rate]

    def _check_other_rates(self, error: Exception) -> None:
        if self.suits_some_rate:
            return
        if self.request.rate is not None:
            raise _OptionError(str(error)) from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                Transform(self.request, 192000 if self.request.made_kind in _NOTES else _ANY_RATE)
            except (ValueError, TypeError, NotImplementedError):
                raise _OptionError(str(error)) from error
        self.suits_some_rate = True


@contextmanager
def _shown_warnings(console: Console) -> Iterator[None]:
    """Warnings as lines of ours, once all went well."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        console.print(f"[yellow]warning:[/] {escape(message)}")


def _one(request: Request, source: Path, target: Path, made: _Transforms, console: Console) -> tuple[int, ...]:
    """One file from ``source`` to ``target``; the shape of the result."""
    samples, rate = audio.load(source, offset=request.offset, duration=request.duration, mono=request.mono)
    samples, rate = _at_wanted_rate(request, source, samples, rate)
    transform = made.at(rate)
    values = transform(samples)
    if request.mono:
        values = values[0]
    look = transform.look(request.offset) | {key: value for key, value in request.look.items() if value is not None}
    name = source.name.replace("$", r"\$")  # a pair of dollars would be a formula to matplotlib
    title = name if request.title is None else request.title or None
    with _shown_warnings(console):
        write(
            target,
            values,
            transform.about(source, samples.shape[-1]),
            partial(_draw, title=title, dpi=request.dpi, look=look),
        )
    return values.shape


def _draw(values: NDArray, file: BinaryIO, *, title: str | None, dpi: int, look: dict[str, Any]) -> None:
    from .display import picture

    picture(values, title=title, **look).savefig(file, format="png", dpi=dpi)


def _at_wanted_rate(request: Request, source: Path, samples: NDArray, rate: int) -> tuple[NDArray, int]:
    """The samples at the rate asked for, or at the preset's; a preset is not quietly run at another rate."""
    wanted = request.rate
    if wanted is None or wanted == rate:
        return samples, rate
    try:
        return audio.resample(samples, rate, wanted), wanted
    except ImportError as error:
        hint = " (or --keep-rate, to run the preset at the file's own rate)" if request.resample is None else ""
        raise ImportError(f"{source}: {error}{hint}") from error


def _option_name(key: str) -> str:
    """The option of an argument."""
    return _OPTION_NAMES.get(key, key).replace("_", "-")


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


def _kaldi_options(given: dict[str, Any], sample_rate: int, entry: presets.Preset | None) -> dict[str, Any]:
    """Options under the names of ``KaldiFbank``; 80 bands unless a preset or the user says otherwise."""
    options: dict[str, Any] = entry.arguments() if entry and entry.kind == "fbank" else {"num_mel_bins": 80}
    options["sample_frequency"] = float(sample_rate)
    names = {"n_mels": "num_mel_bins", "f_min": "low_freq", "f_max": "high_freq", "window_fn": "window_type"}
    for key, value in given.items():
        if key in ("win_length", "hop_length"):
            name = "frame_length" if key == "win_length" else "frame_shift"
            options[name] = 1000.0 * (value + 0.5) / sample_rate  # cut to whole samples
        elif key == "log":
            if value not in (None, "ln"):
                raise ValueError(f"--log {value}: expected ln or none for --kind fbank")
            options["use_log_fbank"] = value == "ln"
        else:
            options[names.get(key, key)] = value
    return options


def _note_options(kind: str, given: dict[str, Any], sample_rate: int) -> dict[str, Any]:
    """Options under the names of ``CQT``, ``VQT`` and ``Chroma``: frames 12 ms apart, notes from C1 up."""
    fmin = given.pop("f_min", _C1)
    options = {"hop_length": 2 ** max(0, round(math.log2(0.0116 * sample_rate))), "fmin": fmin, **given}
    octaves = max(1, min(7, int(math.log2(sample_rate / 2 / fmin)) if 0 < fmin < sample_rate / 4 else 1))
    if kind == "chroma":
        return options | {"n_octaves": octaves}
    bins = options.setdefault("bins_per_octave", 24)
    options.setdefault("n_bins", octaves * bins)
    return options | ({"gamma": None} if kind == "vqt" and "gamma" not in given else {})


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
