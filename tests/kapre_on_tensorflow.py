"""Kapre's layers and fastspec's side by side on TensorFlow; test_compat_kapre.py runs it where both are."""

import os
import site
import sys
import tempfile
from pathlib import Path

for folder in os.environ["LENT"].split(os.pathsep):  # torch and fastspec, behind what this environment has itself
    site.addsitedir(folder)

import kapre as theirs  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import fastspec.compat.kapre as ours  # noqa: E402

RNG = np.random.default_rng(0)
LAST, FIRST = "channels_last", "channels_first"


def clip(channels=2, samples=1500):
    return tf.constant(RNG.standard_normal((3, samples, channels)), tf.float32)


def spectra():
    return tf.complex(*(tf.constant(RNG.standard_normal((2, 6, 129, 1)), tf.float32) for _ in range(2)))


def loss(y):
    """A number that hears every element, real and imaginary parts apart."""
    y = tf.stack([tf.math.real(y), tf.math.imag(y)]) if y.dtype.is_complex else y
    weights = tf.random.stateless_normal(tf.shape(y), (0, 1))
    return tf.reduce_sum(tf.cast(weights, y.dtype) * y)


def compare(name, make, x, value=2e-6, slope=2e-5):
    """Values and gradients in the input, of the largest."""
    found = []
    slope = None if "'win_length': 200, 'pad_begin'" in name else slope  # TensorFlow's own gradient fails there
    for library in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = make(library)(x)
            total = loss(y)
        found.append((y.numpy(), *([] if slope is None else [tape.gradient(total, x).numpy()])))
    errors = []
    for got, want in zip(*found, strict=True):
        assert (got.shape, got.dtype) == (want.shape, want.dtype), (name, got.shape, want.shape, got.dtype, want.dtype)
        errors.append(np.abs(got - want).max() / np.abs(want).max())
    print(f"{name}: value and gradient", *(f"{error:.1e}" for error in errors))
    assert all(error <= bound for error, bound in zip(errors, (value, slope), strict=False)), name


FRAMES = [
    {"n_fft": 256},
    {"n_fft": 256, "hop_length": 100, "window_name": "hamming_window"},
    {"n_fft": 256, "win_length": 200, "window_name": "vorbis_window"},
    {"n_fft": 256, "win_length": 151, "hop_length": 60, "pad_end": True},
    {"n_fft": 128, "win_length": 200, "pad_begin": True, "window_name": "kaiser_window"},
    {"n_fft": 256, "hop_length": 64, "pad_begin": True, "pad_end": True, "window_name": "kaiser_bessel_derived_window"},
]
for arguments in FRAMES:
    compare(f"STFT {arguments}", lambda k, a=arguments: k.STFT(**a), clip())
compare("STFT first", lambda k: k.STFT(256, input_data_format=LAST, output_data_format=FIRST), clip())
for hop in (64, 100):
    compare(f"InverseSTFT {hop}", lambda k, hop=hop: k.InverseSTFT(256, hop_length=hop), spectra())
compare("Magnitude", lambda k: k.Magnitude(), spectra())
compare("Phase", lambda k: k.Phase(), spectra())
compare("MagnitudeToDecibel", lambda k: k.MagnitudeToDecibel(2.0, 1e-3, 20.0), tf.abs(spectra()))
bank = {"sample_rate": 8000, "n_freq": 129, "n_mels": 20}
compare("ApplyFilterbank", lambda k: k.ApplyFilterbank("mel", bank), tf.abs(spectra()))
bank = {"sample_rate": 22050, "n_freq": 129, "n_bins": 60}
compare("ApplyFilterbank log", lambda k: k.ApplyFilterbank("log", bank), tf.abs(spectra()))
compare("ConcatenateFrequencyMap", lambda k: k.ConcatenateFrequencyMap(), tf.abs(spectra()))
COMPOSED = [
    ("get_stft_magnitude_layer", {"n_fft": 256}),
    ("get_melspectrogram_layer", {"n_fft": 512, "n_mels": 20, "return_decibel": True}),
    ("get_log_frequency_spectrogram_layer", {"n_fft": 512, "log_n_bins": 60, "output_data_format": FIRST}),
]
for name, arguments in COMPOSED:
    compare(name, lambda k, n=name, a=arguments: getattr(k.composed, n)(**a), clip(), 5e-6)
compare("get_stft_mag_phase", lambda k: k.composed.get_stft_mag_phase((1500, 2), 256), clip(), slope=1e-2)

# a step of training in a graph, and a model that the other library saved
x, y = clip(1).numpy(), np.arange(3)
for library in (theirs, ours):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((1500, 1)),
            keras.layers.Conv1D(1, 5, padding="same"),  # in front, so that gradients pass the layers
            *library.composed.get_melspectrogram_layer(n_fft=256, n_mels=20, sample_rate=8000).layers,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    if library is theirs:
        expected = losses
print("losses", losses, expected)
np.testing.assert_allclose(losses, expected, rtol=1e-4)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.keras"
    theirs_model = keras.Sequential([keras.Input((1500, 1)), theirs.STFT(256), theirs.Magnitude()])
    theirs_model.save(path)
    loaded = keras.saving.load_model(path)
    assert type(loaded.layers[0]) is ours.STFT
    np.testing.assert_allclose(loaded.predict(x, verbose=0), theirs_model.predict(x, verbose=0), atol=2e-4)
print("fine, on", sys.version.split()[0], "TensorFlow", tf.__version__, "Keras", keras.__version__)
