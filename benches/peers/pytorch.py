#!/usr/bin/env python3
"""What PyTorch reaches on this GPU: the work of `fairprune bench`, in every mode that might be its best.

    pytorch.py [--nets resnet18,resnet50,vgg16] [--works train,forward,grand] [--budget 600] [--out rows.jsonl]

Networks: ResNet-18 with a 3x3 stem at 32, ResNet-50 at 224, VGG-16-BN with one linear layer at 32.

train    cross-entropy, SGD with Nesterov momentum .9 and weight decay 5e-4, batch statistics
forward  EL2N: eval mode, no_grad, norm of softmax - onehot
grand    norm of each sample's gradient with respect to all parameters, eval mode

Modes of train and forward, all channels_last:
  f32        eager, TF32 off          amp          eager, bf16 autocast
  tf32       eager, TF32 on           bf16         eager, bf16 weights
  amp_graph  amp in one CUDA graph    bf16_graph   bf16 in one CUDA graph
  amp_compile, bf16_compile           torch.compile, default mode
  amp_max, bf16_max                   torch.compile, mode max-autotune-no-cudagraphs, then one CUDA graph
Modes of grand: func_f32, func_tf32, func_bf16 (torch.func vmap(grad) in its fastest chunk), opacus
(if it is installed), train_rate (the best train row, for the ratio).

Inputs are ready-made batches on the device, rotated past the L2. One row of JSON a mode, flushed as it
comes; a mode that fails is a row with the error. A table is printed last.
"""

import argparse
import json
import os
import sys
import time
from statistics import median

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.func import functional_call, grad, vmap

SIZES = {"resnet18": 32, "resnet50": 224, "vgg16": 32}
CLASSES = {"resnet18": 10, "resnet50": 1000, "vgg16": 10}
BATCHES = {"resnet18": 512, "resnet50": 256, "vgg16": 512}
PARAMETERS = {"resnet18": 11_173_962, "resnet50": 25_557_032, "vgg16": 14_728_266}
# Most valuable first: one that takes seconds, so that no network is without a row, then those that compile.
MODES = ["amp_graph", "amp_max", "amp_compile", "bf16_max", "amp", "bf16_graph", "bf16_compile", "bf16", "tf32", "f32"]
GRAND_MODES = ["func_bf16", "func_tf32", "opacus", "func_f32"]
CHUNKS = [8, 16, 32, 64, 128, 256]
# Several times the L2 of any card.
WORKING_SET = 400_000_000


def network(name):
    if name == "resnet18":
        model = torchvision.models.resnet18(num_classes=CLASSES[name])
        model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    elif name == "resnet50":
        model = torchvision.models.resnet50(num_classes=CLASSES[name])
    else:
        model = torchvision.models.vgg16_bn()
        model.avgpool = nn.Identity()
        model.classifier = nn.Linear(512, CLASSES[name])
    count = sum(p.numel() for p in model.parameters())
    if count != PARAMETERS[name]:
        sys.exit(f"{name} has {count} parameters, expected {PARAMETERS[name]}")
    return model


def without_inplace(model):
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model


class Inputs:
    """Rotated batches of normalised images."""

    def __init__(self, name, batch, size, device, dtype):
        count = max(2, -(-WORKING_SET // (batch * 3 * size * size * dtype.itemsize)))
        count = min(count, 16) if device == "cuda" else 2
        make = lambda: torch.randn(batch, 3, size, size, device=device).to(dtype)
        self.x = [make().contiguous(memory_format=torch.channels_last) for _ in range(count)]
        self.y = [torch.randint(CLASSES[name], (batch,), device=device) for _ in range(count)]
        self.at = 0

    def next(self):
        self.at = (self.at + 1) % len(self.x)
        return self.x[self.at], self.y[self.at]


def synchronize():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def graphed(step, inputs):
    """`step` captured once on static inputs; each call copies a batch in and replays."""
    x, y = (t.clone() for t in inputs.next())
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(x, y)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step(x, y)

    def replay(bx, by):
        x.copy_(bx)
        y.copy_(by)
        graph.replay()
        return result

    return replay


def build(name, work, mode, args):
    """The step of one mode, and its inputs."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = mode != "f32"
    torch.backends.cudnn.benchmark = True
    torch._dynamo.reset()
    kind, _, form = mode.partition("_")
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    model = network(name).to(args.device, dtype, memory_format=torch.channels_last)
    model.train(work == "train")
    inputs = Inputs(name, args.batch or BATCHES[name], args.image_size or SIZES[name], args.device, dtype)
    forward = model
    if form in ("compile", "max"):
        forward = torch.compile(model, mode="max-autotune-no-cudagraphs" if form == "max" else None)
    autocast = lambda: torch.autocast(args.device, torch.bfloat16, enabled=kind == "amp", cache_enabled=False)
    if work == "forward":

        def step(x, y):
            with torch.no_grad(), autocast():
                p = torch.softmax(forward(x).float(), 1)
                return (p - F.one_hot(y, CLASSES[name])).norm(dim=1)
    else:
        optimiser = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=5e-4, nesterov=True, fused=args.device == "cuda")

        def step(x, y):
            with autocast():
                loss = F.cross_entropy(forward(x).float(), y)
            optimiser.zero_grad(set_to_none=False)
            loss.backward()
            optimiser.step()
            return loss.detach()

    if form in ("graph", "max"):
        step = graphed(step, inputs)
    return step, inputs


def grand_by_func(name, mode, args):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = mode != "func_f32"
    dtype = torch.bfloat16 if mode == "func_bf16" else torch.float32
    model = without_inplace(network(name)).to(args.device, dtype, memory_format=torch.channels_last).eval()
    params = {k: p.detach() for k, p in model.named_parameters()}
    buffers = {k: b.detach() for k, b in model.named_buffers()}

    def loss(params, x, y):
        logits = functional_call(model, (params, buffers), (x.unsqueeze(0),))
        return F.cross_entropy(logits.float(), y.unsqueeze(0))

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))

    def of_chunks(chunk):
        def step(x, y):
            parts = []
            for xs, ys in zip(x.split(chunk), y.split(chunk)):
                squares = [g.flatten(1).float().square().sum(1) for g in gradients(params, xs, ys).values()]
                parts.append(torch.stack(squares).sum(0).sqrt())
            return torch.cat(parts)

        return step

    batch = args.batch or BATCHES[name]
    inputs = Inputs(name, batch, args.image_size or SIZES[name], args.device, dtype)
    speed = {}
    for chunk in sorted({min(c, batch) for c in CHUNKS}):
        try:
            step, (x, y) = of_chunks(chunk), inputs.next()
            step(x[:chunk], y[:chunk])
            synchronize()
            start = time.perf_counter()
            step(x[:chunk], y[:chunk])
            synchronize()
            speed[chunk] = chunk / (time.perf_counter() - start)
        except torch.OutOfMemoryError:
            break
    best = max(speed, key=speed.get)
    return of_chunks(best), inputs, {"chunk": best}


def shortcut(block, x):
    return x if block.downsample is None else block.downsample(x)


def grand_by_opacus(name, args):
    from opacus.grad_sample import GradSampleModule
    from opacus.validators import ModuleValidator

    # Opacus refuses BatchNorm; its own replacement is GroupNorm, at about the same cost. Its hooks work in
    # train mode only, and do not bear torchvision's in-place addition.
    model = without_inplace(ModuleValidator.fix(network(name))).train()
    for module in model.modules():
        if isinstance(module, torchvision.models.resnet.BasicBlock):
            module.forward = lambda x, m=module: F.relu(shortcut(m, x) + m.bn2(m.conv2(F.relu(m.bn1(m.conv1(x))))))
        elif isinstance(module, torchvision.models.resnet.Bottleneck):
            inner = lambda x, m: m.conv2(F.relu(m.bn1(m.conv1(x))))
            module.forward = lambda x, m=module: F.relu(shortcut(m, x) + m.bn3(m.conv3(F.relu(m.bn2(inner(x, m))))))
    model = GradSampleModule(model.to(args.device, memory_format=torch.channels_last))
    batch = args.batch or BATCHES[name]
    inputs = Inputs(name, batch, args.image_size or SIZES[name], args.device, torch.float32)

    def step(x, y):
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y, reduction="sum").backward()
        squares = [p.grad_sample.flatten(1).square().sum(1) for p in model.parameters()]
        return torch.stack(squares).sum(0).sqrt()

    return step, inputs, {"note": "GroupNorm in place of BatchNorm"}


def time_step(step, inputs, seconds):
    """Images a second of each repeat, by events on the GPU."""
    for _ in range(5):
        result = step(*inputs.next())
    synchronize()
    if not torch.isfinite(result.float()).all():
        raise RuntimeError("verification failed: a result is not finite")
    rates, begin = [], time.perf_counter()
    cuda = torch.cuda.is_available()
    while len(rates) < 5 or time.perf_counter() - begin < seconds:
        count = 10 if cuda else 1
        if cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
        clock = time.perf_counter()
        for _ in range(count):
            x, y = inputs.next()
            step(x, y)
        if cuda:
            end.record()
            torch.cuda.synchronize()
            elapsed = start.elapsed_time(end) / 1e3
        else:
            elapsed = time.perf_counter() - clock
        rates.append(count * len(y) / elapsed)
    return sorted(rates)


def measure(name, work, mode, args):
    extra = {}
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    if work == "grand" and mode == "opacus":
        step, inputs, extra = grand_by_opacus(name, args)
    elif work == "grand":
        step, inputs, extra = grand_by_func(name, mode, args)
    else:
        step, inputs = build(name, work, mode, args)
    rates = time_step(step, inputs, args.seconds)
    at = lambda p: rates[min(len(rates) - 1, int(p * len(rates)))]
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    rate = {"median": median(rates), "p10": at(0.1), "p90": at(0.9)}
    return {"images_per_second": rate, "repeats": len(rates), "peak_bytes": peak, **extra}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default="resnet18,resnet50,vgg16")
    parser.add_argument("--works", default="train,forward,grand")
    parser.add_argument("--modes", help="of train and forward [default: all]")
    parser.add_argument("--grand-modes", help="of grand [default: all]")
    parser.add_argument("--batch", type=int, help="[default: 512; ResNet-50 256]")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--seconds", type=float, default=2.0, help="a row, warm-up apart")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds after which no row begins")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--out", help="rows as JSON lines [default: stdout]")
    args = parser.parse_args()
    torch.manual_seed(0)
    out = open(args.out, "a") if args.out else sys.stdout
    about = {"torch": torch.__version__, "device": args.device}
    if args.device == "cuda":
        about |= {"device": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    begin, best = time.perf_counter(), {}
    jobs = []
    for work in args.works.split(","):
        for name in args.nets.split(","):
            modes = (args.grand_modes or ",".join(GRAND_MODES)) if work == "grand" else (args.modes or ",".join(MODES))
            jobs += [(rank, name, work, mode) for rank, mode in enumerate(modes.split(","))]
    # The likely best mode of everything before the second of anything.
    for _, name, work, mode in sorted(jobs, key=lambda job: job[0]):
        row = {"net": name, "work": work, "mode": mode, "batch": args.batch or BATCHES[name]}
        row |= {"image_size": args.image_size or SIZES[name], **about}
        if time.perf_counter() - begin > args.budget:
            row["error"] = "not run: the time was up"
        else:
            clock = time.perf_counter()
            try:
                row |= measure(name, work, mode, args)
                rate = row["images_per_second"]["median"]
                if rate > best.get((work, name), ("", 0))[1]:
                    best[work, name] = (mode, rate)
            except Exception as error:  # a mode that does not work is a finding, too
                row["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            row["wall_seconds"] = round(time.perf_counter() - clock, 1)
        print(json.dumps(row), file=out, flush=True)
    for (work, name), (mode, rate) in sorted(best.items()):
        print(f"{work:8} {name:9} {rate:10.1f} images/s  {mode}", file=sys.stderr)


if __name__ == "__main__":
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    main()
