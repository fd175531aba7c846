#!/bin/sh
# check.sh [OPTIONS OF SUBMIT]: 8 units; the largest lattice must come within 0.005 of the threshold 0.592746.
# Without options on this machine alone (run-local); with options, for example --join HOST, over the grid.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || export VERB=run-local
mkdir -p "$here/build"
"$here/run.sh" 8 "$@" | tee "$here/build/summary.txt"
awk '
  $1 == 256 { found = 1; off = $6 - 0.592746 }
  END {
    if (!found || off > 0.005 || off < -0.005) { print "WRONG: too far from the known threshold"; exit 1 }
    print "ok: within 0.005 of the known threshold 0.592746"
  }' "$here/build/summary.txt"
