// spectral_power: x [B, T] -> compression(bank |y|^p) [B, K or F, M] in one launch, and its gradient in one more.
// Mirrors kernels/cpu/spectral_power.cc.
#include "adjoint.cuh"
#include "ending.cuh"

namespace FASTSPEC_NAMESPACE {

// A block computes blockDim.y consecutive frames of one clip.
template <class Real, class Sample, class Out>
__global__ void __launch_bounds__(kThreads, kBlocks<Real>)
    spectral_power_fwd_kernel(const Sample* x, const Real* window, Out* out, Frames f, Fft<Real> t, Bank<Real> bank,
                              EndingArgs e, int tiles) {
  FS_SHARED(Complex<Real>, memory);
  const Place at = place_of();
  const Ending<Real> ending(e);
  const int rows = bank.weights != nullptr ? bank.count : f.onesided ? f.bins : f.n_fft;
  const Clip clip = clip_of(f, blockIdx.x / tiles, rows);
  const long long first = (long long)(blockIdx.x % tiles) * blockDim.y;
  if (first >= clip.frames) return;  // ragged: this clip has fewer tiles
  const int count = clip.frames - first < blockDim.y ? int(clip.frames - first) : int(blockDim.y);

  load_frames(memory, f, t, clip, x, window, first, count, at);
  transform(memory, t, f.n_fft, count, at);
  Complex<Real>* z = memory + at.column * t.pitch;
  out += clip.column + first + at.column;

  if (bank.weights == nullptr) {
    if (at.column >= count) return;
    for (int k = at.item; k < bin_steps(f, t.points); k += at.items)
      each_bin(z, f, t, k, [&](int q, Complex<Real> bin) FS_LAMBDA {
        const Real u = ending.compress(ending.value(ending.energy(bin)));
        store(out + q * f.frames, u);
        if (!f.onesided && q > 0 && 2 * q < f.n_fft) store(out + (f.n_fft - q) * f.frames, u);
      });
    return;
  }
  // The powers take the places of the bins; those of bins 0 and n / 2 share one.
  if (at.column < count)
    for (int k = at.item; k < bin_steps(f, t.points); k += at.items)
      each_bin(z, f, t, k, [&](int q, Complex<Real> bin) FS_LAMBDA {
        const Real v = ending.value(ending.energy(bin));
        if (f.n_fft % 2 == 0 && q == t.points)
          z[0].im = v;
        else
          z[t.slots[q]].re = v;
      });
  __syncthreads();
  if (at.column >= count) return;
  for (int k = at.item; k < rows; k += at.items) {
    const Real u = band(
        f, bank, k, [&](int q) FS_LAMBDA { return f.n_fft % 2 == 0 && q == t.points ? z[0].im : z[t.slots[q]].re; });
    store(out + k * f.frames, ending.compress(u));
  }
}

// The spectrum is computed again and turned into its gradient in place: grad * compress' to bands, bands to bins,
// times the slope of the power.
template <class Real, class Sample>
__global__ void __launch_bounds__(kThreads, 1)
    spectral_power_bwd_kernel(const Real* grad_out, const Sample* x, const Real* window, Frames f, Fft<Real> t,
                              Bank<Real> bank, EndingArgs e, Gradient<Real> grad) {
  FS_SHARED(Complex<Real>, memory);
  const Place at = place_of();
  const Ending<Real> ending(e);
  const bool banded = bank.weights != nullptr;
  const int rows = banded ? bank.count : f.onesided ? f.bins : f.n_fft, tile = int(blockDim.y);
  Real* grad_bands = reinterpret_cast<Real*>(memory + tile * t.pitch);  // [K, tile]

  walk_adjoint(memory, f, t, grad, x, window, rows, at, [&](const Clip& clip, long long m, int count) FS_LAMBDA {
    load_frames(memory, f, t, clip, x, window, m, count, at);
    transform(memory, t, f.n_fft, count, at);
    Complex<Real>* z = memory + at.column * t.pitch;
    const Real* g = grad_out + clip.column + m + at.column;
    if (at.column < count)
      for (int k = at.item; k < bin_steps(f, t.points); k += at.items) keep_bins(z, f, t, k);
    __syncthreads();
    if (banded) {
      if (at.column < count)
        for (int k = at.item; k < rows; k += at.items) {
          const Real u =
              band(f, bank, k, [&](int q) FS_LAMBDA { return ending.value(ending.energy(kept_bin(z, f, t, q))); });
          grad_bands[k * tile + at.column] = g[k * f.frames] * ending.compress_slope(u);
        }
      __syncthreads();
    }
    if (at.column >= count) return;
    for (int k = at.item; k < join_steps(f, t.points); k += at.items)
      set_bins(z, f, t, k, [&](int q) FS_LAMBDA {
        const Complex<Real> bin = kept_bin(z, f, t, q);
        const Real energy = ending.energy(bin);
        Real by = 0;
        if (banded) {
          for (int j = bank.bins[2 * q]; j < bank.bins[2 * q + 1]; ++j)
            by += weight(f, bank, q, j) * grad_bands[j * tile + at.column];
        } else {
          by = g[q * f.frames];
          if (!f.onesided && q > 0 && 2 * q < f.n_fft) by += g[(f.n_fft - q) * f.frames];
          by *= ending.compress_slope(ending.value(energy));
        }
        return by * ending.slope(energy) * bin;
      });
  });
}

}  // namespace FASTSPEC_NAMESPACE
