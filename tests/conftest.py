"""Fixtures of the whole suite: which backends are tested, and memory that betrays unwritten elements."""

import os

import pytest
import torch
from cases import DenseCase, nan_memory
from host_cuda.engine import HostEngine

from fastspec import _launch
from fastspec.ops.frame_transform import _cuda

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
NO_NATIVE = os.environ.get("FASTSPEC_NO_NATIVE") == "1"
BACKENDS = ["reference"] if NO_NATIVE else ["reference", "cpu"]
if INTERPRETED:  # in the process that test_triton.py starts
    from gpu import triton_interpreter

    triton_interpreter.install()
    BACKENDS = ["triton"]


def pytest_report_header(config):
    if NO_NATIVE:
        return "fastspec: FASTSPEC_NO_NATIVE=1, the tests of the native cpu backend are LEFT OUT"
    return f"fastspec: backends under test: {', '.join(BACKENDS)}"


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Every backend that this machine must have; asked for by name, so it runs or the test fails."""
    return request.param


@pytest.fixture(scope="session")
def host_cuda():
    """The engine that runs CUDA kernels on CPU tensors, a fiber a thread; `_launch.using` it.

    FASTSPEC_HOST_CUDA chooses its build and the order of threads, "plain" in a random order without it:
    tests/host_cuda/sanitize.sh sets it. FASTSPEC_TEST_GPU=1 (make test-gpu): CuPy's engine on a real GPU instead,
    to which each launch carries its tensors.
    """
    if os.environ.get("FASTSPEC_TEST_GPU") == "1":
        from gpu.engine import Carrying

        return Carrying(_launch._CUPY, "cuda")
    build, _, order = os.environ.get("FASTSPEC_HOST_CUDA", "plain").partition(":")
    return HostEngine(build, int(order or 2))


def refused(backend, case):
    """True where this backend leaves a case to others; test_cuda.py has the list of these cases."""
    if backend != "cuda":
        return False
    with _launch.using(HostEngine()):
        return _cuda.refuse(case.plan, torch.empty(0, dtype=case.dtype)) is not None


def pytest_collection_modifyitems(config, items):
    """Leave out the cases that a backend refuses, and in Triton's process all that is not about it."""
    params = [item.callspec.params if hasattr(item, "callspec") else {} for item in items]
    out = [item for item, p in zip(items, params, strict=True) if "case" in p and refused(p.get("backend"), p["case"])]
    if INTERPRETED:
        out = [item for item, p in zip(items, params, strict=True) if not is_for_triton(item, p)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def is_for_triton(item, params):
    """The kernels' own tests, and the shared ones on the dense float32 cases that the interpreter does in seconds."""
    if item.path.name == "interpreted_triton.py":
        return True
    case = params.get("case")
    small = isinstance(case, DenseCase) and case.dtype == torch.float32 and case.n <= 200
    return small and params.get("backend") == "triton"


@pytest.fixture(name="nan_memory")
def nan_memory_fixture():
    with nan_memory():
        yield


@pytest.fixture
def fresh_dynamo():
    """torch.compile without what earlier tests left in its caches."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
