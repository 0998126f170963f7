"""Pictures of spectrograms, on matplotlib."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bases.mel import mel_frequencies

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Y_AXES = ("hz", "log", "mel", "mfcc", "note", "chroma", "index")
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

_MAX_COLUMNS = 4096
_MAX_ROWS = 2048
_LOG_ROWS = 512
_MAX_PIXELS = 2**16  # matplotlib's own limit on either side


def specshow(
    data: ArrayLike,
    *,
    sample_rate: float,
    hop_length: int,
    n_fft: int | None = None,
    y_axis: str = "hz",
    frequencies: ArrayLike | None = None,
    f_min: float = 0.0,
    f_max: float | None = None,
    mel_scale: str = "htk",
    start: float = 0.0,
    db: bool = True,
    power: float = 2.0,
    top_db: float = 80.0,
    ax: Axes | None = None,
    cmap: str | None = None,
    colorbar: bool = True,
    label: str | None = None,
    title: str | None = None,
) -> AxesImage:
    """Draw a spectrogram with its axes in seconds and Hz.

    Args:
        data: ``[F, M]`` (or ``[K, M]``), an array or tensor, real or complex; a complex one is drawn by its
            magnitude. Frames beyond a few thousand are drawn by the maximum of neighbours.
        sample_rate: Hz.
        hop_length: samples between frames.
        n_fft: samples in a frame, for ``"hz"`` and ``"log"``: ``data`` must then hold its ``n_fft // 2 + 1``
            bins, and bin f lies at ``f sample_rate / n_fft``. Default: even, ``2 (F - 1)``.
        y_axis: what the rows are, which the data does not tell. ``"hz"`` (default): bins from 0 to half the
            sample rate;
            ``"log"``: the same bins on a logarithmic axis; ``"mel"``: the bands of a mel bank; ``"mfcc"``:
            cepstral coefficients; ``"note"``: bins of a constant-Q transform, whose ``frequencies`` are read as
            notes; ``"chroma"``: pitch classes from C up, 12 or a multiple of them; ``"index"``: numbers.
        frequencies: centre of each row in Hz, ascending, instead of what ``y_axis`` says; rows are drawn
            equally high and the axis tells their Hz.
        f_min, f_max, mel_scale: the mel bank's range (Hz; ``None`` is half the sample rate) and scale; with
            ``"log"``, ``f_min`` is the lowest frequency drawn (0: the first bin above 20 Hz).
        start: time of the middle of the first frame, seconds. Default 0, as with ``center=True``.
        db: draw ``(20 / power) log10(data)``, in dB below the loudest value. Put ``False`` for data that is
            already logarithmic. Cepstral coefficients are never converted.
        power: the exponent p of data that is ``|y|^p``. Default 2.
        top_db: dB below the loudest value at which the colours end. Default 80.
        ax: matplotlib axes to draw on; the current ones by default.
        cmap: matplotlib colour map; by default magma, and coolwarm for cepstral coefficients.
        colorbar: draw the colour bar.
        label: text of the colour bar; by default ``"dB"`` when ``db``.
        title: text above the picture.

    Returns:
        The matplotlib image. With ``"hz"`` the coordinates of the axes are seconds and Hz, elsewhere seconds
        and row numbers (the ticks still read in Hz).

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: data that is not two-dimensional or empty, frequencies or ``n_fft`` that do not fit it, an
            unknown ``y_axis`` or ``cmap``, a ``y_axis`` that contradicts ``data`` (complex values are neither
            mel bands nor cepstral coefficients), ``frequencies`` or ``f_max``, a rate, hop, power or top_db
            that is not positive.
    """
    _require_matplotlib()
    data = _as_array(data)
    if np.iscomplexobj(data):
        values, power = np.abs(data), 1.0
    else:
        values = data.astype(float, copy=False)
    rows, frames = values.shape
    if not (isinstance(power, (int, float)) and power > 0):
        raise ValueError(f"power={power!r}: expected a number above 0")
    if not 0 < sample_rate < math.inf:
        raise ValueError(f"sample_rate={sample_rate!r}: expected Hz, more than 0")
    if not 1 <= hop_length < math.inf:
        raise ValueError(f"hop_length={hop_length!r}: expected samples, 1 or more")
    check_look(top_db=top_db, cmap=cmap)
    _check_rows(y_axis, rows, np.iscomplexobj(data), n_fft, frequencies is not None, f_max)

    nyquist = sample_rate / 2
    spacing = sample_rate / (n_fft or 2 * max(rows - 1, 1))
    centres: NDArray | None = None
    if frequencies is not None:
        centres = np.asarray(frequencies, dtype=float)
        if centres.shape != (rows,) or not np.all(np.diff(centres) > 0):
            raise ValueError(f"frequencies: expected {rows} ascending Hz, one for each row of data")
    elif y_axis == "mel":
        highest = nyquist if f_max is None else f_max
        if not 0 <= f_min < highest < math.inf:
            raise ValueError(f"f_min={f_min!r}, f_max={highest!r}: expected Hz, 0 <= f_min < f_max")
        centres = mel_frequencies(rows + 2, f_min, highest, mel_scale)[1:-1]
    elif y_axis == "log":
        values, centres = _log_rows(values, spacing, f_min)

    in_db = db and (y_axis != "mfcc")
    if in_db:
        values = _decibels(values, power)
    values = _thin(_thin(values, 1, _MAX_COLUMNS), 0, _MAX_ROWS)
    if y_axis == "mfcc":
        low, high = _signed_limits(values)
    elif in_db:
        low, high = -top_db, 0.0
    else:
        low, high = _full_limits(values)

    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    hop = hop_length / sample_rate
    left, right = start - hop / 2, start + (frames - 0.5) * hop
    if centres is None and y_axis == "hz":
        bottom, top = -spacing / 2, (rows - 0.5) * spacing
    else:
        bottom, top = -0.5, (rows if centres is None else len(centres)) - 0.5
    image = ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        extent=(left, right, bottom, top),
        cmap=_colour_map(cmap or ("coolwarm" if y_axis == "mfcc" else "magma")),
        vmin=low,
        vmax=high,
        interpolation="nearest" if values.shape[1] < 64 or y_axis == "chroma" else None,
    )
    ax.set_xlim(max(left, min(0.0, start)), right)
    _label_time(ax, right - left)
    _label_rows(ax, y_axis, centres, nyquist, top)
    if title:
        ax.set_title(title)
    if colorbar:
        label = label if label is not None else ("dB" if in_db else "")
        beyond = "both" if y_axis == "mfcc" else "min" if in_db else "neither"
        ax.figure.colorbar(image, ax=ax, label=label, pad=0.015, extend=beyond)
    return image


def picture(
    data: ArrayLike, *, size: tuple[float, float] = (10.0, 4.0), title: str | None = None, **options: Any
) -> Figure:
    """A figure with one panel per channel, drawn without a window system.

    Args:
        data: ``[F, M]``, or ``[C, F, M]`` for C panels below each other.
        size: width of the figure and height of each panel, inches. Default 10 by 4.
        title: text above the first panel.
        **options: of :func:`specshow`.

    Returns:
        A matplotlib figure; ``figure.savefig(...)`` writes it.

    Raises:
        ImportError, ValueError: as :func:`specshow`.
    """
    _require_matplotlib()
    from matplotlib.figure import Figure

    check_look(size=size)
    shape = np.shape(data)
    if len(shape) not in (2, 3):
        raise ValueError(f"data: expected [F, M] or [C, F, M], got shape {tuple(shape)}")
    panels = [data] if len(shape) == 2 else list(data)  # type: ignore[call-overload]
    figure = Figure(figsize=(size[0], size[1] * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for channel, (panel, ax) in enumerate(zip(panels, axes, strict=True)):
        specshow(panel, ax=ax, title=title if channel == 0 else None, **options)
        if len(panels) > 1:
            ax.text(0.01, 0.97, f"channel {channel + 1}", transform=ax.transAxes, color="white", va="top")
    return figure


def check_look(
    *,
    top_db: float = 80.0,
    cmap: str | None = None,
    size: tuple[float, float] = (10.0, 4.0),
    dpi: float | None = None,
) -> None:
    """ValueError unless a picture can look like this; needs matplotlib for ``cmap`` alone.

    Args:
        top_db, cmap, size: as in :func:`specshow` and :func:`picture`.
        dpi: pixels per inch, if known; width and panel height may then be 1 to 65535 pixels.
    """
    if not 0 < top_db < math.inf:
        raise ValueError(f"top_db={top_db!r}: expected dB, more than 0")
    if cmap is not None:
        _colour_map(cmap)
    if not all(0 < inches < math.inf for inches in size):
        raise ValueError(f"size={tuple(size)!r}: expected inches, more than 0")
    if dpi is None:
        return
    if not 0 < dpi < math.inf:
        raise ValueError(f"dpi={dpi!r}: expected pixels per inch, more than 0")
    if not all(1 <= inches * dpi < _MAX_PIXELS for inches in size):
        raise ValueError(f"size={tuple(size)!r}, dpi={dpi!r}: expected inches that make 1 to {_MAX_PIXELS - 1} pixels")


def _check_rows(
    y_axis: str, rows: int, is_complex: bool, n_fft: int | None, has_frequencies: bool, f_max: float | None
) -> None:
    """ValueError where rows cannot be what ``y_axis`` says."""
    if y_axis not in Y_AXES:
        raise ValueError(f"y_axis={y_axis!r}: expected one of {', '.join(Y_AXES)}")
    if is_complex and y_axis in ("mel", "mfcc"):
        raise ValueError(f"y_axis={y_axis!r}: complex data is a spectrum, expected hz, log or index")
    if y_axis == "note" and not has_frequencies:
        raise ValueError("y_axis='note': expected the frequencies of the rows as well")
    if y_axis == "chroma" and rows % 12:
        raise ValueError(f"y_axis='chroma': expected 12 rows or a multiple of them, got {rows}")
    if has_frequencies and y_axis in ("mfcc", "chroma", "index"):
        raise ValueError(f"y_axis={y_axis!r}: rows that have frequencies are not numbered")
    if f_max is not None and y_axis != "mel":
        raise ValueError(f"f_max={f_max!r}: belongs to y_axis='mel', got y_axis={y_axis!r}")
    if n_fft is not None and y_axis in ("hz", "log") and (n_fft < 1 or rows != n_fft // 2 + 1):
        raise ValueError(f"n_fft={n_fft!r}: y_axis={y_axis!r} expects its n_fft // 2 + 1 bins, got {rows} rows of data")


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'fastspec[plot]'") from error


def _as_array(data: Any) -> NDArray:
    """``data`` as an [F, M] array that is not empty."""
    if hasattr(data, "detach"):
        data = data.detach().cpu().numpy()
    values = np.asarray(data)
    if values.ndim != 2:
        raise ValueError(f"data: expected two axes [F, M], got shape {values.shape}")
    if values.size == 0:
        raise ValueError(f"data: nothing to draw, shape {values.shape}")
    return values


def _decibels(values: NDArray, power: float) -> NDArray:
    """(20 / power) log10(values) below the loudest; zero and negative values go to the bottom."""
    finite = values[np.isfinite(values)]
    loudest = finite.max(initial=0.0)
    reference = loudest if loudest > 0 else 1.0
    with np.errstate(invalid="ignore"):
        ratio = np.maximum(values / reference, 1e-30)
    return (20.0 / power) * np.log10(ratio)


def _colour_map(name: str) -> Colormap:
    """The colour map, with NaN in grey."""
    from matplotlib import colormaps

    if name not in colormaps:
        raise ValueError(f"cmap={name!r}: expected a colour map of matplotlib, such as magma or viridis")
    return colormaps[name].with_extremes(bad="0.6")


def _full_limits(values: NDArray) -> tuple[float, float]:
    """Smallest and largest finite value."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _signed_limits(values: NDArray) -> tuple[float, float]:
    """Limits around 0 that leave out the largest tenth: the first coefficients dwarf the others."""
    finite = np.abs(values[np.isfinite(values)])
    limit = float(np.percentile(finite, 90)) if finite.size else 0.0
    limit = limit if limit > 0 else 1.0
    return -limit, limit


def _thin(values: NDArray, axis: int, most: int) -> NDArray:
    """At most ``most`` entries along ``axis``, each the maximum of neighbours, so that clicks survive."""
    count = values.shape[axis]
    if count <= most:
        return values
    starts = np.arange(most) * count // most
    return np.maximum.reduceat(values, starts, axis=axis)


def _log_rows(values: NDArray, spacing: float, f_min: float) -> tuple[NDArray, NDArray]:
    """Rows ``spacing`` Hz apart, taken at logarithmically spaced frequencies by linear interpolation."""
    rows = len(values)
    if rows < 3:
        raise ValueError(f"y_axis='log': expected 3 rows or more, got {rows}")
    highest = spacing * (rows - 1)
    lowest = f_min if f_min > 0 else spacing * max(1, math.ceil(20 / spacing))
    if not lowest < highest:
        raise ValueError(f"f_min={f_min!r}: expected less than the highest bin, {highest:g} Hz")
    centres = np.geomspace(lowest, highest, _LOG_ROWS)
    place = np.minimum(centres / spacing, rows - 1)
    below = np.minimum(place.astype(int), rows - 2)
    share = (place - below)[:, None]
    return values[below] * (1 - share) + values[below + 1] * share, centres


def _label_time(ax: Axes, seconds: float) -> None:
    ax.set_xlabel("time (s)" if seconds < 120 else "time (min:s)")
    if seconds >= 120:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 1.5, 3, 6, 10], integer=True))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{int(t) // 60}:{int(t) % 60:02d}"))


def _label_rows(ax: Axes, y_axis: str, centres: NDArray | None, nyquist: float, top: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if centres is not None and y_axis == "note":
        wanted = _notes(centres)
        names = [f"{PITCH_CLASSES[n % 12]}{n // 12 - 1}" for n in wanted]
        places = np.interp(_note_hz(wanted), centres, np.arange(len(centres)))
        ax.set_yticks(places, names)
        ax.set_ylabel("note")
    elif y_axis == "chroma":
        ax.set_yticks(np.arange(12) * (top + 0.5) / 12 + (top + 0.5) / 24 - 0.5, PITCH_CLASSES)
        ax.set_ylabel("pitch class")
    elif centres is not None:
        wanted = _round_frequencies(centres)
        ax.set_yticks(np.interp(wanted, centres, np.arange(len(centres))), [_hz(f) for f in wanted])
        ax.set_ylabel("frequency (Hz, mel scale)" if y_axis == "mel" else "frequency (Hz)")
    elif y_axis == "hz":
        ax.set_ylim(0, nyquist)
        ax.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 4, 5, 10]))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda f, _: _hz(f)))
        ax.set_ylabel("frequency (Hz)")
    else:
        ax.set_ylim(-0.5, top)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylabel("coefficient" if y_axis == "mfcc" else "row")


def _note_hz(numbers: NDArray) -> NDArray:
    """Hz of MIDI's notes; 69 is A4, 440 Hz."""
    return 440.0 * 2.0 ** ((numbers - 69) / 12)


def _notes(centres: NDArray) -> NDArray:
    """Notes inside the range, as MIDI's numbers: the Cs, or more of each octave where few octaves are shown."""
    low, high = 69 + 12 * np.log2(centres[[0, -1]] / 440.0)
    every = np.arange(math.ceil(low - 0.25), math.floor(high + 0.25) + 1)
    for classes in ((0,), (0, 4, 7), (0, 2, 4, 5, 7, 9, 11)):
        chosen = every[np.isin(every % 12, classes)]
        if len(chosen) >= 5:
            return chosen
    return every


def _round_frequencies(centres: NDArray) -> NDArray:
    """Round frequencies inside the range, far enough from each other on the axis to be read."""
    low, high = float(centres[0]), float(centres[-1])
    nice = [m * 10.0**e for e in range(-2, 7) for m in (1, 2, 3, 4, 5, 6, 8)]
    nice += [12000.0, 16000.0]
    places = np.arange(len(centres)) / max(len(centres) - 1, 1)
    chosen = [0.0] if low < 1e-6 * high else []
    order = sorted(nice, key=lambda f: (_roundness(f), -f))
    for frequency in order:
        if not low <= frequency <= high:
            continue
        place = np.interp(frequency, centres, places)
        if all(abs(place - np.interp(other, centres, places)) > 0.075 for other in chosen):
            chosen.append(frequency)
    return np.array(sorted(chosen)) if chosen else np.array([low, high])


def _roundness(frequency: float) -> int:
    """0 for 1, 10, 100, ...; larger for less round numbers."""
    digit = round(frequency / 10.0 ** math.floor(math.log10(frequency)), 3)
    return {1.0: 0, 2.0: 1, 5.0: 1, 4.0: 2, 8.0: 3}.get(digit, 4)


def _hz(frequency: float) -> str:
    return f"{frequency / 1000:g}k" if abs(frequency) >= 1000 else f"{frequency:g}"
