"""fastspec: audio to spectrograms with fused kernels, and back to gradients.

``functional`` holds the functions, ``kaldi`` Kaldi's, ``transforms`` the modules; ``explain`` tells which backend
runs and why; ``preset`` gives the front end of a published model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import functional, kaldi, transforms
from .dispatch import explain

if TYPE_CHECKING:
    from . import display, presets, streaming
    from .presets import preset

__version__ = "0.1.0"

__all__ = ["__version__", "display", "explain", "functional", "kaldi", "preset", "presets", "streaming", "transforms"]


def __getattr__(name: str) -> Any:
    """presets, display and streaming are imported when they are asked for."""
    if name in ("presets", "display", "streaming"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "preset":
        return importlib.import_module(f"{__name__}.presets").preset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
