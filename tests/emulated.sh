#!/usr/bin/env bash
# Runs tests/check.c under QEMU on processors that this machine is not: x86-64 with AVX2 and without AVX, and ARM64.
# Debian: apt-get install qemu-user g++-aarch64-linux-gnu
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/emulated
build() { # folder, cmake options
  cmake -S . -B "$out/$1" -G Ninja "${@:2}" >"$out/$1.log"
  cmake --build "$out/$1" >>"$out/$1.log"
}
mkdir -p "$out"

build x86
cc tests/check.c -o "$out/check-x86" -Ikernels/cpu -L"$out/x86" -lfastspec -lm
for cpu in Haswell Nehalem; do
  echo -n "$cpu, "
  LD_LIBRARY_PATH="$out/x86" qemu-x86_64 -cpu "$cpu" "$out/check-x86" 2>/dev/null
done

build arm64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
aarch64-linux-gnu-gcc tests/check.c -o "$out/check-arm64" -Ikernels/cpu -L"$out/arm64" -lfastspec -lm
echo -n "ARM64, "
qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$out/arm64" "$out/check-arm64"
