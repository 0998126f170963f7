// Clips in memory, and which of their frames a block works on.
#pragma once

#include "machine.cuh"

namespace FASTSPEC_NAMESPACE {

constexpr int kThreads = 256;  // of a block, at most
// Blocks on a multiprocessor, at least. Said nothing, ptxas spills a few registers to make room for more of them.
template <class Real> constexpr int kBlocks = sizeof(Real) == 8 ? 1 : 2;

// Uniform clips: x [B, samples], spectra [B, rows, frames]. Ragged ones lie one after the other, x [sum of samples],
// spectra [rows, sum of frames], and clip b begins at sample_offsets[b] and at column frame_offsets[b].
struct Frames {
  long long samples, frames;        // T and M of every clip, or the sums of the ragged ones
  const long long* sample_offsets;  // [B + 1], or null
  const long long* frame_offsets;   // [B + 1], or null
  long long hop, pad;
  int n_fft, left, win_length;   // the window's first sample in the frame, and its samples
  int pad_mode, bins, onesided;  // bins: n_fft / 2 + 1
};

struct Clip {
  long long first, samples;  // in x
  long long column, frames;  // column: of its first frame in row 0 of a spectrum with `rows` rows
};

FS_INLINE Clip clip_of(const Frames& f, long long b, int rows) {
  if (f.sample_offsets == nullptr) return {b * f.samples, f.samples, b * rows * f.frames, f.frames};
  const long long first = f.sample_offsets[b], column = f.frame_offsets[b];
  return {first, f.sample_offsets[b + 1] - first, column, f.frame_offsets[b + 1] - column};
}

// The sample at position s of the padded clip, -pad <= s.
template <class Real, class Sample>
FS_INLINE Real sample(const Frames& f, const Clip& clip, const Sample* x, long long s) {
  const long long at = sample_at(s, clip.samples, f.pad, f.pad_mode);
  return at < 0 ? Real(0) : to_real<Real>(x[clip.first + at]);
}

// The window under sample n of the frame, 0 outside of it.
template <class Real> FS_INLINE Real window_at(const Frames& f, const Real* window, int n) {
  const int k = n - f.left;
  return k >= 0 && k < f.win_length ? window[k] : Real(0);
}

// A block is lanes x frames threads (x, y). In the transform a thread is a lane of one frame; before and after it,
// where spectra are read and written frame by frame, neighbouring threads take neighbouring frames.
struct Place {
  int lane, lanes, frame;   // in the transform
  int column, item, items;  // in spectra: the frame, and this thread's first item and step among its items
};

FS_INLINE Place place_of() {
  const int lanes = int(blockDim.x), frames = int(blockDim.y), thread = int(threadIdx.x + threadIdx.y * blockDim.x);
  return {int(threadIdx.x), lanes, int(threadIdx.y), thread % frames, thread / frames, lanes};
}

}  // namespace FASTSPEC_NAMESPACE
