#!/usr/bin/env python3
"""Predicts the tensor-core kernels' times on one H200 from counts alone, and prints docs/performance.md's
tables. Nothing here is measured by this project; `fairprune bench --suite kernels` measures.

Assumed ceilings, published or measured by others: 790 TFLOP/s of dense bf16, of which mma.sync reaches 60 %;
4.3 TB/s of device memory, of which a streaming kernel reaches 90 %; 5.5 TB/s of L2. Blocks on a
multiprocessor are those that registers and shared memory allow (tests/sass.rs checks them).

A convolution's time is the largest of: products of whole tiles, of which every multiprocessor takes its
share; what the tiles copy from L2; its tensors in device memory. Its floor is the larger of its exact
products and its tensors' bytes at the full ceilings. Tiles, families and splits are those that
src/ops/conv2d/cuda/bf16/choice.rs chooses, whose model this is.
"""
import re, sys, pathlib

PEAK, MMA, HBM, STREAM, L2 = 790e12, 0.6, 4.3e12, 0.9, 5.5e12
text = (pathlib.Path(__file__).parent.parent / "kernels/tiles.h").read_text()
T = {k: int(v) for k, v in re.findall(r"#define FAIRPRUNE_(\w+) (\d+)", text)}
SMS = T["MMA_MULTIPROCESSORS"]
up = lambda a, b: -(-a // b)
stages = lambda terms: up(terms, T["MMA_DEPTH"]) * T["MMA_DEPTH"]


WARPS, SHARED, SHARED_BLOCK = 12, 233472, 232448
TILES = {n: [T[f"MMA_{n}_{x}"] for x in ("ROWS", "COLUMNS", "THREADS", "SHARED", "BLOCKS")]
         for n in ("WIDE", "MEDIUM", "NARROW", "TALL")}


def halo_bytes(name, w, channels):
    """Shared memory of fprop's and dgrad's halo kernels."""
    rows, columns = TILES[name][:2]
    stages = T["MMA_STAGES"] * T["MMA_DEPTH"] * 2 * columns
    pixels = (rows + 2 * (w + 1)) * (channels // 8 | 1) * 16
    return max(stages + T["MMA_HALO_ZEROS"] + pixels, T[f"MMA_{name}_TURNED"])


def ways(depth, direction, window):
    """(tile, halo, splits, blocks) that a product can take; window: (w, channels) of a 3 x 3 with stride 1."""
    weights = direction in ("wgrad", "norm")
    for name, (r, c, _, shared, blocks) in TILES.items():
        for halo in (False, True):
            if halo and (window is None or weights != (name == "TALL") or (weights and window[1] % 64)):
                continue
            if not halo and name == "TALL":
                continue
            used = halo_bytes(name, *window) if halo and not weights else shared
            if used > SHARED_BLOCK:
                continue
            fit = min(blocks, SHARED // (used + 1024))
            splits = depth // T["MMA_SPLIT_POSITIONS"] if direction == "wgrad" else 1
            for splits in range(1, max(1, min(splits, T["MMA_SPLITS"])) + 1):
                yield name, halo, splits, fit


def tile_seconds(rows, columns, threads, blocks, tiles, depth, copied):
    """Seconds of the tiles' products, and of their copies."""
    share = up(tiles, SMS)
    rate = MMA * PEAK / SMS * min(1, min(share, blocks) * threads / 32 / WARPS)
    return share * rows * columns * depth * 2 / rate, tiles * copied / L2


def seconds(way, rows, columns, depth, count, direction, window, moved, weights):
    """Seconds of rows x columns x depth, `count` times: (bound, products and copies), and what bounds them."""
    name, halo, splits, fit = way
    r, c, threads, _, _ = TILES[name]
    padded = stages(up(depth, splits))
    if not halo:
        copied = 2 * (r + c) * padded
    elif name == "TALL":
        copied = 2 * c * (2 * padded + padded // 16)
    else:
        copied = 2 * ((r + 2 * (window[0] + 1)) * window[1] + c * padded)
    tiles = up(rows, r) * up(columns, c) * count * splits
    mma, l2 = tile_seconds(r, c, threads, fit, tiles, padded, copied)
    memory = 2 * moved / (HBM * STREAM)
    time = max(mma, l2, memory)
    bound = ["tensor cores", "L2", "memory"][[mma, l2, memory].index(time)]
    sums = 8 * splits * weights if splits > 1 else 0
    return (time + sums / (HBM * STREAM), mma + l2), bound


def product(rows, columns, depth, count, direction, window, moved, weights):
    """Seconds, what bounds them, and the way."""
    sizes = rows, columns, depth, count, direction, window, moved, weights
    way = min(ways(depth, direction, window), key=lambda way: seconds(way, *sizes)[0])
    (time, _), bound = seconds(way, *sizes)
    r, c = TILES[way[0]][:2]
    return time, bound, f"{r}x{c}{' halo' if way[1] else ''}{f' /{way[2]}' if way[2] > 1 else ''}"


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
    halo = stride == 1 and s == 3
    result = {}
    for name, (r, cols, depth, count, extra, channels, weights) in {
        "fprop": (rows, k, s * s * c, 1, 0, c, w),
        # The norm before it: its y and output.
        "dgrad": (n * up(h, stride) ** 2, c, up(s * s * k, stride**2), stride**2, 2 * x, k, w),
        "plain": (n * up(h, stride) ** 2, c, up(s * s * k, stride**2), stride**2, 0, k, w),
        # dw is f32.
        "wgrad": (s * s * c, k, rows, 1, 0, c, 2 * w),
    }.items():
        moved = x + y + weights + extra
        least = max(flops / PEAK, 2 * moved / HBM)
        window = (h, channels) if halo else None
        time, bound, way = product(r, cols, depth, count, name, window, moved, w)
        result[name] = (least, time, bound, way)
    result["norm"] = norms(n, h, c, k, s, stride)
    return result


def norms(n, h, c, k, s, stride):
    """Seconds of the gradient norms, the form and the tile that grad_norm.rs chooses, which does not look at n."""
    t, d = up(h, stride) ** 2, s * s * c
    side, threads, blocks = (T[f"MMA_GRAM_{x}"] for x in ("TILE", "THREADS", "BLOCKS"))
    triangle = lambda size: up(size, side) * (up(size, side) + 1) // 2
    window = (h, c) if stride == 1 and s == 3 else None

    def gram(size, terms, samples):
        depth = stages(terms)
        return max(tile_seconds(side, side, threads, blocks, samples * triangle(size), depth, 4 * side * depth))

    def forms(samples):
        moved = samples * (h * h * c + t * k)
        sizes = d, k, t, samples, "norm", window, moved, 0
        for way in ways(t, "norm", window):
            time, bound = seconds(way, *sizes)
            r, cols = TILES[way[0]][:2]
            yield time, bound, f"{r}x{cols}{' halo' if way[1] else ''}"
        floor = 2 * moved / (HBM * STREAM)
        yield (max(floor, gram(t, d, samples) + gram(t, k, samples)), 0), "", "Gram"
        if stride == 1:
            taps = t * (t + 1) / 2 * s * s / 0.8e12 + 2 * h * h * (h * h + 1) / L2
            time = gram(h * h, c, samples) + gram(t, k, samples) + samples * taps
            yield (max(floor, time), 0), "", "shifted Gram"

    order = [time for time, _, _ in forms(16 * SMS)]
    (time, _), _, name = list(forms(n))[order.index(min(order))]
    return time, name


def main():
    for arch, batch, title in (("resnet18", 512, "ResNet-18, CIFAR stem, 32 x 32, batch 512"),
                               ("resnet50", 256, "ResNet-50, 224 x 224, batch 256")):
        print(f"\n**{title}**\n")
        print("| layer | times | " + " | ".join(f"{d}: us | of floor | by | tile" for d in ("fprop", "dgrad", "wgrad")) + " |")
        print("|---|-:|" + "-:|-:|---|---|" * 3)
        sums = dict.fromkeys(("fprop", "dgrad", "plain", "wgrad", "norm"), 0.0)
        floor, elements, chosen = 0.0, 0, []
        for n, h, c, k, s, stride, times in layers(arch, batch):
            cells = []
            result = convolution(n, h, c, k, s, stride)
            for name in ("fprop", "dgrad", "wgrad"):
                least, time, bound, way = result[name]
                if name == "dgrad" and c == 8:
                    cells.append("- | - | - | -")
                    continue
                sums[name] += times * time
                floor += times * least
                cells.append(f"{time * 1e6:.0f} | {least / time:.2f} | {bound} | {way}")
            sums["plain"] += times * result["plain"][1] * (c != 8)
            sums["norm"] += times * result["norm"][0]
            chosen.append((f"{s}x{s}{f'/{stride}' if stride > 1 else ''} {c} > {k} @{h}", *result["norm"]))
            elements += times * n * up(h, stride) ** 2 * k
            mark = f"/{stride}" if stride > 1 else ""
            print(f"| {s}x{s}{mark} {c} > {k} @{h} | {times} | " + " | ".join(cells) + " |")
        stream = lambda passes: 2 * elements * passes / (HBM * STREAM)
        # apply reads y, writes out (a third of them with a residual); backward reads dz and y, writes dy.
        train = sums["fprop"] + sums["dgrad"] + sums["wgrad"] + stream(2 + 1 / 3 + 3)
        # The affine map is fprop's; a third of the outputs read a residual.
        forward = sums["fprop"] + stream(1 / 3)
        # apply as in training; backward reads dz, out and y, writes dy.
        grand = sums["fprop"] + sums["plain"] + sums["norm"] + stream(2 + 1 / 3 + 4)
        print(f"\nConvolutions {1e3 * (sums['fprop'] + sums['dgrad'] + sums['wgrad']):.2f} ms a step (floor "
              f"{floor * 1e3:.2f}), batch norm's two passes {stream(2 + 1 / 3 + 3) * 1e3:.2f} ms. Images/s without "
              "launches, pooling, loss and update:\n")
        print("| training | forward scoring | GraNd | GraNd over training |\n|-:|-:|-:|-:|")
        print(f"| {batch / train:,.0f} | {batch / forward:,.0f} | {batch / grand:,.0f} | {train / grand:.2f} |")
        print("\nGradient norms, us a batch:\n\n| layer | form | us |\n|---|---|-:|")
        for layer, time, form in chosen:
            print(f"| {layer} | {form} | {time * 1e6:.0f} |")


if __name__ == "__main__":
    sys.exit(main())
