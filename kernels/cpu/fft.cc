#include "fft.h"

namespace FASTSPEC_NAMESPACE {
namespace {

// ---- passes over the work buffer (tables.h tells its layout) ----------------------------------------------------

FS_INLINE void rotate_by(V& re, V& im, const real* w) {  // * (w[0] - i w[1])
  const V t = re * w[0] + im * w[1];
  im = im * w[0] - re * w[1];
  re = t;
}

template <int R> FS_INLINE void finish_column(const Fft& f, int level, int j, V* re, V* im, V* to) {
  Dft<R>::template run<real>(re, im);
  const real* w = f.twiddle[level] + 2 * int64_t(j) * R;
  const int64_t pitch = 2 * int64_t(f.pitch[level]);
  unroll<0, R>([&](auto kk) FS_LAMBDA {
    constexpr int k = kk.value;
    if constexpr (k > 0) rotate_by(re[k], im[k], w + 2 * k);
    to[k * pitch] = re[k];
    to[k * pitch + 1] = im[k];
  });
}

template <int R> void first_of_frames(const Fft& f, const Frames& x, V* work) {
  const int columns = f.points / R;
  Ahead ahead = x.ahead.half(false);
  const int64_t share = ahead.lines / columns;
  for (int j = 0; j < columns; ++j) {
    ahead.ask(share);
    V re[R], im[R];
    unroll<0, R>([&](auto kk) FS_LAMBDA {
      const int n = 2 * (j + columns * kk.value);
      re[kk.value] = load(x.samples + x.offset[n]) * x.window[n];
      im[kk.value] = load(x.samples + x.offset[n + 1]) * x.window[n + 1];
    });
    finish_column<R>(f, 0, j, re, im, work + 2 * int64_t(f.position[j]));
  }
}

template <int R> void first_of_points(const Fft& f, const V* in, V* work) {
  const int columns = f.points / R;
  for (int j = 0; j < columns; ++j) {
    V re[R], im[R];
    unroll<0, R>([&](auto kk) FS_LAMBDA {
      const V* p = in + 2 * int64_t(j + columns * kk.value);
      re[kk.value] = p[0];
      im[kk.value] = p[1];
    });
    finish_column<R>(f, 0, j, re, im, work + 2 * int64_t(f.position[j]));
  }
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
  const auto finish = [&](int64_t j, V* re, V* im)
                          FS_LAMBDA { finish_column<R>(f, 0, int(j), re, im, work + 2 * int64_t(f.position[j])); };
  {
    V re[R], im[R], gM, none;
    unroll<0, R>([&](auto kk) FS_LAMBDA { bin(columns * kk.value, re[kk.value], im[kk.value]); });
    bin(f.points, gM, none);
    fold_ends(re[0], gM, re[0], im[0]);
    unroll<1, R / 2 + 1>([&](auto kk) FS_LAMBDA {
      constexpr int k = kk.value;
      if constexpr (2 * k == R) {
        V br = re[k], bi = im[k];
        fold_pair(t, columns * k, re[k], im[k], br, bi);
      } else {
        fold_pair(t, columns * k, re[k], im[k], re[R - k], im[R - k]);
      }
    });
    finish(0, re, im);
  }
  if (columns % 2 == 0) {
    const int64_t j = columns / 2;
    V re[R], im[R];
    unroll<0, R>([&](auto kk) FS_LAMBDA { bin(j + columns * kk.value, re[kk.value], im[kk.value]); });
    unroll<0, (R + 1) / 2>([&](auto kk) FS_LAMBDA {
      constexpr int k = kk.value;
      if constexpr (2 * k + 1 == R) {
        V br = re[k], bi = im[k];
        fold_pair(t, j + columns * k, re[k], im[k], br, bi);
      } else {
        fold_pair(t, j + columns * k, re[k], im[k], re[R - 1 - k], im[R - 1 - k]);
      }
    });
    finish(j, re, im);
  }
  for (int64_t j = 1; 2 * j < columns; ++j) {
    V ar[R], ai[R], br[R], bi[R];
    unroll<0, R>([&](auto kk) FS_LAMBDA {
      constexpr int k = kk.value;
      bin(j + columns * k, ar[k], ai[k]);
      bin(columns - j + columns * (R - 1 - k), br[R - 1 - k], bi[R - 1 - k]);
      fold_pair(t, j + columns * k, ar[k], ai[k], br[R - 1 - k], bi[R - 1 - k]);
    });
    finish(j, ar, ai);
    finish(columns - j, br, bi);
  }
}

// One block of pass `level`, in place.
template <int R> void middle(const Fft& f, int level, V* block) {
  int columns = 1;
  for (int i = level + 1; i < f.passes; ++i) columns *= f.radix[i];
  const int64_t pitch = 2 * int64_t(f.pitch[level]);
  for (int j = 0; j < columns; ++j) {
    V* at = block + 2 * int64_t(f.position[j]);
    V re[R], im[R];
    unroll<0, R>([&](auto kk) FS_LAMBDA {
      re[kk.value] = at[kk.value * pitch];
      im[kk.value] = at[kk.value * pitch + 1];
    });
    finish_column<R>(f, level, j, re, im, at);
  }
}

template <int R> FS_INLINE void last_row(const Fft& f, const V* work, int q, V* re, V* im) {
  const V* at = work + 2 * int64_t(f.row[q]);
  unroll<0, R>([&](auto kk) FS_LAMBDA {
    re[kk.value] = at[2 * kk.value];
    im[kk.value] = at[2 * kk.value + 1];
  });
  Dft<R>::template run<real>(re, im);
}

// Results in natural order, out[2 q + swap] = re, out[2 q + 1 - swap] = im.
template <int R> void last_to_points(const Fft& f, const V* work, V* out, int swap) {
  for (int q = 0; q < f.rows; ++q) {
    V re[R], im[R];
    last_row<R>(f, work, q, re, im);
    for (int m = 0; m < R; ++m) {
      V* p = out + 2 * (q + int64_t(f.rows) * m);
      p[swap] = re[m];
      p[1 - swap] = im[m];
    }
  }
}

FS_INLINE void put(const Bins& out, int64_t q, V re, V im) {
  real* at = out.tile + q * out.pitch;
  if (out.form == kComplex) {
    *reinterpret_cast<V*>(at) = re;
    *reinterpret_cast<V*>(at + kLanes) = im;
    return;
  }
  if (out.pairs) {
    out.pairs[2 * q] = re;
    out.pairs[2 * q + 1] = im;
  }
  const V power = re * re + (im * im + out.eps);
  *reinterpret_cast<V*>(at) = out.form == kMagnitude ? square_root(power) : power;
}

// Bins q and points - q of the real transform, from points q (a) and points - q (b) of the complex one.
FS_INLINE void put_pair(const RealFft& t, const Bins& out, int64_t q, V ar, V ai, V br, V bi) {
  const V er = ar + br, ei = ai - bi;
  V or_ = ai + bi, oi = br - ar;
  rotate_by(or_, oi, t.post + 2 * q);
  put(out, q, er + or_, ei + oi);
  put(out, t.fft->points - q, er - or_, oi - ei);
}

FS_INLINE void put_ends(const RealFft& t, const Bins& out, V re, V im) {  // bins 0 and n_fft / 2
  put(out, 0, (re + im) * real(2), V{});
  put(out, t.fft->points, (re - im) * real(2), V{});
}

// The last pass and the step from the complex to the real transform in one: rows q and rows - q hold each other's
// mirrored bins.
template <int R> void last_to_bins(const RealFft& t, const V* work, const Bins& out, Ahead ahead) {
  const Fft& f = *t.fft;
  const int64_t rows = f.rows;
  {
    V re[R], im[R];
    last_row<R>(f, work, 0, re, im);
    put_ends(t, out, re[0], im[0]);
    for (int m = 1; m <= R / 2; ++m) put_pair(t, out, rows * m, re[m], im[m], re[R - m], im[R - m]);
  }
  if (rows % 2 == 0) {
    V re[R], im[R];
    last_row<R>(f, work, int(rows / 2), re, im);
    for (int m = 0; m < (R + 1) / 2; ++m)
      put_pair(t, out, rows / 2 + rows * m, re[m], im[m], re[R - 1 - m], im[R - 1 - m]);
  }
  const int64_t share = 2 * ahead.lines / rows;
  for (int q = 1; 2 * q < rows; ++q) {
    ahead.ask(share);
    V ar[R], ai[R], br[R], bi[R];
    last_row<R>(f, work, q, ar, ai);
    last_row<R>(f, work, int(rows) - q, br, bi);
    for (int m = 0; m < R; ++m) put_pair(t, out, q + rows * m, ar[m], ai[m], br[R - 1 - m], bi[R - 1 - m]);
  }
}

// ---- one function a radix and pass ------------------------------------------------------------------------------

struct Codelet {
  void (*first_of_frames)(const Fft&, const Frames&, V*);
  void (*first_of_bins)(const RealFft&, const V*, const V*, V*);
  void (*first_of_points)(const Fft&, const V*, V*);
  void (*middle)(const Fft&, int, V*);
  void (*last_to_points)(const Fft&, const V*, V*, int);
  void (*last_to_bins)(const RealFft&, const V*, const Bins&, Ahead);
};

template <int R> constexpr Codelet codelet() {
  return {first_of_frames<R>, first_of_bins<R>, first_of_points<R>, middle<R>, last_to_points<R>, last_to_bins<R>};
}

const Codelet& codelet_of(int radix) {
  static const Codelet known[] = {codelet<1>(),  codelet<2>(),  codelet<3>(),  codelet<4>(),  codelet<5>(),
                                  codelet<6>(),  codelet<7>(),  codelet<8>(),  codelet<9>(),  codelet<10>(),
                                  codelet<11>(), codelet<12>(), codelet<13>(), codelet<15>(), codelet<16>(),
                                  codelet<20>(), codelet<25>(), codelet<32>()};
  int i = 0;
  while (fastspec::kRadices[i] != radix) ++i;
  return known[i];
}

void middle_passes(const Fft& f, V* work) {
  for (int level = 1; level < f.passes - 1; ++level) {
    const auto pass = codelet_of(f.radix[level]).middle;
    int blocks = 1;
    for (int i = 0; i < level; ++i) blocks *= f.radix[i];
    for (int b = 0; b < blocks; ++b) {
      int64_t at = 0;
      for (int i = 0, rest = b; i < level; rest /= f.radix[i++]) at += int64_t(rest % f.radix[i]) * f.pitch[i];
      pass(f, level, work + 2 * at);
    }
  }
}

// ---- complex transforms of any length ---------------------------------------------------------------------------

int64_t complex_work_size(const Fft& f) {
  return f.convolution ? 4 * int64_t(f.convolution->points) + 2 * int64_t(f.convolution->extent)
                       : 2 * int64_t(f.extent);
}

// in and out hold `points` complex vectors and may be the same.
void complex_transform(const Fft& f, const V* in, V* work, V* out, int swap) {
  if (!f.convolution) {
    codelet_of(f.radix[0]).first_of_points(f, in, work);
    middle_passes(f, work);
    codelet_of(f.radix[f.passes - 1]).last_to_points(f, work, out, swap);
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
    middle_passes(f, work);
    codelet_of(f.radix[f.passes - 1]).last_to_bins(t, work, out, x.ahead.half(true));
    return;
  }
  V* z = work;
  for (int64_t n = 0; n < t.n_fft; ++n) {
    const V v = load(x.samples + x.offset[n]) * x.window[n];
    if (even) {
      z[n] = v;
    } else {
      z[2 * n] = v;
      z[2 * n + 1] = V{};
    }
  }
  complex_transform(f, z, z + 2 * int64_t(f.points), z, 0);
  if (!even) {
    for (int64_t q = 0; q < t.bins; ++q) put(out, q, z[2 * q], z[2 * q + 1]);
    return;
  }
  put_ends(t, out, z[0], z[1]);
  for (int64_t q = 1; 2 * q <= f.points; ++q) {
    const V* a = z + 2 * q;
    const V* b = z + 2 * (f.points - q);
    put_pair(t, out, q, a[0], a[1], b[0], b[1]);
  }
}

void real_adjoint(const RealFft& t, V* g, const V* scale, V* work, V* out) {
  const Fft& f = *t.fft;
  const int64_t M = f.points;
  const bool even = t.n_fft % 2 == 0;
  if (even && !f.convolution) {
    codelet_of(f.radix[0]).first_of_bins(t, g, scale, work);
    middle_passes(f, work);
    codelet_of(f.radix[f.passes - 1]).last_to_points(f, work, out, 1);
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
