"""Writes the golden values `tests/golden.rs` compares with: `python make_golden.py`.

Everything is computed in float64 by PyTorch, from weights, momentum buffers and images that both
languages make themselves (`common.py`). The same computation in PyTorch's float32 gives the
yardstick of each group of values: how far correct float32 arithmetic strays from float64.
"""

import copy
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

import common
import exchange

SAMPLES, BATCH, STEPS = 24, 8, 3
HERE = pathlib.Path(__file__).parent

# Where ReLUs cut inside channels (no `trunk`, see `common.weights`), no ReLU's input may be within
# rounding of 0 in the passes whose gradients are compared, relative to the layer's root mean
# square: on the other side of 0 one position of thousands would count or not, and move a gradient by
# a percent.
RELU_MARGIN = 1e-6

# Constants are exact in float32, so that both precisions use the same ones. Image seeds without
# `trunk` were searched for wide margins among 100 to 400; with pooling, no winner is within rounding
# of the next, either.
CASES = {
    "resnet8": dict(arch="resnet8", width=16, stem="cifar", classes=10, size=[32, 32],
                    image_seed=101,
                    momentum=0.875, nesterov=False, weight_decay=2.0**-11),
    "resnet8_weighted": dict(arch="resnet8", width=16, stem="cifar", classes=5, size=[29, 23],
                             image_seed=140,
                             momentum=0.875, nesterov=True, weight_decay=2.0**-6, smoothing=0.125,
                             class_weights=[0.25, 1.0, 0.5, 2.0, 1.5]),
    "resnet18_cifar": dict(arch="resnet18", width=64, stem="cifar", classes=10, size=[32, 32],
                           momentum=0.875, nesterov=True, weight_decay=2.0**-11, trunk="bn2"),
    "resnet18_imagenet": dict(arch="resnet18", width=64, stem="imagenet", classes=10,
                              size=[57, 45], momentum=0.875, nesterov=False,
                              weight_decay=2.0**-11, trunk="bn2"),
    "resnet50": dict(arch="resnet50", width=64, stem="imagenet", classes=10, size=[64, 64],
                     momentum=0.875, nesterov=False, weight_decay=2.0**-13, trunk="bn3"),
    "resnet50_v1": dict(arch="resnet50-v1", width=64, stem="imagenet", classes=10, size=[64, 64],
                        momentum=0.875, nesterov=False, weight_decay=2.0**-13, trunk="bn3"),
    "vgg16": dict(arch="vgg16", width=8, stem="cifar", classes=10, size=[32, 32],
                  momentum=0.875, nesterov=True, weight_decay=2.0**-11),
    "vgg19": dict(arch="vgg19", width=8, stem="cifar", classes=5, size=[33, 71], image_seed=144,
                  momentum=0.875, nesterov=False, weight_decay=2.0**-11, smoothing=0.125),
}
DEFAULTS = dict(image_seed=103, lr=2.0**-6, smoothing=0.0, class_weights=None, trunk=None, samples=SAMPLES,
                batch=BATCH, steps=STEPS)


def order():
    """The pass: every sample once, in three batches."""
    return [(5 * i + 1) % SAMPLES for i in range(SAMPLES)]


def positions(length, count):
    return [((j * 0x9E3779B1 & 0xFFFFFFFF) * length) >> 32 for j in range(count)]


def statistics_scales(network, x):
    """Powers of two near each batch norm's own inputs: half their size, and their square."""
    scales, handles = {}, []

    def hook(name):
        def record(module, inputs, output):
            power = round(np.log2(float(inputs[0].square().mean())))
            scales[name] = [2.0 ** (power // 2 - 1), 2.0**power]
        return record

    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            handles.append(module.register_forward_hook(hook(name)))
    with torch.no_grad():
        network.train()(x)
    for handle in handles:
        handle.remove()
    return scales


def relu_margin(network, x):
    """The smallest input of any ReLU, relative to its layer: in eval mode, and in the first step."""
    least = []

    def record(module, inputs):
        values = inputs[0].detach()
        least.append(float(values.abs().min() / values.square().mean().sqrt()))

    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_pre_hook(record)
    with torch.no_grad():
        network.eval()(x)
        network.train()(x[order()[:BATCH]])
    return min(least)


def sampled(tensor, count):
    """[norm, sum, values at `positions`...] of a tensor in PyTorch's layout."""
    flat = tensor.detach().double().reshape(-1)
    at = flat[torch.tensor(positions(flat.numel(), count))]
    return [float(flat.norm()), float(flat.sum())] + at.tolist()


def evaluate(network, x, y):
    """Logits, losses, EL2N and full GraNd in eval mode."""
    network.eval()
    with torch.no_grad():
        logits = network(x)
        losses = F.cross_entropy(logits, y, reduction="none")
        p = logits.softmax(1)
        el2n = (p - F.one_hot(y, p.shape[1])).norm(dim=1)
    grand, of_biases = [], []
    biases = [m.bias for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    norm = lambda qs: float(sum((q.grad**2).sum() for q in qs) ** 0.5)
    for i in range(len(y)):
        network.zero_grad()
        F.cross_entropy(network(x[i : i + 1]), y[i : i + 1]).backward()
        grand.append(norm(network.parameters()))
        of_biases.append(norm([b for b in biases if b is not None]))
    lists = dict(logits=logits, loss=losses, el2n=el2n)
    scores = {k: v.double().reshape(-1).tolist() for k, v in lists.items()} | {"grand": grand}
    # The part of GraNd that convolutions' biases have.
    return scores | ({"grand_conv_bias": of_biases} if any(of_biases) else {})


def running(network, count):
    return {n: sampled(t, count) for n, t in network.state_dict().items() if "running" in n}


def train(network, velocities, x, y, case):
    """Three steps: everything after the first, statistics and weights after the last."""
    network.train()
    optimiser = torch.optim.SGD(
        network.parameters(), lr=case["lr"], momentum=case["momentum"],
        nesterov=case["nesterov"], weight_decay=case["weight_decay"])
    for name, q in network.named_parameters():
        buffer = torch.from_numpy(velocities[name]).to(q.dtype)
        optimiser.state[q]["momentum_buffer"] = buffer.clone()
    weight = case["class_weights"]
    weight = None if weight is None else torch.tensor(weight, dtype=x.dtype)
    result = {"loss": []}
    for step in range(STEPS):
        batch = order()[step * BATCH : (step + 1) * BATCH]
        optimiser.zero_grad()
        logits = network(x[batch])
        F.cross_entropy(logits, y[batch], weight=weight,
                        label_smoothing=case["smoothing"]).backward()
        result["loss"] += F.cross_entropy(logits, y[batch], reduction="none").double().tolist()
        if step == 0:
            result["logits"] = logits.detach().double().reshape(-1).tolist()
            result["gradient"] = {n: sampled(q.grad, 32) for n, q in network.named_parameters()}
        optimiser.step()
        if step == 0:
            result["weight"] = {n: sampled(q, 16) for n, q in network.named_parameters()}
            result["running"] = running(network, 16)
    result["weight_end"] = {n: sampled(q, 8) for n, q in network.named_parameters()}
    result["running_end"] = running(network, 16)
    return result


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def list_error(out, reference):
    """Largest error, in units of the root mean square."""
    return float(np.max(np.abs(np.subtract(out, reference))) / rms(reference))


def tensor_error(out, reference, shapes):
    """Largest error of a sampled value, in units of its tensor's root mean square; the unit of a
    batch norm's or convolution's bias is at least that of its weight (see `judge.rs`)."""
    size = lambda name: reference[name][0] / np.sqrt(shapes[name].numel())
    worst = 0.0
    for name, values in reference.items():
        unit, weight = size(name), name.removesuffix("bias") + "weight"
        if name.endswith("bias") and len(shapes[weight]) != 2:
            unit = max(unit, size(weight))
        error = np.max(np.abs(np.subtract(out[name][2:], values[2:])))
        worst = max(worst, float(error / unit))
    return worst


def shorten(value):
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, list):
        return [shorten(v) for v in value]
    if isinstance(value, dict):
        return {k: shorten(v) for k, v in value.items()}
    return value


def make(case):
    case = DEFAULTS | case
    build = lambda: common.build(case["arch"], case["width"], case["stem"], case["classes"])
    y = torch.tensor(common.labels(SAMPLES, case["classes"]))
    x = common.normalise(common.images(SAMPLES, case["size"], case["image_seed"]))
    ones = {n: [0.0, 1.0] for n, m in build().named_modules() if hasattr(m, "running_var")}
    probe = common.load(build(), common.weights(build(), ones, case["trunk"]))
    case["scales"] = statistics_scales(probe, x)
    tensors = common.weights(build(), case["scales"], case["trunk"])
    velocities = common.velocities(build())
    results = []
    for dtype in (torch.float64, torch.float32):
        network = common.load(build().to(dtype), tensors)
        if dtype == torch.float64 and case["trunk"] is None:
            margin = relu_margin(network, x.to(dtype))
            assert margin >= RELU_MARGIN, f"a ReLU's input is {margin:.1e} from 0: other images"
        scores = evaluate(copy.deepcopy(network), x.to(dtype), y)
        results.append((scores, train(network, velocities, x.to(dtype), y, case)))
    (scores, steps), (scores32, steps32) = results
    shapes = {n: t.shape for n, t in build().state_dict().items()}
    float32_error = {
        "eval": {k: list_error(scores32[k], v) for k, v in scores.items()
                 if k != "grand_conv_bias"},
        "train": {
            k: list_error(steps32[k], v) if isinstance(v, list)
            else tensor_error(steps32[k], v, shapes)
            for k, v in steps.items()
        },
    }
    return case | {"torch": torch.__version__.split("+")[0], "eval": scores, "train": steps,
                   "float32_error": float32_error}


def sgd_values():
    """Ten parameters through four steps of torch.optim.SGD, in float64."""
    u = lambda line: 2.0 * common.uniform(common.WEIGHTS, line, (10,)).astype(np.float64) - 1.0
    runs = []
    for momentum, nesterov, decay in [(0.0, False, 0.0), (0.875, False, 0.0),
                                      (0.875, False, 0.125), (0.875, True, 0.125)]:
        w = torch.nn.Parameter(torch.from_numpy(u(0)))
        optimiser = torch.optim.SGD([w], lr=1.0, momentum=momentum, nesterov=nesterov,
                                    weight_decay=decay)
        trace = []
        for step in range(4):
            optimiser.param_groups[0]["lr"] = 0.5 / (step + 1)
            w.grad = torch.from_numpy(u(1 + step))
            optimiser.step()
            trace.append(w.detach().tolist())
        runs.append(dict(momentum=momentum, nesterov=nesterov, weight_decay=decay, weights=trace))
    return runs


def torch_file():
    """A weight file as PyTorch writes it, and the logits of its network."""
    case = dict(arch="resnet8", width=4, stem="cifar", classes=3, size=[19, 26], samples=4)
    logits = exchange.write(HERE, "resnet8_torch", case)
    (HERE / "resnet8_torch.json").write_text(json.dumps(logits) + "\n")


def write(name, value):
    text = json.dumps(shorten(value), separators=(",", ":"))
    # One line a tensor, for readable differences.
    text = text.replace('],"', '],\n"').replace('},"', '},\n"')
    (HERE / f"{name}.json").write_text(text + "\n")


def main():
    torch.manual_seed(0)
    only = sys.argv[1:]
    for name, case in CASES.items():
        if not only or name in only:
            golden = make(case)
            write(name, golden)
            print(name, json.dumps(golden["float32_error"]))
    if not only or "sgd" in only:
        write("sgd", sgd_values())
    if not only or "resnet8_torch" in only:
        torch_file()


if __name__ == "__main__":
    main()
