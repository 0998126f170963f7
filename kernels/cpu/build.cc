#include "ops.h"

namespace FASTSPEC_NAMESPACE {

const fastspec::Kernels& kernels() {
  static constexpr fastspec::Kernels all = {frame_transform,         overlap_add, basis_grad,       spectral_power,
                                            spectral_power_backward, inverse,     restore_magnitude};
  return all;
}

}  // namespace FASTSPEC_NAMESPACE
