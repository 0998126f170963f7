"""nnAudio 0.3.4, the last release of the paper's authors."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from nnAudio import features

from bench.peers._nnaudio import Builders
from bench.peers._torch import both, forward, from_numpy, set_threads, to_numpy  # noqa: F401

_made = Builders(features)
magnitude, spectrum, istft = _made.magnitude, _made.spectrum, _made.istft
mel, log_mel, mfcc, gammatone = _made.mel, _made.log_mel, _made.mfcc, _made.gammatone
cqt, vqt, griffin_lim, log_stft = _made.cqt, _made.vqt, _made.griffin_lim, _made.log_stft
learned = _made.learned
