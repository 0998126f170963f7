"""librosa 0.11's spectral part on NumPy arrays: ``import fastspec.compat.librosa as librosa``.

``stft`` to ``db_to_amplitude`` here, ``feature`` and ``filters`` beside them, with librosa's arguments and defaults.
What fastspec cannot do is a ValueError that names the argument. docs/migrate-librosa.md says what is equal.
"""

from . import feature, filters
from .core import (
    amplitude_to_db,
    cqt,
    db_to_amplitude,
    db_to_power,
    griffinlim,
    istft,
    power_to_db,
    stft,
    vqt,
)

__all__ = [
    "amplitude_to_db",
    "cqt",
    "db_to_amplitude",
    "db_to_power",
    "feature",
    "filters",
    "griffinlim",
    "istft",
    "power_to_db",
    "stft",
    "vqt",
]
