// basis_grad, the adjoint of frame_transform in the window: x [B, T], y [B, F, M] complex -> [win_length].
#include "adjoint.h"
#include "ops.h"

namespace FASTSPEC_NAMESPACE {

void basis_grad(const fastspec_frames& f, const fastspec::Samples& x, const void* y, void* grad_window) {
  const int64_t rows = f.onesided ? f.n_fft / 2 + 1 : f.n_fft;
  walk_adjoint(f, &x, nullptr, nullptr, static_cast<real*>(grad_window), 0, [&](const Group& group) {
    load_spectrum(f, static_cast<const real*>(y) + 2 * group.clip * rows * f.frames, group);
    return static_cast<V*>(nullptr);
  });
}

}  // namespace FASTSPEC_NAMESPACE
