// Plans of the transforms: factors, twiddles, chirps. Made once for a length and type, in double precision, kept for
// the life of the process; the kernels only read them.
#pragma once

namespace fastspec {

constexpr int kMaxPasses = 18;
constexpr int kRadices[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 19, 20, 23, 29, 31};

// A complex transform of `points` as passes of codelets, radix[0] first. Between the passes element
// (k0, k1, ..., n_last) lies at sum(k_i pitch[i]) + n_last of the work buffer: residues found so far outside, what is
// still to be transformed inside. pitch[] is padded so that a column does not fall into one cache set.
template <class T> struct FftTables {
  int points, passes, extent;  // extent: complex elements of the work buffer
  int radix[kMaxPasses];       // product = points; passes >= 2
  int pitch[kMaxPasses];
  const T* twiddle[kMaxPasses];  // of pass i: [j][k] = exp(-2 pi i j k / (radix[i] * ... * radix[last])), (cos, sin)
  const int* position;           // [points / radix[0]]: offset of element j inside a block
  const int* row;  // [points / radix[last]]: offset of the last pass's row that ends in bins row + k * rows
  int rows;        // points / radix[last]
  // Bluestein, for a prime factor above 31: a cyclic convolution of convolution->points. Null otherwise.
  const FftTables* convolution;
  const T* chirp;           // [points]: exp(-i pi n^2 / points) as (cos, sin)
  const T* chirp_spectrum;  // [convolution->points]: transform of the inverse chirp / its length, (re, im)
};

// The real transform of n_fft samples: through n_fft / 2 complex points where n_fft is even, through n_fft otherwise.
template <class T> struct RealFftTables {
  int n_fft, bins;
  const FftTables<T>* fft;
  const T* post;  // [n_fft / 2 + 1]: exp(-2 pi i q / n_fft) as (cos, sin)
};

template <class T> const RealFftTables<T>& real_fft_tables(int n_fft);

}  // namespace fastspec
