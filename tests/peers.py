"""torchaudio and librosa, which the parity tests compare with."""

import sys
import types
import warnings


def _import_torchaudio():
    """torchaudio without its compiled part, which needs CUDA libraries even where there is no GPU.

    The transforms compared here are plain Python.
    """
    extension = types.ModuleType("torchaudio._extension")
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


def _import_librosa():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import librosa
        import librosa.feature
        import librosa.filters
    return librosa


torchaudio = _import_torchaudio()
librosa = _import_librosa()
