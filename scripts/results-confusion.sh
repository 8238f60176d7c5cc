#!/usr/bin/env bash
# Recalls and confusion of full-data runs (ResNet-8 of width 8, the quick recipe), one line a data seed:
#   scripts/results-confusion.sh DATA OUT [DATA_SEEDS [TRAINING_SEEDS [more flags of fairprune train]]]
# FIRST=N starts with data seed N. Interrupted, the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1 out=$2 data_seeds=${3:-5} seeds=${4:-2}
mkdir -p "$out"
shift $(( $# > 4 ? 4 : $# ))
binary=${FAIRPRUNE:-target/release/fairprune}
[ -x "$binary" ] || cargo build --release
first=${FIRST:-0}
for (( d = first; d < first + data_seeds; d++ )); do
    for (( s = 0; s < seeds; s++ )); do
        run=$out/data-$d-seed-$s
        [ -e "$run.csv" ] && continue
        "$binary" train -q --data "$data" --data-seed "$d" --seed "$s" --arch resnet8 --width 8 \
            --out "$run" "$@" > "$run.log"
        "$binary" eval -q --data "$data" --data-seed "$d" --weights "$run/model.safetensors" \
            --confusion "$run.csv" > "$run.txt"
    done
    echo "data seed $d"
    python3 scripts/confusion.py -v "$out"/data-"$d"-seed-*.csv
done
echo "all"
python3 scripts/confusion.py -v "$out"/data-*-seed-*.csv
