"""Pictures for the cases of this folder, and PNG files that Pillow cannot write."""
import struct
import zlib

import numpy as np


def photo(height, width):
    """Smooth colours with an edge and some fine texture."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    rgb = np.stack([
        120 + 90 * np.sin(x / 9 + y / 17),
        110 + 80 * np.cos(x / 13 - y / 7),
        140 + 60 * np.sin((x + y) / 11),
    ], -1)
    rgb[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] += 50
    rgb += ((x * 7 + y * 13) % 5)[..., None] * 4
    return np.clip(rgb, 0, 255).astype(np.uint8)


def raw_png(width, height, bits, colour, rows, interlaced=False):
    """A PNG that Pillow cannot write itself; `rows` are the scan lines without filter bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    data = zlib.compress(b"".join(b"\0" + r for r in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def interlaced_rows(pixels):
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    for x, y, dx, dy in passes:
        part = pixels[y::dy, x::dx]
        if part.size:
            yield from (row.tobytes() for row in part)
