#!/bin/sh
# build.sh [FOLDER]: compiles FOLDER/walks.wasm with Debian's Rust. Needs rustc libstd-rust-dev-wasm32 lld-14.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$here/build}
mkdir -p "$work"
# /usr/bin/rustc: a Rust of rustup knows the target as wasm32-wasip1 instead.
${RUSTC:-/usr/bin/rustc} --edition 2021 --target "${TARGET:-wasm32-wasi}" -O -C panic=abort -C strip=symbols \
  "$here/walks.rs" -o "$work/walks.wasm"
echo "$work/walks.wasm: $(wc -c < "$work/walks.wasm") bytes"
