"""fastspec.compat.nnaudio against the installed nnaudio2: signatures, state dicts, numbers, and its defects mended."""

import inspect
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from nnAudio2 import librosa_functions as nnaudio_filters
from nnAudio2 import utils as nnaudio_utils
from peers import nnaudio, run_examples

from fastspec.compat.nnaudio import Spectrogram, features, librosa_functions, utils

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


C = {"pad_mode": "constant", "earlydownsample": False}
NOT_READ = {  # nnAudio's attributes that ours lack: kernels of other shapes, and parts of its octaves
    "iCQT": {"cqt_kernels_real", "cqt_kernels_imag", "alpha"},
    "CQT1992": {"wsin", "wcos", "bins2freq", "cqt_kernels_real", "cqt_kernels_imag"},
    "CFP": {"h", "freq2logfreq_matrix", "quef2logfreq_matrix"},
    "VQT": {"n_filters", "n_fft"},
}
OCTAVES = {"fmin_t", "downsample_factor", "basis", "lowpass_filter", "early_downsample_filter"}


@pytest.mark.parametrize("name", LAYERS)
def test_attributes_are_nnaudios(name):
    """earlydownsample=False: else nnAudio's hop_length and lenghts are those behind it, and ours the given ones."""
    early = {"earlydownsample": False} if "earlydownsample" in dict(arguments(getattr(nnaudio, name))) else {}
    options = LAYERS[name] | early | ({"gamma": 20} if name == "VQT" else {})
    theirs, ours = original(name, options), getattr(features, name)(**options)
    missing = NOT_READ.get("CFP" if name.startswith("Combined") else name, set())
    if early:
        missing = missing | OCTAVES | NOT_READ["CQT1992"]
    for key in {*vars(theirs), *theirs._buffers} - vars(torch.nn.Module()).keys() - missing:
        if not key.startswith(("_", "cqt_kernels_real_", "cqt_kernels_imag_")):
            want, have = getattr(theirs, key), getattr(ours, key)
            if isinstance(want, (torch.Tensor, np.ndarray, list, float)):
                have, want = torch.as_tensor(have).numpy(), torch.as_tensor(want).numpy()
                np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-6 * abs(want).max(), err_msg=key)
            else:
                assert have == want, key


EQUAL = [  # layer, its options, options of the call, tolerance
    ("STFT", {}, {}, 1e-5),
    ("STFT", {"win_length": 200, "hop_length": 50, "window": "hamming"}, {"output_format": "Magnitude"}, 1e-5),
    ("STFT", {"output_format": "Magnitude", "freq_scale": "log", "sr": 16000, "freq_bins": 60}, {}, 1e-5),
    ("STFT", {"freq_scale": "log2", "sr": 16000, "fmin": 80, "fmax": 7000}, {}, 1e-5),
    ("STFT", {"freq_scale": "linear", "sr": 16000, "center": False}, {}, 1e-5),
    ("STFT", {"trainable": True, "output_format": "Magnitude", "pad_mode": "constant"}, {}, 1e-5),
    ("STFT", {"freq_bins": 50, "window": "blackman"}, {"output_format": "Phase"}, 1e-5),
    ("STFT", {"n_fft": 300, "iSTFT": True}, {}, 1e-5),
    ("MelSpectrogram", {}, {}, 1e-5),
    ("MelSpectrogram", {"htk": True, "norm": None, "power": 1.0, "fmin": 60.0, "fmax": 7000.0}, {}, 1e-5),
    ("MelSpectrogram", {"win_length": 400, "window": "hamming", "center": False}, {}, 1e-5),
    ("MelSpectrogram", {"pad_mode": "constant", "n_mels": 20, "power": 3.0}, {}, 1e-5),
    ("MelSpectrogram", {"trainable_mel": True, "trainable_STFT": True}, {}, 1e-5),
    ("MFCC", {}, {}, 1e-5),
    ("MFCC", {"n_mfcc": 13, "ref": 0.1, "amin": 1e-6, "top_db": 40.0, "htk": True}, {}, 1e-5),
    ("MFCC", {"top_db": None, "norm": None, "n_mfcc": 40}, {}, 1e-5),
    ("Gammatonegram", {}, {}, 1e-5),
    ("Gammatonegram", {"n_bins": 32, "power": 1.0, "fmin": 80.0, "fmax": 6000.0, "center": False}, {}, 1e-5),
    ("Gammatonegram", {"trainable_bins": True, "trainable_STFT": True, "pad_mode": "constant"}, {}, 1e-5),
    ("CQT1992", {"output_format": "Complex"}, {}, 1e-4),
    ("CQT1992", {"center": False}, {"normalization_type": "convolutional"}, 1e-4),
    ("CQT1992", {"window": "hamming"}, {}, 1e-2),  # nnAudio leaves out the kernels' negative frequencies
    ("CQT1992", {"fmax": 700, "pad_mode": "constant"}, {"normalization_type": "wrap"}, 1e-4),
    ("CQT1992v2", {}, {}, 1e-4),
    ("CQT1992v2", {"output_format": "Complex", "center": False}, {}, 1e-4),
    ("CQT1992v2", {"output_format": "Complex", "trainable": True}, {}, 1e-5),
    ("CQT1992v2", {"trainable": True}, {"normalization_type": "wrap"}, 1e-5),
    ("CQT1992v2", {"norm": 2, "filter_scale": 0.7, "hop_length": 100}, {"normalization_type": "convolutional"}, 1e-4),
    ("CQT1992v2", {"fmax": 900.0, "pad_mode": "constant"}, {"normalization_type": "wrap"}, 1e-4),
    ("CQT1992v2", {}, {"output_format": "Phase"}, 1e-4),
    ("CQT", {"output_format": "Magnitude", "bins_per_octave": 24, "window": "hamming"}, {}, 1e-4),
    ("VQT", {"pad_mode": "constant"}, {}, 1e-4),
    ("VQT", {"window": "blackman", "fmax": 900.0, "basis_norm": 2}, {"normalization_type": "wrap"}, 1e-4),
    ("VQT", C | {"gamma": 20, "n_bins": 12}, {"output_format": "Complex"}, 1e-4),
    ("VQT", C | {"gamma": 20, "filter_scale": 2}, {"normalization_type": "convolutional"}, 3e-2),
    ("CQT2010", C, {}, 2e-2),
    ("CQT2010", C | {"filter_scale": 0.8}, {"normalization_type": "convolutional"}, 2e-2),
    ("CQT2010v2", C, {}, 2e-2),
    ("CQT2010v2", C | {"bins_per_octave": 24, "n_bins": 40}, {"normalization_type": "wrap"}, 2e-2),
    ("CFP", {}, {}, 1e-4),
    ("CFP", {"fr": 10, "fc": 100, "g": [0.2, 0.6, 0.9], "NumPerOct": 36, "hop_length": 400}, {}, 1e-4),
]


@pytest.mark.parametrize(("name", "options", "call", "tolerance"), EQUAL)
def test_numbers_are_nnaudios(name, options, call, tolerance):
    options, x = LAYERS[name] | options, clips()
    theirs, ours = original(name, options), getattr(features, name)(**options)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "stft with return_complex=False")  # CFP's
        want, have = theirs(x, **call), ours(x, **call)
        if call.get("output_format") == "Phase":  # where there is something
            size = theirs(x, output_format="Magnitude")
            if name == "STFT":
                want, have = (torch.stack([y.cos(), y.sin()], -1) for y in (want, have))
            want, have = (y * size[..., None] for y in (want, have))
    assert have.shape == want.shape
    assert have.dtype == want.dtype
    assert (have - want).abs().max() <= tolerance * want.abs().max()


def test_cfps_four_parts():
    name, x = "Combined_Frequency_Periodicity", clips()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "stft with return_complex=False")
        want, have = original(name, LAYERS[name])(x), features.Combined_Frequency_Periodicity(**LAYERS[name])(x)
    for h, w in zip(have, want, strict=True):
        assert h.shape == w.shape
        assert (h - w).abs().max() <= 1e-4 * w.abs().max()


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


@pytest.mark.parametrize("gamma", [5, 50])
def test_vqt_is_what_nnaudios_kernels_say(gamma):
    """Its octaves, each with lengths rounded up and centres half a sample off, are several per cent away from them."""
    options = {
        "sr": 16000,
        "fmin": 110,
        "n_bins": 54,
        "hop_length": 256,
        "gamma": gamma,
        **C,
        "output_format": "Complex",
    }
    kernels, width, lengths, _ = nnaudio_utils.create_cqt_kernels(1 / (2 ** (1 / 12) - 1), 16000, 110, 54, gamma=gamma)
    parts = (torch.tensor(part.copy())[:, None] for part in (kernels.real, kernels.imag))
    x = clips()
    want = nnaudio_utils.get_cqt_complex(x[:, None], *parts, 256, torch.nn.ConstantPad1d(width // 2, 0))
    want = (want * lengths.sqrt()[:, None, None]).norm(dim=-1)
    theirs, ours = (module.VQT(**options, **Z)(x).norm(dim=-1) for module in (nnaudio, features))
    assert (ours - want).norm() <= 1e-4 * want.norm()
    assert (theirs - want).norm() >= 1e-2 * want.norm()


def test_vqt_behind_early_downsampling_is_at_the_right_bin():
    """nnAudio halves the rate of the samples, and not that of the kernels."""
    options = {"sr": 16000, "fmin": 220, "n_bins": 24, "hop_length": 256, "gamma": 20, "pad_mode": "constant", **Z}
    sine = torch.sin(2 * torch.pi * 440 * torch.arange(16000) / 16000)
    theirs, ours = (module.VQT(**options)(sine, normalization_type="wrap")[0, :, 30] for module in (nnaudio, features))
    assert abs(ours[12] - 1) < 1e-3
    assert ours.argmax() == 12
    assert theirs[12] < 0.1
    assert theirs.argmax() != 12


@pytest.mark.parametrize("name", ["CQT2010", "CQT2010v2"])
def test_kernels_of_norm_2_have_one_loudness(name):
    """nnAudio's octaves are normalised at rates of their own: each is sqrt(2) below the one above."""
    options = {**LAYERS[name], **C, "basis_norm": 2}
    x = clips()
    theirs, ours = original(name, options)(x), getattr(features, name)(**options)(x)
    one = {k: options[k] for k in ("sr", "fmin", "n_bins", "hop_length")}
    want = features.CQT1992v2(**one, norm=2, pad_mode="constant")(x)
    assert (ours - want).abs().max() <= 1e-4 * want.abs().max()
    ratio = (ours.norm(dim=(0, 2)) / theirs.norm(dim=(0, 2))).log2() * 2
    torch.testing.assert_close(ratio, torch.tensor([1.0] * 12 + [0.0] * 12), atol=0.02, rtol=0)


def gradient_of(layer, x):
    layer(x.requires_grad_()).sum().backward()
    return x.grad


def opposite(layer, x):
    """Whether "Phase" turns the other way than "Complex"."""
    return (layer(x, "Complex")[..., 1] * layer(x, "Phase")[..., 1]).sum() < 0


SINE = torch.sin(2 * torch.pi * 220 * torch.arange(44100) / 44100)
DEFECTS = {  # what the page says of nnAudio, so that it is told if it is mended; True, or what is raised
    "silence": (
        lambda m: gradient_of(m.MelSpectrogram(**LAYERS["MelSpectrogram"]), torch.zeros(1, 8000)).isnan().any(),
        True,
    ),
    "gain": (
        lambda m: m.CQT2010v2(44100, 512, 55, n_bins=36, **Z)(SINE, normalization_type="wrap")[0, 24, 40] > 15,
        True,
    ),
    "phase": (lambda m: opposite(m.CQT1992(**LAYERS["CQT1992"]), clips()), True),
    "hop": (lambda m: m.CQT2010v2(16000, 441, 55, **Z)(clips()), RuntimeError),
    "short": (lambda m: m.CQT1992v2(16000, 256, **Z)(clips()[:, :3000]), RuntimeError),
    "Griffin_Lim": (lambda m: m.Griffin_Lim(256)(torch.rand(1, 129, 20)), RuntimeError),
    "CFP's gradient": (lambda m: gradient_of(m.CFP(**LAYERS["CFP"]), clips()), RuntimeError),
    "CFP of [T]": (lambda m: m.CFP(**LAYERS["CFP"])(clips()[0]), IndexError),
    "float64": (lambda m: m.iSTFT(256, **Z)(torch.rand(1, 129, 9, 2), onesided=True).dtype is torch.float64, True),
    "win_length": (lambda m: m.iSTFT(256, 200, **Z)(torch.rand(1, 129, 9, 2), onesided=True), RuntimeError),
    "onesided": (lambda m: m.iSTFT(256, **Z)(torch.rand(1, 129, 9, 2)), RuntimeError),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_nnaudios_defects_are_not_ours(name, capsys):
    call, theirs = DEFECTS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if theirs is True:
            assert call(nnaudio)
            assert not call(features)
        else:
            with pytest.raises(theirs):
                call(nnaudio)
            call(features)


def test_refusals():
    with pytest.raises(NotImplementedError, match="trainable_kernels"):
        features.iSTFT(trainable_kernels=True)
    with pytest.raises(NotImplementedError, match="trainable_STFT"):
        features.CQT1992(trainable_STFT=True)
    with pytest.raises(ValueError, match="x must have shape"):
        features.MelSpectrogram(**LAYERS["MelSpectrogram"])(torch.zeros(2, 2, 8000))


def test_example_of_the_page_runs():
    run_examples("migrate-nnaudio.md")


X, K, W = torch.randn(2, 1, 4000), torch.randn(6, 1, 64), torch.randn(2, 33, 1, 64)
UTILS = [
    ("broadcast_dim", (torch.zeros(2, 8),)),
    ("broadcast_dim_conv2d", (torch.zeros(2, 8, 3),)),
    ("extend_fbins", (torch.randn(1, 5, 3, 2),)),
    ("nextpow2", (300,)),
    ("prepow2", (300,)),
    ("rfft_fn", (torch.randn(2, 12),)),
    ("complex_mul", ((torch.randn(3, 4), torch.randn(3, 4)), (torch.randn(4, 5), torch.randn(4, 5)))),
    ("overlap_add", (torch.randn(2, 16, 5), 4)),
    ("torch_window_sumsquare", (torch.rand(16), 5, 4, 16)),
    ("downsampling_by_n", (X, torch.randn(1, 1, 64), 4)),
    ("downsampling_by_2", (X, torch.randn(1, 1, 64))),
    ("create_lowpass_filter", ()),
    ("create_lowpass_filter", (0.25, 101, 0.001)),
    ("early_downsample_count", (11025, 500.0, 512, 3)),
    ("early_downsample", (22050, 512, 3, 11025, 500.0)),
    ("get_early_downsample_params", (22050, 512, 500.0, 17.0, 3, False)),
    ("get_early_downsample_params", (22050, 512, 5000.0, 17.0, 3, False)),
    ("get_window_dispatch", (("gaussian", 60.0), 63)),
    ("get_window_dispatch", ("hann", 64, False)),
    ("create_fourier_kernels", (64, 50, None, 50, 6000, 16000, "log", "hamming", False)),
    ("create_fourier_kernels", (64, None, 20, 50, 6000, 16000, "no", "hann", False)),
    ("create_cqt_kernels", (17, 16000, 220.0, 24)),
    ("create_cqt_kernels", (17, 16000, 220.0, 24, 12, 2, "hamming", None, False, 20, False)),
    ("get_cqt_complex", (X, K, K.flip(0), 50, torch.nn.ReflectionPad1d(32))),
    ("get_cqt_complex2", (X, W[0, :6, 0, :33], W[1, :6, 0, :33], 50, torch.nn.ConstantPad1d(32, 0), *W)),
    ("fft_frequencies", (16000, 512)),
    ("mel_frequencies", (40, 20.0, 7000.0)),
    ("hz_to_mel", ([60.0, 1000.0, 7000.0],)),
    ("mel_to_hz", (25.0, True)),
    ("hz_to_octs", ([55.0, 442.0], 0.1, 24)),
    ("get_mel", (16000, 512, 40)),
    ("get_mel", (16000, 512, 40, 60.0, 7000.0, True, None)),
    ("get_gammatone", (16000, 512, 40)),
    ("fft2gammatonemx", (16000, 512, 32, 1.5, 50.0, 7000.0, 300)),
    ("chroma", (16000, 512, 24, 0.1)),
    ("pad_center", (np.ones((3, 5)), 12)),
    ("normalize", (np.eye(4)[:3] * 3, 2, 1)),
    ("normalize", (np.eye(4)[:3], np.inf, 0, 1e-3, True)),
    ("normalize", (np.eye(4)[:3], 0, 0, None, False)),
    ("tiny", (np.ones(3, np.float32),)),
]


def public(module):
    return {name for name, f in vars(module).items() if inspect.isfunction(f) and f.__module__.startswith("nnAudio2")}


def test_every_function_is_here():
    assert public(nnaudio_utils) <= set(utils.__all__)
    assert public(nnaudio_filters) <= set(librosa_functions.__all__)
    assert {name for name, _ in UTILS} | {"uniform_distribution"} == public(nnaudio_utils)
    for name in utils.__all__:
        assert arguments(getattr(utils, name)) == arguments(getattr(nnaudio_utils, name))
    x = utils.uniform_distribution(2.0, 5.0, 100, device="cpu")
    assert 2 <= x.min() < x.max() <= 5


@pytest.mark.parametrize(("name", "arguments"), UTILS)
def test_utils_are_nnaudios(name, arguments):
    have, want = getattr(utils, name)(*arguments), getattr(nnaudio_utils, name)(*arguments)
    several = isinstance(want, tuple)
    for h, w in zip(have if several else [have], want if several else [want], strict=True):
        if w is None:
            assert h is None
            continue
        h, w = np.asarray(h), np.asarray(w)
        assert h.shape == w.shape
        assert h.dtype == w.dtype
        assert np.abs(h * 1.0 - w).max() <= 2e-6 * np.abs(w).max()
