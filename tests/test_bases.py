"""The constants against scipy, librosa, torchaudio and torch."""

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import torch
from peers import librosa, torchaudio

from fastspec import bases
from fastspec.bases.windows import WINDOW_NAMES

SCIPY_WINDOWS = [
    "hann", "hamming", "blackman", "bartlett", "nuttall", "blackmanharris", "flattop", "boxcar",
    ("kaiser", 8.6), ("kaiser", 0.0), ("gaussian", 37.5),
]  # fmt: skip


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("window", SCIPY_WINDOWS, ids=str)
def test_windows_equal_scipy(window, periodic):
    for n in (1, 2, 3, 64, 400, 1025):
        ours = bases.get_window(window, n, periodic)
        np.testing.assert_allclose(ours, scipy.signal.get_window(window, n, fftbins=periodic), atol=1e-14)


def test_windows_equal_torch():
    kaiser = torch.kaiser_window(400, True, 12.0, dtype=torch.float64).numpy()
    np.testing.assert_allclose(bases.get_window(("kaiser", 12.0), 400), kaiser, atol=1e-14)
    bartlett = torch.bartlett_window(400, dtype=torch.float64).numpy()
    np.testing.assert_allclose(bases.get_window("bartlett", 400), bartlett, atol=1e-14)


def test_povey_is_kaldis():
    kaldi = torchaudio.compliance.kaldi._feature_window_function("povey", 400, 0.42, torch.device("cpu"), torch.float64)
    np.testing.assert_allclose(bases.get_window("povey", 400, periodic=False), kaldi.numpy(), atol=1e-14)


def test_vorbis_is_power_complementary():
    window = bases.get_window("vorbis", 960)
    np.testing.assert_allclose(window[:480] ** 2 + window[480:] ** 2, 1.0, atol=1e-14)
    np.testing.assert_allclose(window, window[::-1], atol=1e-14)


def test_aliases():
    for alias, name in (("hanning", "hann"), ("ones", "rectangular"), ("rect", "boxcar")):
        assert bases.get_window(alias, 9) is bases.get_window(name, 9)


def test_arrays_are_cached_float64_and_read_only():
    for build, args in (
        (bases.get_window, ("hann", 16)),
        (bases.mel_filterbank, (101, 0.0, 8000.0, 10, 16000)),
        (bases.linear_filterbank, (101, 0.0, 8000.0, 10, 16000)),
        (bases.create_dct, (5, 10)),
    ):
        array = build(*args)
        assert array.dtype == np.float64
        assert build(*args) is array
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("window", "n", "words"),
    [
        ("hanni", 8, "window.*hanni"),
        ("kaiser", 8, "kaiser.*beta"),
        ("gaussian", 8, "gaussian.*std"),
        (("kaiser", float("nan")), 8, "beta.*nan"),
        (("gaussian", 0.0), 8, "std.*0.0"),
        (("hann", 1.0), 8, "no parameter"),
        (("kaiser", "8"), 8, "number"),
        (("kaiser", 8.0, 1), 8, "pair"),
        (3, 8, "name"),
        ("hann", 0, "win_length.*0"),
        ("hann", 2.5, "win_length.*2.5"),
    ],
)
def test_window_errors(window, n, words):
    with pytest.raises(ValueError, match=words):
        bases.get_window(window, n)


def test_every_window_name_builds():
    for name in WINDOW_NAMES:
        spec = {"kaiser": ("kaiser", 5.0), "gaussian": ("gaussian", 9.0)}.get(name, name)
        window = bases.get_window(spec, 33, periodic=False)
        assert window.shape == (33,)
        np.testing.assert_allclose(window, window[::-1], atol=1e-14)


def test_mel_scales():
    hz = np.array([0.0, 20.0, 440.0, 999.999, 1000.0, 1000.001, 8000.0, 22050.0])
    np.testing.assert_allclose(bases.hz_to_mel(hz, "htk"), librosa.hz_to_mel(hz, htk=True), rtol=1e-13)
    np.testing.assert_allclose(bases.hz_to_mel(hz, "slaney"), librosa.hz_to_mel(hz), rtol=1e-13)
    np.testing.assert_allclose(bases.hz_to_mel(hz, "kaldi"), 1127.0 * np.log(1 + hz / 700), rtol=1e-13)
    for scale in ("htk", "slaney", "kaldi"):
        np.testing.assert_allclose(bases.mel_to_hz(bases.hz_to_mel(hz, scale), scale), hz, rtol=1e-12, atol=1e-11)
    ours = bases.mel_frequencies(42, 30.0, 7600.0, "slaney")
    np.testing.assert_allclose(ours, librosa.mel_frequencies(42, fmin=30.0, fmax=7600.0), rtol=1e-12)


BANKS = [
    # sample_rate, n_fft, n_mels, f_min, f_max
    (16000, 400, 40, 0.0, 8000.0),
    (22050, 1024, 80, 0.0, 8000.0),
    (32000, 1024, 64, 50.0, 14000.0),
    (11025, 510, 20, 60.0, 5000.0),
]


@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("mel_scale", ["htk", "slaney"])
@pytest.mark.parametrize("bank", BANKS, ids=str)
def test_mel_filterbank_equals_librosa(bank, mel_scale, norm):
    sample_rate, n_fft, n_mels, f_min, f_max = bank
    theirs = librosa.filters.mel(
        sr=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=f_min,
        fmax=f_max,
        htk=mel_scale == "htk",
        norm=norm,
        dtype=np.float64,
    )
    ours = bases.mel_filterbank(n_fft // 2 + 1, f_min, f_max, n_mels, sample_rate, norm, mel_scale)
    np.testing.assert_allclose(ours, theirs.T, atol=1e-12)


@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("mel_scale", ["htk", "slaney"])
def test_mel_filterbank_equals_torchaudio(mel_scale, norm):
    arguments = (513, 20.0, 7600.0, 80, 22050, norm, mel_scale)
    theirs = torchaudio.functional.melscale_fbanks(*arguments).numpy()
    ours = bases.mel_filterbank(*arguments)
    # torchaudio subtracts float32 frequencies up to 11 kHz over slopes of at least 20 Hz: 11025 * 2^-24 / 20
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * ours.max())


def test_kaldi_filterbank_equals_kaldi():
    theirs, _ = torchaudio.compliance.kaldi.get_mel_banks(40, 512, 16000.0, 20.0, 7800.0, 100.0, -500.0, 1.0)
    ours = bases.mel_filterbank(257, 20.0, 7800.0, 40, 16000, mel_scale="kaldi")
    np.testing.assert_allclose(ours[:-1], theirs.numpy().T, atol=1e-4)  # Kaldi leaves out the Nyquist bin
    assert not ours[-1].any()


def test_linear_filterbank_equals_torchaudio():
    arguments = (257, 100.0, 7000.0, 30, 16000)
    theirs = torchaudio.functional.linear_fbanks(*arguments).numpy()
    np.testing.assert_allclose(bases.linear_filterbank(*arguments), theirs, atol=2e-5)


def test_empty_band_warns_every_time():
    for _ in range(2):
        with pytest.warns(UserWarning, match="of 128 mel bands hold no frequency bin"):
            bases.mel_filterbank(101, 0.0, 8000.0, 128, 16000)
        with pytest.warns(UserWarning, match="of 500 linear bands hold no frequency bin"):
            bases.linear_filterbank(101, 0.0, 8000.0, 500, 16000)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"f_min": 4000.0, "f_max": 4000.0}, "f_min < f_max"),
        ({"f_min": -1.0}, "0 <= f_min"),
        ({"f_max": float("nan")}, "f_max.*nan"),
        ({"sample_rate": float("inf")}, "sample_rate"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"n_mels": 0}, "n_mels"),
        ({"n_freqs": 2.5}, "n_freqs"),
        ({"norm": "area"}, "norm.*area"),
        ({"mel_scale": "bark"}, "mel_scale.*bark"),
        ({"mel_scale": ["htk"]}, "mel_scale.*htk"),
        ({"norm": ["slaney"]}, "norm.*slaney"),
        ({"sample_rate": "16000"}, "sample_rate.*'16000'"),
        ({"f_min": None}, "f_min.*None"),
        ({"n_mels": True}, "n_mels.*True"),
    ],
)
def test_mel_errors(changes, words):
    arguments = {"n_freqs": 201, "f_min": 0.0, "f_max": 8000.0, "n_mels": 40, "sample_rate": 16000}
    with pytest.raises(ValueError, match=words):
        bases.mel_filterbank(**(arguments | changes))


def test_linear_errors():
    with pytest.raises(ValueError, match="n_filter"):
        bases.linear_filterbank(201, 0.0, 8000.0, 0, 16000)


def test_mirror_weights():
    for n_fft in (2, 3, 8, 9):
        x = np.random.default_rng(n_fft).standard_normal(n_fft)
        y, n = np.fft.rfft(x)[:, None], np.arange(n_fft)
        waves = np.exp(2j * np.pi * np.arange(n_fft // 2 + 1)[:, None] * n / n_fft)
        np.testing.assert_allclose((2 / n_fft * bases.mirror_weights(n_fft) * y * waves).real.sum(0), x, atol=1e-13)


@pytest.mark.parametrize("norm", [None, "ortho"])
def test_dct_equals_scipy_and_torchaudio(norm):
    x = np.random.default_rng(0).standard_normal((3, 40))
    ours = bases.create_dct(13, 40, norm)
    np.testing.assert_allclose(x @ ours, scipy.fft.dct(x, type=2, norm=norm)[:, :13], atol=1e-12)
    np.testing.assert_allclose(ours, torchaudio.functional.create_dct(13, 40, norm).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((41, 40), "40"), ((0, 40), "n_mfcc"), ((4, 0), "n_mels"), ((4, 8, "l2"), "norm.*l2")],
)
def test_dct_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        bases.create_dct(*arguments)


def test_povey_windows_have_no_nan():
    """sin(pi) rounds to less than 0 for some lengths, and a power of that is NaN."""
    for length in range(2, 600):
        window = bases.get_window("povey", length, periodic=False)
        np.testing.assert_allclose(window, np.maximum(scipy.signal.windows.hann(length), 0) ** 0.85, atol=1e-12)
