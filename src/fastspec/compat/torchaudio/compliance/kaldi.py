"""``torchaudio.compliance.kaldi``: its features of one channel. ``fastspec.kaldi`` keeps all channels, and batches."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor

from .... import kaldi

__all__ = ["fbank", "mfcc", "spectrogram"]


def _of_one_channel(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """[..., C, T] to [..., M, K]: as torchaudio, channel=-1 is the first one."""
    parameters = inspect.signature(function)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Tensor:
        given = parameters.bind(*args, **kwargs).arguments
        return function(**{**given, "channel": max(given.get("channel", -1), 0)})

    return wrapped


spectrogram = _of_one_channel(kaldi.spectrogram)
fbank = _of_one_channel(kaldi.fbank)
mfcc = _of_one_channel(kaldi.mfcc)
