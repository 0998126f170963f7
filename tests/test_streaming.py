"""Streams: however the input is cut, the pieces are those of the whole, to the bit."""

import pytest
import torch
from conftest import BACKENDS

import fastspec.functional as F
import fastspec.transforms as T
from fastspec.streaming import InverseStream, SpectrogramStream

EXACT = "cpu" in BACKENDS  # the plain PyTorch reference sums frames in an order of its own


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def cut(x, sizes):
    """x cut along its last axis into pieces of these sizes, over and over."""
    pieces, at = [], 0
    while at < x.shape[-1]:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(x[..., at : at + size])
        at += size
    return pieces


def check(pieces, whole):
    joined = torch.cat(pieces, -1)
    assert joined.shape == whole.shape
    if EXACT:
        assert torch.equal(joined, whole)
    else:
        torch.testing.assert_close(joined, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(1,), (3, 1, 17, 40), (1000,)], ids=str)
@pytest.mark.parametrize(
    "frames",
    [
        {"n_fft": 1024, "hop_length": 256},
        {"n_fft": 400, "hop_length": 160, "win_length": 320},
        {"n_fft": 127, "hop_length": 30, "window": "hamming", "center": False},
        {"n_fft": 512, "hop_length": 128, "center": False},
        {"n_fft": 64, "hop_length": 64, "window": "ones"},
        {"n_fft": 1024, "hop_length": 256, "center_pad": 384},
    ],
    ids=lambda frames: "-".join(map(str, frames.values())),
)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_inverse_stream(frames, sizes, dtype):
    """An inconsistent spectrum too; samples come as early as they can."""
    plan = InverseStream(**frames).plan
    y = torch.view_as_complex(noise(2, plan.n_bins, 83, 2)).to(dtype)
    for more in (None, 0, 5):
        whole = F.istft(y, **frames)
        length = None if more is None else whole.shape[-1] + more
        if more:
            whole = (
                F.istft(y, **frames, length=length) if plan.pad >= more else torch.nn.functional.pad(whole, (0, more))
            )
        stream = InverseStream(**frames)
        pieces = [stream.push(piece) for piece in cut(y, sizes)]
        ready = sum(piece.shape[-1] for piece in pieces)
        assert ready == min(83 * plan.hop_length, plan.n_fft + 82 * plan.hop_length - plan.pad) - plan.pad
        check([*pieces, stream.finish(length)], whole)


def test_inverse_stream_errors():
    y = F.stft(noise(2, 4000))
    stream = InverseStream()
    with pytest.raises(ValueError, match="after at least one push"):
        stream.finish()
    stream.push(y)
    with pytest.raises(ValueError, match=r"go on as .*\[2, 201, 'm'\]"):
        stream.push(y[:1])
    with pytest.raises(ValueError, match="201 or 400"):
        stream.push(y[:, 1:])
    with pytest.raises(ValueError, match=r"at least the 3900 samples .* got 100"):
        stream.finish(100)
    assert stream.finish().shape == (2, 100)
    for call in (stream.finish, lambda: stream.push(y)):
        with pytest.raises(ValueError, match="once"):
            call()
    with pytest.raises(ValueError, match="samples 200 to 299"):
        InverseStream(400, 500, window="ones").push(F.stft(noise(1, 4000), 400, 500, window="ones"))


@pytest.mark.parametrize("sizes", [(1,), (700, 13, 160), (100000,)], ids=str)
@pytest.mark.parametrize(
    "transform",
    [
        lambda: T.Spectrogram(1024, hop_length=256, power=None),
        lambda: T.Spectrogram(401, win_length=300, hop_length=101, power=1.0, pad=77, pad_mode="constant"),
        lambda: T.Spectrogram(64, hop_length=100, pad_mode="replicate"),
        lambda: T.Spectrogram(128, hop_length=32, center=False, onesided=False),
        lambda: T.MelSpectrogram(n_mels=40, hop_length=160, log="db"),
        lambda: T.MelSpectrogram(n_fft=1024, hop_length=256, n_mels=80, power=1.0, log="ln", center_pad=384),
    ],
    ids=range(6),
)
def test_spectrogram_stream(transform, sizes):
    transform = transform()
    x = noise(2, 1601 if sizes == (1,) else 12345)
    stream = SpectrogramStream(transform)
    pieces = [stream.push(piece) for piece in cut(x, sizes)]
    check([*pieces, stream.finish()], transform(x))


def test_spectrogram_stream_errors():
    with pytest.raises(ValueError, match="MFCC"):
        SpectrogramStream(T.MFCC(n_mfcc=5, melkwargs={"n_mels": 20}))
    with pytest.raises(ValueError, match="circular"):
        SpectrogramStream(T.Spectrogram(pad_mode="circular"))
    stream = SpectrogramStream(T.Spectrogram())
    with pytest.raises(ValueError, match="at least one push"):
        stream.finish()
    assert stream.push(noise(1, 150)).shape == (1, 201, 0)
    with pytest.raises(ValueError, match="longer than the reflect padding of 200 samples, got 150"):
        stream.finish()
    with pytest.raises(ValueError, match="t >= 1"):
        stream.push(noise(1, 0))


def test_what_was_refused_leaves_no_trace():
    x = noise(1, 300)
    transform = T.Spectrogram(64)
    stream = SpectrogramStream(transform)
    pieces = [stream.push(x[:, :100])]
    for wrong in (torch.ones(1, 50, dtype=torch.bool), x[:, :50].double(), x[:, :50].expand(2, -1)):
        with pytest.raises(ValueError, match="waveform must"):
            stream.push(wrong)
    check([*pieces, stream.push(x[:, 100:]), stream.finish()], transform(x))

    short = SpectrogramStream(transform)
    short.push(x[:, :10])
    with pytest.raises(ValueError, match="waveform must"):
        short.finish()
    check([short.push(x[:, 10:]), short.finish()], transform(x))

    gaps = InverseStream(64, 64)
    with pytest.raises(ValueError, match="squares sum to less"):
        gaps.push(torch.ones(1, 33, 3, dtype=torch.complex64))
    with pytest.raises(ValueError, match="after at least one push"):
        gaps.finish()
