// The real Fourier transform of frames in shared memory, any n_fft = 2^a 3^b 5^c.
//
// Even n: the n real samples are n / 2 complex points, transformed in place and split afterwards; odd n: n complex
// points. Passes run in place by decimation in frequency, natural order in, permuted order out (`slots` tells where);
// the adjoint runs the same passes backwards, permuted in, natural out, so nothing is ever reordered.
#pragma once

#include "framing.cuh"

namespace FASTSPEC_NAMESPACE {

template <class Real> struct Fft {
  const Complex<Real>* twiddles;  // [n] exp(-2 pi i k / n)
  const int* slots;               // [points] where the transform leaves point k
  unsigned long long radices;     // of the passes, a byte each, the first lowest
  int points, pitch;              // complex points of a frame, and from frame to frame in shared memory
};

// Where point p lies before the passes: neighbours and all powers of two apart in different banks.
FS_INLINE int slot_of(int p) { return p ^ (p >> 4 & 15); }

template <class Real> FS_INLINE Complex<Real> conj(Complex<Real> a) { return {a.re, -a.im}; }
template <class Real> FS_INLINE Complex<Real> operator+(Complex<Real> a, Complex<Real> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class Real> FS_INLINE Complex<Real> operator-(Complex<Real> a, Complex<Real> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class Real> FS_INLINE Complex<Real> operator*(Complex<Real> a, Complex<Real> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class Real> FS_INLINE Complex<Real> operator*(Real a, Complex<Real> b) { return {a * b.re, a * b.im}; }

// ---- passes -----------------------------------------------------------------------------------------------------

// One pass over sub-transforms of `length` points: a transform of R points `length / R` apart, then rotations; the
// adjoint undoes them in reverse.
template <int R, bool Adjoint, class Real>
FS_INLINE void pass(Complex<Real>* z, const Fft<Real>& t, int n, int length, const Place& at) {
  const int apart = length / R, step = n / length;
  for (int i = at.lane; i < t.points / R; i += at.lanes) {
    const int group = i / apart, j = i - group * apart, first = group * length + j;
    Real re[R], im[R];
    unroll<0, R>([&](auto r) FS_LAMBDA {
      Complex<Real> v = z[slot_of(first + r.value * apart)];
      if constexpr (Adjoint && r.value > 0) v = v * conj(t.twiddles[j * r.value * step]);
      re[r.value] = v.re;
      im[r.value] = v.im;
    });
    if constexpr (Adjoint)
      Dft<R>::template run<Real>(im, re);
    else
      Dft<R>::template run<Real>(re, im);
    unroll<0, R>([&](auto r) FS_LAMBDA {
      Complex<Real> v{re[r.value], im[r.value]};
      if constexpr (!Adjoint && r.value > 0) v = v * t.twiddles[j * r.value * step];
      z[slot_of(first + r.value * apart)] = v;
    });
  }
}

template <bool Adjoint, class Real>
FS_INLINE void pass(int radix, Complex<Real>* z, const Fft<Real>& t, int n, int length, const Place& at) {
  switch (radix) {
    case 2:
      return pass<2, Adjoint>(z, t, n, length, at);
    case 3:
      return pass<3, Adjoint>(z, t, n, length, at);
    case 4:
      return pass<4, Adjoint>(z, t, n, length, at);
    case 5:
      return pass<5, Adjoint>(z, t, n, length, at);
    case 8:
      return pass<8, Adjoint>(z, t, n, length, at);
    default:
      return pass<16, Adjoint>(z, t, n, length, at);
  }
}

// All passes of the block's frames, of which the first `count` exist. A barrier stands before each and after the last.
template <class Real>
FS_INLINE void transform(Complex<Real>* memory, const Fft<Real>& t, int n, int count, const Place& at) {
  int length = t.points;
  for (unsigned long long radices = t.radices; radices != 0; radices >>= 8) {
    const int radix = int(radices & 255);
    __syncthreads();
    if (at.frame < count) pass<false>(radix, memory + at.frame * t.pitch, t, n, length, at);
    length /= radix;
  }
  __syncthreads();
}

template <class Real>
FS_INLINE void transform_adjoint(Complex<Real>* memory, const Fft<Real>& t, int n, int count, const Place& at) {
  int length = 1, last = 56;
  while ((t.radices >> last & 255) == 0) last -= 8;
  for (; last >= 0; last -= 8) {
    const int radix = int(t.radices >> last & 255);
    length *= radix;
    __syncthreads();
    if (at.frame < count) pass<true>(radix, memory + at.frame * t.pitch, t, n, length, at);
  }
  __syncthreads();
}

// ---- samples in, bins out ---------------------------------------------------------------------------------------

// Writes frames first .. first + count - 1 of a clip, windowed, as the points of the transform.
template <class Real, class Sample>
FS_INLINE void load_frames(Complex<Real>* memory, const Frames& f, const Fft<Real>& t, const Clip& clip,
                           const Sample* x, const Real* window, long long first, int count, const Place& at) {
  if (at.frame >= count) return;
  Complex<Real>* z = memory + at.frame * t.pitch;
  const long long start = (first + at.frame) * f.hop - f.pad;
  const bool even = f.n_fft % 2 == 0;
  for (int p = at.lane; p < t.points; p += at.lanes) {
    const int n = even ? 2 * p : p;
    const Real re = sample<Real>(f, clip, x, start + n) * window_at(f, window, n);
    z[slot_of(p)] = {re, even ? sample<Real>(f, clip, x, start + n + 1) * window_at(f, window, n + 1) : Real(0)};
  }
}

// The bins of one frame come in pairs (k, points - k) out of the same two points when n is even, singly when it is
// odd; this is the number of such steps. Bin 0 comes with bin n / 2.
FS_INLINE int bin_steps(const Frames& f, int points) { return f.n_fft % 2 == 0 ? points / 2 + 1 : f.bins; }

// The two bins of step k of an even n: a = X[k], b = X[points - k].
template <class Real> struct Pair {
  Complex<Real> a, b;
};

template <class Real> FS_INLINE Pair<Real> split(const Complex<Real>* z, const Fft<Real>& t, int k) {
  const Complex<Real> p = z[t.slots[k]];
  if (k == 0) return {{p.re + p.im, Real(0)}, {p.re - p.im, Real(0)}};
  const Complex<Real> q = conj(z[t.slots[t.points - k]]);
  const Complex<Real> even = Real(0.5) * (p + q), d = Real(0.5) * (p - q);
  const Complex<Real> odd = t.twiddles[k] * Complex<Real>{d.im, -d.re};
  return {even + odd, conj(even - odd)};
}

// Calls emit(k, X[k]) for the bins of step k.
template <class Real, class Emit>
FS_INLINE void each_bin(const Complex<Real>* z, const Frames& f, const Fft<Real>& t, int k, Emit&& emit) {
  if (f.n_fft % 2 != 0) {
    emit(k, z[t.slots[k]]);
  } else {
    const Pair<Real> bins = split(z, t, k);
    emit(k, bins.a);
    if (2 * k != t.points) emit(t.points - k, bins.b);
  }
}

// Bins kept in place of the points that they came from; bins 0 and n / 2 of an even n, both real, share one.
template <class Real> FS_INLINE void keep_bins(Complex<Real>* z, const Frames& f, const Fft<Real>& t, int k) {
  if (f.n_fft % 2 != 0) return;
  const Pair<Real> bins = split(z, t, k);
  z[t.slots[k]] = k == 0 ? Complex<Real>{bins.a.re, bins.b.re} : bins.a;
  if (k > 0 && 2 * k != t.points) z[t.slots[t.points - k]] = bins.b;
}
template <class Real>
FS_INLINE Complex<Real> kept_bin(const Complex<Real>* z, const Frames& f, const Fft<Real>& t, int q) {
  if (f.n_fft % 2 != 0 || (q > 0 && q < t.points)) return z[t.slots[q]];
  return {q == 0 ? z[0].re : z[0].im, Real(0)};
}

// ---- bins in, samples out ---------------------------------------------------------------------------------------

// The adjoint of split: gradients of the two bins of step k to those of their points.
template <class Real> FS_INLINE void join(Complex<Real>* z, const Fft<Real>& t, int k, const Pair<Real>& g) {
  if (k == 0) {
    z[t.slots[0]] = {g.a.re + g.b.re, g.a.re - g.b.re};
    return;
  }
  const Complex<Real> even = Real(0.5) * (g.a + conj(g.b));
  const Complex<Real> odd = Real(0.5) * (conj(t.twiddles[k]) * (g.a - conj(g.b))), turned{-odd.im, odd.re};
  z[t.slots[k]] = even + turned;
  if (2 * k != t.points) z[t.slots[t.points - k]] = conj(even - turned);
}

// Steps of set_bins: every point must be written.
FS_INLINE int join_steps(const Frames& f, int points) { return f.n_fft % 2 == 0 ? points / 2 + 1 : points; }

// Writes the points of step k from bin(q), the gradient of bin q.
template <class Real, class Bin>
FS_INLINE void set_bins(Complex<Real>* z, const Frames& f, const Fft<Real>& t, int k, Bin&& bin) {
  if (f.n_fft % 2 != 0)
    z[t.slots[k]] = k < f.bins ? bin(k) : Complex<Real>{0, 0};
  else
    join(z, t, k, Pair<Real>{bin(k), bin(t.points - k)});
}

// Sample n of a frame after the adjoint transform.
template <class Real> FS_INLINE Real piece(const Complex<Real>* z, const Frames& f, int n) {
  if (f.n_fft % 2 != 0) return z[slot_of(n)].re;
  const Complex<Real> v = z[slot_of(n >> 1)];
  return n & 1 ? v.im : v.re;
}

}  // namespace FASTSPEC_NAMESPACE
