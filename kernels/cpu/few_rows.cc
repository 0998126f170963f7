// Dense bases of few rows: lanes are frames, each row on its own support, on groups of a few vectors of frames.
//   y[b, f, m] = sum over n of H[f, n] x_padded[b, m * hop + n], and its adjoint in x.
// Work goes with the sum of the supports; both directions gather, so no cell is written twice.
#include "ending.h"
#include "forward.h"
#include "ops.h"

namespace FASTSPEC_NAMESPACE {
namespace {

// Forward, two rows share each load of samples; their sums, real and imaginary parts, take 16 of AVX-512's 32 registers
// or 12 of 16. In the adjoint two samples share each load of spectra.
constexpr int kVectors = FASTSPEC_VECTOR_BYTES == 64 ? 4 : 3, kGroup = kVectors * kLanes;
constexpr int kAdjointVectors = 4, kAdjointGroup = kAdjointVectors * kLanes;

using Sums = V[2][kVectors];  // of one row: real and imaginary parts

struct Row {
  const real *re, *im;  // of sample n of the frame, start <= n < stop
  int64_t start, stop;
};

Row row_of(const fastspec_rows& rows, const void* basis, int64_t f) {
  const real* re = static_cast<const real*>(basis) + rows.offset[f] - rows.start[f];
  return {re, re + rows.taps, rows.start[f], rows.stop[f]};
}

// sum[r] += the samples begin .. end - 1 of each frame times row r's taps. S: the matrix from the first frame on.
template <int R>
FS_INLINE void add_samples(const Layout& l, const real* S, const Row* row, int64_t begin, int64_t end, Sums* sum) {
  int64_t q = begin / l.hop, h = begin % l.hop;
  for (int64_t n = begin; n < end; ++q, h = 0) {
    const real* at = S + h * l.pitch + q;
    for (const int64_t stop = std::min(end, n + l.hop - h); n < stop; ++n, at += l.pitch) {
      V v[kVectors];
      unroll<0, kVectors>([&](auto u) FS_LAMBDA { v[u.value] = load(at + u.value * kLanes); });
      unroll<0, R>([&](auto r) FS_LAMBDA {
        const V re = splat(row[r.value].re[n]), im = splat(row[r.value].im[n]);
        unroll<0, kVectors>([&](auto u) FS_LAMBDA {
          sum[r.value][0][u.value] += v[u.value] * re;
          sum[r.value][1][u.value] += v[u.value] * im;
        });
      });
    }
  }
}

// Two rows together where both are, each alone where it is alone.
FS_INLINE void add_pair(const Layout& l, const real* S, const Row* row, Sums* sum) {
  const int64_t begin = std::max(row[0].start, row[1].start), end = std::min(row[0].stop, row[1].stop);
  if (begin >= end) {
    for (int r = 0; r < 2; ++r) add_samples<1>(l, S, row + r, row[r].start, row[r].stop, sum + r);
    return;
  }
  for (int r = 0; r < 2; ++r) add_samples<1>(l, S, row + r, row[r].start, begin, sum + r);
  add_samples<2>(l, S, row, begin, end, sum);
  for (int r = 0; r < 2; ++r) add_samples<1>(l, S, row + r, end, row[r].stop, sum + r);
}

// The matrix of kGroup frames at a time.
Layout group_layout(const fastspec_frames& f) {
  Layout l(f);
  l.units += kVectors - 1;
  l.pitch = l.units * kLanes;
  return l;
}

template <class Sample>
void fill_units(const Layout& l, const fastspec::Samples& x, int64_t clip, int64_t first, int64_t from, real* S,
                real* line) {
  for (int64_t u = from; u < l.units; ++u)
    fill_unit(l, static_cast<const Sample*>(x.data) + clip * x.stride, first + u * kLanes, S, u, line);
}

void move_units(const Layout& l, real* S, int64_t by) {
  for (int64_t h = 0; h < l.rows; ++h)
    std::memmove(S + h * l.pitch, S + h * l.pitch + by * kLanes, size_t((l.units - by) * kLanes) * sizeof(real));
}

}  // namespace

// y: pairs [B, F, M]; out: what the ending makes of them, [B, F, M]. Either may be null.
void rows_transform(const fastspec_frames& f, const fastspec::Samples& x, const fastspec_rows& rows, const void* basis,
                    void* y, const fastspec_ending* form, void* out) {
  const Layout l = group_layout(f);
  const Ending ending(form ? *form : fastspec_ending{2, 0, 1, 0, 1, FASTSPEC_LOG_NONE, 0});
  const int64_t groups = (f.frames + kGroup - 1) / kGroup, values_out = f.batch * rows.rows * f.frames;
  const bool past = past_caches(values_out), past_y = past_caches(2 * values_out);
  const int64_t run = std::max<int64_t>(1, 4 * l.units / kVectors), runs = (groups + run - 1) / run;

  parallel_for(f.batch * runs, threads_for(f), [&](int64_t task) {
    real* S = static_cast<real*>(fastspec::scratch(size_t(l.size() + l.line() + 2 * kGroup) * sizeof(real)));
    real *values = S + l.size(), *line = values + 2 * kGroup;
    const auto [clip, turn] = run_of(f, task, runs);
    const int64_t begin = turn * run, end = std::min(groups, begin + run);
    for (int64_t g = begin; g < end; ++g) {
      const int64_t first = g * kGroup, frames = std::min<int64_t>(kGroup, f.frames - first);
      const int64_t kept = g > begin ? l.units - kVectors : 0;
      if (kept > 0) move_units(l, S, kVectors);
      if (x.int16)
        fill_units<int16_t>(l, x, clip, first, kept, S, line);
      else
        fill_units<real>(l, x, clip, first, kept, S, line);
      for (int64_t k = 0; k < rows.rows; k += 2) {
        const int count = int(std::min<int64_t>(2, rows.rows - k));
        const Row row[2] = {row_of(rows, basis, k), row_of(rows, basis, k + count - 1)};
        Sums sum[2] = {};
        if (count == 2)
          add_pair(l, S, row, sum);
        else
          add_samples<1>(l, S, row, row[0].start, row[0].stop, sum);
        for (int r = 0; r < count; ++r) {
          const int64_t at = (clip * rows.rows + k + r) * f.frames + first;
          if (y) {
            unroll<0, kVectors>(
                [&](auto u) FS_LAMBDA { zip(sum[r][0][u.value], sum[r][1][u.value], values + 2 * u.value * kLanes); });
            write_row(static_cast<real*>(y) + 2 * at, values, 2 * frames, past_y);
          }
          if (out) {
            unroll<0, kVectors>([&](auto u) FS_LAMBDA {
              const V re = sum[r][0][u.value], im = sum[r][1][u.value];
              const V power = re * re + im * im + ending.eps();
              const V v = ending.raise(ending.form() == kMagnitude ? square_root(power) : power);
              store(values + u.value * kLanes, ending.logarithm() ? ending.compress(v) : v);
            });
            write_row(static_cast<real*>(out) + at, values, frames, past);
          }
        }
      }
    }
    stream_fence();
  });
}

namespace {

// A row cut into columns of the matrix: sample q * hop + h is one of its own where first(h) <= q < last(h).
struct Columns {
  Row row;
  int64_t first_q, first_h, last_q, last_h;

  Columns(const Row& r, int64_t hop)
      : row(r), first_q(r.start / hop), first_h(r.start % hop), last_q(r.stop / hop), last_h(r.stop % hop) {}
  int64_t first(int64_t h) const { return first_q + (h < first_h); }
  int64_t last(int64_t h) const { return last_q + (h < last_h); }
};

// sum[i] += the row's samples q * hop + h + i of the frames, q from begin to end - 1: frame c - q gives column c.
// y: of frame 0 minus the halo; real parts, then the imaginary ones `width` further.
template <int R>
FS_INLINE void add_frames(const Row& row, int64_t hop, int64_t h, int64_t begin, int64_t end, const real* y,
                          int64_t width, V (*sum)[kAdjointVectors]) {
  for (int64_t q = begin; q < end; ++q) {
    const real *re = row.re + q * hop + h, *im = row.im + q * hop + h, *at = y - q;
    unroll<0, kAdjointVectors>([&](auto u) FS_LAMBDA {
      const V a = load(at + u.value * kLanes), b = load(at + width + u.value * kLanes);
      unroll<0, R>([&](auto i) FS_LAMBDA { sum[i.value][u.value] += a * re[i.value] + b * im[i.value]; });
    });
  }
}

}  // namespace

// y, pairs [B, F, M] -> x [B, T].
void rows_overlap_add(const fastspec_frames& f, const void* y, const fastspec_rows& rows, const void* basis, void* x) {
  Layout l(f);
  const int64_t halo = (f.n_fft + f.hop - 1) / f.hop - 1, width = kAdjointGroup + halo;
  l.units = kAdjointVectors;
  l.pitch = kAdjointGroup;
  const int64_t groups = (f.frames + halo + kAdjointGroup - 1) / kAdjointGroup, edges = 2 * l.pad;
  const bool past = past_caches(f.batch * f.samples);
  const std::unique_ptr<real, void (*)(void*)> edge(
      static_cast<real*>(std::calloc(size_t(f.batch * edges) + 1, sizeof(real))), std::free);
  if (!edge) fastspec::no_memory();

  parallel_for(f.batch * groups, threads_for(f), [&](int64_t task) {
    const int64_t planes = rows.rows * 2 * width;
    real* A = static_cast<real*>(fastspec::scratch(size_t(l.size() + l.line() + planes + 2 * kLanes) * sizeof(real)));
    real *line = A + l.size(), *plane = line + l.line();
    const auto [clip, group] = run_of(f, task, groups);
    const int64_t first = group * kAdjointGroup;
    real* clip_x = static_cast<real*>(x) + clip * f.samples;

    const int64_t begin = std::max<int64_t>(0, first - halo), end = std::min(f.frames, first + kAdjointGroup);
    // The spectra of frames first - halo .. first + kAdjointGroup - 1, zeros where there are none.
    for (int64_t k = 0; k < rows.rows; ++k) {
      const real* from = static_cast<const real*>(y) + 2 * (clip * rows.rows + k) * f.frames;
      real *re = plane + 2 * k * width, *im = re + width;
      std::fill_n(re, 2 * width, real(0));
      re -= first - halo;
      im -= first - halo;
      int64_t m = begin;
      for (; m + kLanes <= end; m += kLanes) {
        V a, b;
        unzip(from + 2 * m, a, b);
        store(re + m, a);
        store(im + m, b);
      }
      for (; m < end; ++m) {
        re[m] = from[2 * m];
        im[m] = from[2 * m + 1];
      }
    }
    for (int64_t h = 0; h < l.rows; h += 2) {
      const int64_t other = std::min(h + 1, l.rows - 1);
      V sum[2][kAdjointVectors] = {};
      for (int64_t k = 0; k < rows.rows; ++k) {
        const Columns c(row_of(rows, basis, k), l.hop);
        const real* at = plane + 2 * k * width + halo;
        const int64_t b0 = c.first(h), e0 = c.last(h), b1 = c.first(other), e1 = c.last(other);
        if (other == h) {
          add_frames<1>(c.row, l.hop, h, b0, e0, at, width, sum);
          continue;
        }
        const int64_t both = std::max(b0, b1), until = std::min(e0, e1);
        if (both < until) {
          add_frames<1>(c.row, l.hop, other, b1, both, at, width, sum + 1);
          add_frames<2>(c.row, l.hop, h, both, until, at, width, sum);
          add_frames<1>(c.row, l.hop, h, until, e0, at, width, sum);
        } else {
          add_frames<1>(c.row, l.hop, h, b0, e0, at, width, sum);
          add_frames<1>(c.row, l.hop, other, b1, e1, at, width, sum + 1);
        }
      }
      for (int64_t i = 0; i <= other - h; ++i)
        for (int u = 0; u < kAdjointVectors; ++u) store(A + (h + i) * l.pitch + u * kLanes, sum[i][u]);
    }
    for (int u = 0; u < kAdjointVectors; ++u)
      drain_unit(l, A + u * kLanes, first + u * kLanes, clip_x, edge.get() + clip * edges, line, past);
    const int64_t stop = (first + kAdjointGroup) * l.hop - l.pad;
    if (first + kAdjointGroup >= f.frames + halo && stop < l.samples)  // no frame reaches further
      std::fill(clip_x + std::max<int64_t>(0, stop), clip_x + l.samples, real(0));
    stream_fence();
  });

  for (int64_t clip = 0; clip < f.batch && edges; ++clip)
    fold_edges(l, edge.get() + clip * edges, static_cast<real*>(x) + clip * f.samples);
}

}  // namespace FASTSPEC_NAMESPACE
