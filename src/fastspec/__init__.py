"""fastspec: audio to spectrograms with fused kernels, and back to gradients.

``functional`` holds the functions, ``kaldi`` Kaldi's, ``transforms`` the modules; ``explain`` tells which backend
runs and why; ``preset`` gives the front end of a published model; ``accelerate`` and ``patch`` make models as they are
run here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import functional, kaldi, transforms
from .dispatch import empty_cache, explain
from .ops import decompositions

if TYPE_CHECKING:
    from . import display, presets, streaming
    from ._accelerate import accelerate, patch
    from .presets import preset

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "accelerate",
    "decompositions",
    "display",
    "empty_cache",
    "explain",
    "functional",
    "kaldi",
    "patch",
    "preset",
    "presets",
    "streaming",
    "transforms",
]


def __getattr__(name: str) -> Any:
    """presets, display, streaming and accelerate are imported when they are asked for."""
    if name in ("presets", "display", "streaming"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "preset":
        return importlib.import_module(f"{__name__}.presets").preset
    if name in ("accelerate", "patch"):
        return getattr(importlib.import_module(f"{__name__}._accelerate"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
