// Products of frames with the rows of a dense basis: z[c][f][m] = sum_n H[c][f][n] x[m hop + n], c real and imaginary,
// and the gradient in H. Lanes are rows here: a panel of kLanes rows stands column by column, its real parts in one
// vector and its imaginary parts in another, on the union of the rows' supports. A sample is read where it lies and
// splat over the lanes, so any hop will do and no frame is copied; a group of kTall frames (or columns, in the
// gradient) keeps its sums in registers.
#include <algorithm>
#include <vector>

#include "ops.h"
#include "parallel.h"
#include "simd.h"

namespace FASTSPEC_NAMESPACE {

namespace {

constexpr int kTall = FASTSPEC_VECTOR_BYTES == 64 ? 12 : 6;  // 2 kTall sums, two columns and a splat fill the registers
constexpr int kWide = 2 * kLanes;

struct Panel {
  int64_t first, rows;  // rows first ... of the order given
  int64_t start, stop;  // the union of their supports
  int64_t offset;       // of its columns [stop - start][kWide] among all panels
};

std::vector<Panel> panels_of(const fastspec_rows& r) {
  std::vector<Panel> panels;
  int64_t offset = 0;
  for (int64_t first = 0; first < r.rows; first += kLanes) {
    const int64_t rows = std::min<int64_t>(kLanes, r.rows - first);
    const int64_t start = *std::min_element(r.start + first, r.start + first + rows);
    const int64_t stop = *std::max_element(r.stop + first, r.stop + first + rows);
    panels.push_back({first, rows, start, stop, offset});
    offset += (stop - start) * kWide;
  }
  return panels;
}

template <class Fn> void each_panel(const fastspec_rows& r, const std::vector<Panel>& panels, Fn&& fn) {
  struct Context {
    const std::vector<Panel>& panels;
    Fn& fn;
  } context{panels, fn};
  fastspec::parallel_for(
      int64_t(panels.size()), r.threads,
      [](void* c, long long task) {
        auto& here = *static_cast<Context*>(c);
        here.fn(here.panels[size_t(task)]);
      },
      &context);
}

// acc[i] += sum_p x[i si + p sp] b[p]
template <int Tall>
FS_INLINE void accumulate(const real* x, int64_t si, int64_t sp, const real* b, int64_t count, V (&acc)[Tall][2]) {
  for (int64_t p = 0; p < count; ++p, b += kWide, x += sp) {
    const V re = load(b), im = load(b + kLanes);
    unroll<0, Tall>([&](auto ii) FS_LAMBDA {
      constexpr int i = ii.value;
      const V s = splat(x[i * si]);
      acc[i][0] += s * re;
      acc[i][1] += s * im;
    });
  }
}

// to[i] = sum_p x[i si + p sp] b[p] for i < tall, or added to it.
template <int Tall>
void product(const real* x, int64_t si, int64_t sp, const real* b, int64_t count, int64_t tall, bool add, real* to) {
  int64_t i = 0;
  for (; i + Tall <= tall; i += Tall) {
    V acc[Tall][2];
    for (int j = 0; j < Tall; ++j) {
      acc[j][0] = add ? load(to + (i + j) * kWide) : V{};
      acc[j][1] = add ? load(to + (i + j) * kWide + kLanes) : V{};
    }
    accumulate<Tall>(x + i * si, si, sp, b, count, acc);
    for (int j = 0; j < Tall; ++j) {
      store(to + (i + j) * kWide, acc[j][0]);
      store(to + (i + j) * kWide + kLanes, acc[j][1]);
    }
  }
  if constexpr (Tall > 1)
    if (i < tall) product<Tall / 3>(x + i * si, si, sp, b, count, tall - i, add, to + i * kWide);
}
template <>
void product<0>(const real* x, int64_t si, int64_t sp, const real* b, int64_t count, int64_t tall, bool add, real* to) {
  product<1>(x, si, sp, b, count, tall, add, to);
}

// Columns [count][kWide], lanes from `lane` on, to and from rows of `count` values `pitch` apart.
void columns_to_rows(const real* columns, int64_t count, int64_t rows, real* to, int64_t pitch) {
  int64_t m = 0;
  if (rows == kLanes)
    for (; m + kLanes <= count; m += kLanes) {
      V block[kLanes];
      for (int i = 0; i < kLanes; ++i) block[i] = load(columns + (m + i) * kWide);
      transpose(block);
      for (int i = 0; i < kLanes; ++i) store(to + i * pitch + m, block[i]);
    }
  for (; m < count; ++m)
    for (int64_t i = 0; i < rows; ++i) to[i * pitch + m] = columns[m * kWide + i];
}
void rows_to_columns(const real* from, int64_t pitch, int64_t count, int64_t rows, real* columns) {
  int64_t m = 0;
  if (rows == kLanes)
    for (; m + kLanes <= count; m += kLanes) {
      V block[kLanes];
      for (int i = 0; i < kLanes; ++i) block[i] = load(from + i * pitch + m);
      transpose(block);
      for (int i = 0; i < kLanes; ++i) store(columns + (m + i) * kWide, block[i]);
    }
  for (; m < count; ++m)
    for (int64_t i = 0; i < kLanes; ++i) columns[m * kWide + i] = i < rows ? from[i * pitch + m] : real(0);
}

// One support and taps evenly apart: the rows of a trainable STFT.
bool even(const fastspec_rows& r, const Panel& p) {
  for (int64_t i = p.first; i < p.first + p.rows; ++i)
    if (r.start[i] != p.start || r.stop[i] != p.stop ||
        r.offset[i] != r.offset[p.first] + (i - p.first) * (p.stop - p.start))
      return false;
  return true;
}

}  // namespace

int64_t dense_size(const fastspec_rows& r) {
  const Panel last = panels_of(r).back();
  return last.offset + (last.stop - last.start) * kWide;
}

void dense_pack(const fastspec_rows& r, const void* basis_, void* panels_) {
  const auto panels = panels_of(r);
  each_panel(r, panels, [&](const Panel& p) {
    const int64_t width = p.stop - p.start;
    for (int part = 0; part < 2; ++part) {
      const real* taps = static_cast<const real*>(basis_) + part * r.taps;
      real* columns = static_cast<real*>(panels_) + p.offset + part * kLanes;
      if (even(r, p)) {
        rows_to_columns(taps + r.offset[p.first], width, width, p.rows, columns);
        continue;
      }
      for (int64_t n = 0; n < width; ++n) store(columns + n * kWide, V{});
      for (int64_t i = 0; i < p.rows; ++i) {
        const int64_t row = p.first + i, shift = r.start[row] - p.start;
        for (int64_t n = 0; n < r.stop[row] - r.start[row]; ++n)
          columns[(shift + n) * kWide + i] = taps[r.offset[row] + n];
      }
    }
  });
}

void dense_unpack(const fastspec_rows& r, const void* panels_, void* basis_) {
  const auto panels = panels_of(r);
  each_panel(r, panels, [&](const Panel& p) {
    const int64_t width = p.stop - p.start;
    for (int part = 0; part < 2; ++part) {
      real* taps = static_cast<real*>(basis_) + part * r.taps;
      const real* columns = static_cast<const real*>(panels_) + p.offset + part * kLanes;
      if (even(r, p)) {
        columns_to_rows(columns, width, p.rows, taps + r.offset[p.first], width);
        continue;
      }
      for (int64_t i = 0; i < p.rows; ++i) {
        const int64_t row = p.first + i, shift = r.start[row] - p.start;
        for (int64_t n = 0; n < r.stop[row] - r.start[row]; ++n)
          taps[r.offset[row] + n] = columns[(shift + n) * kWide + i];
      }
    }
  });
}

void dense_transform(const fastspec_rows& r, const fastspec_tile& t, const void* x_, const void* panels_, void* z_) {
  const auto panels = panels_of(r);
  const int64_t pitch = t.clips * t.frames;
  each_panel(r, panels, [&](const Panel& p) {
    const real* columns = static_cast<const real*>(panels_) + p.offset;
    real* sums = static_cast<real*>(fastspec::scratch(size_t(t.frames * kWide) * sizeof(real)));
    for (int64_t clip = 0; clip < t.clips; ++clip) {
      const real* x = static_cast<const real*>(x_) + clip * t.stride + p.start;
      product<kTall>(x, t.hop, 1, columns, p.stop - p.start, t.frames, false, sums);
      for (int part = 0; part < 2; ++part)
        columns_to_rows(sums + part * kLanes, t.frames, p.rows,
                        static_cast<real*>(z_) + (part * r.rows + p.first) * pitch + clip * t.frames, pitch);
    }
  });
}

void dense_gradient(const fastspec_rows& r, const fastspec_tile& t, const void* x_, const void* z_, void* panels_) {
  const auto panels = panels_of(r);
  const int64_t pitch = t.clips * t.frames;
  each_panel(r, panels, [&](const Panel& p) {
    real* columns = static_cast<real*>(panels_) + p.offset;
    real* z = static_cast<real*>(fastspec::scratch(size_t(t.frames * kWide) * sizeof(real)));
    for (int64_t clip = 0; clip < t.clips; ++clip) {
      for (int part = 0; part < 2; ++part)
        rows_to_columns(static_cast<const real*>(z_) + (part * r.rows + p.first) * pitch + clip * t.frames, pitch,
                        t.frames, p.rows, z + part * kLanes);
      const real* x = static_cast<const real*>(x_) + clip * t.stride + p.start;
      product<kTall>(x, 1, t.hop, z, t.frames, p.stop - p.start, true, columns);
    }
  });
}

}  // namespace FASTSPEC_NAMESPACE
