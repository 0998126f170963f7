// What one build of the kernels (an instruction set and a type) offers to dispatch.cc. Sizes are checked there.
#pragma once

#include "fastspec.h"

namespace fastspec {

struct Samples {  // x [B, T], rows `stride` apart, of the kernels' own type or int16
  const void* data;
  int64_t stride;
  bool int16;
};

struct Kernels {
  void (*frame_transform)(const fastspec_frames&, const Samples&, const void* window, void* y);
  void (*overlap_add)(const fastspec_frames&, const void* y, const void* window, void* x);
  void (*basis_grad)(const fastspec_frames&, const Samples&, const void* y, void* grad_window);
  void (*spectral_power)(const fastspec_frames&, const Samples&, const void* window, const fastspec_bank&,
                         const fastspec_ending&, void* out);
  void (*spectral_power_backward)(const fastspec_frames&, const void* grad, const Samples&, const void* window,
                                  const fastspec_bank&, const fastspec_ending&, void* grad_x, void* grad_window);
  void (*inverse)(const fastspec_frames&, const void* y, int64_t y_stride, const void* window, const void* gain,
                  void* x);
  void (*restore_magnitude)(int64_t count, int threads, const void* y, void* previous, const void* magnitude,
                            double momentum);
  void (*rows_transform)(const fastspec_frames&, const Samples&, const fastspec_rows&, const void* basis, void* y,
                         const fastspec_ending*, void* out);
  void (*rows_overlap_add)(const fastspec_frames&, const void* y, const fastspec_rows&, const void* basis, void* x);
  void (*octaves_transform)(const fastspec_octaves&, const void* x, int64_t x_stride, void* y, const fastspec_ending*,
                            void* out);
  void (*octaves_adjoint)(const fastspec_octaves&, const void* y, void* x);
  int64_t (*dense_size)(const fastspec_rows&, int64_t hop);
  void (*dense_pack)(const fastspec_rows&, int64_t hop, const void* basis, void* panels);
  void (*dense_unpack)(const fastspec_rows&, int64_t hop, const void* panels, void* basis);
  void (*dense_transform)(const fastspec_rows&, const fastspec_tile&, const void* x, const void* panels, void* z);
  void (*dense_gradient)(const fastspec_rows&, const fastspec_tile&, const void* x, const void* z, void* panels);
  void (*dense_frames)(const fastspec_rows&, const fastspec_tile&, const void* z, const void* basis, int64_t low,
                       int64_t high, void* frames);
  int64_t (*dense_shared_size)(const fastspec_rows&, int64_t hop, int64_t* columns);
  void (*dense_shared_pack)(const fastspec_rows&, int64_t hop, const void* basis, void* taps);
  void (*dense_shared_adjoint)(const fastspec_rows&, const fastspec_tile&, const void* z, const void* taps, void* x);
  void (*dense_store)(const fastspec_rows&, const fastspec_tile&, const void* z, const int64_t* order,
                      const fastspec_array& y, const fastspec_ending*, const fastspec_array& out);
  void (*dense_load)(const fastspec_rows&, const fastspec_tile&, const fastspec_array& y, const fastspec_ending*,
                     const fastspec_array& grad, const int64_t* order, void* z);
};

}  // namespace fastspec
