// The walk over a batch that all adjoint ops share. `source` makes the gradient of a group's spectrum and returns what
// each bin of it is still to be multiplied by, or null; the adjoint transform turns it into samples; these are added
// where they lie in the polyphase matrix, which is a gather: every clip sample is one cell, written once, in one order.
// No atomics, the same bits for any number of threads.
//
// Threads share a clip by runs of groups. A run owns the samples at its own columns and first computes again the few
// groups before it whose frames reach into them.
#pragma once

#include "forward.h"

namespace FASTSPEC_NAMESPACE {

struct Group {
  int64_t clip, first, lanes;  // frames first .. first + lanes - 1
  Frames frames;               // their samples, where the walk was given a clip
  V* spectrum;                 // [bins][2], to be filled; lanes that do not exist are cleared by the walk
  V* work;                     // of work_size()
  V* spare;                    // of spare_size
};

// x may be null where neither source nor grad_window needs samples; one of grad_x, grad_window may be null. gain [T],
// if any, multiplies grad_x as it is written; what padding holds is then dropped, not folded back.
//
// Every sample is the sum of its frames in their order, first frame first, so it has the same bits wherever a walk
// begins: with any number of threads, and in streams, which begin anew at each push.
template <class Source>
void walk_adjoint(const fastspec_frames& f, const fastspec::Samples* x, const void* window, real* grad_x,
                  real* grad_window, int64_t spare_size, Source&& source, const real* gain = nullptr) {
  const Layout l(f);
  const RealFft& t = fastspec::real_fft_tables<real>(int(f.n_fft));
  const real* w = static_cast<const real*>(window);
  const FrameTables tables(l, w, f.win_length, frame_scale(t));
  const Preparation preparation(f, tables.frames(nullptr).taps);
  const int64_t groups = groups_of(f), n = f.n_fft, halo = l.units - 1, work = work_size(t);

  int64_t run = std::max<int64_t>(32, 16 * halo);
  if (grad_window) run = std::max(run, (groups * f.batch + 255) / 256);  // a bound on the partial sums
  const int64_t runs = (groups + run - 1) / run, tasks = f.batch * runs;

  const bool past = !gain && past_caches(f.batch * f.samples);
  const int64_t edges = grad_x ? 2 * l.pad : 0, sums = grad_window ? n : 0;
  std::unique_ptr<real, void (*)(void*)> shared(
      static_cast<real*>(std::calloc(size_t(f.batch * edges + tasks * sums) + 1, sizeof(real))), std::free);
  if (!shared) fastspec::no_memory();
  real *const edge = shared.get(), *const partial = edge + f.batch * edges;

  parallel_for(tasks, threads_for(f), [&](int64_t task) {
    const int64_t prepared = preparation.size() / kLanes;
    const int64_t vectors = work + prepared + 2 * t.bins + n + sums + spare_size;
    const int64_t reader = x ? Reader::memory(l) : 0;
    V* buffer =
        static_cast<V*>(fastspec::scratch(size_t(vectors * kLanes + l.size() + l.line() + reader) * sizeof(real)));
    V* spectrum = buffer + work + prepared;
    V* lanes = spectrum + 2 * t.bins;
    V* sum = lanes + n;
    V* spare = sum + sums;
    real* A = reinterpret_cast<real*>(spare + spare_size);
    real* line = A + l.size();
    const auto [clip, turn] = run_of(f, task, runs);
    const int64_t begin = turn * run, end = std::min(groups, begin + run);
    const int64_t start = grad_x ? std::max<int64_t>(0, begin - halo) : begin;
    real* clip_x = grad_x ? grad_x + clip * f.samples : nullptr;
    real* clip_edge = edge + clip * edges;

    const auto drain = [&](int64_t m) {
      drain_unit(l, A, m, clip_x, clip_edge, line, past);
      if (gain) {
        const int64_t begin = m * l.hop - l.pad, stop = std::min(begin + kLanes * l.hop, l.samples);
        for (int64_t s = std::max<int64_t>(0, begin); s < stop; ++s) clip_x[s] *= gain[s];
      }
    };

    std::fill_n(A, l.size(), real(0));
    std::fill_n(sum, sums, V{});
    static constexpr fastspec::Samples none{};
    Reader r(l, x ? *x : none, clip, line + l.line());

    for (int64_t g = start; g < end; ++g) {
      if (x) g == start ? r.start(g) : r.advance(g);
      const int64_t first = g * kLanes, exist = std::min<int64_t>(kLanes, f.frames - first);
      const Frames frames =
          x ? preparation.apply(tables.frames(r.samples(), r.ahead(g)), reinterpret_cast<real*>(buffer + work))
            : Frames{};
      V* scale = source(Group{clip, first, exist, frames, spectrum, buffer, spare});
      const auto clear = [&](V* v, int64_t count) {
        for (int64_t q = 0; q < count; ++q)
          for (int64_t i = exist; i < kLanes; ++i) v[q][i] = 0;
      };
      if (exist < kLanes) clear(spectrum, 2 * t.bins);
      if (exist < kLanes && scale) clear(scale, t.bins);
      real_adjoint(t, spectrum, scale, buffer, lanes);

      if (grad_window && g >= begin) {
        for (int64_t s = 0; s < n; ++s) {
          V product = lanes[s] * frames.sample(s);
          if (exist < kLanes)
            for (int64_t i = exist; i < kLanes; ++i) product[i] = 0;
          sum[s] += product;
        }
      }
      if (grad_x) {
        const Frames at = tables.frames(A);
        // From the last sample to the first, so that a cell gets its first frame first.
        const auto add = [&](int64_t s, V v) FS_LAMBDA {
          real* cell = A + at.taps[s].offset;
          store(cell, load(cell) + v);
        };
        if (preparation.needed()) {
          preparation.adjoint(lanes);
          for (int64_t s = n; s-- > 0;) add(s, lanes[s]);
        } else {
          for (int64_t s = n; s-- > 0;) add(s, lanes[s] * at.taps[s].weight);
        }
        if (g >= begin) drain(first);
        for (int64_t h = 0; h < l.rows; ++h) {
          shift_row(l, A, h);
          *reinterpret_cast<V*>(A + (h + 1) * l.pitch - kLanes) = V{};
        }
      }
    }
    if (grad_x && end == groups) {  // what the last frames left to the right, then zeros to the end of the clip
      for (int64_t u = 0; u < halo; ++u) {
        drain((groups + u) * kLanes);
        shift_units(l, A);
      }
      const int64_t stop = (groups + halo) * kLanes * l.hop - l.pad;
      if (stop < l.samples) std::fill(clip_x + std::max<int64_t>(0, stop), clip_x + l.samples, real(0));
    }
    for (int64_t s = 0; s < sums; ++s) {
      real total = 0;
      for (int i = 0; i < kLanes; ++i) total += sum[s][i];
      partial[(clip * runs + turn) * sums + s] = total;
    }
    stream_fence();
  });

  for (int64_t clip = 0; clip < f.batch && edges && !gain; ++clip)
    fold_edges(l, edge + clip * edges, grad_x + clip * f.samples);
  if (grad_window) {
    const int64_t left = (n - f.win_length) / 2;
    for (int64_t k = 0; k < f.win_length; ++k) {
      real total = 0;
      for (int64_t task = 0; task < tasks; ++task) total += partial[task * sums + left + k];
      grad_window[k] = total * frame_scale(t);
    }
  }
}

// The spectrum of a group out of y [F, M] pairs; two-sided bins fold onto their mirrors.
inline void load_spectrum(const fastspec_frames& f, const real* y, const Group& group) {
  const int64_t bins = f.n_fft / 2 + 1;
  const auto add = [&](int64_t row, V* to, real sign) {
    const real* p = y + 2 * (row * f.frames + group.first);
    __builtin_prefetch(p + 2 * kLanes);
    __builtin_prefetch(p + 3 * kLanes);
    V re{}, im{};
    if (group.lanes == kLanes) {
      unzip(p, re, im);
    } else {
      for (int64_t i = 0; i < group.lanes; ++i) {
        re[i] = p[2 * i];
        im[i] = p[2 * i + 1];
      }
    }
    to[0] += re;
    to[1] += im * sign;
  };
  for (int64_t q = 0; q < bins; ++q) {
    V* to = group.spectrum + 2 * q;
    to[0] = to[1] = V{};
    add(q, to, 1);
    if (!f.onesided && q > 0 && 2 * q < f.n_fft) add(f.n_fft - q, to, -1);
  }
}

}  // namespace FASTSPEC_NAMESPACE
