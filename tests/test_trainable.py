"""STFT, Gammatonegram, trained bands: against nnAudio's formulas, the fixed transforms, and through training."""

import copy
import io

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import fastspec.functional as F
import fastspec.transforms as T
from fastspec import bases
from fastspec.plan import DensePlan, FramePlan

SCALES = ["no", "linear", "log", "log2"]
KINDS = [False, True, "window", "frequencies", ("frequencies", "window")]


def noise(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def by_definition(x, n_fft, hop, bins, window, pad_mode="reflect"):
    """nnAudio's STFT in float64: rows window(n) exp(-2 pi i f n / n_fft), n from the start of the frame."""
    left = (n_fft - len(window)) // 2
    full = np.zeros(n_fft)
    full[left : left + len(window)] = window
    rows = full * np.exp(-2j * np.pi * np.multiply.outer(bins, np.arange(n_fft)) / n_fft)
    padded = np.pad(x, ((0, 0), (n_fft // 2, n_fft // 2)), mode=pad_mode)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
    return np.einsum("fn,bmn->bfm", rows, frames)


def assert_near(actual, expected, rtol=2e-6):
    expected = torch.as_tensor(np.array(expected)) if isinstance(expected, np.ndarray) else expected
    assert actual.shape == expected.shape
    error = (actual.to(expected.dtype) - expected).abs().max().item()
    assert error <= rtol * expected.abs().max().item(), f"error {error:.3g}"


@pytest.mark.parametrize("freq_scale", SCALES)
@pytest.mark.parametrize("trainable", KINDS, ids=str)
def test_stft_at_first_is_nnaudios(freq_scale, trainable):
    """Whatever is trained, the first values are the fixed transform's: nnAudio's rows, to float32's rounding."""
    sizes = {"n_fft": 256, "win_length": 200, "hop_length": 60, "freq_bins": 50, "fmin": 100.0, "fmax": 7000.0}
    layer = T.STFT(**sizes, freq_scale=freq_scale, trainable=trainable, sr=16000)
    k = np.arange(50)
    bins = {
        "no": k,
        "linear": (100 + k * 6900 / 50) * 256 / 16000,
        "log": 100 * 256 / 16000 * np.exp(k * np.log(70) / 50),
    }[freq_scale.removesuffix("2")]
    x = noise(2, 3000)
    truth = by_definition(x.double().numpy(), 256, 60, bins, bases.get_window("hann", 200))
    assert_near(layer(x), truth)
    assert_near(layer(x, "Magnitude"), abs(truth))
    assert_near(layer(x, output_format="Power"), abs(truth) ** 2)
    phase = layer(x, "Phase").double().detach()
    assert phase.dtype == torch.float64
    assert_near(torch.polar(torch.tensor(abs(truth)), phase), truth)
    np.testing.assert_allclose(layer.hertz.numpy(), bins * 16000 / 256, rtol=1e-6)
    rows = layer.rows()
    assert rows.shape == (2, 50, 200)
    assert_near(rows, bases.fourier_basis(256, bins, bases.get_window("hann", 200)), 3e-7)


def test_stft_defaults_are_nnaudios():
    layer = T.STFT()
    assert (layer.n_fft, layer.win_length, layer.hop_length, layer.freq_bins) == (2048, 2048, 512, 1025)
    assert layer(noise(1, 4000)).shape == (1, 1025, 8)
    assert layer(noise(4000)).dtype == torch.complex64
    constant = T.STFT(64, pad_mode="constant", hop_length=16, trainable=True)
    x = noise(1, 300)
    truth = by_definition(x.double().numpy(), 64, 16, np.arange(33), bases.get_window("hann", 64), "constant")
    assert_near(constant(x), truth)
    assert T.STFT(64, center=False, trainable=True)(x).shape[-1] == (300 - 64) // 16 + 1


def test_which_way_a_stft_goes():
    """FFT where rows are its bins and fixed, products elsewhere."""
    for options, kind in (
        ({}, FramePlan),
        ({"trainable": "window"}, FramePlan),
        ({"freq_bins": 10}, FramePlan),
        ({"trainable": True}, DensePlan),
        ({"trainable": "frequencies"}, DensePlan),
        ({"freq_scale": "log"}, DensePlan),
        ({"freq_scale": "linear", "trainable": "window"}, DensePlan),
    ):
        assert type(T.STFT(128, **options).plan) is kind


@pytest.mark.parametrize("freq_scale", ["no", "log"])
@pytest.mark.parametrize("trainable", KINDS, ids=str)
def test_checkpoints(trainable, freq_scale):
    """No constants are saved; what is trained comes back, to the same bits."""
    layer = T.STFT(128, freq_scale=freq_scale, trainable=trainable)
    kinds = {False: (), True: ("basis",)}.get(trainable, trainable)
    names = {{"frequencies": "shifts"}.get(kind, kind) for kind in ((kinds,) if isinstance(kinds, str) else kinds)}
    assert set(layer.state_dict()) == names == {name for name, _ in layer.named_parameters()}
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.01)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    if not names:
        assert file.tell() < 2000
    file.seek(0)
    fresh = T.STFT(128, freq_scale=freq_scale, trainable=trainable)
    fresh.load_state_dict(torch.load(file))
    x = noise(2, 1000)
    assert torch.equal(fresh(x), layer(x))
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))


@pytest.mark.parametrize("trainable", KINDS[1:], ids=str)
def test_gradients_of_the_parameters(trainable):
    """Against autograd through a plain float64 product; then a step downhill goes down."""
    sizes = {"n_fft": 32, "hop_length": 8, "freq_scale": "linear", "freq_bins": 9, "fmax": 8000.0}
    layer = T.STFT(**sizes, trainable=trainable, output_format="Power").double()
    x = noise(2, 200, dtype=torch.float64)
    loss = layer(x).square().mean()
    names, parameters = zip(*layer.named_parameters(), strict=True)
    grads = torch.autograd.grad(loss, parameters)

    frames = torch.nn.functional.pad(x[:, None], (16, 16), "reflect")[:, 0].unfold(1, 32, 8)
    leaves = {name: p.detach().clone().requires_grad_() for name, p in zip(names, parameters, strict=True)}
    if "basis" in leaves:
        rows = torch.complex(*leaves["basis"])
    else:
        n = torch.arange(32, dtype=torch.float64)
        bins = leaves.get("shifts", 0.0) + torch.tensor(bases.bin_frequencies(32, 9, "linear", 50, 8000))
        window = leaves.get("window", torch.tensor(bases.get_window("hann", 32)))
        rows = window * torch.exp(-2j * torch.pi * bins[:, None] * n / 32)
    truth = (frames.to(rows.dtype) @ rows.mT).abs().square().square().mean()
    for grad, expected in zip(grads, torch.autograd.grad(truth, tuple(leaves.values())), strict=True):
        torch.testing.assert_close(grad, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())

    before = loss.item()
    with torch.no_grad():
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter -= 1e-4 * grad / grad.norm()
    assert layer(x).square().mean().item() < before


def test_recompute_gives_the_same_gradients():
    x = noise(2, 2000)
    kept, again = (T.STFT(128, trainable=True, output_format="Magnitude", recompute=r) for r in (False, True))
    for layer in (kept, again):
        layer(x).sin().sum().backward()
    torch.testing.assert_close(kept.basis.grad, again.basis.grad)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compile():
    x = noise(2, 1000)
    for layer in (T.STFT(64), T.STFT(64, trainable=True), T.STFT(64, trainable=("frequencies", "window"))):
        torch._dynamo.reset()
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x, "Magnitude"), layer(x, "Magnitude"))
        if layer.trainable:
            out = [torch.autograd.grad(f(x, "Power").sum(), tuple(layer.parameters())) for f in (compiled, layer)]
            torch.testing.assert_close(*out, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"freq_scale": "mel"}, "freq_scale must be one of"),
        ({"output_format": "complex"}, "output_format must be one of 'Complex'"),
        ({"freq_bins": 1026}, "freq_bins must be at most"),
        ({"freq_scale": "log", "fmin": 0.0}, "expected 0 <= f_min < f_max"),
        ({"trainable": "kernels"}, "trainable must be among"),
        ({"trainable": ("basis", "window")}, "trainable must be 'basis' alone"),
        ({"n_fft": 1}, "n_fft must be"),
        ({"eps": -1.0}, "eps must be"),
    ],
)
def test_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        T.STFT(**arguments)


def test_basis_transform_errors():
    plan = DensePlan.make(16, 4, (0,), (16,))
    for arguments, words in (
        ((noise(100), noise(2, 16), FramePlan.make(16)), "plan must be a DensePlan"),
        ((noise(100), noise(2, 15), plan), r"basis must have shape \[2, 16\]"),
        ((noise(100), 3.0, plan), "basis must be a real floating point tensor"),
        ((noise(100), noise(2, 16) + 0j, plan), "basis must be a real floating point tensor"),
    ):
        with pytest.raises(ValueError, match=words):
            F.basis_transform(*arguments)
    with pytest.raises(ValueError, match="filterbank must be None"):
        F.basis_transform(noise(100), noise(2, 16), plan, filterbank=noise(1, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.int16, torch.float64])
def test_basis_transform_dtypes(dtype):
    plan = DensePlan.make(16, 4, (0, 3), (16, 9))
    x, basis = (100 * noise(3, 2, 100)).to(dtype), noise(2, 22)
    y = F.basis_transform(x, basis, plan, 1.0)
    assert y.dtype == (torch.float32 if dtype is torch.int16 else dtype)
    assert y.shape == (3, 2, 2, plan.n_frames(100))
    scale = 1 / 32768 if dtype is torch.int16 else 1.0
    expected = F.basis_transform(x.double() * scale, basis, plan, 1.0)
    assert_near(y, expected, 1e-3 if dtype is torch.float16 else 2e-6)


MELS = {"n_mels": 12, "n_stft": 65, "sample_rate": 16000}


@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("mel_scale", ["htk", "slaney", "kaldi"])
def test_mel_bands_at_first(mel_scale, norm):
    same = {**MELS, "mel_scale": mel_scale, "norm": norm, "f_min": 50.0, "f_max": 7000.0}
    fixed, trained = T.MelScale(**same), T.MelScale(**same, trainable="bands")
    assert_near(trained.filterbank(), fixed.fb, 3e-7)
    assert set(trained.state_dict()) == {"bands"}
    assert trained.bands.shape == (2, 12)


def test_bands_through_a_spectrogram():
    """Values and gradients of the two numbers a band, against finite differences in float64."""
    x = noise(1, 1500, dtype=torch.float64)
    mel = {"sample_rate": 16000, "n_fft": 128, "n_mels": 10}
    gammatone = {"sample_rate": 16000, "n_fft": 128, "hop_length": 64, "f_min": 100.0, "n_bands": 10}
    for make, holder in (
        (lambda **k: T.MelSpectrogram(**mel, log="ln", **k), lambda m: m.mel_scale),
        (lambda **k: T.Gammatonegram(**gammatone, log="ln", **k), lambda m: m),
    ):
        fixed, layer = make().double(), make(trainable=("bands", "window")).double()
        assert_near(layer(x), fixed(x), 1e-6)
        bands = holder(layer).bands
        with torch.no_grad():
            bands += 0.1 * noise(2, 10, dtype=torch.float64)  # away from the kinks of triangles on bins
        (grad,) = torch.autograd.grad(layer(x).sum(), bands)
        for at in ((0, 2), (0, 7), (1, 2), (1, 7)):
            values = []
            for step in (-1e-6, 1e-6):
                with torch.no_grad():
                    bands[at] += step
                    values.append(layer(x).sum().item())
                    bands[at] -= step
            assert grad[at].item() == pytest.approx((values[1] - values[0]) / 2e-6, rel=1e-4, abs=1e-6)
        bands.data[1] = -1.0  # a width that training drove out
        assert layer(x).isfinite().all()


@pytest.mark.parametrize(("sr", "n_fft", "n_bands", "low"), [(22050, 2048, 64, 0.0), (16000, 400, 30, 80.0)])
def test_gammatone_filterbank(sr, n_fft, n_bands, low):
    """Slaney's filters as cascades of second-order sections, evaluated with complex numbers, term by term."""
    centres = bases.gammatone_frequencies(n_bands, low, sr / 2)
    assert centres[0] == pytest.approx(low, abs=1e-9)
    assert (np.diff(centres) > 0).all()
    assert centres[-1] < sr / 2
    rates = np.log(1 + centres / (24.7 * 9.26449))
    np.testing.assert_allclose(np.diff(rates), np.diff(rates)[0])
    bank = bases.gammatone_filterbank(n_fft // 2 + 1, low, sr / 2, n_bands, sr)

    def response(u, centre):
        b = 1.019 * 2 * np.pi * (24.7 + centre / 9.26449)
        decay, angle = np.exp(-b / sr), 2 * np.pi * centre / sr
        h = 1.0
        for k in (3 + 2**1.5, 3 - 2**1.5):
            for sign in (1, -1):
                zero = decay * (np.cos(angle) + sign * np.sqrt(k) * np.sin(angle))
                h = h * (u - zero) / ((u - decay * np.exp(1j * angle)) * (u - decay * np.exp(-1j * angle)))
        return abs(h)

    u = np.exp(1j * np.pi * np.linspace(0, 1, n_fft // 2 + 1))
    for k in range(n_bands):
        expected = response(u, centres[k]) / response(np.exp(2j * np.pi * centres[k] / sr), centres[k])
        np.testing.assert_allclose(bank[:, k], expected, rtol=1e-6, atol=1e-9)


def test_gammatonegram():
    layer = T.Gammatonegram()
    x = noise(2, 8000)
    power = T.Spectrogram(2048, hop_length=512, window_fn="hann")(x)
    bank = torch.tensor(bases.gammatone_filterbank(1025, 0.0, 11025.0, 64, 22050), dtype=torch.float32)
    assert_near(layer(x), F.apply_filterbank(power, bank), 1e-5)
    assert set(layer.state_dict()) == {"spectrogram.window"}
    assert set(T.Gammatonegram(trainable="filterbank").state_dict()) == {"spectrogram.window", "fb"}
    for trainable in (("filterbank", "bands"), "frequencies"):
        with pytest.raises(ValueError, match="trainable must"):
            T.Gammatonegram(trainable=trainable)
    with pytest.raises(ValueError, match="trainable must be one of"):
        T.MelScale(trainable=("filterbank", "bands"))


@pytest.mark.parametrize("kind", ["basis", "frequencies", "mel"])
def test_without_values(kind):
    """Shapes alone: meta tensors forward and backward, fake ones from the constructor on."""
    layers = {
        "basis": lambda: T.STFT(64, trainable=True, output_format="Magnitude"),
        "frequencies": lambda: T.STFT(64, trainable="frequencies"),
        "mel": lambda: T.MelSpectrogram(n_fft=64, n_mels=8),
    }
    make, shape = layers[kind], (2, 1000)
    expected = make()(noise(*shape)).shape
    x = torch.empty(shape, device="meta", requires_grad=True)
    y = make().to("meta")(x)
    assert y.shape == expected
    y.abs().sum().backward()
    assert x.grad.shape == shape
    with FakeTensorMode():
        assert make()(torch.empty(shape)).shape == expected


def test_exported_layer_is_the_layer():
    layer, x = T.STFT(64, trainable=True, output_format="Magnitude"), noise(2, 1000)
    assert torch.equal(torch.export.export(layer, (x,)).module()(x), layer(x))


def test_precision_is_the_plans():
    assert T.STFT(64, trainable=True, precision="tf32").plan.precision == "tf32"
    with pytest.raises(ValueError, match=r"precision must be '' for an FFT"):
        T.STFT(64, precision="tf32")
    with pytest.raises(ValueError, match="precision must be one of"):
        T.STFT(64, trainable=True, precision="half")


def test_ragged_clips_are_those_alone():
    plan = DensePlan.make(64, 16, (0, 8), (64, 40))
    x, basis = noise(3, 500), noise(*plan.basis_shape).requires_grad_()
    lengths = [500, 133, 301]
    for n, row in zip(lengths, x, strict=True):
        row[n:] = torch.nan  # never read
    for options in ({}, {"power": 1.0, "log": "log1p", "filterbank": noise(2, 5).abs()}):
        y = F.basis_transform(x, basis, plan, lengths=lengths, **options)
        for n, row, clip in zip(lengths, y, x, strict=True):
            alone = F.basis_transform(clip[:n], basis, plan, **options)
            assert torch.equal(row[:, : alone.shape[1]], alone)
            assert (row[:, alone.shape[1] :] == 0).all()
        (grad,) = torch.autograd.grad(y.abs().sum(), basis)
        assert grad.isfinite().all()
    for bad in ([500, 133], [500, 0, 3], [501, 133, 301], [500.0, 133, 301]):
        with pytest.raises(ValueError, match="lengths"):
            F.basis_transform(x, basis, plan, lengths=bad)
