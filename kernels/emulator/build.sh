#!/usr/bin/env bash
# Builds the software CUDA device from the kernels of this checkout:
#
#   build.sh OUT_DIR [tests]     OUT_DIR/libcuda.so and OUT_DIR/images/<family>.fatbin
#
# With `tests` the device's own test kernels (tests/*.cu) are families, too. Needs g++ and binutils;
# CXX and JOBS (compilations at a time, default 2) are heeded. OBJECTS=DIR keeps the objects there
# and compiles again only those whose preprocessed source has changed.
set -euo pipefail

out=${1:?usage: build.sh OUT_DIR [tests]}
emulator=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kernels=$(dirname "$emulator")
export CXX=${CXX:-g++}

objects=${OBJECTS:-$out/objects}
mkdir -p "$out/images" "$objects"
out=$(cd "$out" && pwd)
objects=$(cd "$objects" && pwd)
rm -f "$out"/libcuda.so "$out"/images/*
if [ -z "${OBJECTS:-}" ]; then rm -f "$objects"/*; fi

export common="-std=c++17 -O2 -fPIC -fvisibility=hidden -fno-exceptions -fno-rtti -Wall -Wextra"
export runtime="-Wno-missing-field-initializers"
# The sanitizers' checks without their libraries: access.cpp has the hooks. What would merge or
# replace accesses before they are seen is off.
export kernel="-x c++ -DFAIRPRUNE_EMULATOR -I$kernels -g1 -ffp-contract=off -mfma -fno-math-errno \
  -fsanitize=thread,alignment --param=tsan-instrument-func-entry-exit=0 -fno-tree-vectorize \
  -fno-store-merging -fno-tree-loop-distribute-patterns -Wno-unknown-pragmas"

# compile SOURCE OBJECT
compile() {
    local flags=$common
    case $1 in
        *.cu) flags="$flags $kernel" ;;
        *) flags="$flags $runtime" ;;
    esac
    local key
    key=$({ echo "$flags"; $CXX $flags -E "$1"; } | sha256sum)
    if [ -f "$2" ] && [ "$(cat "$2.key" 2>/dev/null)" = "$key" ]; then return; fi
    rm -f "$2.key"
    $CXX $flags -c "$1" -o "$2"
    case $1 in
        *.cu)
            # Copies and fills that the compiler made calls are checked as well.
            objcopy --redefine-sym memcpy=emulator_memcpy --redefine-sym memset=emulator_memset \
                --redefine-sym memmove=emulator_memmove "$2" ;;
    esac
    echo "$key" > "$2.key"
}
export -f compile

families="$(ls "$kernels"/*.cu 2>/dev/null || true) $kernels/conformance/conformance.cu"
if [ "${2:-}" = tests ]; then families="$families $(ls "$emulator"/tests/*.cu)"; fi

for source in $families; do
    echo "$source $objects/family_$(basename "$source" .cu).o"
    family=$(basename "$source" .cu)
    printf 'fairprune software image %s\n' "$family" > "$out/images/$family.fatbin"
done > "$objects/list"
for source in "$emulator"/*.cpp; do
    echo "$source $objects/$(basename "$source" .cpp).o"
done >> "$objects/list"
for source in "$emulator"/driver/*.cpp; do
    echo "$source $objects/driver_$(basename "$source" .cpp).o"
done >> "$objects/list"

xargs -P "${JOBS:-2}" -L 1 bash -euo pipefail -c 'compile "$0" "$1"' < "$objects/list"

$CXX -shared -o "$out/libcuda.so" $(awk '{print $2}' "$objects/list") -Wl,-soname,libcuda.so -Wl,-z,defs \
    -Wl,--version-script="$emulator/exports.map"
if [ -z "${OBJECTS:-}" ]; then rm -r "$objects"; fi
