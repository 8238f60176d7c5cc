#!/usr/bin/env bash
# Checks and measures on a machine with an NVIDIA GPU, nvcc and PyTorch; no Rust is needed there:
#   scripts/gpu-check.sh [--binary PATH] [--out DIR] [--within SECONDS] [--cap SECONDS] [--pack FILE] [PHASE...]
# Phases, most valuable first (all of them unless named):
#   selftest     every kernel against its float64 oracle
#   bf16         fairprune bench, bf16: whole steps, then every kernel beside its floor
#   conformance  records what each instruction of kernels/ptx.cuh returns on this card
#   ceilings     copy, L2, mma.sync, wgmma, launch gap
#   peers        PyTorch's modes: benches/peers/pytorch.py
#   streaming    images on the card and on the host: images a second, and the same weights
#   tune         every tile and form of each layer
#   bench        fairprune bench, bf16 without graphs, without early launches, with less fused; f32
#   memcheck, racecheck, initcheck, synccheck   compute-sanitizer on a reduced selftest
# Where a call has ten minutes, three calls do the most valuable part of it (each phase ends at its cap):
#   scripts/gpu-check.sh --within 570 --pack 1.tgz selftest conformance ceilings bf16
#   scripts/gpu-check.sh --within 570 --pack 2.tgz peers streaming
#   scripts/gpu-check.sh --within 570 --pack 3.tgz tune bench memcheck racecheck
# A phase is stopped at its cap (below, or --cap for all), with all that it started; what it wrote until then
# stays. --within bounds the whole: the last phases get what is left. --pack keeps DIR in one file, made
# anew after every phase. A summary comes last; the exit code is 1 if a phase failed or was stopped.
# The binary must carry its kernels: build it where nvcc is (scripts/cuda-toolkit.sh), then strip it (20 MB). It
# needs no other file, and a C library as new as the one it was built with.
set -uo pipefail
cd "$(dirname "$0")/.."
export binary=target/release/fairprune out=fairprune-out/gpu-check
declare -A cap=([selftest]=120 [bf16]=360 [conformance]=45 [ceilings]=45 [peers]=400 [streaming]=130 [tune]=240
    [bench]=200 [memcheck]=65 [racecheck]=65 [initcheck]=75 [synccheck]=75)
all=(selftest bf16 conformance ceilings peers streaming tune bench memcheck racecheck initcheck synccheck)
# Seconds that a stopped program has to write what it knows.
grace=15
phases=()
within=
pack=
while [ $# -gt 0 ]; do
    case $1 in
    --binary | --out | --within | --cap | --pack)
        [ $# -ge 2 ] || { echo "$1: found nothing, expected a value" >&2; exit 2; }
        case $1 in
        --binary) binary=$2 ;;
        --out) out=$2 ;;
        --pack) pack=$2 ;;
        *)
            [[ $2 =~ ^[1-9][0-9]*$ ]] || { echo "$1: found $2, expected seconds" >&2; exit 2; }
            if [ "$1" = --within ]; then within=$2; else for phase in "${all[@]}"; do cap[$phase]=$2; done; fi
            ;;
        esac
        shift 2
        ;;
    -*)
        echo "unknown option $1: expected --binary, --out, --within, --cap or --pack" >&2
        exit 2
        ;;
    *)
        [ -n "${cap[$1]:-}" ] || { echo "no phase $1; phases: ${all[*]}" >&2; exit 2; }
        phases+=("$1")
        shift
        ;;
    esac
done
[ ${#phases[@]} -gt 0 ] || phases=("${all[@]}")
version=$("$binary" --version) || { echo "$binary: expected a fairprune that runs here" >&2; exit 2; }
mkdir -p "$out"
export PYTHONUNBUFFERED=1 PATH="$PATH:/usr/local/cuda/bin:/usr/local/cuda/compute-sanitizer"
build=$(mktemp -d)
export build

compile() { # SOURCE PROGRAM
    nvcc -O3 --fmad=false -std=c++17 -Ikernels -gencode arch=compute_90a,code=sm_90a \
        -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=compute_80 -o "$build/$2" "$1"
}

selftest() {
    "$binary" selftest --device cuda > "$out/selftest.txt"
    local status=$?
    cat "$out/selftest.txt"
    # A kernel's fault fails every case after it: each operator again in a process of its own.
    if [ $status -ne 0 ]; then
        for operator in $(awk '/ (ok|FAILED) +[0-9.]+$/ { print $1 }' "$out/selftest.txt" | uniq); do
            echo "-- $operator alone"
            "$binary" selftest --device cuda --only "$operator::" | grep -v ' ok '
        done
    fi
    return $status
}

conformance() {
    compile kernels/conformance/record.cu record && "$build/record" > "$out/conformance.jsonl" || return
    wc -l "$out/conformance.jsonl"
}

ceilings() {
    compile kernels/ceilings/ceilings.cu ceilings || return
    "$build/ceilings" > "$out/ceilings.jsonl"
    local status=$?
    cat "$out/ceilings.jsonl"
    return $status
}

# Not to its last second: the table of what was measured follows.
peers() { python3 benches/peers/pytorch.py --budget $((seconds - 20)) --out "$out/peers.jsonl"; }

# `fairprune bench`, its document at the end of a file. No pipe: it writes what it has when it is stopped.
measured() { # FILE MORE...
    local file=$1
    shift
    echo "-- bench $*"
    "$binary" bench --device cuda --json -q "$@" >> "$out/$file"
}

# Images a second of whole steps, at the sizes that docs/performance.md aims at.
steps() { # FILE PRECISION ARCH MORE...
    local file=$1 precision=$2 arch=$3 sizes=(--image-size 32 --batch 512)
    shift 3
    [ "$arch" != resnet50 ] || sizes=(--image-size 224 --batch 256 --classes 1000)
    local failed=0
    # Apart, so that a wrong result of one leaves the other.
    for suite in train score; do
        measured "$file" --precision "$precision" --suite $suite --arch "$arch" "${sizes[@]}" --samples 10000 \
            --seconds 3 "$@" || failed=1
    done
    return $failed
}

layers() { # SUITE SECONDS ARCH MORE...
    local suite=$1 each=$2 arch=$3 sizes=(--image-size 32 --batch 512)
    shift 3
    [ "$arch" != resnet50 ] || sizes=(--image-size 224 --batch 256 --classes 1000)
    measured "$suite-$arch.json" --precision bf16 --suite "$suite" --arch "$arch" "${sizes[@]}" --seconds "$each" "$@"
}

bf16() {
    local failed=0
    for arch in resnet18 resnet50 resnet20 vgg16; do steps bf16.json bf16 $arch || failed=1; done
    for arch in resnet18 resnet50; do layers kernels .2 $arch || failed=1; done
    return $failed
}

tune() {
    local failed=0
    for arch in resnet18 resnet50; do layers tune .05 $arch || failed=1; done
    return $failed
}

streaming() {
    local failed=0
    for arch in resnet18 resnet50; do
        for images in device stream; do steps streaming.json bf16 $arch --images $images || failed=1; done
    done
    "$binary" data make shapes --per-class 1024,16,16 --out "$build/shapes" -q &&
        "$binary" data cache "$build/shapes" --out "$build/shapes.fpc" -q || return
    for images in device stream; do
        "$binary" train --data "$build/shapes.fpc" --device cuda --precision bf16 --arch resnet18 \
            --batch 512 --epochs 3 --images $images --out "$build/$images" -q > /dev/null || return
    done
    cmp "$build/device/model.safetensors" "$build/stream/model.safetensors" && echo "the same weights" || failed=1
    return $failed
}

bench() {
    local failed=0
    for without in --no-graphs --no-dependent-launch; do steps bench.json bf16 resnet18 $without || failed=1; done
    for fuse in none statistics gradients affine; do steps bench.json bf16 resnet18 --fuse $fuse || failed=1; done
    for arch in resnet18 resnet50 resnet20 vgg16; do steps bench.json f32 $arch || failed=1; done
    return $failed
}

sanitize() { # TOOL
    compute-sanitizer --tool "$1" --error-exitcode 9 "$binary" selftest --device cuda --reduced > "$out/$1.txt" 2>&1
    local status=$?
    tail -3 "$out/$1.txt"
    return $status
}
memcheck() { sanitize memcheck; }
racecheck() { sanitize racecheck; }
initcheck() { sanitize initcheck; }
synccheck() { sanitize synccheck; }

export -f compile measured steps layers sanitize "${all[@]}"
running=
# The group of `timeout`: whatever the phase started.
finish() {
    [ -z "$running" ] || kill -KILL -- "-$running" 2> /dev/null
    rm -rf "$build"
}
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
{
    echo "$version"
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.draw,power.limit --format=csv
    "$binary" doctor
} 2>&1 | tee "$out/card.txt"
summary=()
failures=0
for phase in "${phases[@]}"; do
    echo "== $phase"
    start=$SECONDS
    seconds=${cap[$phase]}
    if [ -n "$within" ]; then
        left=$((within - SECONDS - grace))
        if [ $left -lt $seconds ] && [ $left -lt 25 ]; then
            failures=$((failures + 1))
            summary+=("$(printf '%-12s not run: %s s of --within were left' "$phase" $((left > 0 ? left : 0)))")
            continue
        fi
        [ $seconds -le $left ] || seconds=$left
    fi
    : > "$out/$phase.log"
    # `timeout` leads a process group and stops all of it. The shell waits for the program that it runs, which may
    # write what it has, and then goes.
    seconds=$seconds timeout -k $grace "$seconds" bash -o pipefail -c "trap 'exit 143' TERM; $phase" \
        > "$out/$phase.log" 2>&1 &
    running=$!
    # Shows the log as it grows; it ends with the phase.
    tail -n +1 -s .2 -f --pid=$running "$out/$phase.log" &
    shown=$!
    wait $running
    status=$?
    kill -KILL -- "-$running" 2> /dev/null
    running=
    wait $shown
    [ $status -eq 0 ] || failures=$((failures + 1))
    how="exit $status"
    case $status in 124 | 137) how="stopped after $seconds s" ;; esac
    summary+=("$(printf '%-12s %-20s %4s s' "$phase" "$how" $((SECONDS - start)))")
    printf '%s\n' "${summary[@]}" > "$out/summary.txt"
    [ -z "$pack" ] || tar -czf "$pack" -C "$(dirname "$out")" "$(basename "$out")"
done
echo "== summary"
printf '%s\n' "${summary[@]}" | tee "$out/summary.txt"
[ -z "$pack" ] || tar -czf "$pack" -C "$(dirname "$out")" "$(basename "$out")"
exit $((failures > 0))
