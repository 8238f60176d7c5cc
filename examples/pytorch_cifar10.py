#!/usr/bin/env python3
"""A folder of CIFAR-10 images, pruned fairly in PyTorch and judged: full data, random, MetriQ, predicted quotas.

    python examples/pytorch_cifar10.py FOLDER [--epochs 10] [--density 0.3] [--seeds 3]

FOLDER has train/CLASS/* and test/CLASS/*, CIFAR-10's images or others, which become 32 x 32.
A fifth of the training images is held out for recalls. Each cell can be run by itself in an editor that knows `# %%`.
"""

# %% Settings
import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import fairprune

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--density", type=float, default=0.3)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--width", type=int, default=16)
options = parser.parse_args()
torch.manual_seed(0)


# %% Images, in memory: the order is the data set's
def images_of(part):
    to_tensor = v2.Compose([v2.ToImage(), v2.Resize((32, 32)), v2.ToDtype(torch.float32, scale=True)])
    folder = ImageFolder(options.folder / part, to_tensor)
    images = torch.stack([image for image, _ in folder])
    return folder, TensorDataset((images - 0.47) / 0.25, torch.tensor(folder.targets))


folder, train = images_of("train")
_, test = images_of("test")
classes = len(folder.classes)
labels = np.array(folder.targets)
held_out = np.random.default_rng(0).permutation(len(train))[: len(train) // 5]
eligible = np.setdiff1d(np.arange(len(train)), held_out)


# %% A small residual network, and its training for a number of steps
class Block(nn.Module):
    def __init__(self, c, k, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c, k, 3, stride, 1, bias=False), nn.BatchNorm2d(k), nn.ReLU(),
            nn.Conv2d(k, k, 3, 1, 1, bias=False), nn.BatchNorm2d(k),
        )  # fmt: skip
        same = c == k and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(c, k, 1, stride, bias=False)

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def network(seed):
    torch.manual_seed(seed)
    w = options.width
    return nn.Sequential(
        nn.Conv2d(3, w, 3, 1, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(),
        Block(w, w, 1), Block(w, 2 * w, 2), Block(2 * w, 4 * w, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * w, classes),
    )  # fmt: skip


def trained(positions, seed, steps):
    model, data = network(seed), Subset(train, positions)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    done = 0
    while done < steps:
        for images, targets in DataLoader(data, 128, shuffle=True):
            loss = nn.functional.cross_entropy(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done == steps:
                break
    return model.eval()


def logits_of(model, data):
    with torch.no_grad():
        return torch.cat([model(images) for images, _ in DataLoader(data, 256)])


# %% One network on all of the training data tells the recalls, and the log-probabilities of the held-out images
batches = -(-len(eligible) // 128)
query = trained(eligible, 1000, options.epochs * batches)
held_out_logits = logits_of(query, Subset(train, held_out))
recalls = fairprune.recalls(labels[held_out], held_out_logits, classes)
validation = (held_out_logits.log_softmax(1), labels[held_out])
print("recalls  ", " ".join(f"{name} {recall:.2f}" for name, recall in zip(folder.classes, recalls)))

# %% Subsets of the same size
kept = {
    "random": dict(quota="none"),
    "MetriQ": dict(quota="metriq", recalls=recalls),
    "predicted": dict(quota="predicted", validation=validation),
}
subsets = {
    name: [
        fairprune.prune(labels, options.density, eligible=eligible, classes=classes, seed=seed, **how)
        for seed in range(options.seeds)
    ]
    for name, how in kept.items()
}
for name, several in subsets.items():
    print(f"{name:10}", "densities", np.round(several[0].densities, 2))
    for finding in several[0].warnings:
        print("  warning:", finding)

# %% Networks on the subsets, as many steps for each, judged on the test set
steps = options.epochs * -(-len(subsets["random"][0]) // 128)
worst, average = {}, {}
for name, several in subsets.items():
    told = [
        fairprune.recalls(test.tensors[1], logits_of(trained(subset.indices, seed, steps), test), classes)
        for seed, subset in enumerate(several)
    ]
    worst[name], average[name] = ([float(value) for value in values] for values in (np.min(told, 1), np.mean(told, 1)))
    print(f"{name:10} worst class {np.mean(worst[name]):.3f}  average {np.mean(average[name]):.3f}")
for name in ("MetriQ", "predicted"):
    print(f"worst class, {name} - random: {fairprune.compare(worst[name], worst['random'])}")
