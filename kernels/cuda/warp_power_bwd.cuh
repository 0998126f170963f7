// The gradient of spectral_power in the samples, by warps: nothing is read but x and the gradient of the result,
// nothing written but the gradient of x, and no order of additions is left to chance.
//
// A block owns a run of samples and computes all frames that touch it, `halo` of them a second time. Tile by tile the
// spectra are computed again, scaled, transformed back and added in shared memory, frames that overlap in turns; the
// samples that no later frame touches leave, the others wait for the next tile.
#pragma once

#include "warp_ending.cuh"
#include "warp_rows.cuh"
#include "warp_square.cuh"

namespace FASTSPEC_NAMESPACE {

// The filterbank seen from the bins. Where no bin is part of more than two bands, rows of F: the place of each bin's
// first band (the bits of an int; bands lie kFrames + 2 floats apart), its weight and that of the next band; one
// address serves all three. Otherwise the bank as it is.
struct WarpBins {
  const float* table;    // [3, F], or null
  const float* weights;  // [F, K]
  const int* bands;      // [F, 2] the first band of each bin and the one behind its last
  int count;             // K
};

// Gradients of the bins as they come, in a tile.
template <class Tile> struct BinGradients {
  Tile tile;
  FS_INLINE float one(int bin, int frame) const { return *tile.cell(bin, frame); }
  FS_INLINE float2 two(int bin, int frame) const { return Tile::get(tile.cell(bin, frame)); }
};

// Gradients of the bands, gathered for a bin. Two: WarpBins has the table.
template <int F, bool Two, int Pitch> struct BandGradients {
  const float* bands;  // [K][Pitch] in shared memory
  const WarpBins& bins;
  FS_INLINE float one(int bin, int frame) const {
    float sum = 0.0f;
    each(bin, frame, [&](const float* g, float w) FS_LAMBDA { sum = fmaf(g[0], w, sum); });
    return sum;
  }
  FS_INLINE float2 two(int bin, int frame) const {
    float2 sum = make_float2(0.0f, 0.0f);
    each(bin, frame, [&](const float* g, float w) FS_LAMBDA {
      const float2 pair = *reinterpret_cast<const float2*>(g);
      sum.x = fmaf(pair.x, w, sum.x), sum.y = fmaf(pair.y, w, sum.y);
    });
    return sum;
  }
  template <class Add> FS_INLINE void each(int bin, int frame, Add&& add) const {
    if constexpr (Two) {
      const float* row = bins.table + bin;
      const float* g = bands + __float_as_int(read_only(row)) + frame;
      add(g, read_only(row + F));
      add(g + Pitch, read_only(row + 2 * F));
    } else {
      const int2 of = read_only(reinterpret_cast<const int2*>(bins.bands) + bin);
      FS_UNROLL(1)
      for (int k = of.x; k < of.y; ++k) add(bands + k * Pitch + frame, read_only(bins.weights + bin * bins.count + k));
    }
  }
};

// Rows of `gradient` into a BinTile; frames that do not exist are zero. Few registers: the spectra are in them.
template <int Bins, class Tile>
FS_INLINE void read_bins(const Tile& tile, const float* gradient, int pitch, int first, int frames) {
  constexpr int quads = Tile::kFrames / 4, width = Tile::kFrames;
  static_assert(kBlock % width == 0, "every thread has a row");
  const int thread = seat().thread;
  const int offset = int(reinterpret_cast<unsigned long long>(gradient) / 4) + first;
  if (((offset | pitch) & 3) == 0 && first + width <= frames) {
    constexpr int rows = kBlock / quads, steps = Bins / rows;
    const int row = thread / quads, frame = thread % quads * 4;
    float *a = tile.cell(row, frame), *b = tile.cell(row, frame + 1), *c = tile.cell(row, frame + 2),
          *d = tile.cell(row, frame + 3);
    int from = row * pitch + first + frame;
    const auto copy = [&](int i) FS_LAMBDA {
      const int at = i * rows * Tile::kBin;
      const float4 four = read_only(reinterpret_cast<const float4*>(gradient + from));
      if constexpr (Tile::kSwizzled && width != 8) {
        Tile::put(a + at, four.x, four.y), Tile::put(c + at, four.z, four.w);
      } else {
        a[at] = four.x, b[at] = four.y, c[at] = four.z, d[at] = four.w;
      }
    };
    FS_UNROLL(2)
    for (int i = 0; i < steps; ++i, from += rows * pitch) copy(i);
    if (row < Bins - steps * rows) copy(steps);
    return;
  }
  constexpr int rows = kBlock / width;
  const int frame = thread % width;
  const bool exists = first + frame < frames;
  FS_UNROLL(2)
  for (int row = thread / width; row < Bins; row += rows)
    *tile.cell(row, frame) = exists ? read_only(gradient + row * pitch + first + frame) : 0.0f;
}

// fn(i) for i < count, shared among the block; Count: the same where the compiler knows it, else 0.
template <int Count, class Fn> FS_INLINE void share(int count, Fn&& fn) {
  const int thread = seat().thread;
  if constexpr (Count > 0) {
    static_assert(Count % kBlock == 0, "every thread has as many");
    FS_UNROLL(99)
    for (int i = 0; i < Count; i += kBlock) fn(i + thread);
  } else {
    FS_UNROLL(4)
    for (int i = thread; i < count; i += kBlock) fn(i);
  }
}

// Final sums at positions from .. from + count - 1 of the padded clip to the samples they came from. Positions in the
// padding wait in the gradient of their sample, which the same block writes: the left ones before, the right ones
// after.
template <int Usual>
FS_INLINE void flush(const float* sum, float* grad, const Frames& f, int samples, int from, int count) {
  const int mode = f.pad_mode, pad = int(f.pad);
  const bool reflects = mode == kPadReflect, folds = reflects || mode == kPadReplicate;
  const int waiting = reflects ? pad : mode == kPadReplicate ? 0 : -1;  // the last sample whose padding came before
  if (from > waiting && from + count <= samples) {
    float* to = grad + from;
    if (Usual && count == Usual)
      share<Usual>(count, [&](int i) FS_LAMBDA { to[i] = sum[i]; });
    else
      share<0>(count, [&](int i) FS_LAMBDA { to[i] = sum[i]; });
    return;
  }
  const int thread = seat().thread;
  if (from < 0 && folds) {
    const int stop = min(0, from + count);
    if (reflects) {
      for (int s = from + thread; s < stop; s += kBlock) grad[-s] = sum[s - from];
    } else if (thread == 0) {
      float all = 0.0f;  // all of the padding is here: it is shorter than a tile
      for (int s = from; s < stop; ++s) all += sum[s - from];
      grad[0] = all;
    }
    __syncthreads();
  }
  const int end = min(from + count, samples);
  for (int s = max(from, 0) + thread; s < end; s += kBlock) {
    const bool more = s <= waiting && (s > 0 || !reflects);
    grad[s] = sum[s - from] + (more ? grad[s] : 0.0f);
  }
  if (from + count > samples && folds) {
    __syncthreads();
    const int first = max(from, samples), stop = min(from + count, samples + pad);
    if (reflects) {
      for (int s = first + thread; s < stop; s += kBlock) grad[2 * (samples - 1) - s] += sum[s - from];
    } else if (thread == 0) {
      float all = grad[samples - 1];
      for (int s = first; s < stop; ++s) all += sum[s - from];
      grad[samples - 1] = all;
    }
  }
}

template <class Core, class Sample, int Form, bool Log, bool Banded, bool Two>
__global__ void __launch_bounds__(kBlock, 2)
    warp_power_bwd_kernel(const float* __restrict__ grad, const Sample* __restrict__ x,
                          const float* __restrict__ window, const float* __restrict__ tables, float* grad_x,
                          WarpBands bank, WarpBins bins, Frames f, WarpEnding ending, int blocks, int run, int halo) {
  FS_SHARED(float, memory);
  const int hop = Core::kHop ? Core::kHop : int(f.hop), width = Core::kN - hop;  // of what waits for the next tile
  constexpr int kWidth = Core::kFrames, kPitch = kWidth + 2;
  constexpr int kFinal = kWidth * Core::kHop, kWaiting = Core::kHop > 0 ? Core::kN - Core::kHop : 0;
  float *window_table = memory, *space = memory + Core::kN, *band_grads = space + Core::kSum;
  float* waiting = band_grads + (Banded ? bank.count * kPitch : 0) + 4;
  int* own = reinterpret_cast<int*>(waiting) - 4;  // clip, first hop: here, since registers are scarce
  const int number = int(blockIdx.x / unsigned(blocks)), block = int(blockIdx.x % unsigned(blocks));
  const auto clip_now = [&]() FS_LAMBDA { return clip_of(f, own[0], Banded ? bank.count : Core::kBins); };
  const int samples = int(clip_of(f, number, 1).samples);
  const int needed = (samples + 2 * int(f.pad) + hop - 1) / hop;
  const int last = max(1, needed / run) - 1;
  if (block > last) return;
  if (seat().thread == 0) own[0] = number, own[1] = block * run;  // the clip's last block owns all that is left
  const int end = block == last ? needed : (block + 1) * run;
  fill_window<Core>(window_table, f, window);
  share<kWaiting>(width, [&](int i) FS_LAMBDA { waiting[i] = 0.0f; });

  FS_UNROLL(1)
  for (int first = max(0, block * run - halo); first < end; first += kWidth) {
    __syncthreads();
    Core z;
    {
      const Seat at = seat();
      const long long start = (long long)(first + at.warp * Core::kWarpFrames) * hop - f.pad;
      z.load(f, clip_now(), x, start, window_table, space + at.warp * Core::kExchange, at.lane);
    }
    {
      const Seat at = seat();
      z.transform(space + at.warp * Core::kExchange, tables, at.lane);
    }
    float2 middle = z.separate(seat().lane);
    __syncthreads();  // tiles lie over every warp's exchange
    const auto power = [&](float re, float im) FS_LAMBDA { return fmaf(re, re, fmaf(im, im, ending.eps)); };
    if constexpr (Banded) {
      {
        const Seat at = seat();
        const typename Core::FrameBins tile{space};
        z.put_powers(tile, middle, tables, at.warp, at.lane,
                     [&](float re, float im) FS_LAMBDA { return raise<Form>(ending, power(re, im)); });
        if (at.thread < 4 * kWidth && at.thread % 4 > 0)
          *tile.cell(Core::kBins - 1 + at.thread % 4, at.thread / 4) = 0.0f;
      }
      __syncthreads();
      const Clip clip = clip_now();
      const int frames = int(clip.frames);
      const float* from = grad + clip.column + first;
      each_band(typename Core::FrameBins{space}, bank, [&](int band, int frame, float sum) FS_LAMBDA {
        float g = first + frame < frames ? read_only(from + (band * int(f.frames) + frame)) : 0.0f;
        if (Log) g *= compress_slope(ending, sum);
        band_grads[band * kPitch + frame] = g;
      });
      __syncthreads();
      const Seat at = seat();
      z.scale(middle, BandGradients<Core::kBins, Two, kPitch>{band_grads, bins}, tables, at.warp, at.lane,
              [&](float re, float im, float g) FS_LAMBDA { return slope<Form, false>(ending, power(re, im), g); });
    } else {
      const typename Core::Bins tile{space};
      const Clip clip = clip_now();
      read_bins<Core::kBins>(tile, grad + clip.column, int(f.frames), first, int(clip.frames));
      __syncthreads();
      const Seat at = seat();
      z.scale(middle, BinGradients<typename Core::Bins>{tile}, tables, at.warp, at.lane,
              [&](float re, float im, float g) FS_LAMBDA { return slope<Form, Log>(ending, power(re, im), g); });
      __syncthreads();
    }
    z.join(middle, seat().lane);
    {
      const Seat at = seat();
      z.adjoint(space + at.warp * Core::kExchange, tables, at.lane);
    }
    __syncthreads();
    share<kWaiting>(width, [&](int i) FS_LAMBDA { space[i] = waiting[i]; });
    share<kFinal>(kWidth * hop, [&](int i) FS_LAMBDA { space[width + i] = 0.0f; });
    __syncthreads();
    const int turns = Core::turns(hop);
    FS_UNROLL(1)
    for (int turn = 0; turn < turns; ++turn) {
      const Seat at = seat();
      z.add(space, window_table, hop, turn, turns, at.warp, at.lane);
      __syncthreads();
    }
    const int from = max(first, own[1]), count = min(first + kWidth, end) - from;
    if (count > 0) {
      const Clip clip = clip_now();
      flush<kFinal>(space + (from - first) * hop, grad_x + clip.first, f, int(clip.samples), from * hop - int(f.pad),
                    count * hop);
    }
    share<kWaiting>(width, [&](int i) FS_LAMBDA { waiting[i] = space[kWidth * hop + i]; });
  }
}

}  // namespace FASTSPEC_NAMESPACE
