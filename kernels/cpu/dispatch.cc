// The C interface: checks, and the choice of a build for this processor.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels.h"

#if defined(FASTSPEC_X86)
namespace avx512_f32 {
const fastspec::Kernels& kernels();
}
namespace avx2_f32 {
const fastspec::Kernels& kernels();
}
namespace avx2_f64 {
const fastspec::Kernels& kernels();
}
#endif
namespace baseline_f32 {
const fastspec::Kernels& kernels();
}
namespace baseline_f64 {
const fastspec::Kernels& kernels();
}

namespace {

using fastspec::Kernels;

struct Level {
  const char* name;
  bool (*runs_here)();
  const Kernels& (*f32)();
  const Kernels& (*f64)();
};

// Best first. Doubles gain nothing from AVX-512 that would pay for a fifth build.
const Level levels[] = {
#if defined(FASTSPEC_X86)
    {"avx512",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
     },
     avx512_f32::kernels, avx2_f64::kernels},
    {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }, avx2_f32::kernels,
     avx2_f64::kernels},
#endif
#if defined(__aarch64__)
    {"neon", [] { return true; }, baseline_f32::kernels, baseline_f64::kernels},
#else
    {"baseline", [] { return true; }, baseline_f32::kernels, baseline_f64::kernels},
#endif
};

const Level* find_level(const char* name) {
  for (const Level& level : levels)
    if ((!name || !std::strcmp(level.name, name)) && level.runs_here()) return &level;
  return nullptr;
}

const Level* first_level() {
#if defined(FASTSPEC_X86)
  __builtin_cpu_init();
#endif
  const char* wanted = std::getenv("FASTSPEC_SIMD");
  const Level* level = wanted && *wanted ? find_level(wanted) : nullptr;
  return level ? level : find_level(nullptr);
}

std::atomic<const Level*> current_level{first_level()};  // at load, so that no fork meets it half made

// Whether a b, both of 0 or more, leaves room to reckon with.
bool fits(int64_t a, int64_t b) { return b == 0 || a <= (int64_t(1) << 60) / b; }

// All but that the frames lie in the padded clip.
bool good_sizes(const fastspec_frames* f, int64_t least = 2, int64_t most = FASTSPEC_MAX_N_FFT) {
  constexpr int64_t large = int64_t(1) << 40;
  if (!f || f->batch < 0 || f->samples < 1 || f->samples > large || f->frames < 0) return false;
  if (!fits(f->batch, f->samples) || f->frames > large) return false;
  if (f->n_fft < least || f->n_fft > most || f->hop < 1 || f->hop > large || !fits(f->frames, f->hop)) return false;
  if (f->win_length < 1 || f->win_length > f->n_fft || f->pad < 0 || f->pad > large) return false;
  if (f->pad_mode < FASTSPEC_PAD_NONE || f->pad_mode > FASTSPEC_PAD_CIRCULAR) return false;
  if (f->pad > 0 && f->pad_mode == FASTSPEC_PAD_NONE) return false;
  if (f->pad_mode == FASTSPEC_PAD_REFLECT && f->pad >= f->samples) return false;
  if (f->pad_mode == FASTSPEC_PAD_CIRCULAR && f->pad > f->samples) return false;
  return (f->dtype == FASTSPEC_F32 || f->dtype == FASTSPEC_F64) && std::isfinite(f->preemphasis);
}

bool frames_fit(const fastspec_frames* f) {
  const int64_t room = f->samples + 2 * f->pad - f->n_fft;
  return f->frames == 0 || (room >= 0 && f->frames <= room / f->hop + 1);
}

bool good(const fastspec_frames* f) { return good_sizes(f) && frames_fit(f); }

bool good_samples(const fastspec_frames* f, const void* x, int64_t stride, int dtype) {
  return x && (stride >= f->samples || f->batch <= 1) && (dtype == f->dtype || dtype == FASTSPEC_I16);
}

bool good_bank(const fastspec_frames* f, const fastspec_bank* bank) {
  if (!bank || bank->bands == 0) return true;
  if (bank->bands < 0 || !bank->start || !bank->count || !bank->offset || !bank->weights) return false;
  for (int64_t k = 0; k < bank->bands; ++k)
    if (bank->start[k] < 0 || bank->count[k] < 0 || bank->offset[k] < 0 ||
        int64_t(bank->start[k]) + bank->count[k] > f->n_fft / 2 + 1)
      return false;
  return true;
}

bool good_ending(const fastspec_ending* e) {
  return e && e->power > 0 && std::isfinite(e->power) && e->eps >= 0 && std::isfinite(e->eps) &&
         e->log >= FASTSPEC_LOG_NONE && e->log <= FASTSPEC_LOG1P && std::isfinite(e->multiplier) &&
         !std::isnan(e->floor) && !std::isnan(e->scale);
}

bool good_rows(const fastspec_rows* r) {  // the sizes of panels stay far below 2^63
  constexpr int64_t most = int64_t(1) << 24, far = int64_t(1) << 31;
  if (!r || r->rows < 1 || r->rows > most || r->taps < 1 || !r->start || !r->stop || !r->offset) return false;
  for (int64_t f = 0; f < r->rows; ++f)
    if (r->start[f] < 0 || r->stop[f] <= r->start[f] || r->stop[f] > far || r->offset[f] < 0 ||
        r->offset[f] > r->taps - (r->stop[f] - r->start[f]))
      return false;
  return r->dtype == FASTSPEC_F32 || r->dtype == FASTSPEC_F64;
}

bool good_hop(int64_t hop) { return hop >= 1 && hop <= int64_t(1) << 40; }

// Frames of few rows: no window, no preparation.
bool good_rows_in(const fastspec_frames* f, const fastspec_rows* r) {
  if (!good_sizes(f, 1, FASTSPEC_MAX_DENSE) || !frames_fit(f) || !good_rows(r) || r->dtype != f->dtype) return false;
  for (int64_t k = 0; k < r->rows; ++k)
    if (r->stop[k] > f->n_fft) return false;
  return f->win_length == f->n_fft && !f->remove_dc && f->preemphasis == 0;
}

bool good_octaves(const fastspec_octaves* o) {
  constexpr int64_t large = int64_t(1) << 40;
  if (!o || o->clips < 1 || o->clips > large || o->samples < 1 || o->samples > large || o->frames < 1 ||
      o->frames > large || o->bins < 1 || o->bins > large || o->centre < 0 || o->centre > large || o->reach < 0 ||
      o->reach > large || o->parts < 1 || !o->part || !o->filter)
    return false;
  if (o->filter_length < 3 || o->filter_length > FASTSPEC_MAX_HALFBAND || o->filter_length % 4 != 3) return false;
  if (o->pad_mode < FASTSPEC_PAD_NONE || o->pad_mode > FASTSPEC_PAD_CIRCULAR) return false;
  for (int64_t i = 0; i < o->parts; ++i) {
    const fastspec_part& p = o->part[i];
    if (!good_rows(&p.rows) || p.rows.dtype != o->dtype || !p.basis || p.halvings < 0 || p.halvings > 32) return false;
    if (p.phases < 1 || p.rows.rows % p.phases || p.hop < 1 || p.hop > large || p.first < -large || p.first > large ||
        p.low < 0 || p.low > o->bins - p.rows.rows / p.phases || p.hop > large / o->frames)
      return false;
    const int64_t reach = std::abs(p.first) + (int64_t(1) << 31) + p.hop * o->frames;  // at its own rate
    if (p.halvings && reach > (int64_t(1) << 60 >> p.halvings)) return false;
  }
  return o->dtype == FASTSPEC_F32 || o->dtype == FASTSPEC_F64;
}

bool good_order(const fastspec_rows* r, const int64_t* order) {
  for (int64_t f = 0; order && f < r->rows; ++f)
    if (order[f] < 0 || order[f] >= r->rows) return false;
  return true;
}

bool good_tile(const fastspec_tile* t) {
  constexpr int64_t large = int64_t(1) << 40;
  return t && t->clips >= 1 && t->clips <= large && t->frames >= 1 && t->frames <= large && good_hop(t->hop) &&
         t->stride >= 0 && fits(t->frames, t->hop) && fits(t->clips, t->stride) && fits(t->clips, t->frames);
}

template <class Run> int guarded(int dtype, Run&& run) {
  try {
    const Level* level = current_level.load(std::memory_order_relaxed);
    run(dtype == FASTSPEC_F32 ? level->f32() : level->f64());
    return FASTSPEC_OK;
  } catch (const std::bad_alloc&) { return FASTSPEC_NO_MEMORY; } catch (...) {
    return FASTSPEC_FAILED;
  }
}

int clear(const fastspec_frames* f, void* grad_x, void* grad_window) {
  const size_t size = f->dtype == FASTSPEC_F32 ? 4 : 8;
  if (grad_x) std::memset(grad_x, 0, size_t(f->batch * f->samples) * size);
  if (grad_window) std::memset(grad_window, 0, size_t(f->win_length) * size);
  return FASTSPEC_OK;
}

}  // namespace

extern "C" {

int fastspec_frame_transform(const fastspec_frames* f, const void* x, int64_t x_stride, int x_dtype, const void* window,
                             void* y) {
  if (!good(f) || !good_samples(f, x, x_stride, x_dtype) || !window || !y) return FASTSPEC_BAD_ARGUMENT;
  if (f->frames == 0) return FASTSPEC_OK;
  return guarded(f->dtype,
                 [&](const Kernels& k) { k.frame_transform(*f, {x, x_stride, x_dtype == FASTSPEC_I16}, window, y); });
}

int fastspec_overlap_add(const fastspec_frames* f, const void* y, const void* window, void* x) {
  if (!good(f) || !y || !window || !x) return FASTSPEC_BAD_ARGUMENT;
  if (f->frames == 0) return clear(f, x, nullptr);
  return guarded(f->dtype, [&](const Kernels& k) { k.overlap_add(*f, y, window, x); });
}

int fastspec_inverse(const fastspec_frames* f, const void* y, int64_t y_stride, const void* window, const void* gain,
                     void* x) {
  if (!good_sizes(f) || !f->onesided || f->pad_mode > FASTSPEC_PAD_CONSTANT || !y || !window || !gain || !x ||
      y_stride < 0)
    return FASTSPEC_BAD_ARGUMENT;
  if (f->frames == 0) return clear(f, x, nullptr);
  return guarded(f->dtype, [&](const Kernels& k) { k.inverse(*f, y, y_stride, window, gain, x); });
}

int fastspec_restore_magnitude(int64_t count, int dtype, int threads, const void* y, void* previous,
                               const void* magnitude, double momentum) {
  if (count < 0 || (dtype != FASTSPEC_F32 && dtype != FASTSPEC_F64) || !y || !previous || !magnitude ||
      !std::isfinite(momentum))
    return FASTSPEC_BAD_ARGUMENT;
  return guarded(dtype,
                 [&](const Kernels& k) { k.restore_magnitude(count, threads, y, previous, magnitude, momentum); });
}

int fastspec_basis_grad(const fastspec_frames* f, const void* x, int64_t x_stride, int x_dtype, const void* y,
                        void* grad_window) {
  if (!good(f) || !good_samples(f, x, x_stride, x_dtype) || !y || !grad_window) return FASTSPEC_BAD_ARGUMENT;
  if (f->frames == 0) return clear(f, nullptr, grad_window);
  return guarded(f->dtype,
                 [&](const Kernels& k) { k.basis_grad(*f, {x, x_stride, x_dtype == FASTSPEC_I16}, y, grad_window); });
}

int fastspec_spectral_power(const fastspec_frames* f, const void* x, int64_t x_stride, int x_dtype, const void* window,
                            const fastspec_bank* bank, const fastspec_ending* ending, void* out) {
  if (!good(f) || !good_samples(f, x, x_stride, x_dtype) || !window || !out || !good_bank(f, bank) ||
      !good_ending(ending))
    return FASTSPEC_BAD_ARGUMENT;
  if (f->frames == 0) return FASTSPEC_OK;
  const fastspec_bank none{};
  return guarded(f->dtype, [&](const Kernels& k) {
    k.spectral_power(*f, {x, x_stride, x_dtype == FASTSPEC_I16}, window, bank ? *bank : none, *ending, out);
  });
}

int fastspec_spectral_power_backward(const fastspec_frames* f, const void* grad, const void* x, int64_t x_stride,
                                     int x_dtype, const void* window, const fastspec_bank* bank,
                                     const fastspec_ending* ending, void* grad_x, void* grad_window) {
  if (!good(f) || !grad || !good_samples(f, x, x_stride, x_dtype) || !window || !good_bank(f, bank) ||
      !good_ending(ending) || (!grad_x && !grad_window))
    return FASTSPEC_BAD_ARGUMENT;
  if (f->frames == 0) return clear(f, grad_x, grad_window);
  const fastspec_bank none{};
  return guarded(f->dtype, [&](const Kernels& k) {
    k.spectral_power_backward(*f, grad, {x, x_stride, x_dtype == FASTSPEC_I16}, window, bank ? *bank : none, *ending,
                              grad_x, grad_window);
  });
}

int fastspec_rows_transform(const fastspec_frames* f, const void* x, int64_t x_stride, int x_dtype,
                            const fastspec_rows* r, const void* basis, void* y, const fastspec_ending* ending,
                            void* out) {
  if (!good_rows_in(f, r) || !good_samples(f, x, x_stride, x_dtype) || !basis || (!y && !out) ||
      (out && !good_ending(ending)))
    return FASTSPEC_BAD_ARGUMENT;
  if (f->frames == 0) return FASTSPEC_OK;
  return guarded(f->dtype, [&](const Kernels& k) {
    k.rows_transform(*f, {x, x_stride, x_dtype == FASTSPEC_I16}, *r, basis, y, ending, out);
  });
}

int fastspec_rows_overlap_add(const fastspec_frames* f, const void* y, const fastspec_rows* r, const void* basis,
                              void* x) {
  if (!good_rows_in(f, r) || !y || !basis || !x) return FASTSPEC_BAD_ARGUMENT;
  if (f->frames == 0) return clear(f, x, nullptr);
  return guarded(f->dtype, [&](const Kernels& k) { k.rows_overlap_add(*f, y, *r, basis, x); });
}

int fastspec_octaves_transform(const fastspec_octaves* o, const void* x, int64_t x_stride, void* y,
                               const fastspec_ending* ending, void* out) {
  if (!good_octaves(o) || !x || (x_stride < o->samples && o->clips > 1) || (!y && !out) ||
      (out && !good_ending(ending)))
    return FASTSPEC_BAD_ARGUMENT;
  return guarded(o->dtype, [&](const Kernels& k) { k.octaves_transform(*o, x, x_stride, y, ending, out); });
}

int fastspec_octaves_adjoint(const fastspec_octaves* o, const void* y, void* x) {
  if (!good_octaves(o) || !y || !x) return FASTSPEC_BAD_ARGUMENT;
  return guarded(o->dtype, [&](const Kernels& k) { k.octaves_adjoint(*o, y, x); });
}

int64_t fastspec_dense_size(const fastspec_rows* r, int64_t hop) {
  int64_t size = 0;
  if (good_rows(r) && good_hop(hop)) guarded(r->dtype, [&](const Kernels& k) { size = k.dense_size(*r, hop); });
  return size;
}

int fastspec_dense_pack(const fastspec_rows* r, int64_t hop, const void* basis, void* panels) {
  if (!good_rows(r) || !good_hop(hop) || !basis || !panels) return FASTSPEC_BAD_ARGUMENT;
  return guarded(r->dtype, [&](const Kernels& k) { k.dense_pack(*r, hop, basis, panels); });
}

int fastspec_dense_unpack(const fastspec_rows* r, int64_t hop, const void* panels, void* basis) {
  if (!good_rows(r) || !good_hop(hop) || !basis || !panels) return FASTSPEC_BAD_ARGUMENT;
  return guarded(r->dtype, [&](const Kernels& k) { k.dense_unpack(*r, hop, panels, basis); });
}

int fastspec_dense_transform(const fastspec_rows* r, const fastspec_tile* t, const void* x, const void* panels,
                             void* z) {
  if (!good_rows(r) || !good_tile(t) || !fits(r->rows, t->clips * t->frames) || !x || !panels || !z)
    return FASTSPEC_BAD_ARGUMENT;
  return guarded(r->dtype, [&](const Kernels& k) { k.dense_transform(*r, *t, x, panels, z); });
}

int fastspec_dense_gradient(const fastspec_rows* r, const fastspec_tile* t, const void* x, const void* z,
                            void* panels) {
  if (!good_rows(r) || !good_tile(t) || !fits(r->rows, t->clips * t->frames) || !x || !panels || !z)
    return FASTSPEC_BAD_ARGUMENT;
  return guarded(r->dtype, [&](const Kernels& k) { k.dense_gradient(*r, *t, x, z, panels); });
}

int fastspec_dense_frames(const fastspec_rows* r, const fastspec_tile* t, const void* z, const void* basis, int64_t low,
                          int64_t high, void* frames) {
  if (!good_rows(r) || !good_tile(t) || !z || !basis || low < 0 || high <= low || high > int64_t(1) << 31 || !frames)
    return FASTSPEC_BAD_ARGUMENT;
  return guarded(r->dtype, [&](const Kernels& k) { k.dense_frames(*r, *t, z, basis, low, high, frames); });
}

int64_t fastspec_dense_shared_size(const fastspec_rows* r, int64_t hop, int64_t* columns) {
  int64_t size = 0;
  if (!columns) return 0;
  *columns = 0;
  if (good_rows(r) && good_hop(hop))
    guarded(r->dtype, [&](const Kernels& k) { size = k.dense_shared_size(*r, hop, columns); });
  return size;
}

int fastspec_dense_shared_pack(const fastspec_rows* r, int64_t hop, const void* basis, void* taps) {
  if (!good_rows(r) || !good_hop(hop) || !basis || !taps) return FASTSPEC_BAD_ARGUMENT;
  return guarded(r->dtype, [&](const Kernels& k) { k.dense_shared_pack(*r, hop, basis, taps); });
}

int fastspec_dense_shared_adjoint(const fastspec_rows* r, const fastspec_tile* t, const void* z, const void* taps,
                                  void* x) {
  if (!good_rows(r) || !good_tile(t) || !fits(r->rows, t->clips * t->frames) || !z || !taps || !x)
    return FASTSPEC_BAD_ARGUMENT;
  if (t->clips > 1 && t->stride < (t->frames - 1) * t->hop + r->stop[0] - r->start[0]) return FASTSPEC_BAD_ARGUMENT;
  return guarded(r->dtype, [&](const Kernels& k) { k.dense_shared_adjoint(*r, *t, z, taps, x); });
}

int fastspec_dense_store(const fastspec_rows* r, const fastspec_tile* t, const void* z, const int64_t* order,
                         const fastspec_array* y, const fastspec_ending* ending, const fastspec_array* out) {
  if (!good_rows(r) || !good_tile(t) || !good_order(r, order) || !z || !y || !out ||
      (out->data && !good_ending(ending)))
    return FASTSPEC_BAD_ARGUMENT;
  return guarded(r->dtype, [&](const Kernels& k) { k.dense_store(*r, *t, z, order, *y, ending, *out); });
}

int fastspec_dense_load(const fastspec_rows* r, const fastspec_tile* t, const fastspec_array* y,
                        const fastspec_ending* ending, const fastspec_array* grad, const int64_t* order, void* z) {
  if (!good_rows(r) || !good_tile(t) || !good_order(r, order) || !z || !y || !grad ||
      (grad->data && !good_ending(ending)))
    return FASTSPEC_BAD_ARGUMENT;
  return guarded(r->dtype, [&](const Kernels& k) { k.dense_load(*r, *t, *y, ending, *grad, order, z); });
}

const char* fastspec_simd_level(void) { return current_level.load()->name; }

int fastspec_set_simd_level(const char* name) {
  const Level* level = name ? find_level(name) : nullptr;
  if (!level) return FASTSPEC_BAD_ARGUMENT;
  current_level.store(level);
  return FASTSPEC_OK;
}

const char* fastspec_status_string(int status) {
  switch (status) {
    case FASTSPEC_OK:
      return "ok";
    case FASTSPEC_BAD_ARGUMENT:
      return "an argument is out of its range";
    case FASTSPEC_NO_MEMORY:
      return "out of memory";
    default:
      return "the kernel failed";
  }
}

int fastspec_abi_version(void) { return FASTSPEC_ABI_VERSION; }
}
