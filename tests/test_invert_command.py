"""``fastspec invert``: sound files out of what ``fastspec spectrogram`` wrote, or of arrays and options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import soundfile
import torch
from test_cli import SPEECH, fastspec

import fastspec.functional as F
import fastspec.transforms as T


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    """Two channels of a second of speech, whose length no hop divides."""
    samples, rate = soundfile.read(SPEECH, frames=17011, start=20000, dtype="float32")
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, np.stack([samples, samples[::-1]], 1), rate, subtype="FLOAT")
    return path


def read(path: Path) -> torch.Tensor:
    return torch.from_numpy(soundfile.read(path, dtype="float32", always_2d=True)[0].T.copy())


def test_complex_spectrum_comes_back(tmp_path: Path, speech: Path) -> None:
    for more in ([], ["--pad", 33, "--normalized", "window"], ["--twosided", "--window", "kaiser:9", "--symmetric"]):
        middle, out = tmp_path / "y.safetensors", tmp_path / "x.wav"
        fastspec("spectrogram", speech, "-o", middle, "--kind", "stft", "--power", "complex", *more)
        fastspec("invert", middle, "-o", out)
        assert soundfile.info(out).samplerate == 16000
        x, back = read(speech), read(out)
        assert back.shape == x.shape
        tail = slice(None, 16000)
        assert 10 * torch.log10(x[:, tail].square().sum() / (back - x)[:, tail].square().sum()) > 120


@pytest.mark.parametrize(
    "options",
    [
        ["--kind", "mel", "--db", "--n-fft", 1024, "--n-mels", 100],
        ["--kind", "mel", "--log", "ln", "--floor", 1e-5, "--power", 1, "--pad", 100],
        ["--kind", "stft", "--log", "log1p", "--normalized", "frame_length"],
        ["--preset", "hifi-gan", "--keep-rate"],
        ["--preset", "whisper"],
    ],
    ids=lambda options: " ".join(map(str, options[:3])),
)
def test_parameters_come_from_the_file(tmp_path: Path, speech: Path, options: list) -> None:
    middle, out, again = tmp_path / "s.safetensors", tmp_path / "x.flac", tmp_path / "again.safetensors"
    fastspec("spectrogram", speech, "-o", middle, *options)
    shown = fastspec("invert", middle, "-o", out, "--n-iter", 20)
    assert "2 x 17011, 1.06 s at 16000 Hz" in shown
    fastspec("spectrogram", out, "-o", again, *options)
    before, after = (safetensors.numpy.load_file(path)["spectrogram"] for path in (middle, again))
    assert before.shape == after.shape
    assert np.abs(after - before).mean() < 0.15 * before.std()
    assert not list(tmp_path.glob(".*"))


def test_arrays_and_options(tmp_path: Path, speech: Path) -> None:
    x = read(speech)
    np.save(tmp_path / "stft.npy", F.stft(x, 512, 128).abs().numpy()[0])
    np.save(tmp_path / "mel.npy", T.MelSpectrogram(n_fft=512, hop_length=128, n_mels=80, norm="slaney")(x).numpy())
    fastspec("invert", tmp_path / "stft.npy", "-o", tmp_path / "a.wav", "--kind", "stft", "--power", 1,
             "--sample-rate", 16000, "--samples", 17000)  # fmt: skip
    back = read(tmp_path / "a.wav")
    assert back.shape == (1, 17000)
    truth = F.stft(x[:1], 512, 128).abs()
    assert (F.stft(back, 512, 128).abs() - truth).norm() < 0.2 * truth.norm()
    options = ["--kind", "mel", "--sample-rate", 16000, "--n-fft", 512, "--hop-length", 128, "--norm", "slaney"]
    fastspec("invert", tmp_path / "mel.npy", "-o", tmp_path / "b.wav", *options, "--seed", 3, "-q")
    fastspec("invert", tmp_path / "mel.npy", "-o", tmp_path / "c.wav", *options, "--seed", 3)
    fastspec("invert", tmp_path / "mel.npy", "-o", tmp_path / "d.wav", *options)
    assert torch.equal(read(tmp_path / "b.wav"), read(tmp_path / "c.wav"))
    assert not torch.equal(read(tmp_path / "b.wav"), read(tmp_path / "d.wav"))
    assert read(tmp_path / "b.wav").shape == (2, 128 * (17011 // 128))


def test_errors_by_file(tmp_path: Path, speech: Path) -> None:
    """A folder of good and bad files: the good are written, the bad named, nothing is left half written."""
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    for kind, name in (("mel", "good.safetensors"), ("mel", "sub/good.safetensors"), ("mfcc", "mfcc.safetensors")):
        fastspec("spectrogram", speech, "-o", folder / name, "--kind", kind)
    np.save(folder / "bare.npy", np.ones((201, 9), np.float32))
    np.save(folder / "whole.npy", np.ones((201, 9), np.int64))
    (folder / "broken.npy").write_bytes(b"\x93NUMPY nothing")
    (folder / "broken.safetensors").write_bytes(b"nothing")
    said = fastspec("invert", folder, "-o", out, "--n-iter", 1, code=1)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "good.wav",
        "sub/good.wav",
    ]
    assert "2 of 7 written" in said
    for words in (
        "mfcc.safetensors: a spectrogram of kind mfcc cannot be inverted",
        "bare.npy: this file does not tell what it holds: give --kind or --preset",
        "whole.npy: expected numbers",
        "broken.npy: cannot be read as an array",
        "broken.safetensors: cannot be read as safetensors",
    ):
        assert words in said.replace("\n", " ")


def test_odd_arrays(tmp_path: Path) -> None:
    """Each is refused in one line that names the file and what is wrong; nothing is written."""
    spectrum = np.ones((201, 9), np.complex64)
    spectrum[3, 4] = np.nan
    for array, words in (
        (np.ones((1, 20), np.float32), "a spectrogram has at least 2 bins [F, M], got shape [1, 20]"),
        (np.ones((201,), np.float32), "expected numbers [C, F, M] or [F, M], got float32 of shape [201]"),
        (-np.ones((201, 9), np.float32), "0 or more and finite"),
        (np.full((201, 9), np.nan, np.float32), "0 or more and finite"),
        (spectrum, "finite numbers; got NaN"),
        (np.ones((201, 1), np.float32), "the frames cover no more than padding"),
        (np.array(["a", "b"]), "got <U1 of shape [2]"),
    ):
        np.save(tmp_path / "odd.npy", array)
        options = ["-o", tmp_path / "x.wav", "--kind", "stft", "--sample-rate", 16000, "--n-iter", 1]
        said = fastspec("invert", tmp_path / "odd.npy", *options, code=1).replace("\n", " ")
        assert words in said
        assert "odd.npy" in said
        assert [path.name for path in tmp_path.iterdir()] == ["odd.npy"]


def test_clipping_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "loud.npy", 1000 * np.random.default_rng(0).random((201, 9)).astype(np.complex64))
    loud = ["invert", tmp_path / "loud.npy", "--sample-rate", 16000]
    said = fastspec(*loud, "-o", tmp_path / "x.flac").replace("\n", " ")
    clipped = int((read(tmp_path / "x.flac").abs() > 0.9999).sum())
    assert clipped > 0
    assert f"x.flac: {clipped} samples beyond 1 were clipped" in said
    assert "clipped" not in fastspec(*loud, "-o", tmp_path / "x.wav")
    assert read(tmp_path / "x.wav").abs().max() > 1


def test_names(tmp_path: Path) -> None:
    """Long ones can be written; where one cannot, the message has it, not the name of the unfinished file."""
    np.save(tmp_path / "y.npy", np.ones((201, 9), np.complex64))
    command = ["invert", tmp_path / "y.npy", "--sample-rate", 16000, "-o"]
    fastspec(*command, tmp_path / ("x" * 250 + ".wav"))
    (tmp_path / "out" / "y.wav").mkdir(parents=True)
    said = fastspec(*command, tmp_path / "out", code=1)
    assert str(tmp_path / "out" / "y.wav") in said
    assert ".part" not in said
    assert len(list(tmp_path.rglob("*"))) == 4


def test_errors_of_options(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.ones((201, 9), np.float32))
    source, out = tmp_path / "s.npy", tmp_path / "x.wav"
    stft = ["--kind", "stft", "--sample-rate", 16000]
    for options, code, words in (
        (["--kind", "stft"], 1, "give --sample-rate"),
        ([*stft, "--f-min", 3], 1, "--f-min does not apply to --kind stft"),
        (["--kind", "mel", "--sample-rate", 16000], 1, "give --n-fft or --preset"),
        ([*stft, "--n-fft", 512], 1, "257"),
        ([*stft, "--power", "complex"], 1, "power is complex"),
        ([*stft, "--hop-length", 500], 1, "no frame can tell"),
        ([*stft, "--samples", 5000], 1, "length must give"),
        ([*stft, "--momentum", 1], 2, "momentum"),
        ([*stft, "--n-iter", -1], 2, "n_iter"),
        ([*stft, "--backend", "gpu"], 2, "backend"),
        ([*stft, "--preset", "nobody"], 2, "nobody"),
        ([*stft, "--db", "--log", "ln"], 2, "exclude"),
    ):
        assert words in fastspec("invert", source, "-o", out, *options, code=code).replace("\n", " ")
        assert not out.exists()
    assert "ends in .wav or .flac" in fastspec("invert", source, "-o", tmp_path / "x.mp3", *stft, code=2)
    assert "no such file" in fastspec("invert", tmp_path / "none.npy", "-o", out, *stft, code=1)
    assert "expected a folder" in fastspec("invert", source, source, "-o", out, *stft, code=2)
    (tmp_path / "empty").mkdir()
    assert "no .npy or .safetensors files" in fastspec("invert", tmp_path / "empty", "-o", tmp_path / "o", code=1)
