#!/usr/bin/env python3
"""Holds EL2N of one network on an image folder against PyTorch's: torchvision's network with the same weights, on
what Pillow reads. Needs torch 2.11, torchvision 0.26, Pillow 13, safetensors, and the program built.

    scripts/compare-el2n.py FOLDER [--size S] [--weights W.safetensors]

FOLDER has train/CLASS/*.JPEG. Without --weights a resnet18 is initialised by torch with seed 0. Exit code 1 where a
score differs by more than 1e-4.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import transforms

BINARY = os.environ.get("FAIRPRUNE", os.path.join(os.path.dirname(__file__), "..", "target", "release", "fairprune"))
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BOUND = 1e-4


def network(classes, weights):
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=classes)
    if weights:
        net.load_state_dict(load_file(weights))
    else:
        # Statistics and last layer as after some training, or every answer would be alike.
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
        net.fc.weight.data.normal_(0, 0.2)
    return net.eval()


def torchs(net, data, size):
    steps = [transforms.Resize(size), transforms.CenterCrop(size)] if size else []
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    data.transform = transforms.Compose(steps)
    scores = []
    with torch.no_grad():
        for images, labels in torch.utils.data.DataLoader(data, batch_size=32):
            p = torch.softmax(net(images).double(), 1)
            scores.append((p - torch.nn.functional.one_hot(labels, p.shape[1])).norm(dim=1))
    return torch.cat(scores).numpy()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--size", type=int)
    arguments.add_argument("--weights")
    given = arguments.parse_args()
    data = torchvision.datasets.ImageFolder(os.path.join(given.folder, "train"), loader=lambda f: Image.open(f).convert("RGB"))
    net = network(len(data.classes), given.weights)
    with tempfile.TemporaryDirectory() as place:
        weights = os.path.join(place, "net.safetensors")
        save_file({k: v.contiguous() for k, v in net.state_dict().items()}, weights)
        words = [BINARY, "score", "--data", given.folder, "--weights", weights, "--method", "el2n", "--out",
                 os.path.join(place, "scores"), "--stem", "imagenet", "--json", "-q"]
        words += ["--image-size", str(given.size)] if given.size else []
        words += ["--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD))]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(done.returncode)
        json.loads(done.stdout)
        with open(os.path.join(place, "scores", "scores.csv")) as file:
            ours = {row["id"]: float(row["el2n"]) for row in csv.DictReader(file)}
    names = [os.path.relpath(path, given.folder) for path, _ in data.samples]
    ours = np.array([ours[name] for name in names])
    theirs = torchs(net, data, given.size)
    apart = np.abs(ours - theirs)
    print(f"{len(names)} images, EL2N {theirs.min():.3f} to {theirs.max():.3f}: "
          f"largest difference {apart.max():.2e} ({names[apart.argmax()]}), mean {apart.mean():.2e}")
    sys.exit(int(not apart.max() <= BOUND))


if __name__ == "__main__":
    main()
