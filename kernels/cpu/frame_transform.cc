// frame_transform: x [B, T] -> y [B, F, M] complex.
#include "forward.h"
#include "ops.h"

namespace FASTSPEC_NAMESPACE {
namespace {

// (re, im) vectors of each group and of those in front -> pairs, `sign` on im.
void interleave(const real* row, const Tile& tile, real sign, real* pairs) {
  for (int64_t m = tile.part.begins ? 0 : -front_of(tile.width) / 2, g = m / kLanes; m < tile.frames;
       m += kLanes, ++g) {
    const V* at = reinterpret_cast<const V*>(row + g * tile.width);
    zip(at[0], at[1] * sign, pairs + 2 * m);
  }
}

}  // namespace

void frame_transform(const fastspec_frames& f, const fastspec::Samples& x, const void* window, void* y) {
  const int64_t bins = f.n_fft / 2 + 1, rows = f.onesided ? bins : f.n_fft;
  const bool past = past_caches(2 * f.batch * rows * f.frames);
  const int64_t groups = groups_in_cache(f, 2 * bins), front = front_of(2 * kLanes);
  const auto write_pairs = [&](const Tile& tile, real* spare) {
    if (!tile.complete) return;
    real *out = static_cast<real*>(y), *pairs = spare + front;
    out += 2 * (tile.clip * rows * f.frames + tile.first);
    for (int64_t q = 0; q < rows; ++q) {
      const bool mirrored = q >= bins;
      const real* row = tile.first_bins + (mirrored ? f.n_fft - q : q) * tile.pitch;
      interleave(row, tile, mirrored ? real(-1) : real(1), pairs);
      write_row(out + 2 * q * f.frames, pairs, 2 * tile.frames, past, tile.part);
    }
  };
  walk_forward(f, x, window, kComplex, 0, groups, true, front + 2 * groups * kLanes, write_pairs);
}

}  // namespace FASTSPEC_NAMESPACE
