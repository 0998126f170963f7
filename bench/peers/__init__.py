"""Other libraries that need help to be imported; the parity tests use it too."""

from __future__ import annotations

import sys
import types
import warnings
from typing import Any


def import_torchaudio() -> Any:
    """torchaudio without its compiled part, which needs CUDA libraries even where there is no GPU.

    Its transforms and functions, which are compared here, are plain Python.
    """
    extension: Any = types.ModuleType("torchaudio._extension")
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = False
    extension._check_cuda_version = lambda: None
    extension.fail_if_no_align = lambda function: function
    sys.modules.setdefault("torchaudio._extension", extension)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchaudio
        import torchaudio.compliance.kaldi
        import torchaudio.functional
        import torchaudio.transforms
    return torchaudio
