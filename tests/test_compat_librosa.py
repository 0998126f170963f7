"""fastspec.compat.librosa against the installed librosa: signatures, numbers on a grid, errors. Under 10 s."""

import inspect
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from peers import librosa, run_examples

import fastspec.compat.librosa as compat

SR = 22050
CORE = [name for name in compat.__all__ if name not in ("feature", "filters")]
FEATURES = ["melspectrogram", "mfcc", "spectral_centroid", "spectral_bandwidth", "spectral_rolloff"]
FEATURES += ["spectral_flatness", "chroma_stft"]
NAMES = [*CORE, *(f"feature.{name}" for name in FEATURES), "filters.mel", "filters.chroma"]


def both(name):
    found = []
    for module in (compat, librosa):
        for part in name.split("."):
            module = getattr(module, part)
        found.append(module)
    return found


def clip(dtype: Any = np.float32, n=12000, channels=None):
    rng = np.random.default_rng(0)
    t = np.arange(n) / SR
    tone = np.sin(2 * np.pi * 440 * t) + 0.3 * np.sin(2 * np.pi * 1234.5 * t)
    return (tone + 0.1 * rng.standard_normal((channels, n) if channels else n)).astype(dtype)


def same(ours, theirs, tolerance):
    """Within tolerance of the largest value."""
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


@pytest.mark.parametrize("name", NAMES)
def test_signature(name):
    ours, theirs = ([(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()] for f in both(name))
    assert ours == theirs


FRAMES = [
    {},
    {"n_fft": 512, "hop_length": 100, "win_length": 300, "window": "hamming"},
    {"n_fft": 501, "hop_length": 125, "center": False, "window": ("kaiser", 8.0)},
    {"n_fft": 1024, "pad_mode": "reflect", "window": 5.0},
    {"n_fft": 256, "pad_mode": "edge", "window": np.hanning},
]


@pytest.mark.parametrize("arguments", FRAMES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-12)])
def test_stft_and_back(arguments, dtype, tolerance):
    y = clip(dtype, channels=2)
    theirs = librosa.stft(y, **arguments)
    ours = compat.stft(y, **arguments)
    same(ours, theirs, tolerance)
    if arguments.get("center", True):
        back = {k: v for k, v in arguments.items() if k != "pad_mode"}
        same(compat.istft(theirs, **back, length=12000), librosa.istft(theirs, **back, length=12000), tolerance)


def test_dtype_and_out():
    y = clip()
    z = compat.stft(y, dtype=np.complex128)
    assert z.dtype == np.complex128
    out = np.empty_like(z)
    assert compat.stft(y, dtype=np.complex128, out=out) is out
    np.testing.assert_array_equal(out, z)
    same(compat.istft(z, dtype=np.float32), librosa.istft(z, dtype=np.float32), 1e-6)
    same(compat.stft(y[::-2]), librosa.stft(y[::-2]), 2e-6)


@pytest.mark.parametrize("init", ["random", None])
def test_griffinlim(init):
    s = np.abs(librosa.stft(clip(np.float64), n_fft=512))
    arguments = {"n_iter": 5, "init": init, "random_state": 3}
    same(compat.griffinlim(s, **arguments), librosa.griffinlim(s, **arguments), 1e-9)


@pytest.mark.parametrize("name", ["cqt", "vqt"])
@pytest.mark.parametrize("arguments", [{}, {"hop_length": 256, "fmin": 65.4, "n_bins": 60, "tuning": 0.2}])
def test_constant_q(name, arguments):
    y = clip(n=24000) * np.hanning(24000).astype(np.float32)
    ours, theirs = both(name)
    same(ours(y, sr=SR, **arguments), theirs(y, sr=SR, **arguments), 2e-3)


FILTERS = [{}, {"htk": True, "n_mels": 40, "fmin": 50.0, "fmax": 8000.0}, {"norm": None, "n_mels": 64}]


@pytest.mark.parametrize("arguments", FILTERS)
@pytest.mark.parametrize("frames", FRAMES)
def test_mel(arguments, frames):
    if frames.get("n_fft", 2048) < 1024:
        arguments = {**arguments, "n_mels": 20}
    bank = {"sr": SR, "n_fft": frames.get("n_fft", 2048), **arguments}
    same(compat.filters.mel(**bank), librosa.filters.mel(**bank), 1e-6)
    ours, theirs = both("feature.melspectrogram")
    arguments = {
        "y": clip(np.float64 if "win_length" in frames else np.float32),
        "sr": SR,
        "power": 1.0 if "window" in frames else 2.0,
        **frames,
        **arguments,
    }
    same(ours(**arguments), theirs(**arguments), 5e-6)


@pytest.mark.parametrize(
    "arguments", [{}, {"n_mfcc": 13, "lifter": 22, "norm": None}, {"n_mels": 16, "mel_norm": None}]
)
def test_mfcc(arguments):
    ours, theirs = both("feature.mfcc")
    same(ours(y=clip(), sr=SR, **arguments), theirs(y=clip(), sr=SR, **arguments), 1e-5)
    s = librosa.power_to_db(librosa.feature.melspectrogram(y=clip(), sr=SR))
    same(ours(S=s), theirs(S=s), 1e-6)
    ours, theirs = both("feature.melspectrogram")
    same(ours(S=np.exp(s / 9), n_mels=20), theirs(S=np.exp(s / 9), n_mels=20), 1e-6)


@pytest.mark.parametrize("name", [f"feature.spectral_{n}" for n in ("centroid", "bandwidth", "rolloff", "flatness")])
@pytest.mark.parametrize("frames", FRAMES)
def test_shape(name, frames):
    ours, theirs = both(name)
    y = clip(np.float64)
    same(ours(y=y, **frames), theirs(y=y, **frames), 1e-6)
    s = np.abs(librosa.stft(y, n_fft=512))
    same(ours(S=s), theirs(S=s), 1e-9)


@pytest.mark.parametrize(
    "arguments", [{}, {"n_chroma": 24, "norm": 2, "octwidth": None}, {"norm": None, "base_c": False}]
)
def test_chroma(arguments):
    ours, theirs = both("feature.chroma_stft")
    same(ours(y=clip(), tuning=0.1, **arguments), theirs(y=clip(), tuning=0.1, **arguments), 1e-5)
    same(compat.filters.chroma(sr=SR, n_fft=1024), librosa.filters.chroma(sr=SR, n_fft=1024), 1e-6)


@pytest.mark.parametrize("name", ["power_to_db", "amplitude_to_db"])
@pytest.mark.parametrize("arguments", [{}, {"ref": np.max}, {"ref": 3.0, "amin": 1e-3, "top_db": None}])
def test_decibels(name, arguments):
    ours, theirs = both(name)
    s = np.random.default_rng(1).random((2, 5, 7), np.float32) ** 12
    same(ours(s, **arguments), theirs(s.copy(), **arguments), 1e-6)


@pytest.mark.parametrize("name", ["db_to_power", "db_to_amplitude"])
def test_from_decibels(name):
    ours, theirs = both(name)
    s = np.linspace(-80, 20, 50, dtype=np.float32)
    same(ours(s, ref=2.0), theirs(s, ref=2.0), 1e-6)


Y, S = clip(), np.ones((1025, 3), np.float32)
LIST: Any = [0.0] * 4000
WORD: Any = "x"


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: compat.stft(np.arange(4000)), "y"),
        (lambda: compat.stft(LIST), "y"),
        (lambda: compat.stft(np.full(4000, np.nan)), "y"),
        (lambda: compat.stft(Y, pad_mode="linear_ramp"), "pad_mode"),
        (lambda: compat.stft(Y, dtype=np.float32), "dtype"),
        (lambda: compat.stft(Y, out=np.empty(3)), "out"),
        (lambda: compat.stft(Y, hop_length=0), "hop_length"),
        (lambda: compat.stft(Y, window=np.ones(5)), "window"),
        (lambda: compat.stft(Y, window="no such"), "window"),
        (lambda: compat.istft(S), "stft_matrix"),
        (lambda: compat.griffinlim(S, momentum=1.5), "momentum"),
        (lambda: compat.griffinlim(S, init="zeros"), "init"),
        (lambda: compat.griffinlim(S, random_state=WORD), "random_state"),
        (lambda: compat.cqt(Y, tuning=None), "tuning"),
        (lambda: compat.cqt(Y, sparsity=0.0), "sparsity"),
        (lambda: compat.cqt(Y, scale=False), "scale"),
        (lambda: compat.cqt(Y, res_type="fft"), "res_type"),
        (lambda: compat.cqt(Y, window=np.hanning), "window"),
        (lambda: compat.vqt(Y, intervals="pythagorean"), "intervals"),
        (lambda: compat.power_to_db(S, amin=0), "amin"),
        (lambda: compat.power_to_db(S, top_db=-1), "top_db"),
        (lambda: compat.power_to_db(S + 1j), "S"),
        (lambda: compat.feature.melspectrogram(), "y"),
        (lambda: compat.feature.melspectrogram(y=Y, norm=2), "norm"),
        (lambda: compat.feature.melspectrogram(y=Y, fmin=9000.0, fmax=100.0), "fmax"),
        (lambda: compat.feature.mfcc(y=Y, dct_type=3), "dct_type"),
        (lambda: compat.feature.mfcc(y=Y, lifter=-1), "lifter"),
        (lambda: compat.feature.spectral_centroid(y=Y, freq=np.ones(1025)), "freq"),
        (lambda: compat.feature.spectral_rolloff(S=-S), "S"),
        (lambda: compat.feature.chroma_stft(y=Y), "tuning"),
    ],
)
def test_errors_name_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()


def test_librosa_is_not_imported():
    code = "import sys, fastspec.compat.librosa; assert not {'librosa', 'scipy', 'numba'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_examples():
    run_examples("migrate-librosa.md")
