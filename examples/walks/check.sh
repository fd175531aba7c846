#!/bin/sh
# check.sh [OPTIONS OF SUBMIT]: counts walks in units and compares with sequence A001411 of the OEIS.
# Without options on this machine alone (run-local); with options, for example --join HOST, over the grid.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || export VERB=run-local
failed=0
check() { # LENGTH UNITS COUNT [OPTIONS]
  length=$1 units=$2 known=$3
  shift 3
  count=$("$here/run.sh" "$length" "$units" "$@")
  if [ "$count" = "$known" ]; then
    echo "ok: $count walks of $length steps, from $units units"
  else
    echo "WRONG: $count walks of $length steps, not $known"
    failed=1
  fi
}
check 10 4 44100 "$@"
check 16 64 17245332 "$@"
check 18 64 124658732 "$@"
exit $failed
