"""The examples run, quickly, and show what they are meant to show."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *options):
    command = [sys.executable, EXAMPLES / name, "--quick", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_learn_tones(tmp_path):
    """Even in seconds a front end that learns beats one that does not."""
    text = run("learn_tones.py", "--out", tmp_path / "tones.png")
    errors = {
        name: (float(f), float(t)) for name, f, t in re.findall(r"(?m)^(\w+), .*?([\d.e-]+) +([\d.e-]+) +\d", text)
    }
    assert set(errors) == {"STFT", "mel"}
    assert all(trained < fixed for fixed, trained in errors.values()), text
    assert errors["STFT"][1] < errors["STFT"][0] / 2, text
    assert (tmp_path / "tones.png").read_bytes().startswith(b"\x89PNG")


def test_keyword_classifier():
    """Far better than one in four."""
    right = [float(percent) for percent in re.findall(r"([\d.]+)% of 400", run("keyword_classifier.py"))]
    assert len(right) == 2
    assert min(right) > 50


def test_reconstruct(tmp_path):
    text = run("reconstruct.py", "--out", tmp_path)
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith(("| music", "| speech"))]
    assert len(rows) == 14
    assert len(list(tmp_path.glob("*.wav"))) == 14
    for row in rows:
        if "complex" in row[1]:
            assert float(row[2]) > 130
        elif "no rounds" not in row[1]:
            assert float(row[3]) < -10
