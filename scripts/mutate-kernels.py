#!/usr/bin/env python3
"""Shows that the operator tests see errors in kernels: twenty-one planted ones, each caught.

    scripts/mutate-kernels.py [--only NUMBER] [--test NAME] [--seconds LIMIT]

Each mutation changes one token (or drops one barrier) in a copy of kernels/; the software device is
built from the copy, and the tests of an operator (`cargo test --test ops_cuda`) run on it. First they
run on the unchanged copy, where they must pass. Prints a Markdown table; exit status 1 if a mutation
survives. Needs cargo, g++ and binutils.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Kind, file, the text, what replaces it, and the operator whose tests are to see it.
MUTATIONS = [
    ("tile step", "tile.cuh", "a.fetch(depth + DEPTH)", "a.fetch(depth)", "conv2d"),
    ("barrier dropped", "tile.cuh",
     "            multiply(shared, shared + B);\n            block_barrier();\n",
     "            multiply(shared, shared + B);\n", "conv2d"),
    ("bound", "conv2d_wgrad.cu", "if (column >= s.k) continue;", "if (column > s.k) continue;",
     "conv2d"),
    ("condition", "conv2d_grad_norm.cu", "sum += t < u ?", "sum += t <= u ?", "conv2d"),
    ("shuffle mask", "reduce.cuh", "int mask = 16;", "int mask = 8;", "loss_score"),
    ("atomic's operand", "loss_score.cu", "0, state[3] + 1)", "1, state[3] + 1)", "loss_score"),
    ("sign", "sgd.cu", "w.v[i] -= lr", "w.v[i] += lr", "sgd"),
    ("stride", "pool.cu", "((image * args.p + i) * args.q + j)",
     "((image * args.p + i) * args.p + j)", "pool"),
    ("index", "gather.cu", "shift(words.y,", "shift(words.w,", "gather"),
    ("barrier dropped", "channels.cuh",
     "    block_barrier();\n    return value;", "    return value;", "batch_norm"),
    ("group awaited", "mma_tile.cuh", "async_copy_wait<STAGES - 2>()",
     "async_copy_wait<STAGES - 1>()", "conv2d_bf16"),
    ("barrier dropped", "mma_tile.cuh",
     "            block_barrier();\n            // Into the stage", "            // Into the stage",
     "conv2d_bf16"),
    ("padding", "mma_operands.cuh", "sees && term < depth", "term < depth", "conv2d_bf16"),
    ("half row", "mma_tile.cuh", "odd ? second.v[e] : first.v[e]",
     "odd ? first.v[e] : second.v[e]", "conv2d_bf16"),
    ("image's edge", "mma_halo.cuh", "column + 1 < s.w", "column < s.w", "conv2d_bf16"),
    ("taps turned", "mma_halo.cuh", "SIGN > 0 ? tap", "SIGN < 0 ? tap", "conv2d_bf16"),
    ("padding", "mma_halo.cuh", "inside && from + term < lines.left", "from + term < lines.left",
     "conv2d_bf16"),
    ("box", "gather.cu", "(box.top + uint32_t(y)) *", "uint32_t(y) *", "gather"),
    ("staged image", "gather.cu", "args.staged[image] == source", "args.staged[image] >= source",
     "gather"),
    ("tap's end", "mma_operands.cuh", "end = term - tap.channel + channels",
     "end = term - tap.channel + channels + 8", "conv2d_bf16"),
    ("sample's end", "conv2d_grad_norm_bf16.cu", "end = begin + positions", "end = s.n * positions",
     "conv2d_bf16"),
]


def test_binary(name):
    """Builds a test and returns its path."""
    command = ["cargo", "test", "--locked", "--test", name, "--no-run", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.splitlines()
    for message in map(json.loads, lines):
        if message.get("executable") and message["target"]["name"] == name:
            return message["executable"]
    sys.exit(f"cargo named no binary of the test {name}")


def build(kernels, work):
    """Builds the software device of these kernels; only what has changed is compiled."""
    environment = {**os.environ, "OBJECTS": str(work / "objects")}
    script = kernels / "emulator/build.sh"
    built = subprocess.run(["bash", script, work / "device"], env=environment,
                           stderr=subprocess.PIPE, text=True, check=False)
    if built.returncode != 0:
        sys.exit(f"the software device does not build:\n{built.stderr}")


def finding(line):
    """What a line of output says was found, shortened; None for other lines."""
    match = re.match(r"(software device: .*)", line) or re.match(r".*failed: (\w+: .*)", line)
    return textwrap.shorten(match[1], 110, placeholder=" ...") if match else None


def run(binary, operator, work, limit):
    """Runs an operator's tests up to the first finding: (finding or None, seconds)."""
    environment = {**os.environ, "FAIRPRUNE_EMULATOR_BUILD": str(work / "device")}
    environment.pop("FAIRPRUNE_REQUIRE_CUDA", None)
    # All cases in this process: others would outlive it.
    environment["FAIRPRUNE_TEST_CASE"] = ""
    start = time.monotonic()
    command = ["timeout", str(limit), binary, "--exact", operator, "--nocapture"]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    found = None
    for line in child.stdout:
        found = finding(line)
        if found:
            child.terminate()
            break
    child.stdout.close()
    status = child.wait()
    if found is None and status == 124:
        sys.exit(f"{operator}: nothing found within {limit} s, and no end")
    if found is None and status != 0:
        sys.exit(f"{operator}: status {status} without a finding")
    return found, time.monotonic() - start


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ").strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, help="this mutation alone, counted from 1")
    parser.add_argument("--test", default="ops_cuda", help="test binary; operators are its tests")
    parser.add_argument("--seconds", type=int, default=300, help="limit of one run")
    arguments = parser.parse_args()

    binary = test_binary(arguments.test)
    chosen = [(i, m) for i, m in enumerate(MUTATIONS, 1) if arguments.only in (None, i)]
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        kernels = work / "kernels"
        shutil.copytree(ROOT / "kernels", kernels)
        build(kernels, work)
        for operator in sorted({m[4] for _, m in chosen}):
            found, seconds = run(binary, operator, work, arguments.seconds)
            if found:
                sys.exit(f"{operator} fails without a mutation: {found}")
            print(f"{operator}: passes unchanged, {seconds:.0f} s", file=sys.stderr)
        print("| | mutation | place | caught by | s |\n|-:|---|---|---|-:|")
        for number, (kind, name, old, new, operator) in chosen:
            path = kernels / name
            source = path.read_text()
            if source.count(old) != 1:
                sys.exit(f"{name}: {source.count(old)} places of {old!r}, expected 1")
            changed = source.replace(old, new)
            line = next(i for i, (a, b) in enumerate(
                zip(source.splitlines(), changed.splitlines()), 1) if a != b)
            path.write_text(changed)
            build(kernels, work)
            found, seconds = run(binary, operator, work, arguments.seconds)
            path.write_text(source)
            survivors += found is None
            dropped = "barrier" in kind
            what = kind if dropped else f"{kind}: `{cell(old)}` is `{cell(new)}`"
            caught = f"`{operator}`: {cell(found)}" if found else "**nothing**"
            print(f"| {number} | {what} | {name}:{line} | {caught} | {seconds:.0f} |", flush=True)
    if survivors:
        sys.exit(f"{survivors} of {len(chosen)} mutations survive")


if __name__ == "__main__":
    main()
