#!/usr/bin/env python3
"""fairprune and PyTorch in turn on this machine's CPU: the ratios, and every run as a line of JSON.

    cargo build --release
    python3 benches/compare_pytorch.py [--rounds 5] [--seconds 5] [--threads 2]

$PYTHON names the interpreter that has PyTorch (default: python3). A round runs the training step of one,
then of the other, then scoring of one, then of the other; who begins changes from round to round. A
ratio is taken within each round, where both saw the same machine, and the table shows the median over
rounds with the smallest and largest. Raw runs go to benches/runs/DATE-CPU-cpu.jsonl.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
from statistics import median

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = ROOT / "benches/peers/pytorch_cpu.py"
WORKS = {"train": ["train"], "score": ["forward", "grand", "grand_chunked"]}
# Rows of the table: what is compared, and per network the ratio that is required and aimed at, if any.
TARGETS = {
    "train": {"resnet20": (0.7, 1.0), "resnet18": (0.7, 1.0)},
    "forward": {"resnet20": (0.6, 0.9), "resnet18": (0.75, 1.0)},
    "grand": {"resnet20": (4, 8), "resnet18": (6, 9)},
    "grand_chunked": {},
    "grand over own train": {"resnet20": (0.9, 1.1), "resnet18": (0.9, 1.1)},
}
TITLES = {
    "train": "train over PyTorch's",
    "forward": "forward scoring over PyTorch's",
    "grand": "GraNd over vmap(grad) of the batch",
    "grand_chunked": "GraNd over vmap(grad) in its fastest chunks",
    "grand over own train": "GraNd over our own training",
}


def run(command):
    # Two thread pools of a size, and nothing else on the cores.
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {result.returncode}")
    return json.loads(result.stdout)


def ours(args, arch, suite):
    command = [args.binary, "bench", "--json", "--quiet", "--arch", arch, "--suite", suite]
    command += ["--batch", args.batch, "--seconds", args.seconds, "--threads", args.threads]
    return run([str(word) for word in command])


def theirs(args, arch, suite, chunks):
    command = [args.python, PEER, "--arch", arch, "--work", ",".join(WORKS[suite])]
    command += ["--batch", args.batch, "--seconds", args.seconds, "--threads", args.threads]
    command += ["--chunk", chunks.get(arch, 0)]
    document = run([str(word) for word in command])
    for row in document["rows"]:
        if "chunk" in row:
            chunks[arch] = row["chunk"]  # found once, kept for the later rounds
    return document


def rates(document):
    return {row["work"]: row["images_per_second"]["median"] for row in document["rows"]}


class Raw:
    """The file of raw runs, named when the first fairprune document tells the processor."""

    def __init__(self, path):
        self.path = path
        self.started = datetime.datetime.now()

    def write(self, document, **labels):
        if self.path is None:
            cpu = re.sub(r"[^a-z0-9]+", "-", document["machine"]["cpu"].lower()).strip("-")
            self.path = ROOT / "benches/runs" / f"{self.started:%Y-%m-%d}-{cpu}-cpu.jsonl"
            if self.path.exists():  # of an earlier call on this day
                self.path = self.path.with_stem(f"{self.path.stem}-{self.started:%H%M%S}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a") as file:
            file.write(json.dumps({**labels, **document}) + "\n")


def measure(args, arch, raw):
    """Rates of every round: {(side, work): [rate, ...]}."""
    found, chunks = {}, {}
    for round_ in range(args.rounds):
        for suite in WORKS:
            sides = ["fairprune", "pytorch"]
            if round_ % 2:
                sides.reverse()
            for side in sides:
                print(f"{arch}: round {round_ + 1} of {args.rounds}, {suite}, {side}", file=sys.stderr)
                if side == "fairprune":
                    document = ours(args, arch, suite)
                else:
                    document = theirs(args, arch, suite, chunks)
                for work, rate in rates(document).items():
                    found.setdefault((side, work), []).append(rate)
                raw.write(document, round=round_, side=side, suite=suite)
    return found


def ratios(found):
    """Ratios of each round."""
    own = {work: found["fairprune", work] for work in ["train", "forward", "grand"]}
    own["grand_chunked"] = own["grand"]
    table = {
        work: [a / b for a, b in zip(own[work], found["pytorch", work])] for work in own
    }
    table["grand over own train"] = [a / b for a, b in zip(own["grand"], own["train"])]
    return table


def show(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def verdict(value, bar):
    if bar is None:
        return ""
    required, aim = bar
    word = "aim met" if value >= aim else "met" if value >= required else "missed"
    return f"; {required}, aim {aim}: {word}"


def report(results):
    lines = ["| work | " + " | ".join(results) + " |", "|---" * (1 + len(results)) + "|"]
    for work, title in TITLES.items():
        cells = []
        for arch, found in results.items():
            values = ratios(found)[work]
            sides = [found["fairprune", work.replace("_", " ").split()[0]]]
            sides.append(found["fairprune", "train"] if " " in work else found["pytorch", work])
            a, b = (show(median(side)) for side in sides)
            cells.append(
                f"{show(median(values))} [{show(min(values))}, {show(max(values))}] "
                f"({a} / {b} images/s{verdict(median(values), TARGETS[work].get(arch))})"
            )
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", action="append", choices=["resnet20", "resnet18"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="a row, warm-up apart")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--binary", default=str(ROOT / "target/release/fairprune"))
    parser.add_argument("--out", type=pathlib.Path, help="raw runs [default: benches/runs/...]")
    args = parser.parse_args()
    args.python = os.environ.get("PYTHON", "python3")
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    if not os.access(args.binary, os.X_OK):
        parser.error(f"{args.binary}: no program there; cargo build --release, or give --binary")
    raw, results = Raw(args.out), {}
    for arch in args.arch or ["resnet20", "resnet18"]:
        results[arch] = measure(args, arch, raw)
    print(report(results))
    print(f"\n{args.rounds} rounds, batch {args.batch}, {args.threads} threads; raw runs: {raw.path}")


if __name__ == "__main__":
    main()
