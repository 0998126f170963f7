#!/bin/sh
# The CUDA kernels on the host engine, under sanitizers and in three orders of threads: sanitize.sh PYTHON
# The sanitizers run side by side: most of their time is one g++ after another.
set -eu
export OMP_NUM_THREADS=1 ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1
cases="cuda and (linear_ops or power_shapes or int16 or ragged or half)"
tests="tests/test_host_cuda.py tests/test_cuda.py tests/test_ops.py"
python=$1

run() { # run BUILD:ORDER LIBRARY
  echo "host engine, $1"
  # shellcheck disable=SC2086
  FASTSPEC_HOST_CUDA=$1 LD_PRELOAD=$2 "$python" -m pytest -q -p no:cacheprovider $tests -k "test_host_cuda or $cases"
}

run plain:0 ""
run plain:1 ""
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run thread:1 "$(g++ -print-file-name=libtsan.so)" >"$log" 2>&1 &
thread=$!
failed=0
run address:0 "$(g++ -print-file-name=libasan.so)" || failed=1
wait $thread || failed=1
cat "$log"
exit $failed
