"""Everything on a real GPU: python -m gpu.on_gpu (make test-gpu).

1. `on_device`: values, gradients, a stream and a CUDA graph, with tensors that live on the GPU.
2. The op tests: the same cases and the same float64 truth, each launch carried to the GPU (tests/conftest.py).
3. A few of them under compute-sanitizer (memcheck, racecheck, initcheck), where it is installed.
4. The benchmark by CUDA events: bench/results/<gpu>.csv.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

import torch

from fastspec.ops import spectral_power
from fastspec.plan import Ending, FramePlan

from .compile import ROOT

PYTEST = (sys.executable, "-m", "pytest", "-q", "tests/test_ops.py", "-k")
OURS = "cuda"
SANITIZED = "n400-h160-T2000 or n1024-h256-T4096 or n16-h4-T64 or n600-h151"


def missing() -> str | None:
    """Why there is nothing to run on."""
    if not torch.cuda.is_available():
        built = torch.version.cuda or "without CUDA"
        return f"no GPU that torch can use (torch {torch.__version__}, built {built})"
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    return None


def on_device() -> None:
    """What the carried tests cannot see: the default choice, autograd, streams and graphs on CUDA tensors."""
    plan, ending = FramePlan.make(1024, 256), Ending.make(2.0, log="log10")
    x, window = torch.randn(3, 20000, device="cuda", requires_grad=True), torch.hann_window(1024, device="cuda")
    bank = torch.rand(plan.n_bins, 80, device="cuda")
    far = spectral_power(x, window, bank, plan, ending)
    seed = torch.randn_like(far)
    (grad,) = torch.autograd.grad(far, x, seed)
    near = x.detach().double().cpu().requires_grad_()
    truth = spectral_power(near, window.double().cpu(), bank.double().cpu(), plan, ending, "reference")
    (true_grad,) = torch.autograd.grad(truth, near, seed.double().cpu())
    for what, got, true in (("value", far, truth), ("gradient", grad, true_grad)):
        error = ((got.cpu() - true).abs().max() / true.abs().max()).item()
        print(f"{what}: error {error:.1e} of the largest", file=sys.stderr)
        if not error < 1e-4:
            sys.exit(f"make test-gpu: {what} on the GPU is off by {error:.1e}")
    x, out = x.detach(), torch.empty_like(far)
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        spectral_power(x, window, bank, plan, ending, out=out)
    stream.synchronize()
    expected = out.clone()
    with torch.cuda.graph(graph):
        spectral_power(x, window, bank, plan, ending, out=out)
    out.zero_()
    graph.replay()
    torch.cuda.synchronize()
    if not (torch.equal(out, expected) and torch.equal(out, far.detach())):
        sys.exit("make test-gpu: a stream or a CUDA graph gives other values")


def main() -> None:
    if reason := missing():
        sys.exit(f"make test-gpu: {reason}")
    on_device()
    environment = os.environ | {"FASTSPEC_TEST_GPU": "1"}
    steps: list[tuple[str, list[str]]] = [("op tests", [*PYTEST, OURS])]
    sanitizer = shutil.which("compute-sanitizer")
    for tool in ("memcheck", "racecheck", "initcheck") if sanitizer else ():
        command = [sanitizer or "", "--tool", tool, "--error-exitcode", "1", *PYTEST, f"cuda and ({SANITIZED})"]
        steps.append((f"compute-sanitizer {tool}", command))
    if sanitizer is None:
        print("compute-sanitizer is not installed: LEFT OUT", file=sys.stderr)
    steps.append(("benchmark", [sys.executable, "-m", "bench.gpu"]))
    failed = []
    for name, command in steps:
        print(f"== {name}", file=sys.stderr, flush=True)
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"make test-gpu: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
