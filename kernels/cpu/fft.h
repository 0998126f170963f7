// Transforms of kLanes frames at once: element n of all frames is one vector.
#pragma once

#include "simd.h"
#include "tables.h"

namespace FASTSPEC_NAMESPACE {

using Fft = fastspec::FftTables<real>;
using RealFft = fastspec::RealFftTables<real>;

enum Form { kComplex, kPower, kMagnitude };

// Where a spectrum goes: bin q at tile + q * pitch, as (re, im) or as one vector of power or magnitude.
struct Bins {
  real* tile;
  int64_t pitch;
  Form form;
  real eps;  // added to the power
};

// Samples of the frames: sample s of the kLanes frames stands at samples + offset[s] and is multiplied by window[s],
// which carries frame_scale(): the even real transform wants half the window.
struct Frames {
  const real* samples;
  const int* offset;
  const real* window;
};
inline real frame_scale(const RealFft& t) { return t.n_fft % 2 ? real(1) : real(0.5); }

// Bins 0 .. n_fft / 2 of the frames. work: work_size() vectors.
void real_transform(const RealFft& t, const Frames& frames, V* work, const Bins& out);

// The adjoint: out[n] = sum over the bins f of Re(g_f exp(+2 pi i f n / n_fft)), n < n_fft. g holds bins of (re, im)
// and is overwritten.
void real_adjoint(const RealFft& t, V* g, V* work, V* out);

int64_t work_size(const RealFft& t);

}  // namespace FASTSPEC_NAMESPACE
