"""``librosa.core``: transforms, levels, frequencies and tuning."""

from .._arrays import not_here
from .constantq import cqt, hybrid_cqt, icqt, pseudo_cqt, vqt
from .convert import cqt_frequencies, fft_frequencies, hz_to_mel, mel_frequencies, mel_to_hz
from .levels import amplitude_to_db, db_to_amplitude, db_to_power, pcen, power_to_db
from .pitch import estimate_tuning, piptrack, pitch_tuning
from .spectrum import griffinlim, istft, magphase, stft

__all__ = [
    "amplitude_to_db",
    "cqt",
    "cqt_frequencies",
    "db_to_amplitude",
    "db_to_power",
    "estimate_tuning",
    "fft_frequencies",
    "griffinlim",
    "hybrid_cqt",
    "hz_to_mel",
    "icqt",
    "istft",
    "magphase",
    "mel_frequencies",
    "mel_to_hz",
    "pcen",
    "piptrack",
    "pitch_tuning",
    "power_to_db",
    "pseudo_cqt",
    "stft",
    "vqt",
]

__getattr__ = not_here(__name__)
