"""The command line: results, errors in one line, nothing half written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
import soundfile
import torch
from matplotlib import image
from typer.testing import CliRunner

from fastspec import _files, display, kaldi, presets, transforms
from fastspec.bases import mel_frequencies
from fastspec.cli import app

EXAMPLES = Path(__file__).parent.parent / "examples" / "audio"
SPEECH = EXAMPLES / "speech.flac"


def fastspec(*arguments: object, code: int = 0) -> str:
    """Run the command; its whole output, with the line breaks of the terminal undone."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Half a second of stereo at 16 kHz, as floats."""
    path = tmp_path / "in" / "tone.wav"
    path.parent.mkdir()
    samples = 0.1 * np.random.default_rng(0).normal(size=(8000, 2))
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    return path


def samples_of(path: Path) -> torch.Tensor:
    return torch.from_numpy(soundfile.read(path, dtype="float32", always_2d=True)[0].T.copy())


def test_mel_array_equals_the_module(tmp_path: Path, tone: Path) -> None:
    options = [
        "--n-fft",
        512,
        "--hop-length",
        128,
        "--n-mels",
        40,
        "--mel-scale",
        "slaney",
        "--norm",
        "slaney",
    ]
    fastspec("spectrogram", tone, "-o", tmp_path / "out.npy", *options, "--log", "ln", "--floor", "1e-5")
    module = transforms.MelSpectrogram(
        16000, 512, hop_length=128, n_mels=40, mel_scale="slaney", norm="slaney", log="ln", floor=1e-5
    )
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), module(samples_of(tone)).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "module"),
    [
        (["--power", "complex"], transforms.Spectrogram(400, hop_length=100, power=None)),
        (
            ["--power", "1", "--symmetric"],
            transforms.Spectrogram(400, None, 100, power=1.0, wkwargs={"periodic": False}),
        ),
        (
            ["--normalized", "window", "--no-center"],
            transforms.Spectrogram(400, None, 100, normalized=True, center=False),
        ),
        (["--window", "kaiser:12"], transforms.Spectrogram(400, None, 100, window_fn=("kaiser", 12.0))),
        (
            ["--twosided", "--pad", "10", "--db"],
            transforms.Spectrogram(400, None, 100, pad=10, onesided=False, log="db"),
        ),
    ],
)
def test_stft_options(tmp_path: Path, tone: Path, options: list[str], module: torch.nn.Module) -> None:
    fastspec("spectrogram", tone, "-o", tmp_path / "out.npy", "--kind", "stft", "--n-fft", 400, *options)
    got, expected = np.load(tmp_path / "out.npy"), module(samples_of(tone)).numpy()
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_mfcc_mono_and_float64(tmp_path: Path, tone: Path) -> None:
    options = [
        "--kind",
        "mfcc",
        "--n-mfcc",
        13,
        "--n-fft",
        512,
        "--mono",
        "--dtype",
        "float64",
        "--threads",
        1,
    ]
    fastspec("spectrogram", tone, "-o", tmp_path / "out.npy", *options)
    got = np.load(tmp_path / "out.npy")
    assert got.dtype == np.float64
    assert got.shape == (13, 63)
    assert torch.get_default_dtype() == torch.float32
    module = transforms.MFCC(16000, 13, melkwargs={"n_fft": 512, "hop_length": 128, "n_mels": 80}).double()
    expected = module(samples_of(tone).mean(0, keepdim=True).double())[0]
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-3)


def test_preset(tmp_path: Path) -> None:
    fastspec("spectrogram", SPEECH, "-o", tmp_path / "out.npy", "--preset", "whisper", "--mono")
    assert np.load(tmp_path / "out.npy").shape == (80, 1 + 113600 // 160)
    fastspec(
        "spectrogram",
        SPEECH,
        "-o",
        tmp_path / "out.npy",
        "--preset",
        "whisper",
        "--n-mels",
        128,
        "--duration",
        1,
    )
    assert np.load(tmp_path / "out.npy").shape == (1, 128, 101)


def test_preset_at_another_rate(tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.npy"
    monkeypatch.setitem(sys.modules, "soxr", None)
    said = fastspec("spectrogram", tone, "-o", out, "--preset", "hifi-gan", code=1)
    assert "pip install 'fastspec[resample]'" in said
    assert "tone.wav" in said
    assert not out.exists()
    fastspec("spectrogram", tone, "-o", out, "--preset", "hifi-gan", "--keep-rate", "--f-max", 8000)
    assert np.load(out).shape == (2, 80, 31)
    monkeypatch.undo()
    fastspec("spectrogram", tone, "-o", out, "--preset", "hifi-gan")
    assert np.load(out).shape == (2, 80, 43)


def test_safetensors_with_its_history(tmp_path: Path, tone: Path) -> None:
    out = tmp_path / "out.safetensors"
    fastspec("spectrogram", tone, "-o", out, "--kind", "stft", "--power", "complex", "--n-fft", 256)
    with safetensors.safe_open(out, "numpy") as file:
        about = file.metadata()
        values = file.get_tensor("spectrogram")
    assert about["kind"] == "stft"
    assert about["source"] == "tone.wav"
    assert json.loads(about["sample_rate"]) == 16000
    expected = transforms.Spectrogram(256, hop_length=64, power=None)(samples_of(tone))
    np.testing.assert_allclose(values, torch.view_as_real(expected).numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["stft", "mel", "mfcc", "fbank"])
def test_pictures_show_something(tmp_path: Path, tone: Path, kind: str) -> None:
    out = tmp_path / "new" / "out.png"
    fastspec("spectrogram", tone, "-o", out, "--kind", kind, "--dpi", 50, "--size", 6, 3)
    seen = image.imread(out)[..., :3]
    assert seen.shape[:2] == (300, 300)
    assert seen.std() > 0.1


def test_kaldi_features(tmp_path: Path, tone: Path) -> None:
    out = tmp_path / "out.npy"
    x = samples_of(tone)
    options = ["--n-mels", 40, "--win-length", 399, "--hop-length", 161, "--f-max", 7000, "--window", "hamming"]
    fastspec("spectrogram", tone, "-o", out, "--kind", "fbank", *options)
    lengths = {"frame_length": 399.5 / 16, "frame_shift": 161.5 / 16}
    expected = kaldi.fbank(x, num_mel_bins=40, high_freq=7000.0, window_type="hamming", **lengths).mT
    np.testing.assert_allclose(np.load(out), expected.numpy(), atol=1e-4)
    fastspec("spectrogram", tone, "-o", out, "--preset", "ast")
    np.testing.assert_allclose(np.load(out), presets.preset("ast").transform()(x).mT.numpy(), atol=1e-4)
    fastspec("spectrogram", tone, "-o", out, "--kind", "fbank", "--log", "none")
    assert np.load(out).min() >= 0


def test_folder_with_broken_files(tmp_path: Path, tone: Path) -> None:
    folder = tone.parent
    (folder / "broken.flac").write_bytes(b"no sound at all")
    (folder / "deep").mkdir()
    soundfile.write(folder / "deep" / "other.flac", np.zeros(3000), 8000)
    soundfile.write(folder / "short.wav", np.zeros(5), 16000)
    soundfile.write(folder / "tone.flac", np.zeros(8000), 16000)
    (folder / "notes.txt").write_text("not audio")
    out = tmp_path / "out"
    said = fastspec("spectrogram", folder, "-o", out, "--format", "npy", code=1)
    assert "broken.flac" in said
    assert "short.wav" in said
    assert "3 of 5 written" in said
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert written == ["deep/other.npy", "tone.flac.npy", "tone.wav.npy"]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("options", [["--f-min", 5000], ["--win-length", 700]])
def test_options_that_suit_one_rate_alone(tmp_path: Path, names: tuple[str, str], options: list) -> None:
    """The order of the files decides nothing: the 8 kHz one is named and left out."""
    for name, rate in zip(names, (8000, 16000), strict=True):
        soundfile.write(tmp_path / f"{name}.wav", np.full(rate, 0.1), rate)
    inputs = [tmp_path / "a.wav", tmp_path / "b.wav"]
    out = tmp_path / "out"
    said = fastspec("spectrogram", *inputs, "-o", out, "--format", "npy", *options, code=1)
    assert said.count("error:") == 1
    assert f"{names[0]}.wav: " in said
    assert "1 of 2 written" in said
    assert [path.name for path in out.iterdir()] == [f"{names[1]}.npy"]
    said = fastspec("spectrogram", *inputs, "-o", tmp_path / "none", *options, "--n-fft", 1, code=2)
    assert "error:" in said
    assert "a.wav" not in said
    assert not (tmp_path / "none").exists()


def test_odd_names_and_sizes_still_draw(tmp_path: Path, tone: Path, recwarn: pytest.WarningsRecorder) -> None:
    odd = tone.rename(tone.with_name("a$b\\nosuch$.wav"))
    said = fastspec("spectrogram", odd, "-o", tmp_path / "out.png", "--size", 0.1, 0.1)
    assert "warning: " in said
    assert (tmp_path / "out.png").exists()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("kind", "y_axis"),
    [("stft", "hz"), ("stft", "log"), ("stft", "index"), ("mel", "mel"), ("mel", "index")],
)
@pytest.mark.parametrize("n_fft", [1024, 401])
def test_a_tone_is_drawn_at_its_frequency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, y_axis: str, n_fft: int
) -> None:
    """The brightest row of the picture against the ticks beside it."""
    axes = drawn_axes(monkeypatch)
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000), 16000)
    options = ["--kind", kind, "--y-axis", y_axis, "--n-fft", n_fft] + ["--n-mels", 40] * (kind == "mel")
    fastspec("spectrogram", tmp_path / "tone.wav", "-o", tmp_path / "out.png", *options)
    (shown,) = axes[0].images
    values = np.asarray(shown.get_array())
    bottom, top = shown.get_extent()[2:]
    height = (top - bottom) / len(values)
    brightest = bottom + (np.argmax(values.sum(axis=1)) + 0.5) * height
    ticks = {
        float(label.get_text().replace("k", "e3").replace("\N{MINUS SIGN}", "-")): place
        for label, place in zip(axes[0].get_yticklabels(), axes[0].get_yticks(), strict=True)
    }
    if y_axis == "index":
        centres = mel_frequencies(42, 0, 8000)[1:-1] if kind == "mel" else np.arange(n_fft // 2 + 1) * 16000 / n_fft
        assert all(text == place for text, place in ticks.items())
        assert brightest == np.argmin(np.abs(centres - 2000))
    else:
        assert abs(brightest - ticks[2000.0]) <= (3 if y_axis == "log" else 0.51) * height


@pytest.mark.parametrize("y_axis", ["mfcc", "index"])
def test_cepstral_coefficients_are_drawn_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tone: Path, y_axis: str
) -> None:
    axes = drawn_axes(monkeypatch)
    fastspec("spectrogram", tone, "-o", tmp_path / "out.png", "--kind", "mfcc", "--mono", "--y-axis", y_axis)
    fastspec("spectrogram", tone, "-o", tmp_path / "out.npy", "--kind", "mfcc", "--mono")
    (shown,) = axes[0].images
    np.testing.assert_allclose(shown.get_array(), np.load(tmp_path / "out.npy"))
    assert shown.get_extent()[2:] == [-0.5, 19.5]


def drawn_axes(monkeypatch: pytest.MonkeyPatch) -> list:
    """The axes of the pictures that will be drawn."""
    seen = []

    def spy(*args: object, **kwargs: object) -> object:
        figure = picture(*args, **kwargs)
        seen.append(figure.axes[0])
        return figure

    picture = display.picture
    monkeypatch.setattr(display, "picture", spy)
    return seen


def test_missing_file_and_empty_folder_go_on(tmp_path: Path, tone: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    said = fastspec(
        "spectrogram", tmp_path / "absent.wav", tone, tmp_path / "empty", "-o", out, "--format", "npy", code=1
    )
    assert "absent.wav: no such file" in said
    assert "no sound files" in said
    assert [path.name for path in out.iterdir()] == ["tone.npy"]


def test_quiet(tmp_path: Path, tone: Path) -> None:
    assert fastspec("spectrogram", tone, tone, "-o", tmp_path / "out", "--format", "npy", "-q") == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tone.wav-2.npy", "tone.wav.npy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n-fft", "1"], "n_fft"),
        (["--hop-length", "0"], "hop_length"),
        (["--n-fft", "400", "--win-length", "500"], "win_length"),
        (["--f-min", "5000", "--f-max", "4000"], "f_min"),
        (["--kind", "stft", "--n-mels", "40"], "--n-mels does not apply"),
        (["--preset", "whispr"], "whisper"),
        (["--power", "loud"], "--power loud"),
        (["--window", "kaiser:x"], "--window kaiser:x"),
        (["--window", "round"], "round"),
        (["--dtype", "float8"], "float8"),
        (["--backend", "abacus"], "abacus"),
        (["--db", "--log", "ln"], "--log"),
        (["--threads", "0"], "--threads 0"),
        (["--offset", "-1"], "offset"),
        (["--resample", "0"], "--resample 0"),
        (["--resample", "8000", "--f-min", "5000"], "f_min"),
        (["--kind", "stft", "--preset", "whispr"], "whisper"),
        (["--cmap", "no-such-map"], "no-such-map"),
        (["--top-db", "-1"], "top_db=-1"),
        (["--top-db", "nan"], "top_db=nan"),
        (["--dpi", "0"], "dpi=0"),
        (["--size", "0", "0"], "size=(0.0, 0.0)"),
        (["--size", "inf", "4"], "size=(inf, 4.0)"),
        (["--size", "0.001", "4"], "pixels"),
        (["--size", "9999", "4"], "pixels"),
        (["--kind", "stft", "--y-axis", "mel"], "--y-axis mel does not apply to --kind stft"),
        (["--kind", "stft", "--y-axis", "mfcc"], "expected hz or log or index"),
        (["--kind", "stft", "--twosided", "--y-axis", "hz"], "--twosided: expected index"),
        (["--y-axis", "hz"], "--y-axis hz does not apply to --kind mel"),
        (["--kind", "mel", "--y-axis", "log"], "expected mel or index"),
        (["--kind", "fbank", "--n-fft", "512"], "--n-fft does not apply to --kind fbank"),
        (["--kind", "fbank", "--log", "db"], "--log db: expected ln or none"),
        (["--kind", "mfcc", "--y-axis", "mel"], "--y-axis mel does not apply to --kind mfcc"),
        (["--preset", "htdemucs", "--y-axis", "mel"], "--y-axis mel does not apply to --kind stft"),
    ],
)
def test_bad_options_in_one_line(tmp_path: Path, tone: Path, options: list[str], message: str) -> None:
    out = tmp_path / "out.png"
    said = fastspec("spectrogram", tone, "-o", out, *options, code=2)
    assert message in said
    assert said.count("error:") == 1
    assert not out.exists()


@pytest.mark.parametrize(("out", "message"), [("out.jpg", ".png"), ("file", "folder")])
def test_bad_output(tmp_path: Path, tone: Path, out: str, message: str) -> None:
    (tmp_path / "file").write_text("here already")
    assert message in fastspec("spectrogram", tone, "-o", tmp_path / out, code=2)
    assert "folder" in fastspec("spectrogram", tone, tone, "-o", tmp_path / "out.npy", code=2)
    assert "disagree" in fastspec("spectrogram", tone, "-o", tmp_path / "a.npy", "--format", "png", code=2)


def test_missing_library_is_told_before_any_work(tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'fastspec[plot]'" in fastspec("spectrogram", tone, "-o", tmp_path / "out.png", code=2)


def test_a_failure_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    def fail() -> None:
        with _files.written_whole(path) as file:
            file.write(b"half")
            raise OSError("disk full")

    path = tmp_path / "out.npy"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.npy"]
    with _files.written_whole(path) as file:
        file.write(b"new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["out.npy"]


def test_a_failing_picture_is_reported_and_leaves_nothing(
    tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    out = tmp_path / "out"
    monkeypatch.setattr("fastspec.display.picture", fail)
    said = fastspec("spectrogram", tone, "-o", out, code=1)
    assert "tone.wav: no space left" in said
    assert not list(out.iterdir())


def test_presets_and_doctor() -> None:
    assert "whisper-large-v3" in fastspec("presets")
    assert "jik876/hifi-gan" in fastspec("presets", "hifi-gan")
    assert "did you mean" in fastspec("presets", "hifigan", code=2)
    result = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    assert result.exit_code in (0, 1)
    for word in ("torch", "native kernels", "CUDA", "CuPy", "Triton", "cpu tensors"):
        assert word in result.output


def test_bench_prints_a_table() -> None:
    said = fastspec("bench", "whisper", "encodec-disc", "--seconds", 0.5, "--budget", 0.05)
    assert "faster" in said
    assert "encodec-disc" in said
    assert "backward" in fastspec("bench", "hifi-gan", "--seconds", 0.5, "--budget", 0.05, "--backward")
    assert "did you mean" in fastspec("bench", "whispr", code=2)
    assert "seconds" in fastspec("bench", "whisper", "--seconds", -1, code=2)


def test_as_a_module_and_its_help(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "fastspec", "spectrogram", SPEECH, tmp_path / "absent.wav", "-o", out]
    done = subprocess.run([*map(str, command), "--format", "npy"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "absent.wav" in done.stderr
    assert "Traceback" not in done.stderr
    assert np.load(out / "speech.npy").shape == (1, 80, 444)
    assert fastspec("--version").startswith("fastspec ")
    assert "--preset" in fastspec("spectrogram", "--help")


@pytest.mark.parametrize(
    ("options", "module"),
    [
        (["--kind", "cqt", "--n-bins", 48, "--bins-per-octave", 12, "--hop-length", 200], "CQT"),
        (["--kind", "vqt", "--f-min", 110, "--gamma", 5, "--hop-length", 200], "VQT"),
        (["--kind", "chroma"], "Chroma"),
        (["--kind", "gammatone", "--n-fft", 1024], "Gammatonegram"),
    ],
)
def test_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list, module: str) -> None:
    """Arrays of the layers' shapes, and A4 drawn at its label or between its neighbours."""
    sound = tmp_path / "a4.wav"
    soundfile.write(sound, 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000), 16000)
    fastspec("spectrogram", sound, "-o", tmp_path / "out.npy", *options)
    values = np.load(tmp_path / "out.npy")[0]
    rows = {"CQT": 48, "VQT": 144, "Chroma": 12, "Gammatonegram": 64}
    assert values.shape[0] == rows[module]
    axes = drawn_axes(monkeypatch)
    fastspec("spectrogram", sound, "-o", tmp_path / "out.png", *options)
    places = {
        label.get_text(): tick for label, tick in zip(axes[0].get_yticklabels(), axes[0].get_yticks(), strict=True)
    }
    peak = values.sum(axis=1).argmax()
    if module == "Chroma":
        assert peak == 9 == round(places["A"])
    elif module == "Gammatonegram":
        assert places["200"] < peak < places["500"]
    else:
        low, high = places["C3"], places["C4"]
        assert abs(peak - (high + 0.75 * (high - low))) < 0.6


def test_notes_refuse(tmp_path: Path, tone: Path) -> None:
    said = fastspec("spectrogram", tone, "-o", tmp_path / "out.png", "--kind", "cqt", "--n-fft", 512, code=2)
    assert "--n-fft does not apply to --kind cqt" in said
    said = fastspec("spectrogram", tone, "-o", tmp_path / "out.png", "--kind", "cqt", "--n-bins", 300, code=2)
    assert "n_bins = 300" in said
