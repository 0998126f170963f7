// From spectra back to samples and window: frames are transformed back in shared memory and gathered, each block
// writing the samples that it owns and no others. No atomics; the same bits on every run.
#pragma once

#include "fft.cuh"

namespace FASTSPEC_NAMESPACE {

// Where an adjoint goes. A block owns `hops` hops of one padded clip; frames that reach into them from before are
// computed again by each block that needs them.
template <class Real> struct Gradient {
  Real* x;         // samples as Frames has them, or null
  Real* edge;      // [B, 2 * pad] what falls on the padding, left part first; null: it is lost
  Real* partial;   // [blocks, win_length] each block's sum for the window, or null
  long long hops;  // that a block owns
  int runs;        // blocks of the longest clip
};

// Gathers frames m .. m + count - 1 of the block into positions from .. to - 1 of the padded clip (0 is the first
// sample of its padding); those before `touched` hold sums of earlier frames. gain [T], if any, multiplies the samples.
template <class Real>
FS_INLINE void gather_samples(const Complex<Real>* memory, const Frames& f, const Fft<Real>& t, const Clip& clip, int b,
                              const Gradient<Real>& grad, const Real* window, long long m, int count, long long from,
                              long long to, long long touched, const Real* gain) {
  const int threads = int(blockDim.x * blockDim.y), thread = int(threadIdx.x + threadIdx.y * blockDim.x);
  for (long long p = from + thread; p < to; p += threads) {
    Real sum = 0;
    for (int g = 0; g < count; ++g) {
      const long long n = p - (m + g) * f.hop;
      if (n >= 0 && n < f.n_fft) sum += piece(memory + g * t.pitch, f, int(n)) * window_at(f, window, int(n));
    }
    const long long s = p - f.pad;
    Real* cell = nullptr;
    if (s >= 0 && s < clip.samples) {
      cell = grad.x + clip.first + s;
      if (gain != nullptr) sum *= gain[s];
    } else if (grad.edge != nullptr) {
      cell = grad.edge + b * 2 * f.pad + (s < 0 ? p : p - clip.samples);
    }
    if (cell != nullptr) *cell = p < touched ? *cell + sum : sum;
  }
}

// Adds frames m .. m + count - 1 of the block, without those before `own`, to its sums for the window.
template <class Real, class Sample>
FS_INLINE void gather_window(const Complex<Real>* memory, const Frames& f, const Fft<Real>& t, const Clip& clip,
                             const Sample* x, Real* partial, long long m, int count, long long own, bool fresh) {
  const int threads = int(blockDim.x * blockDim.y), thread = int(threadIdx.x + threadIdx.y * blockDim.x);
  for (int k = thread; k < f.win_length; k += threads) {
    Real sum = 0;
    for (int g = 0; g < count; ++g)
      if (m + g >= own) {
        const Real at = sample<Real>(f, clip, x, (m + g) * f.hop - f.pad + f.left + k);
        sum += at * piece(memory + g * t.pitch, f, f.left + k);
      }
    partial[k] = fresh ? sum : partial[k] + sum;
  }
}

// Calls source(clip, m, count), which writes the points of frames m .. m + count - 1 of the clip to memory, for the
// frames of this block, transforms them back and gathers. rows: of the spectra. A source may use all of the block.
// gain [T], of uniform clips, multiplies x as it is written; null: 1.
template <class Real, class Sample, class Source>
FS_INLINE void walk_adjoint(Complex<Real>* memory, const Frames& f, const Fft<Real>& t, const Gradient<Real>& grad,
                            const Sample* x, const Real* window, int rows, const Place& at, Source&& source,
                            const Real* gain = nullptr) {
  const int b = int(blockIdx.x) / grad.runs, tile = int(blockDim.y);
  const Clip clip = clip_of(f, b, rows);
  const long long own = (long long)(int(blockIdx.x) % grad.runs) * grad.hops;  // its first frame
  const long long length = clip.samples + 2 * f.pad, begin = own * f.hop, after = begin + grad.hops * f.hop;
  const long long end = after < length ? after : length;
  Real* partial = grad.partial == nullptr ? nullptr : grad.partial + (long long)blockIdx.x * f.win_length;

  const long long halo = grad.x == nullptr ? 0 : (f.n_fft - 1) / f.hop;
  const long long first = own > halo ? own - halo : 0;
  const long long stop = own + grad.hops < clip.frames ? own + grad.hops : clip.frames;
  long long touched = begin;
  for (long long m = first; m < stop; m += tile) {
    const int count = stop - m < tile ? int(stop - m) : tile;
    source(clip, m, count);
    transform_adjoint(memory, t, f.n_fft, count, at);
    if (partial != nullptr) gather_window(memory, f, t, clip, x, partial, m, count, own, m == first);
    if (grad.x != nullptr) {
      const long long from = m * f.hop > begin ? m * f.hop : begin;
      const long long reach = (m + count - 1) * f.hop + (f.hop > f.n_fft ? f.hop : f.n_fft);
      const long long to = m + count == stop || reach > end ? end : reach;
      gather_samples(memory, f, t, clip, b, grad, window, m, count, from, to, touched, gain);
      touched = to;
    }
    __syncthreads();
  }
  if (first >= stop) {  // behind the last frame of its clip
    if (grad.x != nullptr) gather_samples(memory, f, t, clip, b, grad, window, 0, 0, begin, end, begin, gain);
    if (partial != nullptr) gather_window(memory, f, t, clip, x, partial, 0, 0, 0, true);
  }
}

// A source: the spectrum y in memory, F rows. Bins of the second half, where there are any, fold into the first.
// halved: bins without a mirror, 0 and n_fft / 2, count half.
template <class Real>
FS_INLINE void load_spectrum(Complex<Real>* memory, const Frames& f, const Fft<Real>& t, const Clip& clip,
                             const Complex<Real>* y, long long m, int count, const Place& at, bool halved = false) {
  if (at.column >= count) return;
  const Complex<Real>* in = y + clip.column + m + at.column;
  for (int k = at.item; k < join_steps(f, t.points); k += at.items)
    set_bins(memory + at.column * t.pitch, f, t, k, [&](int q) FS_LAMBDA {
      Complex<Real> bin = in[q * f.frames];
      if (!f.onesided && q > 0 && 2 * q < f.n_fft) bin = bin + conj(in[(f.n_fft - q) * f.frames]);
      return halved && (q == 0 || 2 * q == f.n_fft) ? Real(0.5) * bin : bin;
    });
}

}  // namespace FASTSPEC_NAMESPACE
