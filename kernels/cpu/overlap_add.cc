// overlap_add, the adjoint of frame_transform in x: y [B, F, M] complex -> x [B, T].
#include "adjoint.h"
#include "ops.h"

namespace FASTSPEC_NAMESPACE {

void overlap_add(const fastspec_frames& f, const void* y, const void* window, void* x) {
  const int64_t rows = f.onesided ? f.n_fft / 2 + 1 : f.n_fft;
  walk_adjoint(f, nullptr, window, static_cast<real*>(x), nullptr, 0, [&](const Group& group) {
    load_spectrum(f, static_cast<const real*>(y) + 2 * group.clip * rows * f.frames, group);
  });
}

}  // namespace FASTSPEC_NAMESPACE
