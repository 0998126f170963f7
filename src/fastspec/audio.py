"""Sound files to arrays."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")
"""File name endings that are taken for audio when a folder is searched."""


def load(
    path: str | os.PathLike[str],
    *,
    offset: float = 0.0,
    duration: float | None = None,
    mono: bool = False,
) -> tuple[np.ndarray, int]:
    """Read a sound file (wav, flac, ogg, mp3 and whatever else libsndfile knows).

    Args:
        path: the file.
        offset: seconds to skip at the start. Default 0.
        duration: seconds to read; ``None`` (default) reads to the end.
        mono: average the channels.

    Returns:
        float32 array ``[C, T]`` with full scale at 1 (``[1, T]`` if ``mono``), and the sample rate in Hz.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not audio that can be read (the message names the file), or ``offset`` or
            ``duration`` is negative.
    """
    import numpy as np
    import soundfile

    check_part(offset, duration)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not path.is_file():
        raise ValueError(f"{path}: not a file")
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(min(round(offset * rate), file.frames))
            samples = file.read(
                frames=-1 if duration is None else round(duration * rate), dtype="float32", always_2d=True
            )
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        reason = getattr(error, "error_string", None) or str(error)
        raise ValueError(f"{path}: cannot be read as audio ({reason.rstrip('. ')})") from error
    channels = samples.mean(axis=1, keepdims=True) if mono else samples
    return np.ascontiguousarray(channels.T), rate


def check_part(offset: float, duration: float | None) -> None:
    """ValueError unless these seconds name a part of a recording."""
    if not 0 <= offset < math.inf:
        raise ValueError(f"offset={offset!r}: expected seconds, 0 or more")
    if duration is not None and not 0 < duration < math.inf:
        raise ValueError(f"duration={duration!r}: expected seconds, more than 0, or None")


def find(folder: str | os.PathLike[str]) -> list[Path]:
    """All files below ``folder`` that end in one of :data:`SUFFIXES`, sorted; hidden ones are left out."""
    root = Path(folder)
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """``samples`` ``[C, T]`` at ``rate`` Hz, resampled to ``new_rate`` Hz by the soxr library.

    Raises:
        ImportError: soxr is not installed.
    """
    if rate == new_rate:
        return samples
    try:
        import soxr
    except ImportError as error:
        need = f"resampling {rate} Hz to {new_rate} Hz needs soxr"
        raise ImportError(f"{need}: pip install 'fastspec[resample]'") from error
    return soxr.resample(samples.T, rate, new_rate, quality="HQ").T.copy()
