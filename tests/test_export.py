"""The ways out of Python, layer by layer: torch.compile, torch.export, ONNX, torch.jit. Under 40 s.

docs/export.md is the table of what goes; everything on it is here.
"""

import functools
import io
import warnings

import onnxruntime
import pytest
import torch
from peers import run_examples

import fastspec
import fastspec.compat.nnaudio.features as nnaudio
import fastspec.functional as F
import fastspec.transforms as T

FRAMES = {"n_fft": 256, "hop_length": 64}
MEL = {**FRAMES, "n_mels": 20}
LOG = {"freq_scale": "log", "freq_bins": 40, "fmax": 3000, "sr": 8000}
LOW = {"sr": 8000, "hop_length": 128, "fmin": 220.0, "n_bins": 18}

# every kind of basis, ending and direction
LAYERS = {
    "Spectrogram": lambda **o: T.Spectrogram(**FRAMES, **o),
    "MelSpectrogram": lambda **o: T.MelSpectrogram(8000, **MEL, power=1.0, log="db", pad_mode="constant", **o),
    "MFCC": lambda **o: T.MFCC(8000, 10, melkwargs={**MEL, **o}),
    "STFT": lambda **o: T.STFT(
        **FRAMES, freq_scale="log", freq_bins=40, fmax=3000, sr=8000, output_format="Magnitude", **o
    ),
    "KaldiFbank": lambda **o: T.KaldiFbank(sample_frequency=8000.0, num_mel_bins=20, **o),
    "there and back": lambda **o: torch.nn.Sequential(
        T.Spectrogram(**FRAMES, power=None, **o), T.InverseSpectrogram(**FRAMES, **o)
    ),
    "CQT": lambda **o: T.CQT(**LOW, **o),
}
# torch's own, about its own
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*autograd.function.Function.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]
EACH = pytest.mark.parametrize("name", LAYERS)


def clip(batch=2, samples=4000):
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))


@EACH
@pytest.mark.usefixtures("fresh_dynamo")
def test_compile(name):
    layer = LAYERS[name]()
    dynamic = name != "CQT"  # its octaves' sizes as formulas of the length: a minute of algebra
    step = torch.compile(layer, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for x in (clip(), clip(3, 5000))[: 1 + dynamic]:
        assert_near(step(x), layer(x), 1e-5)


@functools.cache
def exported(name):
    """With any number of clips of any length."""
    shapes = ({0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO},)
    return torch.export.export(LAYERS[name](), (clip(),), dynamic_shapes=shapes)


@EACH
def test_export(name):
    layer = LAYERS[name]()
    program = exported(name).module()
    for x in (clip(), clip(3, 5000)):
        assert_near(program(x), layer(x), 1e-5)


@pytest.mark.parametrize("name", ["Spectrogram", "MelSpectrogram", "MFCC"])
def test_export_by_named_dimensions(name):
    layer = LAYERS[name]()
    shapes = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("samples", min=512, max=1 << 20)},)
    program = torch.export.export(layer, (clip(),), dynamic_shapes=shapes).module()
    assert torch.equal(program(clip(3, 5000)), layer(clip(3, 5000)))


@pytest.mark.parametrize("name", ["MelSpectrogram", "STFT", "there and back"])  # the others by way of ONNX
def test_a_program_of_plain_operators(name):
    """fastspec.decompositions(): nothing of ours is left in the program."""
    layer = LAYERS[name]()
    program = exported(name).run_decompositions(fastspec.decompositions())
    assert not [n for n in program.graph.nodes if "fastspec" in str(n.target)]
    assert_near(program.module()(clip(3, 5000)), layer(clip(3, 5000)), 1e-5)


def to_onnx(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        program = torch.onnx.export(
            exported(name).run_decompositions(fastspec.decompositions()), dynamo=True, verbose=False
        )
    assert program is not None
    return program.model_proto


def run_onnx(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return torch.from_numpy(y)


ONNX_TOLERANCE = dict.fromkeys(LAYERS, 2e-5)


@EACH
def test_onnx(name):
    layer, model = LAYERS[name](), to_onnx(name)
    assert {node.domain for node in model.graph.node} == {""}  # ONNX's own operators alone
    for x in (clip(), clip(3, 5000)):
        error = assert_near(run_onnx(model, x), layer(x), ONNX_TOLERANCE[name])
        print(f"{name}: {error:.1e} of the largest value")


TRACED = pytest.mark.parametrize("name", [name for name in LAYERS if name != "there and back"])


@TRACED
def test_trace(name):
    """The kernels in TorchScript: the trace runs where fastspec is imported."""
    layer = LAYERS[name]()
    traced = trace(layer)
    for x in (clip(), clip(3, 5000)):
        assert_near(traced(x), layer(x), 1e-5)


@TRACED
def test_trace_of_the_reference(name):
    """TorchScript of plain PyTorch: nothing of ours is left, saved and loaded."""
    layer, traced = LAYERS[name](), trace(LAYERS[name](backend="reference"))
    assert not [n for n in traced.inlined_graph.nodes() if n.kind().startswith(("fastspec::", "prim::Python"))]
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    loaded = torch.jit.load(file)
    for x in (clip(), clip(3, 5000)):
        assert_near(loaded(x), layer(x), 1e-5)


def trace(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer finds the checks of shapes
        return torch.jit.trace(layer, (clip(),))


def test_trace_of_the_inverse_is_refused():
    with pytest.raises(NotImplementedError, match=r"torch\.jit\.trace would fix the number of frames; use torch\.exp"):
        trace(LAYERS["there and back"]())


@EACH
def test_script_is_refused(name):
    model = torch.nn.Sequential(LAYERS[name](), torch.nn.ReLU())
    with pytest.raises(NotImplementedError, match=r"cannot go through torch\.jit\.script.*torch\.jit\.trace.*export"):
        torch.jit.script(model)


def test_every_layer_refuses_script():
    layers = [getattr(T, name) for name in T.__all__]
    layers += [v for v in vars(nnaudio).values() if isinstance(v, type) and issubclass(v, torch.nn.Module)]
    assert len(layers) > 40
    for layer in layers:
        with pytest.raises(NotImplementedError, match=f"^{layer.__name__} cannot go through torch.jit.script"):
            torch.jit.script(layer.__new__(layer))


def test_functions_refuse_script():
    def features(x: torch.Tensor) -> torch.Tensor:
        return F.mel_spectrogram(x)

    with pytest.raises(RuntimeError, match=r"trace what calls them with torch\.jit\.trace, or use torch\.export"):
        torch.jit.script(features)


def assert_near(got, want, tolerance):
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    error = float((got - want).abs().max() / want.abs().max())
    assert error <= tolerance, error
    return error


def test_examples_of_the_page():
    run_examples("export.md")
