"""librosa's spectral part on NumPy arrays: ``import fastspec.compat.librosa as librosa``.

``core`` (whose names are here too), ``feature`` and ``filters``, with librosa's arguments and defaults. Where librosa
1.0 changed what 0.11 did, 1.0 is meant, and ``convention="0.11"`` asks for the older. What fastspec cannot do is a
ValueError that names the argument, or an AttributeError that names librosa's function. docs/migrate-librosa.md says
what is equal.
"""

from . import core, feature, filters
from ._arrays import not_here
from .core import *  # noqa: F403

__all__ = ["core", "feature", "filters"]
__all__ += core.__all__

__getattr__ = not_here(__name__)
