"""nnAudio's place of ``Griffin_Lim``."""

from .stft import Griffin_Lim

__all__ = ["Griffin_Lim"]
