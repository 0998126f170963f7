"""nnAudio's older name of ``features``."""

from .features import *  # noqa: F403
from .features import __all__ as __all__
