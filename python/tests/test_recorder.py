"""Recordings of a training loop, and scores of logits, against their formulas in numpy."""

import pickle

import numpy as np
import pytest

import fairprune


def softmax(z):
    z = np.asarray(z, np.float64)
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def run(recorder, epochs=12, samples=20, classes=4, seed=0, skip=()):
    """Presents every sample in every epoch, in batches of 7 and another order each time."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, samples)
    all_logits = rng.normal(size=(epochs, samples, classes)).astype(np.float32) * 2
    for epoch in range(epochs):
        order = rng.permutation(samples)
        order = np.array([i for i in order if (epoch, i) not in skip])
        for start in range(0, len(order), 7):
            batch = order[start : start + 7]
            recorder.update(batch, all_logits[epoch, batch], labels[batch])
        recorder.validate(all_logits[epoch], labels)
        recorder.end_epoch()
    return labels, all_logits


def test_loss_scores():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(50, 6)).astype(np.float32) * 3
    y = rng.integers(0, 6, 50)
    told = fairprune.Recorder(50, 6).update(np.arange(50), z, y)
    p, rows = softmax(z), np.arange(50)
    hot = np.eye(6)[y]
    ordered = np.sort(p, axis=1)
    others = np.where(hot > 0, -np.inf, z)
    for name, expected in {
        "loss": -np.log(p[rows, y]),
        "el2n": np.linalg.norm(p - hot, axis=1),
        "margin": ordered[:, -1] - ordered[:, -2],
        "entropy": -(p * np.log(p)).sum(1),
        "least-confidence": ordered[:, -1],
        "label-probability": p[rows, y],
        "logit-margin": z[rows, y] - others.max(1),
        "prediction": z.argmax(1),
    }.items():
        assert told[name].dtype == np.float32
        np.testing.assert_allclose(told[name], expected, rtol=2e-6, atol=1e-7, err_msg=name)


def test_scores_of_a_recording():
    recorder = fairprune.Recorder(20, 4)
    labels, z = run(recorder)
    assert recorder.epochs == 12
    p = softmax(z)[:, np.arange(20), labels]
    correct = z.argmax(-1) == labels
    others = np.where(np.eye(4)[labels] > 0, -np.inf, z)
    margin = z[:, np.arange(20), labels] - others.max(-1)
    told = recorder.scores("variability", "aum", "confidence", "forgetting", "dynamic-uncertainty")
    assert list(told) == ["variability", "aum", "confidence", "forgetting", "dynamic-uncertainty"]
    np.testing.assert_allclose(told["aum"], margin.mean(0), rtol=1e-5)
    np.testing.assert_allclose(told["confidence"], p.mean(0), rtol=1e-5)
    np.testing.assert_allclose(told["variability"], p.std(0), rtol=1e-4)
    events = (correct[:-1] & ~correct[1:]).sum(0).astype(float)
    events[~correct.any(0)] = 12
    np.testing.assert_array_equal(told["forgetting"], events)
    windows = np.stack([p[i : i + 10].std(0, ddof=1) for i in range(3)])
    np.testing.assert_allclose(told["dynamic-uncertainty"], windows.mean(0), rtol=1e-4)
    np.testing.assert_allclose(recorder.trajectories("label-probability"), p, rtol=1e-5)
    best = correct.mean(1).argmax()
    expected = fairprune.recalls(labels, z[best])
    np.testing.assert_array_equal(recorder.recalls(), expected)
    np.testing.assert_array_equal(recorder.validation_sizes(), np.bincount(labels))


def test_divergence_and_tdds():
    with pytest.raises(ValueError, match="tdds"):
        plain = fairprune.Recorder(20, 4)
        run(plain)
        plain.scores("tdds")
    recorder = fairprune.Recorder(20, 4, divergence=True)
    labels, z = run(recorder)
    p = softmax(z)
    moved = np.abs(p[1:] * (np.log(p[1:]) - np.log(p[:-1]))).sum(-1)
    told = recorder.trajectories("divergence")
    assert np.isnan(told[0]).all()
    np.testing.assert_allclose(told[1:], moved, rtol=1e-4, atol=1e-6)
    assert np.isfinite(recorder.scores("tdds", trajectory=10, window=5)["tdds"]).all()


def test_state_goes_on_to_the_same_bits():
    whole, first = (fairprune.Recorder(20, 4, divergence=True) for _ in range(2))
    labels, z = run(whole)
    for epoch in range(12):
        if epoch == 5:
            state = pickle.loads(pickle.dumps(first.state_dict()))
            first = fairprune.Recorder(20, 4, divergence=True)
            first.load_state_dict(state)
        first.update(np.arange(20), z[epoch], labels)
        first.validate(z[epoch], labels)
        first.end_epoch()
    for name in ("loss", "divergence", "el2n"):
        np.testing.assert_array_equal(first.trajectories(name), whole.trajectories(name))
    np.testing.assert_array_equal(first.recalls(), whole.recalls())
    copied = pickle.loads(pickle.dumps(whole))
    np.testing.assert_array_equal(copied.trajectories("loss"), whole.trajectories("loss"))
    state = whole.state_dict()
    state["rows"] = state["rows"][:-1]
    with pytest.raises(ValueError, match="rows: found"):
        first.load_state_dict(state)
    with pytest.raises(ValueError, match="20 samples of 4 classes"):
        fairprune.Recorder(21, 4).load_state_dict(whole.state_dict())
    whole.update([0], z[0][:1], labels[:1])
    with pytest.raises(ValueError, match="unfinished epoch"):
        whole.state_dict()


def test_samples_that_an_epoch_leaves_out_have_no_values():
    recorder = fairprune.Recorder(20, 4)
    run(recorder, skip={(3, 5)} | {(e, 7) for e in range(12)})
    losses = recorder.trajectories("loss")
    assert np.isnan(losses[3, 5]) and np.isnan(losses[:, 7]).all()
    assert np.isnan(losses).sum() == 13
    aum = recorder.scores("aum")["aum"]
    assert np.isnan(aum[7]) and np.isfinite(np.delete(aum, 7)).all()


def bad(match, *arguments):
    recorder = fairprune.Recorder(5, 3)
    recorder.update([0], [[0, 0, 1]], [2])
    with pytest.raises(ValueError, match=match):
        recorder.update(*arguments)
    # Nothing was recorded.
    recorder.update([1, 2, 3, 4], np.zeros((4, 3)), [0, 0, 0, 0])
    recorder.end_epoch()
    assert np.isfinite(recorder.trajectories("loss")).all()


def test_bad_input_says_what_was_found_and_expected():
    bad("index: found 5, expected below 5", [1, 5], np.zeros((2, 3)), [0, 0])
    bad("index 1: found twice in one batch", [1, 1], np.zeros((2, 3)), [0, 0])
    bad("index 0: found twice in one epoch", [0], np.zeros((1, 3)), [2])
    bad("logits: found 4 columns, expected 3", [1], np.zeros((1, 4)), [0])
    bad("label of row 0: found 3", [1], np.zeros((1, 3)), [3])
    bad("logit of row 0, column 1: found NaN", [1], [[0, np.nan, 0]], [0])
    bad("indices, position 0: found -1", [-1], np.zeros((1, 3)), [0])
    bad("indices: found 2, expected 1", [1, 2], np.zeros((1, 3)), [0])
    recorder = fairprune.Recorder(5, 3)
    with pytest.raises(ValueError, match="no batches"):
        recorder.end_epoch()
    with pytest.raises(ValueError, match="no validation samples"):
        recorder.recalls()
    recorder.update([0], [[0, 0, 1]], [2])
    recorder.end_epoch()
    with pytest.raises(ValueError, match="label of sample 0: found 1, expected 2"):
        recorder.update([0], [[0, 0, 1]], [1])
    with pytest.raises(ValueError, match="el2n"):
        recorder.scores("el2n")
    with pytest.raises(ValueError, match="samples"):
        fairprune.Recorder(0, 3)
    assert recorder.memory(100) > 5 * 20 * 100


def test_tensors_on_the_tape():
    torch = pytest.importorskip("torch")
    recorder = fairprune.Recorder(4, 3)
    logits = torch.randn(4, 3, requires_grad=True).bfloat16()
    told = recorder.update(torch.arange(4), logits, torch.tensor([0, 1, 2, 0]))
    expected = torch.nn.functional.cross_entropy(logits.float(), torch.tensor([0, 1, 2, 0]), reduction="none")
    np.testing.assert_allclose(told["loss"], expected.detach().numpy(), rtol=1e-5)
