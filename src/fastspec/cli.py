"""The command ``fastspec``: spectrograms of sound files and back, and facts about this machine."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

app = typer.Typer(
    name="fastspec",
    help="Spectrograms by fused kernels: pictures and arrays from sound files.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Kind(str, Enum):
    stft = "stft"
    mel = "mel"
    mfcc = "mfcc"
    fbank = "fbank"
    cqt = "cqt"
    vqt = "vqt"
    gammatone = "gammatone"
    chroma = "chroma"


class Log(str, Enum):
    none = "none"
    ln = "ln"
    log10 = "log10"
    log1p = "log1p"
    db = "db"


class Format(str, Enum):
    png = "png"
    npy = "npy"
    safetensors = "safetensors"


class Axis(str, Enum):
    hz = "hz"
    log = "log"
    mel = "mel"
    mfcc = "mfcc"
    note = "note"
    chroma = "chroma"
    numbers = "index"  # str has a method index


_FRAMES, _MEL, _NOTES = "Frames", "Mel, MFCC", "Notes, gammatones"
_VALUES, _INPUT, _PICTURE, _RUN = "Values", "Input", "Picture", "Run"


def _option(help: str, panel: str, *names: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False)


@app.command()
def spectrogram(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Sound files, or folders of them.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="OUT", help="A .png, .npy or .safetensors file; a folder for many."),
    ],
    kind: Annotated[Kind | None, typer.Option(help="Default: mel, or the preset's.", show_default=False)] = None,
    preset: Annotated[str | None, typer.Option(help="Front end of a published model: see `fastspec presets`.")] = None,
    format: Annotated[Format | None, typer.Option(help="Of many outputs. Default: png.", show_default=False)] = None,
    mono: Annotated[
        bool, _option("Average the channels; an array then has rows and frames alone.", _INPUT, "--mono")
    ] = False,
    offset: Annotated[float, _option("Seconds to skip.", _INPUT)] = 0.0,
    duration: Annotated[float | None, _option("Seconds to read.", _INPUT)] = None,
    resample: Annotated[int | None, _option("Resample to this many Hz first (extra: resample).", _INPUT)] = None,
    keep_rate: Annotated[
        bool, _option("Use a preset at the file's own, other, sample rate.", _INPUT, "--keep-rate")
    ] = False,
    n_fft: Annotated[int | None, _option("Frame length, samples. Default: about 50 ms.", _FRAMES)] = None,
    win_length: Annotated[int | None, _option("Window length, samples. Default: n_fft.", _FRAMES)] = None,
    hop_length: Annotated[int | None, _option("Samples between frames. Default: win_length / 4.", _FRAMES)] = None,
    window: Annotated[str | None, _option("hann, hamming, povey, kaiser:12, ... Default: hann.", _FRAMES)] = None,
    periodic: Annotated[
        bool | None, _option("Window form. Default: periodic.", _FRAMES, "--periodic/--symmetric")
    ] = None,
    center: Annotated[bool | None, _option("Pad both sides. Default: center.", _FRAMES, "--center/--no-center")] = None,
    center_pad: Annotated[int | None, _option("Samples padded per side. Default: n_fft / 2.", _FRAMES)] = None,
    pad_mode: Annotated[
        str | None, _option("reflect, constant, replicate, circular. Default: reflect.", _FRAMES)
    ] = None,
    pad: Annotated[int | None, _option("Zeros added per side before all else. Default: 0.", _FRAMES)] = None,
    onesided: Annotated[bool | None, _option("Default: onesided (stft).", _FRAMES, "--onesided/--twosided")] = None,
    n_mels: Annotated[int | None, _option("Bands. Default: 80, from 32 kHz on 128.", _MEL)] = None,
    f_min: Annotated[float | None, _option("Hz. Default: 0.", _MEL)] = None,
    f_max: Annotated[float | None, _option("Hz. Default: half the sample rate.", _MEL)] = None,
    mel_scale: Annotated[str | None, _option("htk, slaney, kaldi. Default: htk.", _MEL)] = None,
    norm: Annotated[str | None, _option("none, slaney. Default: none.", _MEL)] = None,
    n_mfcc: Annotated[int | None, _option("Coefficients. Default: 20.", _MEL)] = None,
    dct_norm: Annotated[str | None, _option("ortho, none. Default: ortho.", _MEL)] = None,
    log_mels: Annotated[bool | None, _option("MFCC of ln(mel) instead of dB.", _MEL, "--log-mels/--db-mels")] = None,
    n_bins: Annotated[int | None, _option("Bins (cqt, vqt: 7 octaves), bands (gammatone: 64).", _NOTES)] = None,
    bins_per_octave: Annotated[int | None, _option("Default: 24.", _NOTES)] = None,
    gamma: Annotated[float | None, _option("Hz added to the bandwidths of vqt. Default: ERB's.", _NOTES)] = None,
    power: Annotated[str | None, _option("Exponent of the magnitude, or 'complex'. Default: 2.", _VALUES)] = None,
    eps: Annotated[float | None, _option("Added under the root. Default: 0.", _VALUES)] = None,
    normalized: Annotated[str | None, _option("none, window, frame_length. Default: none.", _VALUES)] = None,
    log: Annotated[Log | None, _option("Compression of the values. Default: none.", _VALUES)] = None,
    db: Annotated[bool, _option("Short for --log db.", _VALUES, "--db")] = False,
    floor: Annotated[float | None, _option("Smallest value under the logarithm. Default: 1e-10.", _VALUES)] = None,
    floor_mode: Annotated[str | None, _option("clamp, add. Default: clamp.", _VALUES)] = None,
    log_scale: Annotated[float | None, _option("s in log1p(s x). Default: 1.", _VALUES)] = None,
    y_axis: Annotated[
        Axis | None,
        _option("stft: hz, log; mel, fbank: mel; mfcc: mfcc; cqt: note, hz; all: index. Default: the first.", _PICTURE),
    ] = None,
    top_db: Annotated[float, _option("dB shown below the loudest. Default: 80.", _PICTURE)] = 80.0,
    cmap: Annotated[str | None, _option("matplotlib's colour map. Default: magma.", _PICTURE)] = None,
    title: Annotated[str | None, _option("Default: the file's name. '' for none.", _PICTURE)] = None,
    size: Annotated[tuple[float, float], _option("Width and panel height, inches. Default: 10 4.", _PICTURE)] = (10, 4),
    dpi: Annotated[int, _option("Pixels per inch. Default: 120.", _PICTURE)] = 120,
    backend: Annotated[str | None, _option("cpu, reference, ... Default: the best.", _RUN)] = None,
    dtype: Annotated[str | None, _option("float32, float64. Default: float32.", _RUN)] = None,
    threads: Annotated[int | None, _option("Default: torch's choice.", _RUN)] = None,
    quiet: Annotated[bool, _option("Say nothing but errors.", _RUN, "--quiet", "-q")] = False,
) -> None:
    """Pictures or arrays of the spectrograms of sound files.

    A png shows decibels below the loudest value, unless a logarithm is chosen. An array holds the values
    themselves: channels, rows, frames. Files that cannot be read are named and left out; the exit code is 1.
    """
    from ._spectrogram_command import Request, run

    if db and log not in (None, Log.db):
        _fail("--db and --log exclude each other", 2)
    arguments = {
        "n_fft": n_fft,
        "win_length": win_length,
        "hop_length": hop_length,
        "window_fn": window,
        "periodic": periodic,
        "center": center,
        "center_pad": center_pad,
        "pad_mode": pad_mode,
        "pad": pad,
        "onesided": onesided,
        "n_mels": n_mels,
        "f_min": f_min,
        "f_max": f_max,
        "mel_scale": mel_scale,
        "norm": norm,
        "n_mfcc": n_mfcc,
        "dct_norm": dct_norm,
        "log_mels": log_mels,
        "n_bins": n_bins,
        "bins_per_octave": bins_per_octave,
        "gamma": gamma,
        "power": power,
        "eps": eps,
        "normalized": normalized,
        "log": "db" if db else log and log.value,
        "floor": floor,
        "floor_mode": floor_mode,
        "log_scale": log_scale,
        "backend": backend,
        "dtype": dtype,
    }
    request = Request(
        kind=kind and kind.value,
        preset=preset,
        arguments={key: value for key, value in arguments.items() if value is not None},
        mono=mono,
        offset=offset,
        duration=duration,
        resample=resample,
        keep_rate=keep_rate,
        look={"top_db": top_db, "cmap": cmap, "size": size, "y_axis": y_axis and y_axis.value},
        title=title,
        dpi=dpi,
    )
    try:
        failures = run(request, inputs, out, format and format.value, threads, quiet)
    except (ValueError, TypeError, NotImplementedError, ImportError, OSError) as error:
        _fail(str(error), 2)
    if failures:
        raise typer.Exit(1)


@app.command()
def invert(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Spectrograms, .npy or .safetensors.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="A .wav or .flac file; a folder for many.")],
    kind: Annotated[
        Kind | None, typer.Option(help="stft, mel. Default: what the file tells.", show_default=False)
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Front end that made it: see `fastspec presets`.")] = None,
    sample_rate: Annotated[int | None, _option("Hz.", _INPUT)] = None,
    samples: Annotated[int | None, _option("Length of the result. Default: what the file tells.", _INPUT)] = None,
    n_fft: Annotated[int | None, _option("Frame length, samples.", _FRAMES)] = None,
    win_length: Annotated[int | None, _option("Window length, samples. Default: n_fft.", _FRAMES)] = None,
    hop_length: Annotated[int | None, _option("Samples between frames. Default: win_length / 4.", _FRAMES)] = None,
    window: Annotated[str | None, _option("hann, hamming, povey, kaiser:12, ... Default: hann.", _FRAMES)] = None,
    periodic: Annotated[
        bool | None, _option("Window form. Default: periodic.", _FRAMES, "--periodic/--symmetric")
    ] = None,
    center: Annotated[bool | None, _option("Padded. Default: center.", _FRAMES, "--center/--no-center")] = None,
    center_pad: Annotated[int | None, _option("Samples padded per side. Default: n_fft / 2.", _FRAMES)] = None,
    pad_mode: Annotated[
        str | None, _option("reflect, constant, replicate, circular. Default: reflect.", _FRAMES)
    ] = None,
    f_min: Annotated[float | None, _option("Hz. Default: 0.", _MEL)] = None,
    f_max: Annotated[float | None, _option("Hz. Default: half the sample rate.", _MEL)] = None,
    mel_scale: Annotated[str | None, _option("htk, slaney, kaldi. Default: htk.", _MEL)] = None,
    norm: Annotated[str | None, _option("none, slaney. Default: none.", _MEL)] = None,
    power: Annotated[str | None, _option("Exponent of the magnitude. Default: 2.", _VALUES)] = None,
    normalized: Annotated[str | None, _option("none, window, frame_length. Default: none.", _VALUES)] = None,
    log: Annotated[Log | None, _option("Compression of the values. Default: none.", _VALUES)] = None,
    db: Annotated[bool, _option("Short for --log db.", _VALUES, "--db")] = False,
    floor_mode: Annotated[str | None, _option("clamp, add. Default: clamp.", _VALUES)] = None,
    floor: Annotated[float | None, _option("Smallest value under the logarithm. Default: 1e-10.", _VALUES)] = None,
    log_scale: Annotated[float | None, _option("s in log1p(s x). Default: 1.", _VALUES)] = None,
    n_iter: Annotated[int, typer.Option(help="Rounds of Griffin-Lim.", rich_help_panel=_RUN)] = 32,
    momentum: Annotated[float, typer.Option(help="Of Griffin-Lim, below 1.", rich_help_panel=_RUN)] = 0.99,
    seed: Annotated[int, typer.Option(help="Of the first phases.", rich_help_panel=_RUN)] = 0,
    backend: Annotated[str | None, _option("cpu, reference, ... Default: the best.", _RUN)] = None,
    threads: Annotated[int | None, _option("Default: torch's choice.", _RUN)] = None,
    quiet: Annotated[bool, _option("Say nothing but errors.", _RUN, "--quiet", "-q")] = False,
) -> None:
    """Sound files out of spectrograms: of complex ones exactly, of others by Griffin-Lim.

    A .safetensors file of `fastspec spectrogram` tells its parameters; for others they are given by a preset or the
    options. Files that cannot be inverted are named and left out; the exit code is 1.
    """
    from ._invert_command import Inversion, run

    if db and log not in (None, Log.db):
        _fail("--db and --log exclude each other", 2)
    arguments = {
        "n_fft": n_fft,
        "win_length": win_length,
        "hop_length": hop_length,
        "window_fn": window,
        "periodic": periodic,
        "center": center,
        "center_pad": center_pad,
        "pad_mode": pad_mode,
        "f_min": f_min,
        "f_max": f_max,
        "mel_scale": mel_scale,
        "norm": norm,
        "power": power,
        "normalized": normalized,
        "log": "db" if db else log and log.value,
        "floor": floor,
        "floor_mode": floor_mode,
        "log_scale": log_scale,
        "backend": backend,
    }
    options = Inversion(
        kind=kind and kind.value,
        preset=preset,
        sample_rate=sample_rate,
        samples=samples,
        arguments={key: value for key, value in arguments.items() if value is not None},
        n_iter=n_iter,
        momentum=momentum,
        seed=seed,
    )
    try:
        failures = run(options, inputs, out, threads, quiet)
    except (ValueError, TypeError, NotImplementedError, ImportError, OSError) as error:
        _fail(str(error), 2)
    if failures:
        raise typer.Exit(1)


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(help="Show everything about this one.", show_default=False)] = None,
) -> None:
    """The front ends of published models that --preset knows."""
    from dataclasses import asdict

    from rich.table import Table

    from .presets import names, preset

    table = Table(box=None, pad_edge=False, show_header=name is None)
    if name is not None:
        try:
            one = preset(name)
        except ValueError as error:
            _fail(str(error), 2)
        for key, value in asdict(one).items():
            table.add_row(f"[bold]{key}[/]", escape(str(value)))
    else:
        for heading in ("preset", "kind", "Hz", "n_fft/win/hop", "rows", "value"):
            table.add_column(heading)
        for known in names():
            p = preset(known)
            value = "complex" if p.power is None else f"|y|^{p.power:g}" + (f" {p.log}" if p.log else "")
            sizes = f"{p.n_fft}/{p.win_length}/{p.hop_length}"
            table.add_row(known, p.kind, str(p.sample_rate), sizes, str(p.n_rows), value)
    Console(emoji=False, highlight=False).print(table)


@app.command()
def doctor() -> None:
    """What this machine has, what will run on it, and what to install. Exit code 1 if something is broken."""
    from rich.table import Table

    from .doctor import examine, what_runs

    marks = {"ok": "[green]ok[/]", "missing": "[yellow]-[/]", "broken": "[red]broken[/]", "info": ""}
    findings = examine()
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        advice = f"\n[dim]install: {escape(finding.advice)}[/]" if finding.advice else ""
        table.add_row(f"[bold]{finding.topic}[/]", marks[finding.status], escape(finding.detail) + advice)
    console = Console(emoji=False, highlight=False)
    console.print(table)
    for device, backend in what_runs():
        console.print(f"[bold]{device} tensors[/] run on: {escape(backend)}")
    if any(finding.status == "broken" for finding in findings):
        raise typer.Exit(1)


@app.command()
def bench(
    preset: Annotated[
        list[str] | None,
        typer.Argument(help="Presets to time; some typical ones by default.", show_default=False),
    ] = None,
    threads: Annotated[int, typer.Option(help="For fastspec and torch alike.")] = 1,
    batch: Annotated[int, typer.Option(help="Clips at a time.")] = 1,
    seconds: Annotated[float, typer.Option(help="Length of a clip.")] = 10.0,
    backward: Annotated[bool, typer.Option("--backward", help="Time forward and backward together.")] = False,
    budget: Annotated[float, typer.Option(help="Seconds spent on each preset.")] = 2.0,
    backend: Annotated[str | None, typer.Option(help="fastspec's backend.", show_default=False)] = None,
) -> None:
    """A quick table: fastspec against torch.stft, abs, matmul and log, on this machine.

    Both take turns in one process; medians are shown. The errors are the largest differences from the same
    computation in float64: relative to the largest value, or in units of the logarithm.
    """
    from rich.progress import track
    from rich.table import Table

    from .doctor import cpu_name
    from .quickbench import DEFAULT, table

    names = preset or list(DEFAULT)
    errors = Console(stderr=True)
    try:
        rows = table(
            names,
            threads=threads,
            batch=batch,
            seconds=seconds,
            backward=backward,
            budget=budget,
            backend=backend,
        )
        shown = track(rows, "timing", len(names), console=errors, transient=True, disable=not errors.is_terminal)
        results = list(shown)
    except (ValueError, NotImplementedError) as error:
        _fail(str(error), 2)
    what = "forward + backward" if backward else "forward"
    plural = "s" if threads > 1 else ""
    title = f"{cpu_name()}, {threads} thread{plural}, {batch} x {seconds:g} s, float32, {what}"
    view = Table(title=title, title_justify="left", box=None, pad_edge=False)
    view.add_column("preset")
    for heading in ("output", "fastspec", "torch", "faster", "error", "torch's error"):
        view.add_column(heading, justify="right")
    for row in results:
        shape = " x ".join(map(str, row.shape))
        view.add_row(
            row.name,
            shape,
            f"{row.ours * 1e3:.2f} ms",
            f"{row.theirs * 1e3:.2f} ms",
            f"[bold]{row.ratio:.1f}x[/]",
            f"{row.error:.1e}",
            f"{row.their_error:.1e}",
        )
    Console(emoji=False, highlight=False).print(view)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("fastspec")
        except PackageNotFoundError:
            number = "(not installed)"
        typer.echo(f"fastspec {number}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    pass


def _fail(message: str, code: int) -> NoReturn:
    Console(stderr=True, soft_wrap=True, emoji=False, highlight=False).print(f"[red]error:[/] {escape(message)}")
    raise typer.Exit(code)


def main() -> None:
    """The entry point of the command."""
    app()
