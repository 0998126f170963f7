"""The modules: arguments, state dicts, trainable constants, errors; values are in test_parity.py."""

import copy
import inspect
import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from peers import torchaudio

import fastspec
import fastspec.functional as F
import fastspec.transforms as T

NAMES = [
    "AmplitudeToDB", "ComputeDeltas", "FrequencyMasking", "GriffinLim", "InverseMelScale", "InverseSpectrogram", "LFCC",
    "MFCC", "MelScale", "MelSpectrogram", "PitchShift", "SpecAugment", "SpectralCentroid", "Spectrogram", "TimeMasking",
    "TimeStretch",
]  # fmt: skip
FUNCTION_NAMES = [
    "compute_deltas", "griffinlim", "mask_along_axis", "mask_along_axis_iid", "pitch_shift", "spectral_centroid",
    "amplitude_to_DB", "create_dct", "inverse_spectrogram", "linear_fbanks", "melscale_fbanks", "spectrogram",
]  # fmt: skip
MEL = {"n_fft": 256, "n_mels": 20}


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def signature(function):
    """Names, kinds and defaults of the positional arguments."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.default) for p in parameters if p.kind is not p.KEYWORD_ONLY]


OURS = [
    "CFP",
    "CQT",
    "CombinedFrequencyPeriodicity",
    "DiscriminatorCQT",
    "Gammatonegram",
    "HarmonicStack",
    "HybridCQT",
    "InverseMelSpectrogram",
    "KaldiFbank",
    "KaldiMFCC",
    "KaldiSpectrogram",
    "PCEN",
    "STFT",
    "PseudoCQT",
    "SpectralFeatures",
    "VQT",
    "ICQT",
    "Chroma",
]  # see their own test files; fmt: skip


def test_everything_of_transforms_is_tested():
    assert sorted(T.__all__) == sorted(NAMES + OURS)


@pytest.mark.parametrize("name", NAMES)
def test_signature_is_torchaudios(name):
    ours, theirs = getattr(T, name), getattr(torchaudio.transforms, name)
    assert signature(ours.__init__) == signature(theirs.__init__)
    assert signature(ours.forward) == signature(theirs.forward)


@pytest.mark.parametrize("name", FUNCTION_NAMES)
def test_function_signature_is_torchaudios(name):
    assert signature(getattr(F, name)) == signature(getattr(torchaudio.functional, name))


MODULES = {
    "Spectrogram": {},
    "InverseSpectrogram": {"win_length": 300},
    "GriffinLim": {"n_fft": 512, "momentum": 0.3},
    "InverseMelScale": {"n_stft": 201, "n_mels": 40},
    "MelScale": {"n_mels": 40},
    "MelSpectrogram": {"n_mels": 40, "f_max": 7000.0},
    "MFCC": {"melkwargs": {"n_mels": 40}},
    "LFCC": {"n_filter": 50, "speckwargs": {"n_fft": 512}},
    "AmplitudeToDB": {"top_db": 80.0},
}


@pytest.mark.parametrize("name", MODULES)
def test_attributes_and_state_dict_are_torchaudios(name):
    ours = getattr(T, name)(**MODULES[name])
    theirs = getattr(torchaudio.transforms, name)(**MODULES[name])
    for key, value in vars(theirs).items():
        if not key.startswith("_"):
            assert getattr(ours, key) == value, key
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for key, value in theirs.state_dict().items():
        mine = ours.state_dict()[key]
        assert mine.dtype == value.dtype
        torch.testing.assert_close(mine, value, atol=1e-4, rtol=0)
    theirs.load_state_dict(ours.state_dict())
    changed = {key: value + 1 for key, value in theirs.state_dict().items()}
    ours.load_state_dict(changed)
    for key, value in ours.state_dict().items():
        assert torch.equal(value, changed[key])


def test_loaded_constants_are_used():
    module = T.MFCC(n_mfcc=5, melkwargs=MEL)
    x = noise(1, 1000)
    before = module(x)
    module.load_state_dict({key: value * 2 for key, value in module.state_dict().items()})
    # window * 2 and bank * 2 add 10 log10(8) dB to every band, which row 0 of the DCT takes; dct * 2 doubles
    torch.testing.assert_close(module(x)[:, 1:], 2 * before[:, 1:], atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments", "trainable", "keys"),
    [
        ("Spectrogram", {}, "window", ["window"]),
        ("InverseSpectrogram", {}, ["window"], ["window"]),
        ("MelScale", {"n_mels": 20}, ("filterbank",), ["fb"]),
        ("MelSpectrogram", MEL, ("window", "filterbank"), ["spectrogram.window", "mel_scale.fb"]),
        ("MelSpectrogram", MEL, {"filterbank"}, ["mel_scale.fb"]),
        (
            "MFCC",
            {"n_mfcc": 5, "melkwargs": MEL},
            ["window", "filterbank", "dct"],
            ["dct_mat", "MelSpectrogram.spectrogram.window", "MelSpectrogram.mel_scale.fb"],
        ),
        ("LFCC", {}, ["window", "filterbank", "dct"], ["filter_mat", "dct_mat", "Spectrogram.window"]),
        ("LFCC", {}, "filterbank", ["filter_mat"]),
    ],
)
def test_trainable(name, arguments, trainable, keys):
    module = getattr(T, name)(**arguments, trainable=trainable)
    plain = getattr(T, name)(**arguments)
    assert [key for key, _ in module.named_parameters()] == sorted(keys, key=list(plain.state_dict()).index)
    assert module.state_dict().keys() == plain.state_dict().keys()
    x = noise(2, 2000)
    if name == "MelScale":
        x = noise(2, 201, 9)
    elif name == "InverseSpectrogram":
        x = F.spectrogram(x, 0, None, 400, 200, 400, None, False)
    y = module(x)
    torch.testing.assert_close(y, plain(x), atol=1e-4, rtol=1e-5)
    y.square().sum().backward()
    for parameter in module.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0


def test_trainable_names_are_checked():
    for module, trainable in (
        (T.Spectrogram, "filterbank"),
        (T.MelScale, "window"),
        (T.MelSpectrogram, ["dct"]),
    ):
        with pytest.raises(ValueError, match="trainable must be among"):
            module(trainable=trainable)


def test_window_fn():
    x = noise(1, 2000)
    named = T.Spectrogram(window_fn="hamming")
    called = T.Spectrogram(window_fn=torch.hamming_window)
    assert torch.equal(named(x), called(x))
    own = T.Spectrogram(window_fn=lambda n, gain: torch.full((n,), gain), wkwargs={"gain": 0.5})
    assert torch.equal(own.window, torch.full((400,), 0.5))
    symmetric = T.Spectrogram(window_fn="hann", wkwargs={"periodic": False})
    assert torch.equal(symmetric.window, T.Spectrogram(wkwargs={"periodic": False}).window)
    assert symmetric.window[-1] == 0
    array = T.Spectrogram(window_fn=np.hanning)
    torch.testing.assert_close(array.window, symmetric.window)
    kaiser = T.Spectrogram(window_fn=("kaiser", 9.0), win_length=123, hop_length=50)
    torch.testing.assert_close(kaiser.window, torch.kaiser_window(123, True, 9.0))


def test_extras_reach_the_function():
    x = noise(2, 4000)
    extras = {
        "log": "ln",
        "floor": 1e-3,
        "floor_mode": "add",
        "eps": 1e-6,
        "center_pad": 100,
        "dtype": torch.float64,
    }
    module = T.MelSpectrogram(8000, 256, 200, 64, 20.0, 3900.0, 7, 20, power=1.0, normalized=True, **extras)
    expected = F.mel_spectrogram(x, 8000, 256, 200, 64, 20.0, 3900.0, 7, 20, None, 1.0, True, **extras)
    torch.testing.assert_close(module(x), expected, atol=1e-6, rtol=1e-6)
    assert module(x).dtype == torch.float64
    module = T.Spectrogram(256, log="db", center_pad=64)
    expected = F.spectrogram(x, 0, None, 256, 128, 256, 2.0, False, log="db", center_pad=64)
    torch.testing.assert_close(module(x), expected)
    reference = T.MFCC(n_mfcc=5, melkwargs=MEL, backend="reference")
    torch.testing.assert_close(reference(x), T.MFCC(n_mfcc=5, melkwargs=MEL)(x), atol=1e-3, rtol=1e-4)
    with pytest.raises(ValueError, match=r"backend.*gpu"):
        T.LFCC(backend="gpu")(x)


def test_half_and_double_modules():
    x = noise(1, 2000)
    module = T.MelSpectrogram(**MEL)
    torch.testing.assert_close(copy.deepcopy(module).double()(x.double()).float(), module(x), atol=0, rtol=1e-4)
    half = copy.deepcopy(module).half()(x.half())
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), module(x), atol=0.1, rtol=0.01)


def test_copy_pickle_and_repr():
    module = T.MFCC(melkwargs={"n_mels": 40}, trainable="dct")
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    x = noise(1, 2000)
    for other in (copy.deepcopy(module), torch.load(file, weights_only=False)):
        assert torch.equal(other(x), module(x))
    assert "n_mfcc=40" in repr(module)
    assert "n_fft=400" in repr(module)
    assert "n_mels=40" in repr(module)
    assert "log='ln'" in repr(T.Spectrogram(log="ln"))
    assert "top_db=80" in repr(T.AmplitudeToDB(top_db=80))


def test_explain_takes_a_module():
    mfcc = T.MFCC(n_mfcc=5, melkwargs=MEL)
    for module in (T.Spectrogram(), T.InverseSpectrogram(), T.MelSpectrogram(**MEL), mfcc, T.LFCC()):
        assert "spectral_power" in str(fastspec.explain(module))
    mfcc = T.MFCC(n_mfcc=5, melkwargs={**MEL, "backend": "reference"})
    for module in (T.Spectrogram(backend="reference"), T.MelSpectrogram(**MEL, backend="reference"), mfcc):
        assert {runs for _, runs, _ in fastspec.explain(module).rows} == {"reference"}
        assert fastspec.explain(module, backend="").rows == fastspec.explain(module.plan).rows


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Dynamo instantiates torch.autograd.Function
def test_compile_fullgraph():
    x = noise(2, 2000).requires_grad_()
    for module in (
        T.Spectrogram(normalized=True),
        T.MelSpectrogram(**MEL, log="log10", trainable=("window", "filterbank")),
        T.MFCC(n_mfcc=5, melkwargs=MEL),
    ):
        torch._dynamo.reset()
        compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), module(x))
        (ours,) = torch.autograd.grad(compiled(x).sum(), x)
        (expected,) = torch.autograd.grad(module(x).sum(), x)
        torch.testing.assert_close(ours, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("Spectrogram", {"n_fft": 1}, "n_fft"),
        ("Spectrogram", {"win_length": 500}, "win_length.*500"),
        ("Spectrogram", {"hop_length": 0}, "hop_length"),
        ("Spectrogram", {"power": -1.0}, "power"),
        ("Spectrogram", {"power": None, "log": "ln"}, "power=None"),
        ("Spectrogram", {"normalized": "l2"}, "normalized"),
        ("Spectrogram", {"pad": -1}, "pad"),
        ("Spectrogram", {"window_fn": "hanni"}, "hanni"),
        ("InverseSpectrogram", {"pad": -1}, "pad"),
        ("InverseSpectrogram", {"normalized": 3}, "normalized"),
        ("MelScale", {"f_min": 9000.0}, "f_min < f_max"),
        ("MelSpectrogram", {"n_mels": 40, "power": None}, "power.*None"),
        ("MelSpectrogram", {"n_mels": 40, "f_min": 8000.0}, "f_min"),
        ("MFCC", {"dct_type": 3}, "dct_type.*3"),
        ("MFCC", {"n_mfcc": 41, "melkwargs": {"n_mels": 40}}, "n_mfcc.*41"),
        ("MFCC", {"melkwargs": {"n_mels": 40, "log": "ln"}}, "melkwargs.*log"),
        ("LFCC", {"speckwargs": {"floor": 1.0}}, "speckwargs.*floor"),
        ("LFCC", {"speckwargs": {"power": None}}, "speckwargs.*power"),
        ("LFCC", {"f_min": 8000.0}, "f_min"),
        ("AmplitudeToDB", {"stype": "dB"}, "stype.*dB"),
        ("AmplitudeToDB", {"top_db": -1.0}, "top_db.*-1"),
        ("AmplitudeToDB", {"top_db": "80"}, "top_db.*'80'"),
        ("AmplitudeToDB", {"stype": ["power"]}, "stype.*power"),
        ("Spectrogram", {"n_fft": None}, "n_fft.*None"),
        ("Spectrogram", {"win_length": "x"}, "win_length.*'x'"),
        ("Spectrogram", {"n_fft": 64, "win_length": 1}, "hop_length must be given when win_length // 2 is 0"),
        ("Spectrogram", {"backend": "gpu"}, "backend.*'gpu'"),
        ("Spectrogram", {"dtype": torch.int32}, "dtype.*int32"),
        ("Spectrogram", {"trainable": True}, "trainable must be among window, got True"),
        ("Spectrogram", {"window_fn": ["hann"]}, "window.*hann"),
        ("Spectrogram", {"window_fn": lambda n: torch.ones(n + 1)}, r"window.*\[400\].*\[401\]"),
        ("Spectrogram", {"window_fn": lambda n: None}, "window_fn must return a tensor or an array, got NoneType"),
        ("Spectrogram", {"center": "no"}, "center.*'no'"),
        ("Spectrogram", {"power": "2"}, "power.*'2'"),
        ("Spectrogram", {"log": "log1p", "log_scale": -1}, "log_scale.*-1"),
        ("InverseSpectrogram", {"n_fft": None}, "n_fft.*None"),
        ("InverseSpectrogram", {"backend": "gpu"}, "backend.*'gpu'"),
        ("MelScale", {"sample_rate": "16000"}, "sample_rate.*'16000'"),
        ("MelSpectrogram", {"n_fft": "400"}, "n_fft.*'400'"),
        ("MelSpectrogram", {"n_mels": True}, "n_mels.*True"),
        ("LFCC", {"sample_rate": None}, "sample_rate.*None"),
        ("LFCC", {"backend": "gpu"}, "backend.*'gpu'"),
        ("MFCC", {"n_mfcc": float("nan"), "melkwargs": {"n_mels": 40}}, "n_mfcc.*nan"),
    ],
)
def test_errors(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(T, name)(**arguments)


def test_wrong_inputs():
    with pytest.raises(ValueError, match=r"spectrogram must have shape \[..., 201, M\].*got \[200, 4\]"):
        T.MelScale(40)(torch.ones(200, 4))
    with pytest.raises(ValueError, match=r"x must be a torch\.Tensor, got list"):
        T.AmplitudeToDB()([1.0])


def test_export_and_jit_trace():
    x = noise(1, 1000)
    module = T.MFCC(n_mfcc=5, melkwargs=MEL)
    assert torch.equal(torch.export.export(module, (x,)).module()(x), module(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer finds the checks of shapes
        traced = torch.jit.trace(module, (x,))
    assert torch.equal(traced(x), module(x))


def test_warnings():
    with pytest.warns(UserWarning, match="return_complex has no effect"):
        T.Spectrogram(return_complex=True)
    with pytest.warns(UserWarning, match="onesided has no effect"):
        T.MelSpectrogram(**MEL, onesided=False)
    with pytest.warns(UserWarning, match="mel bands hold no frequency bin"):
        T.MelSpectrogram()


def test_import_is_light():
    """`import fastspec` brings in nothing beside torch and numpy, and of torch not its compiler."""
    code = (
        "import sys, torch, numpy; before = set(sys.modules); import fastspec; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)); "
        "assert not {'torch._dynamo', 'torch._inductor'} & set(sys.modules); assert not torch.cuda.is_initialized()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "fastspec" in found
    assert set(found) <= {"fastspec", "torch", "numpy"}  # their further modules


def test_public_names():
    assert fastspec.__version__ == "0.1.0"
    assert set(fastspec.__all__) <= set(dir(fastspec))
    for name in fastspec.__all__:
        assert getattr(fastspec, name) is not None
    assert isinstance(fastspec.preset("whisper").transform(), T.MelSpectrogram)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = fastspec.nothing_of_that_name
