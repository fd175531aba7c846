#!/bin/sh
# build.sh [FOLDER]: fetches the source of nauty from Debian's source archive and builds FOLDER/geng.wasm.
# Needs the packages clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 dpkg-dev. Changes nothing outside FOLDER.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$here/build}
mkdir -p "$work"
cd "$work"

if [ ! -d nauty ]; then
  # The system's own sources, read as source archives, with lists of their own.
  mkdir -p apt/parts apt/lists/partial
  for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
    [ -s "$file" ] || continue
    sed -e 's/^Types:.*/Types: deb-src/' -e 's/^deb /deb-src /' "$file" > "apt/parts/$(basename "$file" .list | sed 's/^sources$/sources.list/')"
  done
  options="-q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$PWD/apt/parts -o Dir::State::lists=$PWD/apt/lists -o APT::Sandbox::User=root"
  # shellcheck disable=SC2086
  apt-get $options update
  # shellcheck disable=SC2086
  apt-get $options source --only-source nauty
  rm -rf apt
  mv nauty-*/ nauty
fi

cd nauty
mkdir -p nauty # Debian's sources include <nauty/nauty.h>
for header in nauty naututil gtools; do
  sed -f "$here/wasi.sed" $header-h.in > nauty/$header.h
  if grep -n '@[A-Za-z_]*@' nauty/$header.h; then
    echo "$header-h.in asks for something that wasi.sed does not know" >&2
    exit 1
  fi
done
cp nau*.h schreier.h gutils.h nauty/
clang-19 --target=wasm32-wasi -nostdlibinc -isystem /usr/include/wasm32-wasi -O3 -w \
  -I. -Inauty -DMAXN=WORDSIZE -DWORDSIZE=32 -D_WASI_EMULATED_PROCESS_CLOCKS \
  geng.c gtools.c nauty.c nautil.c naugraph.c schreier.c naurng.c \
  -lwasi-emulated-process-clocks -o ../geng.wasm
echo "$work/geng.wasm: $(wc -c < ../geng.wasm) bytes"
