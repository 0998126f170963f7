"""frame_transform: the windowed Fourier transform of every frame of a signal."""

from __future__ import annotations

from torch import Tensor

from ...dispatch import choose
from ...plan import FramePlan
from .. import _autograd as shared
from . import reference

__all__ = ["frame_transform"]


def frame_transform(x: Tensor, window: Tensor, plan: FramePlan, backend: str = "", out: Tensor | None = None) -> Tensor:
    """y[b, f, m] = sum over n of w[n] exp(-2 pi i f n / n_fft) x_padded[b, m * hop + n].

    Args:
        x: samples [B, T], float32, float64, or int16 (PCM: x / 32768 in float32, without gradient).
        window: [win_length], float32 (float64 for float64 samples), in the middle of the frame when shorter.
        plan: framing.
        backend: a backend's name, or "" for the fastest that can.
        out: complex tensor [B, F, M] to write to; only without gradients.

    Returns:
        Complex spectrum [B, F, M].

    Raises:
        ValueError: a shape, dtype, device or backend name is wrong, or the clip too short.
        NotImplementedError: no backend can run this, or the named one cannot.
    """
    shared.check_signal(x, plan)
    shared.check_parameter("window", window, (plan.win_length,), x)
    if out is not None:
        shape = (x.shape[0], plan.n_bins, plan.n_frames(x.shape[1]))
        shared.check_out(out, shape, shared.complex_dtype(x.dtype), x.device)
    if shared.is_direct(x, window):
        return choose("frame_transform", backend, plan, x, window).forward(x, window, plan, out=out)
    if shared.in_compiled_transform(backend):
        y = reference.forward(x, window, plan)
    else:
        y = shared.linear("frame_transform", x, window, plan, x.shape[1], backend)
    return y if out is None else shared.copy_out(out, y)


def _kernel(x, window, *args):
    plan, backend = FramePlan(*args[: shared.PLAN_ARGS]), args[shared.PLAN_ARGS]
    return choose("frame_transform", backend, plan, x, window).forward(x, window, plan)


def _fake(x, window, *args):
    plan = FramePlan(*args[: shared.PLAN_ARGS])
    shape = x.shape[0], plan.n_bins, plan.n_frames(x.shape[1])
    return x.new_empty(shape, dtype=shared.complex_dtype(x.dtype))


shared.register(
    "frame_transform",
    f"(Tensor x, Tensor window, {shared.PLAN_SCHEMA}, str backend) -> Tensor",
    _kernel,
    _fake,
)
