#!/usr/bin/env python3
"""Golden values of RCAP, ordered SGD, micro-batch clipping, LfF and BAM, by NumPy in float64:
make_in_training.py > in_training.json

Every rule is written here from its paper's formula, without looking at ours. Gradients are complex-step
derivatives of the losses (Squire and Trapp 1998), exact to the last digits, so that no gradient formula is
assumed.
"""
import itertools
import json

import numpy as np

rng = np.random.default_rng(21)


def f32(values):
    """Values as float32 has them, so that both sides start from the same numbers."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def log_softmax(z):
    z = z - z.real.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def complex_step(loss, z):
    """d loss / d z, element by element."""
    gradient = np.zeros(z.shape)
    for place in np.ndindex(*z.shape):
        moved = z.astype(np.complex128)
        moved[place] += 1e-30j
        gradient[place] = loss(moved).imag / 1e-30
    return gradient


def rcap_weights(losses, labels, classes, beta):
    """Hassan et al. 2025: softmax of the clipped losses over beta, within each class."""
    clipped = np.clip(losses, 0, np.log(classes))
    weights = np.zeros(len(losses))
    for c in range(classes):
        e = np.exp(clipped[labels == c] / beta)
        weights[labels == c] = e / e.sum()
    return weights


def rcap_counts(aggregates, sizes, budget):
    """Hassan et al. 2025: fractions proportional to sqrt(L_c pi_c) / n_c, none above 1, filled greedily: a
    class that overflows is whole, and the others share what it leaves."""
    root = np.sqrt(aggregates * sizes / sizes.sum())
    counts = np.zeros(len(sizes))
    open_classes = list(range(len(sizes)))
    left = budget
    while True:
        share = {c: left * root[c] / root[open_classes].sum() for c in open_classes}
        over = [c for c in open_classes if share[c] / sizes[c] > 1]
        if not over:
            break
        for c in over:
            counts[c] = sizes[c]
            left -= sizes[c]
            open_classes.remove(c)
    for c in open_classes:
        counts[c] = np.ceil(share[c])
    return counts.astype(int)


def inclusion(weights, count):
    """Probability that each item is among `count` draws without replacement (NumPy's choice with p)."""
    n = len(weights)
    found = np.zeros(n)
    for order in itertools.permutations(range(n), count):
        probability, left = 1.0, weights.sum()
        for i in order:
            probability *= weights[i] / left
            left -= weights[i]
        found[list(order)] += probability
    return found


def ordered_sizes(batch, accuracies):
    """Kawaguchi and Lu 2020: the rule that moves q at the end of each epoch, as a machine with a state."""
    q, out = batch, []
    for accuracy in accuracies:
        out.append(q)
        for threshold, divisor in [(0.995, 16), (0.95, 8), (0.9, 4), (0.8, 2)]:
            if accuracy >= threshold and q > batch // divisor:
                q = batch // divisor
                break
    return out


def clip(gradients):
    """Wang 2024, algorithm 1, with the mean over micro-batches."""
    norms = np.sqrt((gradients**2).sum(1))
    return (norms.min() / norms[:, None] * gradients).mean(0)


def difficulty(batch, labels, averages):
    """Nam et al. 2020: b / (b + d), each over the largest average of its class."""
    out = []
    for i in batch:
        same = labels == labels[i]
        b, d = [a[i] / np.nanmax(a[same]) for a in averages]
        out.append(b / (b + d + 1e-8))
    return out


out = {"rcap_weights": [], "rcap_counts": [], "rcap_draws": [], "ordered": [], "clipping": []}
for n, classes, beta in [(6, 2, 1.0), (30, 3, 0.25), (40, 10, 2.0)]:
    losses = f32(rng.gamma(1.0, 1.0, n))
    labels = rng.integers(0, classes, n)
    weights = rcap_weights(losses, labels, classes, beta)
    out["rcap_weights"].append(
        dict(losses=losses.tolist(), labels=labels.tolist(), classes=classes, beta=beta, weights=weights.tolist())
    )
for aggregates, sizes, budget in [
    ([1.0, 1.0, 1.0], [500, 400, 100], 500),
    ([1.0, 1.0, 1.0], [5000, 300, 20], 2000),
    ([0.9, 0.1, 0.5, 0.02], [40, 30, 20, 10], 37),
    ([0.3, 2.0, 2.1, 0.7], [1000, 10, 12, 700], 600),
    ([0.3, 0.4], [10, 30], 40),
]:
    counts = rcap_counts(np.array(aggregates), np.array(sizes), budget)
    out["rcap_counts"].append(dict(aggregates=aggregates, sizes=sizes, budget=budget, counts=counts.tolist()))
for losses, beta, count in [([0.1, 0.4, 0.9, 0.2, 0.7], 0.5, 2), ([0.0, 0.0, 0.6, 1.0], 0.25, 3)]:
    weights = np.exp(np.array(losses) / beta)
    out["rcap_draws"].append(
        dict(losses=losses, beta=beta, count=count, inclusion=inclusion(weights, count).tolist())
    )
for batch in [64, 128, 100, 8]:
    for accuracies in [
        [0.3, 0.79, 0.8, 0.85, 0.95, 0.91, 0.996, 0.5],
        [0.2, 0.9, 0.7, 0.994, 0.995, 1.0],
        [0.1, 0.999, 0.1],
    ]:
        out["ordered"].append(dict(batch=batch, accuracies=accuracies, q=ordered_sizes(batch, accuracies)))
for parts, n in [(1, 4), (3, 5), (8, 40)]:
    gradients = f32(rng.normal(0, 1, (parts, n)) * rng.gamma(1.0, 2.0, (parts, 1)))
    out["clipping"].append(dict(gradients=gradients.tolist(), mean=clip(gradients).tolist()))
out["generalised"] = []
for n, k, q in [(1, 2, 0.7), (6, 3, 0.7), (5, 10, 0.3), (4, 4, 1.0)]:
    z = f32(rng.normal(0, 2, (n, k)))
    labels = rng.integers(0, k, n)

    def loss(z, labels=labels, q=q):
        p = np.exp(log_softmax(z)[np.arange(len(labels)), labels])
        return ((1 - p**q) / q).mean()

    out["generalised"].append(
        dict(
            logits=z.flatten().tolist(),
            labels=labels.tolist(),
            classes=k,
            q=q,
            gradient=complex_step(loss, z).flatten().tolist(),
        )
    )
out["difficulty"] = []
for samples, classes, decay in [(9, 2, 0.7), (12, 3, 0.0), (10, 2, 0.9)]:
    labels = rng.integers(0, classes, samples)
    averages = [np.full(samples, np.nan), np.full(samples, np.nan)]
    steps = []
    for _ in range(6):
        batch = rng.permutation(samples)[:4]
        losses = [f32(rng.gamma(1.0, 1.0, 4)) for _ in range(2)]
        for average, new in zip(averages, losses):
            old = average[batch]
            average[batch] = np.where(np.isnan(old), new, decay * old + (1 - decay) * new)
        weights = difficulty(batch, labels, averages)
        steps.append(
            dict(
                batch=batch.tolist(),
                biased=losses[0].tolist(),
                debiased=losses[1].tolist(),
                weights=weights,
            )
        )
    out["difficulty"].append(
        dict(labels=labels.tolist(), classes=classes, decay=decay, steps=steps)
    )
out["auxiliary"] = []
for n, k, smoothing, uneven, scale in [(1, 2, 0.0, False, 0.5), (5, 3, 0.1, True, 2.0), (4, 6, 0.25, False, 50.0)]:
    z = f32(rng.normal(0, 2, (n, k)))
    labels = rng.integers(0, k, n)
    w = f32(rng.uniform(0.2, 2, k)) if uneven else np.ones(k)

    def objective(b, z=z, labels=labels, w=w, smoothing=smoothing, scale=scale):
        """Cross-entropy of z + lambda b as a function of b."""
        log_p = log_softmax(z + scale * b)
        own = w[labels] * -log_p[np.arange(len(labels)), labels]
        spread = (w * -log_p).sum(1) / len(w)
        return ((1 - smoothing) * own + smoothing * spread).sum() / w[labels].sum()

    b, trail = np.zeros((n, k)), []
    for lr in [0.125, 0.0625, 0.03125]:
        b = b - lr * complex_step(objective, b)
        trail.append(b.flatten().tolist())
    out["auxiliary"].append(
        dict(
            logits=z.flatten().tolist(),
            labels=labels.tolist(),
            class_weights=w.tolist(),
            smoothing=smoothing,
            scale=scale,
            lrs=[0.125, 0.0625, 0.03125],
            variables=trail,
        )
    )
out["class_difference"] = []
for recalls in [[0.4, 0.9], [0.2, 0.5, 0.9], [1.0, 1.0, 1.0, 0.0], [0.7]]:
    pairs = [abs(a - b) for a, b in itertools.combinations(recalls, 2)]
    out["class_difference"].append(dict(recalls=recalls, mean=float(np.mean(pairs)) if pairs else None))
print(json.dumps(out))
