// spectral_power: x [B, T] -> compression(bank |y|^p) [B, K or F, M] in one pass, and its gradient.
#include "adjoint.h"
#include "ending.h"
#include "forward.h"
#include "ops.h"

namespace FASTSPEC_NAMESPACE {

void spectral_power(const fastspec_frames& f, const fastspec::Samples& x, const void* window, const fastspec_bank& bank,
                    const fastspec_ending& description, void* out_) {
  const Ending ending(description);
  const int64_t bins = f.n_fft / 2 + 1, sides = f.onesided ? bins : f.n_fft;
  const int64_t rows = bank.bands > 0 ? bank.bands : sides;
  const bool past = past_caches(f.batch * rows * f.frames);
  const auto out_of = [&](const Tile& tile) {
    return static_cast<real*>(out_) + tile.clip * rows * f.frames + tile.first;
  };

  const auto write_bins = [&, ending](const Tile& tile, real*) {
    if (!tile.complete) return;
    real* out = out_of(tile);
    for (int64_t q = 0; q < rows; ++q, out += f.frames) {
      real* row = tile.first_bins + (q < bins ? q : f.n_fft - q) * tile.pitch;
      V* bin = reinterpret_cast<V*>(row);
      if (q < bins && ending.general_power())
        for (int64_t i = 0; i <= tile.slot; ++i) bin[i] = ending.raise(bin[i]);
      if (q < bins && ending.logarithm())
        for (int64_t i = 0; i <= tile.slot; ++i) bin[i] = ending.compress(bin[i]);
      write_row(out, row, tile.frames, past, tile.part);
    }
  };

  // A band reads its bins at once, while they are in the nearest cache; rows of bands gather in spare memory.
  const int64_t groups = groups_in_cache(f, bank.bands > 0 ? rows : bins), front = front_of(kLanes);
  const int64_t pitch = front + groups * kLanes;
  const auto write_bands = [&, ending, bank](const Tile& tile, real* band_rows) {
    V* bin = reinterpret_cast<V*>(tile.bins);
    if (ending.general_power())
      for (int64_t q = 0; q < bins; ++q) bin[q] = ending.raise(bin[q]);
    real* to = band_rows + front + tile.slot * kLanes;
    for (int64_t k = 0; k < rows; ++k, to += pitch) *reinterpret_cast<V*>(to) = ending.compress(band(bank, k, bin));
    if (!tile.complete) return;
    real* out = out_of(tile);
    for (int64_t k = 0; k < rows; ++k, out += f.frames)
      write_row(out, band_rows + front + k * pitch, tile.frames, past, tile.part);
    if (!tile.part.ends) keep_last(band_rows, rows, groups, kLanes);
  };

  if (bank.bands > 0)
    walk_forward(f, x, window, ending.form(), ending.eps(), groups, false, rows * pitch, write_bands);
  else
    walk_forward(f, x, window, ending.form(), ending.eps(), groups, true, 0, write_bins);
}

void spectral_power_backward(const fastspec_frames& f, const void* grad_, const fastspec::Samples& x,
                             const void* window, const fastspec_bank& bank, const fastspec_ending& description,
                             void* grad_x, void* grad_window) {
  const Ending ending(description);
  const RealFft& t = fastspec::real_fft_tables<real>(int(f.n_fft));
  const int64_t bins = t.bins, rows = bank.bands > 0 ? bank.bands : f.onesided ? bins : f.n_fft;
  const auto source = [&, ending, bank](const Group& group) {
    V* left = group.spare;  // of the transform: power or magnitude
    V* scale = left + bins;
    real_transform(t, group.frames, group.work,
                   Bins{reinterpret_cast<real*>(left), kLanes, ending.form(), ending.eps(), group.spectrum});
    const real* grad = static_cast<const real*>(grad_) + group.clip * rows * f.frames + group.first;
    if (bank.bands == 0) {
      for (int64_t q = 0; q < bins; ++q) {
        V g = load_some(grad + q * f.frames, group.lanes);
        if (!f.onesided && q > 0 && 2 * q < f.n_fft) g += load_some(grad + (f.n_fft - q) * f.frames, group.lanes);
        if (ending.logarithm()) g *= ending.compress_slope(ending.raise(left[q]));
        scale[q] = g * ending.slope(left[q]);
      }
      return scale;
    }
    V* value = left;
    if (ending.general_power()) {
      value = scale + bins;
      for (int64_t q = 0; q < bins; ++q) value[q] = ending.raise(left[q]);
    }
    std::fill_n(scale, bins, V{});
    for (int64_t k = 0; k < bank.bands; ++k) {
      V g = load_some(grad + k * f.frames, group.lanes);
      if (ending.logarithm()) g *= ending.compress_slope(band(bank, k, value));
      if (ending.squares()) g *= real(2);  // their slope, for all bins at once
      const real* w = static_cast<const real*>(bank.weights) + bank.offset[k];
      V* to = scale + bank.start[k];
      const int64_t count = bank.count[k];
      for (int64_t i = 0; i < count; ++i) to[i] += g * w[i];
    }
    if (!ending.squares())
      for (int64_t q = 0; q < bins; ++q) scale[q] *= ending.slope(left[q]);
    return scale;
  };
  walk_adjoint(f, &x, window, static_cast<real*>(grad_x), static_cast<real*>(grad_window), 3 * bins, source);
}

}  // namespace FASTSPEC_NAMESPACE
