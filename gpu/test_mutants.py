"""What is found to be taken out of kernels."""

from __future__ import annotations

from gpu.compile import KERNELS
from gpu.mutants import mutants
from gpu.survivors import REASONS

TEXT = """// if (a < b) return;
template <class Real> struct Pair { Real a; };
__global__ void kernel(const float* x, float* y, int n) {
  const int i = threadIdx.x;
  for (int k = 0; k < n; ++k) use(k);  // loops keep their tests
  if (i >= n || i + 1 >= limit(n, 2)) return;
  __syncthreads();
  if (i < n && x[i] != 0) y[i] = i < 3 ? x[i] : x[i + 1];
  const bool inside = i <
                      n;
  store_if(inside && i > 2, y + i, at < 0 ? Real(0) : x[at]);
  if constexpr (sizeof(Real) > 4) __syncwarp(0xffffffffu);
  static_assert(A < B, "no");
}
"""


def test_barriers_and_comparisons_are_found(tmp_path):
    (tmp_path / "kernel.cu").write_text(TEXT)
    found = [(each.line, each.removed, each.replacement) for each in mutants(tmp_path)]
    assert found == [
        (6, "i >= n", "false"),
        (6, "i + 1 >= limit(n, 2)", "false"),
        (7, "__syncthreads();", ";"),
        (8, "i < n", "true"),
        (8, "i < 3", "true"),
        (9, "i < n", "true"),
        (11, "i > 2", "true"),
        (11, "at < 0", "false"),
        (12, "__syncwarp(0xffffffffu);", ";"),
    ]


def test_a_mutant_changes_one_place(tmp_path):
    (tmp_path / "kernel.cu").write_text(TEXT)
    for each in mutants(tmp_path):
        changed = each.apply(TEXT)
        assert changed[: each.start] == TEXT[: each.start]
        assert changed[each.start + len(each.replacement) :] == TEXT[each.stop :]
        assert changed != TEXT


def test_every_reason_is_of_a_mutant_that_there_is():
    assert not set(REASONS) - {each.key for each in mutants(KERNELS / "cuda")}
