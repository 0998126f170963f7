"""Deltas, PCEN, spectral shape, masks, vocoder, pitch and resampling against torchaudio, librosa and scipy."""

import math
import warnings

import numpy as np
import pytest
import scipy.signal
import torch
from peers import librosa, torchaudio
from torch.autograd import gradcheck

from fastspec import functional as F
from fastspec import transforms
from fastspec.temporal import smooth, smoothing

TF, TT = torchaudio.functional, torchaudio.transforms


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def energies(*shape, seed=0):
    return noise(*shape, seed=seed).square() + 0.01


# ---- along the frames


@pytest.mark.parametrize("win_length", [3, 4, 5, 9])
@pytest.mark.parametrize("mode", ["replicate", "reflect", "constant", "circular"])
def test_deltas_equal_torchaudio(win_length, mode):
    x = noise(2, 3, 7, 20)
    torch.testing.assert_close(F.compute_deltas(x, win_length, mode), TF.compute_deltas(x, win_length, mode))
    torch.testing.assert_close(transforms.ComputeDeltas()(x), TT.ComputeDeltas()(x))


@pytest.mark.parametrize("frames", [1, 31, 32, 33, 100, 1100])
def test_smoother_is_the_recursion(frames):
    x, b = energies(2, 3, frames), torch.tensor([0.02, 0.5, 1.0], dtype=torch.float64)
    got = smooth(x, b, 2.0)
    for k in range(3):
        zi = np.full((2, 1), 2.0 * (1 - b[k].item()))
        truth, _ = scipy.signal.lfilter([b[k].item()], [1, b[k].item() - 1], x[:, k].numpy(), zi=zi)
        np.testing.assert_allclose(got[:, k].numpy(), truth, rtol=1e-12)
    first = smooth(x, 0.1, None)
    torch.testing.assert_close(first[..., 0], x[..., 0])
    assert smooth(x.float(), 0.025).dtype == torch.float32


def test_smoother_in_float32():
    """Sums of positive terms: each step loses a rounding, no more."""
    x = energies(1, 4, 3000)
    truth = smooth(x, 0.025)
    assert ((smooth(x.float(), 0.025) - truth) / truth).abs().max() < 3e-6


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gain": 0.8, "bias": 10.0, "power": 0.25, "time_constant": 0.06, "eps": 1e-3},
        {"power": 0.0},
        {"bias": 0.0},
        {"max_size": 3},
        {"max_size": 4, "b": 0.3},
    ],
    ids=str,
)
def test_pcen_equals_librosa(options):
    x = energies(2, 12, 70, seed=1) * 2**10
    got = F.pcen(x, 16000, 160, **options)
    for clip, one in zip(x.numpy(), got.numpy(), strict=True):
        np.testing.assert_allclose(one, librosa.pcen(clip, sr=16000, hop_length=160, **options), rtol=1e-9)


def test_pcen_module():
    x = energies(2, 8, 50, seed=2).float()
    torch.testing.assert_close(transforms.PCEN()(x), F.pcen(x))
    trained = transforms.PCEN(8, trainable=("gain", "bias", "power", "b"))
    torch.testing.assert_close(trained(x), F.pcen(x), rtol=1e-4, atol=1e-5)
    trained(x).sum().backward()
    assert sorted(trained.state_dict()) == ["log_bias", "log_gain", "log_power", "logit_b"]
    assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in trained.parameters())
    silent = torch.zeros(1, 8, 50, requires_grad=True)
    trained(silent).sum().backward()
    assert silent.grad.isfinite().all()
    with pytest.raises(ValueError, match="n_bands must be given"):
        transforms.PCEN(trainable="gain")
    assert smoothing(22050, 512, 0.4) == pytest.approx(0.0564, abs=1e-4)


# ---- the shape of the spectrum


@pytest.fixture(scope="module")
def clips():
    t = torch.arange(6000, dtype=torch.float64) / 22050
    tone = torch.sin(2 * math.pi * 1500 * t)
    return torch.stack([noise(6000, seed=3), tone + 0.01 * noise(6000, seed=4)])


def test_centroid_equals_torchaudio(clips, backend):
    window = torch.hann_window(400, dtype=torch.float64)
    arguments = (22050, 10, window, 512, 128, 400)
    got = F.spectral_centroid(clips, *arguments, backend=backend)
    torch.testing.assert_close(got, TF.spectral_centroid(clips, *arguments))
    x = clips.float()
    module, theirs = transforms.SpectralCentroid(16000), TT.SpectralCentroid(16000)
    theirs.load_state_dict(module.state_dict())
    torch.testing.assert_close(module(x), theirs(x), rtol=1e-4, atol=0.1)


def test_features_equal_librosa(clips):
    """Defaults of librosa.feature, from samples; clip by clip, as librosa 1.0 limits decibels."""
    module = transforms.SpectralFeatures(22050, window_fn=lambda n: torch.hann_window(n, dtype=torch.float64))
    got = dict(zip(module.rows, module(clips).unbind(-2), strict=True))
    assert module.rows == ("centroid", "bandwidth", "rolloff", "flatness", *(f"contrast {k}" for k in range(7)))
    feature = librosa.feature
    for i, y in enumerate(clips.numpy()):
        for name in ("centroid", "bandwidth", "rolloff"):
            truth = getattr(feature, f"spectral_{name}")(y=y, sr=22050)[0]
            np.testing.assert_allclose(got[name][i].numpy(), truth, rtol=1e-6)
        np.testing.assert_allclose(got["flatness"][i].numpy(), feature.spectral_flatness(y=y)[0], rtol=1e-5)
        contrast = np.stack([got[f"contrast {k}"][i] for k in range(7)])
        np.testing.assert_allclose(contrast, feature.spectral_contrast(y=y, sr=22050), atol=1e-5)


def test_features_with_other_arguments(clips):
    s = transforms.Spectrogram(1024, hop_length=300, power=1.0).double()(clips[0])
    feature = librosa.feature
    same = {"S": s.numpy(), "sr": 16000}
    for ours, theirs in (
        (F.spectral_bandwidth(s, 16000, p=3.0, norm=False), feature.spectral_bandwidth(**same, p=3, norm=False)[0]),
        (F.spectral_rolloff(s, 16000, 0.5), feature.spectral_rolloff(**same, roll_percent=0.5)[0]),
        (F.spectral_flatness(s, 1e-4, 1.0), feature.spectral_flatness(S=s.numpy(), amin=1e-4, power=1.0)[0]),
        (
            F.spectral_contrast(s, 16000, 100.0, 5, 0.1, True),
            feature.spectral_contrast(**same, fmin=100.0, n_bands=5, quantile=0.1, linear=True),
        ),
    ):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Dynamo instantiates torch.autograd.Function
def test_features_compile(clips):
    module = transforms.SpectralFeatures(22050)
    x = clips.float()
    torch.testing.assert_close(torch.compile(module, fullgraph=True, backend="eager")(x), module(x))
    s = module.spectrogram(x)
    torch.testing.assert_close(torch.compile(F.pcen, fullgraph=True, backend="eager")(s), F.pcen(s))


def test_features_of_silence():
    x = torch.zeros(2, 5000, requires_grad=True)
    y = transforms.SpectralFeatures(22050)(x)
    assert torch.equal(y[:, :3], torch.zeros_like(y[:, :3]))
    torch.testing.assert_close(y[:, 3], torch.ones_like(y[:, 3]))
    centroid = transforms.SpectralCentroid(16000)(x)
    assert torch.equal(centroid, torch.zeros_like(centroid))
    (gradient,) = torch.autograd.grad(y.sum() + centroid.sum(), x)
    assert gradient.isfinite().all()


# ---- masks


@pytest.mark.parametrize("p", [1.0, 0.3])
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("iid", [False, True])
def test_masks_are_torchaudios(iid, axis, p):
    """With the same seed, and by a generator too."""
    name = "mask_along_axis_iid" if iid else "mask_along_axis"
    x = noise(4, 20, 30)
    for seed in range(5):
        torch.manual_seed(seed)
        truth = getattr(TF, name)(x, 12, 3.0, axis, p)
        torch.manual_seed(seed)
        assert torch.equal(getattr(F, name)(x, 12, 3.0, axis, p), truth)
        generator = torch.Generator().manual_seed(seed)
        assert torch.equal(getattr(F, name)(x, 12, torch.tensor(3.0), axis - 3, p, generator=generator), truth)


@pytest.mark.parametrize("iid", [False, True])
@pytest.mark.parametrize("dtype", [torch.int16, torch.bool, torch.float16, torch.bfloat16, torch.complex64])
def test_masks_of_other_dtypes(dtype, iid):
    """Those of float32 with the same seed; an axis longer than float16 counts to, too."""
    mask = F.mask_along_axis_iid if iid else F.mask_along_axis
    x = torch.ones(2, 3, 2, 70000)
    for seed in range(3):
        truth = mask(x, 69000, 0.0, 3, generator=torch.Generator().manual_seed(seed))
        got = mask(x.to(dtype), 69000, 0, 3, generator=torch.Generator().manual_seed(seed))
        assert got.dtype is dtype
        assert torch.equal(got, truth.to(dtype))
        assert 0 < truth.mean() < 1


def test_smoothing_at_its_extremes():
    """From a smoother that keeps nothing to one that keeps everything, and librosa's in between."""
    x = energies(3, 20).float()
    for time_constant in (1e-300, 1e-9, 1e9, 1e300):
        assert F.pcen(x, time_constant=time_constant).isfinite().all()
    assert smoothing(22050, 512, 1e-300) == 1
    frames = 0.4 * 22050 / 512
    assert smoothing(22050, 512, 0.4) == pytest.approx(((1 + 4 * frames**2) ** 0.5 - 1) / (2 * frames**2), rel=1e-12)
    assert torch.equal(F.pcen(x, max_size=10**9), F.pcen(x, max_size=6))  # all bands


def test_mask_modules():
    x = noise(3, 2, 20, 30)
    for ours, theirs in (
        (transforms.FrequencyMasking(8), TT.FrequencyMasking(8)),
        (transforms.FrequencyMasking(8, True), TT.FrequencyMasking(8, True)),
        (transforms.TimeMasking(8, p=0.2), TT.TimeMasking(8, p=0.2)),
        (transforms.TimeMasking(8, True, 0.5), TT.TimeMasking(8, True, 0.5)),
        (transforms.SpecAugment(2, 10, 2, 5, zero_masking=True), TT.SpecAugment(2, 10, 2, 5, zero_masking=True)),
        (transforms.SpecAugment(1, 10, 1, 5, False, 0.5, True), TT.SpecAugment(1, 10, 1, 5, False, 0.5, True)),
    ):
        torch.manual_seed(7)
        truth = theirs(x)
        torch.manual_seed(7)
        torch.testing.assert_close(ours(x), truth)
    module = transforms.SpecAugment(2, 10, 2, 5, generator=torch.Generator().manual_seed(1))
    first = module(x)
    assert not torch.equal(module(x), first)
    assert (first != x).any()
    assert torch.isclose(first[first != x], x.mean()).all()
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(transforms.TimeMasking(20)(x, 9.0).sum(), x)
    assert set(gradient.unique().tolist()) == {0.0, 1.0}


# ---- speed, pitch, rate


@pytest.mark.parametrize("rate", [0.4, 0.9, 1.0, 1.3, 2.0])
def test_vocoder_equals_torchaudio(rate):
    z = torch.complex(noise(2, 9, 23), noise(2, 9, 23, seed=1))
    advance = torch.linspace(0, math.pi * 4, 9, dtype=torch.float64)[:, None]
    got = F.phase_vocoder(z, rate, advance)
    torch.testing.assert_close(got, TF.phase_vocoder(z, rate, advance))
    assert torch.equal(F.phase_vocoder(z, rate), got)
    module, theirs = transforms.TimeStretch(4, 9, rate), TT.TimeStretch(4, 9, rate).double()
    module.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(module(z), theirs(z), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(module(z, 1.5), theirs(z, 1.5), rtol=1e-4, atol=1e-4)


def test_vocoder_keeps_phases_in_float32():
    """A minute of frames: torchaudio adds up the whole advance and loses the phase."""
    z = torch.complex(noise(5, 4000), noise(5, 4000, seed=1))
    advance = torch.linspace(0, math.pi * 256, 5, dtype=torch.float64)[:, None]
    truth = TF.phase_vocoder(z, 1.25, advance)
    ours = F.phase_vocoder(z.to(torch.complex64), 1.25)
    theirs = TF.phase_vocoder(z.to(torch.complex64), 1.25, advance.float())
    assert (ours - truth).abs().max() < 0.01
    assert (ours - truth).abs().max() < 0.1 * (theirs - truth).abs().max()


def test_vocoder_gradient_of_silence():
    silent = torch.zeros(1, 3, 7, dtype=torch.complex64, requires_grad=True)
    (gradient,) = torch.autograd.grad(F.phase_vocoder(silent, 1.3).abs().sum(), silent)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(("orig", "new"), [(3, 2), (2, 3), (16000, 8000), (44100, 16000), (179, 160), (5, 5)])
def test_resample_equals_torchaudio(orig, new):
    x = noise(2, 301)
    got = F.resample(x, orig, new)
    assert got.shape[-1] == math.ceil(x.shape[-1] * new / orig)
    torch.testing.assert_close(got, TF.resample(x, orig, new))
    options = {"lowpass_filter_width": 16, "rolloff": 0.9}
    torch.testing.assert_close(F.resample(x, orig, new, **options), TF.resample(x, orig, new, **options))


def test_resample_of_rates_with_nothing_in_common():
    """17959 Hz to 16000 Hz, for which torchaudio's table fills a gigabyte: a tone stays that tone."""
    t = torch.arange(5000, dtype=torch.float64)
    got = F.resample(torch.sin(2 * math.pi * 440 * t / 17959), 17959, 16000)
    truth = torch.sin(2 * math.pi * 440 * torch.arange(got.shape[-1], dtype=torch.float64) / 16000)
    assert (got - truth)[20:-20].abs().max() < 0.02


@pytest.mark.parametrize("n_steps", [4, -5, 12, 0])
def test_pitch_shift_equals_torchaudio(n_steps):
    """At a rate whose table torchaudio can hold."""
    x = noise(2, 3000)
    window = torch.hann_window(256, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its istft
        truth = TF.pitch_shift(x, 1000, n_steps, 12, 256, 256, 64, window)
    got = F.pitch_shift(x, 1000, n_steps, 12, 256, 256, 64, window)
    assert got.shape == x.shape
    torch.testing.assert_close(got, truth, rtol=1e-6, atol=1e-6)


def test_pitch_shift_moves_a_tone(clips):
    module = transforms.PitchShift(22050, 12).double()
    up = module(clips[1])
    power = torch.fft.rfft(up[500:-500] * torch.hann_window(5000, dtype=torch.float64)).abs()
    assert power.argmax().item() * 22050 / 5000 == pytest.approx(3000, abs=10)
    torch.testing.assert_close(module(clips)[1], up)


# ---- bad arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.compute_deltas(x, 2), "win_length must be an integer >= 3, got 2"),
        (lambda x: F.compute_deltas(x, 5, "edge"), "mode must be one of .*'edge'"),
        (lambda x: F.compute_deltas(x[..., :2], 5, "reflect"), "specgram must hold more frames"),
        (lambda x: F.compute_deltas(x.to(torch.complex64)), "specgram must be a real floating point tensor"),
        (lambda x: F.pcen(x, gain=-1.0), "gain must be a finite number >= 0, got -1"),
        (lambda x: F.pcen(x, b=0.0), "b must be above 0 and at most 1, got 0"),
        (lambda x: F.pcen(x, eps=0.0), "eps must be a finite number > 0"),
        (lambda x: F.pcen(x, gain=torch.ones(3)), r"gain must be a number or a real tensor \[9\]"),
        (lambda x: F.pcen(x, ref=x[..., 1:]), "ref must be a tensor of the shape"),
        (lambda x: F.pcen(x[0, 0]), r"specgram must have shape \[\.\.\., K, M\]"),
        (lambda x: F.spectral_rolloff(x, 16000, 1.0), "roll_percent must be between 0 and 1, got 1.0"),
        (lambda x: F.spectral_contrast(x, 1000, 400.0, 6), "fmin, n_bands: the last band begins"),
        (lambda x: F.spectral_contrast(x, 22050, 200.0), "no bin lies from"),
        (lambda x: F.spectral_contrast(x, 22050, quantile=0.0), "quantile must be between"),
        (lambda x: F.spectral_bandwidth(x, p=0.0), "p must be a finite number > 0"),
        (lambda x: F.mask_along_axis(x, 3, 0.0, 0), "axis must be 1 .frequency. or 2 .frames."),
        (lambda x: F.mask_along_axis(x, 3, 0.0, 1, 1.5), "p must be from 0 to 1, got 1.5"),
        (lambda x: F.mask_along_axis_iid(x[0], 3, 0.0, 1), "at least 3 dimensions"),
        (lambda x: F.phase_vocoder(x, 1.2), "complex_specgrams must be a complex tensor"),
        (lambda x: F.phase_vocoder(x.to(torch.complex64), 0.0), "rate must be a finite number > 0"),
        (lambda x: F.resample(x, 0, 5), "orig_freq must be an integer >= 1, got 0"),
        (lambda x: F.pitch_shift(x, 16000.5, 2), "sample_rate must be an integer"),
        (lambda x: F.compute_deltas(x, 10**9), "win_length = 1000000000 asks for an array"),
        (lambda x: F.spectral_contrast(x, 22050, n_bands=10**4), "n_bands must be an integer from 1 to 64"),
        (lambda x: F.mask_along_axis(x, 3, 0.0, True), "axis must be 1"),
        (lambda x: F.mask_along_axis(x, 3, "a", 1), "mask_value must be a number or a tensor, got 'a'"),
        (lambda x: F.mask_along_axis(x, 3, 1j, 1), "mask_value must be a real number for torch.float32"),
        (lambda x: F.mask_along_axis(x.int(), 3, 0.5, 1), "mask_value must be a whole number .* torch.int32, got 0.5"),
        (lambda x: F.mask_along_axis(x.to(torch.uint8), 3, -1, 1), "whole number from 0 to 255 for torch.uint8"),
        (lambda x: F.mask_along_axis(x, 3, torch.ones(5), 1), "mask_value must broadcast to the spectrogram"),
        (lambda x: F.mask_along_axis(x, 3, torch.ones(2, 1, 1, 1), 1), "mask_value must broadcast"),
        (lambda x: F.mask_along_axis(x, 3, 0.0, 1, generator=3), "generator must be a torch.Generator or None, got 3"),
        (lambda x: F.mask_along_axis_iid(x, 3, 0.0, 1, generator=3), "generator must be a torch.Generator or None"),
        (lambda x: F.phase_vocoder(x.to(torch.complex64), 1e-12), "rate = 1e-12 asks for an array of"),
        (lambda x: F.resample(x, 1, 10**9), "new_freq = 1000000000 asks for an array of"),
        (lambda x: F.resample(x, 2, 3, rolloff=1e-12), "lowpass_filter_width / rolloff = .* asks for an array of"),
        (lambda x: F.pitch_shift(x, 16000, 1e5), "n_steps must lie within 10 octaves"),
        (lambda x: F.pitch_shift(x, 16000, -1e5), "n_steps must lie within 10 octaves"),
        (lambda x: F.pitch_shift(x, 100, -9, 1), "leave a sample rate of at least 1 Hz, got -9 steps"),
        (lambda x: F.melscale_fbanks(9, 0.0, 8000.0, 10**9, 16000), "n_mels = 1000000000 asks for an array of"),
        (lambda x: transforms.TimeStretch()(x), "overriding_rate must be given"),
        (lambda x: transforms.TimeMasking(5, p=2.0), "p must be from 0 to 1"),
        (lambda x: transforms.SpectralFeatures(features=("pitch",)), "features must be one of .*'pitch'"),
        (lambda x: transforms.SpectralFeatures(power=2.0), "spectral must not hold power"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(2, 9, 12))


def test_gradients_where_there_is_nothing():
    """Silence, a frame of one bin, PCEN without bias: the powers there have no slope, and none is made up."""
    silence = torch.zeros(5, 30, dtype=torch.float64)
    one_bin = silence.clone()
    one_bin[2] = 1.0
    unbiased = torch.tensor([0.0, 1.0, 2.0, 0.0, 0.5], dtype=torch.float64)
    for call, x in (
        (lambda x: F.pcen(x, bias=0.0), silence),
        (lambda x: F.pcen(x, bias=unbiased), silence),
        (lambda x: F.pcen(x, bias=unbiased), one_bin),
        (lambda x: F.spectral_flatness(x, power=0.5), silence),
        (lambda x: F.spectral_bandwidth(x, p=0.5), one_bin),
        (lambda x: F.griffinlim(x, None, 8, 4, 8, 2.0, 2, 0.9, None, True), silence),
    ):
        leaf = x.clone().requires_grad_()
        value = call(leaf)
        assert value.isfinite().all()
        value.sum().backward()
        assert leaf.grad.isfinite().all()
    x = energies(5, 40).requires_grad_()
    assert torch.allclose(F.pcen(x, bias=unbiased)[0], F.pcen(x, bias=0.0)[0], rtol=1e-12)
    gradcheck(lambda x: F.pcen(x, bias=unbiased), x, fast_mode=True)
    with pytest.raises(ValueError, match=r"centroid must be a tensor of shape \[40\], got 3.0"):
        F.spectral_bandwidth(x, centroid=3.0)
