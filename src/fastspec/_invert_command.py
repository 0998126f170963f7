"""What ``fastspec invert`` does: spectrograms in files back to sound files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape
from torch import Tensor

from . import functional as F
from . import presets
from ._checks import integer, real
from ._files import outputs, written_whole
from ._spectrogram_command import _TAKES, _option_name, _progress, _settings, _translate
from .dispatch import check_backend
from .transforms._constants import window_tensor

INPUTS = (".npy", ".safetensors")
OUTPUTS = {".wav": ("WAV", "FLOAT"), ".flac": ("FLAC", "PCM_24")}
KINDS = ("stft", "mel")


@dataclass(frozen=True)
class Inversion:
    """The options of one call; ``arguments`` holds those of the spectrogram that the user gave."""

    kind: str | None = None
    preset: str | None = None
    sample_rate: int | None = None
    samples: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    n_iter: int = 32
    momentum: float = 0.99
    seed: int = 0

    def check(self) -> None:
        """ValueError about whatever is wrong for every file."""
        if self.preset:
            presets.preset(self.preset)
        check_backend(self.arguments.get("backend"))
        integer("n_iter", self.n_iter, 0)
        if not 0 <= real("momentum", self.momentum) < 1:
            raise ValueError(f"--momentum {self.momentum}: expected at least 0 and below 1")
        for name in ("sample_rate", "samples"):
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), 1)
        _translate(self.arguments)


def run(options: Inversion, inputs: list[Path], out: Path, threads: int | None, quiet: bool) -> int:
    """Invert every input; the number of those that failed.

    Raises:
        ValueError: options that suit no input, before anything is written.
    """
    console = Console(stderr=True, soft_wrap=True, emoji=False, highlight=False)
    options.check()
    found, failures = _gather(inputs)
    jobs = _plan_outputs(found, inputs, out)
    for message in failures:
        console.print(f"[red]error:[/] {escape(message)}")
    failed = len(failures)
    with _settings(torch.float32, threads), _progress(console, shown=not quiet) as progress:
        task = progress.add_task("", total=options.n_iter)
        for source, target in jobs:
            progress.reset(task, description=escape(source.name), total=options.n_iter)
            try:
                rate, x = _one(options, source, target, lambda done: progress.update(task, completed=done))
            except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
                failed += 1
                text = str(error) or type(error).__name__
                named = text if str(source) in text else f"{source}: {text}"
                console.print(f"[red]error:[/] {escape(named)}")
            else:
                if clipped := _clipped(x, target):
                    peak = x.abs().max().item()
                    console.print(
                        f"[yellow]warning:[/] {escape(str(target))}: {clipped} samples beyond 1 were clipped (the "
                        f"largest is {peak:.3g}); .wav keeps them"
                    )
                if len(jobs) == 1 and not quiet:
                    channels, samples = x.shape
                    about = f"{channels} x {samples}, {samples / rate:.2f} s at {rate} Hz"
                    console.print(f"{escape(str(target))}  [dim]{about}[/]")
    total = len(jobs) + len(failures)
    if total > 1 and not quiet:
        console.print(f"{total - failed} of {total} written to {escape(str(out))}")
    return failed


def _one(options: Inversion, source: Path, target: Path, callback: Callable[[int], None]) -> tuple[int, Tensor]:
    """One file from ``source`` to ``target``; its sample rate, and the samples [C, T]."""
    import soundfile

    values, about = load(source)
    kind, rate, arguments, length = _parameters(options, values, about)
    generator = torch.Generator().manual_seed(options.seed)
    lim = {"n_iter": options.n_iter, "momentum": options.momentum, "generator": generator, "callback": callback}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bands without bins, which were there in the spectrogram, too
        x = samples_of(values, kind, arguments, rate, length, lim)
    format, subtype = OUTPUTS[target.suffix.lower()]
    with written_whole(target) as file:
        soundfile.write(file, x.T.numpy(), rate, format=format, subtype=subtype)
    return rate, x


def _clipped(x: Tensor, target: Path) -> int:
    """Samples that a format of whole numbers cut off."""
    return 0 if OUTPUTS[target.suffix.lower()][1] == "FLOAT" else int((x.abs() > 1).sum())


def load(path: Path) -> tuple[Tensor, dict[str, Any]]:
    """The spectrogram [C, F, M] in a file, and what its metadata tell of it.

    Raises:
        FileNotFoundError, ValueError: there is none; the message names the file.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    about: dict[str, Any] = {}
    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path}: cannot be read as an array ({error})") from error
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{path}: expected one array, got an archive of several")
    elif path.suffix.lower() == ".safetensors":
        array, about = _load_safetensors(path)
    else:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(INPUTS)}")
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.size == 0 or array.dtype.kind not in "fc":
        raise ValueError(
            f"{path}: expected numbers [C, F, M] or [F, M], got {array.dtype} of shape {list(array.shape)}"
        )
    return torch.from_numpy(array.astype(np.complex64 if array.dtype.kind == "c" else np.float32)), about


def _load_safetensors(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ImportError(".safetensors needs safetensors: pip install 'fastspec[safetensors]'") from error
    try:
        with safe_open(path, "numpy") as file:
            names = list(file.keys())
            name = "spectrogram" if "spectrogram" in names or len(names) != 1 else names[0]
            if name not in names:
                raise ValueError(f"{path}: holds no tensor named spectrogram, but {', '.join(names) or 'none'}")
            array, metadata = file.get_tensor(name), file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: cannot be read as safetensors ({error})") from error
    if "complex" in metadata:
        array = array[..., 0] + 1j * array[..., 1]
    return array, {key: _value(text) for key, text in metadata.items()}


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _parameters(
    options: Inversion, values: Tensor, about: dict[str, Any]
) -> tuple[str, int, dict[str, Any], int | None]:
    """Kind, sample rate, arguments of the spectrogram, samples to make: from the file, the preset, the options."""
    entry = presets.preset(options.preset) if options.preset else None
    kind = options.kind or (entry.kind if entry else about.get("kind")) or ("stft" if values.is_complex() else None)
    if kind is None:
        raise ValueError("this file does not tell what it holds: give --kind or --preset")
    if kind not in KINDS:
        raise ValueError(f"a spectrogram of kind {kind} cannot be inverted, but {' and '.join(KINDS)} can")
    rate = options.sample_rate or (entry.sample_rate if entry else about.get("sample_rate"))
    if rate is None:
        raise ValueError("this file does not tell its sample rate: give --sample-rate or --preset")
    given = _translate(options.arguments)
    for key in given:
        if key not in _TAKES[kind]:
            raise ValueError(f"--{_option_name(key)} does not apply to --kind {kind}")
    base = entry.arguments() if entry else about
    arguments = {key: value for key, value in base.items() if key in _TAKES[kind]} | given
    if "n_fft" not in arguments:
        if kind == "mel":
            raise ValueError("this file does not tell its frame length: give --n-fft or --preset")
        if values.shape[-2] < 2:
            raise ValueError(f"a spectrogram has at least 2 bins [F, M], got shape {list(values.shape[-2:])}")
        arguments["n_fft"] = 2 * (values.shape[-2] - 1)
    window = arguments.get("win_length") or arguments["n_fft"]
    arguments.setdefault("hop_length", max(window // 4, 1))  # the default of `fastspec spectrogram`
    length = options.samples
    if length is None and not (entry or given or options.kind or options.sample_rate):
        length = about.get("samples")
    return kind, int(rate), arguments, length


def samples_of(
    values: Tensor, kind: str, arguments: dict[str, Any], rate: int, length: int | None, lim: dict[str, Any]
) -> Tensor:
    """Samples [C, T] of a spectrogram [C, F, M].

    Args:
        values: complex, or any power or logarithm of the magnitude.
        kind: "stft" or "mel".
        arguments: those of ``Spectrogram`` or ``MelSpectrogram`` that made it.
        rate: in Hz.
        length: T, or None.
        lim: keyword arguments of ``functional.griffinlim``: n_iter, momentum, generator, callback.
    """
    get = arguments.get
    n_fft, hop, pad = arguments["n_fft"], arguments["hop_length"], get("pad", 0)
    win: int = get("win_length") or n_fft
    window = window_tensor(get("window_fn", "hann"), win, get("wkwargs"))
    framing = {key: arguments[key] for key in ("center", "center_pad", "backend") if key in arguments}
    normalized = get("normalized", False)
    if values.is_complex():
        if not values.isfinite().all():
            raise ValueError("the array must hold finite numbers; got NaN or infinite ones")
        return F.inverse_spectrogram(values, length, pad, window, n_fft, hop, win, normalized, onesided=None, **framing)
    power = get("power", 2.0)
    if power is None:
        raise ValueError("power is complex, but these values are real: give the --power that they are of")
    ending = (get("log"), power, get("floor", 1e-10), get("floor_mode", "clamp"), get("log_scale", 1.0))
    specgram = F.undo_log(values, *ending)
    if not (specgram >= 0).all() or specgram.isinf().any():
        raise ValueError("the array must hold magnitudes, 0 or more and finite; got NaN, infinite or negative numbers")
    if kind == "mel":
        bank = F.melscale_fbanks(
            n_fft // 2 + 1,
            get("f_min", 0.0),
            get("f_max") or float(rate // 2),
            values.shape[-2],
            rate,
            get("norm"),
            get("mel_scale", "htk"),
        )
        specgram = F.inverse_filterbank(specgram, bank)
    specgram = specgram[:, : n_fft // 2 + 1].contiguous()
    if normalized:
        norm = window.square().sum().sqrt() if normalized in (True, "window") else n_fft**0.5
        specgram = specgram * norm**power
    padded = None if length is None else length + 2 * pad
    x = F.griffinlim(
        specgram,
        window,
        n_fft,
        hop,
        win,
        power,
        momentum=lim["momentum"],
        n_iter=lim["n_iter"],
        length=padded,
        rand_init=True,
        pad_mode=get("pad_mode", "reflect"),
        generator=lim["generator"],
        callback=lim["callback"],
        **framing,
    )
    return x[:, pad : x.shape[1] - pad]


def _gather(inputs: list[Path]) -> tuple[list[tuple[Path, Path]], list[str]]:
    """(file, its path below the folder searched) of every input, and messages about folders without any."""
    found: list[tuple[Path, Path]] = []
    failures = []
    for path in inputs:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in INPUTS and file.is_file())
            found += [(file, file.relative_to(path)) for file in files]
            if not files:
                failures.append(f"{path}: no {' or '.join(INPUTS)} files in this folder")
        else:
            found.append((path, Path(path.name)))
    return found, failures


def _plan_outputs(found: list[tuple[Path, Path]], inputs: list[Path], out: Path) -> list[tuple[Path, Path]]:
    """(input, output) pairs."""
    single = len(inputs) == 1 and not inputs[0].is_dir()
    if out.suffix.lower() in OUTPUTS and not out.is_dir():
        if not single:
            raise ValueError(f"--out {out}: expected a folder, for several inputs")
        return [(found[0][0], out)]
    if single and out.suffix and not out.is_dir():
        raise ValueError(f"--out {out}: expected a name that ends in {' or '.join(OUTPUTS)}, or a folder")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out}: expected a folder, this is a file")
    return outputs(found, out, "wav")
