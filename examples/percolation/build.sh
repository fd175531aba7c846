#!/bin/sh
# build.sh [FOLDER]: compiles FOLDER/percolation.wasm. Needs clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$here/build}
mkdir -p "$work"
clang-19 --target=wasm32-wasi -nostdlibinc -isystem /usr/include/wasm32-wasi -O2 -Wall -Wextra \
  "$here/percolation.c" -o "$work/percolation.wasm"
echo "$work/percolation.wasm: $(wc -c < "$work/percolation.wasm") bytes"
