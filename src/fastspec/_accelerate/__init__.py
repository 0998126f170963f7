"""Models as they are, on fastspec's kernels: ``fastspec.accelerate`` (modules) and ``fastspec.patch`` (torch.stft)."""

from ._patch import patch
from ._report import Report
from ._walk import accelerate

__all__ = ["Report", "accelerate", "patch"]
