// The adjoint of a dense basis: x[m hop + n] += sum_f Re conj(H[f][n]) z[f][m], added to padded samples. Lanes are
// columns of the taps here, blocks of kWide, and rows follow each other, real parts and then imaginary ones. Where all
// rows stand on one support of two hops or more, neighbouring frames share products (shared_products.h): the transposed
// algorithm, which adds up frames as the gradient in the taps does, and then hops of samples as they were shared.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "ops.h"
#include "polyphase.h"
#include "product.h"
#include "shared_products.h"

namespace FASTSPEC_NAMESPACE {
namespace {

// Taps of the adjoint: [product][piece][block] of rows [2 F][kWide], first those of fours, then those of twos.
struct SharedRows {
  int64_t rows, blocks;
  Cuts cuts;

  SharedRows(const fastspec_rows& r, int64_t hop)
      : rows(2 * r.rows), blocks((hop + kWide - 1) / kWide), cuts(alike(r) ? r.stop[0] - r.start[0] : 0, hop) {}

  static bool alike(const fastspec_rows& r) {
    return std::all_of(r.start, r.start + r.rows, [&](int64_t n) { return n == r.start[0]; }) &&
           std::all_of(r.stop, r.stop + r.rows, [&](int64_t n) { return n == r.stop[0]; });
  }
  template <class Pieces> int64_t taps(const Pieces& p, int64_t product, int64_t piece, int64_t block) const {
    return ((product * p.count + piece) * blocks + block) * rows * kWide;
  }
  template <class Pieces> int64_t size(const Pieces& p) const { return taps(p, p.kProducts, 0, 0); }
  // fn(pieces, where their taps begin)
  template <class Fn> void each(Fn&& fn) const {
    if (cuts.fours.count) fn(cuts.fours, int64_t(0));
    if (cuts.twos.count) fn(cuts.twos, size(cuts.fours));
  }
};

// shared[product][row][group], rows [frames] at z.
template <int Level> void share_row(const Pieces<Level>& p, const real* z, int64_t frames, int64_t rows, real* shared) {
  constexpr int hops = Pieces<Level>::kHops;
  const int64_t groups = p.groups(frames);
  const auto share = [&](int64_t g, auto* frame) FS_LAMBDA {
    unroll<0, Pieces<Level>::kProducts>([&](auto c) FS_LAMBDA {
      std::remove_reference_t<decltype(*frame)> sum{};
      unroll<0, hops>([&](auto b) FS_LAMBDA {
        if constexpr (enters<Level>(c.value, b.value)) sum += frame[b.value];
      });
      __builtin_memcpy(shared + c.value * rows * groups + g, &sum, sizeof sum);
    });
  };
  int64_t g = 0;
  for (; (g + kLanes) * hops <= frames; g += kLanes) {
    V frame[hops];
    for (int b = 0; b < hops; ++b) frame[b] = load(z + g * hops + b * kLanes);
    deinterleave<hops>(frame);
    share(g, frame);
  }
  for (; g < groups; ++g) {
    real frame[hops];
    for (int b = 0; b < hops; ++b) frame[b] = g * hops + b < frames ? z[g * hops + b] : real(0);
    share(g, frame);
  }
}

// Block `block` of products [product][line][kWide] to the samples x of a clip, which end at `end`.
template <int Level>
void add_lines(const Pieces<Level>& p, const real* products, int64_t lines, int64_t block, int64_t end, real* x) {
  constexpr int hops = Pieces<Level>::kHops;
  const int64_t column = block * kWide, columns = std::min<int64_t>(kWide, p.hop - column);
  for (int64_t line = 0; line < lines; ++line)
    unroll<0, 2 * hops - 1>([&](auto j) FS_LAMBDA {
      V sum[2]{};
      unroll<0, Pieces<Level>::kProducts>([&](auto c) FS_LAMBDA {
        constexpr int factor = sign<Level>(c.value, j.value);
        const real* from = products + (c.value * lines + line) * kWide;
        for (int i = 0; i < 2 && factor; ++i) sum[i] += load(from + i * kLanes) * real(factor);
      });
      const int64_t first = p.at + (line * hops + j.value) * p.hop + column, count = std::min(columns, end - first);
      real* to = x + first;
      if (count == kWide) {
        for (int i = 0; i < 2; ++i) store(to + i * kLanes, load(to + i * kLanes) + sum[i]);
      } else {
        const real* from = reinterpret_cast<const real*>(sum);
        for (int64_t i = 0; i < count; ++i) to[i] += from[i];
      }
    });
}

}  // namespace

int64_t dense_shared_size(const fastspec_rows& r, int64_t hop, int64_t* columns) {
  const SharedRows s(r, hop);
  *columns = s.cuts.rest_at();
  return s.size(s.cuts.fours) + s.size(s.cuts.twos);
}

void dense_shared_pack(const fastspec_rows& r, int64_t hop, const void* basis, void* taps_) {
  const SharedRows s(r, hop);
  parallel_for(s.rows, r.threads, [&](int64_t row) {
    const real* from = static_cast<const real*>(basis) + row / r.rows * r.taps + r.offset[row % r.rows];
    s.each([&](const auto& p, int64_t at) {
      using P = std::remove_cvref_t<decltype(p)>;
      for (int c = 0; c < P::kProducts; ++c)
        for (int64_t k = 0; k < p.count; ++k)
          for (int64_t block = 0; block < s.blocks; ++block) {
            real* to = static_cast<real*>(taps_) + at + s.taps(p, c, k, block) + row * kWide;
            const int64_t column = block * kWide, columns = std::min<int64_t>(kWide, hop - column);
            std::fill_n(to, kWide, real(0));
            for (int b = 0; b < P::kHops; ++b)
              if (enters<P::kLevel>(c, b)) {
                const real* tap = from + p.at + (k * P::kHops + b) * hop + column;
                for (int64_t i = 0; i < columns; ++i) to[i] += tap[i];
              }
          }
    });
  });
}

void dense_shared_adjoint(const fastspec_rows& r, const fastspec_tile& t, const void* z_, const void* taps_, void* x_) {
  const SharedRows s(r, t.hop);
  const real* z = static_cast<const real*>(z_);
  s.each([&](const auto& p, int64_t at) {
    const int64_t products = p.kProducts, groups = p.groups(t.frames), lines = p.lines(t.frames);
    const int64_t size = products * s.rows * groups;  // of a clip's sums of frames
    const std::unique_ptr<real, void (*)(void*)> sums(
        static_cast<real*>(std::malloc(size_t(t.clips * size) * sizeof(real))), std::free);
    if (!sums) fastspec::no_memory();
    parallel_for(s.rows, r.threads, [&](int64_t row) {
      for (int64_t clip = 0; clip < t.clips; ++clip)
        share_row(p, z + (row * t.clips + clip) * t.frames, t.frames, s.rows, sums.get() + clip * size + row * groups);
    });
    parallel_for(t.clips * s.blocks, r.threads, [&](int64_t task) {
      const int64_t clip = task / s.blocks, block = task % s.blocks;
      real* to = static_cast<real*>(fastspec::scratch(size_t(products * lines * kWide) * sizeof(real)));
      std::fill_n(to, products * lines * kWide, real(0));
      for (int64_t c = 0; c < products; ++c)
        for (int64_t k = 0; k < p.count; ++k)
          product<kTall>(sums.get() + clip * size + c * s.rows * groups, 1, groups,
                         static_cast<const real*>(taps_) + at + s.taps(p, c, k, block), s.rows, groups, true,
                         to + (c * lines + k) * kWide);
      const int64_t end = (t.frames - 1) * t.hop + s.cuts.width;
      add_lines(p, to, lines, block, end, static_cast<real*>(x_) + clip * t.stride + r.start[0]);
    });
  });
}

// What any supports bear: frames alone, of each block the rows that touch it from the first to the last one.
void dense_frames(const fastspec_rows& r, const fastspec_tile& t, const void* z_, const void* basis_, int64_t low,
                  int64_t high, void* frames) {
  const int64_t count = t.clips * t.frames;
  const real* z = static_cast<const real*>(z_);
  parallel_for((high - low + kWide - 1) / kWide, r.threads, [&](int64_t task) {
    const int64_t begin = low + task * kWide, end = std::min(high, begin + kWide);
    const auto touches = [&](int64_t f) { return r.start[f] < end && r.stop[f] > begin; };
    int64_t first = 0, last = r.rows;
    while (first < last && !touches(first)) ++first;
    while (last > first && !touches(last - 1)) --last;
    real* sums = static_cast<real*>(fastspec::scratch(size_t((count + last - first) * kWide) * sizeof(real)));
    real* rows = sums + count * kWide;
    for (int part = 0; part < 2; ++part) {
      const real* taps = static_cast<const real*>(basis_) + part * r.taps;
      for (int64_t f = first; f < last; ++f) {
        real* to = rows + (f - first) * kWide;
        const int64_t from = std::max(begin, r.start[f]), until = std::min(end, r.stop[f]);
        std::fill_n(to, kWide, real(0));
        if (from < until)
          std::copy(taps + r.offset[f] + from - r.start[f], taps + r.offset[f] + until - r.start[f], to + from - begin);
      }
      product<kTall>(z + (part * r.rows + first) * count, 1, count, rows, last - first, count, part > 0, sums);
    }
    for (int64_t m = 0; m < count; ++m)
      std::copy_n(sums + m * kWide, end - begin, static_cast<real*>(frames) + m * (high - low) + begin - low);
  });
}

}  // namespace FASTSPEC_NAMESPACE
