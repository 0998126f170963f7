// What Kaldi does to a frame before its window: the mean is taken off, then x[n] - c x[n - 1] inside the frame, the
// first sample being its own predecessor. A linear map of the win_length samples under the window, between the
// polyphase matrix and the transform, which see nothing of it.
#pragma once

#include <vector>

#include "polyphase.h"

namespace FASTSPEC_NAMESPACE {

class Preparation {
 public:
  Preparation(const fastspec_frames& f, const Tap* taps)
      : remove_dc_(f.remove_dc != 0),
        coefficient_(real(f.preemphasis)),
        n_fft_(f.n_fft),
        begin_((f.n_fft - f.win_length) / 2),
        end_(begin_ + f.win_length) {
    if (!needed()) return;
    taps_.resize(size_t(n_fft_));
    for (int64_t n = 0; n < n_fft_; ++n) taps_[size_t(n)] = {taps[n].weight, int(n * kLanes)};
  }

  bool needed() const { return remove_dc_ || coefficient_ != 0; }
  int64_t size() const { return needed() ? n_fft_ * kLanes : 0; }  // values of memory that apply() writes to

  Frames apply(const Frames& raw, real* memory) const {
    if (!needed()) return raw;
    const auto sample = [&](int64_t n) FS_LAMBDA { return raw.sample(n); };
    // The mean's share of the difference comes off last: loud low notes cancel in a multiply-add of samples as they
    // are, which rounds once, and what it rounds is the small difference.
    const V rest = remove_dc_ ? mean_of(sample) * real(1 - double(coefficient_)) : V{};
    V* to = reinterpret_cast<V*>(memory);
    for (int64_t n = 0; n < begin_; ++n) to[n] = V{};
    V before = sample(begin_);
    for (int64_t n = begin_; n < end_; ++n) {
      const V x = sample(n);
      to[n] = x - before * coefficient_ - rest;
      before = x;
    }
    for (int64_t n = end_; n < n_fft_; ++n) to[n] = V{};
    return {memory, taps_.data(), raw.ahead};
  }

  // In place: gradients of the windowed, prepared samples to those of the samples themselves.
  void adjoint(V* g) const {
    for (int64_t n = 0; n < n_fft_; ++n) g[n] *= taps_[size_t(n)].weight;
    const V first = g[begin_] * coefficient_;
    for (int64_t n = begin_; n + 1 < end_; ++n) g[n] -= g[n + 1] * coefficient_;
    g[begin_] -= first;
    if (!remove_dc_) return;
    const V mean = mean_of([&](int64_t n) FS_LAMBDA { return g[n]; });
    for (int64_t n = begin_; n < end_; ++n) g[n] -= mean;
  }

 private:
  template <class Value> FS_INLINE V mean_of(Value&& value) const {  // four sums in turn hide the latency of one
    V sum[4] = {};
    int64_t n = begin_;
    for (; n + 4 <= end_; n += 4) unroll<0, 4>([&](auto i) FS_LAMBDA { sum[i.value] += value(n + i.value); });
    for (; n < end_; ++n) sum[0] += value(n);
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) * (real(1) / real(end_ - begin_));
  }

  bool remove_dc_;
  real coefficient_;
  int64_t n_fft_, begin_, end_;
  std::vector<Tap> taps_;
};

}  // namespace FASTSPEC_NAMESPACE
