"""What a user installs: the built wheel, opened and used where no checkout and no editable install help it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import NO_NATIVE

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(NO_NATIVE, reason="FASTSPEC_NO_NATIVE=1")

USE = """
import sys
sys.path[:0] = {paths!r}
import torch, fastspec
assert fastspec.__file__.startswith({target!r}), fastspec.__file__
x = torch.randn(2, 8000, requires_grad=True)
out = fastspec.transforms.MelSpectrogram(backend="cpu", log="ln")(x)
out.sum().backward()
assert torch.isfinite(x.grad).all() and out.shape == (2, 128, 41)
from importlib.resources import files
assert (files("fastspec.kernels") / "common" / "butterflies.h").is_file()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("fastspec-*.whl")
    return path


def test_contents(wheel):
    assert "-cp310-abi3-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "_native.abi3.so",
        "libfastspec.so",
        "_native.pyi",
        "ops/spectral_power/_cpu.py",
        "kernels/README.md",
        "kernels/common/framing.h",
        "kernels/cpu/fastspec.h",
        "kernels/cpu/spectral_power.cc",
    ):
        assert f"fastspec/{name}" in names, name
    libraries = [name for name in names if ".so" in name]
    assert len(libraries) == 2, f"copies of libraries: {libraries}"
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_installed(wheel, tmp_path):
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, wheel]
    subprocess.run(command, check=True, capture_output=True)
    site = [path for path in sys.path if path.endswith("-packages")]
    code = USE.format(paths=[str(target), *site], target=str(target))
    # -S: no .pth files, so the editable install's import hook is not there
    run = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
