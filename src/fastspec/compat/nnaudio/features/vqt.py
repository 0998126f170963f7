"""nnAudio's place of ``VQT``."""

from .cqt import VQT

__all__ = ["VQT"]
