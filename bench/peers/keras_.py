"""Keras' own operation, keras.ops.stft, on TensorFlow under tf.function."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras

from bench.peers.tensorflow_ import both, forward, from_numpy, padded, set_threads, swapped, to_numpy  # noqa: F401


def magnitude(s):
    def path(x):
        sizes = s["n_fft"], s["hop_length"], s["n_fft"]
        real, imaginary = keras.ops.stft(padded(x, s), *sizes, window="hann", center=False)
        return keras.ops.sqrt(real * real + imaginary * imaginary)

    return path, swapped
