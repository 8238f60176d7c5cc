#!/usr/bin/env python3
"""Golden values of the baselines' rules, by NumPy and PyTorch in float64: make.py > rules.json

Every rule is written here from its paper's formula, without looking at ours.
"""
import json

import numpy as np
import torch

rng = np.random.default_rng(20)


def cdb_w(correct, total, dynamic):
    """Sinha, Ohashi, Nakamura 2022: weights (1 - a_k)^tau, tau = 2 sigmoid(max a / (min a + .01) - 1)."""
    a = np.array(correct) / np.array(total)
    tau = 2 / (1 + np.exp(-(a.max() / (a.min() + 0.01) - 1))) if dynamic else 1.0
    w = (1 - a) ** tau
    return w / w.sum() * len(w) if w.sum() > 0 else np.ones(len(w))


def class_balanced(sizes, beta):
    """Cui et al. 2019, their code: (1 - beta) / (1 - beta^n), summing to the number of classes."""
    w = (1 - beta) / (1 - np.power(beta, sizes))
    return w / w.sum() * len(w)


def weighted_gradient(logits, labels, class_weights, sample_weights, smoothing):
    """Gradient of sum_i s_i l_i / sum_i w_{y_i}, l_i PyTorch's unreduced cross-entropy."""
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(labels)
    w = torch.tensor(class_weights, dtype=torch.float64)
    s = torch.tensor(sample_weights, dtype=torch.float64)
    losses = torch.nn.functional.cross_entropy(
        z, y, weight=w, reduction="none", label_smoothing=smoothing
    )
    if bool((w == 1).all()):
        objective = (losses * s).mean()
    else:
        objective = (losses * s).sum() / w[y].sum()
    objective.backward()
    return z.grad.flatten().tolist()


def f32(values):
    """Values as float32 has them, so that both sides start from the same numbers."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)


out = {"cdb_w": [], "class_balanced": [], "weighted_gradient": []}
for k in [2, 3, 10, 100]:
    for dynamic in [False, True]:
        total = rng.integers(1, 60, k)
        correct = (total * rng.uniform(0, 1, k)).astype(int)
        out["cdb_w"].append(
            dict(
                correct=correct.tolist(),
                total=total.tolist(),
                dynamic=dynamic,
                weights=cdb_w(correct, total, dynamic).tolist(),
            )
        )
for sizes in [[1, 1], [5000, 50, 5], [1000000, 3, 77, 500], list(range(1, 40))]:
    for beta in [0.0, 0.9, 0.99, 0.9999]:
        w = class_balanced(np.array(sizes, dtype=np.float64), beta)
        out["class_balanced"].append(dict(sizes=sizes, beta=beta, weights=w.tolist()))
for n, k, smoothing, uneven in [(1, 2, 0.0, False), (7, 4, 0.125, False), (6, 3, 0.0, True), (9, 5, 0.25, True)]:
    logits = f32(rng.normal(0, 2, (n, k)))
    labels = rng.integers(0, k, n)
    class_weights = f32(rng.uniform(0.2, 2, k)) if uneven else np.ones(k)
    sample_weights = f32(rng.choice([0.0, 0.5, 1.0, 2.0, 3.7], n))
    gradient = weighted_gradient(logits, labels, class_weights, sample_weights, smoothing)
    out["weighted_gradient"].append(
        dict(
            logits=logits.flatten().tolist(),
            labels=labels.tolist(),
            class_weights=class_weights.tolist(),
            sample_weights=sample_weights.tolist(),
            smoothing=smoothing,
            gradient=gradient,
        )
    )
print(json.dumps(out))
