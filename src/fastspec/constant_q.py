"""Constant-Q and variable-Q transforms as functions, and their inverse.

Names, argument order and defaults are nnAudio's, with these differences: samples of any leading dimensions; a
complex result is a complex tensor (nnAudio: a last axis of 2); clips of any length, hops of any length; gradients
are finite on silence. Shapes: B batch, T samples, M frames, K bins.

Arguments that the functions share:

    sr: sample rate, Hz.
    hop_length: samples between frames, any number from 1 up.
    fmin, fmax: frequency of bin 0, Hz; fmax, when given, decides n_bins: ceil(bins_per_octave log2(fmax / fmin)).
    n_bins, bins_per_octave: how many bins, and how close.
    filter_scale: factor on the kernels' lengths.
    norm: p of the p-norm that a kernel is divided by, or None.
    window: name, or (name, parameter), of ``fastspec.bases.get_window``.
    center: frame m is centred on sample m * hop_length, M = T // hop_length + 1. False: it begins there and is
        2^ceil(log2(longest kernel)) samples long.
    pad_mode: "reflect", "constant" (zeros), "replicate", "circular"; reflections repeat on short clips.
    output_format: "Magnitude", "Complex", "Phase" (radians).
    normalization_type: "librosa" (kernels times sqrt(length)), "convolutional" (1), "wrap" (2: a sine of amplitude 1
        gives 1 at its bin).
    algorithm: "recursive": octaves on decimated signals, each bin within 1e-4 of "direct" (relative L2; 2e-5 over
        all of them at the defaults), with a twentieth of its taps. Where a window or a bin allows no decimation, it is
        done directly. "direct": every kernel at the full rate, nnAudio's CQT1992v2.
    convention: "nnaudio" or "librosa": how lengths follow from frequencies (``fastspec.bases.cqt.ConstantQ``);
        "librosa" also takes its octaves, wavelets and sparsity, and needs algorithm="recursive".
    tuning: offset of all bins in fractions of a bin. backend, dtype: see ``fastspec.functional``.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from . import _octaves
from ._checks import flag, integer, one_of, real
from ._inputs import fold_waveform, unfold
from ._least_squares import least_squares
from .bases.cqt import CONVENTIONS, NORMALIZATIONS, ConstantQ, Window, normalization_factors
from .dispatch import check_backend
from .plan import PAD_MODES, Ending

__all__ = ["cqt", "icqt", "ivqt", "vqt"]

OUTPUT_FORMATS = ("Magnitude", "Complex", "Phase")
_tensors: dict[tuple, tuple[tuple[Tensor, ...], Tensor]] = {}


def cqt(
    waveform: Tensor,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float = 32.70,
    fmax: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    filter_scale: float = 1,
    norm: float | None = 1,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    output_format: str = "Magnitude",
    normalization_type: str = "librosa",
    *,
    algorithm: str = "recursive",
    convention: str = "nnaudio",
    tuning: float = 0.0,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Constant-Q transform (Brown 1991).

    Args:
        waveform: samples [..., T].
        others: see the module.

    Returns:
        [..., K, M], real or complex by output_format.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    return vqt(
        waveform,
        sr,
        hop_length,
        fmin,
        fmax,
        n_bins,
        filter_scale,
        norm,
        window,
        pad_mode,
        bins_per_octave,
        0.0,
        output_format,
        normalization_type,
        center=center,
        algorithm=algorithm,
        convention=convention,
        tuning=tuning,
        backend=backend,
        dtype=dtype,
    )


def vqt(
    waveform: Tensor,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float = 32.70,
    fmax: float | None = None,
    n_bins: int = 84,
    filter_scale: float = 1,
    norm: float | None = 1,
    window: Window = "hann",
    pad_mode: str = "reflect",
    bins_per_octave: int = 12,
    gamma: float | None = 0.0,
    output_format: str = "Magnitude",
    normalization_type: str = "librosa",
    *,
    center: bool = True,
    algorithm: str = "recursive",
    convention: str = "nnaudio",
    tuning: float = 0.0,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Variable-Q transform (Schörkhuber et al. 2014): the bandwidth is alpha f + gamma.

    Args:
        waveform: samples [..., T].
        gamma: bandwidth offset in Hz; 0 gives the constant-Q transform; None the ERB scale's, librosa's default.
        others: see the module.

    Returns:
        [..., K, M], real or complex by output_format.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    layout = make_layout(
        sr,
        hop_length,
        fmin,
        fmax,
        n_bins,
        bins_per_octave,
        filter_scale,
        norm,
        window,
        gamma,
        tuning,
        convention,
        algorithm,
        normalization_type,
    )
    x, compute, result = fold_waveform(waveform, dtype)
    bases, halfband = _cached(layout, compute, x.device)
    y = apply_layout(x, layout, bases, halfband, center, pad_mode, output_format, check_backend(backend))
    return unfold(y, waveform.shape[:-1], result)


def icqt(
    spectrum: Tensor,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float = 32.70,
    fmax: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    filter_scale: float = 1,
    norm: float | None = 1,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    normalization_type: str = "librosa",
    *,
    length: int | None = None,
    n_iter: int = 10,
    algorithm: str = "recursive",
    convention: str = "nnaudio",
    tuning: float = 0.0,
    backend: str | None = None,
) -> Tensor:
    """Samples whose constant-Q transform comes nearest to a spectrum. See `ivqt`."""
    return ivqt(
        spectrum,
        sr,
        hop_length,
        fmin,
        fmax,
        n_bins,
        filter_scale,
        norm,
        window,
        pad_mode,
        bins_per_octave,
        0.0,
        normalization_type,
        center=center,
        length=length,
        n_iter=n_iter,
        algorithm=algorithm,
        convention=convention,
        tuning=tuning,
        backend=backend,
    )


def ivqt(
    spectrum: Tensor,
    sr: float = 22050,
    hop_length: int = 512,
    fmin: float = 32.70,
    fmax: float | None = None,
    n_bins: int = 84,
    filter_scale: float = 1,
    norm: float | None = 1,
    window: Window = "hann",
    pad_mode: str = "reflect",
    bins_per_octave: int = 12,
    gamma: float | None = 0.0,
    normalization_type: str = "librosa",
    *,
    center: bool = True,
    length: int | None = None,
    n_iter: int = 10,
    algorithm: str = "recursive",
    convention: str = "nnaudio",
    tuning: float = 0.0,
    backend: str | None = None,
) -> Tensor:
    """Samples whose variable-Q transform comes nearest to a spectrum: least squares by conjugate gradients.

    Bins weigh as if their kernels had one norm (their sum), those shorter than the hop less by that ratio: with those
    weights ten iterations do what an unweighted error needs many times as many for. What can be recovered depends on
    r, the length of the shortest kernel over the hop: r >= 1.4 gives 38 dB and more on sounds between the bins, r < 1
    leaves gaps that no frame tells of.

    Args:
        spectrum: complex [..., K, M].
        length: samples wanted. Default: (M - 1) * hop_length when centred.
        n_iter: steps of the conjugate gradients.
        others: those that made the spectrum; see the module.

    Returns:
        Samples [..., length]; differentiable in the spectrum.

    Raises:
        ValueError: names the argument, its value and what is allowed. A warning states r where it is below 1.3.
    """
    layout = make_layout(
        sr,
        hop_length,
        fmin,
        fmax,
        n_bins,
        bins_per_octave,
        filter_scale,
        norm,
        window,
        gamma,
        tuning,
        convention,
        algorithm,
        "convolutional",
    )
    integer("n_iter", n_iter, 1)
    if not isinstance(spectrum, Tensor) or spectrum.dtype not in (torch.complex64, torch.complex128):
        got = spectrum.dtype if isinstance(spectrum, Tensor) else type(spectrum).__name__
        raise ValueError(f"spectrum must be a complex64 or complex128 tensor, got {got}")
    n_bins = layout.spec.n_bins
    if spectrum.dim() < 2 or spectrum.shape[-2] != n_bins or spectrum.numel() == 0:
        raise ValueError(f"spectrum must have shape [..., {n_bins}, M] with M >= 1, got {list(spectrum.shape)}")
    n_frames = spectrum.shape[-1]
    length = _length(layout, n_frames, center) if length is None else integer("length", length, 1)
    overlaps = layout.spec.lengths / layout.hop_length
    if overlaps[-1] < 1.3:
        warnings.warn(
            f"the shortest kernel is r = {overlaps[-1]:.2f} hops long; below 1.3 the frames leave gaps that no inverse "
            f"can fill: hop_length = {int(layout.spec.lengths[-1] / 1.3)} or less would do",
            stacklevel=3,
        )
    compute = torch.float64 if spectrum.dtype is torch.complex128 else torch.float32
    bases, halfband = _cached(layout, compute, spectrum.device)
    factors = normalization_factors(normalization_type, layout.spec.lengths)
    with torch.inference_mode(False):  # the derivative of `forward` keeps them
        weights = torch.tensor(overlaps, dtype=compute, device=spectrum.device).clamp(max=1.0)[:, None]
    factors = torch.tensor(factors, dtype=compute, device=spectrum.device)[:, None]
    target = spectrum.reshape(-1, n_bins, n_frames) * (weights / factors)
    name = check_backend(backend)

    def forward(x: Tensor) -> Tensor:
        y = apply_layout(x, layout, bases, halfband, center, pad_mode, "Complex", name)
        if y.shape[2] != n_frames:
            raise ValueError(f"length = {length} has {y.shape[2]} frames, the spectrum {n_frames}")
        return y * weights

    return least_squares(forward, target, length, n_iter).reshape(*spectrum.shape[:-2], length)


def _length(layout: _octaves.Layout, n_frames: int, center: bool) -> int:
    if center:
        return max(1, (n_frames - 1) * layout.hop_length)
    return (n_frames - 1) * layout.hop_length + _octaves.frame_length(layout)


def make_layout(
    sr: float,
    hop_length: int,
    fmin: float,
    fmax: float | None,
    n_bins: int,
    bins_per_octave: int,
    filter_scale: float,
    norm: float | None,
    window: Window,
    gamma: float | None,
    tuning: float,
    convention: str,
    algorithm: str,
    normalization_type: str,
) -> _octaves.Layout:
    """The checked arguments as the parts of a transform."""
    one_of("algorithm", algorithm, _octaves.ALGORITHMS)
    one_of("normalization_type", normalization_type, NORMALIZATIONS)
    if one_of("convention", convention, CONVENTIONS) == "librosa" and algorithm == "direct":
        raise ValueError('algorithm must be "recursive" with convention="librosa", whose kernels are its octaves\'')
    if fmax is not None:
        fmin, fmax = real("fmin", fmin, 0.0, strict=True), real("fmax", fmax, 0.0, strict=True)
        if fmax <= fmin:
            raise ValueError(f"fmax must be above fmin = {fmin} Hz, got {fmax}")
        if fmax > real("sr", sr, 0.0, strict=True) / 2:
            raise ValueError(f"fmax must be at most half the sample rate, {sr / 2:g} Hz, got {fmax}")
        n_bins = math.ceil(integer("bins_per_octave", bins_per_octave, 1) * math.log2(fmax / fmin))
    if not isinstance(window, str) and not (isinstance(window, tuple) and len(window) == 2):
        raise ValueError(f"window must be a name or (name, parameter), got {window!r}")
    spec = ConstantQ(sr, fmin, n_bins, bins_per_octave, filter_scale, gamma, tuning, window, norm, convention)
    return _octaves.layout(spec, integer("hop_length", hop_length, 1), algorithm, normalization_type)


def apply_layout(
    x: Tensor,
    layout: _octaves.Layout,
    bases: tuple[Tensor, ...],
    halfband: Tensor,
    center: bool,
    pad_mode: str,
    output_format: str,
    backend: str,
) -> Tensor:
    """The transform of clips [B, T] with these numbers, in an output format."""
    one_of("output_format", output_format, OUTPUT_FORMATS)
    one_of("pad_mode", pad_mode, PAD_MODES[:-1])
    ending = Ending.make(1.0) if output_format == "Magnitude" else None
    y = _octaves.transform(x, layout, bases, halfband, flag("center", center), pad_mode, ending, backend)
    return y.angle() if output_format == "Phase" else y


def layout_tensors(
    layout: _octaves.Layout, dtype: torch.dtype, device: torch.device
) -> tuple[tuple[Tensor, ...], Tensor]:
    """The numbers of a layout, cast last."""
    with torch.inference_mode(False):
        bases = tuple(torch.tensor(basis, dtype=dtype, device=device) for basis in layout.bases)
        return bases, torch.tensor(layout.halfband, dtype=dtype, device=device)


def _cached(layout: _octaves.Layout, dtype: torch.dtype, device: torch.device) -> tuple[tuple[Tensor, ...], Tensor]:
    key = (layout, dtype, device)
    found = _tensors.get(key)
    if found is None:
        if len(_tensors) >= 16:
            _tensors.clear()
        found = _tensors[key] = layout_tensors(layout, dtype, device)
    return found
