// CUDA C++ for g++: what an unmodified kernel file needs to be built for the host, where one fiber runs each thread
// of a block (runtime.cc). Included before the kernels; three builds: plain, -fsanitize=address,undefined, and
// -fsanitize=thread, which sees missing barriers as data races although there is one OS thread.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#define FASTSPEC_HOST_CUDA 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __constant__ static
#define __align__(n) alignas(n)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define __shared__ static  // red zones and shadow memory need their own sections
#else
#define __shared__ static __attribute__((section("host_cuda_shared")))  // filled with NaN before each block
#endif

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

// ---- the runtime ------------------------------------------------------------------------------------------------

struct HostCudaCopy {  // one cp.async on its way
  void* to;
  const void* from;
  int bytes, group;
};

extern "C" {
extern uint3 host_cuda_thread, host_cuda_block;
extern dim3 host_cuda_block_size, host_cuda_grid_size;
extern int host_cuda_lane;
void* host_cuda_shared_memory();
void host_cuda_barrier(int line);
void host_cuda_warp(unsigned mask, uint64_t value, int predicate, int line, int fence, uint64_t* values,
                    unsigned* predicates);
void host_cuda_fail(const char* format, int a, int b);
void host_cuda_copy(void* to, const void* from, int bytes);
void host_cuda_copy_commit();
int host_cuda_copy_next(int keep, HostCudaCopy* copy);
int host_cuda_run(void (*kernel)(void**), const unsigned* grid, const unsigned* block, size_t shared, void** args,
                  int order);
}

#define threadIdx host_cuda_thread
#define blockIdx host_cuda_block
#define blockDim host_cuda_block_size
#define gridDim host_cuda_grid_size
#define warpSize 32
#define __syncthreads() host_cuda_barrier(__LINE__)
#define __syncwarp(...) host_cuda::sync_warp(__LINE__, ##__VA_ARGS__)
#define __shfl_sync(mask, v, from) host_cuda::shuffle((mask), (v), (from), __LINE__, true)
#define __shfl_xor_sync(mask, v, x) host_cuda::shuffle((mask), (v), host_cuda_lane ^ (x), __LINE__, true)
#define __shfl_down_sync(mask, v, d) \
  host_cuda::shuffle((mask), (v), host_cuda_lane + int(d), __LINE__, host_cuda_lane + int(d) < 32)
#define __shfl_up_sync(mask, v, d) \
  host_cuda::shuffle((mask), (v), host_cuda_lane - int(d), __LINE__, host_cuda_lane >= int(d))
#define __ballot_sync(mask, p) host_cuda::ballot((mask), (p), __LINE__)
#define __any_sync(mask, p) (host_cuda::ballot((mask), (p), __LINE__) != 0)
#define __all_sync(mask, p) (host_cuda::ballot((mask), (p), __LINE__) == (mask))

namespace host_cuda {

template <class T> T shuffle(unsigned mask, T v, int from, int line, bool valid) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  uint64_t raw = 0, values[32];
  unsigned predicates;
  std::memcpy(&raw, &v, sizeof(T));
  const int self = host_cuda_lane;
  host_cuda_warp(mask, raw, 0, line, 0, values, &predicates);
  if (!valid) from = self;
  if (!(mask >> (from & 31) & 1)) host_cuda_fail("line %d: a shuffle reads lane %d, outside of its mask", line, from);
  std::memcpy(&v, &values[from & 31], sizeof(T));
  return v;
}
inline unsigned ballot(unsigned mask, bool p, int line) {
  uint64_t values[32];
  unsigned predicates;
  host_cuda_warp(mask, 0, p, line, 0, values, &predicates);
  return predicates & mask;
}
inline void sync_warp(int line, unsigned mask = 0xffffffffu) {
  uint64_t values[32];
  unsigned predicates;
  host_cuda_warp(mask, 0, 0, line, 1, values, &predicates);
}

// Word by word, so that ThreadSanitizer sees the stores.
inline void copy_wait(int keep) {
  for (HostCudaCopy copy; host_cuda_copy_next(keep, &copy);)
    for (int i = 0; i < copy.bytes / 4; ++i) static_cast<int*>(copy.to)[i] = static_cast<const int*>(copy.from)[i];
}

template <class... A, size_t... I> void call(void (*kernel)(A...), void** p, std::index_sequence<I...>) {
  kernel(*reinterpret_cast<std::remove_cv_t<A>*>(p[I])...);
}
template <class... A> constexpr size_t count_of(void (*)(A...)) { return sizeof...(A); }
template <class... A> void sizes_of(void (*)(A...), int* sizes) { ((*sizes++ = int(sizeof(A))), ...); }
template <class... A> void call(void (*kernel)(A...), void** p) { call(kernel, p, std::index_sequence_for<A...>{}); }

}  // namespace host_cuda

// The two functions that the engine finds in the library of one kernel.
#define HOST_CUDA_EXPORT(...)                                                                                   \
  extern "C" int host_cuda_sizes(int* sizes) {                                                                  \
    host_cuda::sizes_of(&__VA_ARGS__, sizes);                                                                   \
    return int(host_cuda::count_of(&__VA_ARGS__));                                                              \
  }                                                                                                             \
  extern "C" int host_cuda_launch(const unsigned* grid, const unsigned* block, size_t shared, void** args,      \
                                  int order) {                                                                  \
    return host_cuda_run([](void** p) { host_cuda::call(&__VA_ARGS__, p); }, grid, block, shared, args, order); \
  }

// ---- functions --------------------------------------------------------------------------------------------------

template <class T> inline T __ldg(const T* p) { return *p; }
using std::max;
using std::min;
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (x >> i & 1u) << (31 - i);
  return r;
}
inline int __float_as_int(float f) {
  int i;
  std::memcpy(&i, &f, 4);
  return i;
}
inline float __int_as_float(int i) {
  float f;
  std::memcpy(&f, &i, 4);
  return f;
}
