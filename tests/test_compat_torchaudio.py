"""fastspec.compat.torchaudio against the installed torchaudio: names, signatures, attributes, state dicts, numbers."""

import inspect
import re
import subprocess
import sys

import pytest
import torch
from peers import run_examples, torchaudio

import fastspec.compat.torchaudio as compat
from fastspec.compat.torchaudio import transforms as T
from fastspec.compat.torchaudio.compliance import kaldi

OWN = inspect.Parameter.KEYWORD_ONLY
REQUIRED = {
    "InverseMelScale": {"n_stft": 201, "n_mels": 40},
    "MelScale": {"n_mels": 40},
    "MelSpectrogram": {"n_mels": 40},
    "MFCC": {"melkwargs": {"n_mels": 40}},
    "FrequencyMasking": {"freq_mask_param": 8},
    "TimeMasking": {"time_mask_param": 8},
    "SpecAugment": {"n_time_masks": 1, "time_mask_param": 8, "n_freq_masks": 1, "freq_mask_param": 8},
    "SpectralCentroid": {"sample_rate": 16000},
    "PitchShift": {"sample_rate": 16000, "n_steps": 2},
}


def arguments(function):
    """(name, default) in order, without what fastspec adds by name."""
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.default) for p in found if p.kind is not OWN]


SAVED_BY_TORCHAUDIO_ALONE = {"PitchShift": {"kernel"}, "TimeStretch": {"phase_advance"}}  # loaded, and dropped


@pytest.mark.parametrize("name", T.__all__)
def test_transform_is_torchaudios(name):
    ours, theirs = getattr(T, name), getattr(torchaudio.transforms, name)
    assert arguments(ours) == arguments(theirs)
    assert arguments(ours.forward) == arguments(theirs.forward)
    ours, theirs = ours(**REQUIRED.get(name, {})), theirs(**REQUIRED.get(name, {}))
    alone = SAVED_BY_TORCHAUDIO_ALONE.get(name, set())
    assert ours.state_dict().keys() | alone == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict(), strict=not alone)


MORE = {"phase_vocoder"}  # ours has a default where torchaudio has none


@pytest.mark.parametrize("name", compat.functional.__all__)
def test_function_is_torchaudios(name):
    ours, theirs = arguments(getattr(compat.functional, name)), arguments(getattr(torchaudio.functional, name))
    if name in MORE:
        assert [n for n, _ in ours] == [n for n, _ in theirs]
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", kaldi.__all__)
def test_kaldi_is_torchaudios(name):
    ours, theirs = getattr(kaldi, name), getattr(torchaudio.compliance.kaldi, name)
    assert arguments(ours) == arguments(theirs)
    x = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    for channel in (-1, 1):
        torch.testing.assert_close(ours(x, channel=channel), theirs(x, channel=channel), rtol=1e-4, atol=1e-4)


GRID = [
    ("Spectrogram", {"n_fft": 512, "win_length": 400, "hop_length": 160, "normalized": "frame_length"}),
    ("Spectrogram", {"power": None, "center": False}),
    ("MelSpectrogram", {"sample_rate": 22050, "n_fft": 1024, "hop_length": 256, "n_mels": 80, "norm": "slaney"}),
    ("MelSpectrogram", {"mel_scale": "slaney", "power": 1.0, "pad": 10, "n_mels": 64}),
    ("MFCC", {"n_mfcc": 13, "melkwargs": {"n_fft": 400, "n_mels": 40}}),
    ("MFCC", {"log_mels": True, "norm": None, "melkwargs": {"n_fft": 512, "n_mels": 40}}),
    ("LFCC", {"n_filter": 40, "n_lfcc": 20}),
    ("SpectralCentroid", {"sample_rate": 16000}),
]


@pytest.mark.parametrize(("name", "options"), GRID)
def test_numbers_are_torchaudios(name, options):
    x = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    ours, theirs = getattr(T, name)(**options)(x), getattr(torchaudio.transforms, name)(**options)(x)
    assert ours.dtype == theirs.dtype
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


ITERATED = {  # tolerance: phases that are integrated, or divided by small values, in float32
    "GriffinLim": ({"n_fft": 400, "n_iter": 8, "rand_init": False}, {"power": 2.0}),
    "TimeStretch": ({"n_freq": 201, "fixed_rate": 1.2}, {"power": None}),
    "PitchShift": ({"sample_rate": 16000, "n_steps": 2}, None),
}


@pytest.mark.parametrize("name", ITERATED)
def test_phases_are_torchaudios(name):
    options, spectrogram = ITERATED[name]
    x = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    x = x if spectrogram is None else torchaudio.transforms.Spectrogram(400, **spectrogram)(x)
    with torch.no_grad():
        ours, theirs = getattr(T, name)(**options)(x), getattr(torchaudio.transforms, name)(**options)(x)
    assert ours.shape == theirs.shape
    assert (ours - theirs).norm() <= 2e-3 * theirs.norm()


def test_decibels_and_back():
    x = torch.tensor([-30.0, 0.0, 12.5])
    assert torch.equal(
        compat.functional.DB_to_amplitude(x, 2.0, 0.5), torchaudio.functional.DB_to_amplitude(x, 2.0, 0.5)
    )


def test_the_original_is_not_imported():
    ours = "fastspec.compat.torchaudio, fastspec.compat.nnaudio"
    code = f"import sys, {ours}; fastspec.accelerate; print([*sys.modules])"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"'torchaudio'", "'nnAudio2'", "'nnAudio'", "'scipy'", "'librosa'"} & set(re.findall("'[^']*'", modules))


def test_example_of_the_page_runs():
    run_examples("migrate-torchaudio.md")
