/* fastspec: framed Fourier transforms with fused endings, the C interface.
 *
 * Notation: B clips of T samples, M frames of n_fft samples, F bins (n_fft / 2 + 1, or n_fft when two-sided), K bands.
 *   H[f, n] = window[n] exp(-2 pi i f n / n_fft),  y[b, f, m] = sum_n H[f, n] x_padded[b, m * hop + n]
 * A window shorter than n_fft stands in its middle. Arrays are dense, last index fastest, unless a stride is given;
 * complex numbers are pairs (re, im). Every function returns FASTSPEC_OK or an error code, checks its sizes, and never
 * throws, exits or prints. All may be called from many threads at once, and in a forked child whose parent had loaded
 * the library before. Results are the same bits for any number of threads, of which no call takes more than four for
 * each processor.
 */
#ifndef FASTSPEC_H
#define FASTSPEC_H

#include <stdint.h>

#if defined(_WIN32)
#define FASTSPEC_API __declspec(dllexport)
#else
#define FASTSPEC_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define FASTSPEC_ABI_VERSION 3
#define FASTSPEC_MAX_N_FFT 65536
#define FASTSPEC_MAX_DENSE 4194304

enum fastspec_status { FASTSPEC_OK = 0, FASTSPEC_BAD_ARGUMENT = 1, FASTSPEC_NO_MEMORY = 2, FASTSPEC_FAILED = 3 };

enum fastspec_dtype { FASTSPEC_F32 = 0, FASTSPEC_F64 = 1, FASTSPEC_I16 = 2 /* samples only, full scale 32768 */ };

enum fastspec_pad { /* of the clip, `pad` samples on both sides */
                    FASTSPEC_PAD_NONE = 0,
                    FASTSPEC_PAD_CONSTANT = 1,
                    FASTSPEC_PAD_REFLECT = 2,
                    FASTSPEC_PAD_REPLICATE = 3,
                    FASTSPEC_PAD_CIRCULAR = 4
};

enum fastspec_log {
  FASTSPEC_LOG_NONE = 0,
  FASTSPEC_LOG = 1 /* multiplier ln(.) */,
  FASTSPEC_LOG1P = 2 /* ln(1 + scale .) */
};

typedef struct {
  int64_t batch, samples, frames;      /* B, T, M; M <= (T + 2 pad - n_fft) / hop + 1 */
  int64_t n_fft, hop, win_length, pad; /* 2 <= n_fft <= 65536, 1 <= win_length <= n_fft */
  int32_t pad_mode;                    /* fastspec_pad; reflect wants pad < T, circular pad <= T */
  int32_t onesided;
  int32_t dtype;   /* of arithmetic, window and results: F32 or F64 */
  int32_t threads; /* at most so many, the caller included */
  /* What happens to the win_length samples of a frame before the window, 0 for nothing. Both are linear. */
  int32_t remove_dc;  /* first, their mean is taken off */
  double preemphasis; /* then c of x[n] - c x[n - 1] within the frame, where x[-1] is x[0] */
} fastspec_frames;

/* What follows the transform: v = (|y|^2 + eps)^(power / 2), u = bank v, then the logarithm of max(u, floor), or of
 * u + floor where floor_add is set. */
typedef struct {
  double power, eps, multiplier, floor, scale;
  int32_t log, floor_add;
} fastspec_ending;

/* A sparse filterbank over the one-sided bins: band k is the sum over i < count[k] of
 * weights[offset[k] + i] * v[start[k] + i]. No bank: bands = 0. */
typedef struct {
  int64_t bands;
  const int32_t *start, *count, *offset;
  const void* weights; /* of dtype */
} fastspec_bank;

/* x [B, T] of x_dtype, rows x_stride apart -> y [B, F, M] complex */
FASTSPEC_API int fastspec_frame_transform(const fastspec_frames* frames, const void* x, int64_t x_stride, int x_dtype,
                                          const void* window, void* y);

/* The adjoint in x: y [B, F, M] complex -> x [B, T], padding folded back */
FASTSPEC_API int fastspec_overlap_add(const fastspec_frames* frames, const void* y, const void* window, void* x);

/* The inverse transform: gain[t] times overlap_add of y with its bins 0 and n_fft / 2, which have no mirrors, halved.
 * With gain[t] = 2 / (n_fft sum_m window[t - m hop]^2) that is the least-squares inverse of one-sided y. gain [T];
 * clips of y lie y_stride complex numbers apart. Any number of frames: what falls outside of the clip is dropped. */
FASTSPEC_API int fastspec_inverse(const fastspec_frames* frames, const void* y, int64_t y_stride, const void* window,
                                  const void* gain, void* x);

/* The step of Griffin and Lim between two transforms, over `count` complex numbers of dtype F32 or F64:
 * previous <- magnitude d / (|d| + 1e-16), d = y - momentum previous. magnitude: `count` real numbers. */
FASTSPEC_API int fastspec_restore_magnitude(int64_t count, int dtype, int threads, const void* y, void* previous,
                                            const void* magnitude, double momentum);

/* The adjoint in the window: x [B, T], y [B, F, M] complex -> grad_window [win_length] */
FASTSPEC_API int fastspec_basis_grad(const fastspec_frames* frames, const void* x, int64_t x_stride, int x_dtype,
                                     const void* y, void* grad_window);

/* x [B, T] -> out [B, K or F, M] in one pass */
FASTSPEC_API int fastspec_spectral_power(const fastspec_frames* frames, const void* x, int64_t x_stride, int x_dtype,
                                         const void* window, const fastspec_bank* bank, const fastspec_ending* ending,
                                         void* out);

/* Its gradient: grad [B, K or F, M] and x -> grad_x [B, T] and grad_window [win_length]; either may be null. The
 * spectrum is computed again from x: nothing else was kept. */
FASTSPEC_API int fastspec_spectral_power_backward(const fastspec_frames* frames, const void* grad, const void* x,
                                                  int64_t x_stride, int x_dtype, const void* window,
                                                  const fastspec_bank* bank, const fastspec_ending* ending,
                                                  void* grad_x, void* grad_window);

/* A dense basis: F rows, row f on the samples start[f] to stop[f] of a frame, its taps at offset[f] of a packed basis
 * [2, taps] (real parts over imaginary parts). Rows whose supports are alike should follow each other: kernels take
 * a few at a time, on the union of their supports. */
typedef struct {
  int64_t rows, taps;
  const int64_t *start, *stop, *offset; /* [F], 0 <= start < stop */
  int32_t dtype, threads;               /* F32 or F64 */
} fastspec_rows;

/* Frames of clips that are padded already: frame m of clip b begins at x[b * stride + m * hop]. */
typedef struct {
  int64_t clips, frames, hop, stride;
} fastspec_tile;

/* The basis as kernels read it for frames `hop` apart, "panels" of fastspec_dense_size() numbers (0 for a bad
 * argument): good for the SIMD level that they were made at. Unpacking, for gradients, is the adjoint of packing. */
FASTSPEC_API int64_t fastspec_dense_size(const fastspec_rows* rows, int64_t hop);
FASTSPEC_API int fastspec_dense_pack(const fastspec_rows* rows, int64_t hop, const void* basis, void* panels);
FASTSPEC_API int fastspec_dense_unpack(const fastspec_rows* rows, int64_t hop, const void* panels, void* basis);

/* z [2, F, clips * frames]: real over imaginary parts of every row times every frame */
FASTSPEC_API int fastspec_dense_transform(const fastspec_rows* rows, const fastspec_tile* tile, const void* x,
                                          const void* panels, void* z);

/* Its adjoint in the basis, added to panels */
FASTSPEC_API int fastspec_dense_gradient(const fastspec_rows* rows, const fastspec_tile* tile, const void* x,
                                         const void* z, void* panels);

/* Its adjoint in the frames: frames [clips * frames, high - low], columns low to high of each, Re sum conj(H) z */
FASTSPEC_API int fastspec_dense_frames(const fastspec_rows* rows, const fastspec_tile* tile, const void* z,
                                       const void* basis, int64_t low, int64_t high, void* frames);

/* Its adjoint in the samples, faster than by frames: for rows that all stand on one support, the first *columns of it,
 * with `taps` of so many numbers; 0 where there is nothing to gain. Added to padded samples x, which lie as the tile
 * says; clips must not overlap. */
FASTSPEC_API int64_t fastspec_dense_shared_size(const fastspec_rows* rows, int64_t hop, int64_t* columns);
FASTSPEC_API int fastspec_dense_shared_pack(const fastspec_rows* rows, int64_t hop, const void* basis, void* taps);
FASTSPEC_API int fastspec_dense_shared_adjoint(const fastspec_rows* rows, const fastspec_tile* tile, const void* z,
                                               const void* taps, void* x);

/* Part of an array [B, F, M] of numbers or complex pairs, from the tile's first clip and frame on: strides between
 * clips and rows, in numbers or pairs. data may be null where said. */
typedef struct {
  void* data;
  int64_t clip, row;
} fastspec_array;

/* z to spectra y, and what the ending makes of |y| to out; either may be null. Row f of z is row order[f] of the
 * arrays; a null order: f. */
FASTSPEC_API int fastspec_dense_store(const fastspec_rows* rows, const fastspec_tile* tile, const void* z,
                                      const int64_t* order, const fastspec_array* y, const fastspec_ending* ending,
                                      const fastspec_array* out);

/* The way back: y, or where it is null what z holds already, to z; times grad and the ending's slope, unless grad is
 * null, so that z is the gradient in y. */
FASTSPEC_API int fastspec_dense_load(const fastspec_rows* rows, const fastspec_tile* tile, const fastspec_array* y,
                                     const fastspec_ending* ending, const fastspec_array* grad, const int64_t* order,
                                     void* z);

/* The transform and its ending in one step, for few rows: x [B, T] -> y [B, F, M] complex, and what the ending makes of
 * |y|, out [B, F, M]; y, or ending and out, may be null. n_fft is from 1 to FASTSPEC_MAX_DENSE, win_length = n_fft,
 * samples are not prepared; rows end at n_fft. */
FASTSPEC_API int fastspec_rows_transform(const fastspec_frames* frames, const void* x, int64_t x_stride, int x_dtype,
                                         const fastspec_rows* rows, const void* basis, void* y,
                                         const fastspec_ending* ending, void* out);

/* Its adjoint in x: y [B, F, M] complex -> x [B, T], padding folded back */
FASTSPEC_API int fastspec_rows_overlap_add(const fastspec_frames* frames, const void* y, const fastspec_rows* rows,
                                           const void* basis, void* x);

/* Some bins of a constant-Q transform, read off the clip after `halvings` halvings of its rate. `phases` frames in turn
 * have rows of their own: the rows hold phase after phase, and row k of phase p gives bin low + k of the frames
 * p + phases * j, which begin `first` + hop * j samples from the centre of frame 0, at that rate. */
typedef struct {
  fastspec_rows rows;
  const void* basis;
  int64_t halvings, phases, first, hop, low;
} fastspec_part;

/* All of them. Frame 0 is centred on sample `centre` of a clip, which pad_mode extends by `reach` samples on each side
 * (reflections repeat), zeros beyond. filter: a half-band low-pass of 3, 7, 11, ... taps, symmetric, the taps at an
 * even distance from its middle zero. */
#define FASTSPEC_MAX_HALFBAND 1023
typedef struct {
  int64_t clips, samples, frames, bins, centre, reach, filter_length, parts;
  const void* filter;
  const fastspec_part* part;
  int32_t pad_mode, dtype, threads;
} fastspec_octaves;

/* x [B, T] of dtype -> y [B, K, M] complex, and what the ending makes of |y|, out [B, K, M]; y, or ending and out, may
 * be null */
FASTSPEC_API int fastspec_octaves_transform(const fastspec_octaves* octaves, const void* x, int64_t x_stride, void* y,
                                            const fastspec_ending* ending, void* out);

/* Its adjoint in x: y [B, K, M] complex -> x [B, T], edges folded back */
FASTSPEC_API int fastspec_octaves_adjoint(const fastspec_octaves* octaves, const void* y, void* x);

/* Memory for results, not cleared; null where there is none. From 4 MB on it lies on huge pages, and is kept when it is
 * freed: the next array of its size is spared the system's clearing of fresh pages. No more is kept than was once in
 * use at one time, nor than 1 GB, and the system may meanwhile take what is older than the newest 64 MB. Free with the
 * number of bytes that was asked for. */
FASTSPEC_API void* fastspec_allocate(int64_t bytes);
FASTSPEC_API void fastspec_free(void* memory, int64_t bytes);

/* What is kept goes back to the system. */
FASTSPEC_API void fastspec_empty_cache(void);

/* "avx512", "avx2", "neon" or "baseline": what runs. The best that the processor has, unless the environment's
 * FASTSPEC_SIMD or a call of set_simd_level names a lower one; set returns FASTSPEC_BAD_ARGUMENT for a name that is
 * not known or that this processor cannot run. */
FASTSPEC_API const char* fastspec_simd_level(void);
FASTSPEC_API int fastspec_set_simd_level(const char* name);

FASTSPEC_API const char* fastspec_status_string(int status);
FASTSPEC_API int fastspec_abi_version(void);

#ifdef __cplusplus
}
#endif
#endif
