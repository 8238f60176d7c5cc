#!/usr/bin/env python3
"""fairprune and PyTorch in turn on this machine's CPU: the ratios, and every run as a line of JSON.

    cargo build --release
    python3 benches/compare_pytorch.py [--rounds 5] [--seconds 5] [--threads 2]

$PYTHON names the interpreter that has PyTorch (default: python3). A round runs the training step of one,
then of the other, then scoring of one, then of the other; who begins changes from round to round. A
ratio is taken within each round, where both saw the same machine, and the table shows the median over
rounds with the smallest and largest. Raw runs go to benches/runs/DATE-CPU-cpu.jsonl.

--modes measures fairprune in f32 and bf16 beside four modes of PyTorch (eager and torch.compile, float32 and
bf16 autocast) instead, and compares both of ours with the fastest of theirs, round by round. Each rate is
also given as the share of what the processor reaches in a large matrix product of the mode's precision
(torch.mm, timed in the same round). torch.compile needs a C++ compiler.
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


def ours(args, arch, suite, precision="f32"):
    command = [args.binary, "bench", "--json", "--quiet", "--arch", arch, "--suite", suite]
    command += ["--device", "cpu", "--precision", precision]
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


# Multiply-adds of an image of 32 x 32 pixels; a training step takes three times as many.
MULTIPLY_ADDS = {"resnet20": 40.8e6, "resnet18": 555.4e6}
PASSES = {"train": 3, "forward": 1, "grand": 3}
MODES = [(mode, precision) for mode in ["eager", "compile"] for precision in ["f32", "bf16"]]
# Of the best of all modes: what is required and aimed at, on a processor with AMX and on others.
BEST = {True: {"train": (1.3, 2.5), "forward": (1.3, 2.5)}, False: {"train": (1.2, 1.5), "forward": (1.2, 1.5)}}
FLOATS = {"train": (1.2, 1.2), "forward": (1.2, 1.2)}

MATMUL = """
import json, sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
peak = {}
for name, dtype in [("f32", torch.float32), ("bf16", torch.bfloat16)]:
    a, b = torch.randn(2048, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
    torch.mm(a, b)
    best, end = 0, time.perf_counter() + 2
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b)
        best = max(best, 2 * 2048**3 / (time.perf_counter() - start))
    peak[name] = best
print(json.dumps(peak))
"""


def features():
    """Flags of /proc/cpuinfo that decide which products a processor has."""
    with open("/proc/cpuinfo") as file:
        flags = next((line for line in file if line.startswith("flags")), "").split()
    wanted = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"]
    return [flag for flag in wanted if flag in flags]


def measure_modes(args, arch, raw):
    """Rates of every round: {(side, precision or mode, work): [rate, ...]}, and peaks: {precision: [...]}."""
    found, peaks = {}, {"f32": [], "bf16": []}
    for round_ in range(args.rounds):
        peak = run([args.python, "-c", MATMUL, str(args.threads)])
        for precision, value in peak.items():
            peaks[precision].append(value)
        sides = [("fairprune", "f32"), ("fairprune", "bf16")] + [("pytorch", mode) for mode in MODES]
        if round_ % 2:
            sides.reverse()
        for side, mode in sides:
            print(f"{arch}: round {round_ + 1} of {args.rounds}, {side} {mode}", file=sys.stderr)
            if side == "fairprune":
                documents = [ours(args, arch, suite, mode) for suite in WORKS]
            else:
                kind, precision = mode
                command = [args.python, PEER, "--arch", arch, "--work", "train,forward"]
                command += ["--batch", args.batch, "--seconds", args.seconds]
                command += ["--threads", args.threads, "--mode", kind, "--precision", precision]
                documents = [run([str(word) for word in command])]
            for document in documents:
                for work, rate in rates(document).items():
                    found.setdefault((side, mode, work), []).append(rate)
                raw.write(document, round=round_, side=side, peak=peak)
    return found, peaks


def cell(values, suffix=""):
    return f"{show(median(values))} [{show(min(values))}, {show(max(values))}]{suffix}"


def report_modes(results):
    amx = "amx_bf16" in features()
    lines = [f"processor's features: {' '.join(features())}", ""]
    lines += ["| network, work | mode | images/s | share of matmul peak |", "|---|---|---|---|"]
    ratios_ = ["| network, work | ratio | median [least, most] |", "|---|---|---|"]
    for arch, (found, peaks) in results.items():
        for (side, mode, work), values in found.items():
            name = mode if side == "fairprune" else " ".join(mode)
            precision = mode if side == "fairprune" else mode[1]
            flops = 2 * MULTIPLY_ADDS[arch] * PASSES[work]
            shares = [rate * flops / peak for rate, peak in zip(values, peaks[precision])]
            share = f"{100 * median(shares):.0f} %"
            lines.append(f"| {arch} {work} | {side} {name} | {cell(values)} | {share} |")
        for work in ["train", "forward"]:
            theirs_ = {mode: found["pytorch", mode, work] for mode in MODES}
            best = [max(round_) for round_ in zip(*theirs_.values())]
            floats = [max(round_) for round_ in zip(theirs_["eager", "f32"], theirs_["compile", "f32"])]
            fastest = " ".join(max(MODES, key=lambda mode: median(theirs_[mode])))
            f32, bf16 = (found["fairprune", precision, work] for precision in ["f32", "bf16"])
            for title, a, b, bars in [
                (f"bf16 over PyTorch's best ({fastest})", bf16, best, BEST[amx]),
                ("f32 over PyTorch's best float32", f32, floats, FLOATS),
                ("bf16 over our f32", bf16, f32, {"train": (2.5, 5), "forward": (3, 5)} if amx else {}),
            ]:
                values = [x / y for x, y in zip(a, b)]
                mark = verdict(median(values), bars.get(work))
                ratios_.append(f"| {arch} {work} | {title} | {cell(values, mark)} |")
        norms = [found["fairprune", "bf16", work] for work in ["grand", "train"]]
        values = [x / y for x, y in zip(*norms)]
        mark = verdict(median(values), (1.0, 1.2))
        ratios_.append(f"| {arch} grand | bf16 over our bf16 training | {cell(values, mark)} |")
    return "\n".join(lines + [""] + ratios_)


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
    parser.add_argument("--modes", action="store_true", help="f32 and bf16 beside PyTorch's four modes")
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
        results[arch] = (measure_modes if args.modes else measure)(args, arch, raw)
    print((report_modes if args.modes else report)(results))
    print(f"\n{args.rounds} rounds, batch {args.batch}, {args.threads} threads; raw runs: {raw.path}")


if __name__ == "__main__":
    main()
