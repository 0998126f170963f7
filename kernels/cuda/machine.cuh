// What only a GPU has, behind names that the host engine of the tests has too: shared memory, barriers, conversions.
// Kernels use these names and no others; the host engine (tests/host_cuda) defines FASTSPEC_HOST_CUDA and builds the
// same text with g++, so that every kernel runs, and races and stray accesses show, where no GPU is.
#pragma once

#include "../common/butterflies.h"
#include "../common/framing.h"

// FS_SHARED(T, name): the block's dynamic shared memory as T*. A kernel has one.
#if defined(FASTSPEC_HOST_CUDA)
#define FS_SHARED(T, name) T* name = static_cast<T*>(host_cuda_shared_memory())
#else
#define FS_SHARED(T, name)                                                \
  extern __shared__ __align__(16) unsigned char fastspec_shared_memory[]; \
  T* name = reinterpret_cast<T*>(fastspec_shared_memory)
#endif

namespace FASTSPEC_NAMESPACE {

// ---- number types -----------------------------------------------------------------------------------------------

template <class Real> struct alignas(2 * sizeof(Real)) Complex {
  Real re, im;
};
// 16-bit floats as they lie in memory; arithmetic is done in float.
struct Half {
  unsigned short bits;
};
struct Bfloat16 {
  unsigned short bits;
};

FS_INLINE float to_float(Half h) {
#if defined(FASTSPEC_HOST_CUDA)
  _Float16 value;
  __builtin_memcpy(&value, &h, sizeof(h));
  return float(value);
#else
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(h.bits));
  return value;
#endif
}
FS_INLINE float to_float(Bfloat16 b) { return __int_as_float(int(unsigned(b.bits) << 16)); }

FS_INLINE void from_float(float value, Half& h) {
#if defined(FASTSPEC_HOST_CUDA)
  const _Float16 rounded = _Float16(value);
  __builtin_memcpy(&h, &rounded, sizeof(h));
#else
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(value));
#endif
}
FS_INLINE void from_float(float value, Bfloat16& b) {
  const unsigned bits = unsigned(__float_as_int(value));
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  b.bits = (unsigned short)(nan ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);  // to nearest, ties to even
}

// A sample in memory as the number it means: int16 PCM is x / 32768.
template <class Real> FS_INLINE Real to_real(Real sample) { return sample; }
template <class Real> FS_INLINE Real to_real(short sample) { return Real(sample) * Real(1.0 / 32768); }
template <class Real> FS_INLINE Real to_real(Half sample) { return Real(to_float(sample)); }
template <class Real> FS_INLINE Real to_real(Bfloat16 sample) { return Real(to_float(sample)); }

FS_INLINE void store(float* to, float value) { *to = value; }
FS_INLINE void store(double* to, double value) { *to = value; }
FS_INLINE void store(Half* to, float value) { from_float(value, *to); }
FS_INLINE void store(Bfloat16* to, float value) { from_float(value, *to); }

// ---- memory -----------------------------------------------------------------------------------------------------

// Four neighbouring floats in one store; `to` is a multiple of 16 bytes.
FS_INLINE void store4(float* to, float a, float b, float c, float d) {
#if defined(FASTSPEC_HOST_CUDA)
  *reinterpret_cast<float4*>(to) = {a, b, c, d};
#else  // written out, since NVRTC splits it otherwise
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(a), "f"(b), "f"(c), "f"(d) : "memory");
#endif
}

// From global to shared memory past the registers, 4, 8 or 16 bytes; there after copy_wait, for other threads after a
// barrier as well. Before sm_80 it is an ordinary copy.
template <int Bytes> FS_INLINE void copy_async(void* to, const void* from) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "what cp.async can move");
#if defined(FASTSPEC_HOST_CUDA)
  host_cuda_copy(to, from, Bytes);
#elif __CUDA_ARCH__ >= 800
  const unsigned at = unsigned(__cvta_generic_to_shared(to));
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(at), "l"(from), "n"(Bytes) : "memory");
#else
  struct alignas(Bytes) Block {
    unsigned words[Bytes / 4];
  };
  *static_cast<Block*>(to) = *static_cast<const Block*>(from);
#endif
}
FS_INLINE void copy_commit() {
#if defined(FASTSPEC_HOST_CUDA)
  host_cuda_copy_commit();
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Waits until at most `Keep` of this thread's groups are on their way.
template <int Keep> FS_INLINE void copy_wait() {
#if defined(FASTSPEC_HOST_CUDA)
  host_cuda::copy_wait(Keep);
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(Keep) : "memory");
#endif
}

// ---- functions that have one name for both precisions -----------------------------------------------------------

FS_INLINE float square_root(float v) { return sqrtf(v); }
FS_INLINE double square_root(double v) { return sqrt(v); }
FS_INLINE float natural_log(float v) { return logf(v); }
FS_INLINE double natural_log(double v) { return log(v); }
FS_INLINE float log_one_plus(float v) { return log1pf(v); }
FS_INLINE double log_one_plus(double v) { return log1p(v); }
FS_INLINE float raise_to(float v, float exponent) { return powf(v, exponent); }
FS_INLINE double raise_to(double v, double exponent) { return pow(v, exponent); }

// Approximations of the special function unit, about 1 (root: 2) units in the last place.
FS_INLINE float fast_square_root(float v) {
#if defined(FASTSPEC_HOST_CUDA)
  return sqrtf(v);
#else
  float r;
  asm("sqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
#endif
}
FS_INLINE float fast_log2(float v) {
#if defined(FASTSPEC_HOST_CUDA)
  return log2f(v);
#else
  float r;
  asm("lg2.approx.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
#endif
}

}  // namespace FASTSPEC_NAMESPACE
