// A tile: the results of a block's consecutive frames in shared memory, and how they leave it in full sectors.
//
// BinTile [bin][frame]: rows of the output lie together, 4 frames are one store. FrameTile [frame][bin]: a band reads
// its bins 4 at a time. Both are laid out so that neither the transform's stores nor the reads here meet in a bank.
#pragma once

#include "warp_machine.cuh"

namespace FASTSPEC_NAMESPACE {

constexpr int kBlock = 256;  // threads of every fast kernel

// A core's window and rotations into shared memory. The halves that the split of a spectrum needs are in the window.
template <class Core> FS_INLINE void fill_window(float* table, const Frames& f, const float* window) {
  const int thread = int(threadIdx.x), place = Core::window_place(thread) - f.left;
  FS_UNROLL(99)
  for (int i = 0; i < Core::kN; i += kBlock) {
    const bool inside = unsigned(place + i) < unsigned(f.win_length);
    if (i + thread < Core::kN) table[i + thread] = inside ? 0.5f * window[place + i] : 0.0f;
  }
}
template <class Core> FS_INLINE void fill_rotations(float* table, const float* from) {
  const int thread = int(threadIdx.x);
  FS_UNROLL(99)
  for (int i = 0; i < Core::kRotations / 4; i += kBlock)
    if (i + thread < Core::kRotations / 4)
      reinterpret_cast<float4*>(table)[i + thread] = reinterpret_cast<const float4*>(from)[i + thread];
}

// Frames of `Unit` words move within their row of 32 / Frames bins by an exclusive or, or rows are padded to `Pitch`.
template <int Frames_, int Unit, int Pitch = Frames_> struct BinTile {
  static constexpr int kFrames = Frames_, kBin = Pitch, kFrame = 1;
  static constexpr bool kSwizzled = Pitch == Frames_;
  static constexpr int size(int bins) { return bins * Pitch; }
  float* memory;

  static FS_INLINE int turn(int bin) { return kSwizzled ? bin / (32 / Frames_) % (Frames_ / Unit) : 0; }
  FS_INLINE float* cell(int bin, int frame) const {
    return memory + bin * Pitch + Unit * (frame / Unit ^ turn(bin)) + frame % Unit;
  }
  // Two neighbouring frames, the first of them at an even one.
  static FS_INLINE void put(float* cell, float a, float b) {
    static_assert(Unit == 2, "");
    *reinterpret_cast<float2*>(cell) = make_float2(a, b);
  }
  static FS_INLINE float2 get(const float* cell) { return *reinterpret_cast<const float2*>(cell); }
};

template <int Frames_, int Pitch> struct FrameTile {
  static constexpr int kFrames = Frames_, kBin = 1, kFrame = Pitch;
  static constexpr int size(int) { return Frames_ * Pitch; }
  float* memory;

  FS_INLINE float* cell(int bin, int frame) const { return memory + frame * Pitch + bin; }
  static FS_INLINE void put(float* cell, float a, float b) { cell[0] = a, cell[Pitch] = b; }
  static FS_INLINE float2 get(const float* cell) { return make_float2(cell[0], cell[Pitch]); }
};

// Rows 0 .. Bins - 1 of a BinTile to out[row * pitch + frame], of which `count` frames exist.
template <int Bins, class Tile, class Out>
FS_INLINE void write_bins(const Tile& tile, Out* out, long long pitch, int count) {
  constexpr int frames = Tile::kFrames, quads = frames / 4;
  const int thread = int(threadIdx.x);
  const bool aligned = ((reinterpret_cast<unsigned long long>(out) / sizeof(Out)) & 3) == 0 && (pitch & 3) == 0;
  if (aligned && count >= frames) {
    constexpr int rows = kBlock / quads, steps = Bins / rows;
    const int row = thread / quads, frame = thread % quads * 4;
    if (kBlock % quads != 0 && row >= rows) return;
    Out* to = out + row * pitch + frame;
    const long long step = rows * pitch;
    const float *a = tile.cell(row, frame), *b = tile.cell(row, frame + 1), *c = tile.cell(row, frame + 2),
                *d = tile.cell(row, frame + 3);
    const auto copy = [&](int i) FS_LAMBDA {
      const int at = i * rows * Tile::kBin;
      if constexpr (Tile::kSwizzled && frames != 8) {
        const float2 u = Tile::get(a + at), v = Tile::get(c + at);
        store4(to, u.x, u.y, v.x, v.y);
      } else {
        store4(to, a[at], b[at], c[at], d[at]);
      }
    };
    FS_UNROLL(99)
    for (int i = 0; i < steps; ++i, to += step) copy(i);
    if (row < Bins - steps * rows) copy(steps);
    return;
  }
  constexpr int rows = kBlock / frames, steps = Bins / rows;
  const int row = thread / frames, frame = thread % frames;
  if (row >= rows || frame >= count) return;
  Out* to = out + row * pitch + frame;
  const long long step = rows * pitch;
  FS_UNROLL(4)
  for (int i = 0; i < steps; ++i, to += step) store(to, *tile.cell(row + i * rows, frame));
  if (row < Bins - steps * rows) store(to, *tile.cell(row + steps * rows, frame));
}

// The bands of a filterbank, longest first, so that a warp's bands are alike.
struct WarpBands {
  const float* weights;  // fours: of each band, from a multiple of 4 bins on, as many as it needs
  const int* bands;      // [K, 4] first bin / 4, fours, first of its fours of weights, band
  int count;             // K
};

// emit(band, frame, sum) for every band and the tile's frames.
template <class Tile, class Emit> FS_INLINE void each_band(const Tile& tile, const WarpBands& bank, Emit&& emit) {
  constexpr int lanes = Tile::kFrames % 8 == 0 ? 8 : Tile::kFrames, each = Tile::kFrames / lanes;
  FS_UNROLL(1)
  for (int item = seat().thread; item < bank.count * lanes; item += kBlock) {
    const int4 band = read_only(reinterpret_cast<const int4*>(bank.bands) + item / lanes);
    const int frame = item % lanes;
    const float* bins = tile.memory + frame * Tile::kFrame + 4 * band.x;
    const float4* weights = reinterpret_cast<const float4*>(bank.weights) + band.z;
    float sum[each];
    FS_UNROLL(99)
    for (int i = 0; i < each; ++i) sum[i] = 0.0f;
    FS_UNROLL(1)
    for (int n = band.y; n > 0; --n, ++weights, bins += 4) {
      const float4 w = read_only(weights);
      FS_UNROLL(99)
      for (int i = 0; i < each; ++i) {
        const float4 v = *reinterpret_cast<const float4*>(bins + i * lanes * Tile::kFrame);
        sum[i] = fmaf(w.w, v.w, fmaf(w.z, v.z, fmaf(w.y, v.y, fmaf(w.x, v.x, sum[i]))));
      }
    }
    FS_UNROLL(99)
    for (int i = 0; i < each; ++i) emit(band.w, frame + i * lanes, sum[i]);
  }
}

}  // namespace FASTSPEC_NAMESPACE
