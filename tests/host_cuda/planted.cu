// Bugs that the host engine must catch, each beside the same kernel without it: a harness that catches nothing proves
// nothing. One block of 64 threads; `bug` chooses, `broken` switches it on. out [64] gets 63 - thread unless stated.
#include "machine.cuh"

namespace FASTSPEC_NAMESPACE {

enum Bug : int {
  kMissingBarrier,
  kBarrierInDivergentCode,
  kBarrierAfterEarlyExit,
  kSharedOutOfBounds,
  kGlobalReadOutOfBounds,
  kGlobalWriteOutOfBounds,
  kUninitialisedShared,
  kImplicitWarpSynchrony,
  kDivergentShuffle,
  kShuffleFromOutside,
  kCopyWithoutWait,
  kCopyWithoutBarrier,
  kCopyPendingAtExit,
  kUndefinedShift,
};

__global__ void planted_kernel(const float* in, float* out, int bug, int broken) {
  FS_SHARED(float, s);  // [64]
  const int t = int(threadIdx.x);
  switch (bug) {
    case kMissingBarrier:
      s[t] = float(t);
      if (!broken) __syncthreads();
      out[t] = s[63 - t];
      break;
    case kBarrierInDivergentCode:
      s[t] = float(t);
      if (broken && t < 32)
        __syncthreads();
      else
        __syncthreads();
      out[t] = s[63 - t];
      break;
    case kBarrierAfterEarlyExit:
      out[t] = float(63 - t);
      if (broken && t >= 50) return;
      __syncthreads();
      break;
    case kSharedOutOfBounds:
      s[t] = float(t);
      __syncthreads();
      if (broken && t == 5) s[64] = 1.0f;
      out[t] = s[63 - t];
      break;
    case kGlobalReadOutOfBounds:
      out[t] = in[63 - t + (broken && t == 0 ? 1 : 0)];
      break;
    case kGlobalWriteOutOfBounds:
      out[t] = float(63 - t);
      if (broken && t == 63) out[64] = 1.0f;
      break;
    case kUninitialisedShared:
      if (!broken || t != 7) s[t] = float(t);
      __syncthreads();
      out[t] = s[63 - t];
      break;
    case kImplicitWarpSynchrony: {
      s[t] = float(t);
      if (!broken) __syncwarp();
      const float other = s[t ^ 1];
      out[t] = float(63 - t) + (other - float(t ^ 1));
      break;
    }
    case kDivergentShuffle: {
      float v = float(t);
      if (!broken || t % 2 == 1) v = __shfl_xor_sync(0xffffffffu, v, 31);
      out[t] = float(t < 32 ? 32 : -32) + v;
      break;
    }
    case kShuffleFromOutside: {
      const unsigned half = t % 32 < 16 ? 0x0000ffffu : 0xffff0000u;
      const float v = __shfl_sync(half, float(t), (broken ? t + 16 : t) & 31);
      out[t] = 63.0f - v;
      break;
    }
    case kCopyWithoutWait:
      copy_async<4>(s + t, in + t);
      copy_commit();
      if (!broken) copy_wait<0>();
      __syncthreads();
      out[t] = s[63 - t];
      copy_wait<0>();
      break;
    case kCopyWithoutBarrier:
      copy_async<4>(s + t, in + t);
      copy_commit();
      copy_wait<0>();
      if (!broken) __syncthreads();
      out[t] = s[63 - t];
      break;
    case kCopyPendingAtExit:
      copy_async<4>(s + t, in + t);
      copy_commit();
      if (!broken) copy_wait<0>();
      out[t] = float(63 - t);
      break;
    case kUndefinedShift:
      out[t] = float(63 - t) + float((1 << (broken ? t : t % 31)) & 0);
      break;
  }
}

}  // namespace FASTSPEC_NAMESPACE
