// What the fast kernels need of the machine beyond machine.cuh: approximate functions of one instruction, and stores
// that the compiler would otherwise split or turn into branches.
#pragma once

#include "framing.cuh"

// Before a loop: how often the compiler unrolls it, 1 for never, 99 for wholly.
#if defined(FASTSPEC_HOST_CUDA)
#define FS_UNROLL(times)
#else
#define FS_PRAGMA(text) _Pragma(#text)
#define FS_UNROLL(times) FS_PRAGMA(unroll times)
#endif

namespace FASTSPEC_NAMESPACE {

constexpr unsigned kAllLanes = 0xffffffffu;

#if defined(FASTSPEC_HOST_CUDA)

FS_INLINE float quick_root(float v) { return sqrtf(v); }
FS_INLINE float quick_inverse_root(float v) { return 1.0f / sqrtf(v); }
FS_INLINE float quick_exp2(float v) { return exp2f(v); }
FS_INLINE void store_if(bool on, float* shared, float v) {
  if (on) *shared = v;
}
FS_INLINE void store_if(bool on, float* shared, float a, float b) {
  if (on) shared[0] = a, shared[1] = b;
}
template <class T> FS_INLINE T read_only(const T* p) { return *p; }
FS_INLINE int recomputed(int v) { return v; }

#else

// Largest relative errors 2^-22 (PTX ISA); numbers below 2^-126 count as 0, which saves the scaling around them.
FS_INLINE float quick_root(float v) {
  float r;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
FS_INLINE float quick_inverse_root(float v) {
  float r;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
FS_INLINE float quick_exp2(float v) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
// One predicated store; an `if` becomes a branch with its own address arithmetic.
FS_INLINE void store_if(bool on, float* shared, float v) {
  asm volatile("{ .reg .pred q; setp.ne.s32 q, %0, 0; @q st.shared.f32 [%1], %2; }" ::"r"(int(on)),
               "r"(unsigned(__cvta_generic_to_shared(shared))), "f"(v)
               : "memory");
}
FS_INLINE void store_if(bool on, float* shared, float a, float b) {
  asm volatile("{ .reg .pred q; setp.ne.s32 q, %0, 0; @q st.shared.v2.f32 [%1], {%2, %3}; }" ::"r"(int(on)),
               "r"(unsigned(__cvta_generic_to_shared(shared))), "f"(a), "f"(b)
               : "memory");
}
template <class T> FS_INLINE T read_only(const T* p) { return __ldg(p); }
// v, but what follows from it is not kept in registers from one round of a loop to the next.
FS_INLINE int recomputed(int v) {
  asm volatile("" : "+r"(v));
  return v;
}

#endif

// Two neighbouring samples; Paired: they are floats at a multiple of 8 bytes.
template <int Paired, class Sample> FS_INLINE void load_two(const Sample* x, float& a, float& b) {
  if constexpr (Paired) {
    const float2 two = *reinterpret_cast<const float2*>(x);
    a = two.x, b = two.y;
  } else {
    a = to_real<float>(x[0]), b = to_real<float>(x[1]);
  }
}

// The same of 16-bit floats; `to` is a multiple of 8 bytes.
template <class T> FS_INLINE void store4(T* to, float a, float b, float c, float d) {
  struct alignas(8) Four {
    T v[4];
  } four;
  store(&four.v[0], a), store(&four.v[1], b), store(&four.v[2], c), store(&four.v[3], d);
  *reinterpret_cast<Four*>(to) = four;
}

// This thread in its block of warps, looked up anew each time: a register less is in use in between.
struct Seat {
  int thread, lane, warp;
};
FS_INLINE Seat seat() {
  const int thread = recomputed(int(threadIdx.x));
  return {thread, thread & 31, thread >> 5};
}

}  // namespace FASTSPEC_NAMESPACE
