"""nnAudio's place of ``Gammatonegram``."""

from .mel import Gammatonegram

__all__ = ["Gammatonegram"]
