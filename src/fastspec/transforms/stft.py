"""The short-time Fourier transform with nnAudio's arguments: any spacing of its frequencies, any part of it trained."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import bases
from .. import functional as F
from .._checks import one_of, real
from ..dispatch import check_backend
from ..plan import PRECISIONS, DensePlan, FramePlan, Plan
from ._constants import Trainable, WindowFn, hold, trainable_names, window_tensor
from ._layer import Layer

OUTPUT_FORMATS = ("Complex", "Magnitude", "Power", "Phase")


class STFT(Layer):
    """Short-time Fourier transform with nnAudio's arguments: frequencies of any spacing, all or parts of it trained.

    Args:
        n_fft: frame length N in samples.
        win_length: window length in samples; a shorter window stands in the middle of the frame. Default: n_fft.
        freq_bins: number of rows F. Default: n_fft // 2 + 1. With freq_scale="no" the lowest F.
        hop_length: samples between frames. Default: win_length // 4.
        window: name, or (name, parameter), of ``fastspec.bases.get_window``, or a function of win_length.
        freq_scale: "no": the frequencies of the FFT; "linear": evenly spaced from fmin to fmax (excluded); "log" and
            its other name "log2": evenly spaced in pitch.
        center, pad_mode: pad n_fft // 2 samples on both sides: "reflect", "constant", "replicate", "circular".
        fmin, fmax, sr: range and sample rate in Hz, without effect for freq_scale="no".
        trainable: what becomes a parameter. False: nothing. True or "basis": the rows themselves, ``basis``
            [2, F, win_length], real parts over imaginary parts. "window": ``window`` [win_length], the same under every
            row. "frequencies": ``shifts`` [F], by how many bins (sr / n_fft Hz) each row's frequency has moved, 0 at
            first, so that the rows stay windowed sinusoids; ("frequencies", "window") trains both. Before training each
            gives what the fixed transform gives.
        output_format: "Complex", "Magnitude", "Power" (its square) or "Phase" (radians).
        eps: added under the root, (|y|^2 + eps)^(1/2). The gradient of a magnitude of 0 is 0 without it.
        recompute: for gradients, compute a dense spectrum again instead of keeping it: less memory, more time.
        precision: how a GPU may multiply samples and rows, "ieee", "tf32x3", "split-fp16", "tf32" or "bf16", with the
            errors of docs/precision.md; "" for its default, exact to float32 rounding, and where an FFT runs. Without
            effect on the CPU.
        backend: name of the one backend that may run; None for the best one.

    Shape: [..., T] to [..., F, M]. "Complex" is a complex tensor, as everywhere here, and not nnAudio's [..., 2]
    (``torch.view_as_real`` makes that of it).

    With freq_scale="no" and fixed frequencies this is an FFT, whose window can be trained; anything else is a product
    with a basis, ``fastspec.explain(layer)`` says which and what each would cost.

    State dict: the parameters alone; a layer without any has none.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """

    window: Tensor
    basis: Tensor
    shifts: Tensor

    def __init__(
        self,
        n_fft: int = 2048,
        win_length: int | None = None,
        freq_bins: int | None = None,
        hop_length: int | None = None,
        window: WindowFn = "hann",
        freq_scale: str = "no",
        center: bool = True,
        pad_mode: str = "reflect",
        fmin: float = 50.0,
        fmax: float = 6000.0,
        sr: float = 22050,
        trainable: bool | Trainable = False,
        output_format: str = "Complex",
        *,
        eps: float = 0.0,
        recompute: bool = False,
        precision: str = "",
        backend: str | None = None,
    ) -> None:
        super().__init__()
        win = n_fft if win_length is None else win_length
        if hop_length is None:
            hop_length = max(1, win // 4) if isinstance(win, int) else None
        frames = FramePlan.make(n_fft, hop_length, win_length, center, pad_mode)
        self.n_fft, self.win_length, self.hop_length = frames.n_fft, frames.win_length, frames.hop_length
        self.center, self.pad_mode, self.freq_scale, self.sr = center, pad_mode, freq_scale, sr
        self.output_format = one_of("output_format", output_format, OUTPUT_FORMATS)
        self.eps, self.recompute, self.backend = real("eps", eps, 0.0), recompute, check_backend(backend)
        if isinstance(trainable, bool):
            trainable = ("basis",) if trainable else ()
        names = trainable_names(trainable, ("basis", "window", "frequencies"))
        if "basis" in names and len(names) > 1:
            raise ValueError(f"trainable must be 'basis' alone, or 'window' and 'frequencies', got {sorted(names)}")
        self.trainable = names
        bins = bases.bin_frequencies(n_fft, freq_bins, freq_scale, fmin, fmax, sr)
        self.freq_bins = len(bins)
        self._first_bins = tuple(bins.tolist())
        if callable(window):
            taps = window_tensor(window, self.win_length, None, torch.float64).numpy()
        else:  # numbers, also where tensors are fake
            taps = bases.get_window(window, self.win_length)
        dtype = torch.get_default_dtype()

        if freq_scale == "no" and not names & {"basis", "frequencies"}:
            if one_of("precision", precision, PRECISIONS):
                raise ValueError(
                    f"precision must be '' for an FFT (rows neither trained nor spaced), got {precision!r}"
                )
            self.plan: Plan = frames
            self._hold("window", torch.tensor(taps, dtype=dtype))
            return
        supports = (frames.left,) * self.freq_bins, (frames.left + self.win_length,) * self.freq_bins
        self.plan = DensePlan.make(n_fft, self.hop_length, *supports, center, pad_mode, precision=precision)
        if names & {"window", "frequencies"}:
            self._hold("window", torch.tensor(taps, dtype=dtype))
            if "frequencies" in names:
                hold(self, "shifts", torch.zeros(self.freq_bins, dtype=dtype), True)
        else:
            self._hold("basis", torch.tensor(bases.fourier_basis(n_fft, bins, taps), dtype=dtype))

    def _hold(self, name: str, value: Tensor) -> None:
        hold(self, name, value, name in self.trainable, persistent=False)

    @property
    def hertz(self) -> Tensor:
        """The frequencies [F] of the rows in Hz; of a trained ``basis``, those that it began with."""
        return self._bins().detach() * (self.sr / self.n_fft)

    def _bins(self) -> Tensor:
        """The frequencies in bins [F], float64."""
        held = self.basis if hasattr(self, "basis") else self.window
        bins = torch.tensor(self._first_bins, dtype=torch.float64, device=held.device)
        return bins + self.shifts if "frequencies" in self.trainable else bins

    @property
    def why(self) -> str:
        """The reason for an FFT or a product, for ``fastspec.explain``."""
        if isinstance(self.plan, FramePlan):
            return "the frequencies are those of the FFT, and fixed"
        trained = " and ".join(sorted(self.trainable - {"window"}))
        return f"trained: {trained}" if trained else f"freq_scale={self.freq_scale!r} has frequencies between the FFT's"

    def rows(self) -> Tensor:
        """The rows [2, F, win_length] as they are now, real parts over imaginary parts; differentiable."""
        if hasattr(self, "basis"):
            return self.basis
        # in float64: of a phase of hundreds of turns, float32 would keep four digits
        window, left = self.window, (self.n_fft - self.win_length) // 2
        samples = torch.arange(left, left + self.win_length, device=window.device, dtype=torch.float64) / self.n_fft
        turns = self._bins()[:, None] * samples
        phase = (turns - turns.detach().round()) * (2 * torch.pi)
        return (torch.stack([phase.cos(), -phase.sin()]) * window).to(window.dtype)

    def forward(self, waveform: Tensor, output_format: str | None = None) -> Tensor:
        """The transform; `output_format` instead of the layer's own."""
        kind = one_of("output_format", self.output_format if output_format is None else output_format, OUTPUT_FORMATS)
        power = {"Magnitude": 1.0, "Power": 2.0}.get(kind)
        eps = 0.0 if power is None else self.eps
        if isinstance(self.plan, FramePlan):
            sizes = self.n_fft, self.hop_length, self.win_length
            y = F.spectrogram(
                waveform,
                0,
                self.window,
                *sizes,
                power,
                False,
                center=self.center,
                pad_mode=self.pad_mode,
                eps=eps,
                backend=self.backend,
            )[..., : self.freq_bins, :]
        else:
            y = F.basis_transform(
                waveform,
                self.rows().flatten(1),
                self.plan,
                power,
                eps=eps,
                recompute=self.recompute,
                backend=self.backend,
            )
        return y.angle() if kind == "Phase" else y

    def inverse(self, spectrum: Tensor, length: int | None = None, n_iter: int = 20) -> Tensor:
        """Samples whose transform comes nearest to a complex spectrum [..., F, M].

        By overlap-add where the rows are the FFT's (bins beyond freq_bins count as 0), else by ``n_iter`` steps of
        conjugate gradients, the rows weighted by the roots of their spacings: ``functional.inverse_basis_transform``.
        """
        if isinstance(self.plan, FramePlan):
            if isinstance(spectrum, Tensor) and spectrum.dim() > 1:
                missing = self.n_fft // 2 + 1 - spectrum.shape[-2]
                spectrum = torch.nn.functional.pad(spectrum, (0, 0, 0, missing))
            sizes = self.n_fft, self.hop_length, self.win_length
            return F.istft(spectrum, *sizes, self.window, self.center, length=length, backend=self.backend)
        bins = self._bins().detach()
        spacing = torch.gradient(bins)[0].abs() if len(bins) > 1 else torch.ones_like(bins)
        weights = spacing.clamp(min=float(spacing.max()) * 1e-4).sqrt()
        basis = self.rows().flatten(1)
        options = {"weights": weights, "n_iter": n_iter, "backend": self.backend}
        return F.inverse_basis_transform(spectrum, basis, self.plan, length, **options)

    def extra_repr(self) -> str:
        trained = f", trainable={sorted(self.trainable)}" if self.trainable else ""
        return (
            f"n_fft={self.n_fft}, win_length={self.win_length}, hop_length={self.hop_length}, "
            f"freq_bins={self.freq_bins}, freq_scale={self.freq_scale!r}{trained}"
        )
