#!/usr/bin/env python3
"""PyTorch beside `fairprune bench`: the same networks, the same three kinds of work, on the CPU.

    pytorch_cpu.py --arch resnet20|resnet18 --work train,forward,grand [--batch 128] [--seconds 5]

channels_last; --mode is eager or compile (torch.compile, its default backend), --precision f32 or bf16
(autocast, which keeps parameters and their update in f32). Inputs are ready-made float batches, rotated; fairprune's rows also
decode, augment and normalise theirs, so the comparison favours PyTorch by that much.

train    cross-entropy, SGD with Nesterov momentum .9 and weight decay 5e-4, batch statistics
forward  EL2N: eval mode, no_grad, norm of softmax - onehot
grand    norm of each sample's full gradient by torch.func vmap(grad), eval mode, all parameters, in
         chunks of samples; without --chunk the fastest of a few sizes is taken; always eager and f32

Prints one JSON document with the rows of `fairprune bench --json`.
"""

import argparse
import contextlib
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, vmap

# At least this many bytes of float input, so that no cache holds the rotated batches.
WORKING_SET = 256_000_000
LEAST_REPEATS = 3
# Chunks of per-sample gradients that are tried, and the most bytes one may hold.
CHUNKS = [4, 8, 16, 32, 64, 128]
CHUNK_BYTES = 3_000_000_000
PARAMETERS = {"resnet20": 272_474, "resnet18": 11_173_962}


class Block(nn.Module):
    """torchvision's BasicBlock, with a projection where the shape changes."""

    def __init__(self, c, k, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c, k, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(k)
        self.conv2 = nn.Conv2d(k, k, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(k)
        self.downsample = None
        if stride != 1 or c != k:
            projection = nn.Conv2d(c, k, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(k))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet(nn.Module):
    """A 3x3 stem, stages of basic blocks with doubling channels, global pooling, a classifier."""

    def __init__(self, blocks, width, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        layers, c = [], width
        for stage, count in enumerate(blocks):
            for block in range(count):
                k = width << stage
                layers.append(Block(c, k, 2 if stage > 0 and block == 0 else 1))
                c = k
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(c, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight, 2**0.5)

    def forward(self, x):
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


def network(arch, classes):
    blocks, width = {"resnet20": ([3, 3, 3], 16), "resnet18": ([2, 2, 2, 2], 64)}[arch]
    model = ResNet(blocks, width, classes).to(memory_format=torch.channels_last)
    count = sum(p.numel() for p in model.parameters())
    if classes == 10 and count != PARAMETERS[arch]:
        sys.exit(f"{arch} has {count} parameters, expected {PARAMETERS[arch]} as in fairprune")
    for block in model.layers:
        nn.init.constant_(block.bn2.weight, 0.2)  # as in fairprune bench: moderate logits
    return model


def batches(batch, size, classes):
    count = max(2, -(-WORKING_SET // (batch * 3 * size * size * 4)))
    for_each = range(count)
    images = [torch.rand(batch, 3, size, size) for _ in for_each]
    images = [((x - 0.5) / 0.288675).contiguous(memory_format=torch.channels_last) for x in images]
    return images, [torch.randint(classes, (batch,)) for _ in for_each]


def autocast(precision):
    """Products in bf16, or nothing."""
    if precision == "bf16":
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def trainer(model, compiled, precision):
    optimiser = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=5e-4, nesterov=True)

    def step(x, y):
        with autocast(precision):
            logits = compiled(x)
        loss = F.cross_entropy(logits.float(), y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss.detach()

    model.train()
    return step


def el2n(model, compiled, precision, classes):
    def scores(x, y):
        with torch.no_grad():
            with autocast(precision):
                logits = compiled(x)
            p = torch.softmax(logits.float(), 1)
            return (p - F.one_hot(y, classes)).norm(dim=1)

    model.eval()
    return scores


def grand(model, chunk):
    model.eval()
    params = {name: p.detach() for name, p in model.named_parameters()}
    buffers = {name: b.detach() for name, b in model.named_buffers()}

    def loss(params, x, y):
        logits = functional_call(model, (params, buffers), (x.unsqueeze(0),))
        return F.cross_entropy(logits, y.unsqueeze(0))

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))

    def scores(x, y):
        parts = []
        for xs, ys in zip(x.split(chunk), y.split(chunk)):
            squares = [g.flatten(1).square().sum(1) for g in gradients(params, xs, ys).values()]
            parts.append(torch.stack(squares).sum(0).sqrt())
        return torch.cat(parts)

    return scores


def check_grand(model, scores, x, y):
    """One sample's norm by plain backward."""
    model.zero_grad()
    F.cross_entropy(model(x[:1]), y[:1]).backward()
    alone = sum(p.grad.square().sum() for p in model.parameters()).sqrt()
    together = scores(x[:2], y[:2])[0]
    if not torch.allclose(alone, together, rtol=1e-3):
        sys.exit(f"GraNd of one sample is {together} by vmap and {alone} by backward")
    model.zero_grad(set_to_none=True)


def best_chunk(model, batch, images, labels):
    """The fastest of a few chunk sizes, one chunk each after a warm-up chunk."""
    parameter_bytes = 4 * sum(p.numel() for p in model.parameters())
    speed = {}
    for chunk in CHUNKS:
        if chunk > batch or (speed and chunk * parameter_bytes > CHUNK_BYTES):
            break
        scores, x, y = grand(model, chunk), images[0][:chunk], labels[0][:chunk]
        scores(x, y)
        start = time.perf_counter()
        scores(x, y)
        speed[chunk] = chunk / (time.perf_counter() - start)
        if speed[chunk] < 0.8 * max(speed.values()):
            break  # larger ones only get slower
    return max(speed, key=speed.get)


def quantile(values, p):
    values = sorted(values)
    at = p * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def timed(work, images, labels, seconds):
    """Images a second of each repeat; the repeats before the clock starts warm up."""
    for i in range(2):
        result = work(images[i % len(images)], labels[i % len(images)])
        if not torch.isfinite(result).all():
            sys.exit("verification failed: a result is not finite")
    rates, i, begin = [], 0, time.perf_counter()
    while len(rates) < LEAST_REPEATS or time.perf_counter() - begin < seconds:
        x, y = images[i % len(images)], labels[i % len(images)]
        start = time.perf_counter()
        work(x, y)
        rates.append(len(y) / (time.perf_counter() - start))
        i += 1
    return rates


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", choices=sorted(PARAMETERS), required=True)
    parser.add_argument("--work", default="train,forward,grand,grand_chunked")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's default")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--chunk", type=int, default=0, help="samples of a vmap; 0: the fastest")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    images, labels = batches(args.batch, args.image_size, args.classes)
    rows = []
    for name in args.work.split(","):
        model = network(args.arch, args.classes)
        compiled = torch.compile(model) if args.mode == "compile" else model
        row = {"work": name}
        if name == "train":
            work = trainer(model, compiled, args.precision)
        elif name == "forward":
            work = el2n(model, compiled, args.precision, args.classes)
        elif name == "grand":
            check_grand(model, grand(model, 2), images[0], labels[0])
            work = grand(model, args.batch)
        elif name == "grand_chunked":
            row["chunk"] = args.chunk or best_chunk(model, args.batch, images, labels)
            work = grand(model, row["chunk"])
        else:
            sys.exit(f"--work {name}: expected train, forward, grand or grand_chunked")
        rates = timed(work, images, labels, args.seconds)
        median, p10, p90 = (quantile(rates, p) for p in (0.5, 0.1, 0.9))
        row["images_per_second"] = {"median": median, "p10": p10, "p90": p90}
        row["repeats"] = len(rates)
        rows.append(row)
    document = {
        "rows": rows,
        "arch": args.arch,
        "batch": args.batch,
        "precision": args.precision,
        "mode": args.mode,
        "image_size": args.image_size,
        "classes": args.classes,
        "threads": torch.get_num_threads(),
        "version": torch.__version__,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
