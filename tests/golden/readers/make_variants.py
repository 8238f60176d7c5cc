"""Makes variants.json.gz: small image files of every kind that data sets hold, and their pixels as Pillow
13 (libjpeg-turbo) reads them, Image.open(f).convert("RGB").

    python make_variants.py

One JSON object a line: name, file (hex), height, width, and rgb (hex), or null where Pillow refuses the file.
Kinds that Pillow cannot write come from cjpeg of libjpeg-turbo (Debian: libjpeg-turbo-progs), or from a file of
Pillow's with some bytes changed.
"""
import gzip
import io
import itertools
import json
import os
import struct
import subprocess
import tempfile
import zlib

import numpy as np
from PIL import Image

from pictures import interlaced_rows, photo, raw_png

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = []


def add(name, data, expected=None):
    if any(c["name"] == name for c in CASES):
        raise SystemExit(f"two cases are called {name}")
    try:
        out = Image.open(io.BytesIO(data)).convert("RGB")
        rgb = out.tobytes() if expected is None else expected.tobytes()
        case = {"height": out.height, "width": out.width, "rgb": rgb.hex()}
    except (OSError, SyntaxError, ValueError):
        case = {"height": 0, "width": 0, "rgb": None}
    CASES.append({"name": name, "file": data.hex(), **case})


def save(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def noise(height, width, seed=0):
    """Colours without any pattern: every coefficient of a block is large."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def stripes(height, width):
    """Saturated colours with hard edges, where chroma upsampling and clamping show."""
    y, x = np.mgrid[0:height, 0:width]
    table = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255], [255, 0, 255], [0, 0, 0],
                      [255, 255, 255]], dtype=np.uint8)
    return table[(x // 3 + y // 2) % 8]


def cjpeg(rgb, *options):
    height, width, _ = rgb.shape
    ppm = b"P6 %d %d 255\n" % (width, height) + rgb.tobytes()
    return subprocess.run(["cjpeg", *options], input=ppm, stdout=subprocess.PIPE, check=True).stdout


def segments(jpeg):
    """Marker, first and last byte of every segment in front of the first scan's data."""
    at = 2
    while True:
        marker = jpeg[at + 1]
        end = at + 2 + struct.unpack(">H", jpeg[at + 2:at + 4])[0]
        yield marker, at, end
        if marker == 0xDA:
            return
        at = end


def without(jpeg, marker):
    for found, at, end in segments(jpeg):
        if found == marker:
            return jpeg[:at] + jpeg[end:]
    raise SystemExit(f"no segment {marker:x}")


def behind_start(jpeg, segment):
    return jpeg[:2] + segment + jpeg[2:]


def adobe(transform):
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])


def named(jpeg, ids):
    """The components called otherwise, in the frame and in the scans."""
    out, old = bytearray(jpeg), None
    for marker, at, _ in segments(jpeg):
        if marker in (0xC0, 0xC1, 0xC2):
            old = [jpeg[at + 10 + 3 * i] for i in range(jpeg[at + 9])]
            for i in range(len(old)):
                out[at + 10 + 3 * i] = ids[i]
        if marker == 0xDA:
            for i in range(jpeg[at + 4]):
                out[at + 5 + 2 * i] = ids[old.index(jpeg[at + 5 + 2 * i])]
    return bytes(out)


def jpegs():
    pictures = {"photo": photo, "noise": noise, "stripes": stripes}
    for (name, picture), quality, sampling in itertools.product(
            pictures.items(), (1, 30, 75, 95, 100), ("4:4:4", "4:2:2", "4:2:0")):
        add(f"{name}-{quality}-{sampling}.jpg",
            save(Image.fromarray(picture(17, 23)), "JPEG", quality=quality, subsampling=sampling))
    for height, width in [(1, 1), (1, 9), (9, 1), (2, 2), (3, 5), (7, 7), (8, 8), (15, 16), (16, 15), (16, 16), (17, 17),
                          (24, 31), (33, 9), (9, 33), (40, 3)]:
        for sampling in ("4:2:0", "4:2:2"):
            add(f"size-{height}x{width}-{sampling}.jpg",
                save(Image.fromarray(photo(height, width)), "JPEG", quality=85, subsampling=sampling))
    for sample in ("2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "2x4", "1x1,2x1,1x1", "2x2,1x2,1x2", "2x2,2x1,2x1",
                   "2x2,2x2,1x1", "1x2,1x1,1x1", "3x1", "3x2", "2x2,1x1,2x1"):
        for name in ("photo", "stripes"):
            rgb = pictures[name](19, 26)
            add(f"sample-{name}-{sample}.jpg", cjpeg(rgb, "-quality", "80", "-sample", sample))
            add(f"sample-progressive-{name}-{sample}.jpg",
                cjpeg(rgb, "-quality", "80", "-progressive", "-sample", sample))
    for quality, sampling, name in itertools.product((10, 60, 90), ("4:4:4", "4:2:2", "4:2:0"), pictures):
        add(f"progressive-{name}-{quality}-{sampling}.jpg",
            save(Image.fromarray(pictures[name](21, 34)), "JPEG", quality=quality, subsampling=sampling,
                 progressive=True))
    for blocks, progressive in itertools.product((1, 2, 5), (False, True)):
        add(f"restart-{blocks}-{progressive}.jpg",
            save(Image.fromarray(photo(25, 34)), "JPEG", quality=85, restart_marker_blocks=blocks,
                 progressive=progressive))
        add(f"restart-rows-{blocks}-{progressive}.jpg",
            save(Image.fromarray(photo(41, 18)), "JPEG", quality=85, restart_marker_rows=blocks,
                 progressive=progressive))
    large = photo(21, 34)
    image = Image.fromarray(large)
    add("optimised.jpg", save(image, "JPEG", quality=85, optimize=True))
    add("grey.jpg", save(image.convert("L"), "JPEG", quality=85))
    add("grey-progressive.jpg", save(image.convert("L"), "JPEG", quality=60, progressive=True))
    add("grey-2x2.jpg", cjpeg(large, "-grayscale", "-sample", "2x2"))
    add("arithmetic.jpg", cjpeg(large, "-quality", "80", "-arithmetic"))
    add("arithmetic-progressive.jpg", cjpeg(large, "-quality", "80", "-arithmetic", "-progressive"))
    for method in ("int", "fast", "float"):
        add(f"written-by-{method}.jpg", cjpeg(large, "-quality", "90", "-dct", method))
    add("smoothed.jpg", cjpeg(large, "-quality", "50", "-smooth", "40"))
    add("tables-of-16-bits.jpg", cjpeg(large, "-quality", "3"))
    add("tables-of-8-bits.jpg", cjpeg(large, "-quality", "3", "-baseline"))
    for quality in ("90,40", "20,95"):
        add(f"quality-{quality}.jpg", cjpeg(large, "-quality", quality))
    flat = [16] * 64
    steep = [1 + 3 * i for i in range(64)]
    add("own-tables.jpg", save(image, "JPEG", qtables=[flat, steep]))
    add("three-tables.jpg", save(image, "JPEG", qtables=[flat, steep, [99] * 64], subsampling="4:4:4"))
    for scans, text in {
        "one-by-one": "0;\n1;\n2;\n", "luma-last": "1;\n2;\n0;\n", "two-and-one": "0 1;\n2;\n",
        "spectral": "0: 0-0, 0, 0;\n1: 0-0, 0, 0;\n2: 0-0, 0, 0;\n0: 1-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;\n",
        "incomplete": "0 1 2: 0-0, 0, 1;\n0: 1-5, 0, 2;\n",
    }.items():
        with tempfile.NamedTemporaryFile("w") as script:
            script.write(text)
            script.flush()
            for name in ("photo", "noise"):
                add(f"scans-{scans}-{name}.jpg",
                    cjpeg(pictures[name](21, 34), "-quality", "75", "-scans", script.name))
    colours(image, large)
    extras(image)


def colours(image, large):
    """What the three and four components mean, by libjpeg's rules."""
    plain = save(image, "JPEG", quality=85, subsampling="4:4:4")
    as_rgb = cjpeg(large, "-quality", "85", "-rgb")
    bare, bare_rgb = without(plain, 0xE0), without(as_rgb, 0xEE)
    add("colours-jfif.jpg", plain)
    add("colours-rgb.jpg", as_rgb)
    add("colours-keep-rgb.jpg", save(image, "JPEG", quality=85, keep_rgb=True))
    for transform in (0, 1, 2):
        add(f"colours-jfif-adobe-{transform}.jpg", behind_start(plain, adobe(transform)))
        add(f"colours-adobe-{transform}.jpg", behind_start(bare, adobe(transform)))
        add(f"colours-adobe-{transform}-rgb.jpg", behind_start(bare_rgb, adobe(transform)))
    for ids in ([1, 2, 3], [0, 1, 2], [82, 71, 66], [114, 103, 98], [1, 34, 35], [7, 8, 9]):
        text = "-".join(map(str, ids))
        add(f"colours-ids-{text}.jpg", named(bare, ids))
        add(f"colours-jfif-ids-{text}.jpg", named(plain, ids))
        add(f"colours-adobe-1-ids-{text}.jpg", named(behind_start(bare, adobe(1)), ids))
    cmyk = image.convert("CMYK")
    four = save(cmyk, "JPEG", quality=90)
    add("cmyk.jpg", four)
    add("cmyk-progressive.jpg", save(cmyk, "JPEG", quality=70, progressive=True))
    add("cmyk-4:2:0.jpg", save(cmyk, "JPEG", quality=70, subsampling="4:2:0"))
    key = np.dstack([photo(20, 28), photo(28, 20).transpose(1, 0, 2)[..., 1]])
    add("cmyk-with-key.jpg", save(Image.fromarray(key, "CMYK"), "JPEG", quality=90))
    bare_four = without(four, 0xEE) if b"Adobe" in four else four
    add("cmyk-without-adobe.jpg", bare_four)
    for transform in (0, 1, 2):
        add(f"cmyk-adobe-{transform}.jpg", behind_start(bare_four, adobe(transform)))


def extras(image):
    """Segments that say nothing about pixels, or that viewers obey and convert("RGB") does not."""
    plain = save(image, "JPEG", quality=85)
    exif = Image.Exif()
    for orientation in (1, 3, 6, 8):
        exif[0x0112] = orientation
        add(f"orientation-{orientation}.jpg", save(image, "JPEG", quality=85, exif=exif))
    add("profile.jpg", save(image, "JPEG", quality=85, icc_profile=bytes(range(256)) * 40))
    add("comment.jpg", save(image, "JPEG", quality=85, comment=b"a comment \xff\xd8 with a marker in it"))
    add("dpi.jpg", save(image, "JPEG", quality=85, dpi=(300, 300)))
    for marker in (0xE1, 0xE2, 0xED, 0xEF, 0xFE):
        add(f"segment-{marker:x}.jpg", behind_start(plain, bytes([0xFF, marker, 0, 6]) + b"\xff\xd9\x00\x01"))
    add("fill-bytes.jpg", behind_start(plain, b"\xff\xff\xff"))
    add("behind-the-end.jpg", plain + b"more bytes \xff\xd9")
    add("second-image.jpg", plain + plain)
    add("thumbnail.jpg", behind_start(plain, b"\xff\xe1" + struct.pack(">H", len(plain) + 2) + plain))


def pngs():
    for height, width in [(1, 1), (1, 9), (9, 1), (11, 13), (16, 16), (31, 5)]:
        image = Image.fromarray(photo(height, width))
        alpha = image.copy()
        alpha.putalpha(Image.fromarray((np.arange(height * width).reshape(height, width) * 7 % 256).astype(np.uint8)))
        size = f"{height}x{width}"
        add(f"rgb-{size}.png", save(image, "PNG"))
        add(f"rgba-{size}.png", save(alpha, "PNG"))
        add(f"grey-{size}.png", save(image.convert("L"), "PNG"))
        add(f"grey-alpha-{size}.png", save(alpha.convert("LA"), "PNG"))
        add(f"bilevel-{size}.png", save(image.convert("1"), "PNG"))
        add(f"palette-{size}.png", save(image.quantize(40), "PNG"))
    image = Image.fromarray(photo(11, 13))
    for colours, bits in ((2, 1), (4, 2), (16, 4), (256, 8)):
        palette = image.quantize(colours)
        add(f"palette-of-{bits}-bits.png", save(palette, "PNG", bits=bits))
        add(f"palette-of-{bits}-bits-transparent.png", save(palette, "PNG", bits=bits, transparency=1))
    add("grey-transparent.png", save(image.convert("L"), "PNG", transparency=100))
    add("rgb-transparent.png", save(image, "PNG", transparency=tuple(int(v) for v in photo(11, 13)[3, 3])))
    for level in (0, 1, 9):
        add(f"level-{level}.png", save(image, "PNG", compress_level=level))
    add("optimised.png", save(image, "PNG", optimize=True))
    add("profile.png", save(image, "PNG", icc_profile=bytes(range(256)) * 8))
    add("dpi.png", save(image, "PNG", dpi=(72, 72)))
    exif = Image.Exif()
    exif[0x0112] = 6
    add("orientation-6.png", save(image, "PNG", exif=exif))
    wide = np.random.default_rng(1).integers(0, 65536, (11, 13, 4), dtype=np.uint16)
    big = lambda a: [r.astype(">u2").tobytes() for r in a]
    add("rgb-16.png", raw_png(13, 11, 16, 2, big(wide[..., :3])))
    add("rgba-16.png", raw_png(13, 11, 16, 6, big(wide)))
    add("grey-alpha-16.png", raw_png(13, 11, 16, 4, big(wide[..., :2])))
    # Pillow clips 16-bit grey at 255, which is almost all white; here the high byte is kept.
    high = np.repeat((wide[..., 0] >> 8).astype(np.uint8)[..., None], 3, -1)
    add("grey-16.png", raw_png(13, 11, 16, 0, big(wide[..., 0])), high)
    for bits in (1, 2, 4):
        values = np.random.default_rng(bits).integers(0, 256, (11, (13 * bits + 7) // 8), dtype=np.uint8)
        add(f"grey-of-{bits}-bits.png", raw_png(13, 11, bits, 0, [r.tobytes() for r in values]))
    rgb = photo(11, 13)
    add("interlaced-rgb.png", raw_png(13, 11, 8, 2, list(interlaced_rows(rgb)), True))
    add("interlaced-grey.png", raw_png(13, 11, 8, 0, list(interlaced_rows(rgb[..., 0])), True))
    add("interlaced-rgba.png", raw_png(13, 11, 8, 6, list(interlaced_rows(np.dstack([rgb, rgb[..., 0]]))), True))
    plain = save(image, "PNG")
    for kind, data in ((b"gAMA", struct.pack(">I", 220000)), (b"sRGB", b"\0"), (b"tEXt", b"Title\0a"),
                       (b"bKGD", b"\0\1\0\2\0\3"), (b"tIME", b"\x07\xe8\1\1\0\0\0"), (b"prVt", b"any")):
        chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        add(f"chunk-{kind.decode()}.png", plain[:33] + chunk + plain[33:])


def others():
    rgb = Image.fromarray(photo(21, 34))
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray((np.arange(21 * 34).reshape(21, 34) * 5 % 256).astype(np.uint8)))
    modes = {"1": rgb.convert("1"), "L": rgb.convert("L"), "P": rgb.quantize(30), "RGB": rgb, "RGBA": rgba,
             "CMYK": rgb.convert("CMYK"), "LA": rgba.convert("LA")}
    for kind, written in {"BMP": ["1", "L", "P", "RGB", "RGBA"], "GIF": ["1", "L", "P", "RGB"], "PPM": ["1", "L", "RGB"],
                          "WEBP": ["L", "RGB", "RGBA"], "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"]}.items():
        for mode in written:
            add(f"{kind.lower()}-{mode}.{kind.lower()}", save(modes[mode], kind))
    for quality in (1, 50, 80, 100):
        add(f"quality-{quality}.webp", save(rgb, "WEBP", quality=quality))
        add(f"quality-{quality}-alpha.webp", save(rgba, "WEBP", quality=quality))
        add(f"quality-{quality}-noise.webp", save(Image.fromarray(noise(37, 45)), "WEBP", quality=quality))
    for method in (0, 6):
        add(f"lossless-{method}.webp", save(rgb, "WEBP", lossless=True, method=method))
    add("lossless-alpha.webp", save(rgba, "WEBP", lossless=True, exact=True))
    add("large.webp", save(Image.fromarray(photo(133, 71)), "WEBP"))
    for size in ((1, 1), (3, 5), (16, 16), (17, 33)):
        for kind in ("WEBP", "BMP", "GIF", "TIFF", "PPM"):
            add(f"size-{size[0]}x{size[1]}.{kind.lower()}", save(Image.fromarray(photo(*size)), kind))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        for mode in ("L", "RGB", "RGBA"):
            add(f"{compression}-{mode}.tiff", save(modes[mode], "TIFF", compression=compression))
    add("transparent.gif", save(modes["P"], "GIF", transparency=3))
    add("frames.gif", save(rgb, "GIF", save_all=True, append_images=[rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]))
    add("interlaced.gif", save(rgb, "GIF", interlace=1))
    wide = (np.arange(21 * 34).reshape(21, 34) * 90).astype(np.uint16)
    # As of PNG: the high byte of 16-bit grey.
    high = np.repeat((wide >> 8).astype(np.uint8)[..., None], 3, -1)
    add("grey-16.tiff", save(Image.fromarray(wide), "TIFF"), high)
    add("grey-16.ppm", save(Image.fromarray(wide), "PPM"), high)


if __name__ == "__main__":
    jpegs()
    pngs()
    others()
    lines = "".join(json.dumps(c) + "\n" for c in CASES)
    with open(os.path.join(HERE, "variants.json.gz"), "wb") as f:
        f.write(gzip.compress(lines.encode(), 9, mtime=0))
    for kind in ("jpg", "png", "webp", "bmp", "gif", "tiff", "ppm"):
        print(sum(c["name"].endswith(kind) for c in CASES), kind)
    print("refused:", [c["name"] for c in CASES if c["rgb"] is None])
