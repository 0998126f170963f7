"""The functions of ``fastspec.functional`` as modules: torchaudio's names, arguments and state-dict keys.

``STFT`` has nnAudio's arguments; it and ``Gammatonegram`` are torchaudio's to lack.
"""

from .amplitude import AmplitudeToDB
from .augment import FrequencyMasking, PitchShift, SpecAugment, TimeMasking, TimeStretch
from .cepstral import LFCC, MFCC
from .cfp import CFP, CombinedFrequencyPeriodicity
from .chroma import Chroma
from .constant_q import CQT, ICQT, VQT, DiscriminatorCQT
from .gammatone import Gammatonegram
from .inverse import GriffinLim, InverseMelScale, InverseMelSpectrogram
from .kaldi import KaldiFbank, KaldiMFCC, KaldiSpectrogram
from .mel import MelScale, MelSpectrogram
from .pseudo_cqt import HarmonicStack, HybridCQT, PseudoCQT
from .shape import SpectralCentroid, SpectralFeatures
from .spectrogram import InverseSpectrogram, Spectrogram
from .stft import STFT
from .temporal import PCEN, ComputeDeltas

__all__ = [
    "CFP",
    "CQT",
    "ICQT",
    "LFCC",
    "MFCC",
    "PCEN",
    "STFT",
    "VQT",
    "AmplitudeToDB",
    "Chroma",
    "CombinedFrequencyPeriodicity",
    "ComputeDeltas",
    "DiscriminatorCQT",
    "FrequencyMasking",
    "Gammatonegram",
    "GriffinLim",
    "HarmonicStack",
    "HybridCQT",
    "InverseMelScale",
    "InverseMelSpectrogram",
    "InverseSpectrogram",
    "KaldiFbank",
    "KaldiMFCC",
    "KaldiSpectrogram",
    "MelScale",
    "MelSpectrogram",
    "PitchShift",
    "PseudoCQT",
    "SpecAugment",
    "SpectralCentroid",
    "SpectralFeatures",
    "Spectrogram",
    "TimeMasking",
    "TimeStretch",
]
