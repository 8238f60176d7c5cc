"""Every block of docs/pytorch.md, in order, on a small folder of images."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torchvision")
from PIL import Image  # noqa: E402

import fairprune  # noqa: E402
from fairprune.__main__ import find_program  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "pytorch.md"


def make_images(root):
    rng = np.random.default_rng(0)
    for part, count in (("train", 100), ("val", 30)):
        for k, name in enumerate(("circle", "square", "star")):
            folder = root / "images" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                noise = rng.integers(0, 255, (16, 16, 3))
                noise[:, :, k] //= 1 + i % 3
                Image.fromarray(noise.astype(np.uint8)).save(folder / f"{i}.png")


def test_every_block_runs(tmp_path, monkeypatch):
    make_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.path.dirname(find_program()) + os.pathsep + os.environ["PATH"])
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert [language for language, _ in blocks].count("python") >= 6
    names = {}
    for language, text in blocks:
        if language == "python":
            exec(compile(text, str(PAGE), "exec"), names)
            continue
        # The package is installed already.
        lines = [line for line in text.splitlines() if line and not line.startswith("pip ")]
        for line in lines:
            subprocess.run(line, shell=True, check=True)
    assert len(names["pruned"]) == 90
    assert (tmp_path / "dynamics" / "dynamics.json").exists()
    # What the command makes of the same folder has the same samples.
    options = "--strategy random --quota none --density 0.5 --out by-command"
    subprocess.run(f"fairprune prune --data images {options}", shell=True, check=True)
    half = fairprune.subset(names["train"], "by-command")
    own = fairprune.prune(names["train"].targets, 0.5, quota="none")
    assert half.indices == own.indices.tolist()
    with pytest.raises(ValueError, match="by-command"):
        fairprune.subset(names["val"], "by-command")


def test_the_reference_is_that_of_the_sources():
    subprocess.run([sys.executable, ROOT / "scripts" / "python-reference.py", "--check"], check=True)


def test_the_example_runs(tmp_path):
    make_images(tmp_path)
    (tmp_path / "images" / "val").rename(tmp_path / "images" / "test")
    command = [sys.executable, ROOT / "examples" / "pytorch_cifar10.py", tmp_path / "images"]
    options = ["--epochs", "1", "--seeds", "2", "--width", "4", "--density", "0.5"]
    told = subprocess.run([*command, *options], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "worst class, MetriQ - random:" in told.stdout and "densities" in told.stdout
