"""fastspec.compat.nnaudio against the installed nnaudio2: signatures, state dicts, numbers, and its defects mended."""

import inspect
import warnings
from contextlib import nullcontext

import pytest
import torch
from nnAudio2 import utils as nnaudio_utils
from peers import nnaudio, run_examples

from fastspec.compat.nnaudio import Spectrogram, features, utils

Z = {"verbose": False}
LAYERS = {
    "STFT": {"n_fft": 256, **Z},
    "iSTFT": {"n_fft": 256, **Z},
    "MelSpectrogram": {"sr": 16000, "n_fft": 512, "n_mels": 40, "hop_length": 128, **Z},
    "MFCC": {"sr": 16000, "n_fft": 512, "n_mels": 40, "hop_length": 128, **Z},
    "Gammatonegram": {"sr": 16000, "n_fft": 512, "hop_length": 128, **Z},
    "CQT1992": {"sr": 16000, "n_bins": 24, "hop_length": 256},
    "CQT2010": {"sr": 16000, "fmin": 220, "n_bins": 24, "hop_length": 256, **Z},
    "CQT1992v2": {"sr": 16000, "fmin": 220, "n_bins": 24, "hop_length": 256, **Z},
    "CQT": {"sr": 16000, "fmin": 220, "n_bins": 24, "hop_length": 256, "filter_scale": 0.5, **Z},
    "CQT2010v2": {"sr": 16000, "fmin": 220, "n_bins": 24, "hop_length": 256, **Z},
    "VQT": {"sr": 16000, "fmin": 220, "n_bins": 24, "hop_length": 256, **Z},
    "iCQT": {"sr": 16000, "fmin": 220, "n_bins": 24, "hop_length": 64, **Z},
    "Griffin_Lim": {"n_fft": 256},
    "Combined_Frequency_Periodicity": {"fr": 8, "window_size": 1025},
    "CFP": {"fr": 8, "window_size": 1025},
}
MADE_ANEW = "CQT1992", "CQT2010", "CQT2010v2", "VQT"  # kernels per octave or frequency: not ours in shape
TRAINED = {
    "STFT": {"trainable": True},
    "MelSpectrogram": {"trainable_mel": True, "trainable_STFT": True},
    "Gammatonegram": {"trainable_bins": True},
    "CQT1992v2": {"trainable": True},
}


def clips():
    return 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(5))


def original(name, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CFP divides by zero
        return getattr(nnaudio, name)(**options)


def arguments(function):
    return [
        (p.name, list(p.default) if isinstance(p.default, tuple) else p.default)
        for p in inspect.signature(function).parameters.values()
    ]


def test_every_layer_is_here():
    assert sorted(LAYERS) == sorted(features.__all__)
    assert Spectrogram.STFT is features.STFT


@pytest.mark.parametrize("name", LAYERS)
def test_signature_and_old_checkpoints(name, capsys):
    ours, theirs = getattr(features, name), getattr(nnaudio, name)
    assert arguments(ours) == arguments(theirs)
    if "forward" in vars(theirs) and name not in ("CFP", "Combined_Frequency_Periodicity"):
        assert arguments(ours.forward) == arguments(theirs.forward)
    old = original(name, LAYERS[name]).state_dict()
    capsys.readouterr()
    layer = ours(**LAYERS[name])
    assert capsys.readouterr().out == ""
    told = pytest.warns(UserWarning, match="made anew") if name in MADE_ANEW else nullcontext()
    with told:
        layer.load_state_dict(old)
    assert sum(t.numel() for t in layer.state_dict().values()) <= 2


EQUAL = [
    ("STFT", {}, 1e-5),
    ("STFT", {"output_format": "Magnitude", "win_length": 200, "hop_length": 50, "window": "hamming"}, 1e-5),
    ("STFT", {"output_format": "Magnitude", "freq_scale": "log", "sr": 16000, "freq_bins": 60}, 1e-5),
    ("STFT", {"freq_scale": "linear", "sr": 16000, "center": False}, 1e-5),
    ("STFT", {"trainable": True, "output_format": "Magnitude", "pad_mode": "constant"}, 1e-5),
    ("MelSpectrogram", {}, 1e-5),
    ("MelSpectrogram", {"htk": True, "norm": None, "power": 1.0, "fmin": 60.0, "fmax": 7000.0}, 1e-5),
    ("MelSpectrogram", {"trainable_mel": True, "trainable_STFT": True}, 1e-5),
    ("MFCC", {}, 1e-5),
    ("Gammatonegram", {}, 1e-5),
    ("CQT1992", {"output_format": "Complex"}, 1e-4),
    ("CQT1992v2", {}, 1e-4),
    ("CQT1992v2", {"output_format": "Complex", "center": False}, 1e-4),
    ("CQT1992v2", {"output_format": "Complex", "trainable": True}, 1e-5),
    ("CQT", {"output_format": "Magnitude", "bins_per_octave": 24, "window": "hamming"}, 1e-4),
    ("VQT", {"pad_mode": "constant"}, 1e-4),
    ("CQT2010", {"pad_mode": "constant", "earlydownsample": False}, 2e-2),
    ("CQT2010v2", {"pad_mode": "constant", "earlydownsample": False}, 2e-2),
    ("CFP", {}, 1e-4),
]


@pytest.mark.parametrize(("name", "options", "tolerance"), EQUAL)
def test_numbers_are_nnaudios(name, options, tolerance):
    options, x = LAYERS[name] | options, clips()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "stft with return_complex=False")  # CFP's
        want, have = original(name, options)(x), getattr(features, name)(**options)(x)
    assert have.shape == want.shape
    assert have.dtype == want.dtype
    assert (have - want).abs().max() <= tolerance * want.abs().max()


@pytest.mark.parametrize("name", TRAINED)
def test_trained_kernels_are_loaded_into_any_layer(name):
    theirs = original(name, LAYERS[name] | TRAINED[name])
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(1.0 + 0.1 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(1)))
        want = theirs(clips())
        for options in (TRAINED[name], {}):
            layer = getattr(features, name)(**LAYERS[name], **options)
            layer.load_state_dict(theirs.state_dict())
            assert (layer(clips()) - want).abs().max() <= 2e-3 * want.abs().max()  # eps under the root, or not
            again = getattr(features, name)(**LAYERS[name], **options)
            again.load_state_dict(layer.state_dict())
            assert torch.equal(again(clips()), layer(clips()))


def test_back_to_samples():
    x = clips()
    stft = features.STFT(256, iSTFT=True, **Z)
    y = stft(x)
    torch.testing.assert_close(stft.inverse(y, length=8000), x, atol=1e-5, rtol=0)
    short = features.STFT(256, 200, hop_length=50, **Z)
    back = features.iSTFT(256, 200, hop_length=50, **Z)(short(x), onesided=True, length=7900)
    assert back.dtype == torch.float32
    torch.testing.assert_close(back, x[:, :7900], atol=1e-5, rtol=0)
    magnitude = stft(x, output_format="Magnitude")
    assert features.Griffin_Lim(256, n_iter=4)(magnitude).shape == (2, 64 * (magnitude.shape[-1] - 1))
    options = LAYERS["iCQT"]
    cqt = features.CQT1992v2(**options, output_format="Complex")
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(8000) / 16000)[None]
    back = features.iCQT(**options)(cqt(tone), length=8000)
    assert (back - tone)[:, 1000:-1000].norm() <= 0.02 * tone[:, 1000:-1000].norm()


@pytest.mark.parametrize("name", ["STFT", "MelSpectrogram", "MFCC", "Gammatonegram", "CQT", "CQT2010v2", "VQT", "CFP"])
def test_silence_has_a_gradient(name):
    options = LAYERS[name] | ({"output_format": "Magnitude"} if name == "STFT" else {})
    x = torch.zeros(1, 8000, requires_grad=True)
    getattr(features, name)(**options)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_a_sine_is_one_whatever_is_downsampled():
    sine = torch.sin(2 * torch.pi * 220 * torch.arange(44100) / 44100)
    for layer in (features.CQT2010v2, features.VQT):
        y = layer(44100, 480, 55, n_bins=36)(sine, normalization_type="wrap")  # a hop that octaves do not divide
        assert abs(y[0, 24, 40].item() - 1.0) < 1e-2


def test_refusals():
    with pytest.raises(NotImplementedError, match="trainable_kernels"):
        features.iSTFT(trainable_kernels=True)
    with pytest.raises(NotImplementedError, match="trainable_STFT"):
        features.CQT1992(trainable_STFT=True)
    with pytest.raises(ValueError, match="x must have shape"):
        features.MelSpectrogram(**LAYERS["MelSpectrogram"])(torch.zeros(2, 2, 8000))


def test_example_of_the_page_runs():
    run_examples("migrate-nnaudio.md")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("broadcast_dim", (torch.zeros(2, 8),)),
        ("extend_fbins", (torch.randn(1, 5, 3, 2),)),
        ("fft_frequencies", (16000, 512)),
        ("get_mel", (16000, 512, 40)),
        ("get_mel", (16000, 512, 40, 60.0, 7000.0, True, None)),
        ("get_gammatone", (16000, 512, 40)),
        ("create_cqt_kernels", (17, 16000, 220.0, 24)),
    ],
)
def test_utils_are_nnaudios(name, arguments):
    have, want = getattr(utils, name)(*arguments), getattr(nnaudio_utils, name)(*arguments)
    several = isinstance(want, tuple)
    for h, w in zip(have if several else [have], want if several else [want], strict=True):
        h, w = torch.as_tensor(h), torch.as_tensor(w)
        assert h.shape == w.shape
        assert h.dtype == w.dtype
        assert (h - w).abs().max() <= 1e-6 * w.abs().max()
