"""Fixtures of the whole suite: which backends are tested, and memory that betrays unwritten elements."""

import os

import pytest
import torch

NO_NATIVE = os.environ.get("FASTSPEC_NO_NATIVE") == "1"
BACKENDS = ["reference"] if NO_NATIVE else ["reference", "cpu"]


def pytest_report_header(config):
    if NO_NATIVE:
        return "fastspec: FASTSPEC_NO_NATIVE=1, the tests of the native cpu backend are LEFT OUT"
    return f"fastspec: backends under test: {', '.join(BACKENDS)}"


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Every backend that this machine must have; asked for by name, so it runs or the test fails."""
    return request.param


@pytest.fixture
def nan_memory():
    """Fill new uninitialised tensors with NaN (torch's own switch): an unwritten element fails the test."""
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before[0])
    torch.utils.deterministic.fill_uninitialized_memory = before[1]
