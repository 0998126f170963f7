#include "fft.h"

namespace FASTSPEC_NAMESPACE {
namespace {

// ---- passes over the work buffer (tables.h tells its layout) ----------------------------------------------------

// Two rows of so many points stay in registers in the last pass, where it then pays to know the form.
constexpr int kInRegisters = 8;

FS_INLINE void rotate_by(V& re, V& im, const real* w) {  // * (w[0] - i w[1])
  const V t = re * w[0] + im * w[1];
  im = im * w[0] - re * w[1];
  re = t;
}

// Point k of a column. The pitch is in bytes: GCC computes fewer addresses from that.
FS_INLINE V* point(V* column, int64_t pitch, int k) {
  return reinterpret_cast<V*>(reinterpret_cast<char*>(column) + k * pitch);
}
inline int64_t pitch_of(const Fft& f, int level) { return 2 * int64_t(sizeof(V)) * f.pitch[level]; }

// fn(k) for the points of a column: unrolled, so that they stay in registers; in a loop for the large primes, whose Dft
// wants them in memory and which unrolled took a third of the time to compile.
template <int R, int Begin = 0, int End = R, class Fn> FS_INLINE void each_point(Fn&& fn) {
  constexpr bool large_prime = R > 16 && R % 2 == 1;
  if constexpr (large_prime)
    for (int k = Begin; k < End; ++k) fn(k);
  else
    unroll<Begin, End>([&](auto k) FS_LAMBDA { fn(k.value); });
}

// The end of column j. The callers read pitch and twiddles (w, of all columns) from the tables before their loops: as
// the compiler must take it that stores of vectors change the tables, it would read them again for every column.
template <int R> FS_INLINE void finish_column(int64_t pitch, const real* w, int64_t j, V* re, V* im, V* to) {
  Dft<R>::template run<real>(re, im);
  each_point<R>([&](int k) FS_LAMBDA {
    if (k > 0) rotate_by(re[k], im[k], w + 2 * (j * R + k));
    V* p = point(to, pitch, k);
    p[0] = re[k];
    p[1] = im[k];
  });
}

// Columns j, j + columns, ... of the windowed frames.
template <int R> FS_INLINE void load_column(const Frames& x, int64_t columns, int64_t j, V* re, V* im) {
  each_point<R>([&](int k) FS_LAMBDA {
    const int64_t n = 2 * (j + columns * k);
    re[k] = x.weighted(n);
    im[k] = x.weighted(n + 1);
  });
}

// The same where a frame is so many hops. Samples a hop apart stand in one row of the polyphase matrix, one place
// apart: they are cut out of its two vectors. Loaded one by one, most would lie across two cache lines.
template <int R, int hops> FS_INLINE void cut_column(const Frames& x, int64_t columns, int64_t j, V* re, V* im) {
  unroll<0, R / hops>([&](auto kk) FS_LAMBDA {
    const int64_t h = 2 * (j + columns * kk.value);
    const V* row = reinterpret_cast<const V*>(x.samples + h * x.pitch);
    const V* next = reinterpret_cast<const V*>(x.samples + (h + 1) * x.pitch);
    const V row0 = row[0], row1 = row[1], next0 = next[0], next1 = next[1];
    unroll<0, hops>([&](auto qq) FS_LAMBDA {
      constexpr int q = qq.value, k = kk.value + q * (R / hops);
      const Tap* tap = x.taps + 2 * (j + columns * k);
      re[k] = shift_lanes<q>(row0, row1) * tap[0].weight;
      im[k] = shift_lanes<q>(next0, next1) * tap[1].weight;
    });
  });
}

template <int R, class Load> FS_INLINE void each_first_column(const Fft& f, Ahead ahead, V* work, Load&& load) {
  const int64_t columns = f.points / R, share = ahead.lines / columns, pitch = pitch_of(f, 0);
  const real* w = f.twiddle[0];
  const int* position = f.position;
  for (int64_t j = 0; j < columns; ++j) {
    ahead.ask(share);
    V re[R], im[R];
    load(columns, j, re, im);
    finish_column<R>(pitch, w, j, re, im, work + 2 * int64_t(position[j]));
  }
}

template <int R> void first_of_frames(const Fft& f, const Frames& frames, V* work) {
  const Frames x = frames;  // in registers: the vectors stored might lie over the caller's
  const auto cut = [&](auto hops) FS_LAMBDA {
    each_first_column<R>(f, x.ahead.half(false), work, [&](int64_t columns, int64_t j, V* re, V* im) FS_LAMBDA {
      cut_column<R, hops.value>(x, columns, j, re, im);
    });
  };
  if constexpr (kCutRows && R % 8 == 0)
    if (x.hops == 8) return cut(Index<8>{});
  if constexpr (kCutRows && R % 4 == 0)
    if (x.hops == 4) return cut(Index<4>{});
  if constexpr (kCutRows && R % 2 == 0)
    if (x.hops == 2) return cut(Index<2>{});
  each_first_column<R>(f, x.ahead.half(false), work, [&](int64_t columns, int64_t j, V* re, V* im) FS_LAMBDA {
    load_column<R>(x, columns, j, re, im);
  });
}

// Bins q (a) and points - q (b) of the spectrum become points q and points - q of the complex transform:
// Z_q = g_q + conj g_{M-q} + i exp(+2 pi i q / n_fft) (g_q - conj g_{M-q}), re and im swapped for the inverse.
FS_INLINE void fold_pair(const RealFft& t, int64_t q, V& ar, V& ai, V& br, V& bi) {
  const real c = t.post[2 * q], s = t.post[2 * q + 1];
  const V er = ar + br, ei = ai - bi, dr = ar - br, di = ai + bi;
  const V tr = dr * c - di * s, ti = dr * s + di * c;
  ar = ei + tr;
  ai = er - ti;
  br = tr - ei;
  bi = er + ti;
}
FS_INLINE void fold_ends(V g0, V gM, V& re, V& im) {
  re = (g0 - gM) * real(2);
  im = (g0 + gM) * real(2);
}

// The step from the real to the complex transform and its first pass in one: columns j and columns - j hold each
// other's mirrored bins.
template <int R> void first_of_bins(const RealFft& t, const V* g, const V* scale, V* work) {
  const Fft& f = *t.fft;
  const int64_t columns = f.points / R;
  const auto bin = [=](int64_t q, V& re, V& im) FS_LAMBDA {
    re = g[2 * q];
    im = g[2 * q + 1];
    if (scale) {
      re *= scale[q];
      im *= scale[q];
    }
  };
  const auto column = [&](int64_t j, V* re, V* im)
                          FS_LAMBDA { each_point<R>([&](int k) FS_LAMBDA { bin(j + columns * k, re[k], im[k]); }); };
  const int64_t pitch = pitch_of(f, 0);
  const real* w = f.twiddle[0];
  const int* position = f.position;
  const auto finish = [=](int64_t j, V* re, V* im)
                          FS_LAMBDA { finish_column<R>(pitch, w, j, re, im, work + 2 * int64_t(position[j])); };
  for (int64_t j = 0; 2 * j <= columns; ++j) {
    V ar[R], ai[R], br[R], bi[R];
    column(j, ar, ai);
    if (2 * j % columns != 0) {
      column(columns - j, br, bi);
      each_point<R>([&](int k)
                        FS_LAMBDA { fold_pair(t, j + columns * k, ar[k], ai[k], br[R - 1 - k], bi[R - 1 - k]); });
      finish(columns - j, br, bi);
    } else {  // its own mirror
      const auto fold = [&](auto first, auto last) FS_LAMBDA {
        each_point<R, first.value, (first.value + last.value) / 2 + 1>([&](int k) FS_LAMBDA {
          const int mirror = first.value + last.value - k;
          V cr = ar[mirror], ci = ai[mirror];
          fold_pair(t, j + columns * k, ar[k], ai[k], cr, ci);
          if (k != mirror) {
            ar[mirror] = cr;
            ai[mirror] = ci;
          }
        });
      };
      if (j == 0) {
        V end, none;
        bin(f.points, end, none);
        fold_ends(ar[0], end, ar[0], ai[0]);
        fold(Index<1>{}, Index<R - 1>{});
      } else {
        fold(Index<0>{}, Index<R - 1>{});
      }
    }
    finish(j, ar, ai);
  }
}

// One block of pass `level`, in place.
template <int R> void middle(const Fft& f, int level, V* block) {
  int64_t columns = 1;
  for (int i = level + 1; i < f.passes; ++i) columns *= f.radix[i];
  const int64_t pitch = pitch_of(f, level);
  const real* w = f.twiddle[level];
  const int* position = f.position;
  for (int64_t j = 0; j < columns; ++j) {
    V* at = block + 2 * int64_t(position[j]);
    V re[R], im[R];
    each_point<R>([&](int k) FS_LAMBDA {
      const V* p = point(at, pitch, k);
      re[k] = p[0];
      im[k] = p[1];
    });
    finish_column<R>(pitch, w, j, re, im, at);
  }
}

template <int R> FS_INLINE void last_row(const V* at, V* re, V* im) {
  each_point<R>([&](int k) FS_LAMBDA {
    re[k] = at[2 * k];
    im[k] = at[2 * k + 1];
  });
  Dft<R>::template run<real>(re, im);
}

// Rows first, first + step, ...; results in natural order, out[2 q + swap] = re, out[2 q + 1 - swap] = im.
template <int R> void last_to_points(const Fft& f, const V* work, V* out, int swap, int first, int step) {
  for (int q = first; q < f.rows; q += step) {
    V re[R], im[R];
    last_row<R>(work + 2 * int64_t(f.row[q]), re, im);
    for (int m = 0; m < R; ++m) {
      V* p = out + 2 * (q + int64_t(f.rows) * m);
      p[swap] = re[m];
      p[1 - swap] = im[m];
    }
  }
}

template <Form known, bool estimated = false> FS_INLINE void put(const Bins& out, int64_t q, V re, V im) {
  const Form form = known == kAny ? out.form : known;
  real* at = out.tile + q * out.pitch;
  if (form == kComplex) {
    *reinterpret_cast<V*>(at) = re;
    *reinterpret_cast<V*>(at + kLanes) = im;
    return;
  }
  if (known == kAny && out.pairs) {
    out.pairs[2 * q] = re;
    out.pairs[2 * q + 1] = im;
  }
  const V power = re * re + (im * im + out.eps);
  *reinterpret_cast<V*>(at) = form != kMagnitude ? power : estimated ? estimated_root(power) : square_root(power);
}

// Bins q and points - q of the real transform, from points q (a) and points - q (b) of the complex one. Half of the
// roots are estimated (the flag of put), so that the divider and the multipliers share them.
template <Form known>
FS_INLINE void put_pair(const real* post, int64_t points, const Bins& out, int64_t q, V ar, V ai, V br, V bi) {
  const V er = ar + br, ei = ai - bi;
  V or_ = ai + bi, oi = br - ar;
  rotate_by(or_, oi, post + 2 * q);
  put<known>(out, q, er + or_, ei + oi);
  put<known, true>(out, points - q, er - or_, oi - ei);
}

template <Form known> FS_INLINE void put_ends(int64_t points, const Bins& out, V re, V im) {  // bins 0 and n_fft / 2
  put<known>(out, 0, (re + im) * real(2), V{});
  put<known>(out, points, (re - im) * real(2), V{});
}

// The last pass and the step from the complex to the real transform in one: rows q and rows - q hold each other's
// mirrored bins. Rows first, first + step, ... and their mirrors.
template <int R, Form known>
void last_to_bins(const RealFft& t, const V* work, Bins out, Ahead& ahead_, int64_t share, int first, int step) {
  Ahead ahead = ahead_;
  const Fft& f = *t.fft;
  const int64_t rows = f.rows, points = f.points;
  const int* row = f.row;
  const real* post = t.post;
  const bool mirrored = 2 * first % step == 0;  // they are their own mirrors: half of them will do
  for (int64_t q = first; mirrored ? 2 * q <= rows : q < rows; q += step) {
    ahead.ask(share);
    V re[2][R], im[2][R];
    const int of = 2 * q % rows == 0 ? 0 : 1;  // the row of the mirrors
    last_row<R>(work + 2 * int64_t(row[q]), re[0], im[0]);
    if (of) last_row<R>(work + 2 * int64_t(row[rows - q]), re[1], im[1]);
    if (q == 0) {
      put_ends<known>(points, out, re[0][0], im[0][0]);
      for (int m = 1; m <= R / 2; ++m)
        put_pair<known>(post, points, out, rows * m, re[0][m], im[0][m], re[0][R - m], im[0][R - m]);
      continue;
    }
    const auto pair = [&](int m, int mirrors) FS_LAMBDA {
      put_pair<known>(post, points, out, q + rows * m, re[0][m], im[0][m], re[mirrors][R - 1 - m],
                      im[mirrors][R - 1 - m]);
    };
    if (!of)
      for (int m = 0; m < (R + 1) / 2; ++m) pair(m, 0);
    else if constexpr (R <= kInRegisters)
      unroll<0, R>([&](auto m) FS_LAMBDA { pair(m.value, 1); });
    else
      for (int m = 0; m < R; ++m) pair(m, 1);
  }
  ahead_ = ahead;
}

// ---- one function a radix and pass ------------------------------------------------------------------------------

struct Codelet {
  void (*first_of_frames)(const Fft&, const Frames&, V*);
  void (*first_of_bins)(const RealFft&, const V*, const V*, V*);
  void (*middle)(const Fft&, int, V*);
  void (*last_to_points)(const Fft&, const V*, V*, int, int, int);
  void (*last_to_bins[kAny + 1])(const RealFft&, const V*, Bins, Ahead&, int64_t, int, int);  // by form
};

template <int R> constexpr Codelet codelet() {
  constexpr auto form = [](Form known) { return R <= kInRegisters ? known : kAny; };
  return {first_of_frames<R>,
          first_of_bins<R>,
          middle<R>,
          last_to_points<R>,
          {last_to_bins<R, form(kComplex)>, last_to_bins<R, form(kPower)>, last_to_bins<R, form(kMagnitude)>,
           last_to_bins<R, kAny>}};
}

const Codelet& codelet_of(int radix) {
  static const Codelet known[] = {
      codelet<1>(),  codelet<2>(),  codelet<3>(),  codelet<4>(),  codelet<5>(),  codelet<6>(),  codelet<7>(),
      codelet<8>(),  codelet<9>(),  codelet<10>(), codelet<11>(), codelet<12>(), codelet<13>(), codelet<15>(),
      codelet<16>(), codelet<17>(), codelet<19>(), codelet<20>(), codelet<23>(), codelet<29>(), codelet<31>()};
  int i = 0;
  while (fastspec::kRadices[i] != radix) ++i;
  return known[i];
}

// What follows the first pass, block by block, so that a block goes through all of it in the nearest cache. A block
// ends in the rows first, first + step, ... of the last pass; the inner passes of blocks k and step - k, which hold
// each other's mirrored bins, come together: last(first, step) finds the rows of both.
template <class Last> FS_INLINE void each_block(const Fft& f, V* work, bool pairs, Last&& last) {
  if (f.passes == 2) return last(0, 1);
  const int blocks = f.radix[0];
  const auto inner_passes = [&](int k) {
    for (int level = 1, inner = 1; level < f.passes - 1; inner *= f.radix[level++]) {
      const auto pass = codelet_of(f.radix[level]).middle;
      for (int b = 0; b < inner; ++b) {
        int64_t at = int64_t(k) * f.pitch[0];
        for (int i = 1, rest = b; i < level; rest /= f.radix[i++]) at += int64_t(rest % f.radix[i]) * f.pitch[i];
        pass(f, level, work + 2 * at);
      }
    }
  };
  for (int k = 0; pairs ? 2 * k <= blocks : k < blocks; ++k) {
    inner_passes(k);
    if (pairs && 2 * k % blocks != 0) inner_passes(blocks - k);
    last(k, blocks);
  }
}

void all_to_points(const Fft& f, V* work, V* out, int swap) {
  const auto pass = codelet_of(f.radix[f.passes - 1]).last_to_points;
  each_block(f, work, false, [&](int first, int step) { pass(f, work, out, swap, first, step); });
}

// ---- complex transforms of any length ---------------------------------------------------------------------------

int64_t complex_work_size(const Fft& f) {
  return f.convolution ? 4 * int64_t(f.convolution->points) + 2 * int64_t(f.convolution->extent)
                       : 2 * int64_t(f.extent);
}

// in and out hold `points` complex vectors and may be the same.
void complex_transform(const Fft& f, const V* in, V* work, V* out, int swap) {
  if (!f.convolution) {
    const int columns = f.points / f.radix[0];
    for (int k = 0; k < f.radix[0]; ++k)
      for (int j = 0; j < columns; ++j) {
        const V* from = in + 2 * (j + int64_t(columns) * k);
        V* to = work + 2 * (f.position[j] + int64_t(k) * f.pitch[0]);
        to[0] = from[0];
        to[1] = from[1];
      }
    codelet_of(f.radix[0]).middle(f, 0, work);
    all_to_points(f, work, out, swap);
    return;
  }
  // L. Bluestein, "A linear filtering approach to the computation of the discrete Fourier transform" (1970):
  // kn = (k^2 + n^2 - (k - n)^2) / 2 makes the transform a convolution with a chirp.
  const Fft& g = *f.convolution;
  V* a = work;
  V* b = a + 2 * int64_t(g.points);
  V* inner = b + 2 * int64_t(g.points);
  for (int64_t n = 0; n < f.points; ++n) {
    V re = in[2 * n], im = in[2 * n + 1];
    rotate_by(re, im, f.chirp + 2 * n);
    a[2 * n] = re;
    a[2 * n + 1] = im;
  }
  for (int64_t n = 2 * int64_t(f.points); n < 2 * int64_t(g.points); ++n) a[n] = V{};
  complex_transform(g, a, inner, b, 0);
  for (int64_t n = 0; n < g.points; ++n) {  // multiply and swap re and im: the next transform is then the inverse
    const real c = f.chirp_spectrum[2 * n], s = f.chirp_spectrum[2 * n + 1];
    const V re = b[2 * n], im = b[2 * n + 1];
    b[2 * n] = re * s + im * c;
    b[2 * n + 1] = re * c - im * s;
  }
  complex_transform(g, b, inner, a, 1);
  for (int64_t n = 0; n < f.points; ++n) {
    V re = a[2 * n], im = a[2 * n + 1];
    rotate_by(re, im, f.chirp + 2 * n);
    out[2 * n + swap] = re;
    out[2 * n + 1 - swap] = im;
  }
}

}  // namespace

// ---- real transforms --------------------------------------------------------------------------------------------

int64_t work_size(const RealFft& t) {  // complex points on both sides, for the ways that are not fused
  return complex_work_size(*t.fft) + 2 * int64_t(t.fft->points);
}

void real_transform(const RealFft& t, const Frames& x, V* work, const Bins& out) {
  const Fft& f = *t.fft;
  const bool even = t.n_fft % 2 == 0;
  if (even && !f.convolution) {
    codelet_of(f.radix[0]).first_of_frames(f, x, work);
    const auto pass = codelet_of(f.radix[f.passes - 1]).last_to_bins[out.pairs ? kAny : out.form];
    Ahead ahead = x.ahead.half(true);
    const int64_t share = 2 * ahead.lines / f.rows;
    each_block(f, work, true, [&](int first, int step) { pass(t, work, out, ahead, share, first, step); });
    return;
  }
  V* z = work;
  for (int64_t n = 0; n < t.n_fft; ++n) {
    const V v = x.weighted(n);
    if (even) {
      z[n] = v;
    } else {
      z[2 * n] = v;
      z[2 * n + 1] = V{};
    }
  }
  complex_transform(f, z, z + 2 * int64_t(f.points), z, 0);
  if (!even) {
    for (int64_t q = 0; q < t.bins; ++q) put<kAny>(out, q, z[2 * q], z[2 * q + 1]);
    return;
  }
  put_ends<kAny>(f.points, out, z[0], z[1]);
  for (int64_t q = 1; 2 * q <= f.points; ++q) {
    const V* a = z + 2 * q;
    const V* b = z + 2 * (f.points - q);
    put_pair<kAny>(t.post, f.points, out, q, a[0], a[1], b[0], b[1]);
  }
}

void real_adjoint(const RealFft& t, V* g, const V* scale, V* work, V* out) {
  const Fft& f = *t.fft;
  const int64_t M = f.points;
  const bool even = t.n_fft % 2 == 0;
  if (even && !f.convolution) {
    codelet_of(f.radix[0]).first_of_bins(t, g, scale, work);
    all_to_points(f, work, out, 1);
    return;
  }
  for (int64_t q = 0; q < t.bins && scale; ++q) {
    g[2 * q] *= scale[q];
    g[2 * q + 1] *= scale[q];
  }
  if (even) {
    fold_ends(g[0], g[2 * M], g[0], g[1]);
    for (int64_t q = 1; 2 * q <= M; ++q) {
      V* a = g + 2 * q;
      V* b = g + 2 * (M - q);
      V br = b[0], bi = b[1];
      fold_pair(t, q, a[0], a[1], br, bi);
      b[0] = br;
      b[1] = bi;
    }
    complex_transform(f, g, work, out, 1);
    return;
  }
  V* z = work;  // zero-extended bins, re and im swapped: an inverse transform whose real part is wanted
  for (int64_t q = 0; q < M; ++q) {
    z[2 * q] = q < t.bins ? g[2 * q + 1] : V{};
    z[2 * q + 1] = q < t.bins ? g[2 * q] : V{};
  }
  complex_transform(f, z, z + 2 * M, z, 1);
  for (int64_t n = 0; n < M; ++n) out[n] = z[2 * n];
}

}  // namespace FASTSPEC_NAMESPACE
