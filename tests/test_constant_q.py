"""Constant-Q and variable-Q transforms against their formulas, nnAudio's kernels, librosa, and each other."""

import warnings

import librosa
import numpy as np
import pytest
import scipy.signal
import torch

from fastspec import _octaves, bases, chroma, transforms
from fastspec.bases.cqt import ConstantQ, cqt_rows
from fastspec.bases.decimation import halfband, octaves
from fastspec.compat.nnaudio import features as nnaudio
from fastspec.constant_q import cqt, icqt, layout_tensors, vqt
from fastspec.plan import DensePlan

SR = 22050


def noise(seconds, batch=1, seed=0):
    samples = np.random.default_rng(seed).standard_normal((batch, int(SR * seconds)))
    return torch.from_numpy(samples)


def faded(x, samples=8000):
    ramp = torch.linspace(0, 1, samples, dtype=x.dtype)
    x = x.clone()
    x[..., :samples] *= ramp
    x[..., -samples:] *= ramp.flip(0)
    return x


def errors(actual, truth):
    """Relative L2 error of everything, and of the worst bin."""
    wrong, right = (actual - truth).abs().square(), truth.abs().square()
    return (wrong.sum() / right.sum()).sqrt().item(), (wrong.sum((0, 2)) / right.sum((0, 2))).sqrt().max().item()


def true_cqt(x, hop, n_bins=84, bpo=12, fmin=32.70, pad="reflect"):
    """nnAudio's CQT1992v2 in float64, frame by frame: L1 norm, no further factor."""
    q = 1 / (2 ** (1 / bpo) - 1)
    f = fmin * 2 ** (np.arange(n_bins) / bpo)
    lengths = np.ceil(q * SR / f).astype(int)
    width = lengths.max() // 2 + 1
    padded = np.pad(x.numpy(), ((0, 0), (width, width)), mode=pad)
    out = np.empty((x.shape[0], n_bins, x.shape[1] // hop + 1), dtype=complex)
    for k, length in enumerate(lengths):
        t = np.arange(-((length + 1) // 2), length // 2)
        g = scipy.signal.get_window("hann", length) * np.exp(2j * np.pi * f[k] * t / SR)
        g /= np.abs(g).sum()
        for m in range(out.shape[2]):
            out[:, k, m] = padded[:, t + m * hop + width] @ g.conj()
    return torch.from_numpy(out), lengths


def test_direct_is_its_formula():
    x = noise(0.3, batch=2)
    truth, lengths = true_cqt(x, 512)
    factors = {"librosa": np.sqrt(lengths), "convolutional": np.ones(84), "wrap": np.full(84, 2.0)}
    for name, factor in factors.items():
        scaled = truth * torch.from_numpy(factor)[:, None]
        kwargs = dict(algorithm="direct", output_format="Complex", normalization_type=name)
        assert errors(cqt(x, **kwargs), scaled)[1] < 1e-12
        assert errors(cqt(x.float(), **kwargs), scaled)[1] < 5e-6
    magnitude = cqt(x, algorithm="direct", normalization_type="convolutional")
    phase = cqt(x, algorithm="direct", normalization_type="convolutional", output_format="Phase")
    torch.testing.assert_close(torch.polar(magnitude, phase), truth, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("hop", "pad_mode"), [(512, "reflect"), (441, "constant"), (480, "circular"), (500, "replicate"), (1148, "reflect")]
)
def test_recursive_is_direct(hop, pad_mode):
    x = noise(0.8)
    kwargs = dict(hop_length=hop, pad_mode=pad_mode, output_format="Complex")
    overall, worst = errors(cqt(x, **kwargs), cqt(x, algorithm="direct", **kwargs))
    assert overall < 3e-5
    assert worst < 1e-4
    assert errors(cqt(x.float(), **kwargs), cqt(x, **kwargs))[1] < 3e-5


def test_recursive_is_direct_elsewhere():
    x = noise(1.6)
    others = dict(gamma=20.0), dict(gamma=20.0, hop_length=441), dict(filter_scale=0.5), dict(n_bins=70, fmin=55.0)
    for kwargs in (*others, dict(center=False)):
        kwargs = {"output_format": "Complex", **kwargs}
        overall, worst = errors(vqt(x, **kwargs), vqt(x, algorithm="direct", **kwargs))
        assert overall < 3e-5, kwargs
        assert worst < 1e-4, kwargs


@pytest.mark.parametrize(("bins_per_octave", "hop"), [(24, 512), (36, 256), (48, 256)])
def test_discriminator_kernels(bins_per_octave, hop):
    """The front ends of a vocoder's discriminator, at twice 24 kHz."""
    spec = ConstantQ(48000.0, 32.70, 9 * bins_per_octave, bins_per_octave)
    found = octaves(spec, hop)
    assert found is not None
    assert found.error < 4e-5
    taps = sum(len(t) for level in found.levels for t in level.rows.taps)
    assert taps < sum(len(t) for t in cqt_rows(spec).taps) / 20
    x = noise(0.8)[:, :12000]
    same = dict(n_bins=spec.n_bins, bins_per_octave=bins_per_octave, pad_mode="constant", output_format="Complex")
    direct = cqt(x, 48000, hop, **same, algorithm="direct")
    overall, worst = errors(cqt(x, 48000, hop, **same), direct)
    assert overall < 3e-5
    assert worst < 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "kwargs",
    [
        dict(),
        dict(hop_length=441, output_format="Complex"),
        dict(pad_mode="constant", hop_length=1148),
        dict(pad_mode="circular", hop_length=64, output_format="Complex"),
        dict(center=False, output_format="Complex"),
        dict(gamma=20.0, pad_mode="replicate"),
        dict(convention="librosa", output_format="Complex"),
    ],
)
def test_native_is_composed(monkeypatch, dtype, kwargs):
    """One native call, and its gradient, against the linear ops put together; also with two threads."""
    x = noise(0.8, batch=3).to(dtype)
    tolerance = 1e-13 if dtype is torch.float64 else 2e-6

    def run():
        leaf = x.clone().requires_grad_()
        y = vqt(leaf, **kwargs)
        seed = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(0))
        return y.detach(), torch.autograd.grad(y, leaf, seed)[0]

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    native = run()
    with torch.no_grad():
        torch.testing.assert_close(vqt(x, **kwargs), native[0], rtol=0, atol=0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for again, first in zip(run(), native, strict=True):
        torch.testing.assert_close(again, first, rtol=0, atol=0)
    monkeypatch.setattr(_octaves, "_is_native", lambda *_: False)
    for composed, first in zip(run(), native, strict=True):
        assert (composed - first).norm() < tolerance * composed.norm()


@pytest.mark.parametrize("pad_mode", ["reflect", "constant", "replicate", "circular"])
@pytest.mark.parametrize("samples", [1, 37, 5000])
def test_native_on_short_clips(monkeypatch, samples, pad_mode):
    """Most of the kernels lies outside of the clip, where nothing is computed."""
    x = noise(0.3, batch=2)[:, :samples].requires_grad_()

    def run():
        y = cqt(x, hop_length=100, pad_mode=pad_mode, output_format="Complex")
        return y, torch.autograd.grad(y.abs().square().sum(), x)[0]

    native = run()
    monkeypatch.setattr(_octaves, "_is_native", lambda *_: False)
    for composed, first in zip(run(), native, strict=True):
        assert (composed - first).norm() < 1e-12 * composed.norm()


def test_native_runs(monkeypatch):
    calls = []
    transform = _octaves.octaves_cpu().transform
    monkeypatch.setattr(_octaves.octaves_cpu(), "transform", lambda *a, **k: calls.append(1) or transform(*a, **k))
    x = noise(0.2).float()
    transforms.CQT()(x)
    assert calls == [1]
    transforms.CQT(trainable=True)(x)
    transforms.CQT(backend="reference")(x)
    transforms.CQT(algorithm="direct")(x)
    assert calls == [1]


@pytest.mark.parametrize("output_format", ["Complex", "Magnitude"])
@pytest.mark.parametrize("algorithm", ["recursive", "direct"])
def test_int16(output_format, algorithm):
    samples = (10_000 * noise(0.2, batch=2)).to(torch.int16)
    options = dict(hop_length=256, output_format=output_format, algorithm=algorithm)
    expected = cqt(samples.float() / 32768, **options)
    torch.testing.assert_close(cqt(samples, **options), expected, rtol=0, atol=0)
    composed = cqt(samples, backend="reference", **options)
    torch.testing.assert_close(composed, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_native_owns_its_arrays():
    """Other plans push these supports out of their cache, and new arrays take the memory that is free."""
    x = noise(0.2).float()
    layer = transforms.CQT(hop_length=256)
    y = layer(x)
    rows_of = _octaves.octaves_cpu().rows_of
    for centre in range(rows_of.cache_info().maxsize):
        rows_of(DensePlan.make(8, 4, (0,), (8,), center_pad=centre))
    taken = [np.full(n, -1) for n in range(1, 100) for _ in range(30)]
    assert torch.equal(layer(x), y)
    del taken


def test_native_reads_nothing_beyond_the_clip():
    """Frames that lie wholly behind a clip are of zeros, and the adjoint writes into the clip alone."""
    spec = ConstantQ(8000, 200.0, 24)
    layout = _octaves.layout(spec, 64, "recursive", "librosa")
    bases, halfband = layout_tensors(layout, torch.float32, torch.device("cpu"))
    x, native = torch.ones(1, 50), _octaves.octaves_cpu()
    framing = 3, 100_000, "none"
    y, _ = native.transform(x, layout, bases, halfband, framing, None)
    assert not y.any()
    assert not native.adjoint(torch.ones_like(y), layout, bases, halfband, framing, 50).any()


def test_discriminator():
    layer = transforms.DiscriminatorCQT(8000, hop_lengths=(64, 32), n_octaves=6, bins_per_octave=(12, 24))
    x = noise(0.2)[:, :3000].float().requires_grad_()
    spectra = layer(x)
    assert [tuple(y.shape) for y in spectra] == [(1, 72, 94), (1, 144, 188)]
    doubled = torch.from_numpy(scipy.signal.resample_poly(x.detach().numpy(), 2, 1, axis=1))
    same = dict(sr=16000, bins_per_octave=12, n_bins=72, hop_length=64, pad_mode="constant", output_format="Complex")
    assert (spectra[0][:, :60] - cqt(doubled, **same)[:, :60]).norm() < 0.05 * spectra[0].norm()  # other filters
    sum(y.abs().mean() for y in spectra).backward()
    assert x.grad.abs().max() > 0
    with pytest.raises(ValueError, match="equally many, got 3 and 1"):
        transforms.DiscriminatorCQT(bins_per_octave=(24,))


def test_layers_move():
    layer = transforms.CQT().double()
    x = noise(0.2)
    torch.testing.assert_close(layer(x), cqt(x), rtol=0, atol=0)
    torch.testing.assert_close(transforms.CQT().half()(x.half()), cqt(x.half()), rtol=0, atol=0)
    with torch.device("meta"):
        assert transforms.CQT().halfband.device.type == "meta"


def test_falls_back_to_direct():
    assert octaves(ConstantQ(window="hamming"), 512) is None  # its sidelobes fall too slowly
    assert octaves(ConstantQ(fmin=4000.0, n_bins=12), 512) is None  # nothing to halve
    layer = transforms.CQT(window="hamming")
    assert layer.layout.algorithm == "direct"
    assert transforms.CQT().layout.algorithm == "recursive"
    assert transforms.CQT().layout.error < 1e-4


@pytest.mark.parametrize(
    "kwargs", [dict(), dict(hop_length=256, bins_per_octave=24, n_bins=168), dict(hop_length=64, n_bins=24, fmin=65.4)]
)
def test_librosa_cqt(kwargs):
    x = faded(noise(1.6))
    theirs = torch.from_numpy(librosa.cqt(x.numpy(), sr=SR, tuning=0, res_type="soxr_hq", **{"fmin": 32.70, **kwargs}))
    ours = cqt(x, convention="librosa", pad_mode="constant", output_format="Complex", **kwargs)
    assert errors(ours, theirs)[1] < 1e-3


@pytest.mark.parametrize("gamma", [None, 5.0, 20.0])
def test_librosa_vqt(gamma):
    x = faded(noise(1.0))
    theirs = torch.from_numpy(librosa.vqt(x.numpy(), sr=SR, tuning=0, fmin=32.70, gamma=gamma, res_type="soxr_hq"))
    ours = vqt(x, gamma=gamma, convention="librosa", pad_mode="constant", output_format="Complex")
    overall, worst = errors(ours, theirs)
    assert overall < 1e-3
    assert worst < 2e-3


@pytest.mark.parametrize("kwargs", [dict(), dict(hop_length=300, n_bins=60, filter_scale=0.5), dict(n_bins=10)])
@pytest.mark.parametrize("kind", ["pseudo", "hybrid"])
def test_librosa_pseudo_and_hybrid(kind, kwargs):
    x = faded(noise(1.0))
    options = {"res_type": "soxr_hq"} if kind == "hybrid" else {}
    theirs = torch.from_numpy(getattr(librosa, f"{kind}_cqt")(x.numpy(), sr=SR, tuning=0, **options, **kwargs))
    layer = {"pseudo": transforms.PseudoCQT, "hybrid": transforms.HybridCQT}[kind](SR, **kwargs)
    assert errors(layer(x), theirs)[1] < (1e-3 if kind == "hybrid" else 1e-6)
    x = x[:, :4000].float().requires_grad_()
    layer(x).sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() > 0


def test_harmonic_stack():
    x = torch.arange(1.0, 25).reshape(24, 1)
    stack = transforms.HarmonicStack(12, (0.5, 1, 2, 3), n_bins=20)(x)
    assert stack.shape == (4, 20, 1)
    for channel, shift in zip(stack[..., 0], (-12, 0, 12, 19), strict=True):
        assert channel.tolist() == [k + shift + 1.0 if 0 <= k + shift < 24 else 0.0 for k in range(20)]
    with pytest.raises(ValueError, match="n_bins must be at most the spectrum's 24, got 25"):
        transforms.HarmonicStack(12, n_bins=25)(x)
    with pytest.raises(ValueError, match="harmonics"):
        transforms.HarmonicStack(12, (0, 1))(x)


SINES = [
    (22050, 32.7, 12),
    (44100, 55.0, 36),
    (44100, 32.7, 24),
    (16000, 110.0, 12),
    (48000, 440.0, 12),
    (8000, 65.4, 24),
]


def sine_peaks(transform, sr, fmin, bpo, n_bins):
    """What unit sines at the lowest, middle and top bin give there, in the middle; each is its frame's largest."""
    for k in (0, n_bins // 2, n_bins - 1):
        x = torch.sin(2 * torch.pi * fmin * 2 ** (k / bpo) / sr * torch.arange(sr, dtype=torch.float64))
        y = transform(x)
        frame = y[:, y.shape[1] // 2]
        assert frame.argmax() == k
        yield frame[k].item()


@pytest.mark.parametrize("algorithm", ["recursive", "direct"])
@pytest.mark.parametrize(("sr", "fmin", "bpo"), SINES)
def test_unit_sine_is_one(sr, fmin, bpo, algorithm):
    """Under "wrap", at every rate, fmin and depth of decimation."""
    n_bins = 3 * bpo
    same = dict(n_bins=n_bins, bins_per_octave=bpo, normalization_type="wrap", algorithm=algorithm)
    for peak in sine_peaks(lambda x: cqt(x, sr, 512, fmin, **same), sr, fmin, bpo, n_bins):
        assert peak == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("name", ["CQT2010", "CQT2010v2", "VQT"])
@pytest.mark.parametrize(("sr", "fmin", "bpo"), SINES[:4])
def test_unit_sine_is_one_after_early_downsampling(name, early, sr, fmin, bpo):
    """nnAudio's own layers give 16 or 64 where they downsample early."""
    n_bins = 3 * bpo
    layer = getattr(nnaudio, name)(
        sr, 512, fmin, n_bins=n_bins, bins_per_octave=bpo, earlydownsample=early, verbose=False
    ).double()
    peaks = sine_peaks(lambda x: layer(x, normalization_type="wrap")[0], sr, fmin, bpo, n_bins)
    assert list(peaks) == pytest.approx([1.0] * 3, abs=2e-3)


def test_short_clips():
    for samples in (1, 37, 4410):
        x = noise(0.2)[:, :samples]
        for pad_mode in ("reflect", "constant", "replicate", "circular"):
            kwargs = dict(pad_mode=pad_mode, output_format="Complex")
            direct = cqt(x, algorithm="direct", **kwargs)
            assert direct.shape == (1, 84, samples // 512 + 1)
            difference = (cqt(x, **kwargs) - direct).abs().max()
            assert difference <= 1e-4 * max(1.0, direct.abs().max().item())


def test_leading_dimensions_and_dtypes():
    x = noise(0.3, batch=6).float()
    whole = cqt(x)
    torch.testing.assert_close(cqt(x.view(3, 2, -1)), whole.view(3, 2, 84, -1), rtol=0, atol=0)
    torch.testing.assert_close(cqt(x[0]), whole[0], rtol=1e-5, atol=1e-6)
    assert cqt(x.double()).dtype is torch.float64
    assert cqt(x.half()).dtype is torch.float16
    assert cqt(x, output_format="Complex").dtype is torch.complex64
    torch.testing.assert_close(transforms.CQT()(x), whole, rtol=0, atol=0)


SMALL = dict(sr=2000, hop_length=37, fmin=40.0, n_bins=40, bins_per_octave=12)


@pytest.mark.parametrize("algorithm", ["direct", "recursive"])
@pytest.mark.parametrize("output_format", ["Magnitude", "Complex"])
def test_gradients(algorithm, output_format):
    layer = transforms.VQT(
        **SMALL, gamma=3.0, trainable=True, algorithm=algorithm, output_format=output_format
    ).double()
    assert (len(list(layer.parameters())) > 1) == (algorithm == "recursive")
    x = noise(0.02)[:, :180].requires_grad_()

    names, values = zip(*((n, p.detach().clone().requires_grad_()) for n, p in layer.named_parameters()), strict=True)

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), x)

    torch.autograd.gradcheck(run, (x, *values), fast_mode=True, atol=1e-6)
    fixed = [v.detach() for v in values]
    torch.autograd.gradgradcheck(lambda x: run(x, *fixed), x, fast_mode=True, atol=1e-6)


def test_silence_has_finite_gradients():
    for algorithm in ("direct", "recursive"):
        x = torch.zeros(1, 8000, requires_grad=True)
        y = cqt(x, algorithm=algorithm)
        assert (y == 0).all()
        y.sum().backward()
        assert (x.grad == 0).all()


def test_state_dict():
    assert transforms.CQT().state_dict() == {}
    layer = transforms.CQT(trainable=True)
    other = transforms.CQT(trainable=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(1.5)
    other.load_state_dict(layer.state_dict())
    x = noise(0.2).float()
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=0)
    buffers = sum(b.numel() for b in transforms.CQT(algorithm="direct").buffers())
    assert buffers <= 2 * 200505  # the sum of the supports; nnAudio holds 84 rows of 16384


@pytest.mark.parametrize(("hop", "least"), [(32, 60.0), (64, 38.0)])
def test_inverse(hop, least):
    f_top = 32.7 * 2 ** (83 / 12)
    band = scipy.signal.firwin(2001, [65.4, 0.9 * f_top], pass_zero=False, fs=SR)
    x = torch.from_numpy(scipy.signal.fftconvolve(noise(0.4).numpy(), band[None], mode="same"))
    x = faded(x, 2000).float()
    spectrum = cqt(x, hop_length=hop, output_format="Complex", pad_mode="constant")
    back = icqt(spectrum, hop_length=hop, length=x.shape[1], pad_mode="constant")
    assert 10 * torch.log10(x.square().sum() / (x - back).square().sum()) > least


def test_layers_are_their_functions():
    x = noise(0.2).float()
    torch.testing.assert_close(transforms.Chroma(kind="cqt", n_octaves=5)(x), chroma.chroma_cqt(x, n_octaves=5))
    torch.testing.assert_close(transforms.Chroma(n_fft=512)(x), chroma.chroma_stft(x, n_fft=512))
    with pytest.raises(ValueError, match="kind must be one of"):
        transforms.Chroma(kind="mel")
    spectrum = cqt(x, **SMALL, output_format="Complex")
    torch.testing.assert_close(
        transforms.ICQT(**SMALL, n_iter=3)(spectrum, 4410), icqt(spectrum, **SMALL, n_iter=3, length=4410)
    )


def test_inverse_is_differentiable_and_warns():
    x = noise(0.02)[:, :180]
    spectrum = cqt(x, **SMALL, output_format="Complex").requires_grad_()
    with pytest.warns(UserWarning, match=r"r = 0\.\d+ hops"):
        icqt(spectrum, **{**SMALL, "hop_length": 600}, n_iter=1)
    torch.autograd.gradcheck(lambda s: icqt(s, **SMALL, length=180, n_iter=2), spectrum, fast_mode=True, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (icqt(torch.zeros_like(spectrum), **SMALL) == 0).all()


def test_halfband():
    for passband in (0.05, 0.094, 0.13, 0.2):
        h = halfband(passband, 6)
        assert len(h) == 23
        np.testing.assert_array_equal(h, h[::-1])
        frequencies, response = scipy.signal.freqz(h, worN=4096)
        f = frequencies / (2 * np.pi)
        best = scipy.signal.remez(23, [0, passband, 0.5 - passband, 0.5], [1, 0], grid_density=64)
        theirs = np.abs(scipy.signal.freqz(best, worN=4096)[1][f >= 0.5 - passband]).max()
        assert np.abs(response[f >= 0.5 - passband]).max() <= 1.01 * theirs


@pytest.mark.parametrize(
    "kwargs", [dict(), dict(tuning=0.3, n_chroma=24), dict(octwidth=None, norm=None), dict(base_c=False)]
)
def test_chroma_filterbank(kwargs):
    theirs = librosa.filters.chroma(sr=SR, n_fft=2048, dtype=np.float64, **kwargs)
    np.testing.assert_allclose(bases.chroma_filterbank(SR, 2048, **kwargs), theirs.T, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("n_bins", "bpo", "n_chroma", "base_c"), [(84, 12, 12, True), (252, 36, 12, False), (30, 24, 12, True)]
)
def test_cqt_to_chroma(n_bins, bpo, n_chroma, base_c):
    theirs = librosa.filters.cq_to_chroma(n_bins, bins_per_octave=bpo, n_chroma=n_chroma, fmin=41.2, base_c=base_c)
    np.testing.assert_array_equal(bases.cqt_to_chroma(n_bins, bpo, n_chroma, 41.2, base_c), theirs.T)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (dict(n_bins=200), r"n_bins = 200: .* at most \d+ bins fit"),
        (dict(hop_length=0), "hop_length must be .* got 0"),
        (dict(fmin=-1.0), r"fmin must be .* got -1"),
        (dict(fmax=20.0), r"fmax must be above fmin = 32.7 Hz, got 20"),
        (dict(sr=0), "sr must be"),
        (dict(fmax=12000.0), "fmax must be at most half the sample rate, 11025 Hz, got 12000"),
        (dict(filter_scale=1e-9), "filter_scale must leave the top kernel 2 samples, got 1e-09"),
        (dict(window=[1.0, 2.0]), r"window must be a name or \(name, parameter\)"),
        (dict(filter_scale=float("nan")), "filter_scale must be"),
        (dict(gamma=-2.0), "gamma must be"),
        (dict(algorithm="fast"), "algorithm must be one of"),
        (dict(output_format="magnitude"), "output_format must be one of"),
        (dict(normalization_type="l2"), "normalization_type must be one of"),
        (dict(convention="librosa", algorithm="direct"), 'algorithm must be "recursive"'),
        (dict(pad_mode="none"), "pad_mode must be one of"),
        (dict(window="hamm"), "window: unknown name"),
        (dict(center=False), "waveform must hold at least 16384 samples"),
        (dict(backend="gpu"), "backend must be one of"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        vqt(noise(0.1), **kwargs)


def test_chroma_is_librosas():
    x = faded(noise(3.0))
    theirs = librosa.feature.chroma_stft(y=x.numpy(), sr=SR, tuning=0)
    np.testing.assert_allclose(chroma.chroma_stft(x).numpy(), theirs, rtol=0, atol=1e-6)
    for kwargs in (dict(), dict(norm=2, n_octaves=5), dict(norm=None, threshold=0.5)):
        theirs = librosa.feature.chroma_cqt(y=x.numpy(), sr=SR, tuning=0, **kwargs)
        wrong = np.abs(chroma.chroma_cqt(x, **kwargs).numpy() - theirs).max()
        assert wrong < 1e-3 * np.abs(theirs).max(), kwargs
    assert (chroma.chroma_stft(torch.zeros(4096)) == 0).all()
    x = noise(0.3).requires_grad_()
    chroma.chroma_vqt(x, n_octaves=2).square().sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() > 0


CFP = transforms.CFP


@pytest.mark.parametrize("kwargs", [dict(), dict(g=[0.24, 0.6]), dict(g=[0.3, 0.5, 0.8, 0.9], fr=4, hop_length=200)])
def test_cfp_is_its_formula(kwargs):
    """Su & Yang's layers on whole sequences, as nnAudio computes them."""
    x = noise(0.5, batch=2)
    layer = CFP(**kwargs).double()
    n, window = layer.n_fft, torch.from_numpy(scipy.signal.windows.blackmanharris(2049))
    spectrum = torch.stft(
        x, n, layer.plan.hop_length, 2049, window, pad_mode="constant", onesided=False, return_complex=True
    )
    magnitude = (spectrum.abs() / window.norm())[:, :, 1:-1].mT
    layers = [magnitude ** layer.g[0]]
    for i, g in enumerate(layer.g[1:]):
        cut = layer.cutoffs[(i + 1) % 2]
        y = torch.relu(torch.fft.fft(layers[-1]).real / n**0.5)
        y[..., :cut] = 0
        y[..., -cut:] = 0
        layers.append(y**g)
    spectrum, cepstrum = layers[-2:][::-1] if len(layers) % 2 else layers[-2:]
    by_frequency, by_period = layer.by_frequency.double(), layer.by_period.double()
    frequency = spectrum[..., : len(by_frequency)] @ by_frequency
    period = cepstrum[..., : len(by_period)] @ by_period
    truths = frequency * period, magnitude[..., : len(by_frequency)] @ by_frequency, frequency, period
    for actual, truth in zip(layer(x), truths, strict=True):
        torch.testing.assert_close(actual, truth.mT, rtol=1e-5, atol=1e-5 * truth.abs().max().item())


def test_cfp_has_gradients_and_checks():
    layer = CFP(fr=40, fs=4000, hop_length=500, window_size=99, fc=160, tc=1 / 1000, NumPerOct=6).double()
    x = noise(0.1)[:, :2000].requires_grad_()
    torch.autograd.gradcheck(lambda x: layer(x)[0], x, fast_mode=True, atol=1e-5)
    silent = torch.zeros(4000, requires_grad=True)
    CFP(fr=40, fs=4000, hop_length=500, window_size=99)(silent)[0].sum().backward()
    assert (silent.grad == 0).all()
    with pytest.raises(ValueError, match="g must hold two exponents"):
        CFP(g=[1.0])
    with pytest.raises(ValueError, match="tc must give a highest frequency"):
        CFP(tc=1e-5)
    with pytest.raises(ValueError, match="win_length must be at most n_fft = 1000"):
        CFP(fr=16)
