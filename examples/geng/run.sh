#!/bin/sh
# run.sh VERTICES UNITS [OPTIONS OF SUBMIT]: counts the graphs with VERTICES vertices over the grid, in UNITS units.
# MANYHANDS names the command (default: manyhands), VERB what it does: submit (default) or run-local.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vertices=${1:?usage: run.sh VERTICES UNITS [OPTIONS OF SUBMIT]}
units=${2:?usage: run.sh VERTICES UNITS [OPTIONS OF SUBMIT]}
shift 2
work=$here/build
[ -f "$work/geng.wasm" ] || "$here/build.sh" "$work"
results=$(mktemp -d "${TMPDIR:-/tmp}/geng.XXXXXX")
trap 'rm -rf "$results"' EXIT

wait=--wait
[ "${VERB:-submit}" = submit ] || wait=
# -u: count without printing the graphs; {i}/{n}: this unit's share, which geng calls res/mod.
# shellcheck disable=SC2086
${MANYHANDS:-manyhands} "${VERB:-submit}" "$work/geng.wasm" --count "$units" $wait -o "$results" --stderr "$@" \
  -- -u "$vertices" '{i}/{n}'
# Each unit says `>Z 187565 graphs generated in 0.00 sec` on standard error.
cat "$results"/*.stderr | sed -n 's/^>Z \([0-9]*\) graphs generated.*/\1/p' |
  awk -v units="$units" '{ sum += $1 } END { if (NR != units) exit 1; printf "%d\n", sum }'
