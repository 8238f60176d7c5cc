#!/usr/bin/env bash
# Whether this tree's program gives the bytes of another commit's: kept.npy, model.safetensors, scores.csv and
# what else decides later steps, for `run`, `prune`, `score`, `train` and `study` with the same seeds.
# Usage: scripts/compare-results.sh COMMIT [FOLDER]; builds both programs, about two minutes of running.
# BASE_PROGRAM and PROGRAM name programs that are built already.
set -euo pipefail
cd "$(dirname "$0")/.."
commit=${1:?usage: scripts/compare-results.sh COMMIT [FOLDER]}
folder=${2:-target/compare}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

build() { # tree -> program
    cargo build --release --locked --quiet --manifest-path "$1/Cargo.toml" --target-dir "$2"
    echo "$2/release/fairprune"
}
if [ -z "${BASE_PROGRAM:-}" ]; then
    [ -d "$folder/base" ] || git worktree add --detach "$folder/base" "$commit" >&2
    BASE_PROGRAM=$(build "$folder/base" "$folder/base-target")
fi
PROGRAM=${PROGRAM:-$(build . target)}
for program in "$BASE_PROGRAM" "$PROGRAM"; do
    [ -x "$program" ] || { echo "no program at $program" >&2; exit 2; }
done

study=$folder/study.toml
cat > "$study" <<'TOML'
[flags]
epochs = 1
width = 4
query-runs = 1
split = "holdout"
[[panel]]
data = "DATA"
arch = "resnet8"
[[panel.block]]
strategies = ["full", "random", "metriq", "el2n", "forgetting+uniform", "craig"]
density = [0.3, 0.6]
seeds = 2
[[claim]]
text = "Quotas help"
metric = "worst_class"
method = "metriq"
direction = "higher"
TOML
"$BASE_PROGRAM" data make shapes --per-class 40,12,12 --out "$folder/data" --quiet 2> /dev/null || true
sed -i "s|DATA|$folder/data|" "$study"

# Everything in a folder of its own per program, with the same relative names.
run_all() { # program folder
    local program=$1 out=$2
    rm -rf "$out"
    mkdir -p "$out"
    (
        cd "$out"
        set -x
        local data="--data $folder/data --device cpu --quiet" net="--arch resnet8 --width 4"
        "$program" run $data $net --epochs 2 --seeds 2 --density .3,.6 --out run \
            --strategies full,random,el2n,metriq,el2n+metriq,coreset+metriq,cdb-w
        "$program" run $data $net --epochs 12 --seeds 1 --query-runs 2 --out recorded \
            --strategies full,forgetting,aum+uniform,random+el2nq,craig
        "$program" train $data $net --epochs 2 --dynamics --out train
        "$program" train $data $net --epochs 2 --subset run/kept-metriq-d0.3-0.npy --out subset
        "$program" score $data $net --epochs 2 --runs 3 --method el2n,grand,ssp,cal --save-features --out score
        "$program" score $data --weights train/model.safetensors --method loss,margin,entropy --out weights
        "$program" score --quiet --dynamics train/dynamics --window 2 --method forgetting,aum --out dynamics
        "$program" prune --quiet --scores score --strategy el2n --density .4 --out pruned
        "$program" prune --quiet --scores score --strategy coreset --quota balanced --density .2 --out picked
        "$program" prune $data $net --epochs 2 --runs 2 --strategy grand --density .5 --out queried
        "$program" prune $data --quota uniform --density .5 --out random
        "$program" eval --data "$folder/data" --device cpu --weights train/model.safetensors > eval.txt
        "$program" study "$study" --device cpu --quiet --out study
    ) > "$out.log" 2>&1 || { tail -5 "$out.log" >&2; echo "failed: $out.log" >&2; exit 1; }
}
run_all "$BASE_PROGRAM" "$folder/before"
run_all "$PROGRAM" "$folder/after"

# What a later step reads, and what people take elsewhere; times, commits and digests of jobs apart.
wanted='\.(npy|safetensors)$|/(scores|recalls|classes|kept|picks|cells|failures|recalls-groups)[^/]*\.csv$|eval\.txt$'
differ=0 same=0
while read -r name; do
    [[ $name == */work/* ]] && continue
    if cmp -s "$folder/before/$name" "$folder/after/$name"; then
        same=$((same + 1))
    else
        echo "differs: $name"
        differ=$((differ + 1))
    fi
done < <(cd "$folder" && { (cd before && find . -type f); (cd after && find . -type f); } | sort -u | grep -E "$wanted")
echo "$same files the same, $differ differ ($(basename "$BASE_PROGRAM") of $commit and this tree's)"
[ "$differ" = 0 ] && [ "$same" -gt 100 ]
