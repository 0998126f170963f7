"""Pictures: axes in seconds and Hz, decibels, and something on them."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread

from fastspec.bases import mel_frequencies
from fastspec.display import picture, specshow

RATE, HOP, N_FFT = 16000, 256, 1024


@pytest.fixture
def axes():
    return Figure(figsize=(6, 3)).add_subplot()


@pytest.fixture(scope="module")
def tone() -> torch.Tensor:
    """Complex spectrum [513, 63] of a second of 2 kHz."""
    x = torch.sin(2 * torch.pi * 2000 * torch.arange(RATE) / RATE)
    return torch.stft(x, N_FFT, HOP, window=torch.hann_window(N_FFT), return_complex=True)


def pixels(figure: Figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=60)
    file.seek(0)
    return imread(file)[..., :3]


def ticks(axes) -> dict[str, float]:
    axes.figure.canvas.draw()
    return {
        label.get_text(): float(place) for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    }


def test_hz_axis_in_seconds_and_hz(axes, tone: torch.Tensor) -> None:
    image = specshow(tone, sample_rate=RATE, hop_length=HOP, ax=axes)
    left, right, bottom, top = image.get_extent()
    assert (left + right) / 2 == pytest.approx(31 * HOP / RATE)  # frame 31 of 63 in the middle
    assert right - left == pytest.approx(63 * HOP / RATE)
    assert (bottom + top) / 2 == pytest.approx(RATE / 4)
    loudest = np.argmax(np.nanmax(image.get_array(), axis=1))
    assert bottom + (loudest + 0.5) * (top - bottom) / 513 == pytest.approx(2000)
    assert axes.get_xlim()[0] == 0
    assert axes.get_ylim() == (0, 8000)
    assert axes.get_xlabel() == "time (s)"
    assert axes.get_ylabel() == "frequency (Hz)"
    assert ticks(axes)["2k"] == 2000


def test_decibels_below_the_loudest(axes, tone: torch.Tensor) -> None:
    image = specshow(tone, sample_rate=RATE, hop_length=HOP, top_db=60, ax=axes)
    assert np.max(image.get_array()) == pytest.approx(0)
    assert image.get_clim() == (-60, 0)
    power = specshow(tone.abs() ** 2, sample_rate=RATE, hop_length=HOP, ax=axes)
    np.testing.assert_allclose(image.get_array(), power.get_array(), atol=1e-3)
    magnitude = specshow(tone.abs(), sample_rate=RATE, hop_length=HOP, power=1, ax=axes)
    np.testing.assert_allclose(image.get_array(), magnitude.get_array(), atol=1e-3)
    assert [other.get_ylabel() for other in axes.figure.axes[1:]] == ["dB"] * 3


def test_values_as_they_are(axes) -> None:
    data = np.linspace(-3.0, 5.0, 12).reshape(3, 4)
    image = specshow(data, sample_rate=RATE, hop_length=HOP, db=False, label="ln", ax=axes)
    np.testing.assert_array_equal(image.get_array(), data)
    assert image.get_clim() == (-3, 5)
    assert axes.figure.axes[1].get_ylabel() == "ln"


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mel_axis_reads_in_hz(axes, scale: str) -> None:
    specshow(np.ones((80, 10)), sample_rate=RATE, hop_length=HOP, y_axis="mel", mel_scale=scale, f_min=50, ax=axes)
    centres = mel_frequencies(82, 50, 8000, scale)[1:-1]
    shown = ticks(axes)
    assert len(shown) >= 4
    assert "1k" in shown
    for text, place in shown.items():
        hz = float(text.removesuffix("k")) * (1000 if text.endswith("k") else 1)
        assert np.interp(place, np.arange(80), centres) == pytest.approx(hz, rel=1e-6)


def test_log_axis_puts_the_tone_at_its_frequency(axes, tone: torch.Tensor) -> None:
    image = specshow(tone, sample_rate=RATE, hop_length=HOP, y_axis="log", ax=axes)
    loudest = int(np.argmax(np.asarray(image.get_array()).sum(axis=1)))
    assert loudest == pytest.approx(ticks(axes)["2k"], abs=3)


@pytest.mark.parametrize("y_axis", ["hz", "log"])
def test_the_last_bin_of_an_odd_frame_lies_below_half_the_rate(axes, y_axis: str) -> None:
    data = np.full((17, 4), 1e-9)
    data[8] = 1.0
    image = specshow(data, sample_rate=RATE, hop_length=HOP, n_fft=33, y_axis=y_axis, ax=axes)
    loudest = int(np.argmax(np.asarray(image.get_array())[:, 0]))
    if y_axis == "hz":
        bottom, top = image.get_extent()[2:]
        assert bottom + (loudest + 0.5) * (top - bottom) / 17 == pytest.approx(8 * RATE / 33)
    else:
        assert loudest == pytest.approx(np.interp(8 * 33, np.geomspace(33, 16 * 33, 512), np.arange(512)), abs=1)


@pytest.mark.parametrize("size", [(0, 0), (4, -1), (float("inf"), 4)])
def test_bad_sizes(size: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="size="):
        picture(np.ones((4, 5)), sample_rate=RATE, hop_length=HOP, size=size)


def test_frequencies_of_rows(axes) -> None:
    octaves = 55 * 2.0 ** (np.arange(60) / 12)
    specshow(np.ones((60, 10)), sample_rate=RATE, hop_length=HOP, frequencies=octaves, ax=axes)
    assert ticks(axes)["1k"] == pytest.approx(12 * np.log2(1000 / 55), abs=0.01)


def test_mfcc_is_not_converted(axes) -> None:
    data = np.random.default_rng(0).normal(size=(13, 50))
    image = specshow(data, sample_rate=RATE, hop_length=HOP, y_axis="mfcc", ax=axes)
    np.testing.assert_array_equal(image.get_array(), data)
    assert axes.get_ylabel() == "coefficient"
    low, high = image.get_clim()
    assert low == -high


def test_long_recordings_are_thinned_and_keep_their_clicks(axes) -> None:
    data = np.full((20, 100_000), 1e-6)
    data[:, 54_321] = 1.0
    image = specshow(data, sample_rate=RATE, hop_length=HOP, ax=axes)
    shown = np.asarray(image.get_array())
    assert shown.shape[1] <= 4096
    assert (shown.max(axis=0) == 0).sum() == 1
    assert np.argmax(shown[0]) / shown.shape[1] == pytest.approx(0.54321, abs=1e-3)
    assert image.get_extent()[1] == pytest.approx((100_000 - 0.5) * HOP / RATE)
    assert axes.get_xlabel() == "time (min:s)"


def test_start_moves_the_time_axis(axes) -> None:
    image = specshow(np.ones((4, 10)), sample_rate=1000, hop_length=100, start=2.0, ax=axes)
    assert image.get_extent()[:2] == pytest.approx((1.95, 2.95))
    assert axes.get_xlim()[0] == pytest.approx(1.95)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_silence_and_nan_draw(value: float) -> None:
    data = np.full((20, 30), value)
    assert pixels(picture(data, sample_rate=RATE, hop_length=HOP)).shape[2] == 3


def test_picture_is_not_blank_and_has_a_panel_per_channel(tone: torch.Tensor) -> None:
    figure = picture(torch.stack([tone, 0.5 * tone]), sample_rate=RATE, hop_length=HOP, title="tone")
    assert sum(axes.get_xlabel() == "time (s)" for axes in figure.axes) == 2
    image = pixels(figure)
    assert image.std() > 0.1
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (np.ones(5), {}, "data"),
        (np.ones((0, 5)), {}, "data"),
        (np.ones((4, 5)), {"y_axis": "bark"}, "y_axis='bark'"),
        (np.ones((4, 5)), {"frequencies": [1, 2, 3]}, "frequencies"),
        (np.ones((4, 5)), {"frequencies": [1, 2, 4, 3]}, "frequencies"),
        (np.ones((4, 5)), {"sample_rate": 0}, "sample_rate=0"),
        (np.ones((4, 5)), {"hop_length": 0}, "hop_length=0"),
        (np.ones((4, 5)), {"power": 0}, "power=0"),
        (np.ones((4, 5)), {"top_db": -1}, "top_db=-1"),
        (np.ones((4, 5)), {"top_db": np.inf}, "top_db=inf"),
        (np.ones((4, 5)), {"cmap": "no-such-map"}, "cmap='no-such-map'"),
        (np.ones((4, 5)), {"y_axis": "log", "f_min": 9000}, "f_min=9000"),
        (np.ones((4, 5)), {"y_axis": "mel", "f_min": 9000}, "f_min=9000"),
        (np.ones((4, 5)), {"f_max": 4000}, "f_max=4000"),
        (np.ones((4, 5)), {"n_fft": 512}, "n_fft=512"),
        (np.ones((4, 5)), {"n_fft": 512, "y_axis": "log"}, "n_fft=512"),
        (np.ones((4, 5), complex), {"y_axis": "mel"}, "y_axis='mel'"),
        (np.ones((4, 5), complex), {"y_axis": "mfcc"}, "y_axis='mfcc'"),
        (np.ones((4, 5)), {"frequencies": [1, 2, 3, 4], "y_axis": "mfcc"}, "y_axis='mfcc'"),
    ],
)
def test_bad_input_is_named(axes, data: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        specshow(data, **({"sample_rate": RATE, "hop_length": HOP, "ax": axes} | options))
    with pytest.raises(ValueError, match="shape"):
        picture(np.ones(3), sample_rate=RATE, hop_length=HOP)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'fastspec\[plot\]'"):
        specshow([[1.0]], sample_rate=1, hop_length=1)


def test_notes(axes) -> None:
    frequencies = 32.7032 * 2 ** (np.arange(84) / 12)
    specshow(np.ones((84, 10)), sample_rate=RATE, hop_length=HOP, y_axis="note", frequencies=frequencies, ax=axes)
    labels = {label.get_text(): tick for label, tick in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)}
    assert set(labels) == {f"C{i}" for i in range(1, 8)}
    assert labels["C3"] == pytest.approx(24, abs=1e-3)
    with pytest.raises(ValueError, match="expected the frequencies"):
        specshow(np.ones((84, 10)), sample_rate=RATE, hop_length=HOP, y_axis="note", ax=axes)


def test_pitch_classes(axes) -> None:
    specshow(np.ones((12, 10)), sample_rate=RATE, hop_length=HOP, y_axis="chroma", db=False, ax=axes)
    assert [label.get_text() for label in axes.get_yticklabels()][:3] == ["C", "C#", "D"]
    assert axes.get_yticks()[9] == pytest.approx(9)
    with pytest.raises(ValueError, match="expected 12 rows"):
        specshow(np.ones((13, 10)), sample_rate=RATE, hop_length=HOP, y_axis="chroma", ax=axes)
