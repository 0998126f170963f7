// Kernels in each precision and for each kind of sample, for compilers ahead of time: nvcc, as CMake's
// FASTSPEC_CHECK_CUDA runs it. At run time NVRTC builds those alone that are launched.
#include "basis_grad.cu"
#include "frame_transform.cu"
#include "overlap_add.cu"
#include "spectral_power.cu"

namespace FASTSPEC_NAMESPACE {

#define FS_LINEAR_INSTANCES(Real, Sample) \
  (const void*)&frame_transform_fwd_kernel<Real, Sample>, (const void*)&basis_grad_kernel<Real, Sample>
#define FS_POWER_INSTANCES(Real, Sample, Out) \
  (const void*)&spectral_power_fwd_kernel<Real, Sample, Out>, (const void*)&spectral_power_bwd_kernel<Real, Sample>
#define FS_INSTANCES(Real)                                                                                       \
  FS_LINEAR_INSTANCES(Real, Real), FS_POWER_INSTANCES(Real, Real, Real), (const void*)&overlap_add_kernel<Real>, \
      (const void*)&inverse_kernel<Real>, (const void*)&overlap_add_fold_kernel<Real>,                           \
      (const void*)&basis_grad_sum_kernel<Real>

extern const void* const instances[];
const void* const instances[] = {
    FS_INSTANCES(float),
    FS_INSTANCES(double),
    FS_LINEAR_INSTANCES(float, short),
    FS_POWER_INSTANCES(float, short, float),
    FS_POWER_INSTANCES(float, Half, Half),
    FS_POWER_INSTANCES(float, Bfloat16, Bfloat16),
};

}  // namespace FASTSPEC_NAMESPACE
