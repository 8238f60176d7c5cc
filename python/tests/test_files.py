"""Files that the module and the command share, and the command itself."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest

import fairprune
from fairprune.__main__ import find_program

torch = pytest.importorskip("torch")


def command(*arguments, folder=None):
    told = subprocess.run([find_program(), *map(str, arguments)], capture_output=True, text=True, cwd=folder)
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_the_command_is_installed_and_python_runs_it():
    version = command("--version").strip()
    assert version == f"fairprune {fairprune.__version__}"
    own = subprocess.run([sys.executable, "-m", "fairprune", "--version"], capture_output=True, text=True)
    assert own.stdout.strip() == version
    bad = subprocess.run([sys.executable, "-m", "fairprune", "nonsense"], capture_output=True, text=True)
    assert bad.returncode == 2


def write_rows(path, head, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


def arrays(n=900, classes=3):
    rng = np.random.default_rng(11)
    labels = rng.integers(0, classes, n)
    scores = rng.normal(size=n).astype(np.float32)
    return labels, scores, [f"image-{i:05}" for i in range(n)]


@pytest.mark.parametrize("quota", ["metriq", "none", "uniform", "nucs"])
@pytest.mark.parametrize("strategy", ["random", "el2n"])
def test_module_and_command_keep_the_same_samples(tmp_path, quota, strategy):
    labels, scores, ids = arrays()
    answers = (np.array([90, 70, 50]), np.array([100, 100, 100]))
    scores = scores - scores.min()
    fairprune.write_scores(tmp_path / "scores", labels, {"el2n": scores}, ids=ids, validation=answers)
    if quota == "nucs":
        quota = "nucs:el2n"
    command(
        "prune", "--scores", tmp_path / "scores", "--strategy", strategy, "--quota", quota,
        "--density", "0.37", "--seed", "5", "--out", tmp_path / "kept",
    )  # fmt: skip
    looks = strategy == "el2n" or quota.startswith("nucs")
    kept = fairprune.prune(
        labels,
        0.37,
        strategy=strategy,
        quota=quota,
        scores={"el2n": scores} if looks else None,
        recalls=answers[0] / answers[1],
        validation_sizes=answers[1],
        seed=5,
    )
    np.testing.assert_array_equal(np.load(tmp_path / "kept" / "kept.npy"), kept.indices)


def test_scores_come_back(tmp_path):
    labels, scores, ids = arrays()
    scores[3] = np.nan
    fairprune.write_scores(tmp_path / "s", labels, {"grand": scores}, ids=ids, classes=["a", "b", "c"])
    told = fairprune.read_scores(tmp_path / "s")
    np.testing.assert_array_equal(told.scores["grand"], scores)
    assert told.ids == ids and told.classes == ["a", "b", "c"] and told.parts[3] == "out"
    np.testing.assert_array_equal(told.labels, labels)
    fairprune.write_scores(tmp_path / "s", labels, {"el2n": scores})
    assert list(fairprune.read_scores(tmp_path / "s").scores) == ["el2n"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="other"):
        fairprune.write_scores(tmp_path / "other", labels, {"el2n": scores})
    with pytest.raises(ValueError, match="nonsense"):
        fairprune.write_scores(tmp_path / "n", labels, {"nonsense": scores})
    with pytest.raises(ValueError, match='"x" twice'):
        fairprune.write_scores(tmp_path / "n", [0, 1], {"el2n": [1, 2]}, ids=["x", "x"])


def test_recordings_are_scored_by_the_command(tmp_path):
    rng = np.random.default_rng(12)
    labels = rng.integers(0, 3, 60)
    recorder = fairprune.Recorder(60, 3, divergence=True)
    for _ in range(12):
        recorder.update(np.arange(60), rng.normal(size=(60, 3)), labels)
        recorder.validate(rng.normal(size=(60, 3)), labels)
        recorder.end_epoch()
    recorder.save(tmp_path / "dynamics", labels, ids=[str(i) for i in range(60)])
    command("score", "--dynamics", tmp_path / "dynamics", "--out", tmp_path / "scores", "--method", "forgetting,aum,tdds")
    told = fairprune.read_scores(tmp_path / "scores").scores
    own = recorder.scores("forgetting", "aum", "tdds")
    for name in own:
        np.testing.assert_array_equal(told[name], own[name])
    back = fairprune.read_dynamics(tmp_path / "dynamics")
    np.testing.assert_array_equal(back.quantities["loss"], recorder.trajectories("loss"))
    assert back.trained.all()
    recorder.save(tmp_path / "dynamics", labels)
    with pytest.raises(ValueError, match="label of sample"):
        recorder.save(tmp_path / "dynamics", (labels + 1) % 3)


class Folder(torch.utils.data.Dataset):
    """A data set like torchvision's folders."""

    def __init__(self, root, names, labels):
        self.root, self.classes = str(root), ["a", "b", "c"]
        self.samples = [(os.path.join(self.root, name), int(label)) for name, label in zip(names, labels)]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def test_subsets_of_pytorch_data_sets(tmp_path):
    labels, scores, ids = arrays()
    names = [f"{'abc'[label]}/{name}" for name, label in zip(ids, labels)]
    dataset = Folder(tmp_path / "images", names, labels)
    called = [f"images/{name}" for name in names]
    fairprune.write_scores(tmp_path / "scores", labels, {"el2n": scores}, ids=called, classes=dataset.classes)
    command(
        "prune", "--scores", tmp_path / "scores", "--strategy", "el2n", "--quota", "none", "--density", "0.5",
        "--out", tmp_path / "kept",
    )  # fmt: skip
    part = fairprune.subset(dataset, tmp_path / "kept")
    assert isinstance(part, torch.utils.data.Subset) and len(part) == 450
    assert part[0] == dataset[part.indices[0]]
    np.testing.assert_array_equal(fairprune.subset_indices(tmp_path / "kept" / "mask.npy", 900), part.indices)
    with pytest.raises(ValueError, match="899|900"):
        fairprune.subset_indices(tmp_path / "kept", 899)
    moved = Folder(tmp_path / "images", names[1:] + names[:1], labels)
    with pytest.raises(ValueError, match="fingerprint"):
        fairprune.subset(moved, tmp_path / "kept")
    with pytest.raises(OSError):
        fairprune.subset(dataset, tmp_path / "nothing.npy")


def test_a_pass_over_a_loader(tmp_path):
    from fairprune.torch import score

    torch.manual_seed(0)
    x, y = torch.randn(50, 3, 8, 8), torch.randint(0, 4, (50,))
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 4)
    )
    data = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(data, batch_size=16)
    told = score(model, loader, ["el2n", "grand"], folder=tmp_path / "s", validation=loader)
    assert model.training
    logits = model.eval()(x)
    hot = torch.nn.functional.one_hot(y, 4)
    np.testing.assert_allclose(told["el2n"], (logits.softmax(1) - hot).norm(dim=1).detach(), rtol=1e-5)
    for i in (0, 17, 49):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        expected = sum(p.grad.pow(2).sum() for p in model.parameters()).sqrt()
        np.testing.assert_allclose(told["grand"][i], expected, rtol=1e-5)
    command("prune", "--scores", tmp_path / "s", "--strategy", "grand", "--density", "0.4", "--out", tmp_path / "k")
    assert len(np.load(tmp_path / "k" / "kept.npy")) == 20
    shuffled = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)
    with pytest.raises(ValueError, match="shuffle=False"):
        score(model, shuffled)
    with pytest.raises(ValueError, match="found 'nonsense'"):
        score(model, loader, ["nonsense"])
    triples = [(x, y, y)]
    with pytest.raises(ValueError, match="unpack="):
        score(model, triples)
    assert len(score(model, triples, unpack=lambda b: b[:2])["el2n"]) == 50


class Seeded(torch.utils.data.Dataset):
    """Each item is computed by the module, in the worker."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return int(fairprune.prune(np.zeros(20, int), 0.5, quota="none", seed=index).indices.sum())


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_loader_workers_may_use_the_module(context):
    own = [Seeded()[i] for i in range(8)]
    loader = torch.utils.data.DataLoader(Seeded(), num_workers=2, multiprocessing_context=context)
    assert [int(value) for value in loader] == own
