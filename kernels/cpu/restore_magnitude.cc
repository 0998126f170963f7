// restore_magnitude, what Griffin and Lim's iteration does between its two transforms, in one pass over the spectra:
// previous <- magnitude d / (|d| + 1e-16) with d = y - momentum previous.
#include "ops.h"
#include "parallel.h"
#include "simd.h"

namespace FASTSPEC_NAMESPACE {
namespace {

FS_INLINE void restore(const real* y, real* previous, const real* magnitude, real momentum) {  // kLanes of them
  V re, im, before_re, before_im;
  unzip(y, re, im);
  unzip(previous, before_re, before_im);
  re -= before_re * momentum;
  im -= before_im * momentum;
  const V by = load(magnitude) / (square_root(re * re + im * im) + real(1e-16));
  zip(re * by, im * by, previous);
}

}  // namespace

void restore_magnitude(int64_t count, int threads, const void* y_, void* previous_, const void* magnitude_,
                       double momentum) {
  const real *y = static_cast<const real*>(y_), *magnitude = static_cast<const real*>(magnitude_);
  real* previous = static_cast<real*>(previous_);
  constexpr int64_t run = 1 << 15;
  const auto task = [&](long long t) {
    int64_t i = t * run;
    const int64_t stop = std::min(count, i + run);
    for (; i + kLanes <= stop; i += kLanes) restore(y + 2 * i, previous + 2 * i, magnitude + i, real(momentum));
    if (i == stop) return;
    real y_rest[2 * kLanes] = {}, rest[2 * kLanes] = {}, magnitude_rest[kLanes] = {};
    const size_t left = size_t(stop - i) * sizeof(real);
    std::memcpy(y_rest, y + 2 * i, 2 * left);
    std::memcpy(rest, previous + 2 * i, 2 * left);
    std::memcpy(magnitude_rest, magnitude + i, left);
    restore(y_rest, rest, magnitude_rest, real(momentum));
    std::memcpy(previous + 2 * i, rest, 2 * left);
  };
  using Task = decltype(task);
  fastspec::parallel_for((count + run - 1) / run, count < (int64_t(1) << 17) ? 1 : threads,
                         [](void* context, long long t) { (*static_cast<Task*>(context))(t); },
                         const_cast<void*>(static_cast<const void*>(&task)));
}

}  // namespace FASTSPEC_NAMESPACE
