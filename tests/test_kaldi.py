"""Kaldi's features against torchaudio.compliance.kaldi, batches, gradients, errors."""

import hypothesis
import pytest
import torch
from hypothesis import strategies as st
from peers import torchaudio

from fastspec import audio, kaldi, transforms
from fastspec.bases.kaldi import KALDI_WINDOWS

theirs = torchaudio.compliance.kaldi

OPTIONS = [
    ("fbank", {}),
    ("fbank", {"num_mel_bins": 80, "snip_edges": False}),
    ("fbank", {"use_energy": True, "raw_energy": False, "window_type": "hamming", "energy_floor": 0.0}),
    ("fbank", {"use_energy": True, "htk_compat": True, "use_log_fbank": False, "subtract_mean": True}),
    ("fbank", {"vtln_warp": 1.1, "use_power": False, "high_freq": -400.0}),
    ("fbank", {"round_to_power_of_two": False, "frame_length": 24.0, "remove_dc_offset": False}),
    ("spectrogram", {}),
    ("spectrogram", {"raw_energy": False, "window_type": "blackman", "preemphasis_coefficient": 0.0}),
    ("mfcc", {}),
    ("mfcc", {"use_energy": True, "htk_compat": True, "vtln_warp": 0.9, "cepstral_lifter": 0.0}),
    ("mfcc", {"htk_compat": True, "subtract_mean": True, "num_ceps": 20}),
]


@pytest.fixture(scope="module", params=["speech.flac", "music.ogg"])
def recording(request, pytestconfig):
    samples, rate = audio.load(pytestconfig.rootpath / "examples/audio" / request.param)
    return torch.from_numpy(samples)[:, : 5 * rate].float(), float(rate)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=lambda value: value if isinstance(value, str) else "")
def test_equals_torchaudio_on_recordings(name, options, recording):
    """torchaudio in float64 is the truth: reached where dtype is float64; in float32 on the mean as near as
    torchaudio's own float32, and at the worst value, an almost empty bin, up to twice as far."""
    x, rate = recording
    options = options | {"sample_frequency": rate}
    truth = getattr(theirs, name)(x.double(), **options)
    got = getattr(kaldi, name)(x, channel=0, dtype=torch.float64, **options)
    assert got.shape == truth.shape
    assert (got - truth).abs().max() < 1e-9
    rough = (getattr(theirs, name)(x, **options) - truth).abs()
    ours = getattr(kaldi, name)(x, channel=0, **options)
    assert ours.dtype == torch.float32
    ours = (ours - truth).abs()
    assert ours.max() <= 2 * rough.max()
    assert ours.mean() <= 1.2 * rough.mean()


def test_float32_fbank_within_1e_4(recording):
    x, rate = recording
    truth = theirs.fbank(x.double(), sample_frequency=rate)
    assert (kaldi.fbank(x, channel=0, sample_frequency=rate) - truth).abs().max() < 1e-4


@hypothesis.settings(max_examples=80, deadline=None, derandomize=True, database=None)
@hypothesis.given(data=st.data())
def test_any_options(data):
    """Whatever torchaudio takes, in float64."""
    draw, flags = data.draw, st.booleans()
    name = draw(st.sampled_from(["spectrogram", "fbank", "mfcc"]), label="function")
    rate = draw(st.sampled_from([1000.0, 8000.0, 11025.0]), label="rate")
    options = {
        "sample_frequency": rate,
        "frame_length": draw(st.floats(5.0, 40.0), label="frame_length"),
        "frame_shift": draw(st.floats(1.0, 50.0), label="frame_shift"),
        "window_type": draw(st.sampled_from(KALDI_WINDOWS), label="window"),
        "preemphasis_coefficient": draw(st.sampled_from([0.0, 0.5, 0.97, 1.0]), label="preemphasis"),
        "energy_floor": draw(st.sampled_from([0.0, 1e-3, 1.0]), label="energy_floor"),
        "round_to_power_of_two": draw(flags, label="round"),
    }
    for key in ("raw_energy", "remove_dc_offset", "snip_edges", "subtract_mean"):
        options[key] = draw(flags, label=key)
    if name != "spectrogram":
        options["num_mel_bins"] = draw(st.integers(4, 30), label="num_mel_bins")
        options["low_freq"] = draw(st.floats(0.0, 99.0), label="low_freq")
        options["high_freq"] = draw(st.sampled_from([0.0, -20.0, 0.4 * rate]), label="high_freq")
        options["vtln_low"], options["vtln_high"] = 0.15 * rate, 0.35 * rate
        options["vtln_warp"] = draw(st.sampled_from([1.0, 0.85, 1.15]), label="vtln_warp")
        options["use_energy"], options["htk_compat"] = draw(flags, label="use_energy"), draw(flags, label="htk")
    if name == "fbank":
        options["use_log_fbank"], options["use_power"] = draw(flags, label="log"), draw(flags, label="use_power")
    if name == "mfcc":
        options["num_ceps"] = draw(st.integers(2, options["num_mel_bins"]), label="num_ceps")
        options["cepstral_lifter"] = draw(st.sampled_from([0.0, 22.0]), label="lifter")
    length = draw(st.integers(1, 900), label="T")
    frame = int(rate * options["frame_length"] * 0.001)
    shift = int(rate * options["frame_shift"] * 0.001)
    hypothesis.assume(options["round_to_power_of_two"] or frame % 2 == 0)
    hypothesis.assume(length >= frame and length + shift // 2 >= shift)
    x = torch.randn(2, length, dtype=torch.float64, generator=torch.Generator().manual_seed(length))
    x = 10 * x + torch.linspace(-30, 50, length)
    got = getattr(kaldi, name)(x, **options)
    for clip, one in zip(x, got, strict=True):
        truth = getattr(theirs, name)(clip[None], **options)
        assert one.shape == truth.shape
        # a band of almost nothing shows the float32 of torchaudio's constants in its logarithm
        torch.testing.assert_close(one, truth, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["spectrogram", "fbank", "mfcc"])
def test_a_batch_is_its_clips(name, backend):
    def same(alone, in_batch):
        """To the bit from our kernels; torch's FFT and products round as the batch falls."""
        exact = backend == "cpu" and name != "mfcc"
        assert torch.equal(alone, in_batch) if exact else torch.allclose(alone, in_batch, rtol=1e-4, atol=1e-3)

    x = torch.randn(2, 3, 4000, generator=torch.Generator().manual_seed(0))
    for options in ({}, {"snip_edges": False, "subtract_mean": True}):
        both = getattr(kaldi, name)(x, backend=backend, **options)
        assert both.shape[:2] == (2, 3)
        for i in range(2):
            same(getattr(kaldi, name)(x[i], backend=backend, **options), both[i])
            same(getattr(kaldi, name)(x[i], backend=backend, channel=1, **options), both[i, 1])
            same(getattr(kaldi, name)(x[i, 2], backend=backend, **options), both[i, 2])


def test_odd_frames_that_fit_exactly():
    """551 samples in 1024: the last frame ends with the clip."""
    x = torch.randn(1, 551 + 220 * 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    options = {"sample_frequency": 22050.0}
    got, truth = kaldi.fbank(x[0], **options), theirs.fbank(x, **options)
    assert got.shape == truth.shape == (4, 23)
    torch.testing.assert_close(got, truth, rtol=0, atol=1e-6)


SMALL = {"sample_frequency": 1000.0, "frame_length": 16.0, "frame_shift": 7.0, "low_freq": 50.0, "num_mel_bins": 4}


@pytest.mark.parametrize("name", ["spectrogram", "fbank", "mfcc"])
@pytest.mark.parametrize("snip_edges", [True, False])
def test_gradients(name, snip_edges, backend):
    options = dict(SMALL, snip_edges=snip_edges, window_type="hamming", raw_energy=False)
    if name == "spectrogram":
        del options["low_freq"], options["num_mel_bins"]
    else:
        options["use_energy"] = True
    if name == "mfcc":
        options["num_ceps"] = 3
    generator = torch.Generator().manual_seed(3)
    x = (5 * torch.randn(2, 40, dtype=torch.float64, generator=generator)).requires_grad_()
    window = (0.3 + torch.rand(16, dtype=torch.float64, generator=generator)).requires_grad_()

    def call(x, window):
        return getattr(kaldi, name)(x, window=window, backend=backend, **options)

    assert torch.autograd.gradcheck(call, (x, window), fast_mode=True)
    assert torch.autograd.gradgradcheck(call, (x, window), fast_mode=True)


def test_filterbank_gradient(backend):
    x = 5 * torch.randn(2, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    bank = torch.rand(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5)).requires_grad_()
    options = {key: value for key, value in SMALL.items() if key not in ("low_freq", "num_mel_bins")}
    assert torch.autograd.gradcheck(lambda b: kaldi.fbank(x, filterbank=b, backend=backend, **options), bank)


def test_silence_and_offset(backend):
    """Silence, and a constant, are the floors, with gradients of zero."""
    for level in (0.0, 3.0):
        x = torch.full((2, 1600), level, requires_grad=True)
        y = kaldi.fbank(x, use_energy=True, backend=backend)
        torch.testing.assert_close(y[..., 0], torch.zeros(2, 8))
        torch.testing.assert_close(y[..., 1:], torch.full((2, 8, 23), kaldi.EPSILON).log())
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert gradient.abs().max() == 0
        assert kaldi.spectrogram(x.detach(), backend=backend).isfinite().all()


def test_scale_and_int16():
    x = torch.randint(-3000, 3000, (2, 3000), dtype=torch.int16, generator=torch.Generator().manual_seed(6))
    truth = kaldi.mfcc(x.float(), use_energy=True)
    torch.testing.assert_close(kaldi.mfcc(x, scale=32768.0, use_energy=True), truth, rtol=0, atol=1e-3)


def test_dither():
    x = torch.zeros(4, 16000)

    def energy(seed, **options):
        return kaldi.fbank(x, dither=2.0, generator=torch.Generator().manual_seed(seed), use_energy=True, **options)[
            ..., 0
        ].exp()

    assert torch.equal(energy(0), energy(0))
    assert not torch.equal(energy(0), energy(1))
    for options in ({}, {"scale": 32768.0}):  # the deviation is in the units of the scaled samples
        assert energy(0, **options).mean().item() == pytest.approx(400 * 4.0, rel=0.05)


def test_short_clips():
    with pytest.raises(ValueError, match="waveform must hold at least one frame of 400 samples"):
        kaldi.fbank(torch.zeros(2, 399))
    assert kaldi.fbank(torch.zeros(2, 16000), min_duration=2.0).shape == (2, 0, 23)
    assert kaldi.mfcc(torch.zeros(2, 16000), min_duration=2.0, use_energy=True).shape == (2, 0, 13)
    assert kaldi.spectrogram(torch.zeros(16000), min_duration=2.0).shape == (0, 257)
    for snip_edges in (True, False):  # not even a frame
        assert kaldi.fbank(torch.zeros(2, 5), min_duration=1.0, dither=1.0, snip_edges=snip_edges).shape == (2, 0, 23)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fbank", {"channel": 2}, "channel must be -1, or a row"),
        ("fbank", {"frame_length": 0.1}, "frame_length must be from 2 to 65536 samples"),
        ("fbank", {"frame_shift": 0.01}, "frame_shift must be from 1 to 2147483647 samples"),
        ("fbank", {"frame_length": 25.1, "round_to_power_of_two": False}, "frame_length must be an even number"),
        ("fbank", {"preemphasis_coefficient": 1.5}, "preemphasis_coefficient must be from 0 to 1, got 1.5"),
        ("fbank", {"window_type": "kaiser"}, "window_type must be one of .*'kaiser'"),
        ("fbank", {"num_mel_bins": 3}, "num_mel_bins must be an integer >= 4, got 3"),
        ("fbank", {"high_freq": 9000.0}, "low_freq, high_freq: expected"),
        ("fbank", {"vtln_warp": 1.1, "vtln_low": 10.0}, "vtln_low, vtln_high: expected"),
        ("fbank", {"scale": 0.0}, "scale must be a finite number > 0"),
        ("fbank", {"energy_floor": -1.0, "use_energy": True}, "energy_floor must be"),
        ("fbank", {"snip_edges": 1}, "snip_edges must be True or False"),
        ("fbank", {"frame_shift": 900.0, "snip_edges": False}, "frame_shift must be at most"),
        ("fbank", {"filterbank": torch.ones(3, 4)}, r"filterbank must have shape \[257, K\]"),
        ("fbank", {"window": torch.ones(3)}, r"window must have shape \[win_length\] = \[400\]"),
        ("mfcc", {"num_ceps": 24}, "num_ceps must not exceed num_mel_bins = 23"),
        ("mfcc", {"sample_frequency": -1.0}, "sample_frequency must be"),
        ("fbank", {"frame_length": 1e12}, "frame_length must be from 2 to 65536 samples at 16000 Hz"),
        ("fbank", {"frame_shift": 1e308, "frame_length": 1e-308}, "frame_length must be"),
        ("fbank", {"frame_shift": 1e12}, "frame_shift must be from 1 to"),
        ("fbank", {"num_mel_bins": 10**9}, "num_mel_bins = 1000000000 asks for an array of"),
        ("fbank", {"dither": 1.0, "generator": 3}, "generator must be a torch.Generator or None, got 3"),
    ],
)
def test_errors_name_the_argument(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(kaldi, name)(torch.zeros(2, 4000), **options)


def test_modules():
    x = torch.randn(2, 4000, generator=torch.Generator().manual_seed(7))
    for module, name, options, keys in (
        (transforms.KaldiSpectrogram, "spectrogram", {"raw_energy": False}, ["window"]),
        (transforms.KaldiFbank, "fbank", {"num_mel_bins": 40, "window_type": "hanning"}, ["window", "fb"]),
        (transforms.KaldiMFCC, "mfcc", {"num_mel_bins": 40, "num_ceps": 20}, ["window", "fb"]),
    ):
        built = module(**options)
        torch.testing.assert_close(built(x), getattr(kaldi, name)(x, **options), rtol=0, atol=1e-5)
        assert list(built.state_dict()) == keys
        trained = module(trainable=["window"], **options)
        trained(x).sum().backward()
        assert trained.window.grad.isfinite().all()
    with pytest.raises(ValueError, match="n_mels=40: expected some of blackman_coeff"):
        transforms.KaldiFbank(n_mels=40)
    assert "num_mel_bins=40" in repr(transforms.KaldiFbank(num_mel_bins=40))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch 2.13, about itself
def test_compiles():
    """One graph, without breaks."""
    x = torch.randn(2, 3000, generator=torch.Generator().manual_seed(8))
    compiled = torch.compile(lambda x: kaldi.mfcc(x, num_mel_bins=27, vtln_warp=1.05), fullgraph=True, backend="eager")
    torch.testing.assert_close(
        compiled(x), kaldi.mfcc(x, num_mel_bins=27, vtln_warp=1.05)
    )  # its bank made while traced
    module = transforms.KaldiFbank(num_mel_bins=20, use_energy=True)
    torch.testing.assert_close(torch.compile(module, fullgraph=True, backend="eager")(x), module(x))
