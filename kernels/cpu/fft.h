// Transforms of kLanes frames at once: element n of all frames is one vector.
#pragma once

#include "simd.h"
#include "tables.h"

namespace FASTSPEC_NAMESPACE {

using Fft = fastspec::FftTables<real>;
using RealFft = fastspec::RealFftTables<real>;

enum Form { kComplex, kPower, kMagnitude, kAny };

// Where a spectrum goes: bin q at tile + q * pitch, as (re, im) or as one vector of power or magnitude.
struct Bins {
  real* tile;
  int64_t pitch;
  Form form;
  real eps;            // added to the power
  V* pairs = nullptr;  // where (re, im) of bin q goes as well, at pairs + 2 * q
};

// Memory that will be wanted soon. The passes ask for it bit by bit: asked for at once, it would fill the queue that
// their own loads wait in.
struct Ahead {
  const char* at = nullptr;
  int64_t lines = 0;  // of 64 bytes

  Ahead half(bool second) const { return {at + (second ? lines / 2 * 64 : 0), second ? lines - lines / 2 : lines / 2}; }
  FS_INLINE void ask(int64_t some) {
    for (; some > 0; --some, at += 64) __builtin_prefetch(at);
  }
};

// Sample s of the kLanes frames stands at samples + taps[s].offset and is multiplied by taps[s].weight, the window with
// frame_scale() in it: the even real transform wants half of it. Where a frame is some whole hops, sample h + q * hop
// stands at samples + h * pitch + q, and hops says how many they are.
struct Tap {
  real weight;
  int offset;
};
struct Frames {
  const real* samples;
  const Tap* taps;
  Ahead ahead = {};
  int64_t hops = 0, pitch = 0;

  FS_INLINE V sample(int64_t s) const { return load(samples + taps[s].offset); }
  FS_INLINE V weighted(int64_t s) const { return sample(s) * taps[s].weight; }
};
inline real frame_scale(const RealFft& t) { return t.n_fft % 2 ? real(1) : real(0.5); }

// Bins 0 .. n_fft / 2 of the frames. work: work_size() vectors.
void real_transform(const RealFft& t, const Frames& frames, V* work, const Bins& out);

// The adjoint: out[n] = sum over the bins f of Re(scale_f g_f exp(+2 pi i f n / n_fft)) / frame_scale(), n < n_fft. g
// holds bins of (re, im) and is overwritten; scale, one vector a bin, may be null.
void real_adjoint(const RealFft& t, V* g, const V* scale, V* work, V* out);

int64_t work_size(const RealFft& t);

}  // namespace FASTSPEC_NAMESPACE
