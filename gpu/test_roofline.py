"""The formulas against figures known from elsewhere, and occupancy against NVIDIA's calculator."""

from __future__ import annotations

import pytest

from gpu.compile import ARCHS, CompileError, compile_source
from gpu.ptx import Counts
from gpu.resources import blocks_per_sm, occupancy, resources
from gpu.roofline import GPUS, Sizes, bounds, fused_bytes, limit, torch_bytes

WHISPER = Sizes(480000, 3001, 400, 201, 80, 200)
HIFI_GAN = Sizes(661500, 2584, 1024, 513, 80, 512)
STFT_2048 = Sizes(661500, 1292, 2048, 1025, 0, 1024)


@pytest.mark.parametrize(
    ("sizes", "fused", "torch", "both"),
    [(STFT_2048, 254, 1779, 18), (WHISPER, 92, 1263, 26), (HIFI_GAN, 111, 2421, 43)],
)
def test_bytes_of_32_clips_of_30_seconds(sizes, fused, torch, both):
    """Megabytes, and the ratio of forward and backward together, as counted by hand when the project began."""
    assert round(32 * fused_bytes(sizes) / 1e6) == fused
    assert abs(32 * torch_bytes(sizes) / 1e6 - torch) < 1
    assert torch_bytes(sizes, True) / fused_bytes(sizes, True) == pytest.approx(both, rel=0.05)


def test_the_scarcest_resource_limits():
    a100 = GPUS[0]
    assert limit(a100, Counts(fp32=640), 0)[0] == "fp32"
    assert limit(a100, Counts(fp32=640), 0)[1] == pytest.approx(640 * 32 / 64 / 108 / 1.41)
    assert limit(a100, Counts(fp32=640), 1e4) == ("DRAM", pytest.approx(1e4 / 1555))
    assert bounds(a100, Counts(integer=64, control=64), 0)["issue"] == pytest.approx(32 / 108 / 1.41)


@pytest.mark.parametrize(
    ("arch", "registers", "shared", "threads", "blocks"),
    [
        ("sm_80", 32, 0, 256, 8),
        ("sm_80", 96, 45056, 256, 2),
        ("sm_80", 128, 0, 256, 2),
        ("sm_90", 64, 60000, 128, 3),
        ("sm_86", 32, 0, 1024, 1),
        ("sm_75", 255, 0, 256, 1),
        ("sm_80", 32, 164 << 10, 256, 0),
    ],
)
def test_blocks_per_sm(arch, registers, shared, threads, blocks):
    assert blocks_per_sm(arch, registers, shared, threads) == blocks
    assert 0 <= occupancy(arch, registers, shared, threads) <= 1


SPILLING = """
extern "C" __global__ void __launch_bounds__(256, 4) wide(float *x) {
  float v[128];
#pragma unroll
  for (int i = 0; i < 128; ++i) v[i] = x[i * 256 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 128; ++i) x[i * 256 + threadIdx.x] = v[127 - i] * v[i / 2] + v[(i * 7) % 128];
}
extern "C" __global__ void indexed(float *x, int n) {
  float v[64];
  for (int i = 0; i < 64; ++i) v[i] = x[i];
  for (int i = 0; i < n; ++i) v[i * n & 63] += v[i & 63];
  x[n] = v[n & 63];
}
extern "C" __global__ void lean(float *x) {
  __shared__ float s[300];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = s[299 - threadIdx.x];
}
"""


@pytest.mark.parametrize("arch", ARCHS)
def test_resources_of_cubins(arch):
    found = resources(compile_source(SPILLING, "spilling.cu", arch)[0], arch)
    assert set(found) == {"wide", "indexed", "lean"}
    assert found["wide"].spills > 0
    assert found["wide"].registers <= 64
    assert found["indexed"].stack >= 256
    assert found["lean"].spills == found["lean"].stack == found["lean"].local == 0
    assert found["lean"].shared == 1200
    assert found["lean"].size > 10


def test_what_does_not_compile_is_said():
    with pytest.raises(CompileError, match=r"broken.cu for sm_80[\s\S]*identifier .?nothing"):
        compile_source("__global__ void k() { nothing(); }", "broken.cu", "sm_80")
