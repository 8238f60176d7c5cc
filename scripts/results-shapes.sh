#!/usr/bin/env bash
# MetriQ - Random on the built-in data over 5 data seeds x 4 training seeds:
#   scripts/results-shapes.sh [shapes|shapes:extreme|shapes:spread] [OUT] [more flags of fairprune run]
# About 2 minutes a data seed on 2 cores. Interrupted, the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-shapes}
out=${2:-fairprune-out/results-${data//:/-}}
shift $(( $# > 2 ? 2 : $# ))
binary=${FAIRPRUNE:-target/release/fairprune}
[ -x "$binary" ] || cargo build --release
for seed in 0 1 2 3 4; do
    "$binary" run -q --data "$data" --data-seed "$seed" --seeds 4 --out "$out/data-$seed" "$@" >&2
done
python3 scripts/results.py "$out"/data-*/summary.json
