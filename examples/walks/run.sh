#!/bin/sh
# run.sh LENGTH UNITS [OPTIONS OF SUBMIT]: counts the self-avoiding walks of LENGTH steps over the grid, in UNITS units.
# MANYHANDS names the command (default: manyhands), VERB what it does: submit (default) or run-local.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
length=${1:?usage: run.sh LENGTH UNITS [OPTIONS OF SUBMIT]}
units=${2:?usage: run.sh LENGTH UNITS [OPTIONS OF SUBMIT]}
shift 2
work=$here/build
[ -f "$work/walks.wasm" ] || "$here/build.sh" "$work" >&2

wait=--wait
[ "${VERB:-submit}" = submit ] || wait=
# Without -o the outputs come one after another in the order of the units: here a count a line.
# shellcheck disable=SC2086
${MANYHANDS:-manyhands} "${VERB:-submit}" "$work/walks.wasm" --count "$units" $wait "$@" -- "$length" '{i}/{n}' |
  awk -v units="$units" '{ sum += $1 } END { if (NR != units) exit 1; printf "%d\n", sum }'
