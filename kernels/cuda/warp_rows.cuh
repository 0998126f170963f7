// R x C points in the registers of some lanes of a warp, one exchange: n_fft = 400 and 512.
//
// A lane holds column l of C columns, R points, then rows l and R - l (lane 0: rows 0 and R / 2) of C points each, so
// that points k and -k meet in one lane and the split into real spectra needs no shuffle.
// n_fft = 400: 20 x 10 points are the even and odd samples of a frame; 3 frames a warp, lanes 30 and 31 are copies.
// n_fft = 512: 32 x 16 points are two frames, real and imaginary part; 2 such pairs a warp.
#pragma once

#include "warp_fft.cuh"
#include "warp_tile.cuh"

namespace FASTSPEC_NAMESPACE {

// Rows A = l and B = R - l, C points each.
template <int C> struct RowPoints {
  float ar[C], ai[C], br[C], bi[C];

  // Where row k of R lies in the exchange, so that a lane's second row is R / 2 rows after its first.
  template <int R> static constexpr int place(int k) { return k <= R / 2 ? k : R + R / 2 - k; }

  // Calls emit(j, a, b, c, d) for points a + i b = Z[k], c + i d = Z[-k], k = l + R j; lane 0 has k = R j for j < C / 2
  // and k = R / 2 + R j from there on. Its point R C / 2, its own mirror, is left out: (ar, ai)[C / 2].
  template <class Emit> FS_INLINE void each_pair(bool first_lane, Emit&& emit) const {
    unroll<0, C>([&](auto jj) FS_LAMBDA {
      constexpr int j = jj.value, mirror = C - 1 - j, own = (C - j) % C;
      if constexpr (j < C / 2)
        emit(jj, ar[j], ai[j], first_lane ? ar[own] : br[mirror], first_lane ? ai[own] : bi[mirror]);
      else
        emit(jj, first_lane ? br[j] : ar[j], first_lane ? bi[j] : ai[j], br[mirror], bi[mirror]);
    });
  }
};

template <int Paired> struct Warp400 : RowPoints<10> {
  static constexpr int kN = 400, kBins = 201, kFrames = 24, kWarpFrames = 3;
  static constexpr bool kSplitInShared = true;
  static constexpr int kRotations = 600;  // [20][10] between the passes, [10][10] of the split, (c, s) each
  static constexpr int kTables = kN + kRotations;
  static constexpr int kRow = 20, kFrame = 404, kExchange = 3 * kFrame;  // floats; stores of 3 frames do not collide
  using Bins = BinTile<24, 1, 29>;                                       // 29 l + g: different banks for l < 10, g < 3
  using FrameBins = FrameTile<24, 204>;
  float re[20], im[20];

  static FS_INLINE int window_place(int i) { return i; }
  // 8-byte reads of these tables are one wavefront a half warp, copies included; 16-byte ones would collide.
  static FS_INLINE float2 two(const float* table, int i) { return reinterpret_cast<const float2*>(table)[i]; }
  static FS_INLINE int column(int lane) { return lane - lane / 10 * 10; }
  static FS_INLINE int group(int lane) { return lane < 20 ? lane / 10 : 2; }

  template <class Sample>
  FS_INLINE void load(const Frames& f, const Clip& clip, const Sample* x, long long start, const float* window,
                      float* spare, int lane) {
    const int l = column(lane), g = group(lane), hop = int(f.hop);
    if (start >= 0 && start + 2 * f.hop + 400 <= clip.samples) {
      const Sample* p = x + clip.first + start + (long long)g * hop + 2 * l;
      unroll<0, 20>([&](auto j) FS_LAMBDA { load_two<Paired>(p + 20 * j.value, re[j.value], im[j.value]); });
    } else {
      const bool on = lane < 30;
      float* own = spare + g * kFrame + 2 * l;
      FS_UNROLL(1)
      for (int j = 0; on && j < 40; ++j) {
        const int at = j / 2 * 20 + j % 2;
        own[at] = sample<float>(f, clip, x, start + g * f.hop + 2 * l + at);
      }
      unroll<0, 20>([&](auto j) FS_LAMBDA {
        re[j.value] = on ? own[20 * j.value] : 0.0f, im[j.value] = on ? own[20 * j.value + 1] : 0.0f;
      });
      __syncwarp();  // needless as long as rows of the exchange are kRow = 20 long
    }
    unroll<0, 20>([&](auto j) FS_LAMBDA {
      const float2 w = two(window, 10 * j.value + l);
      re[j.value] *= w.x, im[j.value] *= w.y;
    });
  }

  FS_INLINE void transform(float* memory, const float* rotations, int lane) {
    const int l = column(lane);
    float* frame = memory + group(lane) * kFrame;
    prime_factor<4, 5>(re, im);
    unroll<0, 20>([&](auto kk) FS_LAMBDA {
      constexpr int k = kk.value;
      float r = re[k], i = im[k];
      if constexpr (k > 0) {
        const float2 w = two(rotations, 10 * k + l);
        r = fmaf(re[k], w.x, -im[k] * w.y);
        i = fmaf(re[k], w.y, im[k] * w.x);
      }
      store_if(lane < 30, frame + place<20>(k) * kRow + 2 * l, r, i);
    });
    __syncwarp();
    unroll<0, 5>([&](auto q) FS_LAMBDA {
      const float4 u = *reinterpret_cast<const float4*>(frame + l * kRow + 4 * q.value);
      const float4 v = *reinterpret_cast<const float4*>(frame + (10 + l) * kRow + 4 * q.value);
      ar[2 * q.value] = u.x, ai[2 * q.value] = u.y, ar[2 * q.value + 1] = u.z, ai[2 * q.value + 1] = u.w;
      br[2 * q.value] = v.x, bi[2 * q.value] = v.y, br[2 * q.value + 1] = v.z, bi[2 * q.value + 1] = v.w;
    });
    prime_factor<2, 5>(ar, ai);
    prime_factor<2, 5>(br, bi);
  }

  // X[k] = E + W O and X[200 - k] = conj(E - W O).
  template <class Tile, class Value>
  FS_INLINE void split(const Tile& tile, const float* rotations, int warp, int lane, const Value& value) {
    const int l = column(lane), frame = 3 * warp + group(lane), late = l == 0 ? 10 : l;
    const bool on = lane < 30;
    float* up[2] = {tile.cell(l, frame), tile.cell(late, frame)};
    float* down[2] = {tile.cell(200 - l, frame), tile.cell(200 - late, frame)};
    each_pair(l == 0, [&](auto jj, float a, float b, float c, float d) FS_LAMBDA {
      constexpr int j = jj.value, at = j * 20 * Tile::kBin;
      const float2 w = two(rotations, 200 + 10 * j + l);
      float pr, pi, qr, qi;
      butterfly(a + c, b - d, b + d, c - a, w.x, w.y, pr, pi, qr, qi);
      store_if(on, up[j >= 5] + at, value(pr, pi));
      store_if(on, down[j >= 5] - at, value(qr, qi));
    });
    if (on && l == 0) *tile.cell(100, frame) = value(2.0f * ar[5], 2.0f * ai[5]);
  }
};

// Shift: hop / 16 where that is known to the compiler.
template <int Shift> struct Warp512 : RowPoints<16> {
  static constexpr int kN = 512, kBins = 257, kFrames = 32, kWarpFrames = 4;
  static constexpr bool kSplitInShared = true;
  static constexpr int kRotations = 512;  // the Twisted tables of rows l and 32 - l: [2][4][16] float4
  static constexpr int kTables = kN + kRotations;
  static constexpr int kRow = 20, kPair = 656, kExchange = 2 * kPair;
  using Bins = BinTile<32, 2>;
  using FrameBins = FrameTile<32, 260>;
  float re[32], im[32];

  static FS_INLINE int window_place(int i) { return i / 4 % 16 + 16 * (4 * (i / 64) + i % 4); }

  template <class Sample>
  FS_INLINE void load(const Frames& f, const Clip& clip, const Sample* x, long long start, const float* window,
                      float* spare, int lane) {
    const int l = lane & 15, pair = lane >> 4, hop = Shift ? 16 * Shift : int(f.hop);
    if (start >= 0 && start + 3 * (long long)hop + 512 <= clip.samples) {
      const Sample *p = x + clip.first + start + (long long)(2 * pair) * hop + l, *q = p + hop;
      if constexpr (Shift > 0 && Shift < 32) {
        float v[32 + Shift];
        unroll<0, 32 + Shift>([&](auto j) FS_LAMBDA { v[j.value] = to_real<float>(p[16 * j.value]); });
        unroll<0, 32>([&](auto j) FS_LAMBDA { re[j.value] = v[j.value], im[j.value] = v[j.value + Shift]; });
      } else {
        unroll<0, 32>([&](auto j) FS_LAMBDA {
          re[j.value] = to_real<float>(p[16 * j.value]), im[j.value] = to_real<float>(q[16 * j.value]);
        });
      }
    } else {
      load_rows_at_edge(re, f, clip, x, start + 2 * pair * f.hop, spare, lane);
      load_rows_at_edge(im, f, clip, x, start + (2 * pair + 1) * f.hop, spare, lane);
    }
    unroll<0, 8>([&](auto q) FS_LAMBDA {
      const float4 w = reinterpret_cast<const float4*>(window)[16 * q.value + l];
      re[4 * q.value] *= w.x, re[4 * q.value + 1] *= w.y, re[4 * q.value + 2] *= w.z, re[4 * q.value + 3] *= w.w;
      im[4 * q.value] *= w.x, im[4 * q.value + 1] *= w.y, im[4 * q.value + 2] *= w.z, im[4 * q.value + 3] *= w.w;
    });
  }

  // See load_at_edge in warp_square.cuh.
  template <class Sample>
  FS_INLINE void load_rows_at_edge(float* points, const Frames& f, const Clip& clip, const Sample* x, long long start,
                                   float* spare, int lane) {
    FS_UNROLL(1)
    for (int j = 0; j < 32; ++j) spare[32 * j + lane] = sample<float>(f, clip, x, start + (lane & 15) + 16 * j);
    unroll<0, 32>([&](auto j) FS_LAMBDA { points[j.value] = spare[32 * j.value + lane]; });
    __syncwarp();
  }

  FS_INLINE void exchange(const float* v, float* a, float* b, float* memory, int lane) {
    const int l = lane & 15;
    float* pair = memory + (lane >> 4) * kPair;
    unroll<0, 32>([&](auto k) FS_LAMBDA { pair[place<32>(k.value) * kRow + l] = v[k.value]; });
    __syncwarp();
    unroll<0, 4>([&](auto q) FS_LAMBDA {
      const float4 u = *reinterpret_cast<const float4*>(pair + l * kRow + 4 * q.value);
      const float4 w = *reinterpret_cast<const float4*>(pair + (16 + l) * kRow + 4 * q.value);
      a[4 * q.value] = u.x, a[4 * q.value + 1] = u.y, a[4 * q.value + 2] = u.z, a[4 * q.value + 3] = u.w;
      b[4 * q.value] = w.x, b[4 * q.value + 1] = w.y, b[4 * q.value + 2] = w.z, b[4 * q.value + 3] = w.w;
    });
    __syncwarp();
  }

  static FS_INLINE void twisted(float* r, float* i, const float* rotations, int row, int l) {
    float table[16];
    unroll<0, 4>([&](auto q) FS_LAMBDA {
      const float4 four = reinterpret_cast<const float4*>(rotations)[64 * row + 16 * q.value + l];
      table[4 * q.value] = four.x, table[4 * q.value + 1] = four.y;
      table[4 * q.value + 2] = four.z, table[4 * q.value + 3] = four.w;
    });
    radix2<16>(r, i, Twisted{table});
  }

  FS_INLINE void transform(float* memory, const float* rotations, int lane) {
    radix2<32>(re, im, Fixed{});
    exchange(re, ar, br, memory, lane);
    exchange(im, ai, bi, memory, lane);
    twisted(ar, ai, rotations, 0, lane & 15);
    twisted(br, bi, rotations, 1, lane & 15);
  }

  template <class Tile, class Value>
  FS_INLINE void split(const Tile& tile, const float*, int warp, int lane, const Value& value) {
    const int l = lane & 15, frame = 4 * warp + 2 * (lane >> 4);
    float *up = tile.cell(l, frame), *down = tile.cell(512 - (l == 0 ? 16 : l), frame);
    each_pair(l == 0, [&](auto jj, float a, float b, float c, float d) FS_LAMBDA {
      constexpr int j = jj.value, at = j * 32 * Tile::kBin;
      const float pr = a + c, pi = b - d, qr = b + d, qi = c - a;
      Tile::put(j < 8 ? up + at : down - at, value(pr, pi), value(qr, qi));
    });
    if (l == 0) Tile::put(tile.cell(256, frame), value(2.0f * ar[8], 0.0f), value(2.0f * ai[8], 0.0f));
  }
};

}  // namespace FASTSPEC_NAMESPACE
