"""Arrays of other libraries in, the like out, over the same memory. Under 15 s."""

import inspect
import sys
import types

import numpy as np
import pytest
import torch
from peers import run_examples

import fastspec.functional as F
from fastspec import _arrays, kaldi
from fastspec.plan import DensePlan

RNG = np.random.default_rng(0)
CLIP = RNG.standard_normal((2, 6000)).astype(np.float32)
SPECTRUM = F.stft(CLIP)
POWER = np.abs(SPECTRUM) ** 2
BANK = F.melscale_fbanks(201, 0.0, 8000.0, 20, 16000).numpy()
BANDS = BANK.T @ POWER
PLAN = DensePlan.make(64, 32, (0, 8), (64, 40))
TAPS = RNG.standard_normal((2, 96)).astype(np.float32)
LOW = {"fmin": 220.0, "n_bins": 12, "hop_length": 256}

# every function that takes an array: its arguments, the array first
CALLS = {
    "amplitude_to_DB": ((POWER, 10.0, 1e-10, 0.0, 80.0), {}),
    "apply_filterbank": ((POWER, BANK), {}),
    "basis_transform": ((CLIP, TAPS, PLAN), {}),
    "chroma_cqt": ((CLIP,), {"fmin": 220.0, "n_octaves": 2}),
    "chroma_stft": ((CLIP,), {}),
    "chroma_vqt": ((CLIP,), {"fmin": 220.0, "n_octaves": 2}),
    "compute_deltas": ((POWER,), {}),
    "cqt": ((CLIP,), LOW),
    "griffinlim": ((POWER, None, 400, 100, 400, 2.0, 2, 0.99, None, False), {}),
    "harmonic_stack": ((POWER, 12), {}),
    "hybrid_cqt": ((CLIP,), LOW),
    "icqt": ((F.cqt(CLIP, **LOW, output_format="Complex"),), LOW),
    "inverse_basis_transform": ((F.basis_transform(CLIP, TAPS, PLAN), TAPS, PLAN), {}),
    "inverse_filterbank": ((BANDS, BANK, 5), {}),
    "inverse_mel_spectrogram": ((BANDS,), {"n_iter": 1, "rand_init": False, "max_iter": 5}),
    "inverse_spectrogram": ((SPECTRUM, None, 0, None, 400, 100, 400, False), {}),
    "istft": ((SPECTRUM,), {}),
    "ivqt": ((F.vqt(CLIP, **LOW, output_format="Complex"),), LOW),
    "lfcc": ((CLIP,), {}),
    "mask_along_axis": ((POWER, 4, 0.0, 1), {}),
    "mask_along_axis_iid": ((POWER[:, None], 4, 0.0, 2), {}),
    "mel_spectrogram": ((CLIP,), {"n_mels": 20}),
    "mfcc": ((CLIP,), {"n_mfcc": 5, "n_mels": 20}),
    "pcen": ((POWER,), {}),
    "phase_vocoder": ((SPECTRUM, 1.2), {}),
    "pitch_shift": ((CLIP, 16000, 2.0), {}),
    "pseudo_cqt": ((CLIP,), LOW),
    "resample": ((CLIP, 16000, 8000), {}),
    "spectral_bandwidth": ((POWER,), {}),
    "spectral_centroid": ((CLIP, 16000, 0, None, 400, 100, 400), {}),
    "spectral_contrast": ((POWER,), {"n_bands": 4}),
    "spectral_flatness": ((POWER,), {}),
    "spectral_rolloff": ((POWER,), {}),
    "spectrogram": ((CLIP, 0, None, 400, 100, 400, 2.0, False), {}),
    "stft": ((CLIP,), {}),
    "undo_log": ((POWER, "ln", 2.0, 1e-10, "clamp", 1.0), {}),
    "vqt": ((CLIP,), LOW),
}
WITHOUT_ARRAYS = {"create_dct", "linear_fbanks", "melscale_fbanks"}


class Array:
    """As little as DLPack asks for: an array of a library that nobody knows."""

    def __init__(self, data):
        self.data = data

    def __dlpack__(self, **options):
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.data.__dlpack_device__()


def as_tensors(values):
    return [torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for v in values]


def test_every_function_is_here():
    assert set(CALLS) | WITHOUT_ARRAYS == set(F.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_numpy_in_numpy_out(name):
    function, (args, kwargs) = getattr(F, name), CALLS[name]
    torch.manual_seed(0)
    want = function(*as_tensors(args), **kwargs)
    torch.manual_seed(0)
    got = function(*args, **kwargs)
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got, want.numpy())
    first = next(iter(inspect.signature(function).parameters))
    torch.manual_seed(0)
    by_name = dict(zip(inspect.signature(function).parameters, args, strict=False)) | kwargs
    assert first in by_name
    np.testing.assert_array_equal(function(**by_name), got)


@pytest.mark.parametrize("name", CALLS)
def test_dlpack(name):
    """An array of an unknown library gives a tensor, which has __dlpack__ as well."""
    function, (args, kwargs) = getattr(F, name), CALLS[name]
    torch.manual_seed(0)
    want = function(*as_tensors(args), **kwargs)
    torch.manual_seed(0)
    got = function(*(Array(a) if isinstance(a, np.ndarray) else a for a in args), **kwargs)
    assert torch.equal(got, want)


def test_kaldi():
    got = kaldi.fbank(CLIP, num_mel_bins=20)
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got, kaldi.fbank(torch.from_numpy(CLIP), num_mel_bins=20).numpy())


def test_the_same_memory():
    for view in (CLIP, CLIP[:, ::2], np.asfortranarray(CLIP), CLIP[1, 100:]):
        assert np.shares_memory(_arrays.to_tensor(view).numpy(), view)
    out = np.empty((2, 201, 31), np.complex64)
    assert F.stft(CLIP, hop_length=200, out=out) is out
    np.testing.assert_array_equal(out, F.stft(CLIP, hop_length=200))
    x = torch.randn(3)
    assert np.shares_memory(_arrays.like(x, CLIP), x.numpy())
    assert _arrays.like(x, Array(CLIP)).data_ptr() == x.data_ptr()


def test_a_library_by_its_from_dlpack(monkeypatch):
    """CuPy's way: the package that the array's class is from takes the result."""
    library = types.ModuleType("someday")
    library.from_dlpack = lambda x: ("taken", x)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "someday", library)
    monkeypatch.setattr(Array, "__module__", "someday.core")
    kind, y = F.stft(Array(CLIP))
    assert kind == "taken"
    np.testing.assert_array_equal(y.numpy(), SPECTRUM)
    monkeypatch.setattr(
        Array, "__array_namespace__", lambda self: types.SimpleNamespace(from_dlpack=list), raising=False
    )
    assert isinstance(F.stft(Array(CLIP[0])), list)


ODD = {
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "backwards": lambda x: x[:, ::-1][:, ::-1][::-1][::-1],
    "really backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "Fortran": np.asfortranarray,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "inside a record": lambda x: np.rec.fromarrays([x, np.zeros(x.shape, np.int8)], names="x,y").x,
    "long double": lambda x: x.astype(np.longdouble),
    "every second": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.float16])
def test_odd_memory(kind, dtype):
    x = (CLIP * 1000).astype(dtype)
    given = ODD[kind](x)
    before = given.copy()
    want = F.mel_spectrogram(torch.from_numpy(x).double() if kind == "long double" else torch.from_numpy(x), n_mels=20)
    got = F.mel_spectrogram(given, n_mels=20)
    assert (got.dtype, got.shape) == (want.numpy().dtype, (2, 20, 31))
    np.testing.assert_array_equal(got, want.numpy())
    np.testing.assert_array_equal(given, before)


def test_dtypes():
    half, pcm = CLIP.astype(np.float16), (CLIP * 1000).astype(np.int16)
    assert F.mel_spectrogram(half, n_mels=20).dtype == np.float16
    assert F.stft(half).dtype == np.complex64
    assert F.mel_spectrogram(pcm, n_mels=20).dtype == np.float32
    assert F.mel_spectrogram(CLIP, n_mels=20, dtype=torch.float64).dtype == np.float64
    np.testing.assert_allclose(F.stft(pcm), F.stft(pcm.astype(np.float32) / 32768), rtol=0, atol=1e-5)


def test_tensors_go_straight_through():
    x = torch.from_numpy(CLIP).requires_grad_()
    assert F.stft(x).requires_grad
    assert F.stft.__wrapped__ is not F.stft
    assert str(inspect.signature(F.stft)) == str(inspect.signature(F.stft.__wrapped__))
    window = torch.hann_window(400).requires_grad_()
    assert isinstance(F.stft(CLIP, window=window), np.ndarray)  # no gradients for arrays
    assert torch.is_grad_enabled()


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch 2.13, about itself
@pytest.mark.usefixtures("fresh_dynamo")
def test_compiles():
    step = torch.compile(lambda x: F.mel_spectrogram(x, n_mels=20), fullgraph=True, backend="aot_eager")
    x = torch.from_numpy(CLIP)
    assert torch.equal(step(x), F.mel_spectrogram(x, n_mels=20))


Traced = type("Traced", (), {"__dlpack__": None})  # a tracer of JAX: the protocol by name alone
WRONG = [
    (lambda: F.stft(Traced()), "waveform must be an array that torch can take, got Traced"),
    (lambda: F.stft(CLIP > 0), "waveform must be a real floating point or int16 tensor, got torch.bool"),
    (lambda: F.stft(CLIP.astype(str)), "waveform must be an array of numbers, got dtype <U"),
    (lambda: F.stft(SPECTRUM), "waveform must be a real floating point or int16 tensor, got torch.complex64"),
    (lambda: F.stft(CLIP.tolist()), r"waveform must be a torch\.Tensor, got list"),
    (lambda: F.stft(np.float32(1.0)), r"waveform must be a torch\.Tensor, got float32"),
    (lambda: F.stft(CLIP[:, :0]), "waveform is empty"),
    (lambda: F.mel_spectrogram(CLIP, n_mels=20, dtype=torch.bfloat16), "dtype must be one that NumPy has"),
    (lambda: F.stft(CLIP, out=np.broadcast_to(np.complex64(0), (2, 201, 61))), "out must be a tensor or a writable"),
    (lambda: F.stft(CLIP, out=Array(np.empty((2, 201, 61), np.complex64))), "out must be a tensor or a writable"),
    (lambda: F.stft(CLIP, window=np.ones(300, np.float32)), r"window must have shape \[win_length\] = \[400\]"),
]


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_only_cuda_array_interface():
    """Numba's arrays: a CUDA tensor over their memory; on a machine without a GPU a ValueError that says so."""

    class Device:
        __cuda_array_interface__ = {"shape": (4,), "typestr": "<f4", "data": (0, False), "version": 3}  # noqa: RUF012

    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="waveform must be an array that torch can take, got Device"):
            F.stft(Device())


def test_examples_of_the_page():
    run_examples("arrays.md")
