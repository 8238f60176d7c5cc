"""Makes order.json, pixels.json and imagenette.json with torchvision 0.26 and Pillow 13.

    python make.py [IMAGENETTE_MINI]

order.json: files of a tree, and torchvision's ImageFolder listing of it.
pixels.json: small image files (hex) and Image.open(f).convert("RGB") (hex), some also through
    Resize and CenterCrop.
imagenette.json: every 16th pixel of some photographs, and the photographs at 32 x 32; written only
    where the folder is given.
"""
import io
import json
import os
import sys
import tempfile

import numpy as np
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder

from pictures import interlaced_rows, photo, raw_png

HERE = os.path.dirname(os.path.abspath(__file__))

# Names whose order or acceptance is easy to get wrong.
FILES = """
Zebra/a.jpg
_x/1.png
ape/B.JPG
ape/a.jpg
ape/a10.jpg
ape/a2.jpg
ape/Ä.png
ape/.jpg
ape/.hidden.png
ape/notes.txt
ape/a.jpg.txt
ape/a.gif
ape/noextension
ape/jpg
ape/two words.JpEg
ape/deep/er/1.png
ape/deep/er/0.TIFF
ape/deep-er/1.webp
ape/deep/1.pgm
ape/deep.er/1.ppm
ape/deep0/1.bmp
ape/empty/readme.md
ape 2/1.tif
äpe/1.png
ape-2/1.png
漢字/一.png
漢字/\uff5e.png
漢字/\U0001f600.png
10/x.png
9/x.png
""".split("\n")[1:-1]


def dump(name, value):
    with open(os.path.join(HERE, name), "w") as f:
        json.dump(value, f, indent=0, ensure_ascii=True)
        f.write("\n")


def order():
    with tempfile.TemporaryDirectory() as root:
        for name in FILES:
            path = os.path.join(root, "train", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "wb").close()
        data = ImageFolder(os.path.join(root, "train"))
        samples = [[os.path.relpath(p, root), label] for p, label in data.samples]
    dump("order.json", {"files": FILES, "classes": data.classes, "samples": samples})


def pixels():
    rgb = photo(11, 13)
    image = Image.fromarray(rgb)
    alpha = Image.fromarray((np.arange(11 * 13).reshape(11, 13) % 256).astype(np.uint8))
    rgba = image.copy()
    rgba.putalpha(alpha)
    wide = (rgb.astype(np.uint16) * 257 + 123).clip(0, 65535)
    cases = []

    def add(name, data, expected=None, sizes=()):
        opened = Image.open(io.BytesIO(data))
        opened.load()
        out = opened.convert("RGB")
        case = {
            "name": name, "mode": opened.mode, "file": data.hex(), "width": out.width, "height": out.height,
            "rgb": (out.tobytes() if expected is None else expected.tobytes()).hex(), "resized": [],
        }
        for size in sizes:
            both = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size)])
            case["resized"].append({"size": size, "rgb": both(out).tobytes().hex()})
        cases.append(case)

    def save(img, kind, **options):
        out = io.BytesIO()
        img.save(out, kind, **options)
        return out.getvalue()

    add("rgb.png", save(image, "PNG"), sizes=(5, 11, 20))
    add("grey.png", save(image.convert("L"), "PNG"))
    add("grey-alpha.png", save(rgba.convert("LA"), "PNG"))
    add("rgba.png", save(rgba, "PNG"))
    add("palette.png", save(image.quantize(17), "PNG"))
    add("palette-transparent.png", save(image.quantize(9), "PNG", transparency=3))
    add("palette-2-bit.png", save(image.quantize(4), "PNG", bits=2))
    add("bilevel.png", save(image.convert("1"), "PNG"))
    add("grey-transparent.png", save(image.convert("L"), "PNG", transparency=100))
    add("interlaced.png", raw_png(13, 11, 8, 2, list(interlaced_rows(rgb)), True))
    add("rgb-16.png", raw_png(13, 11, 16, 2, [r.astype(">u2").tobytes() for r in wide]))
    # Pillow would clip at 255; the high byte is what is wanted.
    grey = wide[..., 0]
    add("grey-16.png", raw_png(13, 11, 16, 0, [r.astype(">u2").tobytes() for r in grey]),
        np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, -1))
    add("1x1.png", save(image.crop((3, 3, 4, 4)), "PNG"), sizes=(4,))
    large = Image.fromarray(photo(21, 34))
    for quality, sampling in ((95, 0), (75, 2), (50, 1)):
        add(f"rgb-{quality}-{sampling}.jpg", save(large, "JPEG", quality=quality, subsampling=sampling))
    add("progressive.jpg", save(large, "JPEG", quality=85, progressive=True))
    add("restart.jpg", save(large, "JPEG", quality=85, restart_marker_blocks=2))
    add("grey.jpg", save(large.convert("L"), "JPEG", quality=85))
    add("cmyk.jpg", save(large.convert("CMYK"), "JPEG", quality=90))
    add("1x1.jpg", save(image.crop((3, 3, 4, 4)), "JPEG"))
    add("jpeg-named.png", save(large, "JPEG", quality=75))
    add("png-named.jpg", save(image, "PNG"))
    add("resize.png", save(Image.fromarray(photo(31, 23)), "PNG"), sizes=(12, 23, 40))
    add("resize-wide.jpg", save(Image.fromarray(photo(17, 51)), "JPEG", quality=90), sizes=(9,))
    dump("pixels.json", cases)


def imagenette(root):
    data = ImageFolder(os.path.join(root, "train"))
    both = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32)])
    out = []
    for i in range(7, len(data.samples), len(data.samples) // 4):
        path = data.samples[i][0]
        rgb = Image.open(path).convert("RGB")
        out.append({
            "id": os.path.relpath(path, root), "index": i, "label": data.samples[i][1],
            "every16": np.asarray(rgb)[::16, ::16].tobytes().hex(), "at32": both(rgb).tobytes().hex(),
        })
    dump("imagenette.json", {"count": len(data.samples), "images": out})


if __name__ == "__main__":
    order()
    pixels()
    if len(sys.argv) > 1:
        imagenette(sys.argv[1])
