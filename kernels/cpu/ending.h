// What follows the transform, in registers: |y|^p, the filterbank's bands, the logarithm, and their derivatives.
#pragma once

#include "polyphase.h"

namespace FASTSPEC_NAMESPACE {

class Ending {
 public:
  explicit Ending(const fastspec_ending& e)
      : form_(e.power == 1 ? kMagnitude : kPower),
        general_(e.power != 1 && e.power != 2),
        add_(e.floor_add != 0),
        log_(e.log),
        half_power_(real(e.power / 2)),
        logarithm_(e.log == FASTSPEC_LOG1P ? 1 : e.multiplier),
        floor_(real(e.floor)),
        scale_(real(e.scale)),
        eps_(real(e.eps)) {}

  // What the transform itself can leave behind; general powers go on from |y|^2.
  Form form() const { return form_; }
  real eps() const { return eps_; }
  bool general_power() const { return general_; }
  bool squares() const { return form_ == kPower && !general_; }
  bool logarithm() const { return log_ != FASTSPEC_LOG_NONE; }

  // (|y|^2 + eps)^(p/2) from what form() left.
  FS_INLINE V raise(V v) const {
    if (!general_) return v;
    return each_lane(v, [h = half_power_](real s) { return std::pow(s, h); });
  }
  // The same for its slope: d value / dy = slope * y, p (|y|^2 + eps)^(p/2 - 1), and 0 where y is 0.
  FS_INLINE V slope(V v) const {
    if (form_ == kMagnitude) return v * v < kTiny ? V{} : real(1) / v;
    if (!general_) return splat(2);
    return each_lane(
        v, [h = half_power_](real s) { return s < kTiny ? real(0) : real(2) * h * std::pow(s, h - real(1)); });
  }

  FS_INLINE V compress(V u) const {
    if (log_ == FASTSPEC_LOG) return logarithm_(add_ ? u + floor_ : clamp_min(u, floor_));
    if (log_ == FASTSPEC_LOG1P) {
      const V z = scale_ * u, one_more = z + real(1);  // the second term is what rounding took from 1 + z
      const V lost = one_more < real(INFINITY) ? (z - (one_more - real(1))) / one_more : V{};
      return logarithm_(one_more) + lost;
    }
    return u;
  }
  // 0 under the floor, and where the logarithm has no slope (at 0, without a floor).
  FS_INLINE V compress_slope(V u) const {
    if (log_ == FASTSPEC_LOG) {
      const V z = add_ ? u + floor_ : u;
      const real least = add_ ? -real(INFINITY) : floor_;
      return (z < least) | (z == real(0)) ? V{} : logarithm_.multiplier() / z;
    }
    if (log_ == FASTSPEC_LOG1P) return scale_ / (real(1) + scale_ * u);
    return splat(1);
  }

 private:
  Form form_;
  bool general_, add_;
  int log_;
  real half_power_;
  Logarithm logarithm_;
  real floor_, scale_, eps_;
};

// Band k of the frames: the sum over its own bins alone. Four sums in turn hide the latency of one.
FS_INLINE V band(const fastspec_bank& bank, int64_t k, const V* bins) {
  const real* w = static_cast<const real*>(bank.weights) + bank.offset[k];
  const V* v = bins + bank.start[k];
  const int64_t count = bank.count[k];
  V a{}, b{}, c{}, d{};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    a += v[i] * w[i];
    b += v[i + 1] * w[i + 1];
    c += v[i + 2] * w[i + 2];
    d += v[i + 3] * w[i + 3];
  }
  for (; i < count; ++i) a += v[i] * w[i];
  return (a + b) + (c + d);
}

// kLanes values of a row, of which only the first `lanes` exist. Asks for the end of those of the next group, too.
FS_INLINE V load_some(const real* p, int64_t lanes) {
  __builtin_prefetch(p + 2 * kLanes - 1);
  if (lanes >= kLanes) return load(p);
  V v{};
  for (int64_t i = 0; i < lanes; ++i) v[i] = p[i];
  return v;
}

}  // namespace FASTSPEC_NAMESPACE
