"""torchaudio and librosa, which the parity tests compare with; the examples of the pages about them."""

import functools
import importlib.util
import os
import re
import sys
import types
import warnings
from pathlib import Path

from bench.peers import import_torchaudio


def _import_librosa():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import librosa
        import librosa.feature
        import librosa.filters
    return librosa


def _import_torchlibrosa():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchlibrosa.stft
    return torchlibrosa.stft


def _import_nnaudio():
    os.environ["NNAUDIO_DISABLE_CITATION_REMINDER"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nnAudio2.features
    return nnAudio2.features


def _import_asteroid():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import asteroid_filterbanks
    return asteroid_filterbanks


def whisper_features():
    """Hugging Face's feature extractor of Whisper; imported here, for it takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import WhisperFeatureExtractor

        return WhisperFeatureExtractor()


@functools.cache
def panns():
    """panns-inference's models, without its __init__, which downloads labels."""
    (place,) = importlib.util.find_spec("panns_inference").submodule_search_locations
    package = sys.modules["panns_inference"] = types.ModuleType("panns_inference")
    package.__path__ = [place]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("panns_inference.models")


asteroid = _import_asteroid()
torchaudio = import_torchaudio()
librosa = _import_librosa()
torchlibrosa = _import_torchlibrosa()
nnaudio = _import_nnaudio()


def run_examples(page):
    """Run every block of Python on a page of docs, each by itself."""
    text = (Path(__file__).parents[1] / "docs" / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})
