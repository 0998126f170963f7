#include "tables.h"

#include <algorithm>
#include <atomic>
#include <complex>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "fastspec.h"

#define FASTSPEC_NAMESPACE fastspec
#include "../common/butterflies.h"

namespace fastspec {
namespace {

// Operations a point and pass, roughly: arithmetic of the codelet, its spills from about 16 on, one load, store and
// rotation for being a pass at all. Only the order of these numbers matters, and it was measured: three passes of 8 are
// faster than 16 and 32, whose spills cost more than a pass.
constexpr double kCosts[] = {2,    8,  10, 9.7,  12, 12.5, 16, 12, 15, 14.5, 25,  // of kRadices
                             14.5, 29, 17, 14.7, 40, 45,   18, 55, 70, 75};
// The first pass multiplies by the window, too, and the last one makes bins of points: what a radix above 13 spills
// costs more there.
constexpr int kRoomy = 13;
constexpr double kFirst = 5, kLast = 4.4;

double factorise(int points, std::vector<int>& chosen, std::map<int, std::pair<double, std::vector<int>>>& seen) {
  if (points == 1) {
    chosen.clear();
    return 0;
  }
  if (auto it = seen.find(points); it != seen.end()) {
    chosen = it->second.second;
    return it->second.first;
  }
  double best = -1;
  for (size_t i = 1; i < std::size(kRadices); ++i) {
    const int radix = kRadices[i];
    if (points % radix) continue;
    std::vector<int> rest;
    const double cost = factorise(points / radix, rest, seen);
    if (cost >= 0 && (best < 0 || cost + kCosts[i] < best)) {
      best = cost + kCosts[i];
      chosen = rest;
      chosen.insert(chosen.begin(), radix);
    }
  }
  seen[points] = {best, chosen};
  return best;  // -1: a prime factor is too large
}

// The radices of the passes, or none where a prime factor is too large. Of equal ones the larger come first and last.
std::vector<int> passes_of(int points) {
  std::map<int, std::pair<double, std::vector<int>>> seen;
  std::vector<int> best, middle;
  double least = 0;
  for (size_t i = std::size(kRadices); i-- > 0;)
    for (size_t j = std::size(kRadices); j-- > 0;) {
      const int first = kRadices[i], last = kRadices[j];
      if (points % (first * last)) continue;
      if ((first == 1 && last < points) || (last == 1 && points > 1)) continue;
      double cost = factorise(points / (first * last), middle, seen);
      if (cost < 0) continue;
      cost += kCosts[i] + kCosts[j] + (first > kRoomy) * kFirst + (last > kRoomy) * kLast;
      if (!best.empty() && cost >= least) continue;
      least = cost;
      best = middle;
      std::sort(best.rbegin(), best.rend());
      best.insert(best.begin(), first);
      best.push_back(last);
    }
  return best;
}

// Tables with the memory that they point to. Published when complete, then kept for the life of the process.
template <class T> struct OwnedFft : FftTables<T> {
  std::vector<std::vector<T>> numbers;
  std::vector<int> positions, rows_at;

  T* hold(std::vector<T> table) {
    numbers.push_back(std::move(table));
    return numbers.back().data();
  }
};
template <class T> struct OwnedRealFft : RealFftTables<T> {
  std::vector<T> posts;
};

// Plain recursive transform in double, for the chirp's spectrum alone.
void transform(std::vector<std::complex<double>>& v) {
  const int n = int(v.size());
  if (n == 1) return;
  int p = 2;
  while (n % p) ++p;
  const int m = n / p;
  std::vector<std::vector<std::complex<double>>> part(p, std::vector<std::complex<double>>(m));
  for (int i = 0; i < n; ++i) part[i % p][i / p] = v[i];
  for (auto& u : part) transform(u);
  for (int k = 0; k < n; ++k) {
    std::complex<double> sum = 0;
    for (int j = 0; j < p; ++j) {
      const long long t = (long long)j * k % n;
      sum += part[j][k % m] * std::complex<double>(cos_turn(t, n), -sin_turn(t, n));
    }
    v[k] = sum;
  }
}

std::mutex mutex;  // of building; looking up takes no lock

// A fork waits for a build to end, so that the child finds the mutex free.
#if defined(__unix__) || defined(__APPLE__)
[[maybe_unused]] const int at_fork =
    pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, [] { mutex.unlock(); });
#endif

template <class T> const FftTables<T>* fft_tables(int points) {  // called with the mutex held
  static auto& known = *new std::map<int, std::unique_ptr<const OwnedFft<T>>>;
  if (auto it = known.find(points); it != known.end()) return it->second.get();
  auto t = std::make_unique<OwnedFft<T>>();
  t->points = points;

  const std::vector<int> radices = passes_of(points);
  if (radices.empty()) {
    int length = 2 * points - 1;
    for (;; ++length) {  // the next length of factors 2, 3 and 5 that is a multiple of 16
      int rest = length;
      for (int p : {2, 3, 5})
        while (rest % p == 0) rest /= p;
      if (rest == 1 && (length % 16 == 0 || length < 256)) break;
    }
    t->convolution = fft_tables<T>(length);
    std::vector<T> chirp(2 * size_t(points));
    std::vector<std::complex<double>> kernel(length);
    for (long long n = 0; n < points; ++n) {
      const long long turn = n * n % (2LL * points);
      const double c = cos_turn(turn, 2LL * points), s = sin_turn(turn, 2LL * points);
      chirp[2 * n] = T(c);
      chirp[2 * n + 1] = T(s);
      kernel[n] = kernel[(length - n) % length] = std::complex<double>(c, s) / double(length);
    }
    transform(kernel);
    std::vector<T> spectrum(2 * size_t(length));
    for (int i = 0; i < length; ++i) {
      spectrum[2 * i] = T(kernel[i].real());
      spectrum[2 * i + 1] = T(kernel[i].imag());
    }
    t->chirp = t->hold(std::move(chirp));
    t->chirp_spectrum = t->hold(std::move(spectrum));
    return (known[points] = std::move(t)).get();
  }

  const int passes = t->passes = int(radices.size());
  for (int i = 0; i < passes; ++i) t->radix[i] = radices[i];
  int inner = t->radix[passes - 1];
  t->pitch[passes - 1] = 1;
  for (int i = passes - 2; i >= 0; --i) {
    t->pitch[i] = inner + 1;
    inner = t->radix[i] * t->pitch[i];
  }
  t->extent = inner;

  for (int i = 0, length = points; i < passes - 1; length /= t->radix[i++]) {
    const int r = t->radix[i], columns = length / r;
    std::vector<T> table(2 * size_t(length));
    for (int j = 0; j < columns; ++j)
      for (int k = 0; k < r; ++k) {
        table[2 * (j * r + k)] = T(cos_turn((long long)j * k, length));
        table[2 * (j * r + k) + 1] = T(sin_turn((long long)j * k, length));
      }
    t->twiddle[i] = t->hold(std::move(table));
  }

  const int columns = points / t->radix[0];
  t->positions.resize(columns);
  for (int j = 0; j < columns; ++j)
    for (int i = passes - 1, rest = j; i >= 1; rest /= t->radix[i--])
      t->positions[j] += rest % t->radix[i] * t->pitch[i];
  t->position = t->positions.data();
  t->rows = points / t->radix[passes - 1];
  t->rows_at.resize(t->rows);
  for (int q = 0; q < t->rows; ++q)
    for (int i = 0, rest = q; i < passes - 1; rest /= t->radix[i++]) t->rows_at[q] += rest % t->radix[i] * t->pitch[i];
  t->row = t->rows_at.data();
  return (known[points] = std::move(t)).get();
}

}  // namespace

template <class T> const RealFftTables<T>& real_fft_tables(int n_fft) {
  static std::atomic<const RealFftTables<T>*> known[FASTSPEC_MAX_N_FFT + 1];
  if (const auto* found = known[n_fft].load(std::memory_order_acquire)) return *found;
  std::lock_guard<std::mutex> lock(mutex);
  if (const auto* found = known[n_fft].load(std::memory_order_relaxed)) return *found;
  auto t = std::make_unique<OwnedRealFft<T>>();
  t->n_fft = n_fft;
  t->bins = n_fft / 2 + 1;
  t->fft = fft_tables<T>(n_fft % 2 ? n_fft : n_fft / 2);
  t->posts.resize(2 * size_t(t->bins));
  for (int q = 0; q < t->bins; ++q) {
    t->posts[2 * q] = T(cos_turn(q, n_fft));
    t->posts[2 * q + 1] = T(sin_turn(q, n_fft));
  }
  t->post = t->posts.data();
  known[n_fft].store(t.get(), std::memory_order_release);
  return *t.release();
}

template const RealFftTables<float>& real_fft_tables<float>(int);
template const RealFftTables<double>& real_fft_tables<double>(int);

}  // namespace fastspec
