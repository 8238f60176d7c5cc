"""Writes `last_layer.json`, which `tests/golden.rs` compares with: `python make_last_layer.py`.

Of the networks and images of `make_golden.py`: the norm of each sample's gradient with respect to the
last layer's weights and biases, by autograd in float64; the largest probability; and the norm of the
features that the last layer reads. PyTorch's own float32 is the yardstick, as there.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

import common
from make_golden import list_error, shorten

HERE = pathlib.Path(__file__).parent
CASES = ["resnet8", "resnet18_imagenet"]


def evaluate(network, x, y):
    network.eval()
    read = []
    network.fc.register_forward_hook(lambda module, inputs, output: read.append(inputs[0]))
    with torch.no_grad():
        top = network(x).softmax(1).max(1).values
    norms = []
    for i in range(len(y)):
        network.zero_grad()
        F.cross_entropy(network(x[i: i + 1]), y[i: i + 1]).backward()
        norms.append(float(sum((q.grad**2).sum() for q in network.fc.parameters()) ** 0.5))
    return dict(grand_last=norms, top_probability=top.double().tolist(),
                feature_norm=read[0].norm(dim=1).double().tolist())


def main():
    result = {}
    for name in CASES:
        case = json.loads((HERE / f"{name}.json").read_text())
        build = lambda: common.build(case["arch"], case["width"], case["stem"], case["classes"])
        tensors = common.weights(build(), case["scales"], case["trunk"])
        y = torch.tensor(common.labels(case["samples"], case["classes"]))
        x = common.normalise(common.images(case["samples"], case["size"], case["image_seed"]))
        exact, single = [
            evaluate(common.load(build().to(dtype), tensors), x.to(dtype), y)
            for dtype in (torch.float64, torch.float32)
        ]
        errors = {k: list_error(single[k], v) for k, v in exact.items()}
        result[name] = exact | {"float32_error": errors}
    text = json.dumps(shorten(result), separators=(",", ":")).replace('],"', '],\n"')
    (HERE / "last_layer.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
