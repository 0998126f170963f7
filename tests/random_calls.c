/* Random calls of the C interface, good and bad, for `make test-c` to run under AddressSanitizer and UBSan: arrays are
 * exactly as long as the header says, so that a byte too far is seen. Values are checked by check.c and the Python
 * tests; here every call must return, with OK or BAD_ARGUMENT, and leave no NaN behind where all samples are finite. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fastspec.h"

static uint64_t state = 1;
static int64_t below(int64_t n) { /* 0 .. n - 1 */
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (int64_t)((state >> 33) % (uint64_t)n);
}
static int64_t hostile(int64_t usual) { /* now and then something that is refused, or asks for nothing */
  const int64_t odd[] = {-1, 0, INT64_MAX, INT64_MIN, (int64_t)1 << 62};
  return below(20) ? usual : odd[below(5)];
}

static void* array(int64_t count, int dtype) {
  const size_t size = dtype == FASTSPEC_F64 ? 8 : dtype == FASTSPEC_F32 ? 4 : 2;
  char* made = malloc(count > 0 ? (size_t)count * size : 1);
  for (int64_t i = 0; i < count; ++i) {
    const double v = (double)below(2001) / 1000 - 1;
    if (dtype == FASTSPEC_F64) ((double*)made)[i] = v;
    if (dtype == FASTSPEC_F32) ((float*)made)[i] = (float)v;
    if (dtype == FASTSPEC_I16) ((int16_t*)made)[i] = (int16_t)(v * 32767);
  }
  return made;
}

static int failures = 0, done = 0;
static void expect(const char* what, int status, const void* out, int64_t count, int dtype) {
  int bad = status != FASTSPEC_OK && status != FASTSPEC_BAD_ARGUMENT;
  for (int64_t i = 0; status == FASTSPEC_OK && i < count; ++i)
    bad |= isnan(dtype == FASTSPEC_F64 ? ((const double*)out)[i] : ((const float*)out)[i]);
  if (bad) printf("%s: %s\n", what, status ? fastspec_status_string(status) : "NaN"), ++failures;
  done += status == FASTSPEC_OK;
}

/* large: results and gradients of more than 4 MB, which go past the caches in whole lines */
static void framed(int large) {
  const int64_t sizes[] = {2, 3, 8, 17, 31, 34, 37, 60, 64, 74, 128, 200, 255, 256, 400, 506, 1024};
  const int64_t n = large ? 64 : sizes[below(17)], hop = large ? 16 + below(30) : 1 + below(n + 9);
  const int64_t full = large || below(4) ? 0 : 16 + 16 * below(2); /* frames in whole vectors that end with the clip */
  const int64_t T = full ? hop * (full - 1) + n : large ? 1100000 + below(3000) : 1 + below(3000);
  const int64_t pad = full || below(2) ? 0 : below(n), room = T + 2 * pad - n;
  const int64_t M = room < 0 ? 0 : large || full ? room / hop + 1 : below(room / hop + 2);
  const int64_t B = large ? 1 : 1 + below(3);
  fastspec_frames f = {B, T, M, n, hop, 1 + below(n), pad, (int)below(5), (int)below(2), (int)below(2), (int)below(4),
                       below(4) == 0, below(4) ? 0 : 0.97};
  const int dtype = f.dtype, x_dtype = below(4) ? dtype : FASTSPEC_I16;
  const int64_t F = f.onesided ? n / 2 + 1 : n, K = below(2) ? 1 + below(9) : 0, rows = K ? K : F, stride = T + below(5);
  int32_t start[9], count[9], offset[9];
  for (int k = 0; k < K; ++k) {
    start[k] = (int32_t)below(n / 2 + 1);
    count[k] = (int32_t)below(n / 2 + 2 - start[k]);
    offset[k] = k ? offset[k - 1] + count[k - 1] : 0;
  }
  void* weights = array(K ? offset[K - 1] + count[K - 1] : 0, dtype);
  const fastspec_bank bank = {K, start, count, offset, weights};
  const double powers[] = {1, 2, 0.7};
  const fastspec_ending ending = {powers[below(3)], 1e-3, 1, 2, 1, K ? 0 : (int)below(3), 1};
  void *x = array((B - 1) * stride + T, x_dtype), *window = array(f.win_length, dtype), *y = array(2 * B * F * M, dtype);
  void *out = array(B * rows * M, dtype), *back = array(B * T, dtype), *grad = array(f.win_length, dtype);
  void *gain = array(T, dtype), *previous = array(2 * B * M, dtype);
  fastspec_frames g = f; /* the arrays are those of f */
  int64_t* const field[] = {&g.batch, &g.samples, &g.frames, &g.n_fft, &g.hop, &g.win_length, &g.pad};
  int64_t* const one = field[below(7)];
  *one = hostile(*one);
  expect("frame_transform", fastspec_frame_transform(&g, x, stride, x_dtype, window, y), y, 2 * B * F * M, dtype);
  expect("spectral_power", fastspec_spectral_power(&g, x, stride, x_dtype, window, &bank, &ending, out), out,
         B * rows * M, dtype);
  expect("backward",
         fastspec_spectral_power_backward(&g, out, x, stride, x_dtype, window, &bank, &ending, below(3) ? back : NULL,
                                          below(3) ? grad : NULL),
         back, B * T, dtype);
  expect("overlap_add", fastspec_overlap_add(&g, y, window, back), back, B * T, dtype);
  expect("basis_grad", fastspec_basis_grad(&g, x, stride, x_dtype, y, grad), grad, f.win_length, dtype);
  expect("inverse", fastspec_inverse(&g, y, F * M, window, gain, back), back, B * T, dtype);
  expect("restore", fastspec_restore_magnitude(B * M, dtype, f.threads, y, previous, out, 0.5), previous, 2 * B * M,
         dtype);
  free(weights), free(x), free(window), free(y), free(out), free(back), free(grad), free(gain), free(previous);
}

static void dense(void) {
  const int64_t N = 1 + below(300), R = 1 + below(12), T = N + below(2000), hop = 1 + below(N + 9), B = 1 + below(3);
  const int64_t M = (T - N) / hop + 1;
  const int dtype = (int)below(2);
  int64_t start[12], stop[12], offset[12], taps = 0, columns;
  const int alike = (int)below(2);
  for (int r = 0; r < R; ++r) {
    start[r] = r && alike ? start[0] : below(N);
    stop[r] = r && alike ? stop[0] : start[r] + 1 + below(N - start[r]);
    offset[r] = taps;
    taps += stop[r] - start[r];
  }
  fastspec_rows rows = {R, taps, start, stop, offset, dtype, (int)below(4)};
  const fastspec_frames f = {B, T, M, N, hop, N, 0, FASTSPEC_PAD_NONE, 1, dtype, 2, 0, 0};
  const fastspec_ending ending = {2, 0, 1, 0, 1, 0, 0};
  const fastspec_tile tile = {hostile(B), hostile(M), hostile(hop), hostile(T)};
  const int same = tile.clips == B && tile.frames == M && tile.hop == hop && tile.stride == T;
  const int refused = tile.clips < 1 || tile.frames < 1 || tile.hop < 1 || tile.stride < 0 || tile.stride > (int64_t)1 << 60 ||
                      tile.clips > (int64_t)1 << 60 || tile.frames > (int64_t)1 << 60 || tile.hop > (int64_t)1 << 60;
  void *x = array(B * T, dtype), *basis = array(2 * taps, dtype), *y = array(2 * B * R * M, dtype);
  void *out = array(B * R * M, dtype), *back = array(B * T, dtype), *panels = array(fastspec_dense_size(&rows, hop), dtype);
  expect("rows", fastspec_rows_transform(&f, x, T, dtype, &rows, basis, y, &ending, out), out, B * R * M, dtype);
  expect("rows_overlap_add", fastspec_rows_overlap_add(&f, y, &rows, basis, back), back, B * T, dtype);
  expect("pack", fastspec_dense_pack(&rows, hop, basis, panels), basis, 2 * taps, dtype);
  if (same || refused) {
    expect("dense", fastspec_dense_transform(&rows, &tile, x, panels, y), y, same ? 2 * B * R * M : 0, dtype);
    expect("gradient", fastspec_dense_gradient(&rows, &tile, x, y, panels), panels, 0, dtype);
  }
  expect("unpack", fastspec_dense_unpack(&rows, hop, panels, basis), basis, 2 * taps, dtype);
  if (same || refused) {
    const int64_t low = below(N), high = low + 1 + below(N), C = tile.clips == B && tile.frames == M ? B * M : 0;
    void* cut = array(C * (high - low), dtype);
    expect("frames", fastspec_dense_frames(&rows, &tile, y, basis, low, hostile(high), cut), NULL, 0, dtype);
    free(cut);
    void* packed = array(fastspec_dense_shared_size(&rows, hop, &columns), dtype);
    expect("shared taps", fastspec_dense_shared_pack(&rows, hop, basis, packed), NULL, 0, dtype);
    expect("shared", fastspec_dense_shared_adjoint(&rows, &tile, y, packed, back), back, same ? B * T : 0, dtype);
    free(packed);
  }
  { /* part of arrays whose rows and clips lie farther apart than they must, in another order */
    const int64_t row = M + below(5), clip = row * R + below(5), size = (B - 1) * clip + (R - 1) * row + M;
    int64_t order[12];
    for (int r = 0; r < R; ++r) order[r] = r;
    for (int r = 0; r < R; ++r) {
      const int64_t other = below(R), kept = order[r];
      order[r] = order[other];
      order[other] = kept;
    }
    const fastspec_tile own = {B, M, hop, T};
    const double powers[] = {1, 2, 0.7};
    const fastspec_ending last = {powers[below(3)], 1e-3, 1, 2, 1, (int)below(3), 1};
    void *pairs = array(2 * size, dtype), *values = array(size, dtype), *z = array(2 * R * B * M, dtype);
    const fastspec_array spectra = {below(3) ? pairs : NULL, clip, row}, results = {below(3) ? values : NULL, clip, row};
    const int64_t* rows_order = below(3) ? order : NULL;
    expect("store", fastspec_dense_store(&rows, &own, z, rows_order, &spectra, &last, &results), values, size, dtype);
    expect("load", fastspec_dense_load(&rows, &own, &spectra, &last, &results, rows_order, z), z, 2 * R * B * M, dtype);
    order[below(R)] = below(2) ? R : -1;
    failures += fastspec_dense_load(&rows, &own, &spectra, &last, &results, order, z) != FASTSPEC_BAD_ARGUMENT;
    free(pairs), free(values), free(z);
  }
  offset[below(R)] = INT64_MAX - 1; /* must be seen without an overflow */
  failures += fastspec_dense_pack(&rows, hop, basis, panels) != FASTSPEC_BAD_ARGUMENT;
  free(x), free(basis), free(y), free(out), free(back), free(panels);
}

static void octaves(void) {
  const int64_t B = 1 + below(3), T = 1 + below(3000), M = 1 + below(60), K = 1 + below(20), length = 3 + 4 * below(12);
  const int dtype = (int)below(2), parts = 1 + (int)below(3);
  const double scale[] = {2, 1, 0.7};
  fastspec_part part[3];
  void *filter = array(length, dtype), *basis[3];
  int64_t start[3][60], stop[3][60], offset[3][60];
  for (int64_t i = 0; i < length; ++i) /* zero at an even distance from the middle, symmetric */
    for (int64_t mirror = length - 1 - i; i <= mirror; mirror = -1) {
      const double v = i == mirror ? 0.5 : (mirror - i) % 4 ? (double)below(100) / 1000 : 0;
      if (dtype == FASTSPEC_F64) ((double*)filter)[i] = ((double*)filter)[mirror] = v;
      if (dtype == FASTSPEC_F32) ((float*)filter)[i] = ((float*)filter)[mirror] = (float)v;
    }
  for (int i = 0; i < parts; ++i) {
    const int64_t phases = 1 + below(3), rows = 1 + below(K), N = 1 + below(300);
    int64_t taps = 0;
    for (int64_t r = 0; r < phases * rows; ++r) {
      start[i][r] = below(N);
      stop[i][r] = start[i][r] + 1 + below(N - start[i][r]);
      offset[i][r] = taps;
      taps += stop[i][r] - start[i][r];
    }
    basis[i] = array(2 * taps, dtype);
    part[i] = (fastspec_part){{phases * rows, taps, start[i], stop[i], offset[i], dtype, 1}, basis[i], below(7), phases,
                              below(N) - N, 1 + below(100), below(K - rows + 1)};
  }
  const fastspec_octaves o = {B, T, M, K, below(2) ? 0 : below(T), below(500), length, parts, filter, part, (int)below(5),
                              dtype, (int)below(4)};
  const fastspec_ending ending = {scale[below(3)], 1e-3, 1, 2, 1, (int)below(3), 1};
  fastspec_octaves g = o; /* the arrays are those of o */
  int64_t* const field[] = {&g.clips, &g.samples, &g.frames, &g.bins, &g.centre, &g.reach, &g.filter_length, &g.parts};
  int64_t* const one = field[below(8)];
  const int64_t right = *one;
  *one = hostile(*one);
  if (*one > right) *one = right; /* larger ones may be right, of larger arrays */
  void *x = array(B * (T + 3), dtype), *y = array(2 * B * K * M, dtype), *out = array(B * K * M, dtype), *back = array(B * T, dtype);
  expect("octaves", fastspec_octaves_transform(&g, x, T + 3, below(3) ? y : NULL, &ending, below(3) ? out : NULL), out, B * K * M,
         dtype);
  expect("octaves_adjoint", fastspec_octaves_adjoint(&g, y, back), back, B * T, dtype);
  part[below(parts)].halvings = below(2) ? 33 : -1;
  failures += fastspec_octaves_adjoint(&o, y, back) != FASTSPEC_BAD_ARGUMENT;
  free(x), free(y), free(out), free(back), free(filter);
  for (int i = 0; i < parts; ++i) free(basis[i]);
}

int main(int argc, char** argv) {
  const int64_t rounds = argc > 1 ? atol(argv[1]) : 1000;
  const char* const levels[] = {"avx512", "avx2", "neon", "baseline"};
  for (int64_t i = 0; i < rounds; ++i) {
    fastspec_set_simd_level(levels[below(4)]); /* those that are not here are refused */
    const int64_t which = below(6);
    which > 2 ? framed(i % 200 == 0) : which ? dense() : octaves();
  }
  printf("%lld rounds, %d calls done, %d failures\n", (long long)rounds, done, failures);
  return failures != 0;
}
