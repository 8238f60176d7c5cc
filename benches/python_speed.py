#!/usr/bin/env python3
"""The Python package beside PyTorch and numpy, in one run: float32, channels last, all cores.

    python benches/python_speed.py [--rounds 5] [--quick] > benches/runs/NAME.json

Each round times every way once, so that what else the machine does hits them alike; a row is the ratio of the
medians. vmap(grad) runs in the chunk that was fastest. Needs torch, torchvision and the package.
"""

import argparse
import json
import multiprocessing
import platform
import resource
import statistics
import sys
import time

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import fairprune
from fairprune.torch import GradNorms


def network(size):
    model = torchvision.models.resnet18(num_classes=10)
    if size < 96:
        model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    return model.eval().to(memory_format=torch.channels_last)


def batch(n, size):
    x = torch.randn(n, 3, size, size).to(memory_format=torch.channels_last)
    return x, torch.randint(0, 10, (n,))


def plain(model, x, y):
    model.zero_grad(set_to_none=True)
    F.cross_entropy(model(x), y, reduction="sum").backward()


def ours(model, x, y, weight_gradients):
    model.zero_grad(set_to_none=True)
    with GradNorms(model, weight_gradients=weight_gradients) as g:
        F.cross_entropy(model(x), y, reduction="sum").backward()
        return g.norms()


def by_vmap(model, x, y, chunk):
    parameters = {k: v.detach() for k, v in model.named_parameters()}

    def squares(x, y):
        def objective(own):
            return F.cross_entropy(torch.func.functional_call(model, own, (x.unsqueeze(0),)), y.unsqueeze(0))

        gradients = torch.func.grad(objective)(parameters)
        return sum(g.pow(2).sum() for g in gradients.values())

    return torch.func.vmap(squares, chunk_size=chunk)(x, y).sqrt()


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(ways, rounds):
    for work in ways.values():
        work()
    times = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            times[name].append(seconds(work))
    return {name: statistics.median(values) for name, values in times.items()}


def peak(size, n, way):
    """Peak memory of one way in a process of its own, in bytes above that before it."""
    queue = multiprocessing.get_context("spawn").Queue()
    process = multiprocessing.get_context("spawn").Process(target=_peak, args=(size, n, way, queue))
    process.start()
    value = queue.get()
    process.join()
    return value


def _peak(size, n, way, queue):
    torch.manual_seed(0)
    model, (x, y) = network(size), batch(n, size)
    plain(model, x[:1], y[:1])
    ours(model, x[:1], y[:1], True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if way == "plain":
        plain(model, x, y)
    else:
        ours(model, x, y, True)
    queue.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


def norms_rows(size, n, rounds, quick):
    torch.manual_seed(0)
    model, (x, y) = network(size), batch(n, size)
    told = ours(model, x, y, True)
    exact = by_vmap(model, x[:2], y[:2], 1)
    assert torch.allclose(told[:2], exact, rtol=1e-4), (told[:2], exact)
    chunks = [1] if quick else [1, 4, 16]
    fastest = min(chunks, key=lambda c: seconds(lambda: by_vmap(model, x[: max(chunks)], y[: max(chunks)], c)))
    ways = {
        "forward + backward": lambda: plain(model, x, y),
        "GradNorms": lambda: ours(model, x, y, True),
        "GradNorms(weight_gradients=False)": lambda: ours(model, x, y, False),
        f"vmap(grad), chunk {fastest}": lambda: by_vmap(model, x, y, fastest),
    }
    times = interleaved(ways, rounds)
    base = times["forward + backward"]
    best = min(times["GradNorms"], times["GradNorms(weight_gradients=False)"])
    where = f"resnet18, {size} px, batch {n}"
    return times, [
        (f"GradNorms over vmap(grad), {where}", times[f"vmap(grad), chunk {fastest}"] / best, "times as fast", 4, 8),
        (f"overhead over forward + backward, {where}", times["GradNorms"] / base - 1, "of the time", 0.6, 0.25),
        (
            f"the same without parameters' gradients, {where}",
            times["GradNorms(weight_gradients=False)"] / base - 1,
            "of the time",
            0.6,
            0.25,
        ),
    ]


def array_rows(rounds):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 1000, 1_281_167)
    scores = rng.random(1_281_167)
    recalls = rng.uniform(0.4, 0.95, 1000)
    logits = rng.normal(size=(1024, 1000)).astype(np.float32)
    targets = rng.integers(0, 1000, 1024)

    def by_numpy():
        z = logits - logits.max(1, keepdims=True)
        e = np.exp(z)
        total = e.sum(1, keepdims=True)
        p = e / total
        rows = np.arange(len(targets))
        loss = np.log(total[:, 0]) - z[rows, targets]
        own = p[rows, targets]
        correct = logits.argmax(1) == targets
        others = logits.copy()
        others[rows, targets] = -np.inf
        margin = logits[rows, targets] - others.max(1)
        p[rows, targets] -= 1
        el2n = np.sqrt((p * p).sum(1))
        return loss, own, correct, margin, el2n

    def by_recorder():
        recorder = fairprune.Recorder(1024, 1000)
        recorder.update(np.arange(1024), logits, targets)

    ways = {
        "prune, MetriQ + random": lambda: fairprune.prune(labels, 0.3, recalls=recalls),
        "prune, MetriQ + scores": lambda: fairprune.prune(
            labels, 0.3, strategy="given", scores=scores, recalls=recalls
        ),
        "Recorder.update, 1,024 x 1,000": by_recorder,
        "the same by numpy": by_numpy,
    }
    times = interleaved(ways, max(rounds, 5))
    ratio = times["the same by numpy"] / times["Recorder.update, 1,024 x 1,000"]
    return times, [
        ("prune of 1,281,167 labels, MetriQ + random", times["prune, MetriQ + random"], "s", 0.5, 0.2),
        ("the same with scores", times["prune, MetriQ + scores"], "s", 0.5, 0.2),
        ("Recorder.update over numpy", ratio, "times as fast", 3, 10),
    ]


def print_rows(rows):
    for what, value, unit, bar, aim in rows:
        print(f"{value:8.2f} {unit:<14} {what} (bar {bar}, aim {aim})", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="no large images, one chunk")
    arguments = parser.parse_args()
    rounds, quick = arguments.rounds, arguments.quick
    peaks = {way: [] for way in ("ours", "plain")}
    for _ in range(max(rounds, 5)):
        for way, values in peaks.items():
            values.append(peak(32, 64, way))
    memory = statistics.median(peaks["ours"]) / statistics.median(peaks["plain"])
    work = [lambda: array_rows(rounds), lambda: norms_rows(32, 64, rounds, quick)]
    if not quick:
        work.append(lambda: norms_rows(224, 8, rounds, quick))
    parts = []
    for part in work:
        parts.append(part())
        print_rows(parts[-1][1])
    rows = [row for _, own in parts for row in own]
    rows.append(("peak memory over forward + backward, resnet18, 32 px, batch 64", memory, "x", 1.15, 1.05))
    with open("/proc/cpuinfo") as file:
        processor = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
    told = {
        "processor": processor,
        "instruction_set": fairprune._native.instruction_set(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "fairprune": fairprune.__version__,
        "rounds": rounds,
        "peak_bytes": peaks,
        "seconds": {name: value for times, _ in parts for name, value in times.items()},
        "rows": [dict(zip(("what", "value", "unit", "at_least", "aim"), row)) for row in rows],
    }
    json.dump(told, sys.stdout, indent=1)
    print()
    print_rows(rows[-1:])


if __name__ == "__main__":
    main()
