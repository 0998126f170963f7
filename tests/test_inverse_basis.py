"""Transforms of any rows undone by least squares."""

import pytest
import torch
from cases import assert_close

import fastspec.functional as F
import fastspec.transforms as T
from fastspec.plan import DensePlan


def decibels(x, error):
    return 10 * torch.log10(x.square().sum() / error.square().sum()).item()


def inside(low, high, count=8000, rate=16000):
    """Noise [2, T] between two frequencies."""
    x = torch.fft.rfft(torch.randn(2, count, generator=torch.Generator().manual_seed(0)))
    hertz = torch.fft.rfftfreq(count, 1 / rate)
    return torch.fft.irfft(x * ((hertz > low) & (hertz < high)), n=count)


def test_log_frequencies_come_back():
    """Within the range of the rows; the weights are worth more than twice the steps."""
    layer = T.STFT(1024, freq_bins=513, hop_length=256, freq_scale="log", fmin=80.0, fmax=7000.0, sr=16000)
    x = inside(150, 5500)
    y = layer(x)
    error = layer.inverse(y, 8000) - x
    assert decibels(x, error) > 38  # the ends, which reflections make leave the range
    assert decibels(x[:, 1024:-1024], error[:, 1024:-1024]) > 45
    plain = F.inverse_basis_transform(y, layer.rows().flatten(1), layer.plan, 8000, n_iter=20)
    assert decibels(x, layer.inverse(y, 8000, n_iter=10) - x) > decibels(x, plain - x)
    assert layer.inverse(y[0], n_iter=1).shape == (7936,)
    assert not layer.inverse(torch.zeros_like(y), 8000).any()


def test_rows_of_the_fft_are_added_at_once():
    x = inside(0, 8000)
    for freq_bins in (None, 200):
        layer = T.STFT(512, freq_bins=freq_bins, hop_length=128, sr=16000)
        band = x if freq_bins is None else inside(0, 6000)
        assert decibels(band, layer.inverse(layer(band), 8000) - band) > (130 if freq_bins is None else 30)


def test_equals_the_pseudoinverse(backend):
    """Few enough samples for a matrix, an inconsistent spectrum; and its gradient, which is the transpose."""
    generator = torch.Generator().manual_seed(0)
    plan = DensePlan.make(12, 5, (0, 2, 3, 0, 1), (12, 9, 7, 6, 11), pad_mode="constant")
    basis = torch.randn(2, plan.offsets[-1], generator=generator, dtype=torch.float64)
    eye = torch.eye(23, dtype=torch.float64)
    matrix = torch.view_as_real(F.basis_transform(eye, basis, plan)).flatten(1).T  # [values, samples]
    y = torch.randn(3, 5, plan.n_frames(23), generator=generator, dtype=torch.complex128).requires_grad_()
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0], dtype=torch.float64)
    for given in (None, weights):
        scale = torch.ones(5).double() if given is None else given
        rows = scale.repeat_interleave(plan.n_frames(23) * 2)
        truth = torch.view_as_real(y).flatten(1) @ (torch.linalg.pinv(matrix * rows[:, None]) * rows).T
        x = F.inverse_basis_transform(y, basis, plan, 23, weights=given, n_iter=80, backend=backend)
        assert_close(x.detach(), truth.detach(), 1e-8, "samples")
        grads = [torch.autograd.grad(one.square().sum(), y, retain_graph=True)[0] for one in (x, truth)]
        assert_close(*grads, 1e-6, "gradient")


def test_errors():
    plan = DensePlan.make(8, 4, (0, 0), (8, 8))
    basis, y = torch.ones(2, 16), torch.ones(1, 2, 5, dtype=torch.complex64)
    for changed, words in (
        ({"spectrum": y.real}, "complex64 or complex128"),
        ({"spectrum": y[:, :1]}, r"2, M"),
        ({"length": 30}, "5 frames"),
        ({"weights": torch.tensor([1.0, 0.0])}, "weights must be positive"),
        ({"n_iter": 0}, "n_iter"),
        ({"plan": None}, "DensePlan"),
        ({"backend": "gpu"}, "backend"),
    ):
        with pytest.raises(ValueError, match=words):
            F.inverse_basis_transform(**({"spectrum": y, "basis": basis, "plan": plan} | changed))


def test_inference_mode():
    layer, x = T.STFT(n_fft=64, freq_scale="log", sr=2000, fmin=100, fmax=900), torch.randn(1, 500)
    expected = layer.inverse(layer(x))
    with torch.inference_mode():
        assert torch.equal(layer.inverse(layer(x)), expected)
