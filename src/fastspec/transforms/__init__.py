"""The functions of ``fastspec.functional`` as modules: torchaudio's names, arguments and state-dict keys.

``STFT`` has nnAudio's arguments; it and ``Gammatonegram`` are torchaudio's to lack.
"""

from .amplitude import AmplitudeToDB
from .cepstral import LFCC, MFCC
from .cfp import CombinedFrequencyPeriodicity
from .constant_q import CQT, VQT
from .gammatone import Gammatonegram
from .inverse import GriffinLim, InverseMelScale, InverseMelSpectrogram
from .kaldi import KaldiFbank, KaldiMFCC, KaldiSpectrogram
from .mel import MelScale, MelSpectrogram
from .spectrogram import InverseSpectrogram, Spectrogram
from .stft import STFT

__all__ = [
    "CQT",
    "LFCC",
    "MFCC",
    "STFT",
    "VQT",
    "AmplitudeToDB",
    "CombinedFrequencyPeriodicity",
    "Gammatonegram",
    "GriffinLim",
    "InverseMelScale",
    "InverseMelSpectrogram",
    "InverseSpectrogram",
    "KaldiFbank",
    "KaldiMFCC",
    "KaldiSpectrogram",
    "MelScale",
    "MelSpectrogram",
    "Spectrogram",
]
