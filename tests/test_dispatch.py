"""Who runs an op: order, refusals, names, and that the one asked for is the one that ran."""

import types

import pytest
import torch
from conftest import NO_NATIVE

from fastspec import dispatch
from fastspec.dispatch import choose, explain
from fastspec.ops import frame_transform
from fastspec.plan import DensePlan, FramePlan
from fastspec.transforms import STFT

PLAN = FramePlan.make(16, 4)
X, WINDOW = torch.zeros(1, 64), torch.ones(16)


@pytest.fixture
def registry(monkeypatch):
    """A registry of our own: backends "first" and "second", each a dict entry to set refusals in."""
    monkeypatch.setattr(dispatch, "_loaded", {})
    monkeypatch.setattr(dispatch, "_chosen", {})
    monkeypatch.setattr(dispatch, "FILES", {"first": "_first", "second": "_second", "elsewhere": "_elsewhere"})
    monkeypatch.setattr(dispatch, "ORDER", {"cpu": ("first", "second")})
    calls = []

    def backend(name, reason=None):
        def refuse(plan, *tensors):
            calls.append(("refuse", name))
            return reason

        def forward(*args, out=None):
            calls.append(("forward", name))
            return torch.zeros(1, 9, 17, dtype=torch.complex64)

        module = types.SimpleNamespace(refuse=refuse, forward=forward)
        for op in dispatch.OPS:
            dispatch._loaded[op, name] = module
        return module

    return types.SimpleNamespace(backend=backend, calls=calls)


def test_the_first_that_does_not_refuse_runs_and_is_remembered(registry):
    registry.backend("first", "too early")
    registry.backend("second")
    for _ in range(3):
        frame_transform(X, WINDOW, PLAN)
    assert registry.calls == [("refuse", "first"), ("refuse", "second")] + 3 * [("forward", "second")]


def test_choices_depend_on_plan_and_dtype(registry):
    module = registry.backend("first")
    registry.backend("second")
    module.refuse = lambda plan, x, window: "odd" if plan.n_fft % 2 else "double" if x.dtype == torch.float64 else None
    frame_transform(X, WINDOW, PLAN)
    frame_transform(X.double(), WINDOW.double(), PLAN)
    frame_transform(X, WINDOW[:15], FramePlan.make(15, 4))
    frame_transform(X, WINDOW, PLAN)
    assert [name for what, name in registry.calls if what == "forward"] == [
        "first",
        "second",
        "second",
        "first",
    ]


def test_a_named_backend_never_falls_back(registry):
    registry.backend("first", "too early")
    registry.backend("second")
    with pytest.raises(NotImplementedError, match="frame_transform: backend refuses: first: too early"):
        frame_transform(X, WINDOW, PLAN, backend="first")
    assert ("forward", "second") not in registry.calls


def test_all_refuse_lists_every_reason(registry):
    registry.backend("first", "too early")
    registry.backend("second", "too late")
    with pytest.raises(NotImplementedError, match="every backend refuses: first: too early; second: too late"):
        frame_transform(X, WINDOW, PLAN)


def test_wrong_names(registry):
    with pytest.raises(ValueError, match=r"backend must be one of 'first', .*, got 'third'"):
        frame_transform(X, WINDOW, PLAN, backend="third")
    with pytest.raises(ValueError, match="'elsewhere' does not run on cpu tensors; allowed there: 'first', 'second'"):
        frame_transform(X, WINDOW, PLAN, backend="elsewhere")


def test_a_missing_module_refuses_with_the_reason(monkeypatch):
    monkeypatch.setattr(dispatch, "_loaded", {})
    monkeypatch.setattr(dispatch, "_chosen", {})
    monkeypatch.setattr(dispatch, "FILES", {"cpu": "_absent", "reference": "reference"})
    assert choose("frame_transform", "", PLAN, X, WINDOW).__name__ == "fastspec.ops.frame_transform.reference"
    with pytest.raises(NotImplementedError, match=r"the native library is not built .*_absent"):
        choose("frame_transform", "cpu", PLAN, X, WINDOW)


@pytest.mark.skipif(NO_NATIVE, reason="FASTSPEC_NO_NATIVE=1")
def test_this_machine_runs_the_native_library():
    """A build without it must not pass unnoticed."""
    tensors = {
        "overlap_add": (X + 0j, WINDOW),
        "basis_grad": (X, X + 0j),
        "spectral_power": (X, WINDOW, None),
    }
    for op in dispatch.OPS:
        assert choose(op, "", PLAN, *tensors.get(op, (X, WINDOW))).__name__ == f"fastspec.ops.{op}._cpu"


def test_explain(registry):
    registry.backend("first", "too early")
    registry.backend("second")
    found = explain(PLAN, dtype=torch.float64)
    assert [row[0] for row in found.rows] == list(dispatch.OPS)
    assert all(row[1:] == ("second", {"first": "too early"}) for row in found.rows)
    text = str(found)
    for part in ("n_fft=16", "float64 on cpu", "first refuses: too early"):
        assert part in text
    assert explain(types.SimpleNamespace(plan=PLAN), backend="first").rows[0][1] is None
    with pytest.raises(ValueError, match="what must be a plan or have a `plan` attribute, got int"):
        explain(3)
    with pytest.raises(ValueError, match="backend must be one of"):
        explain(PLAN, backend="third")


def test_explain_the_algorithm_and_its_cost():
    fourier = explain(FramePlan.make(1024, 256))
    dense = explain(DensePlan.make(1024, 256, (0, 100), (1024, 200)))
    assert (fourier.algorithm, dense.algorithm) == ("FFT", "product")
    assert fourier.costs["FFT"][0] == 2.5 * 1024 * 10
    assert fourier.costs["product"][0] == 4 * 513 * 1024
    assert dense.costs["product"] == (4 * 1124, 4 * 256 + 8 * 2 + 8 * 1124 / 128)
    assert "by FFT: a Fourier basis under a window" in str(fourier)
    assert "4.5 kFLOP" in str(dense)
    for what, words in (
        (STFT(), "by FFT: the frequencies are those of the FFT, and fixed"),
        (STFT(trainable=True), "by product: trained: basis"),
        (STFT(trainable=("frequencies", "window")), "by product: trained: frequencies"),
        (STFT(freq_scale="log"), "by product: freq_scale='log' has frequencies between the FFT's"),
    ):
        assert words in str(explain(what))


def test_explain_every_dtype():
    for dtype in (torch.float32, torch.float64, torch.int16, torch.float16, torch.bfloat16):
        assert all(runs for _, runs, _ in explain(PLAN, dtype=dtype).rows)
    assert "float16, computed in float32, on cpu" in str(explain(PLAN, dtype=torch.float16))
    for dtype in (torch.int32, torch.complex64, "float32"):
        with pytest.raises(ValueError, match=r"dtype must be .*, got .*"):
            explain(PLAN, dtype=dtype)


def test_explain_a_device_that_is_not_there():
    """Nothing is allocated, so this machine need not have it; and what runs there is what `choose` takes."""
    for device in ("xpu", "meta", torch.device("mps")):
        assert {runs for _, runs, _ in explain(PLAN, device=device).rows} == {"reference"}
    for device in ("gpu", None):
        with pytest.raises(ValueError, match="device must be"):
            explain(PLAN, device=device)
    with pytest.raises(ValueError, match="'cpu' does not run on cuda tensors"):
        explain(PLAN, device="cuda", backend="cpu")
    with pytest.raises(ValueError, match=r"backend must be one of .*\['cpu'\]"):
        explain(PLAN, backend=["cpu"])
