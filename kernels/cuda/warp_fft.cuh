// Transforms that one thread does in its registers, for GPUs: as few instructions as possible, every one an FMA.
//
// A butterfly with a rotation, u +- w v, is 6 FMA (p = u + w v, q = 2 u - p) and needs no rotation of its own, so
// radix 2 throughout is leaner than the mixed radices of butterflies.h: 388 operations for 32 points.
#pragma once

#include "warp_machine.cuh"

namespace FASTSPEC_NAMESPACE {

FS_INLINE void butterfly(float ur, float ui, float vr, float vi, float c, float s, float& pr, float& pi, float& qr,
                         float& qi) {
  pr = fmaf(-s, vi, fmaf(c, vr, ur));
  pi = fmaf(s, vr, fmaf(c, vi, ui));
  qr = fmaf(2.0f, ur, -pr);
  qi = fmaf(2.0f, ui, -pi);
}

// Rotations of the plain transform: exp(-2 pi i k / N), known to the compiler.
struct Fixed {
  template <int N, int K>
  FS_INLINE void operator()(Index<N>, Index<K>, float ur, float ui, float vr, float vi, float& pr, float& pi, float& qr,
                            float& qi) const {
    if constexpr (K == 0) {
      pr = ur + vr, pi = ui + vi, qr = ur - vr, qi = ui - vi;
    } else if constexpr (4 * K == N) {
      pr = ur + vi, pi = ui - vr, qr = ur - vi, qi = ui + vr;
    } else {
      constexpr float c = float(cos_turn(K, N)), s = -float(sin_turn(K, N));
      butterfly(ur, ui, vr, vi, c, s, pr, pi, qr, qi);
    }
  }
};

// X[k] = sum_n x[n] (z W^k)^n: the rotations z^n between two passes ride in the butterflies, and N / 2 numbers of a
// lane suffice where N - 1 would be read: level n of the recursion needs z^(N/n) W_n^k for k < n / 4, the other half
// is -i times those. Table: level 2, 4: one each; 8: two; 16: four; 32: eight (c, s).
struct Twisted {
  const float* table;
  template <int N, int K>
  FS_INLINE void operator()(Index<N>, Index<K>, float ur, float ui, float vr, float vi, float& pr, float& pi, float& qr,
                            float& qi) const {
    constexpr int base = N == 2 ? 0 : N / 2;
    if constexpr (N > 2 && 4 * K >= N) {
      constexpr int at = base + 2 * (K - N / 4);
      butterfly(ur, ui, vr, vi, table[at + 1], -table[at], pr, pi, qr, qi);
    } else {
      butterfly(ur, ui, vr, vi, table[base + 2 * K], table[base + 2 * K + 1], pr, pi, qr, qi);
    }
  }
};

// N = 2^a points in natural order, decimation in time.
template <int N, class Rotation> FS_INLINE void radix2(float* re, float* im, const Rotation& rotation) {
  if constexpr (N > 1) {
    float er[N / 2], ei[N / 2], odd_r[N / 2], odd_i[N / 2];
    unroll<0, N / 2>([&](auto k) FS_LAMBDA {
      er[k.value] = re[2 * k.value], ei[k.value] = im[2 * k.value];
      odd_r[k.value] = re[2 * k.value + 1], odd_i[k.value] = im[2 * k.value + 1];
    });
    radix2<N / 2>(er, ei, rotation);
    radix2<N / 2>(odd_r, odd_i, rotation);
    unroll<0, N / 2>([&](auto kk) FS_LAMBDA {
      constexpr int k = kk.value;
      rotation(Index<N>{}, kk, er[k], ei[k], odd_r[k], odd_i[k], re[k], im[k], re[k + N / 2], im[k + N / 2]);
    });
  }
}

constexpr int chinese(int a, int A, int b, int B) {  // the k < A B with k = a (mod A) and k = b (mod B)
  int k = a;
  while (k % B != b) k += A;
  return k;
}

// A * B points, A and B without a common factor, by Good and Thomas: no rotations at all. In place and in natural
// order; `unroll` makes the reordering free.
template <int A, int B> FS_INLINE void prime_factor(float* re, float* im) {
  constexpr int R = A * B;
  float ur[R], ui[R];
  unroll<0, B>([&](auto bb) FS_LAMBDA {
    constexpr int b = bb.value;
    float vr[A], vi[A];
    unroll<0, A>([&](auto a) FS_LAMBDA {
      vr[a.value] = re[(B * a.value + A * b) % R], vi[a.value] = im[(B * a.value + A * b) % R];
    });
    Dft<A>::template run<float>(vr, vi);
    unroll<0, A>([&](auto a) FS_LAMBDA { ur[a.value * B + b] = vr[a.value], ui[a.value * B + b] = vi[a.value]; });
  });
  unroll<0, A>([&](auto aa) FS_LAMBDA {
    constexpr int a = aa.value;
    Dft<B>::template run<float>(ur + a * B, ui + a * B);
    unroll<0, B>([&](auto bb) FS_LAMBDA {
      constexpr int b = bb.value, k = chinese(a, A, b, B);
      re[k] = ur[a * B + b], im[k] = ui[a * B + b];
    });
  });
}

}  // namespace FASTSPEC_NAMESPACE
