"""Phases found again: Griffin-Lim and the inverse of mel bands, against torchaudio, librosa and SciPy."""

import numpy as np
import pytest
import torch
from cases import assert_close
from peers import librosa, torchaudio
from scipy.optimize import nnls

import fastspec.functional as F
import fastspec.transforms as T
from fastspec import audio
from fastspec.dispatch import choose
from fastspec.plan import FramePlan


def tones(count=6400, dtype=torch.float32):
    """Two clips of gliding harmonics and a little noise [2, T]."""
    t = torch.arange(count, dtype=torch.float64) / 16000
    rng = torch.from_numpy(np.random.default_rng(0).standard_normal((2, count)))
    glide = [sum(torch.sin(2 * torch.pi * k * (f * t + 90 * t * t)) / k for k in range(1, 6)) for f in (210, 340)]
    return (torch.stack(glide) + 0.02 * rng).to(dtype)


def convergence(x, magnitude, n_fft, hop, window=None):
    """| |stft(x)| - S | / |S|, Griffin and Lim's distance."""
    return ((F.stft(x, n_fft, hop, window=window).abs() - magnitude).norm() / magnitude.norm()).item()


@pytest.mark.parametrize("momentum", [0.99, 0.0])
@pytest.mark.parametrize(("n_fft", "hop", "win"), [(400, 200, None), (512, 128, 400), (255, 60, None)])
def test_equals_torchaudio_from_the_same_angles(n_fft, hop, win, momentum, backend):
    """In float64, where rounding does not hide a difference, with torchaudio's random numbers."""
    window = torch.hann_window(win or n_fft, dtype=torch.float64)
    x = tones(60 * hop, torch.float64)
    power = F.spectrogram(x, 0, window, n_fft, hop, win, 2.0, False)
    arguments = (window, n_fft, hop, win or n_fft, 2.0, 32, momentum, None)
    for rand_init in (True, False):
        torch.manual_seed(5)
        theirs = torchaudio.functional.griffinlim(power, *arguments, rand_init)
        torch.manual_seed(5)
        ours = F.griffinlim(power, *arguments, rand_init, backend=backend)
        assert_close(ours, theirs, 1e-8, f"{rand_init}")


def test_converges_on_speech_as_torchaudio_in_float32(pytestconfig):
    """Though the samples part, from round to round, as rounding differs."""
    samples, _ = audio.load(pytestconfig.rootpath / "examples/audio/speech.flac")
    magnitude = F.stft(torch.from_numpy(samples)[:, :24000].float(), 1024, 256).abs()
    arguments = magnitude, torch.hann_window(1024), 1024, 256, 1024, 1.0, 32, 0.99, None, False
    ours, theirs = (
        20 * np.log10(convergence(one.griffinlim(*arguments), magnitude, 1024, 256))
        for one in (F, torchaudio.functional)
    )
    assert ours < -15
    assert abs(ours - theirs) < 0.05


def test_module_defaults_equal_torchaudio():
    """In float32 the differences of rounding grow from round to round, and are still small after 32."""
    x = tones(12800)
    power = T.Spectrogram()(x[:, None])
    torch.manual_seed(1)
    theirs = torchaudio.transforms.GriffinLim()(power)
    torch.manual_seed(1)
    ours = T.GriffinLim()(power)
    assert_close(ours, theirs, 2e-3 * theirs.abs().max().item(), "module")
    distances = [convergence(y[:, 0], power[:, 0].sqrt(), 400, 200) for y in (ours, theirs)]
    assert distances[0] == pytest.approx(distances[1], rel=1e-3)
    assert distances[0] < 0.15


def test_equals_librosa():
    """From its phases, with its zeros for padding."""
    x = tones(64 * 128, torch.float64)[0]
    magnitude = F.stft(x, 512, 128, pad_mode="constant").abs()
    rng = np.random.default_rng(3)
    theirs = librosa.griffinlim(magnitude.numpy(), n_iter=10, hop_length=128, random_state=rng, pad_mode="constant")
    phases = 2 * np.pi * np.random.default_rng(3).random(size=magnitude.shape)
    angles = torch.from_numpy(np.exp(1j * phases))
    arguments = None, 512, 128, None, 1.0, 10, 0.99, None, True
    ours = F.griffinlim(magnitude, *arguments, angles=angles, pad_mode="constant")
    assert_close(ours, torch.from_numpy(theirs), 1e-9, "librosa")


def test_generator_and_iterations():
    power = T.Spectrogram()(tones())
    module = T.GriffinLim(n_iter=8)
    first, again, other = (module(power, generator=torch.Generator().manual_seed(s)) for s in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    distances = []
    for n_iter in (0, 4, 32):
        x = T.GriffinLim(n_iter=n_iter, rand_init=False)(power)
        distances.append(convergence(x, power.sqrt(), 400, 200))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.15


def test_nothing_is_allocated_after_the_first_round():
    """torch's own count of allocations is the same for 1 round and for 9."""
    power = T.Spectrogram()(tones())
    counts = []
    for n_iter in (1, 1, 9):
        module = T.GriffinLim(n_iter=n_iter, rand_init=False)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            module(power)
        counts.append(sum(event.name == "[memory]" for event in profile.events()))
    assert counts[0] > 3
    assert counts[1] == counts[2]


def test_lengths_and_errors():
    power = T.Spectrogram()(tones())
    assert F.griffinlim(power, None, 400, 200, 400, 2.0, 2, 0.5, None, True).shape == (2, 6400)
    assert F.griffinlim(power, None, 400, 200, 400, 2.0, 2, 0.5, 6599, True).shape == (2, 6599)
    for changed, words in (
        ({"length": 6600}, "between 6400 and 6599, got 6600"),
        ({"length": 5000}, "33 frames"),
        ({"momentum": 1.0}, r"momentum.*below 1, got 1\.0"),
        ({"n_iter": -1}, "n_iter"),
        ({"power": 0}, "power"),
        ({"specgram": power[:, 1:]}, r"201, M"),
        ({"specgram": power.to(torch.complex64)}, "specgram.*complex64"),
        ({"angles": torch.ones(2, 201, 33)}, "angles.*complex64.*float32"),
        ({"rand_init": 1}, "rand_init"),
        ({"backend": "gpu"}, "backend"),
        ({"generator": 3}, "generator must be a torch.Generator or None, got 3"),
        ({"callback": 3}, "callback must be a function of one number or None, got 3"),
    ):
        arguments = {"specgram": power, "window": None, "n_fft": 400, "hop_length": 200, "win_length": 400}
        arguments |= {"power": 2.0, "n_iter": 1, "momentum": 0.9, "length": None, "rand_init": True}
        with pytest.raises(ValueError, match=words):
            F.griffinlim(**(arguments | changed))
    for wrong, words in (({"momentum": 1}, "momentum"), ({"n_iter": 2.5}, "n_iter"), ({"length": 0}, "length")):
        with pytest.raises(ValueError, match=words):
            T.GriffinLim(**wrong)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch 2.13, about itself
def test_compiles_and_exports():
    """One graph, without breaks."""
    specgram = T.Spectrogram(64)(tones(700))
    module = T.GriffinLim(64, n_iter=3, rand_init=False)
    truth = module(specgram)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    assert_close(compiled(specgram), truth, 1e-5, "compiled")
    assert_close(torch.export.export(module, (specgram,)).module()(specgram), truth, 1e-5, "exported")


def test_silence_stays_silent():
    assert not T.GriffinLim()(torch.zeros(1, 201, 9)).any()
    assert not T.InverseMelSpectrogram(n_mels=40)(torch.zeros(1, 40, 9)).any()


def test_gradient():
    power = (1 + torch.rand(1, 9, 20, dtype=torch.float64)).requires_grad_()
    run = lambda p: F.griffinlim(p, None, 16, 4, 16, 2.0, 2, 0.5, None, False)  # noqa: E731
    assert torch.autograd.gradcheck(run, (power,))
    with torch.no_grad():
        direct = run(power)
    assert_close(run(power).detach(), direct, 1e-12, "the two ways")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 7, 16, 33, 140001])
def test_restore_magnitude_equals_its_formula(count, dtype, backend):
    rng = np.random.default_rng(count)
    y, previous = (torch.from_numpy(rng.standard_normal((1, 1, count, 2))).to(dtype) for _ in range(2))
    y[..., 0, :] = previous[..., 0, :] = 0
    y, previous = torch.view_as_complex(y), torch.view_as_complex(previous)
    magnitude = torch.from_numpy(rng.random((1, 1, count))).to(dtype)
    d = y.to(torch.complex128) - 0.4 * previous
    truth = magnitude * d / (d.abs() + 1e-16)
    module = choose("restore_magnitude", backend, FramePlan.make(16), y)
    kept = y.clone()
    module.forward(y, previous, magnitude, 0.4)
    assert torch.equal(y, kept)
    assert_close(previous, truth, 16 * torch.finfo(dtype).eps, backend)


# ---- bands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_fft", "n_mels", "norm", "scale"), [(1024, 80, None, "htk"), (400, 128, "slaney", "slaney")]
)
def test_bands_of_the_inverse_are_the_bands(n_fft, n_mels, norm, scale):
    """Also where torchaudio's raises an error; where not, nearer to the truth."""
    power = F.spectrogram(tones(9600)[:, None], 0, None, n_fft, n_fft // 4, None, 2.0, False)
    mel = T.MelScale(n_mels, 16000, n_stft=n_fft // 2 + 1, norm=norm, mel_scale=scale)
    bands = mel(power)
    found = T.InverseMelScale(n_fft // 2 + 1, n_mels, 16000, norm=norm, mel_scale=scale)(bands)
    assert found.shape == power.shape
    assert found.min() >= 0
    assert (mel(found) - bands).norm() < 2e-3 * bands.norm()
    inverse = torchaudio.transforms.InverseMelScale(n_fft // 2 + 1, n_mels, 16000, norm=norm, mel_scale=scale)
    if n_mels == 128:  # more bands than such a bank has dimensions
        with pytest.raises(RuntimeError):
            inverse(bands)
    else:
        theirs = inverse(bands.view(2, n_mels, -1))[:, None]
        assert (found.sqrt() - power.sqrt()).norm() < (theirs.sqrt() - power.sqrt()).norm()


def test_impossible_bands_are_met_as_nearly_as_can_be():
    """Bands that no spectrogram has: the same distance as SciPy's active-set solution."""
    bank = F.melscale_fbanks(33, 0.0, 8000.0, 12, 16000).double()
    bands = torch.from_numpy(np.random.default_rng(0).exponential(size=(12, 5)) ** 4)
    found = F.inverse_filterbank(bands, bank, max_iter=5000, tolerance=1e-9)
    distance = (bank.mT @ found - bands).norm(dim=0)
    best = torch.tensor([nnls(bank.mT.numpy(), b)[1] for b in bands.mT.numpy()], dtype=torch.float64)
    assert best.max() > 0.1
    torch.testing.assert_close(distance, best, rtol=1e-6, atol=1e-8)


def test_inverse_filterbank_errors():
    bank, bands = torch.ones(5, 3), torch.ones(3, 4)
    for arguments, words in (
        ((bands, -bank), r"negative weight, got -1"),
        ((bands, bank[:, :2]), r"2, M.*\[3, 4\]"),
        ((bands.int(), bank), "int32"),
        ((bands, bank, 0), "max_iter"),
        ((bands, 3), "filterbank must be a torch.Tensor"),
        ((bands[0], bank), "K, M"),
    ):
        with pytest.raises(ValueError, match=words):
            F.inverse_filterbank(*arguments)


@pytest.mark.parametrize(
    "log",
    [
        {},
        {"log": "ln", "floor": 1e-5},
        {"log": "log10", "floor_mode": "add", "floor": 1e-6},
        {"log": "log1p", "log_scale": 100.0},
        {"log": "db"},
    ],
    ids=lambda log: log.get("log", "none"),
)
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_mel_to_samples_in_one_call(log, power):
    same = {"n_fft": 512, "hop_length": 128, "power": power, **log}
    x = tones(128 * 60)
    mel = T.MelSpectrogram(**same, n_mels=80)
    linear = (
        mel(x)
        if not log
        else F.undo_log(
            mel(x),
            log["log"],
            power,
            log.get("floor", 1e-10),
            log.get("floor_mode", "clamp"),
            log.get("log_scale", 1.0),
        )
    )
    plain = T.MelSpectrogram(n_fft=512, hop_length=128, power=power, n_mels=80)(x)
    torch.testing.assert_close(
        linear, plain.clamp(min=log.get("floor", 0) if log.get("floor_mode") != "add" else 0), rtol=2e-4, atol=2e-5
    )
    back = T.InverseMelSpectrogram(**same, n_mels=80, rand_init=False)(mel(x))
    assert back.shape == x.shape
    distance = (mel(back) - mel(x)).norm() / mel(x).norm()
    assert distance < 0.2
    function = F.inverse_mel_spectrogram(mel(x), **same, rand_init=False)
    assert torch.equal(function, back)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"log": "ln", "floor_mode": "x"}, "floor_mode must be one of 'clamp', 'add', got 'x'"),
        ({"log": "ln", "floor": -1.0}, "floor must be a finite number >= 0, got -1"),
        ({"log": "log1p", "log_scale": 0.0}, "log_scale must be a finite number > 0, got 0"),
        ({"log": "bel"}, "log must be one of .*'bel'"),
        ({"power": -1.0}, "power must be a finite number > 0, got -1"),
        ({"power": None}, "power must be a finite number > 0, got None"),
        ({"melspec": torch.ones(8, 9, dtype=torch.int64)}, "melspec must be a real floating point tensor"),
        ({"melspec": torch.ones(8, 9, dtype=torch.complex64)}, "melspec must be a real floating point tensor"),
        ({"melspec": torch.ones(8)}, r"melspec must have shape \[\.\.\., K, M\]"),
    ],
)
def test_mel_to_samples_names_what_is_wrong(wrong, words):
    with pytest.raises(ValueError, match=words):
        F.inverse_mel_spectrogram(**({"melspec": torch.ones(8, 9), "n_fft": 64} | wrong))
