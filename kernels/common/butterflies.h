// Small discrete Fourier transforms ("codelets"), written once for every machine.
//
// V is what one lane of work holds: a SIMD vector on the CPU, a float on a GPU. T is its scalar. All of them run in
// place on R values held apart as re[] and im[], input and output in natural order, forward sign exp(-2 pi i k n / R).
#pragma once

#if defined(__CUDACC__)
#define FS_INLINE __device__ __forceinline__
#define FS_FUNCTION __device__
#define FS_LAMBDA
#elif defined(FASTSPEC_CALLS)  // what is inlined everywhere takes sanitizers an hour to compile
#define FS_INLINE inline
#define FS_FUNCTION
#define FS_LAMBDA
#else
#define FS_INLINE __attribute__((always_inline)) inline
#define FS_FUNCTION
#define FS_LAMBDA __attribute__((always_inline))
#endif

namespace FASTSPEC_NAMESPACE {

// ---- compile-time loops and trigonometry -----------------------------------------------------------------------

template <int I> struct Index {
  static constexpr int value = I;
};

template <int Begin, int End, class Fn> FS_INLINE void unroll(Fn&& fn) {
  if constexpr (Begin < End) {
    fn(Index<Begin>{});
    unroll<Begin + 1, End>(fn);
  }
}

// sin and cos of 2 pi num / den, the angle first folded into [0, pi/4] in integers so that no bits are lost.
constexpr double taylor(double x, bool sine) {
  double term = sine ? x : 1.0, sum = term;
  for (int i = sine ? 2 : 1; i < 26; i += 2) {
    term *= -x * x / (double(i) * (i + 1));
    sum += term;
  }
  return sum;
}
constexpr double cos_turn(long long num, long long den) {
  num = (num % den + den) % den * 8;
  den *= 8;
  if (2 * num > den) num = den - num;
  const bool negative = 4 * num > den;
  if (negative) num = den / 2 - num;
  const double tau = 6.283185307179586476925286766559;
  const double value = 8 * num > den ? taylor(tau * double(den / 4 - num) / double(den), true)
                                     : taylor(tau * double(num) / double(den), false);
  return negative ? -value : value;
}
constexpr double sin_turn(long long num, long long den) { return cos_turn(4 * num - den, 4 * den); }

// (re + i im) * exp(-2 pi i num / den), both known at compile time.
template <int Num, int Den, class T, class V> FS_INLINE void rotate(V& re, V& im) {
  constexpr int n = Num % Den;
  if constexpr (n == 0) {
    return;
  } else if constexpr (4 * n == Den) {
    V t = re;
    re = im;
    im = -t;
  } else if constexpr (2 * n == Den) {
    re = -re;
    im = -im;
  } else if constexpr (4 * n == 3 * Den) {
    V t = re;
    re = -im;
    im = t;
  } else if constexpr (8 * n == Den || 8 * n == 3 * Den || 8 * n == 5 * Den || 8 * n == 7 * Den) {
    constexpr T h = T(0.70710678118654752440);
    constexpr T c = cos_turn(n, Den) > 0 ? h : -h, s = sin_turn(n, Den) > 0 ? h : -h;
    V a = (c == s ? re + im : re - im) * c;  // re c + im s
    V b = (c == s ? im - re : im + re) * c;  // im c - re s
    re = a;
    im = b;
  } else {
    constexpr T c = T(cos_turn(n, Den)), s = T(sin_turn(n, Den));
    V a = re * c + im * s;
    im = im * c - re * s;
    re = a;
  }
}

// ---- codelets ---------------------------------------------------------------------------------------------------

// Odd primes: pair x[k] with x[R-k]; cosines act on the sums, sines on the differences.
template <int R> struct Dft {
  template <class T, class V> static FS_INLINE void run(V* re, V* im) {
    constexpr int H = (R - 1) / 2;
    V sr[H], si[H], dr[H], di[H], r0 = re[0], i0 = im[0];
    unroll<0, H>([&](auto kk) FS_LAMBDA {
      constexpr int k = kk.value + 1;
      sr[k - 1] = re[k] + re[R - k];
      si[k - 1] = im[k] + im[R - k];
      dr[k - 1] = re[k] - re[R - k];
      di[k - 1] = im[k] - im[R - k];
    });
    unroll<0, H>([&](auto kk) FS_LAMBDA {
      re[0] += sr[kk.value];
      im[0] += si[kk.value];
    });
    unroll<0, H>([&](auto jj) FS_LAMBDA {
      constexpr int j = jj.value + 1;
      constexpr T s1 = T(sin_turn(j, R));
      V ar = r0, ai = i0, br = dr[0] * s1, bi = di[0] * s1;
      unroll<0, H>([&](auto kk) FS_LAMBDA {
        constexpr int k = kk.value + 1;
        constexpr T c = T(cos_turn(j * k, R)), s = T(sin_turn(j * k, R));
        ar += sr[k - 1] * c;
        ai += si[k - 1] * c;
        if constexpr (k > 1) {
          br += dr[k - 1] * s;
          bi += di[k - 1] * s;
        }
      });
      re[j] = ar + bi;
      im[j] = ai - br;
      re[R - j] = ar - bi;
      im[R - j] = ai + br;
    });
  }
};

template <> struct Dft<1> {
  template <class T, class V> static FS_INLINE void run(V*, V*) {}
};

template <> struct Dft<2> {
  template <class T, class V> static FS_INLINE void run(V* re, V* im) {
    V r = re[0], i = im[0];
    re[0] = r + re[1];
    im[0] = i + im[1];
    re[1] = r - re[1];
    im[1] = i - im[1];
  }
};

template <> struct Dft<4> {
  template <class T, class V> static FS_INLINE void run(V* re, V* im) {
    V ar = re[0] + re[2], ai = im[0] + im[2], br = re[0] - re[2], bi = im[0] - im[2];
    V cr = re[1] + re[3], ci = im[1] + im[3], dr = re[1] - re[3], di = im[1] - im[3];
    re[0] = ar + cr;
    im[0] = ai + ci;
    re[1] = br + di;
    im[1] = bi - dr;
    re[2] = ar - cr;
    im[2] = ai - ci;
    re[3] = br - di;
    im[3] = bi + dr;
  }
};

// The same for primes of 17 to 31 in loops, one function for all: unrolled they would double the time to compile.
template <class T, class V> FS_FUNCTION void large_prime(int R, const T* cosines, const T* sines, V* re, V* im) {
  const int H = R / 2;
  V sr[15], si[15], dr[15], di[15], r0 = re[0], i0 = im[0];
  for (int k = 1; k <= H; ++k) {
    sr[k - 1] = re[k] + re[R - k];
    si[k - 1] = im[k] + im[R - k];
    dr[k - 1] = re[k] - re[R - k];
    di[k - 1] = im[k] - im[R - k];
    re[0] += sr[k - 1];
    im[0] += si[k - 1];
  }
  for (int j = 1; j <= H; ++j) {
    const T *c = cosines + (j - 1) * H, *s = sines + (j - 1) * H;
    V ar = r0, ai = i0, br{}, bi{};
    for (int k = 0; k < H; ++k) {
      ar += sr[k] * c[k];
      ai += si[k] * c[k];
      br += dr[k] * s[k];
      bi += di[k] * s[k];
    }
    re[j] = ar + bi;
    im[j] = ai - br;
    re[R - j] = ar - bi;
    im[R - j] = ai + br;
  }
}
template <int R, class T> struct Turns {  // cos and sin of 2 pi j k / R, 1 <= j, k <= (R - 1) / 2
  static constexpr int H = R / 2;
  T cosine[H * H] = {}, sine[H * H] = {};
  constexpr Turns() {
    for (int j = 0; j < H; ++j)
      for (int k = 0; k < H; ++k) {
        cosine[j * H + k] = T(cos_turn((j + 1) * (k + 1), R));
        sine[j * H + k] = T(sin_turn((j + 1) * (k + 1), R));
      }
  }
};

template <int R> struct LargePrime {
  template <class T, class V> static FS_INLINE void run(V* re, V* im) {
    static constexpr Turns<R, T> turns;
    large_prime(R, turns.cosine, turns.sine, re, im);
  }
};

// R = A * B by Cooley and Tukey: B transforms of length A, rotations, A transforms of length B.
template <int A, int B> struct Composite {
  template <class T, class V> static FS_INLINE void run(V* re, V* im) {
    constexpr int R = A * B;
    V tr[R], ti[R];
    unroll<0, B>([&](auto bb) FS_LAMBDA {
      constexpr int b = bb.value;
      V ur[A], ui[A];
      unroll<0, A>([&](auto aa) FS_LAMBDA {
        ur[aa.value] = re[b + B * aa.value];
        ui[aa.value] = im[b + B * aa.value];
      });
      Dft<A>::template run<T>(ur, ui);
      unroll<0, A>([&](auto kk) FS_LAMBDA {
        constexpr int k = kk.value;
        rotate<k * b, R, T>(ur[k], ui[k]);
        tr[k * B + b] = ur[k];
        ti[k * B + b] = ui[k];
      });
    });
    unroll<0, A>([&](auto kk) FS_LAMBDA {
      constexpr int k = kk.value;
      V ur[B], ui[B];
      unroll<0, B>([&](auto bb) FS_LAMBDA {
        ur[bb.value] = tr[k * B + bb.value];
        ui[bb.value] = ti[k * B + bb.value];
      });
      Dft<B>::template run<T>(ur, ui);
      unroll<0, B>([&](auto mm) FS_LAMBDA {
        re[k + A * mm.value] = ur[mm.value];
        im[k + A * mm.value] = ui[mm.value];
      });
    });
  }
};

template <> struct Dft<6> : Composite<2, 3> {};
template <> struct Dft<8> : Composite<2, 4> {};
template <> struct Dft<9> : Composite<3, 3> {};
template <> struct Dft<10> : Composite<2, 5> {};
template <> struct Dft<12> : Composite<3, 4> {};
template <> struct Dft<15> : Composite<3, 5> {};
template <> struct Dft<16> : Composite<4, 4> {};
template <> struct Dft<17> : LargePrime<17> {};
template <> struct Dft<19> : LargePrime<19> {};
template <> struct Dft<20> : Composite<4, 5> {};
template <> struct Dft<23> : LargePrime<23> {};
template <> struct Dft<29> : LargePrime<29> {};
template <> struct Dft<31> : LargePrime<31> {};
template <> struct Dft<32> : Composite<4, 8> {};

}  // namespace FASTSPEC_NAMESPACE
