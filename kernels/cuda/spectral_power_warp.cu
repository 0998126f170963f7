// spectral_power where a warp holds whole frames in its registers: n_fft = 400, 512, 1024, 2048, float32 arithmetic.
// The general kernels of spectral_power.cu do all the rest; src/fastspec/ops/_cuda_warp.py chooses.
#include "warp_power.cuh"
#include "warp_power_bwd.cuh"
