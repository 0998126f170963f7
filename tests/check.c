/* The C interface without Python: every op against the plain formulas in double, exit code 0 when all agree.
 * Run by test_native.py on this machine and by `make test-emulated` on others' instruction sets. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fastspec.h"

enum { T = 700, MAX_N = 200 };
static float x[2 * T], window[MAX_N];
static const double tau = 6.283185307179586;

static double padded(int clip, int64_t s, int reflect) {
  if (s < 0 && reflect) s = -s;
  if (s >= T && reflect) s = 2 * (T - 1) - s;
  return s < 0 || s >= T ? 0 : x[clip * T + s];
}

static int close_to(const char* what, int n, double error, double scale) {
  if (error <= 1e-6 * scale) return 0;
  printf("%s, n_fft %d: error %g of %g\n", what, n, error, scale);
  return 1;
}

static int check(int n, int hop, int win, int reflect) {
  const int pad = n / 2, left = (n - win) / 2, F = n / 2 + 1, M = (T + 2 * pad - n) / hop + 1;
  fastspec_frames f = {
      2, T, M, n, hop, win, pad, reflect ? FASTSPEC_PAD_REFLECT : FASTSPEC_PAD_CONSTANT, 1, FASTSPEC_F32, 2};
  float *y = malloc(sizeof(float) * 4 * F * M), *power = malloc(sizeof(float) * 2 * F * M);
  float *ones = malloc(sizeof(float) * 2 * F * M), *back = malloc(sizeof(float) * 2 * T);
  float *grad_x = malloc(sizeof(float) * 2 * T), *grad_window = malloc(sizeof(float) * win);
  const fastspec_ending ending = {.power = 2, .multiplier = 1};
  int bad = fastspec_frame_transform(&f, x, T, FASTSPEC_F32, window, y);
  bad |= fastspec_spectral_power(&f, x, T, FASTSPEC_F32, window, NULL, &ending, power);
  double error = 0, power_error = 0, scale = 0, inner = 0, energy = 0;
  for (int b = 0; b < 2; ++b)
    for (int q = 0; q < F; ++q)
      for (int m = 0; m < M; ++m) {
        double re = 0, im = 0;
        for (int i = 0; i < win; ++i) {
          const int k = left + i;
          const double v = window[i] * padded(b, (int64_t)m * hop + k - pad, reflect);
          re += v * cos(tau * ((long)q * k % n) / n);
          im -= v * sin(tau * ((long)q * k % n) / n);
        }
        const size_t at = ((size_t)b * F + q) * M + m;
        error = fmax(error, hypot(y[2 * at] - re, y[2 * at + 1] - im));
        power_error = fmax(power_error, fabs(power[at] - (re * re + im * im)));
        scale = fmax(scale, hypot(re, im));
        energy += re * re + im * im;
        ones[at] = 1;
      }
  bad |= close_to("frame_transform", n, error, scale);
  bad |= close_to("spectral_power", n, power_error, 4 * scale * scale);

  /* <y, T x> = <T* y, x> = <C(x, y), w> = |y|^2, and the gradient of sum |y|^2 along x is 2 |y|^2 */
  bad |= fastspec_overlap_add(&f, y, window, back);
  for (int i = 0; i < 2 * T; ++i) inner += (double)back[i] * x[i];
  bad |= close_to("overlap_add", n, fabs(inner - energy), 10 * energy);
  bad |= fastspec_basis_grad(&f, x, T, FASTSPEC_F32, y, grad_window);
  inner = 0;
  for (int i = 0; i < win; ++i) inner += (double)grad_window[i] * window[i];
  bad |= close_to("basis_grad", n, fabs(inner - energy), 10 * energy);
  bad |= fastspec_spectral_power_backward(&f, ones, x, T, FASTSPEC_F32, window, NULL, &ending, grad_x, NULL);
  inner = 0;
  for (int i = 0; i < 2 * T; ++i) inner += (double)grad_x[i] * x[i];
  bad |= close_to("spectral_power_backward", n, fabs(inner - 2 * energy), 10 * energy);
  free(y), free(power), free(ones), free(back), free(grad_x), free(grad_window);
  return bad;
}

int main(void) {
  unsigned seed = 1;
  for (int i = 0; i < 2 * T; ++i) x[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5f;
  for (int i = 0; i < MAX_N; ++i) window[i] = 0.3f + 0.5f * (float)sin(0.7 * i) * (float)sin(0.7 * i);
  int bad = 0, cases = 0;
  const int sizes[] = {2, 3, 8, 15, 37, 60, 64, 97, 128, 200};
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; ++i)
    for (int reflect = 0; reflect < 2; ++reflect, ++cases)
      bad |= check(sizes[i], 1 + sizes[i] / 3, sizes[i] - sizes[i] / 4, reflect);
  fastspec_frames wrong = {1, T, 1, 1, 1, 1, 0, FASTSPEC_PAD_NONE, 1, FASTSPEC_F32, 1};
  bad |= fastspec_overlap_add(&wrong, x, window, x) != FASTSPEC_BAD_ARGUMENT;
  printf("%s: %d cases, %s\n", fastspec_simd_level(), cases, bad ? "FAILED" : "all agree");
  return bad;
}
