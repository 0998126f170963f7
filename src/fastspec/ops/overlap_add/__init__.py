"""overlap_add: frames rebuilt from spectra and added at their places; the adjoint of frame_transform."""

from __future__ import annotations

from torch import Tensor

from ...dispatch import choose
from ...plan import Plan, plan_of
from .. import _autograd as shared
from . import reference

__all__ = ["overlap_add"]


def overlap_add(y: Tensor, basis: Tensor, plan: Plan, length: int, backend: str = "") -> Tensor:
    """The x [B, T] with <y, frame_transform(x')> = <x, x'> for every x', where <y, Y> = sum of Re(conj(y) Y).

    Padding is folded back by its adjoint (what reflect padding had copied is added where it came from).
    There is no factor 1 / n_fft and no doubling of one-sided bins.

    Args:
        y: complex spectrum [B, F, M].
        basis: as in frame_transform, of the matching precision.
        plan: framing.
        length: T, samples of the result; M must be `plan.n_frames(length)`.
        backend: a backend's name, or "" for the fastest that can.

    Returns:
        Real samples [B, T].

    Raises:
        ValueError: a shape, dtype, device or backend name is wrong.
        NotImplementedError: no backend can run this, or the named one cannot.
    """
    shared.check_spectrum(y, plan, length)
    shared.check_basis(basis, plan, y)
    if shared.is_direct(y, basis):
        return choose("overlap_add", backend, plan, y, basis).forward(y, basis, plan, length)
    if shared.is_inlined(backend):
        return reference.forward(y, basis, plan, length)
    return shared.linear("overlap_add", y, basis, plan, length, backend)


def _kernel(y, basis, *args):
    plan, (length, backend) = plan_of(*args[: shared.PLAN_ARGS]), args[shared.PLAN_ARGS :]
    return choose("overlap_add", backend, plan, y, basis).forward(y, basis, plan, length)


def _fake(y, basis, *args):
    return y.new_empty((y.shape[0], args[shared.PLAN_ARGS]), dtype=shared.real_dtype(y.dtype))


shared.register(
    "overlap_add",
    f"(Tensor y, Tensor basis, {shared.PLAN_SCHEMA}, SymInt length, str backend) -> Tensor",
    _kernel,
    _fake,
)
