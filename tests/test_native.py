"""The native library itself: every instruction set, threads, forks, memory, and what lies in the package."""

import copy
import ctypes
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from cases import CASES, DENSE_CASES, ENDING_CASES, ENDINGS, Case, DenseCase, centred, make_bank, signals
from conftest import NO_NATIVE

import fastspec
from fastspec.ops import frame_transform, overlap_add, spectral_power
from fastspec.plan import Ending, FramePlan

if NO_NATIVE:
    pytest.skip("FASTSPEC_NO_NATIVE=1", allow_module_level=True)

from test_ops import check_linear_ops, check_power

from fastspec import _native
from fastspec.ops import _cpu as native
from fastspec.ops import _few_rows
from fastspec.ops.spectral_power import _cpu as native_power
from fastspec.ops.spectral_power import reference as reference_power

LOG_MEL = Ending.make(2.0, log="ln", floor=1e-5)
LEVELS = {"avx512": "avx512vl", "avx2": "avx2", "neon": "asimd", "baseline": ""}
FLAGS = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""


@pytest.fixture
def simd(request):
    """Run with the dispatch forced down to one level."""
    before = _native.simd_level()
    _native.set_simd_level(request.param)
    yield request.param
    _native.set_simd_level(before)


def levels():
    """What this machine can run, by its own account and not by the library's."""
    baseline = "neon" if "asimd" in FLAGS else "baseline"
    return [name for name, flag in LEVELS.items() if name == baseline or (flag and flag in FLAGS.split())]


@pytest.mark.parametrize("simd", levels(), indirect=True)
def test_every_level(simd, nan_memory, monkeypatch):
    assert _native.simd_level() == simd
    for case in CASES + DENSE_CASES:
        check_linear_ops(case, "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(_few_rows, "suits", lambda plan: False)
        for case in DENSE_CASES:
            check_linear_ops(case, "cpu")
            check_power(case, ENDINGS[0], None, "cpu")
    for ending in ENDINGS:
        for case in ENDING_CASES[:3]:
            check_power(case, ending, None, "cpu")
            check_power(case, ending, make_bank(case.plan.n_bins, 8, case.dtype), "cpu")


@pytest.mark.parametrize("simd", levels(), indirect=True)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "sizes", [{"T": 37 * 1002, "B": 6, "n_fft": 400, "hop": 37}, {"T": 512 * 60, "B": 9, "n_fft": 4096, "hop": 512}]
)
def test_rows_past_the_caches(simd, sizes, dtype, threads):
    """Large results go past the caches, by whole lines and in parts; small ones do not, and are the same."""
    case = Case(**sizes, dtype=dtype)
    x, window = signals(case)
    magnitude = Ending.make(1.0)
    for op in (
        lambda x, out=None: spectral_power(x, window, None, case.plan, magnitude, "cpu", out=out),
        lambda x, out=None: frame_transform(x, window, case.plan, "cpu", out=out),
    ):
        small = [op(clip) for clip in x.split(1)]
        expected = torch.cat(small)
        limit = 4 << 20
        assert small[0].nbytes < limit < expected.nbytes
        for n, offset in ((1, 3), (1, 8), (2, 0)):
            threads(n)
            memory = torch.full((expected.numel() + 32,), torch.nan, dtype=expected.dtype)
            before, out, after = memory.split([offset, expected.numel(), 32 - offset])
            op(x, out=out.view_as(expected))
            assert torch.equal(out.view_as(expected), expected), f"{n} threads, {offset} in front"
            assert before.isnan().all()
            assert after.isnan().all()


def test_best_level_is_the_default():
    level = subprocess.run(
        [sys.executable, "-c", "from fastspec import _native; print(_native.simd_level())"],
        env={k: v for k, v in os.environ.items() if k != "FASTSPEC_SIMD"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert level.stdout.strip() == levels()[0]


def test_level_from_the_environment():
    lowest = levels()[-1]
    code = "from fastspec import _native; print(_native.simd_level())"
    env = os.environ | {"FASTSPEC_SIMD": lowest}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == lowest
    with pytest.raises(ValueError, match="argument"):
        _native.set_simd_level("avx1024")


LONG = Case(120_000, 2, 512, 128)


def everything(case=LONG):
    """A log-mel and its gradients: bits to compare."""
    x, window = signals(case)
    bank = make_bank(case.plan.n_bins, 20, case.dtype)
    x.requires_grad_(), window.requires_grad_()
    out = spectral_power(x, window, bank, case.plan, LOG_MEL, "cpu")
    return [out.detach(), *torch.autograd.grad(out, (x, window), torch.ones_like(out))]


def same_bits(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", [LONG, Case(90_001, 1, 400, 37), Case(30_000, 1, 4096, 64)], ids=str)
def test_any_number_of_threads_gives_the_same_bits(case, threads):
    threads(1)
    alone = everything(case)
    for n in (2, 3, 7):
        threads(n)
        assert same_bits(everything(case), alone), f"{n} threads"


def dense_products(rows):
    case = DenseCase(60_000, 2, 512, 128, centred(512, *range(512, 512 - 4 * rows, -4)))
    x, basis = signals(case)
    x.requires_grad_(), basis.requires_grad_()
    y = frame_transform(x, basis, case.plan, "cpu").detach()
    u = spectral_power(x, basis, None, case.plan, Ending.make(1.0, log="log1p"), "cpu")
    grads = torch.autograd.grad(u, (x, basis), torch.ones_like(u))
    return y, u.detach(), *grads, overlap_add(y, basis.detach(), case.plan, case.T, "cpu")


@pytest.mark.parametrize("rows", [8, 80])
def test_dense_products_too(rows, threads):
    threads(1)
    alone = dense_products(rows)
    for n in (2, 5):
        threads(n)
        assert same_bits(dense_products(rows), alone), f"{n} threads"


@pytest.mark.parametrize("number", [0, -1, -(2**31), 2**29, 2**30, 2**31 - 1])
def test_any_number_of_threads_is_no_error(number, threads, monkeypatch):
    """A C caller may leave the field at zero, or set it to a limit that no machine reaches."""
    many = Case(64, 60_000, 64, 16)

    def results():
        return *everything(), *everything(many), *dense_products(80)

    threads(1)
    alone = results()
    monkeypatch.setattr(torch, "get_num_threads", lambda: number)
    assert same_bits(results(), alone)


TORCHS_THREADS = """
import os, torch
from fastspec.ops import frame_transform
from fastspec.plan import FramePlan
torch.set_num_threads(3)
x = torch.ones(2, 300_000)
x + x
before = len(os.listdir("/proc/self/task"))
frame_transform(x, torch.ones(512), FramePlan.make(512, 128), "cpu")
print(before, len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "GOMP_parallel"), reason="this torch does without OpenMP")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_threads_are_those_that_torch_has():
    """Others would wait for the processors on which torch's go on spinning."""
    out = subprocess.run([sys.executable, "-c", TORCHS_THREADS], capture_output=True, text=True, check=True)
    before, more = map(int, out.stdout.split())
    assert before >= 3
    assert more == 0


def test_many_callers_at_once(threads):
    threads(3)
    expected = everything()
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: everything(), range(32)):
            assert same_bits(result, expected)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child(threads):
    """A DataLoader worker is a fork of a process whose pool has run: it must neither hang nor differ.

    The child calls our kernels alone: torch's own parallel loops hang there (libgomp), which is not ours to test.
    """
    threads(2)
    x, window = signals(LONG)
    bank = make_bank(LONG.plan.n_bins, 20, LONG.dtype)
    grad = torch.ones(2, 20, LONG.plan.n_frames(LONG.T))

    def kernels():
        out = spectral_power(x, window, bank, LONG.plan, LOG_MEL, "cpu")
        grads = native_power.backward(grad, x, window, bank, LONG.plan, LOG_MEL, True, True)
        return [sha256(t.numpy()).hexdigest() for t in (out, *grads)]

    expected = kernels()
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def child():
        queue.put(kernels())

    process = context.Process(target=child)
    process.start()
    timer = threading.Timer(60, process.kill)
    timer.start()
    process.join()
    timer.cancel()
    assert process.exitcode == 0, "the child hung or died"
    assert queue.get() == expected


FORKED = """
import os, signal, torch
import fastspec.functional as F
torch.set_num_threads(2)
x = torch.ones(2, 300_000)
x + x
child = os.fork()
if child == 0:
    signal.alarm(30)
    F.stft(x, 512)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_calls_first():
    """The parent has imported fastspec and no more; torch's threads, which it has used, are not there in the child."""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_others_build_and_call():
    """Whatever the other threads of the parent hold at that moment, the child must be able to go on."""
    stop = threading.Event()

    def call(lengths):
        for n_fft in lengths:
            if stop.is_set():
                return
            x = torch.zeros(1, n_fft)
            frame_transform(x, torch.zeros(n_fft), FramePlan.make(n_fft, n_fft, center=False), "cpu")

    x, window = signals(LONG)
    callers = [threading.Thread(target=call, args=(range(start, 9000, 3),)) for start in (5000, 5001, 5002)]
    for caller in callers:
        caller.start()
    hung = 0
    for _ in range(40):
        pid = os.fork()
        if pid == 0:
            frame_transform(x, window, LONG.plan, "cpu")
            os._exit(0)
        deadline = time.monotonic() + 20
        while os.waitpid(pid, os.WNOHANG) == (0, 0) and not hung:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                hung += 1
            time.sleep(0.002)
    stop.set()
    for caller in callers:
        caller.join()
    assert not hung


OUT_OF_MEMORY = """
import resource, torch
from fastspec.ops import frame_transform
from fastspec.plan import FramePlan
n_fft = 65536
plan = FramePlan.make(n_fft, n_fft, center=False)
x, window = torch.ones(1, n_fft), torch.ones(n_fft)
frame_transform(x[:, :512], torch.ones(512), FramePlan.make(512, 512, center=False), "cpu")
used = int(open("/proc/self/statm").read().split()[0]) * 4096
unlimited = resource.getrlimit(resource.RLIMIT_AS)
failures = 0
for spare in range(0, 40 << 20, 1 << 18):
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, unlimited[1]))
    try:
        y = frame_transform(x, window, plan, "cpu")
    except (MemoryError, RuntimeError):
        failures += 1
        continue
    finally:
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
    break
y = frame_transform(x, window, plan, "cpu")
assert abs(y[0, 0, 0].real.item() - n_fft) < 1
print(failures)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS and /proc")
def test_out_of_memory_is_an_error_and_nothing_more():
    run = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 5, "memory never ran out"


def test_bad_numbers_never_reach_the_kernels():
    """The C interface checks again: a wrong caller gets a ValueError, not a crash."""
    x, window, y = torch.zeros(1, 100), torch.zeros(16), torch.zeros(1, 9, 50, dtype=torch.complex64)
    address = (x.data_ptr(), 100, 0, window.data_ptr(), y.data_ptr())
    good = _native.Frames(16, 4, 16, 8, 2, True)
    _native.frame_transform(good, 1, 100, 26, 0, 1, *address)
    for plan, frames in [
        (good, 27),
        (good, -1),
        (_native.Frames(1, 4, 1, 8, 2, True), 1),
        (_native.Frames(16, 0, 16, 8, 2, True), 1),
        (_native.Frames(16, 4, 17, 8, 2, True), 1),
        (_native.Frames(16, 4, 16, 100, 2, True), 1),
        (_native.Frames(16, 4, 16, 8, 9, True), 1),
    ]:
        with pytest.raises(ValueError, match="argument"):
            _native.frame_transform(plan, 1, 100, frames, 0, 1, *address)
    for multiplier in (torch.inf, -torch.inf, torch.nan):
        ending = _native.Ending(2.0, 0.0, 1, multiplier, 1e-5, False, 1.0)
        with pytest.raises(ValueError, match="argument"):
            _native.spectral_power(good, 1, 100, 26, 0, 1, *address[:4], native.NO_BANK, ending, y.data_ptr())
    with pytest.raises(ValueError, match="argument"):
        _native.frame_transform(good, 1, 100, 26, 0, 1, 0, 100, 0, window.data_ptr(), y.data_ptr())


def test_bad_dense_numbers_never_reach_the_kernels():
    ends, offset = torch.tensor([[0, 3], [8, 5]]), torch.tensor([0, 8])
    far = torch.tensor([0, 2**63 - 4])
    start, stop = (row.data_ptr() for row in ends)
    array = torch.zeros(2000)
    good = 2, 10, start, stop, offset.data_ptr(), 0, 1
    assert _native.dense_size(*good, 1) > 0
    assert _native.dense_size(*good, 0) == 0
    for rows in (
        (0, *good[1:]),
        (2, 9, *good[2:]),  # taps beyond the basis
        (2, 10, stop, start, *good[4:]),
        (2, 10, 0, *good[3:]),
        (*good[:5], 7, 1),
        (2, 2**62, start, stop, far.data_ptr(), 0, 1),  # their sum would overflow
    ):
        assert _native.dense_size(*rows, 1) == 0
        with pytest.raises(ValueError, match="argument"):
            _native.dense_pack(*rows, 1, array.data_ptr(), array.data_ptr())
        assert _native.dense_shared_size(*rows, 1) == (0, 0)
        with pytest.raises(ValueError, match="argument"):
            _native.dense_shared_pack(*rows, 1, array.data_ptr(), array.data_ptr())
    for tile in ((0, 1, 1, 0), (1, 0, 1, 0), (1, 1, 0, 0), (1, 1, 1, -1)):
        for call in (_native.dense_transform, _native.dense_gradient, _native.dense_shared_adjoint):
            with pytest.raises(ValueError, match="argument"):
                call(*good, *tile, array.data_ptr(), array.data_ptr(), array.data_ptr())
    with pytest.raises(ValueError, match="argument"):  # clips that overlap
        _native.dense_shared_adjoint(*good, 2, 4, 1, 10, array.data_ptr(), array.data_ptr(), array.data_ptr())
    for low, high in ((3, 3), (-1, 3)):
        with pytest.raises(ValueError, match="argument"):
            _native.dense_frames(*good, 1, 1, 1, 0, array.data_ptr(), array.data_ptr(), low, high, array.data_ptr())
    nothing, order = (0, 0, 0), torch.tensor([0, 2])  # there is no row 2
    with pytest.raises(ValueError, match="argument"):
        _native.dense_store(*good, 1, 1, 1, 0, array.data_ptr(), order.data_ptr(), *nothing, None, *nothing)
    with pytest.raises(ValueError, match="argument"):
        _native.dense_load(*good, 1, 1, 1, 0, *nothing, None, *nothing, order.data_ptr(), array.data_ptr())


GUARDED = """
import ctypes, mmap, torch
from fastspec import _native
from fastspec.ops import frame_transform
from fastspec.plan import FramePlan
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 16 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + 15 * page), ctypes.c_size_t(page), 0) == 0
for level in {levels}:
    _native.set_simd_level(level)
    for n_fft in range(2, 20):
        for hop in range(1, 20):
            for M in (1, 8, 16, 32, 33):
                T = hop * (M - 1) + n_fft
                x = torch.frombuffer(memory, dtype=torch.float32, count=T, offset=15 * page - 4 * T)
                frame_transform(x[None], torch.ones(n_fft), FramePlan.make(n_fft, hop, center=False), "cpu")
print("all")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
def test_nothing_is_read_behind_the_samples():
    run = subprocess.run([sys.executable, "-c", GUARDED.format(levels=levels())], capture_output=True, text=True)
    assert run.stdout == "all\n", run.stderr


def test_no_frames():
    """Nothing to transform is fine through the C interface: gradients are zeros."""
    x, window = torch.ones(2, 100), torch.full((16,), torch.nan)
    plan, ending, bank = _native.Frames(16, 4, 16, 8, 2, True), native.ending_of(LOG_MEL), native.NO_BANK
    work, address = (2, 100, 0, 0, 1), (x.data_ptr(), 100, 0)
    _native.frame_transform(plan, *work, *address, window.data_ptr(), x.data_ptr())
    _native.spectral_power(plan, *work, *address, window.data_ptr(), bank, ending, x.data_ptr())
    _native.basis_grad(plan, *work, *address, x.data_ptr(), window.data_ptr())
    assert (x == 1).all()
    assert (window == 0).all()
    window.fill_(torch.nan)
    _native.spectral_power_backward(
        plan, *work, x.data_ptr(), *address, window.data_ptr(), bank, ending, x.data_ptr(), window.data_ptr()
    )
    assert (x == 0).all()
    assert (window == 0).all()


def test_hop_far_beyond_the_clip():
    """Work follows the samples, not the hop."""
    case = Case(2000, 2, 64, 2**31 - 1)
    check_linear_ops(case, "cpu")


def test_unknown_level_in_the_environment_is_named():
    code = "import torch, fastspec.functional as F; F.stft(torch.ones(800), 400)"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"FASTSPEC_SIMD": "avx3"}, capture_output=True, text=True
    )
    assert run.returncode == 0
    assert "FASTSPEC_SIMD='avx3'" in run.stderr


@pytest.mark.parametrize("simd", levels(), indirect=True)
def test_largest_and_smallest_magnitudes(simd):
    """A single sample has its own size as magnitude in every bin, up to where |y|^2 leaves float32."""
    case = Case(16, 1, 16, 16, pad="none")
    for size in (1e-18, 1e-10, 1.0, 1e10, 1.75e19, 1.84e19):
        x = torch.zeros(1, 16)
        x[0, 3] = size
        out = spectral_power(x, torch.ones(16), None, case.plan, Ending.make(1.0), "cpu")
        assert (out / size - 1).abs().max() < 1e-5, size


def large(dtype=torch.complex64):
    """A result in memory of our own, not in torch's."""
    x = torch.ones(2, 300_000, dtype=dtype.to_real())
    y = frame_transform(x, torch.ones(512, dtype=x.dtype), FramePlan.make(512, 128), "cpu")
    assert y.numel() * y.element_size() > native.LARGE
    return y


def test_memory_of_large_results_is_used_again():
    fastspec.empty_cache()
    y, z = large(), large()
    held = y.data_ptr(), z.data_ptr()
    assert held[0] != held[1]
    expected = y.clone()
    view = y[1, 3:, :4]
    del y
    assert large().data_ptr() not in held, "a view still has it"
    del view
    fastspec.empty_cache()
    y = large()
    address = y.data_ptr()
    del y
    again = large()
    assert again.data_ptr() == address
    assert torch.equal(again, expected)
    assert torch.equal(z, expected)
    assert large(torch.complex128).dtype == torch.complex128


KEPT = """
import torch, fastspec
from fastspec.ops import _cpu
pages = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
_cpu.empty((2, 1 << 20), torch.float32).fill_(1)
fastspec.empty_cache()
before = pages()
held = [_cpu.empty((n, 1 << 20), torch.float32).fill_(1) for n in (2, 5, 9)]
del held
for n in (3, 4, 7, 8, 11, 12):
    _cpu.empty((n, 1 << 20), torch.float32).fill_(1)
kept = pages() - before
fastspec.empty_cache()
print(kept, pages() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_more_memory_is_kept_than_was_in_use():
    """67 MB were in use at one time; 256 MB came and went, of all sizes, here rounded up by an eighth at most."""
    out = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True)
    kept, left = map(float, out.stdout.split())
    assert 40 < kept < 80
    assert left < 4


def test_large_results_are_tensors_like_others():
    y = large()
    expected = y.clone()
    assert y.is_leaf
    assert y.is_contiguous()
    assert y._base is None
    assert torch.equal(pickle.loads(pickle.dumps(y)), expected)
    assert torch.equal(copy.deepcopy(y), expected)
    assert y.numpy().ctypes.data == y.data_ptr()
    assert torch.equal(y.share_memory_(), expected)
    assert y.is_shared()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_has_memory_of_its_own(threads):
    """A child frees what its parent made, and takes no memory that the parent keeps or holds."""
    threads(1)
    y = large()
    expected = sha256(y.numpy()).hexdigest()
    pid = os.fork()
    if pid == 0:
        y.numpy()[:] = 0
        del y
        same = all(sha256(large().numpy()).hexdigest() == expected for _ in range(3))
        os._exit(0 if same else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert sha256(y.numpy()).hexdigest() == expected


def test_large_results_on_many_threads():
    expected = large()
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: large(), range(64)):
            assert torch.equal(result, expected)


def test_large_result_without_memory_is_an_error():
    with pytest.raises(RuntimeError, match="memory"):
        native.empty((1 << 20, 1 << 30), torch.float32)
    for sizes in ([1 << 40, 1 << 40], [1 << 31, 1 << 31, 4]):  # their products overflow
        assert _native.empty(sizes, native.REAL, 4) is None


PEAK = """
import torch, fastspec
from fastspec.transforms import MelSpectrogram
torch.set_num_threads(1)
mel = MelSpectrogram(22050, 1024, hop_length=256, n_mels=80, log="ln", floor=1e-5)
def step(x):
    x.grad = None
    out = mel(x)
    out.backward(torch.ones((), dtype=out.dtype).expand_as(out))
    return out
step(torch.randn(1, 22050, requires_grad=True))
x = torch.randn(16, 30 * 22050, requires_grad=True)
x.sum().item()
open("/proc/self/clear_refs", "w").write("5")
status = lambda key: int(open("/proc/self/status").read().split(key + ":")[1].split()[0])
before = status("VmRSS")
out = step(x)
wanted = (out.numel() * 2 + x.numel()) * 4 / 1024
print(status("VmHWM") - before - wanted, wanted)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory_is_the_results():
    """log-mel forward and backward: output, its gradient (made dense), the waveform's gradient and a few MB."""
    out = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    extra, wanted = map(float, out.stdout.split())
    assert wanted > 40_000
    assert extra < 6_000, f"{extra:.0f} kB beyond the {wanted:.0f} kB of results"


def test_out_is_written_in_place():
    x, window = signals(LONG)
    expected = spectral_power(x, window, None, LONG.plan, LOG_MEL, "cpu")
    out = torch.full_like(expected, torch.nan)
    assert spectral_power(x, window, None, LONG.plan, LOG_MEL, "cpu", out=out) is out
    assert torch.equal(out, expected)


def test_rows_may_lie_apart():
    """A slice of a longer recording is read where it lies; anything odder is copied first."""
    case = Case(3000, 2, 400, 160)
    x, window = signals(case)
    expected = frame_transform(x, window, case.plan, "cpu")
    wide = torch.zeros(2, 5000)
    wide[:, 700:3700] = x
    assert torch.equal(frame_transform(wide[:, 700:3700], window, case.plan, "cpu"), expected)
    assert torch.equal(frame_transform(x.mT.contiguous().mT, window, case.plan, "cpu"), expected)
    assert torch.equal(frame_transform(x[:1].expand(2, -1), window, case.plan, "cpu")[1], expected[0])


@pytest.mark.parametrize("n_fft", [65536, 65535, 65521, 40_000])
def test_largest_frames(n_fft):
    case = Case(n_fft + 1000, 1, n_fft, 500, pad="none")
    check_linear_ops(case, "cpu")


def test_slope_of_a_logarithm_of_negative_numbers():
    """A trained bank may leave u + floor below 0: the value is NaN everywhere, the slope that of the reference."""
    case = Case(600, 1, 64, 16)
    x, window = signals(case)
    bank = -make_bank(case.plan.n_bins, 5, case.dtype)
    grad = torch.ones(1, 5, case.plan.n_frames(case.T))
    for ending in (Ending.make(2.0, log="ln", floor=1e-3, floor_mode="add"), Ending.make(2.0, log="db")):
        native = native_power.backward(grad, x, window, bank, case.plan, ending, True, True)
        plain = reference_power.backward(grad, x, window, bank, case.plan, ending, True, True)
        for ours, theirs in zip(native, plain, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())


def test_infinity_and_nan_stay_in_their_frames():
    case = Case(4000, 1, 256, 64, pad="constant")
    x, window = signals(case)
    clean = spectral_power(x, window, None, case.plan, LOG_MEL, "cpu")
    for bad in (torch.nan, torch.inf, -torch.inf):
        x[0, 2000] = bad
        out = spectral_power(x, window, None, case.plan, LOG_MEL, "cpu")
        starts = torch.arange(out.shape[2]) * 64 - 128
        holds = (starts <= 2000) & (2000 < starts + 256)
        assert not out[0, :, holds].isfinite().any()
        assert torch.equal(out[0, :, ~holds], clean[0, :, ~holds])


# ---- the package -------------------------------------------------------------------------------------------------


def test_kernels_are_in_the_package():
    kernels = files("fastspec.kernels")
    for name in ("common/butterflies.h", "cpu/fastspec.h", "cpu/fft.cc"):
        folder, file = name.split("/")
        assert (kernels / folder / file).is_file(), name


def test_c_interface(tmp_path):
    """A C program against the installed library, no Python in it."""
    root, library = Path(__file__).parents[1], Path(_native.__file__).parent
    program = tmp_path / "check"
    flags = [f"-I{root}/kernels/cpu", f"-L{library}", "-lfastspec", "-lm", f"-Wl,-rpath,{library}"]
    subprocess.run(["cc", root / "tests" / "check.c", "-o", program, *flags], check=True)
    for level in levels():
        run = subprocess.run([program], env=os.environ | {"FASTSPEC_SIMD": level}, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout
        assert run.stdout.startswith(f"{level}: 52 cases, all agree")


def test_no_shared_inline_functions():
    """An inline function outside a build's namespace could be linked from the AVX-512 objects into every CPU's path."""
    root = Path(__file__).parents[1] / "build"
    objects = [p for p in root.glob("cp*/CMakeFiles/*/kernels/cpu/*.o") if p.parts[-4].split("_")[0] in LEVELS]
    assert len(objects) >= 12, f"no objects of the editable build under {root}"
    for path in objects:
        namespace = path.parts[-4].removesuffix(".dir")
        symbols = subprocess.run(["nm", "-C", path], capture_output=True, text=True, check=True).stdout
        for line in symbols.splitlines():
            _, kind, name = line[:16], line[17], line[19:]
            assert kind not in "WVu" or namespace in name or name.startswith("DW.ref."), f"{path.name}: {name}"
