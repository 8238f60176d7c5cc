#!/usr/bin/env bash
# Checks and measures on a machine with an NVIDIA GPU, nvcc and PyTorch; no Rust is needed there:
#   scripts/gpu-check.sh [--binary PATH] [--out DIR] [--archive FILE] [--cap SECONDS] [PHASE...]
# Phases, most valuable first (all of them unless named):
#   selftest     every kernel against its float64 oracle
#   bf16         fairprune bench, bf16: whole steps, then every kernel beside its floor, then forms of norms
#   conformance  records what each instruction of kernels/ptx.cuh returns on this card
#   ceilings     copy, L2, mma.sync, wgmma, launch gap
#   peers        PyTorch's modes: benches/peers/pytorch.py
#   tune         every tile and form of each layer; rows for src/ops/conv2d/cuda/bf16/tiles.txt
#   streaming    training on images from the card and from the host: seconds, and the same weights
#   bench        fairprune bench, f32, and bf16 with less fused, without graphs, without early launches
#   sanitizer    compute-sanitizer (memcheck, racecheck, initcheck, synccheck) on a reduced selftest
# A phase is stopped at its cap (default: see below); what it wrote until then stays, in DIR and after every
# phase in FILE, a .tar.gz of it. The summary comes last.
# The binary must carry its kernels: build it where nvcc is (scripts/cuda-toolkit.sh), then strip it.
set -uo pipefail
cd "$(dirname "$0")/.."
binary=target/release/fairprune
out=fairprune-out/gpu-check
archive=
declare -A cap=([selftest]=120 [bf16]=300 [conformance]=60 [ceilings]=60 [peers]=420 [tune]=400 [streaming]=120 [bench]=240 [sanitizer]=300)
phases=()
while [ $# -gt 0 ]; do
    case $1 in
    --binary) binary=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --archive) archive=$2; shift 2 ;;
    --cap) for phase in "${!cap[@]}"; do cap[$phase]=$2; done; shift 2 ;;
    -*) echo "unknown option $1: found in the arguments, expected --binary, --out, --archive or --cap" >&2; exit 2 ;;
    *) [ -n "${cap[$1]:-}" ] || { echo "no phase $1; phases: ${!cap[*]}" >&2; exit 2; }
       phases+=("$1"); shift ;;
    esac
done
[ ${#phases[@]} -gt 0 ] || phases=(selftest bf16 conformance ceilings peers tune streaming bench sanitizer)
mkdir -p "$out"
export PYTHONUNBUFFERED=1
build=$(mktemp -d)
pid=
trap 'rm -rf "$build"; [ -z "$pid" ] || kill -KILL -- -"$pid" 2> /dev/null' EXIT
trap 'exit 143' INT TERM
PATH=$PATH:/usr/local/cuda/bin:/usr/local/cuda/compute-sanitizer

compile() { # SOURCE PROGRAM
    nvcc -O3 --fmad=false -std=c++17 -Ikernels -gencode "arch=compute_90a,code=sm_90a" -gencode "arch=compute_80,code=sm_80" \
        -o "$build/$2" "$1"
}

selftest() { "$binary" selftest --device cuda; }

conformance() {
    compile kernels/conformance/record.cu record && "$build/record" > "$out/conformance.jsonl" &&
        wc -l "$out/conformance.jsonl"
}

ceilings() {
    compile kernels/ceilings/ceilings.cu ceilings && "$build/ceilings" | tee "$out/ceilings.jsonl"
}

peers() {
    python3 benches/peers/pytorch.py --budget $((cap[peers] - 60)) --out "$out/peers.jsonl"
}

steps() { # PRECISION ARCH MORE...
    local precision=$1 arch=$2 size=32 batch=512
    shift 2
    [ "$arch" != resnet50 ] || size=224 batch=256
    "$binary" bench --device cuda --precision "$precision" --suite train --suite score --arch "$arch" --batch $batch \
        --image-size $size --images 10000 --seconds 3 --json "$@"
}

# What fails does not keep the rest from being measured.
bf16() {
    local failed=0
    for arch in resnet18 resnet50 resnet20 vgg16; do
        steps bf16 $arch | tee -a "$out/bf16.jsonl" || failed=1
    done
    layers kernels .3 || failed=1
    return $failed
}

layers() { # SUITE SECONDS [write], at the batch sizes that docs/performance.md aims at; rows come on stderr, too
    local suite=$1 failed=0
    local args=(-v --device cuda --precision bf16 --suite "$suite" --seconds "$2" --json)
    "$binary" bench "${args[@]}" --arch resnet18 --batch 512 ${3:+--write "$out/tiles-resnet18.txt"} |
        tee "$out/bf16-$suite-resnet18.jsonl" || failed=1
    "$binary" bench "${args[@]}" --arch resnet50 --batch 256 --image-size 224 ${3:+--write "$out/tiles-resnet50.txt"} |
        tee "$out/bf16-$suite-resnet50.jsonl" || failed=1
    return $failed
}

tune() { layers tune .1 write; }

streaming() { # The same job with images on the card and on the host.
    "$binary" data make shapes --per-class 4096,64,64 --out "$build/shapes" -q &&
        "$binary" data cache "$build/shapes" --out "$build/shapes.fpc" -q || return
    for images in device stream; do
        "$binary" train --data "$build/shapes.fpc" --device cuda --precision bf16 --arch resnet18 \
            --batch 512 --epochs 5 --images $images --out "$build/$images" -q > /dev/null || return
        cp "$build/$images/summary.json" "$out/streaming-$images.json"
        echo "$images: $(grep train_seconds "$build/$images/summary.json")"
    done
    cmp "$build/device/model.safetensors" "$build/stream/model.safetensors" && echo "the same weights"
}

bench() {
    local failed=0
    for fuse in none statistics gradients affine; do
        steps bf16 resnet18 --fuse $fuse >> "$out/bench.jsonl" || failed=1
    done
    steps bf16 resnet18 --no-graphs >> "$out/bench.jsonl" || failed=1
    steps bf16 resnet18 --no-dependent-launch >> "$out/bench.jsonl" || failed=1
    for arch in resnet20 resnet18 vgg16 resnet50; do
        steps f32 $arch >> "$out/bench.jsonl" || failed=1
    done
    cat "$out/bench.jsonl"
    return $failed
}

sanitizer() {
    local failed=0
    for tool in memcheck racecheck initcheck synccheck; do
        timeout $((cap[sanitizer] / 4)) compute-sanitizer --tool $tool --error-exitcode 9 \
            "$binary" selftest --device cuda --reduced > "$out/sanitizer-$tool.log" 2>&1 || failed=1
        tail -2 "$out/sanitizer-$tool.log"
    done
    return $failed
}

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw --format=csv,noheader | tee "$out/card.txt"
# Every background job is a process group, which the cap ends with all that is in it.
set -m
summary=()
failures=0
for phase in "${phases[@]}"; do
    echo "== $phase"
    start=$SECONDS
    ( ( "$phase" ) 2>&1 | tee "$out/$phase.log" ) &
    pid=$!
    # What waits for the card may not hear the first signal.
    ( sleep "${cap[$phase]}"; kill -- -$pid; sleep 5; kill -KILL -- -$pid ) 2> /dev/null &
    watch=$!
    wait $pid; status=$?
    { kill -KILL -- -$pid; kill -- -$watch; wait $watch; } 2> /dev/null
    pid=
    [ $status -eq 0 ] || failures=$((failures + 1))
    summary+=("$(printf '%-12s exit %-3s %4s s' "$phase" "$status" $((SECONDS - start)))")
    printf '%s\n' "${summary[@]}" > "$out/summary.txt"
    [ -z "$archive" ] || tar -czf "$archive" -C "$out" .
done
echo "== summary"
cat "$out/summary.txt"
exit $((failures > 0))
