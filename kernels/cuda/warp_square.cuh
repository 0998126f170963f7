// 32 x 32 points in the registers of one warp, one exchange: n_fft = 1024 and 2048.
//
// n_fft = 1024: two frames are the real and the imaginary part of one transform. n_fft = 2048: the even and the odd
// samples of one frame are. A lane holds 32 points: first column n = lane + 32 j, then residue k = lane + 32 j.
#pragma once

#include "warp_fft.cuh"
#include "warp_tile.cuh"

namespace FASTSPEC_NAMESPACE {

// Samples n * stride + offset .. of a frame that reaches over the ends of its clip, through this lane's own cells of
// shared memory: one copy of the padding rule, and the points still have constant places.
template <int Stride, class Sample>
FS_INLINE void load_at_edge(float* points, const Frames& f, const Clip& clip, const Sample* x, long long start,
                            float* spare, int lane) {
  FS_UNROLL(1)
  for (int j = 0; j < 32; ++j) spare[32 * j + lane] = sample<float>(f, clip, x, start + Stride * (lane + 32 * j));
  unroll<0, 32>([&](auto j) FS_LAMBDA { points[j.value] = spare[32 * j.value + lane]; });
  __syncwarp();
}

// What the two have in common.
struct SquarePoints {
  static constexpr int kPitch = 36;              // of a row of 32: whole rows are read 16 bytes at a time
  static constexpr int kExchange = 32 * kPitch;  // floats a warp
  static constexpr int kRotations = 1024;        // floats of the Twisted table: [8][32] float4
  float re[32], im[32];

  FS_INLINE void exchange(float* v, float* memory, int lane) {
    unroll<0, 32>([&](auto k) FS_LAMBDA { memory[k.value * kPitch + lane] = v[k.value]; });
    __syncwarp();
    unroll<0, 8>([&](auto q) FS_LAMBDA {
      const float4 four = *reinterpret_cast<const float4*>(memory + lane * kPitch + 4 * q.value);
      v[4 * q.value] = four.x, v[4 * q.value + 1] = four.y, v[4 * q.value + 2] = four.z, v[4 * q.value + 3] = four.w;
    });
    __syncwarp();
  }

  FS_INLINE void transform(float* memory, const float* rotations, int lane) {
    radix2<32>(re, im, Fixed{});
    exchange(re, memory, lane);
    exchange(im, memory, lane);
    float table[32];
    unroll<0, 8>([&](auto q) FS_LAMBDA {
      const float4 four = reinterpret_cast<const float4*>(rotations)[32 * q.value + lane];
      table[4 * q.value] = four.x, table[4 * q.value + 1] = four.y;
      table[4 * q.value + 2] = four.z, table[4 * q.value + 3] = four.w;
    });
    radix2<32>(re, im, Twisted{table});
  }

  // The adjoint of `transform`: with re and im in each other's place the same passes run backwards.
  FS_INLINE void adjoint(float* memory, const float* rotations, int lane) {
    SquarePoints turned;
    unroll<0, 32>([&](auto j) FS_LAMBDA { turned.re[j.value] = im[j.value], turned.im[j.value] = re[j.value]; });
    turned.transform(memory, rotations, lane);
    unroll<0, 32>([&](auto j) FS_LAMBDA { re[j.value] = turned.im[j.value], im[j.value] = turned.re[j.value]; });
  }

  // In place of the points, for k = lane + 32 j, j < 16: the two spectra P = Z[k] + conj Z[-k] in (re, im)[j] and
  // Q = -i (Z[k] - conj Z[-k]) in (re, im)[16 + j]. Lane 0 keeps point 512, its own mirror, in `middle`.
  FS_INLINE float2 separate(int lane) {
    const float2 middle = make_float2(2.0f * re[16], 2.0f * im[16]);
    float pr[16], pi[16], qr[16], qi[16];
    each_pair(lane, [&](auto j, float a, float b, float c, float d) FS_LAMBDA {
      pr[j.value] = a + c, pi[j.value] = b - d, qr[j.value] = b + d, qi[j.value] = c - a;
    });
    unroll<0, 16>([&](auto j) FS_LAMBDA {
      re[j.value] = pr[j.value], im[j.value] = pi[j.value];
      re[16 + j.value] = qr[j.value], im[16 + j.value] = qi[j.value];
    });
    return middle;
  }

  // The adjoint of `separate`: points P + i Q and their mirrors conj P + i conj Q, those of their own mirror twice.
  FS_INLINE void join(float2 middle, int lane) {
    const int from = (32 - lane) & 31;
    float points_r[32], points_i[32];
    float later_r = 2.0f * middle.x, later_i = 2.0f * middle.y;  // lane 0's mirrors stand one place later
    unroll<0, 16>([&](auto jj) FS_LAMBDA {
      constexpr int j = 15 - jj.value;
      const float pr = re[j], pi = im[j], qr = re[16 + j], qi = im[16 + j];
      const float own = j == 0 && lane == 0 ? 2.0f : 1.0f;
      points_r[j] = own * (pr - qi), points_i[j] = own * (pi + qr);
      const float mr = __shfl_sync(kAllLanes, pr + qi, from), mi = __shfl_sync(kAllLanes, qr - pi, from);
      points_r[31 - j] = lane ? mr : later_r, points_i[31 - j] = lane ? mi : later_i;
      later_r = mr, later_i = mi;
    });
    unroll<0, 32>([&](auto j) FS_LAMBDA { re[j.value] = points_r[j.value], im[j.value] = points_i[j.value]; });
  }

  // Calls emit(j, a, b, c, d) for the points a + i b = Z[lane + 32 j] and c + i d = Z[-(lane + 32 j)], j < 16.
  template <class Emit> FS_INLINE void each_pair(int lane, Emit&& emit) const {
    const int from = (32 - lane) & 31;
    unroll<0, 16>([&](auto jj) FS_LAMBDA {
      constexpr int j = jj.value;
      const float c = __shfl_sync(kAllLanes, lane ? re[31 - j] : re[(32 - j) & 31], from);
      const float d = __shfl_sync(kAllLanes, lane ? im[31 - j] : im[(32 - j) & 31], from);
      emit(jj, re[j], im[j], c, d);
    });
  }
};

// Shift: hop / 32 where that is known to the compiler, so that the second frame is the first one some registers on.
template <int Shift_> struct Warp1024 : SquarePoints {
  static constexpr int kN = 1024, kBins = 513, kFrames = 16, kTables = 1024 + kRotations, kWarpFrames = 2;
  static constexpr bool kSplitInShared = false;
  static constexpr int kHop = 32 * Shift_, kSum = 8 * kExchange;  // kSum: floats that overlapping frames may take
  using Bins = BinTile<16, 2>;
  using FrameBins = FrameTile<16, 516>;

  // Which sample's weight stands where in the window's table [8][32] float4; that of i + 256 is 256 later.
  static FS_INLINE int window_place(int i) { return i / 4 % 32 + 32 * (4 * (i / 128) + i % 4); }

  template <class Sample>
  FS_INLINE void load(const Frames& f, const Clip& clip, const Sample* x, long long start, const float* window,
                      float* spare, int lane) {
    const int hop = Shift_ ? 32 * Shift_ : int(f.hop);
    if (start >= 0 && start + 1024 + hop <= clip.samples) {
      const Sample *p = x + clip.first + start + lane, *q = p + hop;
      if constexpr (Shift_ > 0 && Shift_ < 32) {
        float v[32 + Shift_];
        unroll<0, 32 + Shift_>([&](auto j) FS_LAMBDA { v[j.value] = to_real<float>(p[32 * j.value]); });
        unroll<0, 32>([&](auto j) FS_LAMBDA { re[j.value] = v[j.value], im[j.value] = v[j.value + Shift_]; });
      } else {
        unroll<0, 32>([&](auto j) FS_LAMBDA {
          re[j.value] = to_real<float>(p[32 * j.value]), im[j.value] = to_real<float>(q[32 * j.value]);
        });
      }
    } else {
      load_at_edge<1>(re, f, clip, x, start, spare, lane);
      load_at_edge<1>(im, f, clip, x, start + hop, spare, lane);
    }
    unroll<0, 8>([&](auto q) FS_LAMBDA {
      const float4 w = reinterpret_cast<const float4*>(window)[32 * q.value + lane];
      re[4 * q.value] *= w.x, re[4 * q.value + 1] *= w.y, re[4 * q.value + 2] *= w.z, re[4 * q.value + 3] *= w.w;
      im[4 * q.value] *= w.x, im[4 * q.value + 1] *= w.y, im[4 * q.value + 2] *= w.z, im[4 * q.value + 3] *= w.w;
    });
  }

  // value(|X|^2) of the warp's two frames into the tile. The halves that the split needs are in the window's table.
  template <class Tile, class Value>
  FS_INLINE void split(const Tile& tile, const float*, int warp, int lane, const Value& value) {
    float* cell = tile.cell(lane, 2 * warp);
    each_pair(lane, [&](auto j, float a, float b, float c, float d) FS_LAMBDA {
      const float pr = a + c, pi = b - d, qr = b + d, qi = c - a;
      Tile::put(cell + j.value * 32 * Tile::kBin, value(pr, pi), value(qr, qi));
    });
    if (lane == 0) Tile::put(tile.cell(512, 2 * warp), value(2.0f * re[16], 0.0f), value(2.0f * im[16], 0.0f));
  }

  // Separated spectra: value(|X|^2) into the tile.
  template <class Tile, class Value>
  FS_INLINE void put_powers(const Tile& tile, float2 middle, const float*, int warp, int lane, const Value& value) {
    float* cell = tile.cell(lane, 2 * warp);
    unroll<0, 16>([&](auto j) FS_LAMBDA {
      Tile::put(cell + j.value * 32 * Tile::kBin, value(re[j.value], im[j.value]),
                value(re[16 + j.value], im[16 + j.value]));
    });
    if (lane == 0) Tile::put(tile.cell(512, 2 * warp), value(middle.x, 0.0f), value(middle.y, 0.0f));
  }

  // Separated spectra times slope(re, im, gradient of the bin).
  template <class Gradients, class Slope>
  FS_INLINE void scale(float2& middle, const Gradients& gradients, const float*, int warp, int lane,
                       const Slope& slope) {
    unroll<0, 16>([&](auto jj) FS_LAMBDA {
      constexpr int j = jj.value, k = 16 + j;
      const float2 g = gradients.two(lane + 32 * j, 2 * warp);
      const float u = slope(re[j], im[j], g.x), v = slope(re[k], im[k], g.y);
      re[j] *= u, im[j] *= u, re[k] *= v, im[k] *= v;
    });
    const float2 g = gradients.two(512, 2 * warp);
    middle = make_float2(middle.x * slope(middle.x, 0.0f, g.x), middle.y * slope(middle.y, 0.0f, g.y));
  }

  // The windowed frames onto the sum; in turn `warp % turns == turn` no two warps meet.
  static FS_INLINE int turns(int hop) { return min(8, (1024 + 3 * hop - 1) / (2 * hop)); }
  FS_INLINE void add(float* sum, const float* window, int hop_, int turn, int turns, int warp, int lane) {
    if (warp % turns != turn) return;
    const int hop = Shift_ ? 32 * Shift_ : hop_;
    float* to = sum + 2 * warp * hop + lane;
    float v[32 + Shift_];
    unroll<0, 32 + Shift_>([&](auto j) FS_LAMBDA { v[j.value] = 0.0f; });
    unroll<0, 8>([&](auto q) FS_LAMBDA {
      constexpr int begin = 4 * q.value;
      const float4 w = reinterpret_cast<const float4*>(window)[8 * begin + lane];
      const float four[4] = {w.x, w.y, w.z, w.w};
      unroll<0, 4>([&](auto i) FS_LAMBDA {
        constexpr int j = begin + i.value;
        v[j] = fmaf(re[j], four[i.value], v[j]);
        if constexpr (Shift_ > 0)
          v[j + Shift_] = fmaf(im[j], four[i.value], v[j + Shift_]);
        else
          im[j] *= four[i.value];
      });
    });
    unroll<0, 32 + Shift_>([&](auto j) FS_LAMBDA { to[32 * j.value] += v[j.value]; });
    if constexpr (Shift_ == 0) {
      __syncwarp();
      unroll<0, 32>([&](auto j) FS_LAMBDA { to[hop + 32 * j.value] += im[j.value]; });
    }
  }
};

// Paired: every frame starts at a multiple of 8 bytes, so that two float samples are one load.
template <int Paired> struct Warp2048 : SquarePoints {
  static constexpr int kN = 2048, kBins = 1025, kFrames = 8, kTables = 2048 + kRotations, kWarpFrames = 1;
  static constexpr bool kSplitInShared = false;
  using Bins = BinTile<8, 1>;
  using FrameBins = FrameTile<8, 1028>;

  // [16][32] float4: the weights of points lane + 32 j and lane + 32 (j + 1).
  static FS_INLINE int window_place(int i) { return 2 * (i / 4 % 32 + 32 * (2 * (i / 128) + i % 4 / 2)) + i % 2; }

  template <class Sample>
  FS_INLINE void load(const Frames& f, const Clip& clip, const Sample* x, long long start, const float* window,
                      float* spare, int lane) {
    if (start >= 0 && start + 2048 <= clip.samples) {
      const Sample* p = x + clip.first + start + 2 * lane;
      unroll<0, 32>([&](auto j) FS_LAMBDA { load_two<Paired>(p + 64 * j.value, re[j.value], im[j.value]); });
    } else {
      load_at_edge<2>(re, f, clip, x, start, spare, lane);
      load_at_edge<2>(im, f, clip, x, start + 1, spare, lane);
    }
    unroll<0, 16>([&](auto q) FS_LAMBDA {
      const float4 w = reinterpret_cast<const float4*>(window)[32 * q.value + lane];
      re[2 * q.value] *= w.x, im[2 * q.value] *= w.y, re[2 * q.value + 1] *= w.z, im[2 * q.value + 1] *= w.w;
    });
  }

  // X[k] = E + W O and X[1024 - k] = conj(E - W O) out of points k and -k; W follow the Twisted table in `tables`.
  template <class Tile, class Value>
  FS_INLINE void split(const Tile& tile, const float* tables, int warp, int lane, const Value& value) {
    float *up = tile.cell(lane, warp), *down = tile.cell(1024 - lane, warp);
    float4 w;
    each_pair(lane, [&](auto jj, float a, float b, float c, float d) FS_LAMBDA {
      constexpr int j = jj.value, at = j * 32 * Tile::kBin;
      if constexpr (j % 2 == 0) w = read_only(reinterpret_cast<const float4*>(tables + kRotations) + 16 * j + lane);
      float pr, pi, qr, qi;
      butterfly(a + c, b - d, b + d, c - a, j % 2 ? w.z : w.x, j % 2 ? w.w : w.y, pr, pi, qr, qi);
      up[at] = value(pr, pi);
      down[-at] = value(qr, qi);
    });
    if (lane == 0) *tile.cell(512, warp) = value(2.0f * re[16], 2.0f * im[16]);
  }
};

}  // namespace FASTSPEC_NAMESPACE
