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


KALDI = [
    ("spectrogram", {"channel": -1}),
    ("spectrogram", {"channel": 1, "window_type": "hamming", "snip_edges": False, "raw_energy": False}),
    ("spectrogram", {"subtract_mean": True, "preemphasis_coefficient": 0.0, "remove_dc_offset": False}),
    ("fbank", {"channel": -1}),
    ("fbank", {"channel": 1, "num_mel_bins": 40, "high_freq": -400.0, "window_type": "hanning"}),
    ("fbank", {"use_power": False, "use_log_fbank": False, "frame_length": 20.0, "round_to_power_of_two": False}),
    ("fbank", {"use_energy": True, "htk_compat": True, "energy_floor": 0.0, "vtln_warp": 1.1}),
    ("mfcc", {"channel": -1}),
    ("mfcc", {"channel": 1, "num_ceps": 20, "cepstral_lifter": 0.0, "num_mel_bins": 30}),
    ("mfcc", {"use_energy": True, "snip_edges": False, "subtract_mean": True, "frame_shift": 8.0}),
]


@pytest.mark.parametrize("name", kaldi.__all__)
def test_kaldi_has_torchaudios_arguments(name):
    assert arguments(getattr(kaldi, name)) == arguments(getattr(torchaudio.compliance.kaldi, name))
    assert name in {row[0] for row in KALDI}


@pytest.mark.parametrize(("name", "options"), KALDI)
def test_kaldi_is_torchaudios(name, options):
    x = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    ours, theirs = (getattr(m, name)(x, **options) for m in (kaldi, torchaudio.compliance.kaldi))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


GRID = [  # transform, its options, what it reads, options of the call
    ("Spectrogram", {"n_fft": 512, "win_length": 400, "hop_length": 160, "normalized": "frame_length"}, "samples", {}),
    ("Spectrogram", {"power": None, "center": False}, "samples", {}),
    ("Spectrogram", {"pad": 30, "power": 1.0, "normalized": True, "window_fn": torch.hamming_window}, "samples", {}),
    ("Spectrogram", {"power": 3.0, "pad_mode": "constant", "wkwargs": {"periodic": False}}, "samples", {}),
    ("Spectrogram", {"onesided": False, "pad_mode": "replicate"}, "samples", {}),
    ("InverseSpectrogram", {}, "spectrum", {"length": 7900}),
    ("InverseSpectrogram", {"normalized": "window", "window_fn": torch.hamming_window}, "spectrum", {}),
    ("MelScale", {"n_mels": 40}, "power", {}),
    ("MelScale", {"n_mels": 30, "f_min": 50.0, "f_max": 7000.0, "norm": "slaney", "mel_scale": "slaney"}, "power", {}),
    ("MelSpectrogram", {"sample_rate": 22050, "n_fft": 1024, "n_mels": 80, "norm": "slaney"}, "samples", {}),
    ("MelSpectrogram", {"mel_scale": "slaney", "power": 1.0, "pad": 10, "n_mels": 64}, "samples", {}),
    ("MelSpectrogram", {"center": False, "normalized": True, "n_mels": 20, "f_max": 4000.0}, "samples", {}),
    ("MFCC", {"n_mfcc": 13, "melkwargs": {"n_fft": 400, "n_mels": 40}}, "samples", {}),
    ("MFCC", {"log_mels": True, "norm": None, "melkwargs": {"n_fft": 512, "n_mels": 40}}, "samples", {}),
    ("LFCC", {"n_filter": 40, "n_lfcc": 20}, "samples", {}),
    ("LFCC", {"log_lf": True, "norm": None, "speckwargs": {"n_fft": 512}}, "samples", {}),
    ("AmplitudeToDB", {}, "power", {}),
    ("AmplitudeToDB", {"stype": "magnitude", "top_db": 30.0}, "power", {}),
    ("ComputeDeltas", {}, "power", {}),
    ("ComputeDeltas", {"win_length": 9, "mode": "reflect"}, "power", {}),
    ("SpectralCentroid", {"sample_rate": 16000}, "samples", {}),
    ("SpectralCentroid", {"sample_rate": 22050, "n_fft": 512, "hop_length": 100, "pad": 20}, "samples", {}),
    ("FrequencyMasking", {"freq_mask_param": 60}, "power", {"mask_value": 2.0}),
    ("FrequencyMasking", {"freq_mask_param": 60, "iid_masks": True}, "channels", {}),
    ("TimeMasking", {"time_mask_param": 20}, "power", {}),
    ("TimeMasking", {"time_mask_param": 20, "iid_masks": True, "p": 0.3}, "channels", {}),
    ("SpecAugment", {**REQUIRED["SpecAugment"], "n_time_masks": 2, "iid_masks": False}, "power", {}),
    ("SpecAugment", {**REQUIRED["SpecAugment"], "zero_masking": True, "p": 0.5}, "channels", {}),
]


def read(kind):
    """[2, T], [2, F, M] of |y|^2 or y, or [2, 1, F, M]."""
    x = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    if kind == "samples":
        return x
    y = torchaudio.transforms.Spectrogram(power=None if kind == "spectrum" else 2.0)(x)
    return y[:, None] if kind == "channels" else y


@pytest.mark.parametrize(("name", "options", "kind", "call"), GRID)
def test_numbers_are_torchaudios(name, options, kind, call):
    results = []
    for module in (T, torchaudio.transforms):
        transform = getattr(module, name)(**options)
        torch.manual_seed(1)  # the draws of the masks
        results.append(transform(read(kind), **call))
    ours, theirs = results
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_every_transform_is_compared():
    assert {name for name, *_ in GRID} | ITERATED.keys() | {"InverseMelScale"} == set(T.__all__)


def test_inverse_mel_scale_finds_a_spectrum_of_the_same_bands():
    """There are many: torchaudio's has negative bins set to 0, ours is the nearest without."""
    options = {"n_stft": 201, "n_mels": 40, "f_max": 7000.0}
    scale, power = torchaudio.transforms.MelScale(40, 16000, 0.0, 7000.0, 201), read("power")
    bands = scale(power)
    ours, theirs = (module.InverseMelScale(**options)(bands) for module in (T, torchaudio.transforms))
    assert ours.shape == theirs.shape
    assert (ours >= 0).all()
    ours, theirs = ((scale(s) - bands).norm() / bands.norm() for s in (ours, theirs))
    assert ours <= max(theirs, 1e-3)


WINDOW, WAVE, POWER, SPECTRUM = torch.hann_window(400), read("samples"), read("power"), read("spectrum")
FRAMES = WINDOW, 400, 160, 400
FUNCTIONS = [
    ("DB_to_amplitude", (torch.tensor([-30.0, 0.0, 12.5]), 2.0, 0.5), 0.0),
    ("amplitude_to_DB", (POWER, 10.0, 1e-10, 0.5, 40.0), 1e-6),
    ("amplitude_to_DB", (POWER[0], 20.0, 1e-5, 0.0), 1e-6),
    ("compute_deltas", (POWER, 7, "constant"), 1e-5),
    ("create_dct", (13, 40, "ortho"), 1e-6),
    ("create_dct", (13, 40, None), 1e-6),
    ("griffinlim", (POWER, WINDOW, 400, 200, 400, 2.0, 4, 0.99, None, False), 2e-3),
    ("inverse_spectrogram", (SPECTRUM, 8000, 0, WINDOW, 400, 200, 400, False), 1e-5),
    ("linear_fbanks", (201, 50.0, 7000.0, 40, 16000), 1e-5),
    ("mask_along_axis", (POWER, 20, 1.5, 1), 0.0),
    ("mask_along_axis_iid", (POWER[:, None], 20, 1.5, 3, 0.4), 0.0),
    ("melscale_fbanks", (201, 50.0, 7000.0, 40, 16000, "slaney", "slaney"), 1e-5),
    ("melscale_fbanks", (201, 0.0, 8000.0, 40, 16000), 1e-5),
    ("phase_vocoder", (SPECTRUM, 1.3, torch.linspace(0, torch.pi * 200, 201)[:, None]), 2e-3),
    ("pitch_shift", (WAVE, 16000, -3), 2e-3),
    ("spectral_centroid", (WAVE, 16000, 0, *FRAMES), 1e-5),
    ("spectrogram", (WAVE, 10, *FRAMES, 2.0, "window", True, "constant"), 1e-5),
    ("spectrogram", (WAVE, 0, *FRAMES, None, False, False), 1e-5),
]


def test_every_function_is_compared():
    assert {name for name, *_ in FUNCTIONS} == set(compat.functional.__all__)


@pytest.mark.parametrize(("name", "values", "tolerance"), FUNCTIONS)
def test_functions_are_torchaudios(name, values, tolerance):
    results = []
    for module in (compat.functional, torchaudio.functional):
        torch.manual_seed(1)
        results.append(getattr(module, name)(*values))
    ours, theirs = results
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    assert (ours - theirs).norm() <= tolerance * theirs.norm()


ITERATED = {  # tolerance: phases that are integrated, or divided by small values, in float32
    "GriffinLim": ({"n_fft": 400, "n_iter": 8, "rand_init": False}, {"power": 2.0}),
    "TimeStretch": ({"n_freq": 201, "fixed_rate": 1.2}, {"power": None}),
    "PitchShift": ({"sample_rate": 2000, "n_steps": 2}, None),  # theirs takes 10 s at 16,000 Hz
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


def gradient_of(transform, x):
    transform(x.requires_grad_()).sum().backward()
    return x.grad


DEFECTS = {  # what the page says of torchaudio: True, or what is raised
    "silence": (lambda m: gradient_of(m.Spectrogram(power=0.5), torch.zeros(2000)).isnan().any(), True),
    "centroid": (lambda m: m.SpectralCentroid(16000)(torch.zeros(2000)).isnan().any(), True),
    "float16": (lambda m: m.MelSpectrogram(n_mels=20).half()(torch.zeros(2000).half()), RuntimeError),
    "bfloat16": (lambda m: m.MelSpectrogram(n_mels=20).bfloat16()(torch.zeros(2000).bfloat16()), RuntimeError),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_torchaudios_defects_are_not_ours(name):
    call, theirs = DEFECTS[name]
    if theirs is True:
        assert call(torchaudio.transforms)
        assert not call(T)
    else:
        with pytest.raises(theirs):
            call(torchaudio.transforms)
        call(T)


def test_the_original_is_not_imported():
    ours = "fastspec.compat.torchaudio, fastspec.compat.nnaudio"
    code = f"import sys, {ours}; fastspec.accelerate; print([*sys.modules])"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"'torchaudio'", "'nnAudio2'", "'nnAudio'", "'scipy'", "'librosa'"} & set(re.findall("'[^']*'", modules))


def test_example_of_the_page_runs():
    run_examples("migrate-torchaudio.md")
