"""Makes the small data sets of this folder and expected.json, which says how the ecosystem's own
readers read them: torchvision 0.26, webdataset 1.0.2, datasets 5.2.0 (pyarrow 26.0.1).

    python make.py

Pixels are compared by the MD5 of (N, H, W, 3) bytes.
"""
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import tempfile

import numpy as np
import pyarrow
import pyarrow.parquet
import webdataset
from datasets import ClassLabel, Dataset, Features, Image, Value, load_dataset
from PIL import Image as Pillow
from torchvision import datasets as vision

HERE = os.path.dirname(os.path.abspath(__file__))
RANDOM = np.random.default_rng(20240405)
EXPECTED = {}


def folder(name):
    path = os.path.join(HERE, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def pixels(*shape):
    """Random bytes of few values, which pack well."""
    return (RANDOM.integers(0, 6, shape) * 50).astype(np.uint8)


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def png(array):
    out = io.BytesIO()
    Pillow.fromarray(array).save(out, "PNG")
    return out.getvalue()


def described(images, labels):
    images = [np.asarray(i.convert("RGB") if isinstance(i, Pillow.Image) else i) for i in images]
    rgb = np.stack([i if i.ndim == 3 else np.repeat(i[..., None], 3, -1) for i in images])
    return {
        "shape": list(rgb.shape),
        "labels": [int(l) for l in labels],
        "md5": hashlib.md5(np.ascontiguousarray(rgb).tobytes()).hexdigest(),
    }


# ---- CIFAR, Python version

class Python2(pickle._Pickler):
    """Writes what cPickle of Python 2 wrote under protocol 2: byte strings, old module names."""
    dispatch = dict(pickle._Pickler.dispatch)

    def __init__(self, file):
        super().__init__(file, protocol=2)

    def text(self, data):
        data = data.encode() if isinstance(data, str) else data
        if len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(data)

    dispatch[str] = text
    dispatch[bytes] = text

    def save_global(self, obj, name=None):
        names = {np.ndarray: "numpy\nndarray", np.dtype: "numpy\ndtype"}
        found = names.get(obj, "numpy.core.multiarray\n_reconstruct")
        assert obj in names or obj.__name__ == "_reconstruct", obj
        self.write(pickle.GLOBAL + found.encode() + b"\n")
        self.memoize(obj)

    def save_array(self, array):
        reconstruct, arguments, state = array.__reduce__()
        # Of Python 2's NumPy: the type of an unsigned byte by its short name.
        self.save_reduce(reconstruct, arguments, state, obj=array)

    dispatch[np.ndarray] = save_array
    for builtin in (type(np.ndarray.__reduce__), type(np.zeros), type):
        dispatch[builtin] = save_global


def python2(value):
    out = io.BytesIO()
    Python2(out).dump(value)
    return out.getvalue()


def batch(n, first, coarse=False, order="C"):
    data = np.asarray(pixels(n, 3072), order=order)
    names = [f"image_{first + i}.png" for i in range(n)]
    value = {"batch_label": "a batch", "data": data, "filenames": names}
    if coarse:
        value["fine_labels"] = [int(l) for l in RANDOM.integers(0, 100, n)]
        value["coarse_labels"] = [int(l) for l in RANDOM.integers(0, 20, n)]
    else:
        value["labels"] = [int(l) for l in RANDOM.integers(0, 10, n)]
    return value


def cifar():
    root = folder("cifar-python")
    ten = os.path.join(root, "cifar-10-batches-py")
    for name, n, order in (("data_batch_1", 2, "C"), ("data_batch_2", 2, "F"), ("test_batch", 1, "C")):
        put(os.path.join(ten, name), python2(batch(n, 0, order=order)))
    names = "airplane automobile bird cat deer dog frog horse ship truck".split()
    put(os.path.join(ten, "batches.meta"),
        python2({"num_cases_per_batch": 10000, "label_names": names, "num_vis": 3072}))

    class Ten(vision.CIFAR10):
        train_list = [["data_batch_1", None], ["data_batch_2", None]]
        test_list = [["test_batch", None]]
        meta = {"filename": "batches.meta", "key": "label_names", "md5": None}

    def both(kind, root):
        train, test = kind(root, train=True), kind(root, train=False)
        return {
            "classes": train.classes,
            "train": described(train.data, train.targets),
            "test": described(test.data, test.targets),
        }

    EXPECTED["cifar-python/cifar-10-batches-py"] = both(Ten, root)

    hundred = os.path.join(root, "cifar-100-python")
    put(os.path.join(hundred, "train"), python2(batch(2, 0, coarse=True)))
    put(os.path.join(hundred, "test"), python2(batch(1, 2, coarse=True)))
    fine = [f"fine {i}" for i in range(100)]
    put(os.path.join(hundred, "meta"),
        python2({"fine_label_names": fine, "coarse_label_names": [f"coarse {i}" for i in range(20)]}))

    class Hundred(vision.CIFAR100):
        train_list = [["train", None]]
        test_list = [["test", None]]
        meta = {"filename": "meta", "key": "fine_label_names", "md5": None}

    EXPECTED["cifar-python/cifar-100-python"] = both(Hundred, root)

    # The same dictionary as Python 3 pickles it again.
    class One(Ten):
        train_list = [["data_batch_1", None]]
        test_list = []

    for protocol in (2, 3, 4, 5):
        root = folder(f"cifar-protocol-{protocol}")
        ten = os.path.join(root, "cifar-10-batches-py")
        value = batch(1, 0)
        if protocol == 4:
            value = {k.encode(): v for k, v in value.items()}
        put(os.path.join(ten, "data_batch_1"), pickle.dumps(value, protocol))
        put(os.path.join(ten, "batches.meta"), pickle.dumps({"label_names": names}, protocol))
        if protocol == 4:
            # torchvision wants text for keys; the images are the same.
            entry = {"classes": names, "train": described(
                value[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), value[b"labels"])}
        else:
            train = One(root, train=True)
            entry = {"classes": train.classes, "train": described(train.data, train.targets)}
        EXPECTED[f"cifar-protocol-{protocol}"] = entry


# ---- MNIST

def idx(array):
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def mnist():
    root = folder("idx")
    raw = os.path.join(root, "MNIST", "raw")
    for part, n in (("train", 4), ("t10k", 2)):
        labels = RANDOM.permutation(10)[:n].astype(np.uint8)
        labels[0] = 9
        put(os.path.join(raw, f"{part}-images-idx3-ubyte"), idx(pixels(n, 28, 28)))
        put(os.path.join(raw, f"{part}-labels-idx1-ubyte"), idx(labels))
    zipped = folder("idx-gz")
    for name in os.listdir(raw):
        with open(os.path.join(raw, name), "rb") as f:
            put(os.path.join(zipped, name + ".gz"), gzip.compress(f.read(), mtime=0))
    entry = {"classes": [str(k) for k in range(10)]}
    for part, train in (("train", True), ("test", False)):
        data = vision.MNIST(root, train=train)
        entry[part] = described(data.data.numpy(), data.targets.numpy())
    EXPECTED["idx"] = EXPECTED["idx-gz"] = entry


# ---- WebDataset

def tar(path, members, form):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tarfile.open(path, "w", format=form) as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type = tarfile.DIRTYPE
                out.addfile(info)
            elif isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                out.addfile(info)
            else:
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))


def read_webdataset(shards):
    images, labels, keys = [], [], []
    for sample in webdataset.WebDataset(shards, shardshuffle=False, empty_check=False):
        data = [v for k, v in sample.items() if k in ("jpg", "jpeg", "png")]
        assert len(data) == 1, sample.keys()
        images.append(Pillow.open(io.BytesIO(data[0])))
        label = int(sample["cls"]) if "cls" in sample else json.loads(sample["json"])["label"]
        labels.append(label)
        keys.append(os.path.basename(sample["__url__"]) + ":" + sample["__key__"])
    return {**described(images, labels), "keys": keys}


def shards():
    root = folder("webdataset")
    n = 0
    for shard, count in (("train-000000", 3), ("train-000001", 2), ("val-000000", 2)):
        with webdataset.TarWriter(os.path.join(root, shard + ".tar"), mtime=0, user="u", group="g") as out:
            for _ in range(count):
                sample = {"__key__": f"{n:06}", "png": png(pixels(4, 5, 3))}
                sample["cls" if n % 2 else "json"] = str(n % 3) if n % 2 else {"label": n % 3, "x": [1]}
                out.write(sample)
                n += 1
    put(os.path.join(root, "classes.txt"), b"red\ngreen\nblue\n")
    at = lambda *names: [os.path.join(root, name) for name in names]
    EXPECTED["webdataset"] = {
        "classes": ["red", "green", "blue"],
        "train": read_webdataset(at("train-000000.tar", "train-000001.tar")),
        "test": read_webdataset(at("val-000000.tar")),
    }

    long = "folder/" * 20 + "long"
    image = lambda: png(pixels(4, 5, 3))
    odd = [
        ("folder", None),
        ("./a.png", image()), ("./a.cls", b" 1\n"),
        ("v1.0/b.JPG", image()), ("v1.0/b.extra.json", b"not json"), ("v1.0/b.cls", b"0"),
        (".hidden.png", b"no image"), ("noextension", b"x"), ("__meta.json__", b"{"),
        ("link.png", "a.png"),
        ("two words.jpeg", image()), ("two words.JSON", b'{"label": 2}'),
        ("\u6f22.cls", b"1"), ("\u6f22.png", image()),
        (long + ".png", image()), (long + ".cls", b"2"),
    ]
    for name, form in (("webdataset-gnu", tarfile.GNU_FORMAT), ("webdataset-pax", tarfile.PAX_FORMAT)):
        path = os.path.join(folder(name), "only.tar")
        tar(path, odd, form)
        EXPECTED[name] = {"classes": ["0", "1", "2"], "train": read_webdataset([path])}


# ---- Parquet

def read_hub(root):
    found, entry = load_dataset(root, cache_dir=tempfile.mkdtemp()), {}
    for part, ours in (("train", "train"), ("validation", "test")):
        data = found[part]
        image = "image" if "image" in data.features else "img"
        label = "label" if "label" in data.features else "fine_label"
        entry[ours] = described(data[image], data[label])
        entry["classes"] = data.features[label].names
    return entry


def parquet():
    root = folder("parquet")
    features = Features({"id": Value("string"), "image": Image(), "label": ClassLabel(names=["red", "green", "blue"])})

    def rows(n, labelled=True):
        return Dataset.from_dict({
            "id": [f"#{i}" for i in range(n)],
            "image": [{"bytes": png(pixels(4, 5, 3)), "path": f"{i}.png"} for i in range(n)],
            "label": [i % 3 if labelled else -1 for i in range(n)],
        }, features=features)

    data = os.path.join(root, "data")
    os.makedirs(data)
    for name, n, labelled, packed in (("train-00000-of-00002", 5, True, None), ("train-00001-of-00002", 3, True, "zstd"),
                                      ("validation-00000-of-00001", 2, True, "gzip"), ("test-00000-of-00001", 2, False, None)):
        path = os.path.join(data, name + ".parquet")
        rows(n, labelled).to_parquet(path, batch_size=2)
        if packed:
            pyarrow.parquet.write_table(pyarrow.parquet.read_table(path), path, compression=packed)
    EXPECTED["parquet"] = read_hub(root)

    # Fine and coarse labels as CIFAR-100 on the hub, in folders of the converted branch.
    root = folder("parquet-converted")
    names = [f"f{i}" for i in range(5)]
    features = Features({"img": Image(), "fine_label": ClassLabel(names=names),
                         "coarse_label": ClassLabel(names=["x", "y"])})
    for part, n in (("train", 4), ("validation", 2)):
        data = Dataset.from_dict({
            "img": [{"bytes": png(pixels(4, 5, 3)), "path": None} for _ in range(n)],
            "fine_label": [(3 * i) % 5 for i in range(n)], "coarse_label": [i % 2 for i in range(n)],
        }, features=features)
        os.makedirs(os.path.join(root, "plain_text", part))
        data.to_parquet(os.path.join(root, "plain_text", part, "0000.parquet"))
    EXPECTED["parquet-converted"] = read_hub(os.path.join(root, "plain_text"))

    # No metadata, 32-bit labels, no dictionary, pages of the second form, several row groups.
    root = folder("parquet-plain")
    images, labels = [pixels(4, 5, 3) for _ in range(7)], [2, 0, 1, 1, 2, 0, 2]
    table = pyarrow.table({
        "image": pyarrow.array([png(i) for i in images], pyarrow.binary()),
        "label": pyarrow.array(labels, pyarrow.int32()),
    })
    pyarrow.parquet.write_table(table, os.path.join(root, "all.parquet"), row_group_size=3,
                                use_dictionary=False, data_page_version="2.0", data_page_size=64)
    EXPECTED["parquet-plain"] = {"classes": ["0", "1", "2"], "train": described(images, labels)}


# ---- Order of TinyImageNet's training images

def tiny():
    names = ["n01443537/images/n01443537_0.JPEG", "n01443537/images/n01443537_10.JPEG",
             "n01443537/images/n01443537_2.JPEG", "n01443537/n01443537_boxes.txt",
             "n02124075/images/n02124075_1.JPEG", "n01629819/images/n01629819_5.JPEG"]
    with tempfile.TemporaryDirectory() as root:
        for name in names:
            put(os.path.join(root, name), b"")
        data = vision.ImageFolder(root)
        samples = [[os.path.relpath(p, root), label] for p, label in data.samples]
    EXPECTED["tiny-imagenet"] = {"files": names, "classes": data.classes, "samples": samples}


if __name__ == "__main__":
    cifar()
    mnist()
    shards()
    parquet()
    tiny()
    with open(os.path.join(HERE, "expected.json"), "w") as f:
        json.dump(EXPECTED, f, indent=1, ensure_ascii=True)
        f.write("\n")
