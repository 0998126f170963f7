#!/bin/sh
# The CUDA kernels on the host engine, under sanitizers and in three orders of threads: sanitize.sh PYTHON
set -eu
export OMP_NUM_THREADS=1 ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1
cases="cuda and (linear_ops or power_shapes or int16 or ragged or half)"
tests="tests/test_host_cuda.py tests/test_cuda.py tests/test_ops.py"
for build in plain:0 plain:1 address:0 thread:1; do
  case $build in
    plain*) preload= ;;
    address*) preload=$(g++ -print-file-name=libasan.so) ;;
    thread*) preload=$(g++ -print-file-name=libtsan.so) ;;
  esac
  echo "host engine, $build"
  # shellcheck disable=SC2086
  FASTSPEC_HOST_CUDA=$build LD_PRELOAD=$preload "$1" -m pytest -q -p no:cacheprovider $tests -k "test_host_cuda or $cases"
done
