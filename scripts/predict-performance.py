#!/usr/bin/env python3
"""Predicts the tensor-core kernels' times on one H200 from counts alone, and prints docs/performance.md's
tables. Nothing here is measured by this project; `fairprune bench --suite kernels` measures.

Assumed ceilings, published or measured by others: 790 TFLOP/s of dense bf16, of which mma.sync reaches 60 %;
4.3 TB/s of device memory, of which a streaming kernel reaches 90 %; 5.5 TB/s of L2. Blocks on a
multiprocessor are those that registers and shared memory allow (tests/sass.rs checks them).

A convolution's time is the largest of: products of whole tiles in whole rounds; what the tiles copy from
L2; its tensors in device memory. Its floor is the larger of its exact products and its tensors' bytes at
the full ceilings.
"""
import re, sys, pathlib

PEAK, MMA, HBM, STREAM, L2 = 790e12, 0.6, 4.3e12, 0.9, 5.5e12
text = (pathlib.Path(__file__).parent.parent / "kernels/tiles.h").read_text()
T = {k: int(v) for k, v in re.findall(r"#define FAIRPRUNE_(\w+) (\d+)", text)}
SMS = T["MMA_MULTIPROCESSORS"]
up = lambda a, b: -(-a // b)


def tile(name):
    return [T[f"MMA_{name}_{x}"] for x in ("ROWS", "COLUMNS", "BLOCKS")]


def tile_of(columns):
    if columns <= T["MMA_NARROW_COLUMNS"]:
        return "NARROW"
    wide, medium = tile("WIDE")[1], tile("MEDIUM")[1]
    return "MEDIUM" if up(columns, wide) * wide > up(columns, medium) * medium else "WIDE"


def unsplit(rows, columns):
    name = tile_of(columns)
    if name == "WIDE":
        r, c, _ = tile(name)
        if up(rows, r) * up(columns, c) < SMS:
            return "MEDIUM"
    return name


def product(rows, columns, depth, split):
    """Seconds of tensor cores and of L2 for rows x columns x depth."""
    name = tile_of(columns) if split else unsplit(rows, columns)
    r, c, blocks = tile(name)
    tiles, at_once = up(rows, r) * up(columns, c), SMS * blocks
    splits = 1
    if split:
        most = max(1, min(depth // T["MMA_SPLIT_POSITIONS"], T["MMA_SPLITS"]))
        good = lambda s: 4 * up(tiles * s, at_once) * at_once <= 5 * tiles * s
        splits = next((s for s in range(1, most + 1) if good(s)), most)
    padded = up(up(depth, splits), T["MMA_DEPTH"]) * T["MMA_DEPTH"]
    rounds = up(tiles * splits, at_once)
    mma = rounds * at_once * r * c * padded * 2 / (MMA * PEAK)
    return mma, tiles * splits * (r + c) * padded * 2 / L2


def layers(arch, batch):
    """n, h, c, k, kernel, stride, times it occurs."""
    if arch == "resnet18":  # CIFAR stem, 32 x 32
        out = [(32, 8, 64, 3, 1, 1), (32, 64, 64, 3, 1, 4)]
        for h, c in ((32, 64), (16, 128), (8, 256)):
            out += [(h, c, 2 * c, 3, 2, 1), (h // 2, 2 * c, 2 * c, 3, 1, 3), (h, c, 2 * c, 1, 2, 1)]
    else:  # ResNet-50 at 224
        out, c_in = [(224, 8, 64, 7, 2, 1)], 64
        for i, (h, w, n) in enumerate(((56, 64, 3), (28, 128, 4), (14, 256, 6), (7, 512, 3))):
            stride, above = (1 if i == 0 else 2), h * (1 if i == 0 else 2)
            out += [(above, c_in, w, 1, 1, 1), (above, w, w, 3, stride, 1), (h, w, 4 * w, 1, 1, n),
                    (above, c_in, 4 * w, 1, stride, 1), (h, 4 * w, w, 1, 1, n - 1), (h, w, w, 3, 1, n - 1)]
            c_in = 4 * w
    return [(batch, *layer) for layer in out]


def convolution(n, h, c, k, s, stride):
    q = up(h, stride)
    rows, x, y, w = n * q * q, n * h * h * c, n * q * q * k, k * s * s * c
    flops = 2 * rows * k * s * s * c
    floor = max(flops / PEAK, 2 * (x + y + w) / HBM)
    result = {}
    for name, (r, cols, depth, split, extra) in {
        "fprop": (rows, k, s * s * c, False, 0),
        # The norm before it: its y and output.
        "dgrad": (n * up(h, stride) ** 2 * stride**2, c, s * s * k / stride**2, False, 2 * x),
        "wgrad": (s * s * c, k, rows, True, 0),
    }.items():
        mma, l2 = product(r, cols, up(int(depth), 1), split)
        least = max(flops / PEAK, 2 * (x + y + w + extra) / HBM)
        time = max(mma, l2, 2 * (x + y + w + extra) / (HBM * STREAM))
        bound = ["tensor cores", "L2", "memory"][[mma, l2, time].index(time)]
        result[name] = (least, time, bound)
    return result


def main():
    for arch, batch, title in (("resnet18", 512, "ResNet-18, CIFAR stem, 32 x 32, batch 512"),
                               ("resnet50", 256, "ResNet-50, 224 x 224, batch 256")):
        print(f"\n**{title}**\n")
        print("| layer | times | " + " | ".join(f"{d}: us | of floor | by" for d in ("fprop", "dgrad", "wgrad")) + " |")
        print("|---|-:|" + "-:|-:|---|" * 3)
        total, floor, elements = 0.0, 0.0, 0
        for n, h, c, k, s, stride, times in layers(arch, batch):
            cells = []
            for name, (least, time, bound) in convolution(n, h, c, k, s, stride).items():
                if name == "dgrad" and c == 8:
                    cells.append("- | - | -")
                    continue
                total, floor = total + times * time, floor + times * least
                cells.append(f"{time * 1e6:.0f} | {least / time:.2f} | {bound}")
            elements += times * n * up(h, stride) ** 2 * k
            mark = f"/{stride}" if stride > 1 else ""
            print(f"| {s}x{s}{mark} {c} > {k} @{h} | {times} | " + " | ".join(cells) + " |")
        # apply reads y, writes out (a third of them with a residual); backward reads dz and y, writes dy.
        passes = 2 * elements * (2 + 1 / 3 + 3)
        apart = passes / (HBM * STREAM)
        print(f"\nConvolutions {total * 1e3:.2f} ms a step (floor {floor * 1e3:.2f}), batch norm's two passes "
              f"{apart * 1e3:.2f} ms (floor {passes / HBM * 1e3:.2f}): {batch / (total + apart):,.0f} images/s, "
              "without launches, pooling, loss and update.")


if __name__ == "__main__":
    sys.exit(main())
