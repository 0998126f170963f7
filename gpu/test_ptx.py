"""The interpreter on small kernels: what they compute, every check on a planted bug, counts known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gpu import ptx
from gpu.compile import compile_source

N = 64
HEAD = """
extern __shared__ float dynamic[];
extern "C" __global__ void kernel(const float *x, float *y, int n) {
  const int i = threadIdx.x, block = blockIdx.x * blockDim.x;
  __shared__ float s[64];
"""


def run(body: str, grid=1, n: int = N, x=None, y=None, **options):
    """A kernel of 64 threads with this body, on x = 0, 1, 2 ... and y = NaN."""
    code, _ = compile_source(HEAD + body + "\n}", "test.cu", "compute_80", ["-std=c++17"])
    x = ptx.aligned(np.arange(grid * N, dtype=np.float32)) if x is None else x
    y = ptx.aligned(np.full(grid * N, np.nan, np.float32)) if y is None else y
    machine = ptx.launch(ptx.parse(code.decode()), "kernel", (grid,), (N,), [x, y, n], **options)
    return machine, x, y


CLEAN = "s[i] = x[block + i]; __syncthreads(); y[block + i] = s[63 - i];"


def test_a_clean_kernel():
    machine, x, y = run(CLEAN, grid=300)
    assert not machine.problems
    assert np.array_equal(y.reshape(300, 64), x.reshape(300, 64)[:, ::-1])


def test_sums_in_turn_within_a_warp():
    """Lanes that add to each other's cells, a warp barrier between: no race."""
    body = "s[i] = x[i]; __syncwarp(); s[i ^ 1] += 1.f; __syncwarp(); s[i] += 1.f; y[i] = s[i];"
    machine, x, y = run(body)
    assert not machine.problems
    assert np.array_equal(y, x + 2)


RAISES = {
    "read beyond": ("y[i] = x[i + 1];", "out-of-bounds global access"),
    "write before": ("y[i - 1] = x[i];", "out-of-bounds global access"),
    "no array at all": ("y[i] = *(const float *)((long long)n << 40);", "out-of-bounds|wild"),
    "beyond shared": ("s[i] = x[i]; __syncthreads(); y[i] = s[i + n / 32];", "out-of-bounds shared access"),
    "beyond dynamic shared": ("dynamic[i] = x[i]; __syncthreads(); y[i] = dynamic[i];", "out-of-bounds shared access"),
    "shared never written": ("if (i < 63) s[i] = x[i]; __syncthreads(); y[i] = s[i];", "never written"),
    "output read": ("y[i] += x[i];", "never written"),
    "misaligned": ("*(float2 *)(y + i) = make_float2(x[i], 0.f);", "misaligned"),
    "shuffle in half a warp": (
        "float v = x[i]; if (i & 1) v += __shfl_xor_sync(0xffffffffu, v * v, 2); y[i] = v;",
        "divergent shuffle",
    ),
    "shuffle from a lane that is not there": (
        "float v = x[i]; if (i & 1) v += __shfl_xor_sync(0xaaaaaaaau, v * v, 1); y[i] = v;",
        "inactive lane",
    ),
    "warp barrier in half a warp": (
        "if (i & 1) { s[i] = x[i]; __syncwarp(); y[i] = s[i]; } else { y[i] = x[i] * 2.f; }",
        "divergent warp barrier",
    ),
    "copy read before it was waited for": (
        "unsigned d = __cvta_generic_to_shared(s + i);"
        'asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" :: "r"(d), "l"(x + i) : "memory");'
        'asm volatile("cp.async.commit_group;"); y[i] = s[i]; asm volatile("cp.async.wait_group 0;");',
        "cp.async is under way",
    ),
}


@pytest.mark.parametrize("what", RAISES)
def test_planted_errors_stop_the_run(what):
    body, message = RAISES[what]
    y = ptx.aligned(np.full(N, np.nan, np.float32))
    with pytest.raises(ptx.PTXError, match=message):
        run(body, y=y, uninitialised=[y])


PROBLEMS = {
    "no barrier": ("s[i] = x[i]; y[i] = s[63 - i];", "shared race|never written"),
    "no barrier before the next round": (
        "s[i] = x[i]; __syncthreads(); float v = s[63 - i]; s[i] = 2.f * v; __syncthreads(); y[i] = s[i];",
        "shared race",
    ),
    "two threads, one word": ("s[i & 62] = x[i]; __syncthreads(); y[i] = s[i & 62];", "same instruction"),
    "warp without warp barrier": (
        "s[i] = x[i]; float v = s[i]; __syncwarp(); s[i ^ 1] = v; y[i] = s[i];",
        "shared race",
    ),
    "two blocks, one word": ("y[i] = x[block + i];", "written by two blocks"),
    "global memory read without barrier": (
        "y[block + i] = x[i]; float v = y[block + (i ^ 32)]; __syncthreads(); y[block + i] = v;",
        "global race",
    ),
    "global memory written without barrier": ("y[block + i] = x[i]; y[block + (i ^ 32)] = x[i];", "global race"),
    "copy never waited for": (
        "unsigned d = __cvta_generic_to_shared(s + i);"
        'asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" :: "r"(d), "l"(x + i) : "memory");'
        'asm volatile("cp.async.commit_group;");',
        "nobody waited",
    ),
    "two places": (
        "if (i < 32) { s[i] = x[i]; __syncthreads(); } else { s[i] = -x[i]; __syncthreads(); } y[i] = s[63 - i];",
        "divergent barriers",
    ),
    "barrier after some have ended": ("if (i >= 32) return; s[i] = x[i]; __syncthreads(); y[i] = s[i];", "have ended"),
}


@pytest.mark.parametrize("what", PROBLEMS)
def test_planted_problems_are_reported(what):
    body, message = PROBLEMS[what]
    try:
        machine, _, _ = run(body, grid=2)
        problems = "; ".join(machine.problems)
    except ptx.PTXError as error:  # a race may show as a read of what is not there yet
        problems = str(error)
    assert any(part in problems for part in message.split("|")), problems or "nothing reported"


def test_warp_barrier_orders_the_lanes_of_a_warp():
    machine, x, y = run("s[i] = x[i]; __syncwarp(); y[i] = s[i ^ 1]; __syncwarp(); s[i] = 0.f;")
    assert not machine.problems
    assert np.array_equal(y, x[np.arange(N) ^ 1])
    machine, _, _ = run("s[i] = x[i]; __syncwarp(); if (i < 32) y[i] = s[i + 32];")  # but not those of another
    assert any("shared race" in problem for problem in machine.problems)


def test_global_memory_between_barriers():
    """A value that comes back after a barrier, the same value twice, and within a warp after its own barrier."""
    body = "y[i] = x[i]; __syncthreads(); y[i] = y[i ^ 32]; __syncwarp(); y[i ^ 1] = y[i] + 1.f; __syncthreads();"
    machine, x, y = run(body + "y[i & 32] = y[0];")
    assert not machine.problems, machine.problems
    assert np.array_equal(y[1:32], (x[np.arange(N) ^ 33] + 1)[1:32])


def test_a_word_that_many_lanes_read_may_be_written_after_a_warp_barrier():
    machine, _, _ = run("if (i < 32) { s[i] = x[i]; __syncwarp(); y[i] = s[0]; __syncwarp(); s[i] = 1.f; }")
    assert not machine.problems


COUNTS = {
    # two warps; x and y lie on 256 bytes
    "coalesced": ("y[i] = x[i];", {"load_sectors": 8, "store_sectors": 8, "block_sectors": 16, "global_": 4}),
    "off by one word": ("if (i) y[i - 1] = x[i];", {"load_sectors": 8, "store_sectors": 9}),
    "every second word": ("if (i < 32) y[i] = x[2 * i];", {"load_sectors": 8, "store_sectors": 4}),
    "one word for all": ("y[i] = x[n - 64];", {"load_sectors": 2, "store_sectors": 8}),
    "float4": (
        "if (i < 16) { float4 v = ((const float4 *)x)[i]; y[i] = v.x + v.y + v.z + v.w; }",
        {"load_sectors": 8, "store_sectors": 2, "fp32": 3},
    ),
    "no conflict": (CLEAN, {"wavefronts": 4, "ideal_wavefronts": 4, "shared": 4}),
    "pairs of lanes in one bank": (
        "if (i < 32) { s[i] = x[i]; s[i + 32] = x[i]; __syncwarp(); y[i] = s[2 * i]; }",
        {"wavefronts": 4, "ideal_wavefronts": 3},
    ),
    "all lanes in one bank": (
        "if (i < 32) dynamic[32 * i] = x[i];",
        {"wavefronts": 32, "ideal_wavefronts": 1, "store_sectors": 0},
    ),
    "a word for all lanes": (
        "s[i] = x[i]; __syncthreads(); y[i] = s[n - 64];",
        {"wavefronts": 4, "ideal_wavefronts": 4},
    ),
    "shuffle": (
        "y[i] = __shfl_xor_sync(0xffffffffu, x[i], 1);",
        {"shuffle": 2, "wavefronts": 2, "shared": 0, "shared_bytes": 256},
    ),
    "square root": ('float r; asm("sqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(x[i])); y[i] = r;', {"special": 2}),
    "a fused multiply": ("y[i] = fmaf(x[i], x[i], 1.f);", {"fp32": 2, "requests": 4}),
}


@pytest.mark.parametrize("what", COUNTS)
def test_counts_known_by_hand(what):
    body, expected = COUNTS[what]
    machine, _, _ = run(body, shared_bytes=4096)
    found = ptx.counts(machine)
    assert {name: getattr(found, name) for name in expected} == expected


def test_vector_accesses_of_shared_memory_go_by_quarters_of_a_warp():
    body = "float4 *q = (float4 *)dynamic; if (i < 32) { q[PLACE] = make_float4(x[i], 0, 0, 0); }"
    ideal, _, _ = run(body.replace("PLACE", "i"), shared_bytes=32 * 4 * 16)
    worst, _, _ = run(body.replace("PLACE", "4 * (i & 7) * 2 + (i >> 3)"), shared_bytes=64 * 16)
    assert ptx.counts(ideal).wavefronts == 4
    assert ptx.counts(worst).wavefronts == 32  # eight lanes, each on the same four banks


def test_structs_and_buffers():
    code, _ = compile_source(
        "struct Args { const float *x; float *y; int n; float scale; };"
        'extern "C" __global__ void kernel(Args a, double more) {'
        "  if (threadIdx.x < a.n) a.y[threadIdx.x] = a.scale * a.x[threadIdx.x] + more; }",
        "test.cu",
        "compute_80",
    )
    x, y = ptx.aligned(np.arange(32, dtype=np.float32)), ptx.aligned(np.zeros(32, np.float32))
    packed = np.array([(x.ctypes.data, y.ctypes.data, 30, 2.0)], "u8,u8,i4,f4").tobytes()
    module = ptx.parse(code.decode())
    ptx.launch(module, "kernel", (1,), (32,), [packed, 0.5], buffers=[x, y])
    assert np.array_equal(y[:30], 2 * x[:30] + 0.5)
    assert not y[30:].any()
    with pytest.raises(ptx.PTXError, match="takes 2 arguments, got 1"):
        ptx.launch(module, "kernel", (1,), (32,), [packed], buffers=[x, y])
    with pytest.raises(ptx.PTXError, match="takes 24 bytes, got 20"):
        ptx.launch(module, "kernel", (1,), (32,), [packed[:20], 0.5], buffers=[x, y])


ARITHMETIC = {
    "integers": "int a = (int)x[i] - 20, b = i % 7 + 1; y[i] = a / b + 10 * (a % b) + (a >> 1) + (a << 2);",
    "unsigned": "unsigned a = x[i] * 1e7f, b = i % 9 + 3;"
    "y[i] = a / b + a % b + (a >> (i & 15)) + __popc(a) + __clz(a);",
    "64 bits": "long long a = (long long)x[i] << 33; y[i] = (float)(a / 3 % 1000 + (a >> 35)) + __mulhi((int)a, 77);",
    "choices": "y[i] = x[i] > 20.f ? fminf(x[i], 40.f) : i & 1 ? -x[i] : fabsf(x[i] - 10.f);",
    "a loop that diverges": "float v = 0; for (int k = 0; k < i % 5; ++k) v += x[k] * k; y[i] = v;",
    "a switch": "switch (i % 6) { case 0: y[i] = 1; break; case 1: y[i] = x[i]; break; case 2: y[i] = x[i] * 2;"
    "break; case 3: y[i] = i / 3; break; case 4: y[i] = -5; break; default: y[i] = x[63 - i]; }",
}


@pytest.mark.parametrize("what", ARITHMETIC)
def test_arithmetic_as_the_host_compiler_does_it(what, tmp_path):
    """The same body by g++, a call a thread."""
    import ctypes
    import subprocess

    _, x, y = run(ARITHMETIC[what])
    source = tmp_path / "host.cc"
    source.write_text(
        "#include <cmath>\nusing std::fabs;\n"
        "inline int __popc(unsigned a) { return __builtin_popcount(a); }\n"
        "inline int __clz(unsigned a) { return a ? __builtin_clz(a) : 32; }\n"
        "inline int __mulhi(int a, int b) { return (long long)a * b >> 32; }\n"
        f'extern "C" void thread(const float *x, float *y, int i) {{ {ARITHMETIC[what]} }}\n'
    )
    library = tmp_path / "host.so"
    subprocess.run(["g++", "-O1", "-ffp-contract=off", "-shared", "-fPIC", source, "-o", library], check=True)
    expected = np.zeros_like(y)
    thread = ctypes.CDLL(str(library)).thread
    for i in range(N):
        thread(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(expected.ctypes.data), i)
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_half_precision_and_int16():
    body = """
  const short *p = (const short *)x; unsigned short h; float back;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(p[i] / 3.f));
  asm("cvt.f32.f16 %0, %1;" : "=f"(back) : "h"(h));
  y[i] = back;"""
    data = ptx.aligned(np.arange(-32, 32, dtype=np.int16))
    _, _, y = run(body, x=data)
    assert np.array_equal(y, (data / np.float32(3)).astype(np.float16).astype(np.float32))


def test_what_is_not_modelled_is_said():
    with pytest.raises(ptx.PTXError, match=r"not modelled: (atom|red)"):
        run("atomicAdd(y, x[i]);")
    with pytest.raises(ptx.PTXError, match="not PTX"):
        ptx.parse("int main() {}")
    code, _ = compile_source(HEAD + "y[i] = x[i];\n}", "test.cu", "compute_80", ["-std=c++17"])
    x = np.zeros(33, np.float32)
    with pytest.raises(ptx.PTXError, match="expected 1 to 1024"):
        ptx.launch(ptx.parse(code.decode()), "kernel", (1,), (1025,), [x, x.copy(), 3])
    source = "__device__ __noinline__ float f(float v) { return v * v; }" + HEAD + "CALL }"
    for call, fails in (("if (n < 0) y[i] = f(x[i]);", False), ("y[i] = f(x[i]);", True)):
        code, _ = compile_source(source.replace("CALL", call), "test.cu", "compute_80", ["-std=c++17"])
        args = ptx.parse(code.decode()), "kernel", (1,), (33,), [x, x.copy(), 3]
        if fails:
            with pytest.raises(ptx.PTXError, match="calls are not executed"):
                ptx.launch(*args)
        else:
            ptx.launch(*args)


def test_blocks_that_fill_no_warp():
    source = HEAD + "s[i] = x[i]; __syncthreads(); y[i] = s[n - 1 - i] + __shfl_xor_sync(0xffffu, x[i], 1);\n}"
    code, _ = compile_source(source, "test.cu", "compute_80", ["-std=c++17"])
    x, y = ptx.aligned(np.arange(16, dtype=np.float32)), ptx.aligned(np.zeros(16, np.float32))
    machine = ptx.launch(ptx.parse(code.decode()), "kernel", (1,), (4, 2, 2), [x, y, 4])
    assert machine.problems  # four threads with x = 0 .. 3, four times
    machine = ptx.launch(ptx.parse(code.decode()), "kernel", (1,), (16,), [x, y, 16])
    assert not machine.problems
    assert np.array_equal(y, x[::-1] + x[np.arange(16) ^ 1])
