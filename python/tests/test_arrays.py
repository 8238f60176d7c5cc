"""Quotas, subsets, recalls and comparisons of arrays."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fairprune


def test_recalls():
    labels = np.array([0, 0, 1, 1, 1, 3])
    predictions = np.array([0, 1, 1, 1, 0, 3])
    told = fairprune.recalls(labels, predictions, classes=5)
    np.testing.assert_array_equal(told, [0.5, 2 / 3, np.nan, 1.0, np.nan])
    logits = np.eye(5)[predictions]
    np.testing.assert_array_equal(fairprune.recalls(labels, logits), told)
    with pytest.raises(ValueError, match="5.*found|found 5"):
        fairprune.recalls(labels, predictions[:5])


def test_quotas_follow_the_errors():
    told = fairprune.quotas([60, 40], [0.9, 0.6], 0.33)
    assert told.counts.tolist() == [9, 24] and told.counts.dtype == np.int64
    uniform = fairprune.quotas([60, 40], density=0.5, rule="uniform")
    assert uniform.counts.tolist() == [30, 20]
    nucs = fairprune.quotas([60, 40], density=0.3, rule="nucs", difficulties=[1.0, 2.0])
    assert nucs.counts.sum() == 30
    perfect = fairprune.quotas([60, 40], [1.0, 1.0], 0.5)
    assert [w.kind for w in perfect.warnings] == ["no-errors", "few-samples"]
    named = fairprune.quotas([60, 40], [0.99, 0.5], 0.5, class_names=["cat", "dog"])
    assert any('"dog"' in str(w) for w in named.warnings)


def test_subsets_hold_what_they_say():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 3000)
    kept = fairprune.prune(labels, 0.3, recalls=[0.9, 0.8, 0.5], seed=7)
    assert len(kept) == 900 and kept.indices.dtype == np.int64
    assert (np.diff(kept.indices) > 0).all()
    np.testing.assert_array_equal(np.bincount(labels[kept.indices]), kept.counts)
    np.testing.assert_array_equal(np.bincount(labels), kept.sizes)
    assert kept.mask(3000).sum() == 900
    again = fairprune.prune(labels.astype(np.uint8), 0.3, recalls=[0.9, 0.8, 0.5], seed=7)
    np.testing.assert_array_equal(again.indices, kept.indices)
    part = fairprune.prune(labels, 0.5, quota="none", eligible=np.arange(100))
    assert len(part) == 50 and part.indices.max() < 100


def test_scores_are_ranked():
    scores = np.arange(10.0)
    labels = np.zeros(10, int)
    high = fairprune.prune(labels, 0.3, strategy="given", quota="none", scores=scores)
    assert high.indices.tolist() == [7, 8, 9]
    low = fairprune.prune(labels, 0.3, strategy="given", quota="none", scores=scores, keep="lowest")
    assert low.indices.tolist() == [0, 1, 2]
    # AUM keeps its low end by itself.
    aum = fairprune.prune(labels, 0.3, strategy="aum", quota="none", scores={"aum": scores})
    assert aum.indices.tolist() == [0, 1, 2]


def test_selection_methods():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 200)
    features = rng.normal(size=(200, 8))
    for method in ("coreset", "herding", "moderate"):
        kept = fairprune.prune(labels, 0.2, strategy=method, quota="uniform", features=features)
        assert len(kept) == 40 and sorted(kept.order) == kept.indices.tolist()
    kept = fairprune.prune(
        labels, 0.2, strategy="ccs", quota="none", scores={"aum": rng.normal(size=200)}, beta=0.2, strata=10
    )
    assert len(kept) == 40


def test_predicted_quotas():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 3000)
    truth = rng.integers(0, 3, 600)
    logits = rng.normal(size=(4, 600, 3)) + 2 * np.eye(3)[truth] * [1.5, 1.0, 0.5]
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    runs = [(run, truth) for run in logs]
    kept = fairprune.prune(labels, 0.3, quota="predicted", validation=runs)
    assert len(kept) == 900 and kept.forecast is not None
    assert kept.forecast.after.min() > kept.forecast.before.min()
    assert kept.densities[2] > kept.densities[0]


def bad(match, *args, **options):
    with pytest.raises(ValueError, match=match):
        fairprune.prune(*args, **options)


def test_bad_input_says_what_was_found_and_expected():
    labels = [0, 1, 0, 1]
    bad("no recalls", labels, 0.5)
    bad("density", labels, 0.0, quota="none")
    bad("density", labels, float("nan"), quota="none")
    bad("labels, position 1: found -1", [0, -1], 0.5, quota="none")
    bad("labels: found values of float64", [0.5, 1.0], 0.5, quota="none")
    bad("labels: found shape", [[0, 1]], 0.5, quota="none")
    bad("strategy: found nothing-like-it", labels, 0.5, strategy="nothing-like-it", quota="none")
    bad("scores: found 3 values, expected 4", labels, 0.5, strategy="given", quota="none", scores=[1, 2, 3])
    bad("scores, position 2: found NaN", labels, 0.5, strategy="given", scores=[1, 2, float("nan"), 3], quota="none")
    bad("does not look at", labels, 0.5, quota="none", scores=[1, 2, 3, 4])
    bad("does not look at", labels, 0.5, quota="none", features=np.zeros((4, 2)))
    bad("features.*found 6 values in rows of 2", labels, 0.5, strategy="coreset", quota="none", features=np.zeros((3, 2)))
    bad("recalls: found 3 values, expected 2", labels, 0.5, recalls=[0.5, 0.5, 0.5], classes=2)
    bad("eligible: found position 9", labels, 0.5, quota="none", eligible=[0, 9])
    bad("eligible: found position 1 twice", labels, 0.5, quota="none", eligible=[1, 1])
    bad("keep: found 'best'", labels, 0.5, strategy="given", scores=[1, 2, 3, 4], keep="best")
    bad("option: found nonsense", labels, 0.5, strategy="coreset", features=np.zeros((4, 2)), nonsense=1)
    bad("training samples: found none", [], 0.5, quota="none")


def test_arrays_of_any_layout():
    wide = np.arange(20).reshape(10, 2) % 3
    strided = wide[:, 0]
    told = fairprune.prune(strided, 0.5, quota="none", seed=3)
    again = fairprune.prune(strided.copy(), 0.5, quota="none", seed=3)
    np.testing.assert_array_equal(told.indices, again.indices)
    features = np.asfortranarray(np.random.default_rng(3).normal(size=(10, 4)))
    fairprune.prune(strided, 0.5, strategy="coreset", quota="none", features=features)


def test_comparisons():
    told = fairprune.compare([0.5, 0.6, 0.55], [0.4, 0.5, 0.44])
    assert told.verdict == "improved" and told.seeds == 3
    assert told.interval[0] < told.mean < told.interval[1]
    assert "improved" in str(told)
    assert fairprune.compare([0.9, 0.8], [0.1, 0.1]).verdict == "not decided"
    with pytest.raises(ValueError, match="as many of one as of the other"):
        fairprune.compare([1.0], [1.0, 2.0])


def test_the_number_of_threads_changes_no_result():
    before = fairprune.threads()
    features = np.random.default_rng(6).normal(size=(300, 8))
    told = []
    for count in (1, 3):
        fairprune.set_threads(count)
        assert fairprune.threads() == count
        told.append(fairprune.prune(np.zeros(300, int), 0.2, strategy="facility-location", quota="none", features=features))
    fairprune.set_threads(before)
    np.testing.assert_array_equal(told[0].order, told[1].order)
    with pytest.raises(ValueError, match="threads"):
        fairprune.set_threads(10**6)


def test_other_threads_run_meanwhile():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 4000)
    features = rng.normal(size=(4000, 64)).astype(np.float32)
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    fairprune.prune(labels, 0.5, strategy="facility-location", quota="none", features=features)
    took = time.perf_counter() - start
    stop.set()
    thread.join()
    inside = [t for t in ticks if start < t < start + took]
    assert len(inside) > took / 0.1, (len(inside), took)


INTERRUPTED = """
import signal, threading, time, os
import numpy as np, fairprune
rng = np.random.default_rng(5)
labels = np.zeros(60000, int)
features = rng.normal(size=(60000, 64)).astype(np.float32)
# A shell that starts jobs in the background has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
start = time.time()
try:
    fairprune.prune(labels, 0.9, strategy="coreset", quota="none", features=features)
    print("finished", time.time() - start)
except KeyboardInterrupt:
    print("interrupted", time.time() - start)
os._exit(0)
"""


def test_ctrl_c_ends_long_work():
    told = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120)
    word, seconds = told.stdout.split()
    assert word == "interrupted" and float(seconds) < 3, told


FORKED = """
import os, numpy as np, fairprune
labels = np.arange(100) % 3
whole = fairprune.prune(labels, 0.5, quota="none", seed=1).indices
child = os.fork()
if child == 0:
    same = (fairprune.prune(labels, 0.5, quota="none", seed=1).indices == whole).all()
    scores = fairprune.Recorder(100, 3)
    scores.update(np.arange(100), np.zeros((100, 3), np.float32), labels)
    os._exit(0 if same else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_forked_processes_compute_for_themselves():
    told = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert told.stdout.strip() == "0", told
