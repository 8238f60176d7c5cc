"""The PyTorch side of the weight-file tests: `python exchange.py read|write|pickle|convert DIR`.

read    loads our `<name>.safetensors` with strict=True and writes the logits it gives,
write   saves state dicts of fresh networks as `<name>.safetensors`, and their logits,
pickle  the same as `<name>.pth`, as training scripts save them; also `module.pth`, a whole module,
        and `extra.pth`, with a tensor that no network has,
convert runs `scripts/pth_to_safetensors.py` in DIR on every line of `lines.json`, and writes exit
        code and stderr of each to `ends.json`.

Names and descriptions of the networks come from `DIR/networks.json`; logits go to
`DIR/logits.json`: `values`, computed in float64 on the images of `common.py`, and how far
float32 strays from them, in units of their root mean square.
"""

import contextlib
import io
import json
import os
import pathlib
import runpy
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import common

IMAGE_SEED = 103


def logits(network, case):
    x = common.normalise(common.images(case["samples"], case["size"], IMAGE_SEED))
    with torch.no_grad():
        single = network.eval()(x).double()
        values = network.double()(x.double())
    error = (single - values).abs().max() / values.square().mean().sqrt()
    return {"values": values.reshape(-1).tolist(), "float32_error": float(error)}


def build(case):
    return common.build(case["arch"], case["width"], case["stem"], case["classes"])


def read(directory, name, case):
    path = directory / f"{name}.safetensors"
    network = build(case)
    network.load_state_dict(load_file(path), strict=True)
    counters = [v for n, v in network.state_dict().items() if n.endswith("num_batches_tracked")]
    assert counters and all(int(v) == case["batches"] for v in counters)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    described = {k: metadata[k] for k in ("arch", "stem")}
    assert described == {k: case[k] for k in ("arch", "stem")}, metadata
    assert json.loads(metadata["classes"]) == [f"class {i}" for i in range(case["classes"])]
    assert len(json.loads(metadata["mean"])) == len(json.loads(metadata["std"])) == 3
    return logits(network, case)


def fresh(case):
    torch.manual_seed(3)
    network = build(case)
    # A little training moves the running statistics off their start.
    x = common.normalise(common.images(case["samples"], case["size"], IMAGE_SEED))
    with torch.no_grad():
        for _ in range(20):
            network.train()(x)
    return network


def write(directory, name, case):
    network = fresh(case)
    save_file(network.state_dict(), directory / f"{name}.safetensors")
    return logits(network, case)


def pickle(directory, name, case):
    network = fresh(case)
    state = torch.nn.DataParallel(network).state_dict()
    torch.save({"epoch": 3, "state_dict": state}, directory / f"{name}.pth")
    torch.save(network, directory / "module.pth")
    torch.save(network.state_dict() | {"head.bias": torch.zeros(2)}, directory / "extra.pth")
    return logits(network, case)


def convert(directory):
    """In this process, since starting PyTorch takes seconds."""
    script = pathlib.Path(__file__).parents[2] / "scripts/pth_to_safetensors.py"
    ends = []
    os.chdir(directory)
    for line in json.loads((directory / "lines.json").read_text()):
        code, errors, sys.argv = 0, io.StringIO(), [str(script), *line.split()]
        with contextlib.redirect_stderr(errors):
            try:
                runpy.run_path(str(script), run_name="__main__")
            except SystemExit as end:
                code = end.code
        ends.append([code, errors.getvalue()])
    (directory / "ends.json").write_text(json.dumps(ends))


def main():
    if sys.argv[1] == "convert":
        return convert(pathlib.Path(sys.argv[2]))
    actions = {"read": read, "write": write, "pickle": pickle}
    action, directory = actions[sys.argv[1]], pathlib.Path(sys.argv[2])
    cases = json.loads((directory / "networks.json").read_text())
    result = {name: action(directory, name, case) for name, case in cases.items()}
    (directory / "logits.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
