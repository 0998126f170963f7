// overlap_add: y [B, F, M] complex -> x [B, T], and the inverse transform. Mirrors kernels/cpu/overlap_add.cc.
#include "adjoint.cuh"

namespace FASTSPEC_NAMESPACE {

template <class Real>
__global__ void __launch_bounds__(kThreads, kBlocks<Real>)
    overlap_add_kernel(const Complex<Real>* y, const Real* window, Frames f, Fft<Real> t, Gradient<Real> grad) {
  FS_SHARED(Complex<Real>, memory);
  const Place at = place_of();
  const Real* no_samples = nullptr;
  walk_adjoint(memory, f, t, grad, no_samples, window, f.onesided ? f.bins : f.n_fft, at,
               [&](const Clip& clip, long long m, int count)
                   FS_LAMBDA { load_spectrum(memory, f, t, clip, y, m, count, at); });
}

// y one-sided, gain [T]; padding, whose part is dropped, is where the frames begin before sample 0.
template <class Real>
__global__ void __launch_bounds__(kThreads, kBlocks<Real>)
    inverse_kernel(const Complex<Real>* y, const Real* window, const Real* gain, Frames f, Fft<Real> t,
                   Gradient<Real> grad) {
  FS_SHARED(Complex<Real>, memory);
  const Place at = place_of();
  const Real* no_samples = nullptr;
  walk_adjoint(
      memory, f, t, grad, no_samples, window, f.bins, at,
      [&](const Clip& clip, long long m, int count)
          FS_LAMBDA { load_spectrum(memory, f, t, clip, y, m, count, at, true); },
      gain);
}

// The adjoint of padding, a block a clip: what fell on the padding goes to the samples that stood there.
template <class Real>
__global__ void __launch_bounds__(kThreads, kBlocks<Real>)
    overlap_add_fold_kernel(const Real* edge, Real* x, Frames f) {
  FS_SHARED(Real, sums);
  const int thread = int(threadIdx.x), threads = int(blockDim.x);
  const Clip clip = clip_of(f, blockIdx.x, 1);
  x += clip.first;
  edge += blockIdx.x * 2 * f.pad;
  for (int side = 0; side < 2; ++side) {  // in turn: both may go to one sample
    const long long start = side == 0 ? -f.pad : clip.samples;
    Real sum = 0;
    for (long long e = thread; e < f.pad; e += threads) {
      const long long s = sample_at(start + e, clip.samples, f.pad, f.pad_mode);
      const Real value = edge[side * f.pad + e];
      if (f.pad_mode == kPadReplicate)
        sum += value;  // all to one sample
      else if (s >= 0)
        x[s] += value;
    }
    sums[thread] = sum;
    __syncthreads();
    if (thread == 0 && f.pad_mode == kPadReplicate) {
      for (int i = 1; i < threads; ++i) sum += sums[i];
      x[side == 0 ? 0 : clip.samples - 1] += sum;
    }
    __syncthreads();
  }
}

}  // namespace FASTSPEC_NAMESPACE
