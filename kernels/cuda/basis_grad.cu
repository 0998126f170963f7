// basis_grad: x [B, T], y [B, F, M] complex -> the gradient of the window [win_length]. Mirrors
// kernels/cpu/basis_grad.cc. Blocks leave partial sums, which a second kernel adds in a fixed order.
#include "adjoint.cuh"

namespace FASTSPEC_NAMESPACE {

template <class Real, class Sample>
__global__ void __launch_bounds__(kThreads, kBlocks<Real>)
    basis_grad_kernel(const Sample* x, const Complex<Real>* y, Frames f, Fft<Real> t, Gradient<Real> grad) {
  FS_SHARED(Complex<Real>, memory);
  const Place at = place_of();
  const Real* no_window = nullptr;
  walk_adjoint(memory, f, t, grad, x, no_window, f.onesided ? f.bins : f.n_fft, at,
               [&](const Clip& clip, long long m, int count)
                   FS_LAMBDA { load_spectrum(memory, f, t, clip, y, m, count, at); });
}

// out[k] = the sum over rows of partial [rows, columns]; a block takes blockDim.x columns, each shared by blockDim.y
// threads.
template <class Real>
__global__ void __launch_bounds__(kThreads, kBlocks<Real>)
    basis_grad_sum_kernel(const Real* partial, Real* out, long long rows, int columns) {
  FS_SHARED(Real, sums);
  const int k = int(blockIdx.x * blockDim.x + threadIdx.x);
  Real sum = 0;
  if (k < columns)
    for (long long r = threadIdx.y; r < rows; r += blockDim.y) sum += partial[r * columns + k];
  sums[threadIdx.y * blockDim.x + threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || k >= columns) return;
  for (unsigned i = 1; i < blockDim.y; ++i) sum += sums[i * blockDim.x + threadIdx.x];
  out[k] = sum;
}

}  // namespace FASTSPEC_NAMESPACE
