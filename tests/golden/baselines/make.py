#!/usr/bin/env python3
"""Golden values of the baselines' rules, by NumPy, SciPy and PyTorch in float64: make.py > rules.json

Every rule is written here from its paper's formula, without looking at ours.
"""
import json

import numpy as np
import scipy.optimize
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


def info_batch(scores):
    """Qin et al. 2024: well learned is what lies below the mean score."""
    return scores < scores.mean()


def rho(losses, irreducible, chosen):
    """Mindermann et al. 2022: indices of the largest reducible losses, ascending."""
    return np.sort(np.argsort(-(losses - irreducible), kind="stable")[:chosen])


def group_dro(q, losses, groups, eta):
    """Sagawa et al. 2020, with autograd: q after the step, and d objective / d loss_i times n."""
    count = len(q)
    per_group = torch.zeros(count, dtype=torch.float64)
    losses = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    groups = torch.tensor(groups)
    means = []
    for g in range(count):
        mask = groups == g
        means.append(losses[mask].mean() if mask.any() else torch.zeros((), dtype=torch.float64))
    per_group = torch.stack(means)
    q = torch.tensor(q, dtype=torch.float64) * torch.exp(eta * per_group.detach())
    q = q / q.sum()
    (per_group @ q).backward()
    return q.numpy(), losses.grad.numpy() * len(losses)


def regression(rows, labels, classes, c):
    """min c sum_i cross-entropy + sum |W|: W = P - N with P, N >= 0 makes it smooth (L-BFGS-B)."""
    n, width = rows.shape
    hot = np.eye(classes)[labels]

    def objective(flat):
        p, m = flat[: classes * width], flat[classes * width : 2 * classes * width]
        w = (p - m).reshape(classes, width)
        z = rows @ w.T + flat[2 * classes * width :]
        z = z - z.max(1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
        residual = (np.exp(log_p) - hot) * c
        dw = (residual.T @ rows).flatten()
        gradient = np.concatenate([dw + 1, -dw + 1, residual.sum(0)])
        return -c * (log_p * hot).sum() + p.sum() + m.sum(), gradient

    bounds = [(0, None)] * (2 * classes * width) + [(None, None)] * classes
    start = np.zeros(2 * classes * width + classes)
    options = dict(maxiter=200000, maxfun=400000, ftol=1e-16, gtol=1e-11, maxcor=50)
    found = scipy.optimize.minimize(
        objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options
    )
    flat = found.x
    w = (flat[: classes * width] - flat[classes * width : 2 * classes * width]).reshape(classes, width)
    z = rows @ w.T + flat[2 * classes * width :]
    p = np.exp(z - z.max(1, keepdims=True))
    return found.fun, (p / p.sum(1, keepdims=True)).flatten()


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
out["info_batch"] = []
for n in [1, 2, 50]:
    scores = f32(rng.gamma(1.0, 1.0, n))
    out["info_batch"].append(dict(scores=scores.tolist(), easy=info_batch(scores).tolist()))
out["rho"] = []
for n, chosen in [(1, 1), (10, 4), (320, 32), (33, 33)]:
    losses, irreducible = f32(rng.gamma(1.0, 1.0, n)), f32(rng.gamma(1.0, 1.0, n))
    # What float32 subtracts.
    difference = losses.astype(np.float32) - irreducible.astype(np.float32)
    places = rho(difference, np.zeros(n, np.float32), chosen)
    out["rho"].append(
        dict(losses=losses.tolist(), irreducible=irreducible.tolist(), chosen=places.tolist())
    )
out["group_dro"] = []
for count, n, eta in [(1, 3, 0.01), (4, 8, 0.01), (6, 40, 0.5), (4, 2, 2.0)]:
    q = f32(np.full(count, 1.0 / count))
    steps = []
    for _ in range(5):
        losses = f32(rng.gamma(1.0, 1.0, n))
        groups = rng.integers(0, count, n)
        q, weights = group_dro(q, losses, groups, eta)
        steps.append(
            dict(
                losses=losses.tolist(),
                groups=groups.tolist(),
                q=q.tolist(),
                weights=weights.tolist(),
            )
        )
        q = f32(q)
    out["group_dro"].append(dict(count=count, eta=eta, steps=steps))
out["regression"] = []
for n, width, classes, c in [(30, 3, 2, 1.0), (60, 8, 3, 0.1), (40, 5, 4, 5.0), (24, 6, 2, 0.003)]:
    labels = np.arange(n) % classes
    rows = rng.normal(0, 1, (n, width)) + 0.8 * rng.normal(0, 1, (classes, width))[labels]
    objective, probabilities = regression(rows, labels, classes, c)
    out["regression"].append(
        dict(
            rows=rows.flatten().tolist(),
            width=width,
            labels=labels.tolist(),
            classes=classes,
            c=c,
            objective=objective,
            probabilities=probabilities.tolist(),
        )
    )
print(json.dumps(out))
