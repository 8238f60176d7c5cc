#!/usr/bin/env python3
"""Turns PyTorch weights (.pth, .pt) into a safetensors file that fairprune reads.

    pth_to_safetensors.py IN.pth OUT.safetensors --arch vgg16 [--width N] [--stem cifar|imagenet]
        [--size H W] [--classes NAME,NAME,...|FILE] [--mean R,G,B] [--std R,G,B]
        [--key NAME] [--rename OLD=NEW]... [--drop-unknown]

Needs torch and safetensors. The file is read with weights_only=True: nothing in it is executed.
A state dict may lie under state_dict, model_state_dict, model or net (or --key); the prefixes that
DataParallel (module.) and torch.compile (_orig_mod.) add are stripped. --rename changes how names
begin: `--rename linear.=fc.`, `--rename backbone.=`.

With --arch every name is held against those of the network. Names it does not have are listed,
and nothing is written unless --drop-unknown leaves them out; names that are missing are always an
error. What --arch, --width, ... say is stored in the file, so that `fairprune eval --weights OUT`
needs no such flags. Exit codes: 0 written, 2 unusable input.
"""

import argparse
import json
import pathlib
import re
import sys

import torch
from safetensors.torch import save_file

WRAPPERS = ["state_dict", "model_state_dict", "model", "net"]
PREFIXES = ["module.", "_orig_mod."]
VGG = {"vgg16": [2, 2, 3, 3, 3], "vgg19": [2, 2, 4, 4, 4]}
STAGES = {"resnet18": [2, 2, 2, 2], "resnet34": [3, 4, 6, 3], "resnet50": [3, 4, 6, 3]}
STAGES |= {f"resnet{6 * n + 2}": [n] * 3 for n in (1, 2, 3, 5, 7, 9)}
# Stride in the first 1x1 of a bottleneck: the same names and shapes as torchvision's resnet50.
STAGES["resnet50-v1"] = STAGES["resnet50"]
NORM = ["weight", "bias", "running_mean", "running_var"]
COUNTER = "num_batches_tracked"


class Unusable(Exception):
    """Input that cannot be used; the message says what and why."""


def expected_names(arch):
    """Names of the network's tensors, counters left out."""
    if arch in VGG:
        names, place = ["classifier.weight", "classifier.bias"], 0
        for count in VGG[arch]:
            for _ in range(count):
                names += [f"features.{place}.{n}" for n in ("weight", "bias")]
                names += [f"features.{place + 1}.{n}" for n in NORM]
                place += 3
            place += 1
        return names
    names = ["conv1.weight", "fc.weight", "fc.bias"] + [f"bn1.{n}" for n in NORM]
    bottlenecks = arch.startswith("resnet50")
    convolutions = 3 if bottlenecks else 2
    for stage, blocks in enumerate(STAGES[arch], 1):
        for block in range(blocks):
            layer = f"layer{stage}.{block}"
            for i in range(1, convolutions + 1):
                names.append(f"{layer}.conv{i}.weight")
                names += [f"{layer}.bn{i}.{n}" for n in NORM]
            if block == 0 and (stage > 1 or bottlenecks):
                names.append(f"{layer}.downsample.0.weight")
                names += [f"{layer}.downsample.1.{n}" for n in NORM]
    return names


def load(path, key):
    """The state dict of a file."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise Unusable(f"{path}: {error.strerror}") from error
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise Unusable(
            f"{path}: no weights that load without running code ({reason[0] if reason else error}); "
            "save the state dict instead: torch.save(model.state_dict(), ...)"
        ) from error
    if key is not None:
        if not isinstance(content, dict) or key not in content:
            known = ", ".join(map(str, content)) if isinstance(content, dict) else "no keys"
            raise Unusable(f"{path}: no key {key}; found {known}")
        return content[key]
    for name in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            return content[name]
    return content


def clean(state, path, renames):
    """Tensors under their plain names; what is no tensor is an error."""
    if not isinstance(state, dict) or not state:
        raise Unusable(f"{path}: found {type(state).__name__}, expected a state dict (see --key)")
    tensors = {}
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise Unusable(f"{path}: {name} is {type(value).__name__}, expected a tensor (see --key)")
        name, before = str(name), None
        while name != before:
            before = name
            for prefix in PREFIXES:
                name = name.removeprefix(prefix)
        for old, new in renames:
            if name.startswith(old):
                name = new + name.removeprefix(old)
                break
        if name in tensors:
            raise Unusable(f"{path}: two tensors are called {name} once prefixes are gone")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise Unusable(f"{path}: {name} has values that are not finite")
        # Tensors of a state dict may share memory, which safetensors refuses.
        tensors[name] = value.detach().clone().contiguous()
    return tensors


def fit(tensors, arch, drop, path):
    """The tensors that `arch` has; those it lacks or has besides are reported."""
    names = set(expected_names(arch))
    counters = {n.rsplit(".", 1)[0] + "." + COUNTER for n in names if n.endswith("running_var")}
    missing = sorted(names - tensors.keys())
    unknown = sorted(tensors.keys() - names - counters)
    for name in unknown:
        print(f"unknown to {arch}: {name} {list(tensors[name].shape)}", file=sys.stderr)
    if missing:
        shown = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if missing[6:] else "")
        raise Unusable(f"{path}: not the weights of {arch}: missing {shown} (see --rename)")
    if unknown and not drop:
        raise Unusable(f"{path}: {len(unknown)} unknown tensors; --drop-unknown leaves them out")
    return {n: t for n, t in tensors.items() if n in names or n in counters}


def numbers(text):
    values = [float(v) for v in text.split(",")]
    if len(values) != 3:
        raise argparse.ArgumentTypeError(f"found {text}, expected three numbers: R,G,B")
    return values


def rename(text):
    if "=" not in text or text.startswith("="):
        raise argparse.ArgumentTypeError(f"found {text}, expected OLD=NEW")
    return tuple(text.split("=", 1))


def class_names(text):
    """Names separated by commas, or the lines of a file."""
    path = pathlib.Path(text)
    lines = path.read_text().splitlines() if path.is_file() else text.split(",")
    return [line.strip() for line in lines if line.strip()]


def metadata(args, tensors):
    """What fairprune's own files say of themselves."""
    about = {"format": "pt", "format_version": "1"}
    width = args.width
    if args.arch is not None:
        first = "features.0.weight" if args.arch in VGG else "conv1.weight"
        found = tensors[first].shape[0]
        if width is not None and width != found:
            raise Unusable(f"--width: found {width}, but {first} has {found} channels")
        width = found
        head = "classifier.bias" if args.arch in VGG else "fc.bias"
        count = tensors[head].shape[0]
        if args.classes is not None and len(args.classes) != count:
            raise Unusable(f"--classes: found {len(args.classes)} names, {head} has {count} values")
        about["arch"] = args.arch
    stem = args.stem
    if stem is None and args.arch in STAGES:
        stem = "imagenet" if tensors["conv1.weight"].shape[-1] == 7 else "cifar"
    values = {"width": width, "size": args.size, "classes": args.classes, "mean": args.mean,
              "std": args.std}
    about |= {k: json.dumps(v) for k, v in values.items() if v is not None}
    return about | ({"stem": stem} if stem is not None else {})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("target", type=pathlib.Path)
    parser.add_argument("--arch", choices=sorted(VGG | STAGES))
    parser.add_argument("--width", type=int)
    parser.add_argument("--stem", choices=["cifar", "imagenet"])
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"))
    parser.add_argument("--classes", type=class_names)
    parser.add_argument("--mean", type=numbers)
    parser.add_argument("--std", type=numbers)
    parser.add_argument("--key")
    parser.add_argument("--rename", type=rename, action="append", default=[])
    parser.add_argument("--drop-unknown", action="store_true")
    args = parser.parse_args()
    try:
        tensors = clean(load(args.source, args.key), args.source, args.rename)
        if args.arch is not None:
            tensors = fit(tensors, args.arch, args.drop_unknown, args.source)
        about = metadata(args, tensors)
        save_file(tensors, args.target, about)
    except (Unusable, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    values = sum(t.numel() for n, t in tensors.items() if not re.search(f"{COUNTER}$", n))
    described = " ".join(f"{k}={v}" for k, v in about.items() if not k.startswith("format"))
    print(f"{args.target}: {len(tensors)} tensors, {values} values; {described or 'no metadata'}")


if __name__ == "__main__":
    main()
