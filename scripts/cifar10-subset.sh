#!/usr/bin/env bash
# The images of studies/cifar10.toml, from CIFAR-10 as JPEG folders (train/CLASS/*.jpg,
# test/CLASS/*.jpg): 1,000 training and 500 other (validation) images of each class, all test images.
#   scripts/cifar10-subset.sh CIFAR [OUT]
set -euo pipefail
cifar=$(cd "$1" && pwd)
tree=${2:-data/cifar10-10000}
if [ -e "$tree" ]; then
    echo "$tree is there already" >&2
    exit 1
fi
for class in "$cifar"/train/*/; do
    name=$(basename "$class")
    mkdir -p "$tree.part/train/$name" "$tree.part/val/$name"
    # Names sort as numbers: the first 1,000 train, the next 500 validate.
    find "$class" -name '*.jpg' | LC_ALL=C sort | sed -n 1,1000p | xargs cp -t "$tree.part/train/$name"
    find "$class" -name '*.jpg' | LC_ALL=C sort | sed -n 1001,1500p | xargs cp -t "$tree.part/val/$name"
done
cp -r "$cifar/test" "$tree.part/test"
mv "$tree.part" "$tree"
