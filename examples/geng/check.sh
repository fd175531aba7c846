#!/bin/sh
# check.sh [OPTIONS OF SUBMIT]: counts graphs in units and compares with sequence A000088 of the OEIS.
# Without options on this machine alone (run-local); with options, for example --join HOST, over the grid.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || export VERB=run-local
failed=0
check() { # VERTICES UNITS COUNT [OPTIONS]
  vertices=$1 units=$2 known=$3
  shift 3
  count=$("$here/run.sh" "$vertices" "$units" "$@")
  if [ "$count" = "$known" ]; then
    echo "ok: $count graphs with $vertices vertices, from $units units"
  else
    echo "WRONG: $count graphs with $vertices vertices, not $known"
    failed=1
  fi
}
check 7 4 1044 "$@"
check 8 16 12346 "$@"
check 9 32 274668 "$@"
exit $failed
