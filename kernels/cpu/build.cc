#include "ops.h"

namespace FASTSPEC_NAMESPACE {

const fastspec::Kernels& kernels() {
  static constexpr fastspec::Kernels all = {
      frame_transform, overlap_add,       basis_grad,        spectral_power,    spectral_power_backward,
      inverse,         restore_magnitude, rows_transform,    rows_overlap_add,  octaves_transform,
      octaves_adjoint, dense_size,        dense_pack,        dense_unpack,      dense_transform,
      dense_gradient,  dense_frames,      dense_shared_size, dense_shared_pack, dense_shared_adjoint,
      dense_store,     dense_load};
  return all;
}

}  // namespace FASTSPEC_NAMESPACE
