#!/bin/sh
# build.sh OUT [FLAGS]: compiles the programs of the corpus to OUT/*.wasm with Debian's packages
#   clang-19 lld-19 llvm-19 wasi-libc libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32
# The digests of the table (expected.json) are those of these modules; fuel may differ with another compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUT [FLAGS]}
shift
flags=$*
mkdir -p "$out"
# Assertions name the file that they stand in: by a name that is the same wherever the repository lies.
names="-ffile-prefix-map=$here=test/corpus"
wasi="--target=wasm32-wasi -nostdlibinc -isystem /usr/include/wasm32-wasi $names"

compile() { # NAME SOURCE FLAGS...
  name=$1 source=$2
  shift 2
  # shellcheck disable=SC2086
  clang-19 $wasi -O2 -g0 $flags "$@" "$source" -o "$out/$name.wasm" -lm
}

for source in "$here"/c/*.c; do
  compile "$(basename "$source" .c)" "$source"
done
compile memory-bulk "$here/c/memory.c" -mbulk-memory
compile convert-saturating "$here/c/convert.c" -mnontrapping-fptoint -msign-ext
# shellcheck disable=SC2086
clang++-19 --target=wasm32-wasi -nostdlibinc -isystem /usr/include/wasm32-wasi/c++/v1 -isystem /usr/include/wasm32-wasi \
  -O2 -fno-exceptions "$names" $flags "$here/c/shapes.cpp" -o "$out/shapes.wasm" -lc++ -lc++abi
for source in "$here"/tiny/*.c; do
  # shellcheck disable=SC2086
  clang-19 $wasi -Oz -g0 -Wl,--strip-all -Wl,-z,stack-size=8192 "$source" -o "$out/tiny-$(basename "$source" .c).wasm"
done
