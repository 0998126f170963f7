// What follows the product with a dense basis, and what comes before its adjoint: between the spectra of a tile,
// z [2, F, clips * frames] in the order of the supports, and the arrays of results, [B, F, M] in the rows' own order.
#include <algorithm>

#include "ending.h"
#include "ops.h"

namespace FASTSPEC_NAMESPACE {

namespace {

// fn(row of z, row of the results, clip)
template <class Fn> void each_row(const fastspec_rows& r, const fastspec_tile& t, const int64_t* order, Fn&& fn) {
  constexpr int64_t kRun = 16;  // rows in a task
  parallel_for((r.rows + kRun - 1) / kRun, r.threads, [&](int64_t task) {
    for (int64_t f = task * kRun; f < std::min(r.rows, (task + 1) * kRun); ++f)
      for (int64_t clip = 0; clip < t.clips; ++clip) fn(f, order ? order[f] : f, clip);
    stream_fence();
  });
}

template <class T> T* row_at(const fastspec_array& a, int64_t clip, int64_t row, int64_t numbers) {
  return static_cast<T*>(a.data) + (clip * a.clip + row * a.row) * numbers;
}

FS_INLINE V value_of(const Ending& ending, V re, V im) {
  const V power = re * re + im * im + ending.eps();
  return ending.form() == kMagnitude ? square_root(power) : power;
}

}  // namespace

void dense_store(const fastspec_rows& r, const fastspec_tile& t, const void* z, const int64_t* order,
                 const fastspec_array& y, const fastspec_ending* form, const fastspec_array& out) {
  const Ending ending(form ? *form : fastspec_ending{2, 0, 1, 0, 1, FASTSPEC_LOG_NONE, 0});
  const int64_t pitch = t.clips * t.frames;
  each_row(r, t, order, [&](int64_t f, int64_t row, int64_t clip) {
    const real* re = static_cast<const real*>(z) + f * pitch + clip * t.frames;
    const real* im = re + r.rows * pitch;
    real* to = out.data ? row_at<real>(out, clip, row, 1) : nullptr;
    real* pairs = y.data ? row_at<real>(y, clip, row, 2) : nullptr;
    const auto write = [&](V a, V b, real* p, real* v) FS_LAMBDA {
      if (pairs) zip(a, b, p);
      if (!to) return;
      const V u = ending.raise(value_of(ending, a, b));
      store(v, ending.logarithm() ? ending.compress(u) : u);
    };
    int64_t m = 0;
    for (; m + kLanes <= t.frames; m += kLanes) write(load(re + m), load(im + m), pairs + 2 * m, to + m);
    if (const int64_t left = t.frames - m; left > 0) {
      real p[2 * kLanes], v[kLanes];
      write(load_some(re + m, left), load_some(im + m, left), p, v);
      if (pairs) std::copy_n(p, 2 * left, pairs + 2 * m);
      if (to) std::copy_n(v, left, to + m);
    }
  });
}

void dense_load(const fastspec_rows& r, const fastspec_tile& t, const fastspec_array& y, const fastspec_ending* form,
                const fastspec_array& grad, const int64_t* order, void* z) {
  const Ending ending(form ? *form : fastspec_ending{2, 0, 1, 0, 1, FASTSPEC_LOG_NONE, 0});
  const int64_t pitch = t.clips * t.frames;
  each_row(r, t, order, [&](int64_t f, int64_t row, int64_t clip) {
    real* re = static_cast<real*>(z) + f * pitch + clip * t.frames;
    real* im = re + r.rows * pitch;
    const real* pairs = y.data ? row_at<const real>(y, clip, row, 2) : nullptr;
    const real* g = grad.data ? row_at<const real>(grad, clip, row, 1) : nullptr;
    const auto scale = [&](V& a, V& b, V slope) FS_LAMBDA {
      const V v = value_of(ending, a, b);
      if (ending.logarithm()) slope *= ending.compress_slope(ending.raise(v));
      slope *= ending.slope(v);
      a *= slope;
      b *= slope;
    };
    int64_t m = 0;
    for (; m + kLanes <= t.frames; m += kLanes) {
      V a, b;
      if (pairs)
        unzip(pairs + 2 * m, a, b);
      else
        a = load(re + m), b = load(im + m);
      if (g) scale(a, b, load(g + m));
      store(re + m, a);
      store(im + m, b);
    }
    if (const int64_t left = t.frames - m; left > 0) {
      V a{}, b{};
      for (int64_t i = 0; i < left; ++i) {
        a[i] = pairs ? pairs[2 * (m + i)] : re[m + i];
        b[i] = pairs ? pairs[2 * (m + i) + 1] : im[m + i];
      }
      if (g) scale(a, b, load_some(g + m, left));
      for (int64_t i = 0; i < left; ++i) {
        re[m + i] = a[i];
        im[m + i] = b[i];
      }
    }
  });
}

}  // namespace FASTSPEC_NAMESPACE
