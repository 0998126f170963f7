"""Float64 NumPy builders of every constant: windows, filterbanks, weights of transforms.

Each builder is a pure function of plain numbers, computed once and cached; the arrays are read-only and are
cast to the dtype of the data last, so that no constant costs accuracy.
"""

from .cfp import cfp_matrices
from .chroma import chroma_filterbank, cqt_to_chroma
from .dct import create_dct
from .fourier import bin_frequencies, fourier_basis, mirror_weights
from .gammatone import gammatone_filterbank, gammatone_frequencies
from .kaldi import kaldi_dct, kaldi_filterbank, kaldi_window
from .librosa_cqt import pseudo_cqt_filterbank
from .mel import hz_to_mel, linear_filterbank, mel_filterbank, mel_frequencies, mel_to_hz
from .sinc import sinc_taps
from .windows import get_window

__all__ = [
    "bin_frequencies",
    "cfp_matrices",
    "chroma_filterbank",
    "cqt_to_chroma",
    "create_dct",
    "fourier_basis",
    "gammatone_filterbank",
    "gammatone_frequencies",
    "get_window",
    "hz_to_mel",
    "kaldi_dct",
    "kaldi_filterbank",
    "kaldi_window",
    "linear_filterbank",
    "mel_filterbank",
    "mel_frequencies",
    "mel_to_hz",
    "mirror_weights",
    "pseudo_cqt_filterbank",
    "sinc_taps",
]
