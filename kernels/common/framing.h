// Where a frame's samples lie: the rule that every machine follows.
#pragma once

#if defined(__CUDACC__)
#define FS_HOST_DEVICE __host__ __device__
#else
#define FS_HOST_DEVICE
#endif

namespace FASTSPEC_NAMESPACE {

enum PadMode : int { kPadNone = 0, kPadConstant = 1, kPadReflect = 2, kPadReplicate = 3, kPadCircular = 4 };

// The sample that stands at position s of a clip of T samples padded by `pad` on both sides, -pad <= s < T + pad;
// -1 where it is zero. Positions further right (frames that do not exist, in a lane that nobody reads) are zero too.
FS_HOST_DEVICE inline long long sample_at(long long s, long long T, long long pad, int mode) {
  if (s >= 0 && s < T) return s;
  if (s >= T + pad || s < -pad) return -1;
  switch (mode) {
    case kPadReflect:
      return s < 0 ? -s : 2 * (T - 1) - s;
    case kPadReplicate:
      return s < 0 ? 0 : T - 1;
    case kPadCircular:
      return s < 0 ? s + T : s - T;
    default:
      return -1;
  }
}

}  // namespace FASTSPEC_NAMESPACE
