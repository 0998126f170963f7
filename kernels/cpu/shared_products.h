// Products that neighbouring frames of a dense basis share: the fast FIR algorithm (Winograd 1980; Mou and Duhamel
// 1991) over hops. Two frames of two hops, y0 = g0 d0 + g1 d1 and y1 = g0 d1 + g1 d2, where g are a row's taps hop by
// hop and d the samples, need three products of one hop in place of four:
//
//     a = g0 (d0 - d1)      b = (g0 + g1) d1      c = g1 (d2 - d1)      y0 = a + b      y1 = b + c
//
// Each frame is made of its own samples alone. The same with hops in pairs gives four frames of four hops out of nine
// products in place of sixteen. A longer support is cut into pieces of four hops, then one of two; what is left goes
// the plain way. The gradient in the taps is the transposed algorithm: the frames' spectra are added up as the taps
// are here, the products of a hop then as the frames are.
#pragma once

#include <algorithm>
#include <cstdint>

#include "product.h"

namespace FASTSPEC_NAMESPACE {

constexpr int64_t kLeastHop = 16;  // below it the sums are loaded and stored too often

constexpr int three_to(int level) { return level == 0 ? 1 : 3 * three_to(level - 1); }

// Does hop b of the taps enter product c; is product c part of frame b? One table for both.
template <int Level> constexpr bool enters(int c, int b) {
  constexpr bool table[3][2] = {{true, false}, {true, true}, {false, true}};
  if constexpr (Level == 0)
    return true;
  else
    return table[c / three_to(Level - 1)][b >> (Level - 1)] &&
           enters<Level - 1>(c % three_to(Level - 1), b & ((1 << (Level - 1)) - 1));
}

// The factor -1, 0 or 1 of hop j of the samples in product c, j from 0 to 2^(Level + 1) - 2.
template <int Level> constexpr int sign(int c, int j) {
  constexpr int table[3][3] = {{1, -1, 0}, {0, 1, 0}, {0, -1, 1}};
  if constexpr (Level == 0) {
    return j == 0;
  } else {
    int sum = 0;
    for (int block = 0; block < 3; ++block) {
      const int within = j - (block << (Level - 1));
      if (within >= 0 && within < (1 << Level) - 1)
        sum += table[c / three_to(Level - 1)][block] * sign<Level - 1>(c % three_to(Level - 1), within);
    }
    return sum;
  }
}

// How the supports of a panel are cut: `pieces` of kHops hops each at two levels, and the rest.
template <int Level> struct Pieces {
  static constexpr int kLevel = Level, kHops = 1 << Level, kProducts = three_to(Level);
  int64_t hop, pitch, count;
  int64_t at, panel;  // the first column, of the support and of the panel

  int64_t groups(int64_t frames) const { return (frames + kHops - 1) / kHops; }
  int64_t lines(int64_t frames) const { return count ? groups(frames) + count - 1 : 0; }  // hops of each product
  int64_t samples(int64_t frames) const { return kProducts * lines(frames) * pitch; }
  int64_t taps(int64_t product, int64_t piece) const { return (panel + (piece * kProducts + product) * hop) * kWide; }
  int64_t columns() const { return count * kProducts * hop; }
};

struct Cuts {
  int64_t width, hop;
  Pieces<2> fours;
  Pieces<1> twos;
  int64_t rest;

  Cuts(int64_t width_, int64_t hop_) : width(width_), hop(hop_) {
    const int64_t pitch = ((hop + kLanes - 1) / kLanes | 1) * kLanes;  // a column's lines lie in many sets of a cache
    const bool any = hop >= kLeastHop;
    fours = {hop, pitch, any ? width / (4 * hop) : 0, 0, 0};
    const int64_t at = fours.count * 4 * hop;
    twos = {hop, pitch, any ? (width - at) / (2 * hop) : 0, at, fours.columns()};
    rest = width - at - twos.count * 2 * hop;
  }
  int64_t columns() const { return fours.columns() + twos.columns() + rest; }
  int64_t rest_at() const { return width - rest; }
  int64_t rest_taps() const { return (columns() - rest) * kWide; }
  int64_t samples(int64_t frames) const { return fours.samples(frames) + twos.samples(frames); }
  int64_t shared(int64_t frames) const {  // columns of frames
    return std::max(fours.count ? 9 * fours.groups(frames) : 0, twos.count ? 3 * twos.groups(frames) : 0);
  }
};

// samples[c][line][pitch]: the sums of hops that product c multiplies. x reaches to `end`; zeros follow.
template <int Level>
void share_samples(const Pieces<Level>& p, const real* x, int64_t end, int64_t frames, real* samples) {
  const int64_t lines = p.lines(frames), hop = p.hop;
  unroll<0, Pieces<Level>::kProducts>([&](auto cc) FS_LAMBDA {
    constexpr int c = cc.value;
    for (int64_t line = 0; line < lines; ++line) {
      const int64_t from = p.at + line * p.kHops * hop;
      real* to = samples + (c * lines + line) * p.pitch;
      int64_t n = 0;
      if (from + (2 * p.kHops - 1) * hop <= end)
        for (; n + kLanes <= hop; n += kLanes) {
          V sum{};
          unroll<0, 2 * Pieces<Level>::kHops - 1>([&](auto j) FS_LAMBDA {
            constexpr int factor = sign<Level>(c, j.value);
            if constexpr (factor == 1) sum += load(x + from + j.value * hop + n);
            if constexpr (factor == -1) sum -= load(x + from + j.value * hop + n);
          });
          store(to + n, sum);
        }
      for (; n < hop; ++n) {
        real sum = 0;
        for (int j = 0; j < 2 * p.kHops - 1; ++j)
          if (const int64_t i = from + j * hop + n; i < end && sign<Level>(c, j)) sum += real(sign<Level>(c, j)) * x[i];
        to[n] = sum;
      }
    }
  });
}

FS_INLINE void add_column(const real* from, real* to, bool add) {
  for (int i = 0; i < kWide; i += kLanes) store(to + i, add ? load(to + i) + load(from + i) : load(from + i));
}

// The taps' columns [width][kWide] to those of a panel, and the adjoint.
template <int Level> void share_taps(const Pieces<Level>& p, const real* columns, real* panel) {
  for (int64_t k = 0; k < p.count; ++k)
    for (int c = 0; c < p.kProducts; ++c)
      for (int b = 0, first = 1; b < p.kHops; ++b)
        if (enters<Level>(c, b)) {
          for (int64_t n = 0; n < p.hop; ++n)
            add_column(columns + (p.at + (k * p.kHops + b) * p.hop + n) * kWide, panel + p.taps(c, k) + n * kWide,
                       !first);
          first = 0;
        }
}
template <int Level> void gather_taps(const Pieces<Level>& p, const real* panel, real* columns) {
  for (int64_t k = 0; k < p.count; ++k)
    for (int b = 0; b < p.kHops; ++b)
      for (int c = 0, first = 1; c < p.kProducts; ++c)
        if (enters<Level>(c, b)) {
          for (int64_t n = 0; n < p.hop; ++n)
            add_column(panel + p.taps(c, k) + n * kWide, columns + (p.at + (k * p.kHops + b) * p.hop + n) * kWide,
                       !first);
          first = 0;
        }
}

// shared[c][group][kWide] of products to frames [kWide], set or added to, and the adjoint, frames beyond being zero.
template <int Level>
void gather_frames(const Pieces<Level>& p, const real* shared, int64_t frames, bool add, real* to) {
  constexpr int products = Pieces<Level>::kProducts, hops = Pieces<Level>::kHops;
  const int64_t groups = p.groups(frames);
  for (int64_t g = 0; g < groups; ++g)
    for (int i = 0; i < kWide; i += kLanes) {
      V from[products];
      for (int c = 0; c < products; ++c) from[c] = load(shared + (c * groups + g) * kWide + i);
      unroll<0, hops>([&](auto b) FS_LAMBDA {
        if (g * hops + b.value >= frames) return;
        real* at = to + (g * hops + b.value) * kWide + i;
        V sum = add ? load(at) : V{};
        unroll<0, products>([&](auto c) FS_LAMBDA {
          if constexpr (enters<Level>(c.value, b.value)) sum += from[c.value];
        });
        store(at, sum);
      });
    }
}
template <int Level> void share_frames(const Pieces<Level>& p, const real* from, int64_t frames, real* shared) {
  constexpr int products = Pieces<Level>::kProducts, hops = Pieces<Level>::kHops;
  const int64_t groups = p.groups(frames);
  for (int64_t g = 0; g < groups; ++g)
    for (int i = 0; i < kWide; i += kLanes) {
      V frame[hops];
      for (int b = 0; b < hops; ++b) frame[b] = g * hops + b < frames ? load(from + (g * hops + b) * kWide + i) : V{};
      unroll<0, products>([&](auto c) FS_LAMBDA {
        V sum{};
        unroll<0, hops>([&](auto b) FS_LAMBDA {
          if constexpr (enters<Level>(c.value, b.value)) sum += frame[b.value];
        });
        store(shared + (c.value * groups + g) * kWide + i, sum);
      });
    }
}

}  // namespace FASTSPEC_NAMESPACE
