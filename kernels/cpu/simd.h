// One lane a frame. Everything here is the compiler's vector extension, so the same source is AVX-512, AVX2, SSE2 or
// NEON; intrinsics stand only where the extension has no word for the instruction.
//
// A translation unit is compiled for one target: FASTSPEC_NAMESPACE names it, FASTSPEC_REAL is float or double,
// FASTSPEC_VECTOR_BYTES the width. All code of a target lives in its namespace, so that no linker can swap one
// target's inline function for another's.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "../common/butterflies.h"

namespace FASTSPEC_NAMESPACE {

using real = FASTSPEC_REAL;
constexpr int kLanes = FASTSPEC_VECTOR_BYTES / int(sizeof(real));
constexpr bool kSingle = sizeof(real) == 4;

using Int = std::conditional_t<kSingle, int32_t, int64_t>;
typedef real V __attribute__((vector_size(FASTSPEC_VECTOR_BYTES), may_alias));
typedef real VUnaligned __attribute__((vector_size(FASTSPEC_VECTOR_BYTES), aligned(alignof(real)), may_alias));
typedef Int VI __attribute__((vector_size(FASTSPEC_VECTOR_BYTES), may_alias));

FS_INLINE V load(const real* p) { return *reinterpret_cast<const VUnaligned*>(p); }
FS_INLINE void store(real* p, V v) { *reinterpret_cast<VUnaligned*>(p) = v; }
FS_INLINE V splat(real s) { return s - V{}; }  // s + 0 would be an addition: it turns -0 into 0

// NaN in v stays (v < floor is false for it), as in torch.clamp.
FS_INLINE V clamp_min(V v, real floor) { return v < floor ? splat(floor) : v; }

template <class Fn> FS_INLINE V each_lane(V v, Fn fn) {
  for (int i = 0; i < kLanes; ++i) v[i] = fn(v[i]);
  return v;
}

constexpr real kTiny = kSingle ? real(1.17549435e-38) : real(2.2250738585072014e-308);  // the smallest normal number

FS_INLINE V square_root(V p) {
#if defined(__AVX512F__) && FASTSPEC_VECTOR_BYTES == 64
  if constexpr (kSingle) return (V)_mm512_sqrt_ps((__m512)p);
#elif defined(__AVX2__) && FASTSPEC_VECTOR_BYTES == 32
  if constexpr (kSingle) return (V)_mm256_sqrt_ps((__m256)p);
#elif defined(__SSE2__) && FASTSPEC_VECTOR_BYTES == 16
  if constexpr (kSingle) return (V)_mm_sqrt_ps((__m128)p);
#endif
  return each_lane(p, [](real s) FS_LAMBDA { return std::sqrt(s); });
}

// The same with multiplications where the divider is slow for the width of the vectors: the reciprocal's estimate and
// one step of Newton, 1 to 2 ulp; among denormal numbers it fades to 0.
FS_INLINE V estimated_root(V p) {
#if defined(__AVX512F__) && FASTSPEC_VECTOR_BYTES == 64
  if constexpr (kSingle) {
    const V y = (V)_mm512_rsqrt14_ps((__m512)p);
    const V m = p * y, e = real(1) - m * y, root = m + (m * real(0.5)) * e;
    // Where p is zero (kind 2), +0 (action 8); where it is +infinity (kind 5), itself (action 1): root is NaN there.
    return (V)_mm512_fixupimm_ps((__m512)root, (__m512)p, _mm512_set1_epi32(8 << 4 * 2 | 1 << 4 * 5), 0);
  }
#endif
  return square_root(p);
}

// Lanes Shift, Shift + 1, ... of two vectors one after the other. kCutRows: the target has an instruction for it, and
// unaligned vectors lie across two cache lines.
constexpr bool kCutRows = FASTSPEC_VECTOR_BYTES == 64 && kSingle;
template <int Shift, int... I> FS_INLINE V shift_lanes(V low, V high, std::integer_sequence<int, I...>) {
#if defined(__AVX512F__) && FASTSPEC_VECTOR_BYTES == 64  // GCC 12 would take a permutation by a table
  if constexpr (kSingle) return (V)_mm512_alignr_epi32((__m512i)high, (__m512i)low, Shift);
#endif
  return __builtin_shufflevector(low, high, (Shift + I)...);
}
template <int Shift> FS_INLINE V shift_lanes(V low, V high) {
  return shift_lanes<Shift>(low, high, std::make_integer_sequence<int, kLanes>{});
}

// multiplier * log(x), to 1 ulp or so in single precision: x = 2^e m with m in [sqrt(1/2), sqrt(2)), then the odd
// series of log((1+s)/(1-s)), s = (m-1)/(m+1), by a minimax polynomial (coefficients as in FreeBSD's e_logf.c). An
// octave stands in two numbers, the first of so few bits that e times it is exact: a logarithm multiplied would be
// rounded twice.
class Logarithm {
 public:
  explicit Logarithm(double multiplier) : multiplier_(real(multiplier)) {
    const double octave = multiplier * kLog2;
    const float coarse = std::bit_cast<float>(std::bit_cast<uint32_t>(float(octave)) & 0xffff8000u);
    octave_ = coarse;
    rest_ = real(octave - coarse);
  }

  real multiplier() const { return multiplier_; }

  FS_INLINE V operator()(V x) const {
    if constexpr (!kSingle) return multiplier_ * each_lane(x, [](real s) FS_LAMBDA { return std::log(s); });
    const VI tiny = x < kTiny;
    const V scaled = tiny ? x * real(8388608) : x;
    const VI bits = (VI)scaled;
    const VI e = (bits - Int(0x3f3504f3)) >> 23;
    const V f = (V)(bits - (e << 23)) - real(1);
    const V s = f / (real(2) + f), z = s * s, w = z * z;
    const V r =
        z * (real(0.66666662693) + w * real(0.28498786688)) + w * (real(0.40000972152) + w * real(0.24279078841));
    const V exponent = __builtin_convertvector(e, V) - (tiny ? splat(23) : splat(0));
    const V half = real(0.5) * f * f;
    V y = exponent * octave_ + (exponent * rest_ + multiplier_ * (f - (half - s * (half + r))));
    y = x == real(0) ? splat(multiplier_ * -real(INFINITY)) : y;
    y = x == real(INFINITY) ? multiplier_ * x : y;
    return x >= real(0) ? y : splat(real(NAN));
  }

 private:
  static constexpr double kLog2 = 0.693147180559945309417;
  real multiplier_, octave_, rest_;
};

// Transpose kLanes vectors of kLanes values in registers: log2(kLanes) rounds, each swaps blocks of `Block` lanes
// between rows that lie `Block` apart.
template <int Block, bool High, int... I> FS_INLINE V merge_blocks(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b,
                                 ((I & Block) == 0 ? (High ? I + Block : I) : kLanes + (High ? I : I - Block))...);
}
template <int Block = kLanes / 2> FS_INLINE void transpose(V* v) {
  if constexpr (Block > 0) {
    unroll<0, kLanes>([&](auto ii) FS_LAMBDA {
      constexpr int i = ii.value;
      if constexpr ((i & Block) == 0) {
        constexpr auto lanes = std::make_integer_sequence<int, kLanes>{};
        const V a = v[i], b = v[i + Block];
        v[i] = merge_blocks<Block, false>(a, b, lanes);
        v[i + Block] = merge_blocks<Block, true>(a, b, lanes);
      }
    });
    transpose<Block / 2>(v);
  }
}

// (re, im) to pairs re0 im0 re1 im1 ... in two vectors, and back.
template <int... I> FS_INLINE void zip_lanes(V re, V im, real* to, std::integer_sequence<int, I...>) {
  store(to, __builtin_shufflevector(re, im, ((I & 1) * kLanes + I / 2)...));
  store(to + kLanes, __builtin_shufflevector(re, im, ((I & 1) * kLanes + (kLanes + I) / 2)...));
}
FS_INLINE void zip(V re, V im, real* to) { zip_lanes(re, im, to, std::make_integer_sequence<int, kLanes>{}); }
template <int... I> FS_INLINE void unzip_lanes(V a, V b, V& re, V& im, std::integer_sequence<int, I...>) {
  re = __builtin_shufflevector(a, b, (2 * I)...);
  im = __builtin_shufflevector(a, b, (2 * I + 1)...);
}
FS_INLINE void unzip(const real* from, V& re, V& im) {
  unzip_lanes(load(from), load(from + kLanes), re, im, std::make_integer_sequence<int, kLanes>{});
}

// R vectors of consecutive values to v[h] = values h, h + R, h + 2 R, ...; R a power of two.
template <int R> FS_INLINE void deinterleave(V* v) {
  if constexpr (R > 1) {
    V even[R / 2], odd[R / 2];
    unroll<0, R / 2>([&](auto i) FS_LAMBDA {
      constexpr auto lanes = std::make_integer_sequence<int, kLanes>{};
      unzip_lanes(v[2 * i.value], v[2 * i.value + 1], even[i.value], odd[i.value], lanes);
    });
    deinterleave<R / 2>(even);
    deinterleave<R / 2>(odd);
    unroll<0, R / 2>([&](auto i) FS_LAMBDA {
      v[2 * i.value] = even[i.value];
      v[2 * i.value + 1] = odd[i.value];
    });
  }
}

// Store past the caches; p is aligned to the vector.
FS_INLINE void stream(real* p, V v) {
#if defined(__AVX512F__) && FASTSPEC_VECTOR_BYTES == 64
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), (__m512i)v);
#elif defined(__AVX2__) && FASTSPEC_VECTOR_BYTES == 32
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)v);
#elif defined(__SSE2__) && FASTSPEC_VECTOR_BYTES == 16
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)v);
#else
  *reinterpret_cast<V*>(p) = v;
#endif
}
FS_INLINE void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace FASTSPEC_NAMESPACE
