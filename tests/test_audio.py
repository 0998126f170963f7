"""Reading sound files: values, formats, and errors that name the file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fastspec import audio

EXAMPLES = Path(__file__).parent.parent / "examples" / "audio"


@pytest.fixture
def tone() -> np.ndarray:
    time = np.arange(8000) / 8000
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * time), 0.25 * np.sin(2 * np.pi * 660 * time)])


@pytest.mark.parametrize(("suffix", "tolerance"), [("wav", 2e-5), ("flac", 2e-5), ("ogg", 0.02), ("mp3", 0.02)])
def test_load_gives_channels_first_float32(tmp_path: Path, tone: np.ndarray, suffix: str, tolerance: float) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone.T, 8000)
    samples, rate = audio.load(path)
    assert rate == 8000
    assert samples.dtype == np.float32
    assert samples.flags.c_contiguous
    assert samples.shape[0] == 2
    assert abs(samples.shape[1] - 8000) <= 2304  # mp3 may keep the encoder's padding
    if samples.shape[1] == 8000:
        assert np.sqrt(np.square(samples - tone).mean()) < tolerance


def test_part_and_mono(tmp_path: Path, tone: np.ndarray) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone.T, 8000, subtype="FLOAT")
    samples, _ = audio.load(path, offset=0.25, duration=0.5, mono=True)
    assert samples.shape == (1, 4000)
    np.testing.assert_allclose(samples[0], tone[:, 2000:6000].mean(axis=0), atol=1e-6)
    assert audio.load(path, offset=5.0)[0].shape == (2, 0)


@pytest.mark.parametrize("options", [{"offset": -1}, {"offset": float("nan")}, {"duration": 0}])
def test_bad_parts(tmp_path: Path, options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        audio.load(tmp_path / "any.wav", **options)


@pytest.mark.parametrize("name", ["broken.wav", "broken.mp3", "empty.flac", "notes.txt", "samples.raw"])
def test_unreadable_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"" if name.startswith("empty") else b"this is no sound" * 20)
    with pytest.raises(ValueError, match=name):
        audio.load(path)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.wav"):
        audio.load(tmp_path / "absent.wav")
    with pytest.raises(ValueError, match=tmp_path.name):
        audio.load(tmp_path)


def test_find_skips_hidden_and_foreign_files(tmp_path: Path) -> None:
    for name in ("b.WAV", "a/c.flac", ".hidden/d.wav", "a/.e.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in audio.find(tmp_path)] == ["a/c.flac", "b.WAV"]


def test_resample_keeps_a_tone(tone: np.ndarray) -> None:
    out = audio.resample(tone.astype(np.float32), 8000, 16000)
    assert out.shape == (2, 16000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(out[0] - expected)[2000:-2000].max() < 1e-3


def test_without_soxr_the_extra_is_named(tone: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(ImportError, match=r"pip install 'fastspec\[resample\]'"):
        audio.resample(tone, 8000, 16000)
    assert audio.resample(tone, 8000, 8000) is tone


@pytest.mark.parametrize(
    ("name", "rate", "channels", "seconds"), [("music.ogg", 44100, 2, 8.0), ("speech.flac", 16000, 1, 7.1)]
)
def test_example_recordings(name: str, rate: int, channels: int, seconds: float) -> None:
    assert (EXAMPLES / name).stat().st_size < 400_000
    assert name in (EXAMPLES / "README.md").read_text()
    samples, found = audio.load(EXAMPLES / name)
    assert found == rate
    assert samples.shape[0] == channels
    assert samples.shape[1] == pytest.approx(seconds * rate, rel=0.01)
    assert 0.1 < np.abs(samples).max() <= 1.2
