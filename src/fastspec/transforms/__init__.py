"""The functions of ``fastspec.functional`` as modules: torchaudio's names, arguments and state-dict keys."""

from .amplitude import AmplitudeToDB
from .cepstral import LFCC, MFCC
from .kaldi import KaldiFbank, KaldiMFCC, KaldiSpectrogram
from .mel import MelScale, MelSpectrogram
from .spectrogram import InverseSpectrogram, Spectrogram

__all__ = [
    "LFCC",
    "MFCC",
    "AmplitudeToDB",
    "InverseSpectrogram",
    "KaldiFbank",
    "KaldiMFCC",
    "KaldiSpectrogram",
    "MelScale",
    "MelSpectrogram",
    "Spectrogram",
]
