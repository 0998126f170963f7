// The walk over a batch that both forward ops share: groups of kLanes frames are transformed while they lie in the
// nearest caches; results gather in a tile of several groups, whose rows are then written to memory in long runs.
#pragma once

#include "prepare.h"

namespace FASTSPEC_NAMESPACE {

struct Tile {
  real* bins;        // of this group: bin q at bins + q * pitch
  real* first_bins;  // of the tile's first group; group g of a kept tile is at first_bins + g * width
  int64_t pitch, width;
  int64_t clip, first, frames;  // frames first .. first + frames - 1 of the clip are in the tile so far
  int64_t slot;                 // of this group in the tile
  bool complete;                // its last group
  Part part;                    // of the rows that this task writes
};

// Rows of a tile have room in front, where the last line, or the last group, of the tile before is kept.
constexpr int64_t front_of(int64_t width) { return std::max(width, kLine); }
inline void keep_last(real* rows, int64_t count, int64_t groups, int64_t width) {
  const int64_t front = front_of(width), size = groups * width;
  for (int64_t q = 0; q < count; ++q, rows += front + size)
    for (int64_t i = 0; i < front; i += kLanes) *(V*)(rows + i) = *(const V*)(rows + size + i);
}

// Calls visit(tile, spare) after each group. keep: the bins of all groups of a tile stay; otherwise the next group
// takes the place of the last. spare: spare_size values that visit may use as it likes and that keep.
template <class Visit>
void walk_forward(const fastspec_frames& f, const fastspec::Samples& x, const void* window, Form form, real eps,
                  int64_t groups_a_tile, bool keep, int64_t spare_size, Visit&& visit) {
  const Layout l(f);
  const RealFft& t = fastspec::real_fft_tables<real>(int(f.n_fft));
  const FrameTables tables(l, static_cast<const real*>(window), f.win_length, frame_scale(t));
  const int64_t width = form == kComplex ? 2 * kLanes : kLanes;
  const int64_t front = keep ? front_of(width) : 0, pitch = front + (keep ? groups_a_tile : 1) * width;
  const Preparation preparation(f, tables.frames(nullptr).taps);
  const int64_t work = work_size(t) * kLanes, reader = Reader::memory(l), prepared = preparation.size();
  const int64_t groups = groups_of(f), tiles = (groups + groups_a_tile - 1) / groups_a_tile;
  // A task is a run of tiles: as long as leaves each thread eight, as its first units are filled and its ends written
  // as parts of lines; and so long that filling them costs little.
  const int64_t share = f.batch * tiles / (8 * int64_t(threads_for(f)));
  const int64_t run = std::max({int64_t(1), 8 * l.units / groups_a_tile, std::min(tiles, share)});
  const int64_t runs = (tiles + run - 1) / run;

  parallel_for(f.batch * runs, threads_for(f), [&](int64_t task) {
    // The work buffer first: it begins on a page.
    real* memory = static_cast<real*>(
        fastspec::scratch(size_t(work + prepared + t.bins * pitch + reader + spare_size + kLanes) * sizeof(real)));
    V* buffer = reinterpret_cast<V*>(memory);
    real *rows = memory + work + prepared, *tile = rows + front;
    real* spare = rows + t.bins * pitch;
    const auto [clip, turn] = run_of(f, task, runs);
    const int64_t begin = turn * run * groups_a_tile, end = std::min(groups, begin + run * groups_a_tile);
    Reader r(l, x, clip, spare + (spare_size + kLanes - 1) / kLanes * kLanes);
    r.start(begin);
    for (int64_t g = begin; g < end; ++g) {
      const int64_t slot = (g - begin) % groups_a_tile, first = (g - slot) * kLanes;
      if (g > begin) r.advance(g);
      real* bins = tile + (keep ? slot * width : 0);
      const Frames frames = preparation.apply(tables.frames(r.samples(), r.ahead(g)), memory + work);
      real_transform(t, frames, buffer, Bins{bins, pitch, form, eps});
      const bool ends = g + 1 == end, complete = ends || slot + 1 == groups_a_tile;
      visit(Tile{bins, tile, pitch, width, clip, first, std::min(f.frames - first, (slot + 1) * kLanes), slot, complete,
                 Part{g - slot == begin, ends}},
            spare);
      if (keep && complete && !ends) keep_last(rows, t.bins, groups_a_tile, width);
    }
    stream_fence();
  });
}

// Groups whose tile of so many rows fills no more than about a megabyte, at most 128 frames, at least a line. An even
// number of lines, where there is a choice: with the one in front, rows are then an odd number of lines apart, and do
// not fall into the same sets of a cache (complex ones of AVX-512 have two in front).
inline int64_t groups_in_cache(const fastspec_frames& f, int64_t rows) {
  constexpr int64_t line = kLine / kLanes;
  const int64_t bytes = 2 * rows * kLine * int64_t(sizeof(real)), groups = 2 * line * ((int64_t(1100) << 10) / bytes);
  return std::max(line, std::min({groups, int64_t(128 / kLanes), groups_of(f)}));
}

}  // namespace FASTSPEC_NAMESPACE
