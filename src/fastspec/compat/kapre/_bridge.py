"""Functions of torch tensors on the tensors of Keras' backend, with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor

from ..._arrays import from_numpy

Function = Callable[[Tensor], Tensor]


def apply(function: Function, x: Any, shape: tuple[int | None, ...], dtype: str) -> Any:
    """function(x): at once on Keras' torch backend; through NumPy, with its first derivative, on TensorFlow.

    Args:
        shape, dtype: of the result, None for what is not known yet.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return function(x)
    if backend == "tensorflow":
        return _on_tensorflow(function, x, shape, dtype)
    raise NotImplementedError(f"Keras' backend must be torch or tensorflow for fastspec's layers, got {backend!r}")


def _on_tensorflow(function: Function, x: Any, shape: tuple[int | None, ...], dtype: str) -> Any:
    import tensorflow as tf

    @tf.custom_gradient
    def op(x: Any) -> Any:
        y = tf.numpy_function(lambda a: _value(function, a), [x], dtype)
        y.set_shape(shape)

        def gradient(upstream: Any) -> Any:
            grad = tf.numpy_function(lambda a, g: _gradient(function, a, g), [x, upstream], x.dtype)
            grad.set_shape(x.shape)
            return grad

        return y, gradient

    return op(x)


def _value(function: Function, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return function(from_numpy(x)).resolve_conj().numpy()


def _gradient(function: Function, x: np.ndarray, upstream: np.ndarray) -> np.ndarray:
    with torch.enable_grad():
        leaf = from_numpy(x).requires_grad_()
        (grad,) = torch.autograd.grad(function(leaf), leaf, from_numpy(upstream))
    return grad.resolve_conj().numpy()
