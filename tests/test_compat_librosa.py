"""fastspec.compat.librosa against the installed librosa: signatures, numbers on a grid, errors. Under 10 s."""

import importlib
import inspect
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from peers import librosa, run_examples

import fastspec.compat.librosa as compat

SR = 22050
CORE = [name for name in compat.__all__ if name not in ("core", "feature", "filters")]
FEATURES = ["melspectrogram", "mfcc", "spectral_centroid", "spectral_bandwidth", "spectral_rolloff"]
FEATURES += ["spectral_flatness", "spectral_contrast", "chroma_stft", "chroma_cqt", "delta"]
NAMES = [*CORE, *(f"feature.{name}" for name in FEATURES), "filters.mel", "filters.chroma"]
SINCE = {  # what librosa 1.0 has and the installed 0.11 has not, and the switch between them
    "power_to_db": {"axes", "convention"},
    "amplitude_to_db": {"axes", "convention"},
    "feature.mfcc": {"convention"},
    "griffinlim": {"rng"},
}


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
    assert [p for p in ours if p[0] not in SINCE.get(name, ())] == theirs
    assert SINCE.get(name, set()) <= {p[0] for p in ours}


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
    arguments = {"n_iter": 5, "init": init}
    same(compat.griffinlim(s, random_state=3, **arguments), librosa.griffinlim(s, random_state=3, **arguments), 1e-9)
    generator = np.random.default_rng(4)  # what 1.0 makes of rng=4
    same(compat.griffinlim(s, rng=4, **arguments), librosa.griffinlim(s, random_state=generator, **arguments), 1e-9)


@pytest.mark.parametrize("name", ["cqt", "vqt", "pseudo_cqt", "hybrid_cqt"])
@pytest.mark.parametrize(
    "arguments", [{}, {"hop_length": 256, "fmin": 65.4, "n_bins": 60, "tuning": 0.2}, {"tuning": None, "n_bins": 72}]
)
def test_constant_q(name, arguments):
    y = clip(n=24000) * np.hanning(24000).astype(np.float32)
    ours, theirs = both(name)
    same(ours(y, sr=SR, **arguments), theirs(y, sr=SR, **arguments), 2e-3)


@pytest.mark.parametrize("length", [None, 24000, 20000, 30000])
def test_constant_q_and_back(length):
    y = np.sin(2 * np.pi * 220 * np.arange(24000) / SR) * np.hanning(24000)
    c = librosa.cqt(y, sr=SR, hop_length=64)
    ours, theirs = both("icqt")
    ours, theirs = (f(c, sr=SR, hop_length=64, length=length) for f in (ours, theirs))
    assert ours.dtype == theirs.dtype == np.float64
    assert len(ours) == (length or 64 * (c.shape[1] - 1))
    kept = slice(0, min(len(ours), len(theirs), len(y)))
    ours, theirs = (np.linalg.norm(back[kept] - y[kept]) / np.linalg.norm(y[kept]) for back in (ours, theirs))
    assert ours < 0.02
    assert ours < theirs


def test_tuning():
    t = np.arange(22050) / SR
    for off in (-0.3, 0.0, 0.25):
        y = sum(np.sin(2 * np.pi * 440 * 2 ** ((k + off) / 12) * t) for k in (-9, -5, 0, 3))
        assert compat.estimate_tuning(y=y, sr=SR) == librosa.estimate_tuning(y=y, sr=SR)
        for mine, theirs in zip(compat.piptrack(y=y, sr=SR), librosa.piptrack(y=y, sr=SR), strict=True):
            same(mine, theirs, 1e-6)
    s = np.abs(librosa.stft(y, n_fft=1024))
    options = {"fmin": 100, "threshold": 0.3, "ref": np.mean}
    same(compat.piptrack(S=s, **options)[0], librosa.piptrack(S=s, **options)[0], 1e-6)
    with pytest.warns(UserWarning, match="no frequency"):
        assert compat.pitch_tuning(np.zeros(3)) == 0.0


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("fft_frequencies", {"sr": 16000, "n_fft": 501}),
        ("cqt_frequencies", {"n_bins": 30, "fmin": 55.0, "bins_per_octave": 24, "tuning": 0.3}),
        ("mel_frequencies", {"n_mels": 40, "fmin": 20.0}),
        ("mel_frequencies", {"htk": True}),
        ("hz_to_mel", {"frequencies": [60.0, 1000.0, 7000.0]}),
        ("mel_to_hz", {"mels": 25.0, "htk": True}),
    ],
)
def test_frequencies(name, arguments):
    ours, theirs = both(name)
    np.testing.assert_allclose(ours(**arguments), theirs(**arguments), rtol=1e-12)


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
    "arguments", [{}, {"tuning": 0.1, "n_chroma": 24, "norm": 2, "octwidth": None}, {"norm": None, "base_c": False}]
)
def test_chroma(arguments):
    ours, theirs = both("feature.chroma_stft")
    same(ours(y=clip(), **arguments), theirs(y=clip(), **arguments), 1e-5)
    same(compat.filters.chroma(sr=SR, n_fft=1024), librosa.filters.chroma(sr=SR, n_fft=1024), 1e-6)


@pytest.mark.parametrize("arguments", [{}, {"cqt_mode": "hybrid", "tuning": 0.1, "threshold": 0.05}, {"norm": None}])
def test_chroma_of_constant_q(arguments):
    y = clip(n=48000) * np.hanning(48000).astype(np.float32)
    ours, theirs = both("feature.chroma_cqt")
    arguments = {"y": y, "n_octaves": 5, "fmin": 65.4, **arguments}
    same(ours(**arguments), theirs(**arguments), 4e-3)
    c = np.abs(librosa.cqt(y, n_bins=48, bins_per_octave=24))
    only_c = {"C": c, "bins_per_octave": 24, "fmin": 55.0}
    same(ours(**only_c), theirs(**only_c), 1e-6)


@pytest.mark.parametrize("arguments", [{}, {"linear": True}, {"fmin": 100.0, "n_bands": 5, "quantile": 0.1}])
def test_contrast(arguments):
    ours, theirs = both("feature.spectral_contrast")
    y = clip(np.float64)
    same(ours(y=y, **arguments), theirs(y=y, **arguments), 1e-6)


DELTAS = [{}, {"order": 2}, {"width": 5, "mode": "nearest"}, {"width": 7, "polyorder": 3, "mode": "wrap", "axis": 0}]


@pytest.mark.parametrize("arguments", [*DELTAS, {"mode": "mirror"}, {"mode": "constant"}])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-12)])
def test_delta(arguments, dtype, tolerance):
    ours, theirs = both("feature.delta")
    x = np.random.default_rng(2).standard_normal((12, 30)).astype(dtype)
    same(ours(x, **arguments), theirs(x, **arguments), tolerance)


@pytest.mark.parametrize("arguments", [{}, {"gain": 0.8, "bias": 10, "b": 0.1}, {"max_size": 3, "power": 0.25}])
def test_pcen_and_magphase(arguments):
    ours, theirs = both("pcen")
    s = np.random.default_rng(3).random((20, 60)) * 2.0**31
    same(ours(s, **arguments), theirs(s, **arguments), 1e-9)
    z = librosa.stft(clip(), n_fft=256)
    z[3] = 0
    for mine, its in zip(compat.magphase(z, power=2), librosa.magphase(z.copy(), power=2), strict=True):
        same(mine, its, 1e-6)


DECIBELS = [{}, {"ref": np.max}, {"ref": np.median, "top_db": 20.0}, {"ref": 3.0, "amin": 1e-3, "top_db": None}]


@pytest.mark.parametrize("name", ["power_to_db", "amplitude_to_db"])
@pytest.mark.parametrize("arguments", DECIBELS)
def test_decibels(name, arguments):
    """The installed librosa is 0.11; 1.0 does to every channel what 0.11 does to one."""
    ours, theirs = both(name)
    s = np.random.default_rng(1).random((2, 5, 7), np.float32) ** 12 * np.float32([[[1]], [[1e-6]]])
    same(ours(s, convention="0.11", **arguments), theirs(s.copy(), **arguments), 1e-6)
    same(ours(s, axes=None, **arguments), theirs(s.copy(), **arguments), 1e-6)
    apart = np.stack([theirs(channel.copy(), **arguments) for channel in s])
    same(ours(s, **arguments), apart, 1e-6)
    assert float(ours(2.0)) == pytest.approx(float(theirs(2.0)))


def test_cepstra_of_channels():
    ours, theirs = both("feature.mfcc")
    y = clip(channels=2) * np.float32([[1], [1e-4]])
    same(ours(y=y, convention="0.11"), theirs(y=y), 1e-5)
    same(ours(y=y), np.stack([theirs(y=channel) for channel in y]), 1e-5)
    assert np.abs(ours(y=y) - theirs(y=y)).max() > 10


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
        (lambda: compat.griffinlim(S, rng=1, random_state=1), "rng"),
        (lambda: compat.icqt(S), "C"),
        (lambda: compat.pcen(S, return_zf=True), "return_zf"),
        (lambda: compat.power_to_db(S, axes="all"), "axes"),
        (lambda: compat.power_to_db(S, convention="0.9"), "convention"),
        (lambda: compat.power_to_db(S, ref=lambda s: s.max()), "ref"),
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
        (lambda: compat.feature.chroma_stft(y=Y, tuning=np.nan), "tuning"),
        (lambda: compat.feature.chroma_cqt(y=Y, window=np.ones(3)), "window"),
        (lambda: compat.feature.delta(S, width=4), "width"),
        (lambda: compat.feature.delta(S), "width"),
        (lambda: compat.feature.delta(S.T, cval=1.0), "cval"),
    ],
)
def test_errors_name_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()


@pytest.mark.parametrize("place", ["", ".core", ".feature", ".filters"])
def test_what_is_missing_names_librosas(place):
    module = importlib.import_module(compat.__name__ + place)
    with pytest.raises(
        AttributeError, match=rf"use librosa\{place}.onset_detect" if place else "use librosa.onset_detect"
    ):
        _ = module.onset_detect
    assert not hasattr(module, "effects")


def test_the_bank_is_made_once(monkeypatch):
    compat.feature.melspectrogram(y=Y, n_mels=17)
    monkeypatch.setattr("fastspec.bases.mel_filterbank", None)
    compat.feature.melspectrogram(y=Y, n_mels=17)


def test_librosa_is_not_imported():
    code = "import sys, fastspec.compat.librosa; assert not {'librosa', 'scipy', 'numba'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_examples():
    run_examples("migrate-librosa.md")
