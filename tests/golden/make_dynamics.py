"""Writes what `tests/dynamics/golden.rs` compares with: `python make_dynamics.py`.

`dynamics/logits.npy` (T * N x K) holds the logits of every presentation of a recorded run, NaN where
an epoch left the sample out, and `dynamics/labels.npy` its labels; `cargo test --test library --
--ignored writes_the_logits` makes both. Quantities and scores are computed from them alone, in
float64. The same scores from quantities rounded to float32 say how much that rounding moves them.
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

FOLDER = pathlib.Path(__file__).parent / "dynamics"

LABELS = torch.from_numpy(np.load(FOLDER / "labels.npy"))
N = len(LABELS)
LOGITS = torch.from_numpy(np.load(FOLDER / "logits.npy")).double()
LOGITS = LOGITS.reshape(-1, N, LOGITS.shape[-1])
T = len(LOGITS)


def quantities():
    """Each T x N, NaN where there was no presentation."""
    nan = torch.full((T, N), torch.nan, dtype=torch.float64)
    made = {k: nan.clone() for k in
            ["loss", "label-probability", "correct", "logit-margin", "el2n", "divergence"]}
    before = [None] * N
    for epoch in range(T):
        for i, y in enumerate(LABELS.tolist()):
            z = LOGITS[epoch, i]
            if z.isnan().any():
                continue
            p, log_p = z.softmax(0), z.log_softmax(0)
            others = torch.cat([z[:y], z[y + 1:]])
            made["loss"][epoch, i] = F.cross_entropy(z[None], LABELS[i: i + 1])
            made["label-probability"][epoch, i] = p[y]
            made["correct"][epoch, i] = float(z.argmax() == y)
            made["logit-margin"][epoch, i] = z[y] - others.max()
            made["el2n"][epoch, i] = (p - F.one_hot(LABELS[i], len(p))).norm()
            if before[i] is not None:
                made["divergence"][epoch, i] = (p * (log_p - before[i])).abs().sum()
            before[i] = log_p
    return made


def seen(column):
    return column[~column.isnan()]


def forgetting(correct, never_learned):
    scores = []
    for column in correct.T:
        history = seen(column).tolist()
        if not any(history):
            scores.append({"hardest": len(column), "0": 0, "presentations": len(history)}
                          [never_learned])
        else:
            scores.append(sum(a == 1 and b == 0 for a, b in zip(history, history[1:])))
    return scores


def windows(values, window):
    """Per sample: the presentations of every window of epochs that has two or more."""
    for column in values.T:
        all_windows = [seen(column[k: k + window]) for k in range(len(column) - window + 1)]
        yield [w for w in all_windows if len(w) > 1]


def dynamic_uncertainty(p, window):
    return [float(torch.stack([w.std(unbiased=True) for w in ws]).mean())
            for ws in windows(p, window)]


def dual(p, window, trajectory):
    return [float(torch.stack([10 * w.std(unbiased=True) * (1 - w.mean()) for w in ws]).mean())
            for ws in windows(p[:trajectory], window)]


def tdds(divergence, window, trajectory, decay):
    scores = []
    for column in divergence[:trajectory].T:
        total = 0.0
        for k in range(trajectory - window + 1):
            inside = seen(column[k + 1: k + window])
            if len(inside) > 1:
                fade = decay * (1 - decay) ** (trajectory - window - k)
                total += fade * float((inside - inside.mean()).norm())
        scores.append(total)
    return scores


def means(values):
    return [float(seen(column).mean()) for column in values.T]


def scores(q):
    p = q["label-probability"]
    yield dict(method="el2n"), [10 * m for m in means(q["el2n"][:10])]
    for never in ["hardest", "0", "presentations"]:
        # Within three epochs some are not learned, and one of them was left out once.
        for epochs in [3, T]:
            yield (dict(method="forgetting", never_learned=never, epochs=epochs),
                   forgetting(q["correct"][:epochs], never))
    for window in [2, 10, T]:
        yield (dict(method="dynamic-uncertainty", window=window), dynamic_uncertainty(p, window))
    yield dict(method="aum"), means(q["logit-margin"])
    for window, trajectory, decay in [(10, 10, 0.9), (10, 30, 0.9), (3, T, 0.5), (5, 8, 1.0)]:
        yield (dict(method="tdds", window=window, trajectory=trajectory, decay=decay),
               tdds(q["divergence"], window, trajectory, decay))
    for window, trajectory in [(10, 30), (4, 12)]:
        yield (dict(method="dual", window=window, trajectory=trajectory),
               dual(p, window, trajectory))
    yield dict(method="confidence"), means(p)
    yield (dict(method="variability"),
           [float(seen(column).std(unbiased=False)) for column in p.T])


def shorten(value):
    return None if value != value else float(f"{value:.10g}")


def main():
    exact = quantities()
    rounded = {k: v.float().double() for k, v in exact.items()}
    result = {"torch": torch.__version__.split("+")[0], "labels": LABELS.tolist(),
              "quantities": [[k, [shorten(x) for x in v.reshape(-1).tolist()]]
                             for k, v in exact.items()],
              "scores": []}
    for (case, values), (_, narrow) in zip(scores(exact), scores(rounded)):
        error = np.max(np.abs(np.subtract(values, narrow))) / np.max(np.abs(values))
        result["scores"].append(case | {"float32_error": shorten(float(error)),
                                        "values": [shorten(float(v)) for v in values]})
    text = json.dumps(result, separators=(",", ":"))
    text = text.replace('],["', '],\n["').replace('},{"', '},\n{"')
    (FOLDER / "scores.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
