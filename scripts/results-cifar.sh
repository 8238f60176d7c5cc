#!/usr/bin/env bash
# The main job's comparison on CIFAR-10 as JPEG folders (train/CLASS/*.jpg, test/CLASS/*.jpg):
#   scripts/results-cifar.sh CIFAR [OUT]
# 1,000 training and 500 other (validation) images of each class, all test images, ResNet-8,
# densities .3 and .5, 8 paired seeds. About half an hour on 2 cores; interrupted, it goes on.
set -euo pipefail
cifar=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
out=${2:-fairprune-out/results-cifar}
binary=${FAIRPRUNE:-target/release/fairprune}
[ -x "$binary" ] || cargo build --release
tree=$out/cifar-10000
if [ ! -d "$tree/test" ]; then
    for class in "$cifar"/train/*/; do
        name=$(basename "$class")
        mkdir -p "$tree/train/$name" "$tree/val/$name"
        # Names sort as numbers: the first 1,000 train, the next 500 validate.
        find "$class" -name '*.jpg' | sort | sed -n 1,1000p | xargs cp -t "$tree/train/$name"
        find "$class" -name '*.jpg' | sort | sed -n 1001,1500p | xargs cp -t "$tree/val/$name"
    done
    cp -r "$cifar/test" "$tree/test"
fi
"$binary" run --data "$tree" --arch resnet8 --epochs 6 --batch 128 --density .3,.5 --seeds 8 \
    --strategies full,random,metriq --out "$out/run" >&2
python3 scripts/results.py "$out/run/summary.json"
