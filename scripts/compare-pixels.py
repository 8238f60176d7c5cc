#!/usr/bin/env python3
"""Holds every pixel of an image folder against Pillow's `Image.open(f).convert("RGB")`, with --size S also against
torchvision's Resize(S) and CenterCrop(S) of it. Needs NumPy and Pillow 13, and the program built.

    scripts/compare-pixels.py FOLDER [--size S]
"""
import argparse
import json
import os
import struct
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image

BINARY = os.environ.get("FAIRPRUNE", os.path.join(os.path.dirname(__file__), "..", "target", "release", "fairprune"))


def parts(cache):
    """Ids and pixels of each part of a cache file; its layout is in src/data/cache/mod.rs."""
    data = np.memmap(cache, np.uint8, "r")
    length, = struct.unpack("<Q", data[16:24].tobytes())
    header = json.loads(data[64:64 + length].tobytes())
    shape = header["height"], header["width"], 3
    for part in header["parts"]:
        ends = np.frombuffer(data[part["id_ends"]:][:8 * part["images"]].tobytes(), "<u8")
        text = data[part["ids"]:][:part["id_bytes"]].tobytes()
        starts = np.concatenate([[0], ends[:-1]]).astype(int)
        ids = [text[a:b].decode() for a, b in zip(starts, ends.astype(int))]
        pixels = data[part["pixels"]:][:part["images"] * int(np.prod(shape))]
        yield part["part"], ids, pixels.reshape(-1, *shape)


def expected(path, size):
    image = Image.open(path).convert("RGB")
    if size:
        width, height = image.size
        short = min(width, height)
        if short != size:
            image = image.resize((int(size * width / short), int(size * height / short)), Image.Resampling.BILINEAR)
        width, height = image.size
        left, top = round((width - size) / 2), round((height - size) / 2)
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--size", type=int)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        cache = os.path.join(scratch, "set.fpc")
        command = [BINARY, "data", "cache", given.folder, "--out", cache]
        begin = time.time()
        subprocess.run(command + (["--image-size", str(given.size)] if given.size else []), check=True)
        ours = time.time() - begin
        for part, ids, pixels in parts(cache):
            begin, different, largest = time.time(), 0, 0
            for name, image in zip(ids, pixels):
                theirs = expected(os.path.join(given.folder, name), given.size)
                gap = np.abs(image.astype(int) - theirs)
                different += bool(gap.any())
                largest = max(largest, int(gap.max()))
            print(f"{part}: {len(ids)} images, {different} differ, by at most {largest}; Pillow, one thread and with "
                  f"the comparison: {time.time() - begin:.1f} s")
        print(f"data cache, all parts: {ours:.1f} s")


if __name__ == "__main__":
    main()
