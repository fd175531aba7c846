#!/bin/sh
# run.sh UNITS [OPTIONS OF SUBMIT]: UNITS times the trials of lattices.txt over the grid; prints the threshold for each size.
# Tables and pictures of the units are left in build/results. MANYHANDS names the command (default: manyhands), VERB what
# it does: submit (default) or run-local.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
units=${1:?usage: run.sh UNITS [OPTIONS OF SUBMIT]}
shift
work=$here/build
[ -f "$work/percolation.wasm" ] || "$here/build.sh" "$work" >&2
rm -rf "$work/results"

wait=--wait
[ "${VERB:-submit}" = submit ] || wait=
# shellcheck disable=SC2086
${MANYHANDS:-manyhands} "${VERB:-submit}" "$work/percolation.wasm" --count "$units" --in "$here/lattices.txt" $wait \
  -o "$work/results" --layout '{i:04}/{name}' "$@" -- '{i}'
# Each unit printed `SIZE TRIALS SUM SQUARES` for every size.
cat "$work"/results/*/stdout | awk '
  { trials[$1] += $2; sum[$1] += $3; squares[$1] += $4 }
  END {
    for (size in trials) {
      mean = sum[size] / trials[size]
      error = sqrt((squares[size] / trials[size] - mean * mean) / trials[size])
      printf "%4d x %-4d %6d trials  %.5f +- %.5f\n", size, size, trials[size], mean, error
    }
  }' | sort -n
