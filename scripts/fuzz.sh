#!/usr/bin/env bash
# Every reader on mutated inputs: a million of each, or as many as the first argument says; further
# arguments name targets (`scripts/fuzz.sh 1000000 parquet pickles`). A finding is a number: the same
# input again with FAIRPRUNE_FUZZ_FIRST=NUMBER FAIRPRUNE_FUZZ_INPUTS=1 FAIRPRUNE_FUZZ_SHOW=1.
#
# The test build checks arithmetic and indices, so it is the one that is fuzzed, not the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
export FAIRPRUNE_FUZZ_INPUTS="${1:-1000000}"
export FAIRPRUNE_FUZZ_REPORT="${FAIRPRUNE_FUZZ_REPORT:-$PWD/target/fuzz.txt}"
shift || true
: > "$FAIRPRUNE_FUZZ_REPORT"
status=0
nice -n 15 cargo test --locked --quiet --test fuzz -- --test-threads "${FAIRPRUNE_FUZZ_THREADS:-1}" "$@" || status=$?
sort "$FAIRPRUNE_FUZZ_REPORT"
exit $status
