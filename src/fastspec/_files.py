"""Where results go: names of outputs, formats, and writing that never leaves half a file."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

FORMATS = ("png", "npy", "safetensors")


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, that takes the place of ``path`` when all went well and vanishes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")  # no longer than most names, which may be long
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.filename is None or Path(error.filename) != temporary:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None  # the name that the user knows
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write(path: Path, values: NDArray, about: dict[str, Any], draw: Callable[[NDArray, BinaryIO], None]) -> None:
    """Write an array as the format that ``path`` ends in.

    Args:
        path: ends in one of :data:`FORMATS`.
        values: ``[C, F, M]`` or ``[F, M]``, float or complex.
        about: what made them; becomes the metadata of a safetensors file.
        draw: makes the png.

    Raises:
        ImportError: the library that writes this format is not installed.
    """
    format = path.suffix.lower().lstrip(".")
    with written_whole(path) as file:
        if format == "npy":
            np.save(file, values)
        elif format == "safetensors":
            file.write(_safetensors(values, about))
        else:
            draw(values, file)


def require(format: str) -> None:
    """ImportError that says what to install when a format cannot be written here."""
    needs = {"png": ("matplotlib", "plot"), "safetensors": ("safetensors", "safetensors")}
    if format in needs:
        module, extra = needs[format]
        try:
            __import__(module)
        except ImportError as error:
            raise ImportError(f".{format} needs {module}: pip install 'fastspec[{extra}]'") from error


def outputs(inputs: list[tuple[Path, Path]], folder: Path, format: str) -> list[tuple[Path, Path]]:
    """(input, output) pairs below ``folder``; inputs that differ in their ending alone keep it in their name.

    Args:
        inputs: (file, its path below the folder it was found in) pairs.
        folder: where the outputs go.
        format: ending of the outputs.
    """
    stems = [short.with_suffix("") for _, short in inputs]
    pairs = []
    taken: dict[Path, int] = {}
    for (path, short), stem in zip(inputs, stems, strict=True):
        unique = stem if stems.count(stem) == 1 else short
        taken[unique] = taken.get(unique, 0) + 1
        count = f"-{taken[unique]}" if taken[unique] > 1 else ""
        pairs.append((path, folder / unique.with_name(f"{unique.name}{count}.{format}")))
    return pairs


def _safetensors(values: NDArray, about: dict[str, Any]) -> bytes:
    from safetensors.numpy import save

    if np.iscomplexobj(values):
        values = np.stack([np.real(values), np.imag(values)], axis=-1)
        about = {**about, "complex": "the last axis holds real and imaginary part"}
    metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    return save({"spectrogram": np.ascontiguousarray(values)}, metadata=metadata)
