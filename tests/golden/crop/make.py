#!/usr/bin/env python3
"""Random-resized crops as torchvision makes them: boxes.json and pixels.json.

boxes.json: boxes of chosen (seed, epoch, sample, image) by torchvision's formula in Python floats, on
the words of a Philox4x32-10 written down here; and what torchvision's own RandomResizedCrop.get_params
draws: moments of area, shape and place over many draws.
pixels.json: crops of an image by torchvision's resized_crop of a PIL image, bilinear, antialiased.

    python tests/golden/crop/make.py        (torchvision, Pillow, NumPy)
"""
import json
import math
import pathlib

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as F

HERE = pathlib.Path(__file__).parent
AUGMENT = 3  # src/rng.rs: Stream::Augment
MASK = 0xFFFFFFFF


def philox(counter, key):
    """Salmon et al. 2011, figure 2 and table 2 (Philox-4x32-10)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def box(seed, epoch, sample, height, width):
    """RandomResizedCrop.get_params (scale .08 to 1, ratio 3/4 to 4/3) on words of Philox."""
    area = height * width
    low, high = math.log(3 / 4), math.log(4 / 3)
    for attempt in range(1, 11):
        a, b, c, d = philox((sample, epoch, attempt, AUGMENT), (seed & MASK, seed >> 32))
        target = area * (0.08 + (1 - 0.08) * (a / 2**32))
        ratio = math.exp(low + (high - low) * (b / 2**32))
        w, h = int(round(math.sqrt(target * ratio))), int(round(math.sqrt(target / ratio)))
        if 0 < w <= width and 0 < h <= height:
            return [c * (height - h + 1) >> 32, d * (width - w + 1) >> 32, h, w]
    ratio = width / height
    w, h = width, height
    if ratio < 3 / 4:
        h = int(round(w / (3 / 4)))
    elif ratio > 4 / 3:
        w = int(round(h * (4 / 3)))
    return [(height - h) // 2, (width - w) // 2, h, w]


def moments(values):
    values = np.asarray(values, dtype=np.float64)
    return {"mean": values.mean(), "sd": values.std(), "quantiles":
            [float(q) for q in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])]}


def drawn(height, width, count):
    torch.manual_seed(7)
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    rows = [RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(count)]
    top, left, h, w = np.array(rows, dtype=np.float64).T
    some = lambda free, at: at[free > 0] / free[free > 0]
    return {"height": height, "width": width, "count": count,
            "area": moments(h * w / (height * width)), "log_ratio": moments(np.log(w / h)),
            "top": moments(some(height - h, top)), "left": moments(some(width - w, left)),
            "whole": float(((h == height) & (w == width)).mean())}


def boxes():
    sizes = [(256, 256), (73, 73), (32, 32), (20, 90), (90, 20), (5, 3), (1, 1), (2, 40)]
    cases = []
    for k, (height, width) in enumerate(sizes):
        seed = [11, (1 << 64) - 5][k % 2]
        for epoch in (0, 70_000):
            rows = [box(seed, epoch, sample, height, width) for sample in range(150)]
            cases.append({"seed": str(seed), "epoch": epoch, "height": height, "width": width,
                          "boxes": rows})
    return {"torchvision": torchvision.__version__, "cases": cases,
            "drawn": [drawn(256, 256, 100_000), drawn(120, 200, 100_000)]}


def pixels():
    generator = np.random.default_rng(5)
    noise = generator.integers(0, 256, (40, 36, 3), dtype=np.uint8)
    y, x = np.mgrid[0:40, 0:36]
    smooth = np.stack([127 + 120 * np.sin(x / 5), 127 + 120 * np.cos(y / 7), 3 * (x + y)], -1)
    cases = []
    for name, image in (("noise", noise), ("smooth", smooth.round().astype(np.uint8))):
        for cut, size in (([0, 0, 40, 36], [24, 24]), ([3, 5, 20, 17], [24, 24]),
                          ([10, 1, 30, 35], [11, 14]), ([7, 9, 3, 2], [9, 8]),
                          ([39, 35, 1, 1], [4, 5]), ([0, 0, 40, 36], [40, 36])):
            out = F.resized_crop(Image.fromarray(image), *cut, size, InterpolationMode.BILINEAR)
            cases.append({"image": name, "box": cut, "size": size,
                          "out": np.asarray(out).tobytes().hex()})
    images = {"noise": noise.tobytes().hex(),
              "smooth": smooth.round().astype(np.uint8).tobytes().hex()}
    return {"height": 40, "width": 36, "images": images, "cases": cases}


for name, content in (("boxes", boxes()), ("pixels", pixels())):
    (HERE / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")
