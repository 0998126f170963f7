// Products of frames with the rows of a dense basis: z[c][f][m] = sum_n H[c][f][n] x[m hop + n], c real and imaginary,
// and the gradient in H. Lanes are rows here: a panel of kLanes rows stands column by column, its real parts in one
// vector and its imaginary parts in another, on the union of the rows' supports. A sample is read where it lies and
// splat over the lanes, so any hop will do and no frame is copied; a group of kTall frames (or columns, in the
// gradient) keeps its sums in registers. Where rows are two or four hops long, neighbouring frames share products
// (shared_products.h): a panel then holds sums of its taps, 9 hops of columns for every 4.
#include <algorithm>
#include <vector>

#include "ops.h"
#include "polyphase.h"
#include "product.h"
#include "shared_products.h"

namespace FASTSPEC_NAMESPACE {

namespace {

struct Panel {
  int64_t first, rows;  // rows first ... of the order given
  int64_t start, stop;  // the union of their supports
  int64_t offset;       // of its columns [cuts.columns()][kWide] among all panels
  Cuts cuts;
};

std::vector<Panel> panels_of(const fastspec_rows& r, int64_t hop) {
  std::vector<Panel> panels;
  int64_t offset = 0;
  for (int64_t first = 0; first < r.rows; first += kLanes) {
    const int64_t rows = std::min<int64_t>(kLanes, r.rows - first);
    const int64_t start = *std::min_element(r.start + first, r.start + first + rows);
    const int64_t stop = *std::max_element(r.stop + first, r.stop + first + rows);
    panels.push_back({first, rows, start, stop, offset, Cuts(stop - start, hop)});
    offset += panels.back().cuts.columns() * kWide;
  }
  return panels;
}

// fn(begin, end): consecutive panels in one task, so that those of one support share what is made of the samples.
template <class Fn> void each_run(const fastspec_rows& r, const std::vector<Panel>& panels, Fn&& fn) {
  const int64_t count = int64_t(panels.size()), threads = fastspec::threads_of(r.threads);
  const int64_t tasks = threads > 1 ? std::min(count, 2 * threads) : 1;
  parallel_for(tasks, r.threads, [&](int64_t task) {
    fn(panels.data() + task * count / tasks, panels.data() + (task + 1) * count / tasks);
  });
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

// This thread's memory for one tile: columns of frames, of the products that they share, and those products' samples.
struct Room {
  real *sums, *shared, *samples;

  Room(const Panel* begin, const Panel* end, int64_t frames) {
    int64_t columns = 0, numbers = 0;
    for (const Panel* p = begin; p < end; ++p) {
      columns = std::max(columns, p->cuts.shared(frames));
      numbers = std::max(numbers, p->cuts.samples(frames));
    }
    const int64_t size = (frames + columns) * kWide + numbers;
    sums = static_cast<real*>(fastspec::scratch(size_t(size) * sizeof(real)));
    shared = sums + frames * kWide;
    samples = shared + columns * kWide;
  }

  // The samples of panel p of a clip, unless those of the panel before are the same.
  void share(const Panel* before, const Panel* p, const real* x, int64_t frames) const {
    if (before && before->start == p->start && before->stop == p->stop) return;
    const int64_t end = (frames - 1) * p->cuts.hop + p->cuts.width;
    share_samples(p->cuts.fours, x + p->start, end, frames, samples);
    share_samples(p->cuts.twos, x + p->start, end, frames, samples + p->cuts.fours.samples(frames));
  }

  // fn(pieces, their samples), the shorter ones first.
  template <class Fn> void each(Fn&& fn, const Panel& p, int64_t frames) const {
    if (p.cuts.twos.count) fn(p.cuts.twos, samples + p.cuts.fours.samples(frames));
    if (p.cuts.fours.count) fn(p.cuts.fours, samples);
  }
};

}  // namespace

int64_t dense_size(const fastspec_rows& r, int64_t hop) {
  const Panel last = panels_of(r, hop).back();
  return last.offset + last.cuts.columns() * kWide;
}

void dense_pack(const fastspec_rows& r, int64_t hop, const void* basis_, void* panels_) {
  const auto panels = panels_of(r, hop);
  each_run(r, panels, [&](const Panel* begin, const Panel* end) {
    for (const Panel* p = begin; p < end; ++p) {
      const int64_t width = p->stop - p->start;
      real* columns = static_cast<real*>(fastspec::scratch(size_t(2 * width * kWide) * sizeof(real)));
      real* lines = columns + width * kWide;  // the rows, with zeros around their supports
      for (int part = 0; part < 2; ++part) {
        const real* taps = static_cast<const real*>(basis_) + part * r.taps;
        for (int64_t i = 0; i < p->rows; ++i) {
          const int64_t row = p->first + i, count = r.stop[row] - r.start[row];
          real* line = lines + i * width;
          std::fill_n(line, width, real(0));
          std::copy_n(taps + r.offset[row], count, line + r.start[row] - p->start);
        }
        rows_to_columns(lines, width, width, p->rows, columns + part * kLanes);
      }
      real* panel = static_cast<real*>(panels_) + p->offset;
      share_taps(p->cuts.fours, columns, panel);
      share_taps(p->cuts.twos, columns, panel);
      std::copy_n(columns + p->cuts.rest_at() * kWide, p->cuts.rest * kWide, panel + p->cuts.rest_taps());
    }
  });
}

void dense_unpack(const fastspec_rows& r, int64_t hop, const void* panels_, void* basis_) {
  const auto panels = panels_of(r, hop);
  each_run(r, panels, [&](const Panel* begin, const Panel* end) {
    for (const Panel* p = begin; p < end; ++p) {
      const int64_t width = p->stop - p->start;
      real* columns = static_cast<real*>(fastspec::scratch(size_t(2 * width * kWide) * sizeof(real)));
      real* lines = columns + width * kWide;
      const real* panel = static_cast<const real*>(panels_) + p->offset;
      gather_taps(p->cuts.fours, panel, columns);
      gather_taps(p->cuts.twos, panel, columns);
      std::copy_n(panel + p->cuts.rest_taps(), p->cuts.rest * kWide, columns + p->cuts.rest_at() * kWide);
      for (int part = 0; part < 2; ++part) {
        real* taps = static_cast<real*>(basis_) + part * r.taps;
        columns_to_rows(columns + part * kLanes, width, p->rows, lines, width);
        for (int64_t i = 0; i < p->rows; ++i) {
          const int64_t row = p->first + i, count = r.stop[row] - r.start[row];
          std::copy_n(lines + i * width + r.start[row] - p->start, count, taps + r.offset[row]);
        }
      }
    }
  });
}

void dense_transform(const fastspec_rows& r, const fastspec_tile& t, const void* x_, const void* panels_, void* z_) {
  const auto panels = panels_of(r, t.hop);
  const int64_t pitch = t.clips * t.frames;
  each_run(r, panels, [&](const Panel* begin, const Panel* end) {
    const Room room(begin, end, t.frames);
    for (int64_t clip = 0; clip < t.clips; ++clip) {
      const real* x = static_cast<const real*>(x_) + clip * t.stride;
      for (const Panel* p = begin; p < end; ++p) {
        room.share(p == begin ? nullptr : p - 1, p, x, t.frames);
        const real* columns = static_cast<const real*>(panels_) + p->offset;
        const Cuts& cuts = p->cuts;
        if (cuts.rest)
          product<kTall>(x + p->start + cuts.rest_at(), t.hop, 1, columns + cuts.rest_taps(), cuts.rest, t.frames,
                         false, room.sums);
        room.each(
            [&](const auto& pieces, const real* samples) {
              const int64_t groups = pieces.groups(t.frames), lines = pieces.lines(t.frames);
              for (int c = 0; c < pieces.kProducts; ++c)
                for (int64_t k = 0; k < pieces.count; ++k)
                  product<kTall>(samples + (c * lines + k) * pieces.pitch, pieces.pitch, 1, columns + pieces.taps(c, k),
                                 pieces.hop, groups, k > 0, room.shared + c * groups * kWide);
              gather_frames(pieces, room.shared, t.frames,
                            pieces.at + pieces.count * pieces.kHops * t.hop < p->stop - p->start, room.sums);
            },
            *p, t.frames);
        for (int part = 0; part < 2; ++part)
          columns_to_rows(room.sums + part * kLanes, t.frames, p->rows,
                          static_cast<real*>(z_) + (part * r.rows + p->first) * pitch + clip * t.frames, pitch);
      }
    }
  });
}

void dense_gradient(const fastspec_rows& r, const fastspec_tile& t, const void* x_, const void* z_, void* panels_) {
  const auto panels = panels_of(r, t.hop);
  const int64_t pitch = t.clips * t.frames;
  each_run(r, panels, [&](const Panel* begin, const Panel* end) {
    const Room room(begin, end, t.frames);
    for (int64_t clip = 0; clip < t.clips; ++clip) {
      const real* x = static_cast<const real*>(x_) + clip * t.stride;
      for (const Panel* p = begin; p < end; ++p) {
        room.share(p == begin ? nullptr : p - 1, p, x, t.frames);
        for (int part = 0; part < 2; ++part)
          rows_to_columns(static_cast<const real*>(z_) + (part * r.rows + p->first) * pitch + clip * t.frames, pitch,
                          t.frames, p->rows, room.sums + part * kLanes);
        real* columns = static_cast<real*>(panels_) + p->offset;
        const Cuts& cuts = p->cuts;
        if (cuts.rest)
          product<kTall>(x + p->start + cuts.rest_at(), 1, t.hop, room.sums, t.frames, cuts.rest, true,
                         columns + cuts.rest_taps());
        room.each(
            [&](const auto& pieces, const real* samples) {
              const int64_t groups = pieces.groups(t.frames), lines = pieces.lines(t.frames);
              share_frames(pieces, room.sums, t.frames, room.shared);
              for (int c = 0; c < pieces.kProducts; ++c)
                for (int64_t k = 0; k < pieces.count; ++k)
                  product<kTall>(samples + (c * lines + k) * pieces.pitch, 1, pieces.pitch,
                                 room.shared + c * groups * kWide, groups, pieces.hop, true,
                                 columns + pieces.taps(c, k));
            },
            *p, t.frames);
      }
    }
  });
}

}  // namespace FASTSPEC_NAMESPACE
