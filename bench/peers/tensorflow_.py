"""tf.signal, compiled by tf.function, as its users run it; clips are padded inside."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from_numpy, to_numpy = tf.constant, np.asarray


def set_threads(count: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def forward(path, x):
    compiled = tf.function(path)
    return lambda: to_numpy(compiled(x))


def both(path, x):
    """Forward, and the gradient of x with ones above the output.

    Both leave the compiled function, and the ones enter it: else TensorFlow leaves the forward of a linear transform
    out, and folds its gradient into a constant.
    """

    def gradient(x, seed):
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = path(x)
        return tape.gradient(out, x, seed), out

    out = path(x)
    ones = tf.ones_like(tf.math.real(out))
    seed = tf.complex(ones, ones) if out.dtype.is_complex else ones
    compiled = tf.function(gradient)
    return lambda: to_numpy(compiled(x, seed)[0])


def padded(x, s):
    half = s["n_fft"] // 2
    return tf.pad(x, [[0, 0], [half, half]], mode="REFLECT")


def swapped(y):
    """[B, M, F] to [B, F, M]."""
    return y.swapaxes(-1, -2)


def spectrum(s):
    return lambda x: tf.signal.stft(padded(x, s), s["n_fft"], s["hop_length"]), swapped


def magnitude(s):
    return lambda x: tf.abs(tf.signal.stft(padded(x, s), s["n_fft"], s["hop_length"])), swapped
