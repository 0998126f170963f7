"""Kaldi's features, batched: ``spectrogram``, ``fbank`` and ``mfcc`` with the arguments and defaults of
``torchaudio.compliance.kaldi``, whose values they give (Kaldi's feature-window.cc, feature-fbank.cc, feature-mfcc.cc).

Shapes: samples [..., T] to [..., M, K], Kaldi's layout: one row a frame. The result is a transposed view of memory
in which frames are contiguous. Differentiable to any order in samples, window and filterbank.

Arguments that the three share:

    waveform: samples [..., T]; every leading dimension is a batch. (torchaudio takes [channel, T] and returns one of
        them: that is ``channel=0`` here.)
    channel: the row of [..., channel, T] to take; -1 (default) takes all.
    sample_frequency: Hz. frame_length, frame_shift: milliseconds; both are cut to whole samples.
    window_type: "povey", "hanning", "hamming", "rectangular", "blackman" (with ``blackman_coeff``), symmetric.
    round_to_power_of_two: zeros after the window up to the next power of two; otherwise its length must be even.
    snip_edges: only frames that lie within the clip, M = 1 + (T - frame) // shift. False: M = (T + shift / 2) // shift
        frames about the middles of the shifts, the clip mirrored at its ends (the end sample twice).
    remove_dc_offset: every frame less its mean, first. preemphasis_coefficient: then x[n] - c x[n - 1] in the frame,
        its first sample being its own predecessor; 0 to 1.
    dither: deviation of Gaussian noise that is added to the samples, in their units after ``scale``; ``generator``
        draws it. Kaldi draws it anew for every frame, here overlapping frames agree: a clip has one noise.
    energy_floor: least energy (not its logarithm) of a frame. raw_energy: it is taken before pre-emphasis and window.
    subtract_mean: less the mean over the frames of the clip.
    min_duration: seconds; shorter clips give no frame (M = 0).
    window [frame length in samples], filterbank [n_fft / 2 + 1, K]: tensors to use instead of those built, trainable.
    scale: factor on the samples: 32768 where a model was trained on 16-bit numbers and the samples are within 1.
    backend, dtype: see ``fastspec.functional``. int16 samples are divided by 32768 first.

Errors: ValueError names the argument, its value and what is allowed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from ._arrays import takes_arrays
from ._checks import LARGEST, check_generator, flag, integer, real
from ._forward import transform
from ._inputs import compute_dtype, constant, make_bank, make_window, result_dtype
from .plan import MAX_N_FFT, Ending, FramePlan, cached

__all__ = ["fbank", "frame_plan", "mfcc", "spectrogram"]

EPSILON = torch.finfo(torch.float32).eps  # under every logarithm, whatever the dtype


def spectrogram(
    waveform: Tensor,
    blackman_coeff: float = 0.42,
    channel: int = -1,
    dither: float = 0.0,
    energy_floor: float = 1.0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    min_duration: float = 0.0,
    preemphasis_coefficient: float = 0.97,
    raw_energy: bool = True,
    remove_dc_offset: bool = True,
    round_to_power_of_two: bool = True,
    sample_frequency: float = 16000.0,
    snip_edges: bool = True,
    subtract_mean: bool = False,
    window_type: str = "povey",
    *,
    window: Tensor | None = None,
    scale: float = 1.0,
    generator: torch.Generator | None = None,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Logarithms of the power of every bin, not below 1.19e-7; in place of bin 0 the log energy of the frame.

    Args: see the module.

    Returns:
        [..., M, n_fft / 2 + 1].
    """
    clips = _Clips.cut(
        waveform, channel, min_duration, dither, scale, generator, sample_frequency, frame_length, frame_shift,
        round_to_power_of_two, snip_edges, remove_dc_offset, preemphasis_coefficient, window, window_type,
        blackman_coeff, backend, dtype,
    )  # fmt: skip
    power = clips.bands(None, Ending.make(2.0, log="ln", floor=EPSILON))
    return _finish(torch.cat([clips.log_energy(raw_energy, energy_floor), power[..., 1:, :]], -2), subtract_mean)


def fbank(
    waveform: Tensor,
    blackman_coeff: float = 0.42,
    channel: int = -1,
    dither: float = 0.0,
    energy_floor: float = 1.0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    high_freq: float = 0.0,
    htk_compat: bool = False,
    low_freq: float = 20.0,
    min_duration: float = 0.0,
    num_mel_bins: int = 23,
    preemphasis_coefficient: float = 0.97,
    raw_energy: bool = True,
    remove_dc_offset: bool = True,
    round_to_power_of_two: bool = True,
    sample_frequency: float = 16000.0,
    snip_edges: bool = True,
    subtract_mean: bool = False,
    use_energy: bool = False,
    use_log_fbank: bool = True,
    use_power: bool = True,
    vtln_high: float = -500.0,
    vtln_low: float = 100.0,
    vtln_warp: float = 1.0,
    window_type: str = "povey",
    *,
    window: Tensor | None = None,
    filterbank: Tensor | None = None,
    scale: float = 1.0,
    generator: torch.Generator | None = None,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Mel bands of every frame, or their logarithms, from samples in one pass.

    Args:
        num_mel_bins, low_freq, high_freq, vtln_low, vtln_high, vtln_warp: see ``bases.kaldi_filterbank``.
        use_power: bands of the power; False: of the magnitude.
        use_log_fbank: logarithms of the bands, not below 1.19e-7.
        use_energy: the log energy of the frame as a further column, the first one; the last one if ``htk_compat``.
        others: see the module.

    Returns:
        [..., M, K], or [..., M, K + 1] with the energy.
    """
    clips = _Clips.cut(
        waveform, channel, min_duration, dither, scale, generator, sample_frequency, frame_length, frame_shift,
        round_to_power_of_two, snip_edges, remove_dc_offset, preemphasis_coefficient, window, window_type,
        blackman_coeff, backend, dtype,
    )  # fmt: skip
    bank = _mel(clips, filterbank, num_mel_bins, sample_frequency, low_freq, high_freq, vtln_low, vtln_high, vtln_warp)
    power, log = 2.0 if flag("use_power", use_power) else 1.0, "ln" if flag("use_log_fbank", use_log_fbank) else None
    values = clips.bands(bank, Ending.make(power, log=log, floor=EPSILON))
    if flag("use_energy", use_energy):
        values = _with_energy(values, clips.log_energy(raw_energy, energy_floor), htk_compat)
    return _finish(values, subtract_mean)


def mfcc(
    waveform: Tensor,
    blackman_coeff: float = 0.42,
    cepstral_lifter: float = 22.0,
    channel: int = -1,
    dither: float = 0.0,
    energy_floor: float = 1.0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    high_freq: float = 0.0,
    htk_compat: bool = False,
    low_freq: float = 20.0,
    num_ceps: int = 13,
    min_duration: float = 0.0,
    num_mel_bins: int = 23,
    preemphasis_coefficient: float = 0.97,
    raw_energy: bool = True,
    remove_dc_offset: bool = True,
    round_to_power_of_two: bool = True,
    sample_frequency: float = 16000.0,
    snip_edges: bool = True,
    subtract_mean: bool = False,
    use_energy: bool = False,
    vtln_high: float = -500.0,
    vtln_low: float = 100.0,
    vtln_warp: float = 1.0,
    window_type: str = "povey",
    *,
    window: Tensor | None = None,
    filterbank: Tensor | None = None,
    scale: float = 1.0,
    generator: torch.Generator | None = None,
    backend: str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Cepstral coefficients: the liftered cosine transform of the logarithms of the bands of ``fbank``.

    Args:
        num_ceps: coefficients C, the zeroth included; at most num_mel_bins.
        cepstral_lifter: L of the factor 1 + L / 2 sin(pi j / L) on coefficient j; 0 for none.
        use_energy: the log energy of the frame in place of coefficient 0.
        htk_compat: coefficient 0 (times sqrt(2)), or the energy, comes last.
        others: as in ``fbank``, and see the module.

    Returns:
        [..., M, C].
    """
    clips = _Clips.cut(
        waveform, channel, min_duration, dither, scale, generator, sample_frequency, frame_length, frame_shift,
        round_to_power_of_two, snip_edges, remove_dc_offset, preemphasis_coefficient, window, window_type,
        blackman_coeff, backend, dtype,
    )  # fmt: skip
    bank = _mel(clips, filterbank, num_mel_bins, sample_frequency, low_freq, high_freq, vtln_low, vtln_high, vtln_warp)
    values = clips.bands(bank, Ending.make(2.0, log="ln", floor=EPSILON))
    last = flag("htk_compat", htk_compat)
    dct = constant("kaldi_dct", (num_ceps, values.shape[-2], cepstral_lifter, last), values.dtype, values.device)
    if flag("use_energy", use_energy):
        dct = dct[:, :-1] if last else dct[:, 1:]
    values = torch.matmul(dct.mT, values)
    if use_energy:
        values = _with_energy(values, clips.log_energy(raw_energy, energy_floor), last)
    return _finish(values, subtract_mean)


@cached
def frame_plan(
    sample_frequency: float = 16000.0,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    round_to_power_of_two: bool = True,
    remove_dc_offset: bool = True,
    preemphasis_coefficient: float = 0.97,
) -> FramePlan:
    """Kaldi's frames as a plan: the padding is what moves the window to the start of its n_fft samples.

    Raises:
        ValueError: names the argument, its value and what is allowed.
    """
    rate = real("sample_frequency", sample_frequency, 0.0, strict=True)
    length = rate * real("frame_length", frame_length, 0.0, strict=True) * 0.001
    shift = rate * real("frame_shift", frame_shift, 0.0, strict=True) * 0.001
    if not 2 <= length < MAX_N_FFT + 1:
        raise ValueError(f"frame_length must be from 2 to {MAX_N_FFT} samples at {rate:g} Hz, got {frame_length!r} ms")
    if not 1 <= shift < LARGEST + 1:
        raise ValueError(f"frame_shift must be from 1 to {LARGEST} samples at {rate:g} Hz, got {frame_shift!r} ms")
    length, shift = int(length), int(shift)
    n_fft = 1 << (length - 1).bit_length() if flag("round_to_power_of_two", round_to_power_of_two) else length
    if n_fft % 2:
        raise ValueError(
            f"frame_length must be an even number of samples where round_to_power_of_two is False, got {length} "
            f"({frame_length!r} ms)"
        )
    preemphasis, dc = preemphasis_coefficient, flag("remove_dc_offset", remove_dc_offset)
    if not 0 <= real("preemphasis_coefficient", preemphasis) <= 1:
        raise ValueError(f"preemphasis_coefficient must be from 0 to 1, got {preemphasis!r}")
    before = (n_fft - length) // 2
    return FramePlan.make(n_fft, shift, length, True, "constant", True, before, float(preemphasis), dc)


@dataclass(frozen=True)
class _Clips:
    """Samples [..., T] such that the frames of ``plan`` are Kaldi's, and the window that they all get.

    ``empty``: the clips are shorter than min_duration and give no frame.
    """

    samples: Tensor
    plan: FramePlan
    window: Tensor
    scale: float
    empty: bool
    backend: str | None
    dtype: torch.dtype

    @staticmethod
    def cut(
        waveform: Tensor, channel: int, min_duration: float, dither: float, scale: float,
        generator: torch.Generator | None, sample_frequency: float, frame_length: float, frame_shift: float,
        round_to_power_of_two: bool, snip_edges: bool, remove_dc_offset: bool, preemphasis_coefficient: float,
        window: Tensor | None, window_type: str, blackman_coeff: float, backend: str | None, dtype: torch.dtype | None,
    ) -> _Clips:  # fmt: skip
        result = result_dtype(waveform, dtype)
        compute, device = compute_dtype(result), waveform.device
        plan = frame_plan(
            sample_frequency,
            frame_length,
            frame_shift,
            round_to_power_of_two,
            remove_dc_offset,
            preemphasis_coefficient,
        )
        x = _channel(waveform, channel)
        empty = x.shape[-1] < real("min_duration", min_duration) * sample_frequency
        if x.shape[-1] < plan.win_length and not empty:
            raise ValueError(
                f"waveform must hold at least one frame of {plan.win_length} samples ({frame_length!r} ms), got "
                f"{x.shape[-1]}"
            )
        scale, dither = real("scale", scale, 0.0, strict=True), real("dither", dither)
        check_generator(generator)
        if dither and not empty:
            x = x / 32768.0 if x.dtype is torch.int16 else x
            noise = torch.randn(x.shape, generator=generator, dtype=compute, device=device)
            x = x.to(compute) + noise * (dither / scale)
        x = x if flag("snip_edges", snip_edges) or empty else _mirror(x, plan)
        if (plan.n_fft - plan.win_length) % 2:  # the padding ends a sample earlier than the last frame
            x = pad(x, (0, 1))
        if window is None:
            w = constant("kaldi_window", (window_type, plan.win_length, blackman_coeff), compute, device)
        else:
            w = make_window(window, plan.win_length, compute, device)
        return _Clips(x, plan, w if scale == 1 else w * scale, scale, empty, backend, result)

    def bands(self, bank: Tensor | None, ending: Ending) -> Tensor:
        """[..., K or F, M] of the frames."""
        plan, window = self.plan, self.window
        if self.empty:
            rows = plan.n_bins if bank is None else bank.shape[1]
            return window.new_empty((*self.samples.shape[:-1], rows, 0), dtype=self.dtype)
        return transform(self.samples, 0, window, bank, plan, ending, False, self.backend, self.dtype, None)

    def log_energy(self, raw: bool, floor: float) -> Tensor:
        """[..., 1, M]: logarithms of the energies of the frames, sums of their power by Parseval's theorem."""
        plan, window, unit = self.plan, self.window, math.sqrt(2.0 / self.plan.n_fft)
        if flag("raw_energy", raw):
            plan, window = replace(plan, preemphasis=0.0), torch.full_like(window, self.scale, requires_grad=False)
        ending = Ending.make(2.0, log="ln", floor=max(EPSILON, real("energy_floor", floor, 0.0)))
        weights = constant("mirror_weights", (plan.n_fft,), window.dtype, window.device)
        return replace(self, plan=plan, window=window * unit).bands(weights, ending)


def _mel(clips: _Clips, bank: Tensor | None, num_mel_bins: int, sample_frequency: float, *ranges: float) -> Tensor:
    """The filterbank given, or Kaldi's."""
    like = clips.window
    if bank is not None:
        return make_bank(bank, clips.plan.n_bins, like.dtype, like.device)
    arguments = num_mel_bins, clips.plan.n_fft, sample_frequency, *ranges
    return constant("kaldi_filterbank", arguments, like.dtype, like.device)


def _channel(waveform: Tensor, channel: int) -> Tensor:
    channel = integer("channel", channel, -1)
    if channel < 0:
        return waveform
    if waveform.dim() < 2 or channel >= waveform.shape[-2]:
        raise ValueError(
            f"channel must be -1, or a row of a waveform [..., channel, T], got {channel} for {list(waveform.shape)}"
        )
    return waveform[..., channel, :]


def _mirror(x: Tensor, plan: FramePlan) -> Tensor:
    """What the (T + hop / 2) // hop frames about the middles of the hops cover, the clip mirrored at its ends."""
    length, hop = x.shape[-1], plan.hop_length
    n_frames, before = (length + hop // 2) // hop, plan.win_length // 2 - hop // 2
    if n_frames == 0:
        raise ValueError(f"frame_shift must be at most twice the clip of {length} samples, got {hop} samples")
    end = (n_frames - 1) * hop + plan.win_length - before  # of the last frame, on the clip's axis
    first = x[..., : max(0, before)].flip(-1)
    inside = x[..., max(0, -before) : end]
    last = x[..., min(length, 2 * length - end) :].flip(-1)
    return torch.cat([first, inside, last], -1)


def _with_energy(values: Tensor, energy: Tensor, htk_compat: bool) -> Tensor:
    return torch.cat([values, energy] if flag("htk_compat", htk_compat) else [energy, values], -2)


def _finish(values: Tensor, subtract_mean: bool) -> Tensor:
    """Kaldi's layout."""
    if flag("subtract_mean", subtract_mean):
        values = values - values.mean(-1, keepdim=True)
    return values.mT


for _name in __all__:
    globals()[_name] = takes_arrays(globals()[_name])
