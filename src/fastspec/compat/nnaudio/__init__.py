"""nnAudio's layers: ``from fastspec.compat.nnaudio import features`` (or ``Spectrogram``, the old name).

Signatures, attributes and output conventions are nnaudio2 2.0.3's (nnAudio 0.3.4's agree but for iCQT, which it lacks);
old checkpoints load strictly, new ones hold what is trained alone. docs/migrate-nnaudio.md says what differs.
"""

from . import Spectrogram, features, librosa_functions, utils

__all__ = ["Spectrogram", "features", "librosa_functions", "utils"]
