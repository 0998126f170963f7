// The product at the heart of the dense kernels, in registers.
#pragma once

#include "simd.h"

namespace FASTSPEC_NAMESPACE {

constexpr int kWide = 2 * kLanes;                            // numbers of a column
constexpr int kTall = FASTSPEC_VECTOR_BYTES == 64 ? 12 : 6;  // 2 kTall sums, two columns and a splat fill the registers

// acc[i] += sum_p x[i si + p sp] b[p]
template <int Tall>
FS_INLINE void accumulate(const real* x, int64_t si, int64_t sp, const real* b, int64_t count, V (&acc)[Tall][2]) {
  for (int64_t p = 0; p < count; ++p, b += kWide, x += sp) {
    const V re = load(b), im = load(b + kLanes);
    unroll<0, Tall>([&](auto ii) FS_LAMBDA {
      constexpr int i = ii.value;
      const V s = splat(x[i * si]);
      acc[i][0] += s * re;
      acc[i][1] += s * im;
    });
  }
}

// to[i] = sum_p x[i si + p sp] b[p] for i < tall, or added to it.
template <int Tall>
void product(const real* x, int64_t si, int64_t sp, const real* b, int64_t count, int64_t tall, bool add, real* to) {
  int64_t i = 0;
  for (; i + Tall <= tall; i += Tall) {
    V acc[Tall][2];
    for (int j = 0; j < Tall; ++j) {
      acc[j][0] = add ? load(to + (i + j) * kWide) : V{};
      acc[j][1] = add ? load(to + (i + j) * kWide + kLanes) : V{};
    }
    accumulate<Tall>(x + i * si, si, sp, b, count, acc);
    for (int j = 0; j < Tall; ++j) {
      store(to + (i + j) * kWide, acc[j][0]);
      store(to + (i + j) * kWide + kLanes, acc[j][1]);
    }
  }
  if constexpr (Tall > 1)
    if (i < tall) product<Tall / 2>(x + i * si, si, sp, b, count, tall - i, add, to + i * kWide);
}

}  // namespace FASTSPEC_NAMESPACE
