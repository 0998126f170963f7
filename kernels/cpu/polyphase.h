// Between a clip and lanes. The polyphase matrix S[h][c] = x_padded[c * hop + h] holds sample n = q * hop + h of
// kLanes consecutive frames as the kLanes values at S[h][m + q]: one unaligned load, and each sample was moved once,
// not n_fft / hop times. Columns come in units of kLanes; moving on by kLanes frames drops one unit and fills one.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "../common/framing.h"
#include "fft.h"
#include "kernels.h"
#include "parallel.h"

namespace FASTSPEC_NAMESPACE {

struct Layout {
  int64_t hop, n_fft, pad, samples, rows, units, pitch;  // rows: min(hop, n_fft); pitch: of a row of S
  int pad_mode;

  explicit Layout(const fastspec_frames& f)
      : hop(f.hop),
        n_fft(f.n_fft),
        pad(f.pad),
        samples(f.samples),
        rows(f.hop < f.n_fft ? f.hop : f.n_fft),
        units((((f.n_fft + f.hop - 1) / f.hop) - 1 + kLanes - 1) / kLanes + 1),
        pitch(units * kLanes),
        pad_mode(f.pad_mode) {}

  int64_t size() const { return rows * pitch; }
  int64_t line() const { return rows * kLanes; }  // samples of one unit, for the ways through scratch memory
};

// Taps of one call: where sample n lies in S, and the window with `scale` in it, centred in n_fft.
class FrameTables {
 public:
  FrameTables(const Layout& l, const real* window, int64_t win_length, real scale)
      : taps_(static_cast<Tap*>(std::malloc(size_t(l.n_fft) * sizeof(Tap))), std::free),
        hops_(l.n_fft % l.hop == 0 ? l.n_fft / l.hop : 0),
        pitch_(l.pitch) {
    if (!taps_) fastspec::no_memory();
    const int64_t left = (l.n_fft - win_length) / 2;
    for (int64_t n = 0, h = 0, q = 0; n < l.n_fft; ++n) {
      const int64_t k = n - left;
      const real weight = window == nullptr ? scale : k >= 0 && k < win_length ? window[k] * scale : real(0);
      taps_.get()[n] = {weight, int(h * l.pitch + q)};
      if (++h == l.hop) {
        h = 0;
        ++q;
      }
    }
  }

  Frames frames(const real* samples, Ahead ahead = {}) const { return {samples, taps_.get(), ahead, hops_, pitch_}; }

 private:
  std::unique_ptr<Tap, void (*)(void*)> taps_;
  int64_t hops_, pitch_;
};

// ---- clip to lanes ----------------------------------------------------------------------------------------------

template <class Sample> FS_INLINE real as_real(Sample s) {
  if constexpr (sizeof(Sample) == 2)
    return real(s) * real(1.0 / 32768);
  else
    return real(s);
}

// The rows of R columns each, R a power of two, out of R vectors of samples.
template <int R> FS_INLINE void fill_columns(const real* from, real* column, int64_t pitch) {
  V v[R];
  unroll<0, R>([&](auto i) FS_LAMBDA { v[i.value] = load(from + i.value * kLanes); });
  deinterleave<R>(v);
  unroll<0, R>([&](auto i) FS_LAMBDA { *(V*)(column + i.value * pitch) = v[i.value]; });
}

// Drops unit 0 of row h: every other moves one place to the left.
FS_INLINE void shift_row(const Layout& l, real* S, int64_t h) {
  V* row = reinterpret_cast<V*>(S + h * l.pitch);
  for (int64_t u = 1; u < l.units; ++u) row[u - 1] = row[u];
}
inline void shift_units(const Layout& l, real* S) {
  for (int64_t h = 0; h < l.rows; ++h) shift_row(l, S, h);
}

// Fills unit `unit` of S with the columns of frames m .. m + kLanes - 1; shift: unit 0 is dropped first. line:
// l.line() values.
template <class Sample>
void fill_unit(const Layout& l, const Sample* x, int64_t m, real* S, int64_t unit, real* line, bool shift = false) {
  const int64_t first = l.hop * m - l.pad, last = first + l.hop * (kLanes - 1) + l.rows;
  const real* from = nullptr;
  int64_t step = l.hop;
  if constexpr (sizeof(Sample) == sizeof(real)) {
    if (first >= 0 && last <= l.samples) from = x + first;
  }
  if (!from) {
    for (int64_t i = 0; i < kLanes; ++i) {
      const int64_t s0 = first + l.hop * i;
      real* to = line + l.rows * i;
      const int64_t begin = std::clamp<int64_t>(-s0, 0, l.rows),
                    end = std::clamp<int64_t>(l.samples - s0, begin, l.rows);
      const auto outside = [&](int64_t h, int64_t stop) {
        for (; h < stop; ++h) {
          const int64_t s = sample_at(s0 + h, l.samples, l.pad, l.pad_mode);
          to[h] = s < 0 ? real(0) : as_real(x[s]);
        }
      };
      outside(0, begin);
      for (int64_t h = begin; h < end; ++h) to[h] = as_real(x[s0 + h]);
      outside(end, l.rows);
    }
    from = line;
    step = l.rows;
  }
  real* column = S + unit * kLanes;
  if (l.rows < kLanes) {
    if (shift) shift_units(l, S);
    if (l.rows == step) {  // all that lies there
      if (step == 2) return fill_columns<2>(from, column, l.pitch);
      if (step == 4) return fill_columns<4>(from, column, l.pitch);
      if (step == 8) return fill_columns<8>(from, column, l.pitch);
    }
    for (int64_t h = 0; h < l.rows; ++h)
      for (int64_t i = 0; i < kLanes; ++i) column[h * l.pitch + i] = from[step * i + h];
    return;
  }
  for (int64_t h = 0; h < l.rows; h += kLanes) {
    if (shift)  // here, where the rows' cache lines are wanted anyway
      for (int64_t i = h; i < std::min(h + kLanes, l.rows); ++i) shift_row(l, S, i);
    h = std::min(h, l.rows - kLanes);  // the last tile overlaps the one before
    V v[kLanes];
    unroll<0, kLanes>([&](auto i) FS_LAMBDA { v[i.value] = load(from + step * i.value + h); });
    transpose(v);
    unroll<0, kLanes>([&](auto i) FS_LAMBDA { *(V*)(column + (h + i.value) * l.pitch) = v[i.value]; });
  }
}

// The polyphase matrix of one clip, moved along it a group of kLanes frames at a time.
class Reader {
 public:
  Reader(const Layout& l, const fastspec::Samples& x, int64_t clip, real* memory)
      : l_(l), x_(x), clip_(clip), S_(memory), line_(memory + l.size()) {}
  static int64_t memory(const Layout& l) { return l.size() + l.line(); }

  void start(int64_t group) {
    for (int64_t u = 0; u < l_.units; ++u) fill((group + u) * kLanes, u, false);
  }
  void advance(int64_t group) {  // from group - 1
    fill((group + l_.units - 1) * kLanes, l_.units - 1, true);
  }
  const real* samples() const { return S_; }
  // What the next advance() will read of the clip.
  Ahead ahead(int64_t group) const {
    const int64_t first = std::clamp<int64_t>(l_.hop * (group + l_.units) * kLanes - l_.pad, 0, l_.samples);
    const int64_t count = l_.hop > l_.n_fft ? 0 : std::min(l_.hop * kLanes, l_.samples - first);
    const int64_t bytes = x_.int16 ? int64_t(sizeof(int16_t)) : int64_t(sizeof(real));
    return {static_cast<const char*>(x_.data) + (clip_ * x_.stride + first) * bytes, count * bytes / 64};
  }

 private:
  void fill(int64_t m, int64_t unit, bool shift) {
    if (x_.int16)
      fill_unit(l_, static_cast<const int16_t*>(x_.data) + clip_ * x_.stride, m, S_, unit, line_, shift);
    else
      fill_unit(l_, static_cast<const real*>(x_.data) + clip_ * x_.stride, m, S_, unit, line_, shift);
  }
  const Layout& l_;
  const fastspec::Samples& x_;
  int64_t clip_;
  real *S_, *line_;
};

// Results larger than the caches go past them; smaller ones stay for whoever reads them next.
inline bool past_caches(int64_t values) { return values * int64_t(sizeof(real)) > (int64_t(4) << 20); }

// A row may come in parts: the part that begins it is marked so, and the one that ends it. Past the caches whole lines
// go alone, as a line written by halves costs more than several: what a part leaves over is written with the next,
// which therefore finds the last kLine values of this one in front of its own. No part but the last is shorter.
constexpr int64_t kLine = std::max<int64_t>(kLanes, 64 / int64_t(sizeof(real)));
struct Part {
  bool begins = true, ends = true;
};
inline void write_row(real* to, const real* from, int64_t count, bool past, Part part = {}) {
  int64_t i = 0;
  const auto copy_to = [&](int64_t stop) FS_LAMBDA {
    for (; i + kLanes <= stop; i += kLanes) store(to + i, load(from + i));
    for (; i < stop; ++i) to[i] = from[i];
  };
  if (!past) return copy_to(count);
  const int64_t misaligned = int64_t(reinterpret_cast<uintptr_t>(to) % (kLine * sizeof(real)) / sizeof(real));
  if (part.begins)
    copy_to(std::min(count, (kLine - misaligned) % kLine));
  else
    i = -misaligned;
  for (; i + kLine <= count; i += kLine)
    unroll<0, kLine / kLanes>([&](auto v) FS_LAMBDA {
      const int64_t at = i + v.value * kLanes;
      stream(to + at, load(from + at));
    });
  if (part.ends) copy_to(count);
}

// ---- lanes to clip ----------------------------------------------------------------------------------------------

// Writes unit 0 of A, the finished samples of frames m .. m + kLanes - 1, to where they lie: inside the clip to x,
// in the padding to edge [2 * pad], left part first. Each position is written by exactly one call. past: see write_row.
inline void drain_unit(const Layout& l, const real* A, int64_t m, real* x, real* edge, real* line, bool past) {
  const int64_t first = l.hop * m - l.pad;
  const bool inside = first >= 0 && first + l.hop * kLanes <= l.samples && l.rows == l.hop;
  real* to = inside && !past ? x + first : line;
  const int64_t step = l.rows;
  if (l.rows < kLanes) {
    for (int64_t h = 0; h < l.rows; ++h)
      for (int64_t i = 0; i < kLanes; ++i) to[step * i + h] = A[h * l.pitch + i];
  } else {
    for (int64_t h = 0; h < l.rows; h += kLanes) {
      h = std::min(h, l.rows - kLanes);
      V v[kLanes];
      unroll<0, kLanes>([&](auto i) FS_LAMBDA { v[i.value] = *(const V*)(A + (h + i.value) * l.pitch); });
      transpose(v);
      unroll<0, kLanes>([&](auto i) FS_LAMBDA { store(to + step * i.value + h, v[i.value]); });
    }
  }
  if (inside) {
    if (past) write_row(x + first, line, l.hop * kLanes, past);
    return;
  }
  for (int64_t i = 0; i < kLanes; ++i) {
    const int64_t s0 = first + l.hop * i, stop = std::min(l.hop, l.samples + l.pad - s0);  // a hop may leave the clip
    for (int64_t h = 0; h < stop; ++h) {
      const int64_t s = s0 + h;
      const real v = h < l.rows ? line[l.rows * i + h] : real(0);
      if (s < 0)
        edge[s + l.pad] = v;
      else if (s < l.samples)
        x[s] = v;
      else
        edge[s - l.samples + l.pad] = v;
    }
  }
}

// The adjoint of padding: what gathered in the padding goes back to the samples that stood there.
inline void fold_edges(const Layout& l, const real* edge, real* x) {
  for (int64_t e = 0; e < 2 * l.pad; ++e) {
    const int64_t s = sample_at(e < l.pad ? e - l.pad : l.samples + e - l.pad, l.samples, l.pad, l.pad_mode);
    if (s >= 0) x[s] += edge[e];
  }
}

// ---- work on groups of frames -----------------------------------------------------------------------------------

inline int64_t groups_of(const fastspec_frames& f) { return (f.frames + kLanes - 1) / kLanes; }

// Below this many samples in frames a second thread costs more than it brings.
inline int threads_for(const fastspec_frames& f) {
  return f.batch * f.frames * f.n_fft < (int64_t(1) << 17) ? 1 : fastspec::threads_of(f.threads);
}

// Which run of which clip a task is. Where threads share the work clips take turns: two threads that find the same
// fresh page at once would both clear it.
struct Run {
  int64_t clip, run;
};
inline Run run_of(const fastspec_frames& f, int64_t task, int64_t runs) {
  if (threads_for(f) == 1) return {task / runs, task % runs};
  return {task % f.batch, task / f.batch};
}

template <class Fn> void parallel_for(int64_t tasks, int threads, Fn&& fn) {
  using Plain = std::remove_reference_t<Fn>;
  fastspec::parallel_for(
      tasks, threads, [](void* context, long long task) { (*static_cast<Plain*>(context))(task); },
      const_cast<std::remove_const_t<Plain>*>(&fn));
}

}  // namespace FASTSPEC_NAMESPACE
