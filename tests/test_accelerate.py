"""fastspec.accelerate and patch: the same outputs and gradients, checkpoints, hooks, undo, refusals."""

import copy
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from peers import asteroid, nnaudio, panns, torchaudio, torchlibrosa, whisper_features
from torch import nn

import fastspec
from fastspec._accelerate._swaps import SWAPS

TA = torchaudio.transforms


def clips(length=16000, batch=2):
    return 0.1 * torch.randn(batch, length, generator=torch.Generator().manual_seed(3))


class Cnn14(nn.Module):
    """The way of PANNs (16 kHz): torchlibrosa's extractors, a batch norm over the bands, convolutions."""

    def __init__(self):
        super().__init__()
        self.spectrogram_extractor = torchlibrosa.Spectrogram(512, 160, freeze_parameters=True)
        self.logmel_extractor = torchlibrosa.LogmelFilterBank(
            sr=16000, n_fft=512, n_mels=64, fmin=50, fmax=8000, top_db=None
        )
        self.bn0 = nn.BatchNorm2d(64)
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x):
        x = self.logmel_extractor(self.spectrogram_extractor(x))
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        return self.conv(x).mean((2, 3))


class Ast(nn.Module):
    """The way of AST: mel, decibels, a normalisation, patches."""

    def __init__(self):
        super().__init__()
        mel = TA.MelSpectrogram(16000, n_fft=512, win_length=400, hop_length=160, n_mels=64)
        self.front_end = nn.Sequential(mel, TA.AmplitudeToDB(top_db=80.0))
        self.patches = nn.Conv2d(1, 8, 16, stride=10)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = (self.front_end(x)[:, None] + 40.0) / 20.0
        return self.head(self.patches(x).mean((2, 3)))


class NnAudioModel(nn.Module):
    """nnAudio's trainable mel and a constant-Q transform side by side."""

    def __init__(self, trainable=False):
        super().__init__()
        options = {"sr": 16000, "n_fft": 512, "hop_length": 256, "n_mels": 40, "verbose": False}
        self.mel = nnaudio.MelSpectrogram(**options, trainable_mel=trainable, trainable_STFT=trainable)
        self.cqt = nnaudio.CQT1992v2(sr=16000, fmin=220, n_bins=36, hop_length=256, verbose=False)
        self.mfcc = nnaudio.MFCC(n_mfcc=13, **options)
        self.head = nn.Linear(40 + 36 + 13, 3)

    def forward(self, x):
        parts = [torch.log(self.mel(x) + 1e-3), self.cqt(x), self.mfcc(x)]
        return self.head(torch.cat([p.mean(-1) for p in parts], 1))


class Panns(nn.Module):
    """The model that panns-inference installs, untrained, two of its six blocks."""

    def __init__(self):
        super().__init__()
        self.model = panns().Cnn14(32000, 1024, 320, 64, 50, 14000, 7)
        for k in (3, 4, 5, 6):
            setattr(self.model, f"conv_block{k}", ShortCut())
        self.model.fc1 = nn.Linear(128, 2048)

    def forward(self, x):
        return self.model(x)["clipwise_output"]


class ShortCut(nn.Module):
    def forward(self, x, pool_size, pool_type):
        return x


MODELS = {
    "panns-inference": (Panns, {"model.spectrogram_extractor", "model.logmel_extractor"}),
    "panns": (Cnn14, {"spectrogram_extractor", "logmel_extractor"}),
    "ast": (Ast, {"front_end.0"}),
    "nnaudio": (NnAudioModel, {"mel", "cqt", "mfcc.melspec_layer"}),
    "nnaudio-trainable": (lambda: NnAudioModel(True), {"mel", "cqt", "mfcc.melspec_layer"}),
}


def step(model, x):
    """A step of training: the output and the gradients."""
    torch.manual_seed(2)  # of dropout
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    out = model(x)
    out.square().sum().backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
    optimizer.step()
    return out.detach(), grads


def values(model):
    """Every tensor of a model, the state dict's and others."""
    return {**model.state_dict(), **dict(model.named_buffers())}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes_learns_and_is_restored(name):
    torch.manual_seed(0)
    make, paths = MODELS[name]
    model, x = make(), clips(32000 if make is Panns else 16000)
    plain = copy.deepcopy(model)
    modules, parameters = dict(model.named_modules()), list(model.parameters())
    modes = {path: m.training for path, m in modules.items()}

    report = fastspec.accelerate(model, x)
    assert {row.path for row in report.swapped} == paths
    assert all(row.difference <= 1e-4 and row.speedup > 0 for row in report.swapped)
    assert all(path[:12] in str(report) for path in paths)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert {path: m.training for path, m in model.named_modules()} == modes
    assert_same(values(model), values(plain))
    (have, have_grads), (want, want_grads) = step(model, x), step(plain, x)
    torch.testing.assert_close(have, want, rtol=1e-4, atol=1e-4)
    assert have_grads.keys() == want_grads.keys()
    for key, grad in want_grads.items():
        assert (have_grads[key] - grad).norm() <= 1e-3 * grad.norm() + 1e-6, key

    trained = copy.deepcopy(values(model))
    assert report.undo() is model
    assert dict(model.named_modules()) == modules  # the very objects
    assert_same(values(model), trained)
    model.load_state_dict(plain.state_dict())
    assert torch.equal(model.eval()(x), plain.eval()(x))


def assert_same(have, want):
    assert have.keys() == want.keys()
    for key, tensor in want.items():
        assert have[key].dtype == tensor.dtype
        assert torch.equal(have[key], tensor), key


def test_runs_are_fused():
    front = nn.Sequential(TA.Spectrogram(512), TA.MelScale(40, n_stft=257), TA.AmplitudeToDB(), nn.Identity())
    want, keys = front(clips()), front.state_dict().keys()
    report = fastspec.accelerate(front)
    assert [row.what for row in report.swapped] == ["Spectrogram → MelScale → AmplitudeToDB"]
    assert front.state_dict().keys() == keys
    assert (front(clips()) - want).abs().max() <= 1e-4 * want.abs().max()
    assert torch.equal(copy.deepcopy(front)(clips()), front(clips()))
    with torch.no_grad():
        front[1].fb.zero_()
    torch.testing.assert_close(front(clips()).max(), torch.tensor(-100.0))


LOGMEL = {
    "PANNs": {"top_db": None},
    "limited": {"ref": 0.5, "amin": 1e-6, "top_db": 30.0},
    "linear": {"is_log": False},
    "trained": {"freeze_parameters": False, "top_db": 60.0},
}


@pytest.mark.parametrize("name", LOGMEL)
def test_torchlibrosa_in_a_sequence_is_one_kernel(name):
    logmel = torchlibrosa.LogmelFilterBank(sr=16000, n_fft=512, n_mels=40, **LOGMEL[name])
    front = nn.Sequential(torchlibrosa.Spectrogram(512, 160), logmel)
    x, before = clips().requires_grad_(), copy.deepcopy(front)
    want = before(x)
    (want_grad,) = torch.autograd.grad(want.square().mean(), x)
    report = fastspec.accelerate(front, clips())
    assert [row.what for row in report.swapped] == ["Spectrogram → LogmelFilterBank"]
    assert "identities" in str(report)
    have = front(x)
    (grad,) = torch.autograd.grad(have.square().mean(), x, retain_graph=True)
    assert have.shape == want.shape == (2, 1, 101, 40)
    assert (have - want).abs().max() <= 1e-4 * want.abs().max()
    assert (grad - want_grad).norm() <= 1e-3 * want_grad.norm()
    if name == "trained":
        have.square().mean().backward()
        before(x).square().mean().backward()
        assert (front[1].melW.grad - before[1].melW.grad).norm() <= 1e-3 * before[1].melW.grad.norm()
    assert report.undo() is front
    assert torch.equal(front(x), want)


def test_panns_without_an_example():
    assert {row.path for row in fastspec.accelerate(Cnn14()).swapped} == MODELS["panns"][1]


def test_double_and_an_optimizer_survive_undo():
    options = {"sr": 16000, "n_fft": 256, "n_mels": 20, "verbose": False}
    model = nn.Sequential(nnaudio.MelSpectrogram(**options, trainable_mel=True, trainable_STFT=True)).double()
    x = clips(4000).double()
    plain = copy.deepcopy(model)
    report = fastspec.accelerate(model, x)
    assert report.swapped
    for m in (model, plain):
        optimizer = torch.optim.SGD(m.parameters(), lr=1e-3)
        m(x).mean().backward()
        optimizer.step()
    assert torch.isfinite(model(x)).all()
    for have, want in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(have, want, rtol=1e-5, atol=1e-9)
    model.float()
    report.undo()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    torch.testing.assert_close(model(x.float()), plain.float()(x.float()), rtol=1e-4, atol=1e-6)
    front = nn.Sequential(TA.MelSpectrogram(n_mels=20))
    report = fastspec.accelerate(front)
    front.double()
    y = front(x)
    assert y.dtype == torch.float64
    assert torch.equal(report.undo()(x).argmax(), y.argmax())
    assert front[0].mel_scale.fb.dtype == torch.float64


def test_an_accelerated_model_is_exported():
    model = nn.Sequential(TA.MelSpectrogram(n_mels=20), TA.AmplitudeToDB()).eval()
    want = model(clips())
    fastspec.accelerate(model)
    exported = torch.export.export(model, (clips(),)).module()
    assert (exported(clips()) - want).abs().max() <= 1e-4 * want.abs().max()


ALONE = {
    "MFCC": lambda: TA.MFCC(n_mfcc=13, melkwargs={"n_mels": 40}),
    "LFCC": lambda: TA.LFCC(n_filter=40),
    "complex": lambda: TA.Spectrogram(power=None),
    "STFT": lambda: torchlibrosa.STFT(512),
    "Phase": lambda: nnaudio.STFT(256, verbose=False),
    "log": lambda: nnaudio.STFT(256, freq_scale="log", sr=16000, output_format="Magnitude", verbose=False),
    "Gammatonegram": lambda: nnaudio.Gammatonegram(16000, 512, power=1.0, verbose=False),
    "CQT": lambda: nnaudio.CQT(16000, fmin=220, n_bins=24, trainable=True, verbose=False),
}


def numbers(y):
    return torch.stack(y) if isinstance(y, tuple) else y


@pytest.mark.parametrize("name", ALONE)
def test_a_front_end_by_itself(name):
    module = ALONE[name]()
    want = numbers(module(clips()))
    report = fastspec.accelerate(module)
    assert report.swapped
    assert isinstance(report.model, type(module))
    have = numbers(report.model(clips()))
    assert (have - want).abs().max() <= 1e-4 * want.abs().max()
    assert report.undo() is module


def test_hooks_mode_and_pickle_survive():
    model = nn.Sequential(TA.MelSpectrogram(n_mels=40)).eval()
    calls = []
    handle = model[0].register_forward_hook(lambda *_: calls.append(1))
    fastspec.accelerate(model)
    assert not fastspec.accelerate(model).rows  # nothing is left to do
    assert not model[0].training
    assert not calls
    y = model(clips())
    assert calls == [1]
    handle.remove()
    model(clips())
    assert calls == [1]
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(clips()), y)


def test_trained_kernels_that_are_loaded_are_used():
    model = nn.Sequential(nnaudio.STFT(256, output_format="Magnitude", verbose=False))
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[0].wcos.mul_(torch.rand_like(other[0].wcos))
    fastspec.accelerate(model)
    model(clips())
    model.load_state_dict(other.state_dict())
    want = other(clips())
    assert (model(clips()) - want).abs().max() <= 1e-5 * want.max()


def test_refusals_say_why():
    class Louder(TA.MelSpectrogram):
        def forward(self, x):
            return 2 * super().forward(x)

    def build(n_fft=400):
        return nn.ModuleDict({"a": TA.MelSpectrogram(n_fft=n_fft, n_mels=20), "b": Louder(n_mels=20)})

    model = build()
    model["a"].mel_scale.register_forward_hook(lambda *_: None)
    report = fastspec.accelerate(model)  # b is of a class that nobody knows; its parts are not
    assert [row.path for row in report.swapped] == ["a.spectrogram", "b.spectrogram"]
    (row,) = report.refused
    assert row.path == "a"
    assert "hooks" in row.reason
    report = fastspec.accelerate(build(), tolerance=1e-12)
    assert not report.swapped
    assert all("differs by" in row.reason for row in report.refused)
    assert "differs by" in str(report)
    octaves = nn.Sequential(nnaudio.CQT2010v2(fmin=220, n_bins=24, verbose=False))
    (row,) = fastspec.accelerate(octaves).rows
    assert not row.swapped
    assert "half a sample" in row.reason
    with pytest.raises(ValueError, match="model must be"):
        fastspec.accelerate("model")
    with pytest.raises(ValueError, match="tolerance must be above 0"):
        fastspec.accelerate(model, tolerance=0)


@pytest.mark.parametrize("sabotage", ["a part", "our forward", "NaN", "shape"])
def test_what_differs_is_refused(sabotage, monkeypatch):
    model = nn.Sequential(TA.MelSpectrogram(n_mels=20))
    before, kind, right = model[0], ("torchaudio", "MelSpectrogram"), SWAPS["torchaudio", "MelSpectrogram"]
    if sabotage == "a part":  # which our forward does not call
        scale = before.mel_scale
        scale.forward = lambda spectrum: 1.001 * type(scale).forward(scale, spectrum)
    wrong = {
        "our forward": lambda m, x: right(m, x) * 1.001,
        "NaN": lambda m, x: right(m, x).fill_(torch.nan),
        "shape": lambda m, x: right(m, x)[..., 1:],
    }
    monkeypatch.setitem(SWAPS, kind, wrong.get(sabotage, right))
    want = model(clips())
    report = fastspec.accelerate(model, clips())
    assert "differs by" in report.refused[0].reason
    assert "differs by" in str(report)
    assert model[0] is before
    report.undo()
    assert torch.equal(model(clips()), want)


FILTERBANKS = {
    "Fourier": lambda: asteroid.Encoder(asteroid.STFTFB(256, 256, 64)),
    "overcomplete": lambda: asteroid.Encoder(asteroid.STFTFB(512, 400, 160)),
    "padded": lambda: asteroid.Encoder(asteroid.STFTFB(128, 128), padding=64, as_conv1d=False),
    "torch's": lambda: asteroid.Encoder(asteroid.TorchSTFTFB.from_torch_args(256, 64, 256, center=False)),
    "free": lambda: asteroid.Encoder(asteroid.FreeFB(64, 32, 16)),
    "sinc": lambda: asteroid.Encoder(asteroid.ParamSincFB(64, 31, 16, sample_rate=16000)),
}


@pytest.mark.parametrize("name", FILTERBANKS)
def test_asteroids_filterbanks(name):
    torch.manual_seed(0)
    model, x = nn.Sequential(FILTERBANKS[name]()), clips(4000)[:, None]
    plain = copy.deepcopy(model)
    report = fastspec.accelerate(model, x)
    assert [row.path for row in report.swapped] == ["0"]
    want, have = plain(x), model(x)
    assert have.shape == want.shape
    assert (have - want).abs().max() <= 1e-5 * want.abs().max()
    if name in ("free", "sinc"):
        for y in (have, want):
            y.square().mean().backward()
        for p, q in zip(model.parameters(), plain.parameters(), strict=True):
            assert (p.grad - q.grad).norm() <= 1e-4 * q.grad.norm()
    assert torch.equal(report.undo()(x), want)


def test_asteroids_rows_run_as_an_fft_and_a_pseudo_inverse_is_refused():
    encoder = FILTERBANKS["Fourier"]()
    model = fastspec.accelerate(nn.Sequential(encoder)).model
    model(clips()[:, None])
    window, gains, packed = model[0]._fastspec_kernels[1:]
    assert packed is None
    assert gains.shape == (129, 1)
    torch.testing.assert_close(window / window.max(), encoder.filterbank.torch_window, rtol=0, atol=1e-6)
    inverse = nn.Sequential(asteroid.Encoder(asteroid.STFTFB(64, 64), is_pinv=True))
    (row,) = fastspec.accelerate(inverse).refused
    assert "pseudo-inverse" in row.reason


def test_patch_redirects_and_restores():
    original, x, window = torch.stft, clips(), torch.hann_window(400)
    want = torch.stft(x, 400, 160, window=window, return_complex=True)
    with fastspec.patch() as counts:
        have = torch.stft(x, 400, 160, window=window, return_complex=True)
        torch.stft(x, 400, 160, window=window, return_complex=True, onesided=False)
        mel = TA.MelSpectrogram(n_mels=40)(x)
        y = x.clone().requires_grad_()
        y.stft(512, 128, window=torch.ones(512), return_complex=True).abs().sum().backward()
    assert counts.redirected == 3
    assert dict(counts.kept) == {"result has two sides": 1}
    assert torch.stft is original
    assert torch.functional.stft is original
    assert (have - want).abs().max() <= 1e-5 * want.abs().max()
    torch.testing.assert_close(mel, TA.MelSpectrogram(n_mels=40)(x), rtol=1e-4, atol=1e-5)
    z = x.clone().requires_grad_()
    z.stft(512, 128, window=torch.ones(512), return_complex=True).abs().sum().backward()
    assert (y.grad - z.grad).norm() <= 1e-4 * z.grad.norm()


def log_mel(audio, filters):
    """The way of Whisper: torch.stft, power without the last frame, mel, log10, 8 decades, (x + 4) / 4."""
    window = torch.hann_window(400)
    power = torch.stft(audio, 400, 160, window=window, return_complex=True)[..., :-1].abs() ** 2
    log = torch.clamp(filters @ power, min=1e-10).log10()
    return (torch.maximum(log, log.max() - 8.0) + 4.0) / 4.0


def test_patch_runs_whispers_features():
    filters = torch.tensor(fastspec.bases.mel_filterbank(201, 0.0, 8000.0, 80, 16000, "slaney", "slaney").T).float()
    x = clips().requires_grad_()
    want = log_mel(x, filters)
    (want_grad,) = torch.autograd.grad(want.sum(), x)
    with fastspec.patch() as counts:
        have = log_mel(x, filters)
        (grad,) = torch.autograd.grad(have.sum(), x)
        log_mel(x[0], filters)
    assert (counts.redirected, dict(counts.kept)) == (2, {})
    assert have.shape == want.shape == (2, 80, 100)
    assert (have - want).abs().max() <= 1e-4
    assert (grad - want_grad).norm() <= 1e-3 * want_grad.norm()


def test_patch_runs_hugging_faces_features():
    extractor, x = whisper_features(), clips(32000)[0].numpy()

    def features():
        return extractor(x, sampling_rate=16000, return_tensors="pt").input_features

    want = features()
    with fastspec.patch() as counts:
        have = features()
    assert (counts.redirected, dict(counts.kept)) == (1, {})
    assert have.shape == want.shape == (1, 80, 3000)
    assert (have - want).abs().max() <= 1e-4


def test_patch_compares_every_window():
    x, compared = clips(), []
    with pytest.MonkeyPatch.context() as patched:
        original = torch.stft
        patched.setattr(torch, "stft", lambda *args, **kwargs: compared.append(1) or original(*args, **kwargs))
        with fastspec.patch() as counts:
            for window in (torch.hann_window(400), torch.hann_window(400), torch.hamming_window(400)):
                torch.stft(x, 400, 160, window=window, return_complex=True)
    assert counts.redirected == 3
    assert len(compared) == 2


def test_patch_stays_in_its_thread():
    original, x, window = torch.stft, clips(), torch.hann_window(400)

    def call():
        return torch.stft(x, 400, 160, window=window, return_complex=True)

    def patched(entered, leave):
        with fastspec.patch() as counts:
            call()
            entered.set()
            assert leave.wait(10)
            return counts.redirected

    with ThreadPoolExecutor(2) as threads:
        entered, leave = threading.Event(), threading.Event()
        with fastspec.patch() as mine:
            threads.submit(call).result()
            assert mine.redirected == 0
            other = threads.submit(patched, entered, leave)
            assert entered.wait(10)
            call()
            with fastspec.patch() as inner:
                call()
            call()
        assert torch.stft is not original  # the other thread's patch is still on
        call()
        assert (mine.redirected, inner.redirected) == (2, 1)
        leave.set()
        assert other.result() == 1
    assert torch.stft is original
