// spectral_power by warps: a block computes tiles of consecutive frames of one clip, nothing but the result is written.
#pragma once

#include "warp_ending.cuh"
#include "warp_rows.cuh"
#include "warp_square.cuh"

namespace FASTSPEC_NAMESPACE {

template <class Core, class Sample, class Out, int Form, bool Log, bool Banded>
__global__ void __launch_bounds__(kBlock, 2)
    warp_power_fwd_kernel(const Sample* __restrict__ x, const float* __restrict__ window,
                          const float* __restrict__ tables, Out* __restrict__ out, WarpBands bank, Frames f,
                          WarpEnding ending, int blocks, int tiles) {
  FS_SHARED(float, memory);
  float *window_table = memory, *rotations = memory + Core::kN, *space = memory + Core::kTables;
  const int thread = int(threadIdx.x), lane = thread & 31, warp = thread >> 5;
  const Clip clip = clip_of(f, blockIdx.x / unsigned(blocks), Banded ? bank.count : Core::kBins);
  const int frames = int(clip.frames), begin = int(blockIdx.x % unsigned(blocks)) * tiles * Core::kFrames;
  if (begin >= frames) return;  // ragged: this clip has fewer tiles
  fill_window<Core>(window_table, f, window);
  fill_rotations<Core>(rotations, tables);
  __syncthreads();

  FS_UNROLL(1)
  for (int i = 0; i < tiles; ++i) {
    const int first = begin + i * Core::kFrames;
    if (first >= frames) return;
    Core z;
    float* mine = space + warp * Core::kExchange;
    z.load(f, clip, x, (long long)(first + warp * Core::kWarpFrames) * f.hop - f.pad, window_table, mine, lane);
    z.transform(mine, rotations, lane);
    __syncthreads();  // the tile lies over every warp's exchange
    const auto value = [&](float re, float im) FS_LAMBDA {
      const float v = raise<Form>(ending, fmaf(re, re, fmaf(im, im, ending.eps)));
      return Log && !Banded ? compress(ending, v) : v;
    };
    const int count = frames - first;
    Out* to = out + clip.column + first;
    if constexpr (Banded) {
      const typename Core::FrameBins tile{space};
      z.split(tile, Core::kSplitInShared ? rotations : tables, warp, lane, value);
      if (thread < 4 * Core::kFrames && thread % 4 > 0) *tile.cell(Core::kBins - 1 + thread % 4, thread / 4) = 0.0f;
      __syncthreads();
      each_band(tile, bank, [&](int band, int frame, float sum) FS_LAMBDA {
        if (frame < count) store(to + band * f.frames + frame, Log ? compress(ending, sum) : sum);
      });
    } else {
      const typename Core::Bins tile{space};
      z.split(tile, Core::kSplitInShared ? rotations : tables, warp, lane, value);
      __syncthreads();
      write_bins<Core::kBins>(tile, to, f.frames, count);
    }
    __syncthreads();
  }
}

}  // namespace FASTSPEC_NAMESPACE
