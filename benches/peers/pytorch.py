#!/usr/bin/env python3
"""What PyTorch reaches on this GPU: the work of `fairprune bench`, in every mode that might be its best.

    pytorch.py [--nets resnet18,resnet50,vgg16] [--works train,forward,grand] [--budget 600] [--out rows.jsonl]

Networks: ResNet-18 with a 3x3 stem at 32, ResNet-50 at 224, VGG-16-BN with one linear layer at 32.

train    cross-entropy, SGD with Nesterov momentum .9 and weight decay 5e-4, batch statistics; a whole step
forward  EL2N: eval mode, no_grad, norm of softmax - onehot
grand    norm of each sample's gradient with respect to all parameters, eval mode

Modes of train and forward, all channels_last, are a number format and how it is run:
  f32      TF32 off                     graph    the whole step in one CUDA graph, else eager
  tf32     TF32 on                      compile  torch.compile, default mode
  amp      bf16 autocast                max      torch.compile, max-autotune-no-cudagraphs
  bf16     bf16 weights
  fold     bf16 weights, batch norm folded into the convolutions (forward alone)
Modes of grand: func_f32, func_tf32, func_bf16 (torch.func vmap(grad) in its fastest chunk; _tuned: with
cudnn.benchmark), opacus (if it is installed).

Inputs are ready-made float batches on the device, rotated past the L2: nothing is gathered, augmented or
normalised, which `fairprune bench` does from 8-bit images. One row of JSON a mode, flushed as it comes. Modes run
in a process beside this one: one that fails, hangs or runs past --limit is a row with the error, and the next
begins in a new process. A table is printed last.
"""

import argparse
import gc
import json
import os
import select
import subprocess
import sys
import time
from statistics import median

SIZES = {"resnet18": 32, "resnet50": 224, "vgg16": 32}
CLASSES = {"resnet18": 10, "resnet50": 1000, "vgg16": 10}
BATCHES = {"resnet18": 512, "resnet50": 256, "vgg16": 512}
PARAMETERS = {"resnet18": 11_173_962, "resnet50": 25_557_032, "vgg16": 14_728_266}
# Most valuable first.
MODES = {
    "train": "amp_graph amp_compile_graph bf16_graph bf16_compile_graph amp tf32 amp_max_graph bf16_max_graph f32",
    "forward": "amp_graph fold_graph fold_compile_graph amp_compile_graph bf16_graph amp tf32 fold_max_graph "
    "amp_max_graph f32",
    "grand": "func_bf16 func_tf32 opacus func_bf16_tuned func_f32",
}
INPUT = "ready-made float batches on the device, not augmented"
CHUNKS = [4, 8, 16, 32, 64, 128, 256]
# Several times the L2 of any card.
WORKING_SET = 400_000_000
# Seconds of warm-up and compilation that some modes take more.
PATIENCE = {"compile": 2, "max": 4}


def load():
    """PyTorch: in the process of the modes alone, as it takes seconds."""
    global torch, F, torchvision, nn, functional_call, grad, vmap
    import torch
    import torch.nn.functional as F
    import torchvision
    from torch import nn
    from torch.func import functional_call, grad, vmap


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
        raise RuntimeError(f"{name} has {count} parameters, expected {PARAMETERS[name]}")
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


def folded(model, size):
    """Batch norm folded into the convolutions before it; checked against the network as it was."""
    from torch.fx.experimental.optimization import fuse

    model.eval()
    # Fresh running statistics would fold into nothing.
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    smaller = fuse(model)
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected, found = model(x), smaller(x)
    left = [m for m in smaller.modules() if isinstance(m, nn.BatchNorm2d)]
    if left or not torch.allclose(expected, found, rtol=1e-3, atol=1e-3 * expected.abs().max().item()):
        raise RuntimeError("verification failed: the folded network is another one")
    return smaller


def build(name, work, mode, args):
    """The step of one mode, and its inputs."""
    kind, *forms = mode.split("_")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = kind != "f32"
    torch.backends.cudnn.benchmark = True
    dtype = torch.bfloat16 if kind in ("bf16", "fold") else torch.float32
    size = args.image_size or SIZES[name]
    model = folded(network(name), size) if kind == "fold" else network(name)
    model = model.to(args.device, dtype, memory_format=torch.channels_last)
    model.train(work == "train")
    inputs = Inputs(name, args.batch or BATCHES[name], size, args.device, dtype)
    forward = model
    if "compile" in forms or "max" in forms:
        forward = torch.compile(model, mode="max-autotune-no-cudagraphs" if "max" in forms else None)
    autocast = lambda: torch.autocast(args.device, torch.bfloat16, enabled=kind == "amp", cache_enabled=False)
    if work == "forward":

        def step(x, y):
            with torch.no_grad(), autocast():
                p = torch.softmax(forward(x).float(), 1)
                return (p - F.one_hot(y, CLASSES[name])).norm(dim=1)
    else:
        fused = args.device == "cuda"
        optimiser = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=5e-4, nesterov=True, fused=fused)

        def step(x, y):
            with autocast():
                loss = F.cross_entropy(forward(x).float(), y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            return loss.detach()

    if "graph" in forms:
        step = graphed(step, inputs)
    return step, inputs, {}


def grand_by_func(name, mode, args):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = "f32" not in mode.split("_")
    # Convolutions of a group a sample: trying all algorithms of each may take longer than the budget.
    torch.backends.cudnn.benchmark = mode.endswith("tuned")
    dtype = torch.bfloat16 if "bf16" in mode else torch.float32
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
    x, y = inputs.next()
    alone = grad(loss)(params, x[0], y[0]).values()
    expected = torch.stack([g.float().square().sum() for g in alone]).sum().sqrt().item()
    speed, begin = {}, time.perf_counter()
    for chunk in sorted({min(c, batch) for c in CHUNKS}):
        # The search may take a third of what the mode may.
        if speed and time.perf_counter() - begin > args.limit / 3:
            break
        try:
            step = of_chunks(chunk)
            found = step(x[:chunk], y[:chunk])[0].item()
            if not abs(found / expected - 1) < (0.05 if dtype == torch.bfloat16 else 0.01):
                raise RuntimeError(f"verification failed: a norm is {found} in a batch, {expected} alone")
            start = time.perf_counter()
            step(x[:chunk], y[:chunk])
            synchronize()
            speed[chunk] = chunk / (time.perf_counter() - start)
        except torch.OutOfMemoryError:
            if not speed:
                raise
            break
    # What a chunk that was too large left behind.
    gc.collect()
    if args.device == "cuda":
        torch.cuda.empty_cache()
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
    """Images a second of each repeat, by events on the GPU, and images of a repeat."""
    cuda = torch.cuda.is_available()

    def timed(count):
        if cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
        clock = time.perf_counter()
        for _ in range(count):
            result = step(*inputs.next())
        if cuda:
            end.record()
            torch.cuda.synchronize()
            return result, start.elapsed_time(end) / 1e3
        return result, time.perf_counter() - clock

    for _ in range(3):
        result, elapsed = timed(1)
    if not torch.isfinite(result.float()).all():
        raise RuntimeError("verification failed: a result is not finite")
    # Repeats of a tenth of a second, so that neither launches nor the last wait show.
    count = max(1, min(100, round(0.1 / elapsed)))
    images = count * len(inputs.y[0])
    rates, begin = [], time.perf_counter()
    while len(rates) < 3 or time.perf_counter() - begin < seconds:
        rates.append(images / timed(count)[1])
    return sorted(rates), images


def clocks():
    """The card's clock as it is found, where the system tells."""
    try:
        return {"sm_mhz": torch.cuda.clock_rate()}
    except Exception:
        return None


def measure(name, work, mode, args):
    cuda = args.device == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    if work == "grand" and mode == "opacus":
        step, inputs, extra = grand_by_opacus(name, args)
    elif work == "grand":
        step, inputs, extra = grand_by_func(name, mode, args)
    else:
        step, inputs, extra = build(name, work, mode, args)
    rates, images = time_step(step, inputs, args.seconds)
    at = lambda p: rates[min(len(rates) - 1, int(p * len(rates)))]
    peak = torch.cuda.max_memory_allocated() if cuda else None
    rate = {"median": median(rates), "p10": at(0.1), "p90": at(0.9)}
    row = {"images_per_second": rate, "repeats": len(rates), "images_a_repeat": images, "peak_bytes": peak}
    return {**row, "clocks": clocks() if cuda else None, **extra}


def work_off(args):
    """The process of the modes: a job a line on stdin, its row's part a line on what was stdout."""
    rows = os.fdopen(os.dup(1), "w")
    # Whatever libraries print goes elsewhere.
    os.dup2(2, 1)
    load()
    torch.manual_seed(0)
    about = {"torch": torch.__version__, "device": args.device}
    if args.device == "cuda":
        about |= {"device": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    for line in sys.stdin:
        job = json.loads(line)
        row, last = dict(about), False
        try:
            row |= measure(job["net"], job["work"], job["mode"], args)
        except Exception as error:  # a mode that does not work is a finding, too
            row["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            # After a fault of the device nothing works; memory that ran out may be held by what failed.
            last = not isinstance(error, ImportError)
        print(json.dumps({"row": row, "last": last}), file=rows, flush=True)
        if last:
            return
        # Only where something was compiled: to import it takes seconds.
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()
        gc.collect()
        if args.device == "cuda":
            torch.cuda.empty_cache()


class Worker:
    """The process of the modes, started when it is needed."""

    def __init__(self, words):
        self.words, self.process = words, None

    def run(self, job, seconds):
        """A job's part of its row, or what became of it."""
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, os.path.abspath(__file__), "--worker", *self.words]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.process.stdin.write((json.dumps(job) + "\n").encode())
            self.process.stdin.flush()
        except OSError:
            return self.gone()
        begin, text = time.perf_counter(), b""
        while not text.endswith(b"\n"):
            left = seconds - (time.perf_counter() - begin)
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                self.stop()
                return {"error": f"stopped after {seconds:.0f} s"}
            some = os.read(self.process.stdout.fileno(), 1 << 16)
            if not some:
                return self.gone()
            text += some
        answer = json.loads(text)
        if answer["last"]:
            self.stop()
        return answer["row"]

    def gone(self):
        code = self.process.wait()
        self.process = None
        return {"error": f"the process of the modes ended with {code}"}

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default="resnet18,resnet50,vgg16")
    parser.add_argument("--works", default="train,forward,grand")
    parser.add_argument("--modes", help="of train and forward [default: all]")
    parser.add_argument("--grand-modes", help="of grand [default: all]")
    parser.add_argument("--batch", type=int, help="[default: 512; ResNet-50 256]")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--seconds", type=float, default=2.0, help="a row, warm-up apart")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds after which all ends")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds a row, compiled ones two or four times that")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--out", help="rows as JSON lines [default: stdout]")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work_off(args)
    out = open(args.out, "a") if args.out else sys.stdout
    begin, best = time.perf_counter(), {}
    jobs = []
    for work in args.works.split(","):
        chosen = args.grand_modes if work == "grand" else args.modes
        for rank, mode in enumerate(chosen.split(",") if chosen else MODES[work].split()):
            if mode.startswith("fold") and work != "forward":
                continue
            jobs += [(rank, name == "vgg16", work, name, mode) for name in args.nets.split(",")]
    # The likely best mode of everything before the second of anything.
    jobs.sort(key=lambda job: job[:2])
    worker = Worker(sys.argv[1:])
    for _, _, work, name, mode in jobs:
        row = {"net": name, "work": work, "mode": mode, "batch": args.batch or BATCHES[name]}
        row |= {"image_size": args.image_size or SIZES[name], "input": INPUT}
        clock = time.perf_counter()
        left = args.budget - (clock - begin)
        if left < 5:
            row["error"] = "not run: the time was up"
        else:
            patience = max([PATIENCE.get(form, 1) for form in mode.split("_")])
            row |= worker.run({"net": name, "work": work, "mode": mode}, min(left, patience * args.limit))
            rate = row.get("images_per_second", {}).get("median", 0)
            if rate > best.get((work, name), ("", 0))[1]:
                best[work, name] = (mode, rate)
        row["wall_seconds"] = round(time.perf_counter() - clock, 1)
        print(json.dumps(row), file=out, flush=True)
        if args.out:
            figure = f"{row['images_per_second']['median']:10.1f} images/s" if "images_per_second" in row else row["error"]
            print(f"{work:8} {name:9} {mode:20} {figure}", flush=True)
    worker.stop()
    print("the best of each", file=sys.stderr)
    for (work, name), (mode, rate) in sorted(best.items()):
        print(f"{work:8} {name:9} {rate:10.1f} images/s  {mode}", file=sys.stderr)


if __name__ == "__main__":
    main()
