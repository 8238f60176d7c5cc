"""Makes small files as other programs write them, with NumPy 2 and pyarrow.

    python make.py

Parquet: eight rows of 2 x 2 images, row i of class i % 2 and of the colour (i, 100, 200), with other
codecs, encodings and columns. CIFAR: batches of two records, record i of class 3 + i whose planes hold
210 + i, 220 + i, 230 + i; protocol 0, and labels as NumPy arrays and scalars. npz: labels and scores.
"""
import io
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))


def png(i):
    out = io.BytesIO()
    Image.fromarray(np.full((2, 2, 3), (i, 100, 200), np.uint8)).save(out, "PNG")
    return out.getvalue()


def parquet(name, columns, **options):
    pq.write_table(pa.table(columns), os.path.join(HERE, f"{name}.parquet"), **options)


def batch(name, labels, protocol):
    data = np.array([[210 + i] * 1024 + [220 + i] * 1024 + [230 + i] * 1024 for i in range(2)], np.uint8)
    with open(os.path.join(HERE, name), "wb") as out:
        pickle.dump({"data": data, "labels": labels}, out, protocol)


if __name__ == "__main__":
    images = pa.array([png(i) for i in range(8)], pa.binary())
    labels = pa.array([i % 2 for i in range(8)], pa.int64())
    plain = {"image": images, "label": labels}
    for codec in ("lz4", "brotli"):
        parquet(codec, plain, compression=codec)
    deltas = {"image": "DELTA_LENGTH_BYTE_ARRAY", "label": "DELTA_BINARY_PACKED"}
    parquet("delta", plain, use_dictionary=False, column_encoding=deltas)
    parquet("delta-strings", plain, use_dictionary=False, column_encoding={"image": "DELTA_BYTE_ARRAY"})
    parquet("odd-columns", {"note": pa.array(["x"] * 8), "photo": images, "kind": labels})
    parquet("two-columns", {"photo": images, "mask": images, "kind": labels, "year": labels})
    batch("protocol-0", [3, 4], 0)
    batch("array-labels", np.array([3, 4]), 2)
    batch("scalar-labels", list(np.array([3, 4], np.int32)), 4)
    batch("big-endian-labels", np.array([3, 4], ">i2"), 3)
    for name, save in (("packed", np.savez_compressed), ("stored", np.savez)):
        save(os.path.join(HERE, f"{name}.npz"), labels=np.array([0, 1, 1]), scores=np.array([.5, -1, 2]))
