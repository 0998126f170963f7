// What follows the transform in the fast kernels, and its slope: |y|^p, logarithms, in approximate instructions.
#pragma once

#include "warp_machine.cuh"

namespace FASTSPEC_NAMESPACE {

constexpr float kTiny = 1e-30f;

enum WarpForm : int { kMagnitude = 1, kPower = 2, kAnyPower = 0 };

struct WarpEnding {
  float half_power, eps, factor, floor, scale;  // factor: of log2
  int log, add;                                 // 0 none, 1 logarithm of the floored value, 2 log1p
};

template <int Form> FS_INLINE float raise(const WarpEnding& e, float power) {
  if (Form == kPower) return power;
  if (Form == kMagnitude) return quick_root(power);
  return quick_exp2(e.half_power * fast_log2(power));
}

FS_INLINE float compress(const WarpEnding& e, float u) {
  if (e.log == 1) return e.factor * fast_log2(e.add ? u + e.floor : u < e.floor ? e.floor : u);  // NaN stays
  if (e.log == 2) return log1pf(e.scale * u);
  return u;
}

// d compress / du: 0 under the floor, and where the logarithm has no slope (at 0, without a floor).
FS_INLINE float compress_slope(const WarpEnding& e, float u) {
  if (e.log == 1) {
    const float z = e.add ? u + e.floor : u;
    return (!e.add && z < e.floor) || z == 0.0f ? 0.0f : e.factor * 1.44269504088896f / z;
  }
  if (e.log == 2) return e.scale / (1.0f + e.scale * u);
  return 1.0f;
}

// The gradient of y is this times y, where g is that of raise(|y|^2 + eps), and that of compress(raise()) with Log. At
// y = 0 the product is 0, whatever is returned, as long as it is finite.
template <int Form, bool Log> FS_INLINE float slope(const WarpEnding& e, float power, float g) {
  if (Log) g *= compress_slope(e, raise<Form>(e, power));
  if (Form == kPower) return 2.0f * g;
  const float safe = fmaxf(power, kTiny);
  if (Form == kMagnitude) return g * quick_inverse_root(safe);
  return g * (2.0f * e.half_power) * quick_exp2((e.half_power - 1.0f) * fast_log2(safe));
}

}  // namespace FASTSPEC_NAMESPACE
