/* The C interface without Python: every op against the plain formulas in double, exit code 0 when all agree.
 * Run by test_native.py on this machine and by `make test-emulated` on others' instruction sets. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fastspec.h"

enum { T = 700, MAX_N = 200, CENTRE = 5 /* of frame 0, in octaves */ };
static float x[2 * T], window[MAX_N];
static const double tau = 6.283185307179586;

static double padded(int clip, int64_t s, int reflect) {
  if (s < 0 && reflect) s = -s;
  if (s >= T && reflect) s = 2 * (T - 1) - s;
  return s < 0 || s >= T ? 0 : x[clip * T + s];
}

/* The larger one, or NaN, which fmax would drop. */
static double worse(double a, double b) { return b <= a ? a : b; }

static int close_to(const char* what, int n, double error, double scale) {
  if (error <= 1e-6 * scale) return 0;
  printf("%s, n_fft %d: error %g of %g\n", what, n, error, scale);
  return 1;
}

/* Sample i under the window that stands at s, as the window meets it: less the mean, pre-emphasised. */
static double sample(int clip, int64_t s, int i, int reflect, double mean, double c) {
  return padded(clip, s + i, reflect) - mean - c * (padded(clip, s + (i ? i - 1 : 0), reflect) - mean);
}

static int check(int n, int hop, int win, int reflect, int prepared) {
  const int pad = n / 2, left = (n - win) / 2, F = n / 2 + 1, M = (T + 2 * pad - n) / hop + 1;
  fastspec_frames f = {2,
                       T,
                       M,
                       n,
                       hop,
                       win,
                       pad,
                       reflect ? FASTSPEC_PAD_REFLECT : FASTSPEC_PAD_CONSTANT,
                       1,
                       FASTSPEC_F32,
                       2,
                       prepared,
                       prepared ? 0.97 : 0};
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
        double re = 0, im = 0, mean = 0;
        const int64_t at_sample = (int64_t)m * hop + left - pad;
        for (int i = 0; i < win && prepared; ++i) mean += padded(b, at_sample + i, reflect) / win;
        for (int i = 0; i < win; ++i) {
          const int k = left + i;
          const double v = window[i] * sample(b, at_sample, i, reflect, mean, f.preemphasis);
          re += v * cos(tau * ((long)q * k % n) / n);
          im -= v * sin(tau * ((long)q * k % n) / n);
        }
        const size_t at = ((size_t)b * F + q) * M + m;
        error = worse(error, hypot(y[2 * at] - re, y[2 * at + 1] - im));
        power_error = worse(power_error, fabs(power[at] - (re * re + im * im)));
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

/* Dense rows, by the kernels for few rows and by those for many. Frames follow each other without padding.
 * alike: all on one support, so that the adjoint may share products. */
static int check_rows(int hop, int alike) {
  enum { B = 2, R = 11, N = 70 };
  const int M = (T - N) / hop + 1, C = B * M;
  int64_t start[R], stop[R], offset[R], taps = 0;
  for (int r = 0; r < R; ++r) {
    start[r] = alike ? 1 : r * 2;
    stop[r] = alike ? N : N - r;
    offset[r] = taps;
    taps += stop[r] - start[r];
  }
  const fastspec_rows rows = {R, taps, start, stop, offset, FASTSPEC_F32, 2};
  const fastspec_frames f = {B, T, M, N, hop, N, 0, FASTSPEC_PAD_NONE, 1, FASTSPEC_F32, 2, 0, 0};
  const fastspec_tile tile = {B, M, hop, T};
  const fastspec_ending ending = {.power = 2, .multiplier = 1};
  const int64_t size = fastspec_dense_size(&rows, hop);
  float *basis = malloc(sizeof(float) * 2 * taps), *grad = calloc(2 * taps, sizeof(float));
  float *y = malloc(sizeof(float) * 2 * R * C), *power = malloc(sizeof(float) * R * C);
  float *z = malloc(sizeof(float) * 2 * R * C), *stored = malloc(sizeof(float) * 2 * R * C);
  float *back = malloc(sizeof(float) * B * T), *frames = malloc(sizeof(float) * C * N);
  float *panels = malloc(sizeof(float) * size), *sums = calloc(size, sizeof(float));
  for (int64_t i = 0; i < 2 * taps; ++i) basis[i] = (float)sin(0.37 * i * i);
  int bad = fastspec_rows_transform(&f, x, T, FASTSPEC_F32, &rows, basis, y, &ending, power);
  bad |= fastspec_dense_pack(&rows, hop, basis, panels) | fastspec_dense_transform(&rows, &tile, x, panels, z);
  const fastspec_array spectra = {stored, R * M, M}, none = {NULL, 0, 0};
  bad |= fastspec_dense_store(&rows, &tile, z, NULL, &spectra, NULL, &none);
  double few = 0, many = 0, layout = 0, powers = 0, scale = 0, energy = 0, inner = 0;
  for (int b = 0; b < B; ++b)
    for (int r = 0; r < R; ++r)
      for (int m = 0; m < M; ++m) {
        double re = 0, im = 0;
        for (int64_t n = start[r]; n < stop[r]; ++n) {
          re += basis[offset[r] + n - start[r]] * x[b * T + m * hop + n];
          im += basis[taps + offset[r] + n - start[r]] * x[b * T + m * hop + n];
        }
        const int at = (b * R + r) * M + m, in_z = r * C + b * M + m;
        few = worse(few, hypot(y[2 * at] - re, y[2 * at + 1] - im));
        many = worse(many, hypot(z[in_z] - re, z[R * C + in_z] - im));
        layout = worse(layout, hypot(stored[2 * at] - z[in_z], stored[2 * at + 1] - z[R * C + in_z]));
        powers = worse(powers, fabs(power[at] - (re * re + im * im)));
        scale = fmax(scale, hypot(re, im));
        energy += re * re + im * im;
      }
  bad |= close_to("rows_transform", hop, few, scale) | close_to("dense_transform", hop, many, scale);
  bad |= close_to("dense_store", hop, layout, 0) | close_to("powers of rows", hop, powers, 4 * scale * scale);
  bad |= fastspec_rows_overlap_add(&f, y, &rows, basis, back);
  for (int i = 0; i < B * T; ++i) inner += (double)back[i] * x[i];
  bad |= close_to("rows_overlap_add", hop, fabs(inner - energy), 10 * energy);
  bad |= fastspec_dense_gradient(&rows, &tile, x, z, sums) | fastspec_dense_unpack(&rows, hop, sums, grad);
  inner = 0;
  for (int64_t i = 0; i < 2 * taps; ++i) inner += (double)grad[i] * basis[i];
  bad |= close_to("dense_gradient", hop, fabs(inner - energy), 10 * energy);
  bad |= fastspec_dense_frames(&rows, &tile, z, basis, 0, N, frames);
  inner = 0;
  for (int c = 0; c < C; ++c)
    for (int n = 0; n < N; ++n) inner += (double)frames[c * N + n] * x[c / M * T + c % M * hop + n];
  bad |= close_to("dense_frames", hop, fabs(inner - energy), 10 * energy);
  int64_t columns = 0;
  const int64_t shared = fastspec_dense_shared_size(&rows, hop, &columns);
  bad |= (shared > 0) != (columns > 0) || columns != (!alike || hop < 16 ? 0 : hop == 16 ? 64 : hop == 30 ? 60 : 0);
  if (shared) {
    float* packed = malloc(sizeof(float) * shared);
    for (int i = 0; i < B * T; ++i) back[i] = 1;
    bad |= fastspec_dense_shared_pack(&rows, hop, basis, packed);
    bad |= fastspec_dense_shared_adjoint(&rows, &tile, z, packed, back);
    bad |= columns < N - 1 && fastspec_dense_frames(&rows, &tile, z, basis, 1 + columns, N, frames);
    double error = 0;
    for (int b = 0; b < B; ++b) {
      double exact[T] = {0};
      for (int m = 0; m < M; ++m)
        for (int r = 0; r < R; ++r)
          for (int n = 1; n < 1 + columns; ++n)
            exact[m * hop + n] += (double)basis[offset[r] + n - 1] * z[r * C + b * M + m] +
                                  (double)basis[taps + offset[r] + n - 1] * z[(R + r) * C + b * M + m];
      for (int i = 0; i < T; ++i) error = worse(error, fabs(back[b * T + i] - 1 - exact[i]));
    }
    bad |= close_to("dense_shared_adjoint", hop, error, 20 * R * scale);
    free(packed);
  }
  free(basis), free(grad), free(y), free(power), free(z), free(stored), free(back), free(frames), free(panels),
      free(sums);
  return bad;
}

/* Two halvings, bins read off each level. A clip goes on as its reflection for 40 samples, then with zeros. */
static const float filter[7] = {-0.03f, 0, 0.28f, 0.5f, 0.28f, 0, -0.03f};
static double level_at(int clip, int level, int64_t s) {
  if (level == 0) return s + CENTRE < -40 || s + CENTRE >= T + 40 ? 0 : padded(clip, s + CENTRE, 1);
  double sum = 0;
  for (int d = 0; d < 7; ++d) sum += filter[d] * level_at(clip, level - 1, 2 * s + d - 3);
  return sum;
}
/* Memory of one size comes back, of no other; nothing is had where there is none. */
static int check_memory(void) {
  const int64_t size = 5 << 20;
  float* const first = fastspec_allocate(size);
  float* const second = fastspec_allocate(size);
  if (!first || !second || first == second) return 1;
  for (int64_t i = 0; i < size / 4; ++i) first[i] = second[i] = 1;
  fastspec_free(first, size);
  float* const other = fastspec_allocate(8 << 20);
  float* const again = fastspec_allocate(size);
  int bad = other == first || again == second;
#if defined(__linux__)
  bad |= again != first;
#endif
  fastspec_free(other, 8 << 20);
  fastspec_free(again, size);
  fastspec_free(second, size);
  fastspec_free(NULL, size);
  fastspec_free(fastspec_allocate(0), 0);
  bad |= fastspec_allocate(-1) != NULL || fastspec_allocate(INT64_MAX) != NULL;
  fastspec_empty_cache();
  return bad;
}

static int check_octaves(void) {
  enum { B = 2, K = 9, M = 37 };
  int64_t start[6], stop[6], offset[6];
  float basis[2 * 6 * 30], y[2 * B * K * M], power[B * K * M], back[B * T];
  for (int r = 0; r < 6; ++r) {
    start[r] = r;
    stop[r] = r + 30 - 2 * r;
    offset[r] = 30 * r;
  }
  for (int i = 0; i < 2 * 6 * 30; ++i) basis[i] = (float)sin(0.37 * i * i);
  const fastspec_rows rows = {6, 6 * 30, start, stop, offset, FASTSPEC_F32, 2};
  const fastspec_rows three = {3, 6 * 30, start, stop, offset, FASTSPEC_F32, 2};
  const fastspec_part part[] = {/* halvings, phases, first, hop, low */
                                {three, basis, 0, 1, -17, 18, 6},
                                {three, basis, 1, 1, -15, 9, 3},
                                {rows, basis, 2, 2, -11, 9, 0}};
  const fastspec_octaves o = {B, T, M, K, CENTRE, 40, 7, 3, filter, part, FASTSPEC_PAD_REFLECT, FASTSPEC_F32, 2};
  const fastspec_ending ending = {.power = 2, .multiplier = 1};
  int bad = fastspec_octaves_transform(&o, x, T, y, &ending, power);
  double error = 0, powers = 0, scale = 0, energy = 0, inner = 0;
  for (int b = 0; b < B; ++b)
    for (int p = 0; p < 3; ++p)
      for (int k = 0; k < 3; ++k)
        for (int m = 0; m < M; ++m) {
          const int phase = m % (int)part[p].phases, row = 3 * phase + k;
          const int64_t first = part[p].first + part[p].hop * (m / part[p].phases);
          double re = 0, im = 0;
          for (int64_t n = start[row]; n < stop[row]; ++n) {
            const double v = level_at(b, (int)part[p].halvings, first + n);
            re += basis[offset[row] + n - start[row]] * v;
            im += basis[6 * 30 + offset[row] + n - start[row]] * v;
          }
          const int at = (b * K + (int)part[p].low + k) * M + m;
          error = worse(error, hypot(y[2 * at] - re, y[2 * at + 1] - im));
          powers = worse(powers, fabs(power[at] - (re * re + im * im)));
          scale = fmax(scale, hypot(re, im));
          energy += re * re + im * im;
        }
  bad |= close_to("octaves_transform", K, error, scale) | close_to("their powers", K, powers, 4 * scale * scale);
  bad |= fastspec_octaves_adjoint(&o, y, back);
  for (int i = 0; i < B * T; ++i) inner += (double)back[i] * x[i];
  return bad | close_to("octaves_adjoint", K, fabs(inner - energy), 10 * energy);
}

int main(void) {
  unsigned seed = 1;
  for (int i = 0; i < 2 * T; ++i) x[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5f;
  for (int i = 0; i < MAX_N; ++i) window[i] = 0.3f + 0.5f * (float)sin(0.7 * i) * (float)sin(0.7 * i);
  int bad = 0, cases = 0;
  const int sizes[] = {2, 3, 8, 15, 37, 60, 64, 97, 128, 200};
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; ++i)
    for (int reflect = 0; reflect < 2; ++reflect)
      for (int prepared = 0; prepared < 2; ++prepared, ++cases)
        bad |= check(sizes[i], 1 + sizes[i] / 3, sizes[i] - sizes[i] / 4, reflect, prepared);
  const int hops[] = {1, 7, 16, 30, 80};
  for (unsigned i = 0; i < sizeof hops / sizeof *hops; ++i, cases += 2)
    bad |= check_rows(hops[i], 0) | check_rows(hops[i], 1);
  bad |= check_octaves() | check_memory();
  cases += 2;
  fastspec_frames wrong = {1, T, 1, 1, 1, 1, 0, FASTSPEC_PAD_NONE, 1, FASTSPEC_F32, 1};
  bad |= fastspec_overlap_add(&wrong, x, window, x) != FASTSPEC_BAD_ARGUMENT;
  printf("%s: %d cases, %s\n", fastspec_simd_level(), cases, bad ? "FAILED" : "all agree");
  return bad;
}
