"""Transforms of sound that is still coming: ``push`` what there is, ``finish`` when it ends.

The pieces that come out, put together, are the result of the whole, on the native CPU kernels bit for bit, however
the input was cut.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ._inputs import Window, make_window, normalization, normalize_window, result_dtype
from ._inverse import add_up, fold_spectrum, make_gain, result_length, without_padding
from .dispatch import check_backend
from .plan import FramePlan
from .transforms import MelSpectrogram, Spectrogram

__all__ = ["InverseStream", "SpectrogramStream"]


class InverseStream:
    """``functional.istft`` of frames that come in pieces.

    A piece gives every sample that no later frame can reach: all but the last n_fft - hop_length of those that its
    frames cover. The few frames before it whose ends reach into it are kept and transformed again.

    Args:
        n_fft, hop_length, win_length, window, center, normalized, center_pad, backend: those of ``istft``.

    Example:
        stream = InverseStream(1024, 256)
        pieces = [stream.push(frames) for frames in source] + [stream.finish()]
    """

    def __init__(
        self,
        n_fft: int = 400,
        hop_length: int | None = None,
        win_length: int | None = None,
        window: Window = None,
        center: bool = True,
        normalized: bool | str = False,
        *,
        center_pad: int | None = None,
        backend: str | None = None,
    ) -> None:
        hop = max(1, n_fft // 4) if hop_length is None and isinstance(n_fft, int) else hop_length
        self.plan = FramePlan.make(n_fft, hop, win_length, center, "constant", True, center_pad)
        self._window, self._normalized, self._backend = window, normalization(normalized), check_backend(backend)
        self._kept: Tensor | None = None  # the last frames, [..., F, at most R - 1]
        self._frames = 0  # that have come
        self._done = self.plan.pad  # samples that are out, those of the padding before the first included
        self._told = False  # whether any of them was more than an open end
        self._finished = False

    def push(self, spectrum: Tensor) -> Tensor:
        """The samples [..., t], t >= 0, that are ready after these frames [..., F, m], m >= 1."""
        plan = self.plan
        if self._finished:
            raise ValueError("spectrum came after finish(); a stream ends once")
        fold_spectrum(spectrum, plan, None)
        spectrum = spectrum[..., : plan.n_bins, :]
        kept = self._kept
        if kept is not None:
            if kept.shape[:-1] != spectrum.shape[:-1] or kept.dtype != spectrum.dtype or kept.device != spectrum.device:
                raise ValueError(
                    f"spectrum must go on as {kept.dtype} {[*kept.shape[:-1], 'm']} on {kept.device}, got "
                    f"{spectrum.dtype} {list(spectrum.shape)} on {spectrum.device}"
                )
            spectrum = torch.cat([kept, spectrum], -1)
        before = self._frames
        self._frames += spectrum.shape[-1] - (0 if kept is None else kept.shape[-1])
        covered = plan.n_fft + plan.hop_length * (self._frames - 1)
        try:
            x = self._samples(spectrum, min(self._frames * plan.hop_length, covered - plan.pad), last=False)
        except Exception:
            self._frames = before  # as if the frames had not come
            raise
        reach = -(-plan.n_fft // plan.hop_length) - 1
        self._kept = spectrum[..., -max(1, reach) :].clone()
        return x

    def finish(self, length: int | None = None) -> Tensor:
        """The rest of the samples, up to ``length`` in all (as in ``istft``) or as far as the frames reach."""
        if self._kept is None or self._finished:
            raise ValueError("finish() must come once, after at least one push")
        total, _ = result_length(self.plan, self._frames, length)
        if self.plan.pad + total < self._done:
            given = self._done - self.plan.pad
            raise ValueError(f"length must be at least the {given} samples that are out already, got {length}")
        x = self._samples(self._kept, self.plan.pad + total, last=True)
        self._finished = True
        return x

    def _samples(self, spectrum: Tensor, stop: int, last: bool) -> Tensor:
        """Those from where the last ones ended to ``stop``, counted from the first frame's first sample."""
        plan = self.plan
        n_frames, leading = spectrum.shape[-1], spectrum.shape[:-2]
        real = torch.float64 if spectrum.dtype is torch.complex128 else torch.float32
        length = stop - self._done
        if length <= 0:
            return spectrum.new_empty((*leading, 0), dtype=real)
        begin = self._done - plan.hop_length * (self._frames - n_frames)
        w = make_window(self._window, plan.win_length, real, spectrum.device)
        ends = (plan.pad == 0 and not self._told, plan.pad == 0 and last)
        gain = make_gain(w, plan, n_frames, begin, length, ends)
        dual = normalize_window(w, self._normalized, plan.n_fft, inverse=True)
        x = add_up(spectrum.reshape(-1, *spectrum.shape[-2:]), dual, gain, without_padding(plan), begin, self._backend)
        self._done, self._told = stop, self._told or bool(gain.any())
        return x.reshape(*leading, length)


class SpectrogramStream:
    """A ``Spectrogram`` or ``MelSpectrogram`` of samples that come in pieces.

    Args:
        transform: the module; it is copied. Any padding but "circular", which would need the end at the beginning.

    Example:
        stream = SpectrogramStream(MelSpectrogram(log="db"))
        pieces = [stream.push(samples) for samples in source] + [stream.finish()]
    """

    def __init__(self, transform: Spectrogram | MelSpectrogram) -> None:
        if not isinstance(transform, (Spectrogram, MelSpectrogram)):
            raise ValueError(f"transform must be a Spectrogram or a MelSpectrogram, got {type(transform).__name__}")
        self.plan = transform.plan
        self._transform = copy.deepcopy(transform)  # of frames that hold their padding
        frames = self._transform.spectrogram if isinstance(self._transform, MelSpectrogram) else self._transform
        if self.plan.pad_mode == "circular":
            raise ValueError("pad_mode must not be 'circular' in a stream, whose end is not known at its beginning")
        self._zeros, frames.pad, frames.center, frames.center_pad = frames.pad, 0, False, None
        self._samples: Tensor | None = None  # padded, from the next frame's first on
        self._last: Tensor | None = None  # as many as the padding at the end needs
        self._skip = 0  # samples to drop before the next frame, where the hop is longer than a frame
        self._total = 0
        self._started = self._finished = False

    def push(self, waveform: Tensor) -> Tensor:
        """The frames [..., F, m], m >= 0, that are complete with these samples [..., t], t >= 1."""
        if self._finished:
            raise ValueError("waveform came after finish(); a stream ends once")
        if not isinstance(waveform, Tensor) or waveform.dim() == 0 or waveform.shape[-1] == 0:
            raise ValueError("waveform must be a tensor [..., t] with t >= 1")
        result_dtype(waveform, None)  # its error before anything is kept
        last = self._last
        if last is not None and (
            last.shape[:-1] != waveform.shape[:-1] or last.dtype != waveform.dtype or last.device != waveform.device
        ):
            raise ValueError(
                f"waveform must go on as {last.dtype} {[*last.shape[:-1], 't']} on {last.device}, got "
                f"{waveform.dtype} {list(waveform.shape)} on {waveform.device}"
            )
        if self._last is None and self._zeros:
            waveform = torch.nn.functional.pad(waveform, (self._zeros, 0))
        return self._take(waveform)

    def finish(self) -> Tensor:
        """The frames that need the padding at the end."""
        if self._last is None or self._finished:
            raise ValueError("finish() must come once, after at least one push")
        self.plan.check_length(self._total + self._zeros)
        if self._zeros:
            ready = self._take(self._last.new_zeros((*self._last.shape[:-1], self._zeros)))
        else:
            ready = None
        self._finished = True
        rest = self._frames(_padding(self._last, self.plan, at_end=True))
        return rest if ready is None else torch.cat([ready, rest], -1)

    def _take(self, waveform: Tensor) -> Tensor:
        """What is ready after samples, the padding at the beginning put before the first."""
        plan = self.plan
        self._total += waveform.shape[-1]
        held = waveform if self._last is None else torch.cat([self._last, waveform], -1)
        self._last = held[..., -(plan.pad + 1) :].clone()
        if not self._started:
            self._samples = waveform if self._samples is None else torch.cat([self._samples, waveform], -1)
            if plan.pad_mode == "reflect" and self._total <= plan.pad:
                return self._frames(None)
            first, self._samples, self._started = self._samples, None, True
            waveform = torch.cat([_padding(first, plan, at_end=False), first], -1)
        return self._frames(waveform)

    def _frames(self, samples: Tensor | None) -> Tensor:
        """The frames that more of the padded samples complete."""
        plan = self.plan
        if samples is not None:
            held = samples if self._samples is None else torch.cat([self._samples, samples], -1)
            dropped = min(self._skip, held.shape[-1])
            self._skip -= dropped
            self._samples = held[..., dropped:]
        held = self._samples
        assert held is not None
        count = plan.n_frames(held.shape[-1] - 2 * plan.pad) if self._started else 0
        if count < 1:
            one = self._transform(held.new_zeros((*held.shape[:-1], plan.n_fft)))
            return one[..., :0]
        result = self._transform(held[..., : plan.n_fft + plan.hop_length * (count - 1)])
        used = count * plan.hop_length
        self._skip = max(0, used - held.shape[-1])
        self._samples = held[..., used:].clone()
        return result


def _padding(x: Tensor, plan: FramePlan, at_end: bool) -> Tensor:
    """The plan.pad samples that stand before x, or after it."""
    if not plan.pad:
        return x[..., :0]
    if plan.pad_mode == "reflect":
        return x[..., -plan.pad - 1 : -1].flip(-1) if at_end else x[..., 1 : plan.pad + 1].flip(-1)
    edge = x[..., -1:] if at_end else x[..., :1]
    edge = edge.expand(*x.shape[:-1], plan.pad)
    return edge if plan.pad_mode == "replicate" else torch.zeros_like(edge)
