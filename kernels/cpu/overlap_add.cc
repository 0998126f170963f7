// overlap_add, the adjoint of frame_transform in x, y [B, F, M] complex -> x [B, T], and the inverse transform.
#include "adjoint.h"
#include "ops.h"

namespace FASTSPEC_NAMESPACE {

void overlap_add(const fastspec_frames& f, const void* y, const void* window, void* x) {
  const int64_t rows = f.onesided ? f.n_fft / 2 + 1 : f.n_fft;
  walk_adjoint(f, nullptr, window, static_cast<real*>(x), nullptr, 0, [&](const Group& group) {
    load_spectrum(f, static_cast<const real*>(y) + 2 * group.clip * rows * f.frames, group);
    return static_cast<V*>(nullptr);
  });
}

// y [B, F, M], clips y_stride complex numbers apart. Bins 0 and n_fft / 2 have no mirror, so they count half.
void inverse(const fastspec_frames& f, const void* y, int64_t y_stride, const void* window, const void* gain, void* x) {
  const auto source = [&](const Group& group) {
    load_spectrum(f, static_cast<const real*>(y) + 2 * group.clip * y_stride, group);
    group.spectrum[0] *= real(0.5);
    if (f.n_fft % 2 == 0) group.spectrum[f.n_fft] *= real(0.5);  // their imaginary parts count nothing
    return static_cast<V*>(nullptr);
  };
  walk_adjoint(f, nullptr, window, static_cast<real*>(x), nullptr, 0, source, static_cast<const real*>(gain));
}

}  // namespace FASTSPEC_NAMESPACE
