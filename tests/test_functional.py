"""The functions: values and gradients against torch, every documented error, every extra argument."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fastspec.functional as F
import fastspec.transforms as T
from fastspec import _inputs, bases

EPS = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}


def noise(*shape, seed=0, dtype=torch.float32, grad=False):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_(grad)


def assert_close(ours, truth, steps=60.0):
    """Errors below `steps` roundings of the largest value: an FFT adds log2(N) rounded terms of that size."""
    assert ours.shape == truth.shape
    assert ours.dtype == truth.dtype
    bound = steps * EPS[truth.dtype.to_real() if truth.is_complex() else truth.dtype] * truth.abs().max().item()
    assert (ours - truth).abs().max().item() <= bound


def torch_stft(x, n_fft, hop, win, window, **options):
    return torch.stft(x, n_fft, hop, win, window, return_complex=True, **options)


FRAMES = [
    # n_fft, hop, win, center, pad_mode, onesided
    (400, 160, 400, True, "reflect", True),
    (512, 128, 400, True, "constant", True),
    (255, 100, 200, True, "replicate", True),
    (256, 64, 256, True, "circular", True),
    (320, 320, 320, False, "reflect", True),
    (64, 100, 31, True, "reflect", False),
    (7, 3, 5, False, "reflect", False),
]

INVERTIBLE = [f for f in FRAMES if f[3] and f[0] > f[1]] + [(400, 100, 400, False, "", True)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("frames", FRAMES, ids=str)
def test_stft_equals_torch(frames, dtype):
    n_fft, hop, win, center, pad_mode, onesided = frames
    window = torch.hann_window(win, dtype=dtype).add(0.1)
    x, x_torch = noise(2, 3000, dtype=dtype, grad=True), noise(2, 3000, dtype=dtype, grad=True)
    ours = F.stft(x, n_fft, hop, win, window, center, pad_mode, onesided=onesided)
    theirs = torch_stft(x_torch, n_fft, hop, win, window, center=center, pad_mode=pad_mode, onesided=onesided)
    assert_close(ours, theirs)
    weight = noise(*theirs.shape, seed=1, dtype=theirs.dtype)
    torch.view_as_real(ours * weight).sum().backward()
    torch.view_as_real(theirs * weight).sum().backward()
    assert_close(x.grad, x_torch.grad)


@pytest.mark.parametrize("power", [2.0, 1.0, 0.7, None])
@pytest.mark.parametrize("normalized", [False, True, "window", "frame_length"])
def test_spectrogram_equals_torch(power, normalized):
    x, window = noise(3, 4000), torch.hamming_window(300)
    ours = F.spectrogram(x, 40, window, 400, 100, 300, power, normalized)
    theirs = torch_stft(torch.nn.functional.pad(x, (40, 40)), 400, 100, 300, window)
    if normalized:
        theirs = theirs / (20.0 if normalized == "frame_length" else window.square().sum().sqrt())
    assert_close(ours, theirs if power is None else theirs.abs().pow(power))


@pytest.mark.parametrize("onesided", [True, False])
@pytest.mark.parametrize("frames", INVERTIBLE, ids=str)
def test_istft_equals_torch(frames, onesided):
    n_fft, hop, win, center, *_ = frames
    window = torch.hamming_window(win)
    y = torch_stft(noise(2, 3000), n_fft, hop, win, window, center=center, onesided=onesided, pad_mode="constant")
    for length in (None, 2000, 2800):
        ours = F.istft(y, n_fft, hop, win, window, center, onesided=onesided, length=length)
        theirs = torch.istft(y, n_fft, hop, win, window, center, onesided=onesided, length=length)
        assert_close(ours, theirs, steps=300)  # the dual window divides by small sums at the ends


def test_istft_gradients_equal_torch():
    y = torch_stft(noise(2, 1000, dtype=torch.float64), 128, 32, 100, torch.ones(100, dtype=torch.float64))
    grads = []
    for inverse in (F.istft, torch.istft):
        spectrum, window = (
            y.clone().requires_grad_(),
            torch.hann_window(100, dtype=torch.float64).requires_grad_(),
        )
        x = inverse(spectrum, 128, 32, 100, window, length=990)
        (x * noise(*x.shape, dtype=x.dtype)).sum().backward()
        grads.append((spectrum.grad, window.grad))
    assert_close(grads[0][0], grads[1][0], 1e3)
    assert_close(grads[0][1], grads[1][1], 1e4)


@pytest.mark.parametrize("normalized", [False, True, "frame_length"])
@pytest.mark.parametrize("pad", [0, 30])
def test_inverse_undoes(normalized, pad):
    x, window = noise(2, 3, 3001), torch.hann_window(400)
    y = F.spectrogram(x, pad, window, 400, 100, 400, None, normalized)
    back = F.inverse_spectrogram(y, 3001, pad, window, 400, 100, 400, normalized)
    assert_close(back, x, steps=100)


def test_inverse_with_center_pad():
    x = noise(1, 8192)
    y = F.stft(x, 1024, 256, center_pad=384)
    assert y.shape[-1] == 32
    back = F.istft(y, 1024, 256, center_pad=384)
    assert back.shape == x.shape
    assert_close(back[:, 1:], x[:, 1:], steps=5000)  # Hann alone at the ends: divided by small squares


def test_envelope_follows_the_window():
    x, window = noise(1, 2000), torch.hann_window(400)
    with torch.inference_mode():
        F.istft(F.stft(x, 400, 100, window=window), window=window)
    window.data.mul_(0.5)  # which no version counter tells
    y = F.stft(x, 400, 100, window=window).requires_grad_()
    back = F.istft(y, window=window, length=2000)
    back.sum().backward()
    assert_close(back.detach(), x, steps=100)


def test_mel_spectrogram_is_the_product():
    x = noise(2, 8000, dtype=torch.float64)
    bank = torch.tensor(bases.mel_filterbank(257, 20.0, 8000.0, 40, 16000, "slaney", "slaney"))
    y = torch_stft(x, 512, 160, 400, torch.hann_window(400, dtype=torch.float64))
    bands = bank.T @ (y.abs().square() + 1e-3).sqrt()
    arguments = {"n_fft": 512, "win_length": 400, "hop_length": 160, "power": 1.0, "eps": 1e-3}
    ours = F.mel_spectrogram(x, 16000, f_min=20.0, n_mels=40, norm="slaney", mel_scale="slaney", **arguments)
    assert_close(ours, bands)
    assert_close(F.mel_spectrogram(x, filterbank=bank, **arguments), bands)
    for log, expected in {
        "ln": bands.clamp(min=0.3).log(),
        "log10": bands.clamp(min=0.3).log10(),
        "log1p": (20.0 * bands).log1p(),
        "db": 20.0 * bands.clamp(min=0.3).log10(),  # of magnitudes: decibels all the same
    }.items():
        ours = F.mel_spectrogram(x, filterbank=bank, log=log, floor=0.3, log_scale=20.0, **arguments)
        assert_close(ours, expected)
    ours = F.mel_spectrogram(x, filterbank=bank, log="ln", floor=0.3, floor_mode="add", **arguments)
    assert_close(ours, (bands + 0.3).log())


def test_mfcc_and_lfcc_are_the_product():
    x = noise(2, 8000, dtype=torch.float64)
    dct = torch.tensor(bases.create_dct(13, 40))
    mel = F.mel_spectrogram(x, n_mels=40)
    assert_close(F.mfcc(x, n_mfcc=13, n_mels=40, log_mels=True), dct.T @ (mel + 1e-6).log())
    db = 10 * mel.log10()
    limited = db.clamp(min=(db.max() - 10).item())
    assert_close(F.mfcc(x, n_mfcc=13, n_mels=40, top_db=10.0), dct.T @ limited, 200)
    assert_close(F.mfcc(x, n_mfcc=13, n_mels=40, top_db=None), dct.T @ db, 200)
    linear = F.mel_spectrogram(x, filterbank=torch.tensor(bases.linear_filterbank(201, 0.0, 8000.0, 40, 16000)))
    ours = F.lfcc(x, n_filter=40, n_lfcc=13, log_lf=True)
    assert_close(ours, dct.T @ (linear + 1e-6).log())


FUNCTIONS = {
    "spectrogram": lambda x, **k: F.spectrogram(x, 0, None, 64, 16, 64, 2.0, False, **k),
    "stft": lambda x, **k: F.stft(x, 64, 16, **k),
    "mel_spectrogram": lambda x, **k: F.mel_spectrogram(x, n_fft=64, n_mels=8, **k),
    "mfcc": lambda x, **k: F.mfcc(x, n_fft=64, n_mels=8, n_mfcc=5, log_mels=True, **k),
    "lfcc": lambda x, **k: F.lfcc(x, n_fft=64, n_filter=8, n_lfcc=5, log_lf=True, **k),
}
ALL = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


@ALL
def test_leading_dimensions(function):
    x = noise(2, 3, 1, 500)
    folded = function(x.reshape(6, 500))
    assert torch.equal(function(x), folded.reshape(2, 3, 1, *folded.shape[1:]))
    assert torch.equal(function(x[1, 2, 0]), function(x[1, 2]).squeeze(0))
    assert function(x[0, 0, 0]).shape == folded.shape[1:]


@ALL
def test_strided_input(function):
    x = noise(500, 2).T
    assert torch.equal(function(x), function(x.contiguous()))
    assert torch.equal(function(noise(2, 1000)[:, ::2]), function(noise(2, 1000)[:, ::2].contiguous()))


@ALL
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_computed_in_float32(function, half):
    x = noise(2, 500).to(half)
    exact, ours = function(x.float()), function(x)
    assert torch.equal(ours, exact if exact.is_complex() else exact.to(half))
    assert torch.equal(function(x, dtype=torch.float32), exact)


@ALL
def test_int16_and_dtype(function):
    pcm = (noise(2, 500) * 8000).to(torch.int16)
    exact = function(pcm.double() / 32768)
    ours = function(pcm)
    assert ours.dtype in (torch.float32, torch.complex64)
    assert_close(ours, function(pcm.float() / 32768), steps=100)
    assert_close(function(pcm, dtype=torch.float64), exact)
    x = noise(2, 500)
    assert_close(function(x, dtype=torch.float64), function(x.double()))


@pytest.mark.parametrize("name", ["spectrogram", "stft", "mel_spectrogram"])
def test_out(name):
    function, x = FUNCTIONS[name], noise(2, 3, 500)
    expected = function(x)
    out = torch.full_like(expected, float("nan"))
    assert function(x, out=out) is out
    assert torch.equal(out, expected)
    for wrong in (out[..., 1:].contiguous(), out.mT, out[:1], torch.empty_like(out, dtype=torch.float64)):
        with pytest.raises(ValueError, match="out"):
            function(x, out=wrong)
    lazy = [torch.view_as_complex(torch.empty(*out.shape, 2)).conj()] if out.is_complex() else []
    lazy.append(torch._neg_view(torch.empty_like(out)))
    for wrong in lazy:  # as if it fitted, by dtype, shape and strides
        with pytest.raises(ValueError, match="out must hold its values themselves"):
            function(x, out=wrong)
    for wrong in (5, [1.0], np.zeros(out.shape)):
        with pytest.raises(ValueError, match=f"out must be a torch.Tensor, got {type(wrong).__name__}"):
            function(x, out=wrong)
    with pytest.raises(ValueError, match="out"):
        function(x.requires_grad_(), out=out)
    with pytest.raises(ValueError, match=r"out.*float16"):
        function(x.detach().half(), out=out)


@ALL
def test_nan_and_inf_stay_in_their_frames(function):
    x = noise(1, 1000)
    clean = function(x)
    for value in (float("nan"), float("inf")):
        dirty = x.clone()
        dirty[0, 500] = value
        # Frames of 64 samples around m * hop hold sample 500 (hop 16: frames 30 to 33; hop 32: 15, 16).
        hop = 16 if clean.shape[-1] > 40 else 32
        hit = [m for m in range(clean.shape[-1]) if m * hop - 32 <= 500 < m * hop + 32]
        kept = [m for m in range(clean.shape[-1]) if m not in hit]
        ours = function(dirty)
        assert torch.equal(ours[..., kept], clean[..., kept])
        assert not ours[..., hit].isfinite().any()


@ALL
def test_windows_by_name(function):
    x, window = noise(1, 500), torch.tensor(bases.get_window("blackman", 64), dtype=torch.float32)
    if function is FUNCTIONS["spectrogram"]:
        by_name = F.spectrogram(x, 0, "blackman", 64, 16, 64, 2.0, False)
        assert torch.equal(by_name, F.spectrogram(x, 0, window, 64, 16, 64, 2.0, False))
    else:
        assert torch.equal(function(x, window="blackman"), function(x, window=window))
        assert function(x, window=("kaiser", 8.0)).isfinite().all()


@ALL
@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(2, 500, dtype=torch.complex64), "waveform.*complex64"),
        (torch.zeros(2, 500, dtype=torch.int32), "waveform.*int32"),
        (torch.zeros(2, 500, dtype=torch.bool), "waveform.*bool"),
        (torch.zeros(2, 0), "waveform is empty"),
        (torch.zeros(0, 500), "waveform is empty"),
        (torch.tensor(1.0), "waveform is empty"),
        (torch.zeros(2, 32), "longer than the reflect padding of 32 samples, got 32"),
    ],
    ids=lambda v: f"{v.dtype}{list(v.shape)}" if isinstance(v, torch.Tensor) else "",
)
def test_waveform_errors(function, x, words):
    with pytest.raises(ValueError, match=words):
        function(x)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_fft": 1}, "n_fft.*1"),
        ({"n_fft": 2.5}, "n_fft.*2.5"),
        ({"hop_length": 0}, "hop_length.*0"),
        ({"win_length": 401}, "win_length.*401"),
        ({"win_length": 0}, "win_length.*0"),
        ({"pad": -1}, "pad.*-1"),
        ({"pad": 1.5}, "pad.*1.5"),
        ({"pad_mode": "mirror"}, "pad_mode.*mirror"),
        ({"center_pad": -1}, "center_pad.*-1"),
        ({"window": torch.ones(399)}, r"window.*\[400\].*\[399\]"),
        ({"window": torch.ones(1, 400)}, r"window.*\[400\].*\[1, 400\]"),
        ({"window": torch.ones(400, dtype=torch.int64)}, "window.*int64"),
        ({"window": torch.ones(400, dtype=torch.complex64)}, "window.*complex64"),
        ({"window": torch.ones(400, device="meta")}, "window.*meta.*cpu"),
        ({"window": "hanni"}, "window.*hanni"),
        ({"power": 0.0}, "power.*0"),
        ({"power": float("nan")}, "power.*nan"),
        ({"power": None}, "power.*None"),
        ({"eps": -1e-9}, "eps.*-1e-09"),
        ({"normalized": "l2"}, "normalized.*l2"),
        ({"log": "log2"}, "log.*log2"),
        ({"log": "ln", "floor": float("nan")}, "floor.*nan"),
        ({"log": "ln", "floor": -1.0}, "floor.*-1"),
        ({"log": "ln", "floor_mode": "max"}, "floor_mode.*max"),
        ({"log": "log1p", "log_scale": 0.0}, "scale.*0"),
        ({"dtype": torch.int16}, "dtype.*int16"),
        ({"dtype": torch.complex64}, "dtype.*complex64"),
        ({"backend": "gpu"}, "backend.*gpu"),
        ({"f_min": 8000.0}, "f_min"),
        ({"f_max": float("nan")}, "f_max.*nan"),
        ({"n_mels": 0}, "n_mels.*0"),
        ({"norm": "l1"}, "norm.*l1"),
        ({"mel_scale": "bark"}, "mel_scale.*bark"),
        ({"filterbank": torch.ones(200, 8)}, r"filterbank.*\[201, K\].*\[200, 8\]"),
        ({"filterbank": torch.ones(201)}, r"filterbank.*\[201\]"),
        ({"filterbank": torch.ones(201, 8, dtype=torch.int32)}, "filterbank.*int32"),
        ({"filterbank": torch.ones(201, 8, device="meta")}, "filterbank.*meta.*cpu"),
        ({"filterbank": torch.ones(201, 0)}, r"filterbank.*K >= 1, got \[201, 0\]"),
        ({"filterbank": np.ones((201, 8))}, "filterbank must be a torch.Tensor, got ndarray"),
        ({"filterbank": [1.0]}, "filterbank must be a torch.Tensor, got list"),
        ({"n_fft": [400]}, r"n_fft must be .*, got \[400\]"),
        ({"hop_length": 2**50}, "hop_length must be at most 2147483647"),
        ({"hop_length": 2**70}, "hop_length must be at most 2147483647"),
        ({"center_pad": 2**70, "pad_mode": "constant"}, "center_pad must be at most"),
        ({"pad": 2**70}, "pad must be at most"),
        ({"pad": True}, "pad.*True"),
        ({"pad": False}, "pad.*False"),
        ({"pad_mode": ["reflect"]}, r"pad_mode.*\['reflect'\]"),
        ({"center": "no"}, "center must be True or False, got 'no'"),
        ({"window": ["hann"]}, r"window must be .*\['hann'\]"),
        ({"window": np.hanning(400)}, "window must be a tensor, a name or"),
        ({"window": ""}, "window.*''"),
        ({"window": ("kaiser", [8.0])}, "window 'kaiser'.*number"),
        ({"power": "2"}, "power.*'2'"),
        ({"power": [2]}, r"power.*\[2\]"),
        ({"power": "2", "log": "db"}, "power.*'2'"),
        ({"log": ["ln"]}, r"log.*\['ln'\]"),
        ({"log_scale": -1}, "log_scale must be .*-1"),
        ({"floor": "a"}, "floor.*'a'"),
        ({"eps": [0.0]}, r"eps.*\[0.0\]"),
        ({"normalized": ["window"]}, "normalized.*window"),
        ({"norm": ["slaney"]}, r"norm.*\['slaney'\]"),
        ({"mel_scale": ["htk"]}, r"mel_scale.*\['htk'\]"),
        ({"mel_scale": None}, "mel_scale.*None"),
        ({"sample_rate": None}, "sample_rate.*None"),
        ({"sample_rate": "16000"}, "sample_rate.*'16000'"),
        ({"sample_rate": -5}, "sample_rate.*got -5$"),
        ({"sample_rate": float("nan")}, "sample_rate.*nan"),
        ({"sample_rate": float("inf")}, "sample_rate.*inf"),
        ({"f_min": None}, "f_min.*None"),
        ({"f_min": "a"}, "f_min.*'a'"),
        ({"f_max": "a"}, "f_max.*'a'"),
        ({"n_mels": True}, "n_mels.*True"),
        ({"n_mels": [40]}, r"n_mels.*\[40\]"),
        ({"backend": ["cpu"]}, r"backend.*\['cpu'\]"),
        ({"dtype": "float64"}, "dtype.*float64"),
    ],
    ids=lambda v: ",".join(v) if isinstance(v, dict) else "",
)
def test_parameter_errors(changes, words):
    with pytest.raises(ValueError, match=words):
        F.mel_spectrogram(noise(1, 2000), **({"n_mels": 40} | changes))


def test_spectrogram_errors():
    def spectrogram(**changes):
        return F.spectrogram(noise(1, 2000), 0, None, 400, 160, 400, None, False, **changes)

    for changes in ({"log": "ln"}, {"eps": 1e-9}):
        with pytest.raises(ValueError, match=r"power=None.*log"):
            spectrogram(**changes)
    with pytest.warns(UserWarning, match="return_complex has no effect"):
        assert spectrogram(return_complex=False).is_complex()
    with pytest.raises(ValueError, match="at least 400 samples"):
        F.stft(noise(1, 399), 400, center=False)


def test_cepstral_errors():
    x = noise(1, 2000)
    with pytest.raises(ValueError, match=r"n_mfcc.*40"):
        F.mfcc(x, n_mfcc=41, n_mels=40)
    with pytest.raises(ValueError, match=r"dct.*40"):
        F.mfcc(x, n_mels=40, dct=torch.ones(39, 13))
    with pytest.raises(ValueError, match=r"top_db.*-1"):
        F.mfcc(x, n_mels=40, top_db=-1.0)
    with pytest.raises(TypeError, match="log"):
        F.mfcc(x, n_mels=40, log="ln")
    for function, arguments, words in (
        (F.mfcc, {"n_mfcc": True}, "n_mfcc.*True"),
        (F.mfcc, {"n_mfcc": [3]}, r"n_mfcc.*\[3\]"),
        (F.mfcc, {"dct_norm": ["ortho"]}, "norm.*ortho"),
        (F.mfcc, {"top_db": "80"}, "top_db.*'80'"),
        (F.mfcc, {"dtype": torch.int16}, "dtype.*int16"),
        (F.mfcc, {"filterbank": [1.0]}, "filterbank.*list"),
        (F.lfcc, {"n_lfcc": 2.5}, "n_lfcc.*2.5"),
        (F.lfcc, {"n_filter": True}, "n_filter.*True"),
        (F.lfcc, {"sample_rate": "16000"}, "sample_rate.*'16000'"),
        (F.lfcc, {"n_fft": "400"}, "n_fft.*'400'"),
        (F.lfcc, {"waveform": [0.0]}, "waveform.*list"),
        (F.mfcc, {"waveform": [0.0]}, "waveform.*list"),
    ):
        with pytest.raises(ValueError, match=words):
            function(**({"waveform": x} | ({"n_mels": 40} if function is F.mfcc else {}) | arguments))


def test_inverse_errors():
    y = F.stft(noise(1, 2000), 400, 100)
    for wrong, words in (
        (y.abs(), "spectrum.*float32"),
        (y[:, :200], r"spectrum.*201.*200"),
        (y[0, 0], "spectrum"),
        (y[..., :0], "spectrum.*M >= 1"),
        (y[..., :1], "length must be at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            F.istft(wrong)
    with pytest.raises(ValueError, match=r"length.*0"):
        F.istft(y, length=0)
    for length in (2.5, float("nan"), "9", True, -5):
        with pytest.raises(ValueError, match="length must be an integer >= 1, got"):
            F.istft(y, length=length)
        with pytest.raises(ValueError, match="length must be an integer >= 1, got"):
            F.inverse_spectrogram(y, length, 3, None, 400, 100, 400, False)
    for wrong, words in (({"spectrum": [1]}, "spectrum.*list"), ({"onesided": "yes"}, "onesided.*'yes'")):
        with pytest.raises(ValueError, match=words):
            F.istft(**({"spectrum": y} | wrong))
    assert F.istft(y.to("meta")).shape == F.istft(y).shape
    with pytest.raises(ValueError, match=r"samples 200 to 200 of the result \(5 samples in all"):
        F.istft(y, hop_length=400, window="hann", length=1801)
    with pytest.raises(ValueError, match="samples 200 to 299 of the result"):
        F.istft(y, hop_length=500, window="ones")
    with pytest.raises(ValueError, match=r"pad.*-1"):
        F.inverse_spectrogram(y, None, -1, None, 400, 100, 400, False)
    with pytest.warns(UserWarning, match="exceeds what the frames cover by 300 samples"):
        padded = F.istft(y, window="ones", length=2500)
    assert padded.shape == (1, 2500)
    assert not padded[:, 2200:].any()


def test_amplitude_to_db_and_filterbank_errors():
    with pytest.raises(ValueError, match="x must be a real"):
        F.amplitude_to_DB(torch.zeros(3, 4, dtype=torch.int64), 10.0, 1e-10, 0.0)
    with pytest.raises(ValueError, match=r"amin.*0"):
        F.amplitude_to_DB(torch.zeros(3, 4), 10.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="top_db"):
        F.amplitude_to_DB(torch.zeros(3, 4), 10.0, 1e-10, 0.0, float("nan"))
    with pytest.raises(ValueError, match=r"spectrogram.*complex64"):
        F.apply_filterbank(torch.zeros(3, 4, dtype=torch.complex64), torch.ones(3, 2))
    for arguments, words in (
        (([1.0], 10.0, 1e-10, 0.0), "x must be a torch.Tensor, got list"),
        ((torch.ones(3, 4), float("nan"), 1e-10, 0.0), "multiplier.*nan"),
        ((torch.ones(3, 4), 10.0, "a", 0.0), "amin.*'a'"),
        ((torch.ones(3, 4), 10.0, 1e-10, None), "db_multiplier.*None"),
        ((torch.ones(3, 4), 10.0, 1e-10, 0.0, "80"), "top_db.*'80'"),
    ):
        with pytest.raises(ValueError, match=words):
            F.amplitude_to_DB(*arguments)
    assert F.amplitude_to_DB(torch.zeros(0, 3, 4), 10.0, 1e-10, 0.0, 80.0).shape == (0, 3, 4)
    with pytest.raises(ValueError, match=r"spectrogram must have shape \[..., 201, M\].*got \[200, 4\]"):
        F.apply_filterbank(torch.ones(200, 4), torch.ones(201, 2))
    with pytest.raises(ValueError, match=r"spectrogram.*list"):
        F.apply_filterbank([1.0], torch.ones(201, 2))
    with pytest.raises(ValueError, match=r"filterbank.*3"):
        F.apply_filterbank(torch.zeros(3, 4), torch.ones(4, 2))


def test_gradients_reach_window_bank_and_dct():
    x = noise(1, 800, dtype=torch.float64, grad=True)
    window = torch.hann_window(64, dtype=torch.float64).requires_grad_()
    bank = noise(33, 5, dtype=torch.float64).abs().requires_grad_()
    dct = noise(5, 3, dtype=torch.float64, grad=True)

    def function(x, window, bank, dct):
        return F.mfcc(x, n_fft=64, window=window, filterbank=bank, dct=dct, log_mels=True, normalized=True)

    assert torch.autograd.gradcheck(function, (x[:, :200].detach().requires_grad_(), window, bank, dct), fast_mode=True)


def test_silence_has_finite_gradients():
    for power in (0.5, 1.0, 2.0):
        x = torch.zeros(1, 1000, requires_grad=True)
        F.mel_spectrogram(x, n_mels=40, power=power, log="ln").sum().backward()
        assert x.grad.abs().max() == 0


def test_constants_made_in_inference_mode_serve_training():
    with torch.inference_mode():
        F.mel_spectrogram(noise(1, 1000), n_fft=222, n_mels=11)
    x = noise(1, 1000, grad=True)
    F.mel_spectrogram(x, n_fft=222, n_mels=11).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Dynamo instantiates torch.autograd.Function
def test_compile_with_warm_constants():
    def function(x):
        return F.istft(F.stft(x, 64, 16), 64, 16, length=500), F.mfcc(x, n_fft=64, n_mels=8, n_mfcc=5)

    x = noise(2, 500)
    expected = function(x)
    torch._dynamo.reset()
    for ours, truth in zip(torch.compile(function, fullgraph=True, backend="aot_eager")(x), expected, strict=True):
        assert_close(ours, truth)


def compile_cold():
    """Compile every function and module with no constant made before, and compare. Runs in a process of its own."""
    warnings.simplefilter("ignore")
    x = noise(2, 600)
    y = torch_stft(x, 64, 32, 64, torch.hann_window(64))
    mel = {"n_fft": 64, "n_mels": 8}
    cases = [
        *((function, x) for function in FUNCTIONS.values()),
        (lambda x: F.mel_spectrogram(x, **mel, window=("kaiser", 8.0), log="db", normalized=True), x),
        (lambda y: F.istft(y, 64, 32, length=590), y),
        (lambda y: F.inverse_spectrogram(y, None, 0, None, 64, 32, 64, False), y),
        (lambda v: F.amplitude_to_DB(v, 10.0, 1e-10, 0.0, 80.0), y.abs()),
        (lambda v: F.apply_filterbank(v, torch.ones(33, 3)), y.abs()),
        (T.Spectrogram(64), x),
        (T.InverseSpectrogram(64), y),
        (T.MelScale(8, n_stft=33), y.abs()),
        (T.MelSpectrogram(**mel), x),
        (T.MFCC(n_mfcc=5, melkwargs=mel), x),
        (T.LFCC(n_filter=8, n_lfcc=5, speckwargs={"n_fft": 64}), x),
        (T.AmplitudeToDB(top_db=80.0), y.abs()),
    ]
    for function, argument in cases:
        torch._dynamo.reset()
        _inputs._constants.clear()
        ours = torch.compile(function, fullgraph=True, backend="aot_eager")(argument)
        torch.testing.assert_close(ours, function(argument))


def test_compile_with_cold_constants():
    subprocess.run(
        [sys.executable, "-c", "import test_functional; test_functional.compile_cold()"],
        cwd=Path(__file__).parent,
        check=True,
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Dynamo instantiates torch.autograd.Function
def test_compile_with_changing_numbers():
    """From the second value on torch.compile makes an argument symbolic; the constants need its number."""
    for function, values in (
        (lambda x, n: F.stft(x, n, 4), (16, 20, 24)),
        (lambda x, f: F.mel_spectrogram(x, n_fft=64, n_mels=8, f_min=f), (0.0, 30.5, 40.5)),
        (lambda x, n: F.istft(F.stft(x, 64), 64, length=n), (400, 390, 380)),
    ):
        torch._dynamo.reset()
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        for value in values:
            assert_close(compiled(noise(1, 500), value), function(noise(1, 500), value))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compile_with_out():
    def function(x, out):
        return F.mel_spectrogram(x, n_fft=64, n_mels=8, out=out)

    x, out = noise(1, 500), torch.empty(1, 8, 16)
    torch._dynamo.reset()
    torch.compile(function, fullgraph=True, backend="aot_eager")(x, out)
    assert_close(out, function(x, None))


def test_empty_bands_warn_at_the_caller():
    calls = (
        lambda: F.mel_spectrogram(noise(500), n_fft=62, n_mels=39),
        lambda: F.lfcc(noise(500), n_fft=62, n_filter=390, n_lfcc=3),
        lambda: bases.mel_filterbank(11, 0.0, 8000.0, 39, 16000),
        *2 * (lambda: T.MelSpectrogram(n_fft=62, n_mels=39),),
        *2 * (lambda: T.MFCC(n_mfcc=3, melkwargs={"n_fft": 62, "n_mels": 39}),),
        *2 * (lambda: T.LFCC(n_filter=390, n_lfcc=3, speckwargs={"n_fft": 62}),),
    )
    _inputs._constants.clear()
    for call in calls:
        with pytest.warns(UserWarning, match="of 390? (mel|linear) bands hold no frequency bin") as caught:
            call()
        assert [warning.filename for warning in caught] == [__file__]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_parameters_equal_torch(data):
    n_fft = data.draw(st.integers(2, 200), "n_fft")
    win = data.draw(st.integers(1, n_fft), "win_length")
    hop = data.draw(st.integers(1, 250), "hop_length")
    center = data.draw(st.booleans(), "center")
    pad_mode = data.draw(st.sampled_from(["reflect", "constant", "replicate"]), "pad_mode")
    onesided = data.draw(st.booleans(), "onesided")
    power = data.draw(st.sampled_from([None, 1.0, 2.0, 3.0]), "power")
    length = data.draw(st.integers(n_fft + 1, 600), "length")
    x = noise(2, length, seed=n_fft, dtype=torch.float64)
    window = noise(win, seed=win, dtype=torch.float64)
    theirs = torch_stft(x, n_fft, hop, win, window, center=center, pad_mode=pad_mode, onesided=onesided)
    theirs = theirs if power is None else theirs.abs() ** power
    ours = F.spectrogram(x, 0, window, n_fft, hop, win, power, False, center, pad_mode, onesided)
    assert_close(ours, theirs, steps=300)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_inverse_undoes_any_parameters(data):
    n_fft = data.draw(st.integers(2, 200), "n_fft")
    win = data.draw(st.integers(2, n_fft), "win_length")
    hop = data.draw(st.integers(1, win), "hop_length")
    length = data.draw(st.integers(1, 600), "length")
    onesided = data.draw(st.booleans(), "onesided")
    window = 0.5 + torch.rand(win, dtype=torch.float64, generator=torch.Generator().manual_seed(win))
    x = noise(3, length, seed=n_fft, dtype=torch.float64)
    y = F.stft(x, n_fft, hop, win, window, pad_mode="constant", onesided=onesided)
    covered = n_fft + hop * (y.shape[-1] - 1) - n_fft // 2
    covered = min(length, covered - (n_fft - win + 1) // 2)  # the end of the last window, which may stop short
    if covered > 0:
        back = F.istft(y, n_fft, hop, win, window, onesided=onesided, length=covered)
        assert_close(back, x[:, :covered], steps=1000)
