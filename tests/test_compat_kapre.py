"""fastspec.compat.kapre: signatures against Kapre's source, numbers against tf.signal's formulas in NumPy, training.

Kapre needs TensorFlow, half a gigabyte: its source is read, not imported. Where `python -m bench.environments keras`
has made the environment with both, the layers are compared there with Kapre's own, on TensorFlow. Under 25 s.
"""

import ast
import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peers import librosa, run_examples

os.environ["KERAS_BACKEND"] = "torch"
import keras

import fastspec.compat.kapre as kapre
from bench.cells import ENVIRONMENTS

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on torch

SPEC = importlib.util.find_spec("kapre")  # found, not imported
assert SPEC is not None
assert SPEC.origin is not None
SOURCE = Path(SPEC.origin).parent
CLASSES = ["STFT", "InverseSTFT", "Magnitude", "Phase", "MagnitudeToDecibel", "ApplyFilterbank", "Delta"]
CLASSES += ["ConcatenateFrequencyMap"]


def definitions(file):
    """Kapre's classes and functions by name, as syntax trees."""
    return {node.name: node for node in ast.parse((SOURCE / file).read_text()).body if hasattr(node, "name")}


def theirs(function):
    """[(name, default), ...] of a function's syntax tree."""
    arguments = [a.arg for a in function.args.args]
    defaults = [ast.literal_eval(d) for d in function.args.defaults]
    found = list(zip(arguments, [inspect.Parameter.empty] * (len(arguments) - len(defaults)) + defaults, strict=True))
    return [(name, default) for name, default in found if name != "self"]


def ours(function):
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values() if p.kind not in kinds]


@pytest.mark.parametrize("name", CLASSES)
def test_layer_signature_and_config(name):
    methods = {n.name: n for n in definitions("time_frequency.py")[name].body if hasattr(n, "name")}
    layer = getattr(kapre, name)
    if "__init__" in methods:
        assert ours(layer) == theirs(methods["__init__"])
        keys = [k.value for n in ast.walk(methods["get_config"]) if isinstance(n, ast.Dict) for k in n.keys]
        made = layer("mel", {"sample_rate": 8000, "n_freq": 129}) if name == "ApplyFilterbank" else layer()
        assert set(made.get_config()) == {"name", "trainable", "dtype", *keys}
    assert keras.saving.get_registered_name(layer) == f"Kapre>{name}"


COMPOSED = [name for name in kapre.composed.__dict__ if name.startswith("get_")]


def test_every_composed_function_is_here():
    assert {name for name in definitions("composed.py") if name.startswith("get_")} == set(COMPOSED)


@pytest.mark.parametrize("name", COMPOSED)
def test_composed_signature(name):
    assert ours(getattr(kapre.composed, name)) == theirs(definitions("composed.py")[name])


@pytest.mark.parametrize("name", ["filterbank_mel", "filterbank_log", "magnitude_to_decibel", "get_window_fn"])
def test_backend_signature(name):
    assert ours(getattr(kapre.backend, name)) == theirs(definitions("backend.py")[name])


# --- tf.signal's formulas, in NumPy ---


def stft(x, n_fft, win_length, hop_length, window, pad_begin, pad_end):
    """x [..., T] to [..., M, F], as tf.signal.stft, in Kapre's padding."""
    if pad_begin:
        x = np.pad(x, [*[(0, 0)] * (x.ndim - 1), (n_fft - hop_length, 0)])
    count = -(-x.shape[-1] // hop_length) if pad_end else 1 + (x.shape[-1] - win_length) // hop_length
    x = np.pad(x, [*[(0, 0)] * (x.ndim - 1), (0, max(0, (count - 1) * hop_length + win_length - x.shape[-1]))])
    frames = [x[..., m * hop_length :][..., :win_length] * window for m in range(count)]
    return np.fft.rfft(np.stack(frames, -2), n_fft)


def raised_cosine(a, n):
    """tf.signal's: periodic for an even length, symmetric for an odd one."""
    return a - (1 - a) * np.cos(2 * np.pi * np.arange(n) / (n if n % 2 == 0 else n - 1))


def clip(channels=2, samples=1200):
    return np.random.default_rng(0).standard_normal((3, channels, samples))


def near(got, want, tolerance):
    got = np.asarray(got.detach()) if isinstance(got, torch.Tensor) else np.asarray(got)
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


GRID = [
    {},
    {"n_fft": 256, "hop_length": 100, "window_name": "hamming_window"},
    {"n_fft": 256, "win_length": 200},
    {"n_fft": 256, "win_length": 151, "hop_length": 60, "pad_end": True},
    {"n_fft": 128, "win_length": 200, "pad_begin": True},
    {"n_fft": 250, "hop_length": 50, "pad_begin": True, "pad_end": True, "window_name": "hann_window"},
]
WINDOWS = {None: 0.5, "hann_window": 0.5, "hamming_window": 0.54}


@pytest.mark.parametrize("arguments", GRID)
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-13)])
def test_stft(arguments, first, dtype, tolerance):
    n_fft = arguments.get("n_fft", 2048)
    x = clip(samples=3 * n_fft + 77)
    win_length = arguments.get("win_length", n_fft)
    window = raised_cosine(WINDOWS[arguments.get("window_name")], win_length)
    hop = arguments.get("hop_length", win_length // 4)
    ends = arguments.get("pad_begin", False), arguments.get("pad_end", False)
    want = stft(x, n_fft, win_length, hop, window, *ends)  # [B, C, M, F]
    if n_fft < win_length:
        window = window[:n_fft]
    formats = {"input_data_format": "channels_first" if first else "channels_last"}
    formats["output_data_format"] = "channels_last" if first else "channels_first"  # one of each
    layer = kapre.STFT(**arguments, **formats, dtype=dtype)
    given = torch.tensor(x if first else x.swapaxes(1, 2))
    got = layer(given)
    near(got, np.moveaxis(want, 1, 3) if first else want, tolerance)
    assert got.dtype is (torch.complex64 if dtype == "float32" else torch.complex128)
    spec = layer.compute_output_spec(keras.KerasTensor(given.shape, dtype=dtype))
    assert (tuple(spec.shape), spec.dtype) == (tuple(got.shape), "complex64" if dtype == "float32" else "complex128")


def test_windows():
    """The other windows, against SciPy."""
    from scipy.signal import windows

    np.testing.assert_allclose(kapre.backend.get_window_fn("kaiser_window")(33), windows.kaiser(33, 12.0), atol=1e-14)
    derived = windows.kaiser_bessel_derived(64, 12.0)
    np.testing.assert_allclose(kapre.backend.get_window_fn("kaiser_bessel_derived_window")(64), derived, atol=1e-14)
    n = np.arange(30) + 0.5
    vorbis = np.sin(np.pi / 2 * np.sin(np.pi * n / 30) ** 2)
    np.testing.assert_allclose(kapre.backend.get_window_fn("vorbis_window")(30), vorbis, atol=1e-14)
    with pytest.raises(NotImplementedError, match=r"window_name must be one of 'hamming_window'.*got 'boxcar'"):
        kapre.STFT(window_name="boxcar")


@pytest.mark.parametrize("hop", [64, 100, 128])
@pytest.mark.parametrize("formats", [("channels_first", "channels_last"), ("channels_last", "channels_first")])
def test_inverse(hop, formats):
    """tf.signal.inverse_stft's formula; and what Kapre promises of its pair."""
    x = clip(samples=1000)
    spectrum = stft(x, 256, 256, hop, raised_cosine(0.5, 256), False, False)
    window, squares = raised_cosine(0.5, 256), np.zeros(hop)
    for n in range(256):
        squares[n % hop] += window[n] ** 2
    frames = np.fft.irfft(spectrum, 256) * window / squares[np.arange(256) % hop]
    want = np.zeros((3, 2, (frames.shape[2] - 1) * hop + 256))
    for m in range(frames.shape[2]):
        want[..., m * hop : m * hop + 256] += frames[:, :, m]
    given = spectrum if formats[0] == "channels_first" else np.moveaxis(spectrum, 1, 3)
    layer = kapre.InverseSTFT(256, hop_length=hop, input_data_format=formats[0], output_data_format=formats[1])
    got = layer(torch.tensor(given))
    near(got, want if formats[1] == "channels_first" else want.swapaxes(1, 2), 1e-12)
    assert tuple(layer.compute_output_spec(keras.KerasTensor(given.shape, dtype="complex128")).shape) == got.shape
    forward, back = kapre.composed.get_perfectly_reconstructing_stft_istft(256, 64, "channels_first", formats[0])
    back.output_data_format, back._output_first = "channels_first", True
    near(back(forward(torch.tensor(x, dtype=torch.float32)))[:, :, 192:1192], x, 2e-6)


def test_magnitude_phase_decibel():
    x = torch.randn(2, 5, 6, 1, dtype=torch.complex64)
    x[0, 0] = 0
    assert torch.equal(kapre.Magnitude()(x), x.abs())
    assert torch.equal(kapre.Phase(approx_atan_accuracy=100)(x), x.angle())
    u = np.random.default_rng(0).random((2, 5, 6, 1)) ** 8
    for arguments in ({}, {"ref_value": 0.5, "amin": 1e-3, "dynamic_range": 10.0}):
        values = {"ref_value": 1.0, "amin": 1e-5, "dynamic_range": 80.0} | arguments
        want = 10 * np.log10(np.maximum(u, values["amin"]))
        want -= 10 * np.log10(max(values["amin"], values["ref_value"]))
        want = np.maximum(want, want.max((1, 2, 3), keepdims=True) - values["dynamic_range"])
        near(kapre.MagnitudeToDecibel(**arguments)(torch.tensor(u, dtype=torch.float32)), want, 1e-6)


def test_filterbanks():
    """Mel is librosa's; log is librosa 0.4's logfrequency, written out."""
    mel = kapre.backend.filterbank_mel(22050, 513, 40, 20.0, 8000.0, True, None)
    near(mel, librosa.filters.mel(sr=22050, n_fft=1024, n_mels=40, fmin=20.0, fmax=8000.0, htk=True, norm=None).T, 1e-6)
    log = kapre.backend.filterbank_log(22050, 513, 60, 12, None, 0.2)
    octaves, sigma = np.log2(librosa.fft_frequencies(sr=22050, n_fft=1024)[1:]), 0.2 / 12
    want = np.zeros((60, 513))
    for k in range(60):
        centre = np.log2(32.70319566 * 2 ** (k / 12))
        want[k, 1:] = np.exp(-0.5 * ((octaves - centre) / sigma) ** 2 - np.log2(sigma) - octaves)
    near(log, librosa.util.normalize(want, norm=1, axis=1).T, 1e-12)
    with pytest.raises(RuntimeError, match=r"n_bins = 84 from 32\.7032 Hz on reach 4186\.01 Hz, above sample_rate / 2"):
        kapre.backend.filterbank_log(8000, 513)
    x = torch.rand(2, 7, 513, 2)
    arguments = {"sample_rate": 22050, "n_freq": 513, "n_mels": 20}
    bands = kapre.ApplyFilterbank("mel", arguments)(x)
    near(bands, np.einsum("btfc,fk->btkc", x, kapre.backend.filterbank_mel(**arguments)), 1e-6)
    first = kapre.ApplyFilterbank("mel", arguments, data_format="channels_first")(x.permute(0, 3, 1, 2))
    near(first.permute(0, 2, 3, 1), bands.numpy(), 1e-6)


@pytest.mark.parametrize("mode", ["symmetric", "reflect", "constant"])
def test_delta(mode):
    x = np.random.default_rng(0).random((2, 9, 4, 3))
    padded = np.pad(x, [(0, 0), (2, 2), (0, 0), (0, 0)], mode=mode)
    want = sum(k * padded[:, 2 + k : 11 + k] for k in range(-2, 3)) / 10
    near(kapre.Delta(mode=mode, dtype="float64")(torch.tensor(x)), want, 1e-12)
    turned = kapre.Delta(mode=mode, data_format="channels_first", dtype="float64")(torch.tensor(x).permute(0, 3, 1, 2))
    near(turned.permute(0, 2, 3, 1), want, 1e-12)


def test_frequency_map():
    y = kapre.composed.get_frequency_aware_conv2d("channels_last", "aware", 4, 3)(torch.rand(2, 8, 5, 1))
    assert y.shape == (2, 6, 3, 4)
    x = torch.rand(2, 1, 8, 5)
    both = kapre.ConcatenateFrequencyMap("channels_first")(x)
    assert torch.equal(both[:, :1], x)
    assert torch.equal(both[:, 1], torch.linspace(0, 1, 5).expand(2, 8, 5))
    with pytest.raises(ValueError, match="groups must be 1"):
        kapre.composed.get_frequency_aware_conv2d("channels_last", "aware", 4, 3, groups=2)


FRONT_ENDS = [
    ("get_stft_magnitude_layer", {"n_fft": 256}),
    ("get_stft_magnitude_layer", {"n_fft": 256, "return_decibel": True, "pad_end": True}),
    ("get_melspectrogram_layer", {"n_fft": 512, "n_mels": 20, "output_data_format": "channels_first"}),
    ("get_melspectrogram_layer", {"n_fft": 512, "n_mels": 20, "return_decibel": True, "db_dynamic_range": 20.0}),
    ("get_log_frequency_spectrogram_layer", {"n_fft": 512, "log_n_bins": 60, "return_decibel": True}),
]


@pytest.mark.parametrize(("name", "arguments"), FRONT_ENDS)
def test_composed_is_its_layers(name, arguments):
    """One kernel, and Kapre's layers one by one: the same values and gradients."""
    front_end = getattr(kapre.composed, name)(input_shape=(3000, 2), **arguments)
    fused, apart = (torch.tensor(clip(samples=3000), dtype=torch.float32).mT.requires_grad_() for _ in range(2))
    got, want = front_end(fused), apart
    for layer in front_end.layers:
        want = layer(want)
    near(got, want.detach().numpy(), 2e-6)
    assert tuple(front_end.output_shape[1:]) == tuple(got.shape[1:])
    weights = torch.randn(got.shape)
    (got * weights).sum().backward()
    (want * weights).sum().backward()
    near(fused.grad, apart.grad.numpy(), 2e-5)
    assert front_end.weights == []


def test_mag_phase():
    model = kapre.composed.get_stft_mag_phase((1000, 2), n_fft=256)
    x = torch.rand(3, 1000, 2)
    y = kapre.STFT(256)(x)
    assert torch.equal(model(x), torch.cat([y.abs(), y.angle()], 3))


def make_model():
    return keras.Sequential(
        [
            kapre.composed.get_melspectrogram_layer((2000, 1), 256, n_mels=20, sample_rate=8000, return_decibel=True),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


def test_a_model_trains_saves_and_loads(tmp_path):
    keras.utils.set_random_seed(0)
    x, y = clip(1, 2000).swapaxes(1, 2).astype("float32"), np.arange(3)
    model = make_model()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = [model.train_on_batch(x, y) for _ in range(5)]
    assert float(losses[-1]) < float(losses[0])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert [type(layer).__name__ for layer in again.layers[0].layers][:2] == ["STFT", "Magnitude"]


def test_a_model_of_single_layers_saves_and_loads(tmp_path):
    """Registered by Kapre's names: what it saved is read here."""
    layers = [kapre.STFT(256, window_name="hamming_window"), kapre.Magnitude(), kapre.MagnitudeToDecibel(amin=1e-4)]
    model = keras.Sequential([keras.Input((2000, 1)), *layers, kapre.Delta()])
    x = clip(1, 2000).swapaxes(1, 2).astype("float32")
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras").predict(x, verbose=0), model(x))


def test_any_length():
    model = keras.Sequential([keras.Input((None, 1)), *kapre.composed.get_stft_magnitude_layer(n_fft=256).layers])
    assert model.output_shape == (None, None, 129, 1)
    assert model(np.zeros((1, 999, 1), "float32")).shape == (1, 12, 129, 1)


WRONG = [
    (lambda: kapre.STFT(input_data_format="last"), ValueError, "data_format must be one of .*, got 'last'"),
    (lambda: kapre.STFT(n_fft=1), ValueError, "n_fft must be an integer >= 2, got 1"),
    (
        lambda: kapre.STFT(256)(np.zeros((1, 200, 1))),
        ValueError,
        "x must hold at least 256 samples for a f.*, got 200",
    ),
    (lambda: kapre.STFT(256)(np.zeros((1, 200))), ValueError, r"x must have shape \[B, C, T\] or \[B, T, C\], got"),
    (lambda: kapre.ApplyFilterbank("bark", {}), ValueError, "type must be 'mel' or 'log', got 'bark'"),
    (lambda: kapre.MagnitudeToDecibel(amin=0.0), ValueError, "amin must be a finite number > 0, got 0.0"),
    (lambda: kapre.Delta(4), ValueError, "win_length must be odd, got 4"),
    (lambda: kapre.Delta(mode="edge"), ValueError, "mode must be one of 'symmetric'"),
]


@pytest.mark.parametrize(("call", "error", "words"), WRONG)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_examples_of_the_page():
    run_examples("migrate-kapre.md")


PYTHON = ENVIRONMENTS / "keras" / "bin" / "python"


@pytest.mark.skipif(not PYTHON.exists(), reason="TensorFlow is not here: python -m bench.environments keras")
def test_against_kapre_on_tensorflow():
    """tests/kapre_on_tensorflow.py in the environment that has both; torch and fastspec are lent from here."""
    script = Path(__file__).with_name("kapre_on_tensorflow.py")
    paths = [p for p in sys.path if p.endswith("site-packages")] + [str(Path(kapre.__file__).parents[3])]
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "LENT": os.pathsep.join(paths)}
    done = subprocess.run([PYTHON, script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
