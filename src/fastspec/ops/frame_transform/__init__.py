"""frame_transform: every frame of a signal times a basis: the windowed Fourier transform, or any complex rows."""

from __future__ import annotations

from torch import Tensor

from ...dispatch import choose
from ...plan import Plan, plan_of
from .. import _autograd as shared
from . import reference

__all__ = ["frame_transform"]


def frame_transform(x: Tensor, basis: Tensor, plan: Plan, backend: str = "", out: Tensor | None = None) -> Tensor:
    """y[b, f, m] = sum over n of H[f, n] x_padded[b, m * hop + n].

    FramePlan: H[f, n] = w[n] exp(-2 pi i f n / n_fft). DensePlan: any H, zero outside of each row's support. Samples
    that are NaN or infinite reach the frames that hold them, there perhaps also rows whose support they miss.

    Args:
        x: samples [B, T], float32, float64, or int16 (PCM: x / 32768 in float32, without gradient).
        basis: float32 (float64 for float64 samples). FramePlan: the window w [win_length], in the middle of the
            frame when shorter. DensePlan: packed taps [2, S], see there.
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
    shared.check_basis(basis, plan, x)
    if out is not None:
        shape = (x.shape[0], plan.n_bins, plan.n_frames(x.shape[1]))
        shared.check_out(out, shape, shared.complex_dtype(x.dtype), x.device)
    if shared.is_direct(x, basis):
        return choose("frame_transform", backend, plan, x, basis).forward(x, basis, plan, out=out)
    if shared.is_inlined(backend):
        y = reference.forward(x, basis, plan)
    else:
        y = shared.linear("frame_transform", x, basis, plan, x.shape[1], backend)
    return y if out is None else shared.copy_out(out, y)


def _kernel(x, basis, *args):
    plan, backend = plan_of(*args[: shared.PLAN_ARGS]), args[shared.PLAN_ARGS]
    return choose("frame_transform", backend, plan, x, basis).forward(x, basis, plan)


def _fake(x, basis, *args):
    plan = plan_of(*args[: shared.PLAN_ARGS])
    shape = x.shape[0], plan.n_bins, plan.n_frames(x.shape[1])
    return x.new_empty(shape, dtype=shared.complex_dtype(x.dtype))


shared.register(
    "frame_transform",
    f"(Tensor x, Tensor basis, {shared.PLAN_SCHEMA}, str backend) -> Tensor",
    _kernel,
    _fake,
)
