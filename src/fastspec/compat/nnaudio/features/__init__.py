"""nnAudio's layers."""

from .cfp import CFP, Combined_Frequency_Periodicity
from .cqt import CQT, CQT1992, CQT2010, VQT, CQT1992v2, CQT2010v2, iCQT
from .mel import MFCC, Gammatonegram, MelSpectrogram
from .stft import STFT, Griffin_Lim, iSTFT

__all__ = [
    "CFP",
    "CQT",
    "CQT1992",
    "CQT2010",
    "MFCC",
    "STFT",
    "VQT",
    "CQT1992v2",
    "CQT2010v2",
    "Combined_Frequency_Periodicity",
    "Gammatonegram",
    "Griffin_Lim",
    "MelSpectrogram",
    "iCQT",
    "iSTFT",
]
