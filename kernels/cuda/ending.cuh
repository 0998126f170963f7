// What follows the transform, a number at a time: |y|^p, the bands of the filterbank, the logarithm, and their
// slopes. Same names and meanings as kernels/cpu/ending.h.
#pragma once

#include "fft.cuh"

namespace FASTSPEC_NAMESPACE {

enum Log : int { kLogNone = 0, kLog = 1, kLog1p = 2 };

struct EndingArgs {
  double power, eps, multiplier, floor, scale;
  int log, add;  // add: the floor is added, not the least value
};

template <class Real> class Ending {
 public:
  FS_INLINE explicit Ending(const EndingArgs& e)
      : log_(e.log),
        add_(e.add != 0),
        power_(Real(e.power)),
        eps_(Real(e.eps)),
        multiplier_(Real(e.multiplier)),
        floor_(Real(e.floor)),
        scale_(Real(e.scale)) {}

  // |y|^2 + eps, from which the others go on.
  FS_INLINE Real energy(Complex<Real> y) const { return y.re * y.re + (y.im * y.im + eps_); }

  FS_INLINE Real value(Real energy) const {
    if (power_ == Real(2)) return energy;
    return power_ == Real(1) ? square_root(energy) : raise_to(energy, power_ * Real(0.5));
  }
  // d value / dy = slope * y, and 0 where y is 0.
  FS_INLINE Real slope(Real energy) const {
    if (power_ == Real(2)) return Real(2);
    if (energy < tiny()) return Real(0);
    return power_ == Real(1) ? Real(1) / square_root(energy) : power_ * raise_to(energy, power_ * Real(0.5) - Real(1));
  }

  FS_INLINE Real compress(Real u) const {
    if (log_ == kLog) return multiplier_ * natural_log(add_ ? u + floor_ : u < floor_ ? floor_ : u);
    return log_ == kLog1p ? log_one_plus(scale_ * u) : u;
  }
  // 0 under the floor, and where the logarithm has no slope (at 0, without a floor).
  FS_INLINE Real compress_slope(Real u) const {
    if (log_ == kLog) {
      const Real z = add_ ? u + floor_ : u;
      return (!add_ && z < floor_) || z == Real(0) ? Real(0) : multiplier_ / z;
    }
    return log_ == kLog1p ? scale_ / (Real(1) + scale_ * u) : Real(1);
  }

 private:
  static FS_INLINE Real tiny() {  // the smallest normal number
    return sizeof(Real) == 4 ? Real(1.17549435e-38) : Real(2.2250738585072014e-308);
  }
  int log_;
  bool add_;
  Real power_, eps_, multiplier_, floor_, scale_;
};

// The filterbank as it lies in memory, and where it is not zero.
template <class Real> struct Bank {
  const Real* weights;  // [F, K], or null: no bank
  const int* bands;     // [K, 2] the first bin of each band and the bin behind its last; both halves folded into one
  const int* bins;      // [n_fft / 2 + 1, 2] the same of each bin, in bands
  int count;            // K
};

// The weight of bin q in band k, that of the mirrored bin included.
template <class Real> FS_INLINE Real weight(const Frames& f, const Bank<Real>& bank, int q, int k) {
  const Real w = bank.weights[(long long)q * bank.count + k];
  if (f.onesided || q == 0 || 2 * q == f.n_fft) return w;
  return w + bank.weights[(long long)(f.n_fft - q) * bank.count + k];
}

// Band k of one frame: the sum over its own bins alone.
template <class Real, class Value> FS_INLINE Real band(const Frames& f, const Bank<Real>& bank, int k, Value&& value) {
  Real sum = 0;
  for (int q = bank.bands[2 * k]; q < bank.bands[2 * k + 1]; ++q) sum += weight(f, bank, q, k) * value(q);
  return sum;
}

}  // namespace FASTSPEC_NAMESPACE
