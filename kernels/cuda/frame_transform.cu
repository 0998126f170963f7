// frame_transform: x [B, T] -> y [B, F, M] complex. Mirrors kernels/cpu/frame_transform.cc.
#include "fft.cuh"

namespace FASTSPEC_NAMESPACE {

// A block transforms blockDim.y consecutive frames of one clip.
template <class Real, class Sample>
__global__ void __launch_bounds__(kThreads, kBlocks<Real>)
    frame_transform_fwd_kernel(const Sample* x, const Real* window, Complex<Real>* y, Frames f, Fft<Real> t,
                               int tiles) {
  FS_SHARED(Complex<Real>, memory);
  const Place at = place_of();
  const int rows = f.onesided ? f.bins : f.n_fft;
  const Clip clip = clip_of(f, blockIdx.x / tiles, rows);
  const long long first = (long long)(blockIdx.x % tiles) * blockDim.y;
  if (first >= clip.frames) return;  // ragged: this clip has fewer tiles
  const int count = clip.frames - first < blockDim.y ? int(clip.frames - first) : int(blockDim.y);

  load_frames(memory, f, t, clip, x, window, first, count, at);
  transform(memory, t, f.n_fft, count, at);
  if (at.column >= count) return;
  Complex<Real>* out = y + clip.column + first + at.column;
  for (int k = at.item; k < bin_steps(f, t.points); k += at.items)
    each_bin(memory + at.column * t.pitch, f, t, k, [&](int q, Complex<Real> bin) FS_LAMBDA {
      out[q * f.frames] = bin;
      if (rows > f.bins && q > 0 && 2 * q < f.n_fft) out[(f.n_fft - q) * f.frames] = conj(bin);
    });
}

}  // namespace FASTSPEC_NAMESPACE
