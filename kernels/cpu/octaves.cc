// Constant-Q transforms octave by octave, and their adjoint: a clip with its edges is halved again and again by a
// half-band filter, and each part of the bins is read off its level. kLanes frames keep their sums in registers:
// forward a vector is one sample of kLanes / 2 complex rows, times splat samples of the frames; in the adjoint it is
// kLanes samples of a row, times splat values of the spectrum.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "ending.h"
#include "ops.h"

namespace FASTSPEC_NAMESPACE {
namespace {

constexpr int kRows = kLanes / 2;  // complex rows in a vector
constexpr int kBlock = 512;        // results of the half-band filter at a time
constexpr int kVectors = 4;        // of them in registers

// Samples low <= s < high, counted from the centre of frame 0; those of the clip and of its edges lie in
// begin <= s < end, the others are zero. Vectors may touch `margin` more on both sides, and frames that do not exist
// `slack` more behind.
struct Level {
  int64_t low = INT64_MAX, high = INT64_MIN, begin = 0, end = 0, margin = 0, slack = 0, offset = 0;
  int64_t size() const { return high - low + 2 * margin + slack; }
};

// Rows of one phase of a part as the products read them. Forward: `count` samples from `start` on, of `rows` rows;
// adjoint: kLanes samples from `start` on, of `rows` rows, `count` = 2 rows.
struct Piece {
  int64_t start, count, row, rows;
  size_t columns;
};
struct Phase {
  const fastspec_part* part;
  int64_t index, frames;
  std::vector<Piece> pieces;
};

struct Row {
  const real *re, *im;  // of sample n of the frame, start <= n < stop
  int64_t start, stop;
};
Row row_of(const fastspec_part& p, int64_t phase, int64_t k) {
  const int64_t f = phase * (p.rows.rows / p.phases) + k;
  const real* re = static_cast<const real*>(p.basis) + p.rows.offset[f] - p.rows.start[f];
  return {re, re + p.rows.taps, p.rows.start[f], p.rows.stop[f]};
}

// acc[i] += the sum over p of x[i si + p sp] times vector p.
FS_INLINE void accumulate(const real* x, int64_t si, int64_t sp, const real* vectors, int64_t count, V* acc) {
  for (int64_t p = 0; p < count; ++p, x += sp, vectors += kLanes) {
    const V v = load(vectors);
    unroll<0, kLanes>([&](auto i) FS_LAMBDA { acc[i.value] += splat(x[i.value * si]) * v; });
  }
}

class Octaves {
 public:
  explicit Octaves(const fastspec_octaves& o)
      : o_(o), filter_(static_cast<const real*>(o.filter)), middle_(o.filter_length / 2), side_(middle_ / 2 + 1) {
    for (int64_t i = 0; i < o.parts; ++i) {
      const fastspec_part& p = o.part[i];
      rows_ += p.rows.rows;
      taps_ += p.rows.taps;
      levels_.resize(std::max(levels_.size(), size_t(p.halvings) + 1));
      Level& level = levels_[size_t(p.halvings)];
      const int64_t last = (o.frames - 1) / p.phases * p.hop;
      level.low = std::min(level.low, p.first + *std::min_element(p.rows.start, p.rows.start + p.rows.rows));
      level.high = std::max(level.high, p.first + *std::max_element(p.rows.stop, p.rows.stop + p.rows.rows) + last);
      level.slack = std::max(level.slack, kLanes * (p.hop + 2 * kLanes));
      for (int64_t phase = 0; phase < p.phases && phase < o.frames; ++phase)
        phases_.push_back({&p, phase, (o.frames - phase + p.phases - 1) / p.phases, {}});
    }
    for (size_t l = levels_.size(); l-- > 0;) {
      levels_[l].margin = 2 * o.filter_length + 2 * kVectors * kLanes;
      if (l + 1 == levels_.size()) continue;
      levels_[l].low = std::min(levels_[l].low, 2 * levels_[l + 1].low - middle_);
      levels_[l].high = std::max(levels_[l].high, 2 * levels_[l + 1].high - 1 + middle_);
    }
    const bool zeros = o.pad_mode == FASTSPEC_PAD_NONE || o.pad_mode == FASTSPEC_PAD_CONSTANT;
    int64_t begin = -o.centre - (zeros ? 0 : o.reach), end = o.samples - o.centre + (zeros ? 0 : o.reach);
    for (Level& level : levels_) {
      level.begin = std::clamp(begin, level.low, level.high);
      level.end = std::clamp(end, level.begin, level.high);
      begin = (level.begin - middle_ + 1) >> 1;
      end = ((level.end - 1 + middle_) >> 1) + 1;
      level.offset = size_;
      size_ += (level.size() + kLanes - 1) / kLanes * kLanes;
    }
  }

  int64_t size() const { return size_; }  // of the levels of one clip
  int64_t levels() const { return int64_t(levels_.size()); }
  std::vector<Phase>& phases() { return phases_; }
  real* at(real* memory, int64_t l, int64_t s) const {
    const Level& level = levels_[size_t(l)];
    return memory + level.offset + level.margin + s - level.low;
  }
  void clear(real* memory, int64_t l) const {
    std::fill_n(memory + levels_[size_t(l)].offset, levels_[size_t(l)].size(), real(0));
  }
  void clear_outside(real* memory, int64_t l) const {
    const Level& level = levels_[size_t(l)];
    std::fill(at(memory, l, level.low), at(memory, l, level.begin), real(0));
    std::fill(at(memory, l, level.end), at(memory, l, level.high), real(0));
  }

  // Level 0 from a clip and its edges.
  void read(const real* x, real* memory) const {
    const Level& level = levels_[0];
    const auto [begin, end] = inside();
    real* to = at(memory, 0, 0);
    const auto edge = [&](int64_t s) {
      const int64_t t = sample(s);
      to[s] = t < 0 ? real(0) : x[t];
    };
    for (int64_t s = level.begin; s < std::min(begin, level.end); ++s) edge(s);
    std::copy(x + begin + o_.centre, x + end + o_.centre, to + begin);
    for (int64_t s = std::max(end, level.begin); s < level.end; ++s) edge(s);
    clear_outside(memory, 0);
  }
  // The adjoint of `read`.
  void write(real* memory, real* x) const {
    const Level& level = levels_[0];
    const auto [begin, end] = inside();
    const real* from = at(memory, 0, 0);
    std::fill(x, x + begin + o_.centre, real(0));
    std::copy(from + begin, from + end, x + begin + o_.centre);
    std::fill(x + end + o_.centre, x + o_.samples, real(0));
    const auto edge = [&](int64_t s) {
      const int64_t t = sample(s);
      if (t >= 0) x[t] += from[s];
    };
    for (int64_t s = level.begin; s < std::min(begin, level.end); ++s) edge(s);
    for (int64_t s = std::max(end, level.begin); s < level.end; ++s) edge(s);
  }

  // Level l + 1 from level l: b[n] = sum over d of h[d] a[2 n + d]; h is symmetric and, but for its middle, zero at
  // even d.
  void halve(int64_t l, real* memory) const {
    alignas(64) real even[kBlock + 2 * kMost + 6 * kLanes], odd[kBlock + 2 * kMost + 6 * kLanes];
    const Level& next = levels_[size_t(l) + 1];
    for (int64_t n = next.begin; n < next.end; n += kBlock) {
      const int64_t count = std::min<int64_t>(kBlock, next.end - n);
      const real* a = at(memory, l, 2 * (n - side_));
      for (int64_t i = 0; i < count + 2 * side_ + kVectors * kLanes; i += kLanes) {
        V e, o;
        unzip(a + 2 * i, e, o);
        store(even + i, e);
        store(odd + i, o);
      }
      real* b = at(memory, l + 1, n);
      for (int64_t i = 0; i < count; i += kVectors * kLanes) {
        V sum[kVectors];
        const real *e = even + side_ + i, *o = odd + side_ + i;
        unroll<0, kVectors>([&](auto u) FS_LAMBDA { sum[u.value] = load(e + u.value * kLanes) * filter_[middle_]; });
        for (int64_t j = 0; j < side_; ++j) {
          const real h = filter_[middle_ + 1 + 2 * j];
          unroll<0, kVectors>([&](auto u) FS_LAMBDA {
            sum[u.value] += h * (load(o + u.value * kLanes - 1 - j) + load(o + u.value * kLanes + j));
          });
        }
        unroll<0, kVectors>([&](auto u) FS_LAMBDA { store(b + i + u.value * kLanes, sum[u.value]); });
      }
    }
    clear_outside(memory, l + 1);
  }
  // The adjoint: level l + 1 added to level l.
  void unhalve(int64_t l, real* memory) const {
    const Level &level = levels_[size_t(l)], &next = levels_[size_t(l) + 1];
    const int64_t begin = std::max(next.begin - side_, level.begin >> 1);
    const int64_t end = std::min(next.end + side_, (level.end + 1) >> 1);
    for (int64_t n = begin; n < end; n += 2 * kLanes) {
      const real* b = at(memory, l + 1, n);
      V sum[2] = {};
      for (int64_t j = 0; j < side_; ++j) {
        const real h = filter_[middle_ + 1 + 2 * j];
        unroll<0, 2>([&](auto u) FS_LAMBDA {
          sum[u.value] += h * (load(b + u.value * kLanes - j) + load(b + u.value * kLanes + 1 + j));
        });
      }
      unroll<0, 2>([&](auto u) FS_LAMBDA {
        alignas(64) real pairs[2 * kLanes];
        zip(load(b + u.value * kLanes) * filter_[middle_], sum[u.value], pairs);
        real* a = at(memory, l, 2 * (n + u.value * kLanes));
        store(a, load(a) + load(pairs));
        store(a + kLanes, load(a + kLanes) + load(pairs + kLanes));
      });
    }
  }

  // Each phase's rows in panels of kRows, sample by sample: re0 im0 re1 im1 ...
  std::vector<real> pack_panels() {
    std::vector<real> packed;
    for (Phase& phase : phases_) {
      const int64_t rows = phase.part->rows.rows / phase.part->phases;
      for (int64_t first = 0; first < rows; first += kRows) {
        const int64_t count = std::min<int64_t>(kRows, rows - first);
        int64_t start = INT64_MAX, stop = 0;
        for (int64_t k = first; k < first + count; ++k) {
          const Row row = row_of(*phase.part, phase.index, k);
          start = std::min(start, row.start);
          stop = std::max(stop, row.stop);
        }
        phase.pieces.push_back({start, stop - start, first, count, packed.size()});
        packed.resize(packed.size() + size_t((stop - start) * kLanes));
        real* columns = packed.data() + phase.pieces.back().columns - start * kLanes;
        for (int64_t k = 0; k < count; ++k) {
          const Row row = row_of(*phase.part, phase.index, first + k);
          for (int64_t n = row.start; n < row.stop; ++n) {
            columns[n * kLanes + 2 * k] = row.re[n];
            columns[n * kLanes + 2 * k + 1] = row.im[n];
          }
        }
      }
    }
    return packed;
  }
  // Each phase's rows cut every kLanes samples, row by row: the real parts of kLanes samples, then the imaginary ones.
  // A piece has the rows up to the last that reaches into it.
  std::vector<real> pack_chunks() {
    std::vector<real> packed;
    packed.reserve(size_t(2 * (taps_ + 2 * kLanes * rows_)));
    for (Phase& phase : phases_) {
      const int64_t rows = phase.part->rows.rows / phase.part->phases;
      int64_t start = INT64_MAX, stop = 0;
      for (int64_t k = 0; k < rows; ++k) {
        const Row row = row_of(*phase.part, phase.index, k);
        start = std::min(start, row.start);
        stop = std::max(stop, row.stop);
      }
      for (int64_t n = start; n < stop; n += kLanes) {
        const size_t columns = packed.size();
        int64_t used = 0;
        for (int64_t k = 0; k < rows; ++k) {
          const Row row = row_of(*phase.part, phase.index, k);
          const int64_t begin = std::max(n, row.start), end = std::min(n + kLanes, row.stop);
          if (begin >= end) continue;
          used = k + 1;
          packed.resize(columns + size_t(2 * used * kLanes));
          real* to = packed.data() + columns + 2 * k * kLanes - n;
          if (end - begin == kLanes) {
            store(to + n, load(row.re + n));
            store(to + kLanes + n, load(row.im + n));
            continue;
          }
          std::copy(row.re + begin, row.re + end, to + begin);
          std::copy(row.im + begin, row.im + end, to + kLanes + begin);
        }
        if (used) phase.pieces.push_back({n, 2 * used, 0, used, columns});
      }
    }
    return packed;
  }

  // The bins of one phase of one clip: y [K, M] pairs and out [K, M], either may be null.
  void transform(const Phase& phase, const real* packed, real* memory, real* y, const Ending& ending, real* out) const {
    const fastspec_part& p = *phase.part;
    const Level& level = levels_[size_t(p.halvings)];
    alignas(64) real pairs[2 * kLanes];
    for (int64_t m = 0; m < phase.frames; m += kLanes) {
      const int64_t count = std::min<int64_t>(kLanes, phase.frames - m), at_m = p.first + m * p.hop;
      const real* x = at(memory, p.halvings, at_m);
      for (const Piece& piece : phase.pieces) {
        const int64_t from = std::max(piece.start, level.begin - at_m - (count - 1) * p.hop);  // zero before
        const int64_t until = std::min(piece.start + piece.count, level.end - at_m);
        V acc[kLanes] = {};
        accumulate(x + from, p.hop, 1, packed + piece.columns + (from - piece.start) * kLanes, until - from, acc);
        transpose(acc);
        for (int64_t k = 0; k < piece.rows; ++k) {
          const V re = acc[2 * k], im = acc[2 * k + 1];
          const int64_t to = (p.low + piece.row + k) * o_.frames + phase.index + m * p.phases;
          if (y) {
            zip(re, im, pairs);
            if (count == kLanes && p.phases == 1)
              std::copy_n(pairs, 2 * kLanes, y + 2 * to);
            else
              for (int64_t i = 0; i < count; ++i) std::copy_n(pairs + 2 * i, 2, y + 2 * (to + i * p.phases));
          }
          if (out) {
            const V power = re * re + im * im + ending.eps();
            const V v = ending.raise(ending.form() == kMagnitude ? square_root(power) : power);
            store(pairs, ending.logarithm() ? ending.compress(v) : v);
            if (count == kLanes && p.phases == 1)
              std::copy_n(pairs, kLanes, out + to);
            else
              for (int64_t i = 0; i < count; ++i) out[to + i * p.phases] = pairs[i];
          }
        }
      }
    }
  }
  // The adjoint: what y [K, M] gives to the phase's level is added there. Frames that are taken together lie kLanes
  // samples apart, so that no two of them touch the same vector. values: memory for 2 K kLanes numbers.
  void untransform(const Phase& phase, const real* packed, const real* y, real* values, real* memory) const {
    const fastspec_part& p = *phase.part;
    const Level& level = levels_[size_t(p.halvings)];
    const int64_t rows = p.rows.rows / p.phases, apart = (kLanes + p.hop - 1) / p.hop;
    for (int64_t block = 0; block < phase.frames; block += apart * kLanes)
      for (int64_t m = block; m < std::min(block + apart, phase.frames); ++m) {
        const int64_t count = std::min<int64_t>(kLanes, (phase.frames - m + apart - 1) / apart);
        for (int64_t k = 0; k < rows; ++k) {
          const real* from = y + 2 * ((p.low + k) * o_.frames + phase.index + m * p.phases);
          real *re = values + 2 * k * kLanes, *im = re + kLanes;
          if (count < kLanes) std::fill_n(re, 2 * kLanes, real(0));
          for (int64_t i = 0; i < count; ++i) {
            re[i] = from[2 * i * apart * p.phases];
            im[i] = from[2 * i * apart * p.phases + 1];
          }
        }
        for (const Piece& piece : phase.pieces) {
          const int64_t first = p.first + m * p.hop + piece.start, last = first + (count - 1) * apart * p.hop;
          if (first >= level.end || last + kLanes <= level.begin) continue;  // in no part of the clip
          V acc[kLanes] = {};
          accumulate(values, 1, kLanes, packed + piece.columns, piece.count, acc);
          real* to = at(memory, p.halvings, first);
          for (int64_t i = 0; i < count; ++i, to += apart * p.hop) store(to, load(to) + acc[i]);
        }
      }
  }

 private:
  static constexpr int64_t kMost = FASTSPEC_MAX_HALFBAND / 4 + 1;

  // Positions of level 0 that lie in the clip; where none does, its end that is nearer, twice.
  std::pair<int64_t, int64_t> inside() const {
    const int64_t begin = std::clamp<int64_t>(levels_[0].low + o_.centre, 0, o_.samples);
    const int64_t end = std::clamp(levels_[0].high + o_.centre, begin, o_.samples);
    return {begin - o_.centre, end - o_.centre};
  }
  // The sample of the clip that stands at position s; -1 where it is zero.
  int64_t sample(int64_t s) const {
    const int64_t t = s + o_.centre, T = o_.samples;
    if (t >= 0 && t < T) return t;
    if (t < -o_.reach || t >= T + o_.reach) return -1;
    if (o_.pad_mode == FASTSPEC_PAD_REPLICATE) return t < 0 ? 0 : T - 1;
    if (o_.pad_mode == FASTSPEC_PAD_CIRCULAR) return (t % T + T) % T;
    if (o_.pad_mode != FASTSPEC_PAD_REFLECT) return -1;
    if (t < 0 ? -t < T : 2 * T - 2 - t >= 0) return t < 0 ? -t : 2 * T - 2 - t;
    const int64_t period = std::max<int64_t>(1, 2 * (T - 1)), r = (t % period + period) % period;
    return std::min(r, period - r);
  }

  const fastspec_octaves& o_;
  const real* filter_;
  int64_t middle_, side_;  // of the filter: its middle tap, the free taps on each side
  int64_t size_ = 0, rows_ = 0, taps_ = 0;
  std::vector<Level> levels_;
  std::vector<Phase> phases_;
};

// Memory for some clips at a time; that of long ones is given back.
class Memory {
 public:
  explicit Memory(int64_t count) {
    const size_t bytes = size_t(count) * sizeof(real);
    if (bytes <= (size_t(32) << 20)) {
      numbers_ = static_cast<real*>(fastspec::scratch(bytes));
      return;
    }
    own_.reset(static_cast<real*>(std::malloc(bytes)));
    if (!own_) fastspec::no_memory();
    numbers_ = own_.get();
  }
  real* get() const { return numbers_; }

 private:
  struct Free {
    void operator()(real* p) const { std::free(p); }
  };
  std::unique_ptr<real, Free> own_;
  real* numbers_;
};

}  // namespace

// x [B, T] -> y, pairs [B, K, M], and out: what the ending makes of them, [B, K, M]. Either may be null.
void octaves_transform(const fastspec_octaves& o, const void* x, int64_t x_stride, void* y, const fastspec_ending* form,
                       void* out) {
  Octaves octaves(o);
  const std::vector<real> packed = octaves.pack_panels();
  const Ending ending(form ? *form : fastspec_ending{2, 0, 1, 0, 1, FASTSPEC_LOG_NONE, 0});
  const int64_t wave = std::min<int64_t>(o.clips, fastspec::threads_of(o.threads)), values = o.bins * o.frames;
  const Memory memory(wave * octaves.size());
  for (int64_t first = 0; first < o.clips; first += wave) {
    const int64_t clips = std::min(wave, o.clips - first), phases = int64_t(octaves.phases().size());
    parallel_for(clips, o.threads, [&](int64_t task) {
      real* levels = memory.get() + task * octaves.size();
      octaves.read(static_cast<const real*>(x) + (first + task) * x_stride, levels);
      for (int64_t l = 0; l + 1 < octaves.levels(); ++l) octaves.halve(l, levels);
    });
    parallel_for(clips * phases, o.threads, [&](int64_t task) {
      const int64_t clip = task / phases, at = (first + clip) * values;
      octaves.transform(octaves.phases()[size_t(task % phases)], packed.data(), memory.get() + clip * octaves.size(),
                        y ? static_cast<real*>(y) + 2 * at : nullptr, ending,
                        out ? static_cast<real*>(out) + at : nullptr);
    });
  }
}

// y, pairs [B, K, M] -> x [B, T].
void octaves_adjoint(const fastspec_octaves& o, const void* y, void* x) {
  Octaves octaves(o);
  const std::vector<real> packed = octaves.pack_chunks();
  const int64_t wave = std::min<int64_t>(o.clips, fastspec::threads_of(o.threads)), levels = octaves.levels();
  const int64_t values = 2 * o.bins * kLanes;
  const Memory memory(wave * (octaves.size() + levels * values));
  for (int64_t first = 0; first < o.clips; first += wave) {
    const int64_t clips = std::min(wave, o.clips - first);
    parallel_for(clips * levels, o.threads, [&](int64_t task) {
      const int64_t clip = task / levels, l = task % levels;
      real* numbers = memory.get() + clip * octaves.size();
      octaves.clear(numbers, l);
      for (const Phase& phase : octaves.phases())
        if (phase.part->halvings == l)
          octaves.untransform(phase, packed.data(),
                              static_cast<const real*>(y) + 2 * (first + clip) * o.bins * o.frames,
                              memory.get() + wave * octaves.size() + task * values, numbers);
    });
    parallel_for(clips, o.threads, [&](int64_t task) {
      real* numbers = memory.get() + task * octaves.size();
      for (int64_t l = levels - 1; l-- > 0;) octaves.unhalve(l, numbers);
      octaves.write(numbers, static_cast<real*>(x) + (first + task) * o.samples);
    });
  }
}

}  // namespace FASTSPEC_NAMESPACE
