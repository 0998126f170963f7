"""torchaudio and librosa, which the parity tests compare with."""

import warnings

from bench.peers import import_torchaudio


def _import_librosa():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import librosa
        import librosa.feature
        import librosa.filters
    return librosa


torchaudio = import_torchaudio()
librosa = _import_librosa()
