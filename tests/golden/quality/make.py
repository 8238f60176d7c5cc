"""Writes quality.json: python make.py (nothing but Python 3 is needed).

Confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021) in exact fractions: thresholds, the confident
joint, the joint that is calibrated to the sizes of the labels, and the suspects in both rankings.
"""

import json
import os
from fractions import Fraction

os.chdir(os.path.dirname(os.path.abspath(__file__)))

N, K, EMPTY = 400, 6, 4
# Sizes of the true classes fall, and nobody is labelled as class EMPTY.
SHARES = [30, 24, 18, 14, 0, 14]


def numbers(seed):
    """A linear congruential generator: whole numbers below 2^31."""
    while True:
        seed = (1103515245 * seed + 12345) % 2**31
        yield seed


draw = numbers(2021)
below = lambda n: (next(draw) >> 12) % n


def pick(shares):
    at = below(sum(shares))
    for k, share in enumerate(shares):
        if at < share:
            return k
        at -= share


def row(label):
    """Probabilities in 1024ths, which f32 holds: most of it near the true class, now and then elsewhere."""
    weights = [1 + below(6) for _ in range(K)]
    weights[label if below(8) else below(K)] += 6 + below(60)
    parts = [1024 * w // sum(weights) for w in weights]
    parts[label] += 1024 - sum(parts)
    return parts


truth = [pick(SHARES) for _ in range(N)]
# Noise depends on the class: class 1 is often labelled as class 0.
labels = [0 if t == 1 and below(4) == 0 else (t if below(12) else pick(SHARES)) for t in truth]
rows = [row(t) for t in truth]
p = [[Fraction(v, 1024) for v in r] for r in rows]

thresholds = []
for k in range(K):
    own = [p[i][k] for i in range(N) if labels[i] == k]
    thresholds.append(sum(own) / len(own) if own else None)

counts = [[0] * K for _ in range(K)]
suspects = []
for i in range(N):
    confident = [k for k in range(K) if thresholds[k] is not None and p[i][k] >= thresholds[k]]
    assert all(abs(float(p[i][k] - t)) > 1e-9 for k, t in enumerate(thresholds) if t is not None)
    if not confident:
        continue
    best = max(confident, key=lambda k: (p[i][k], -k))
    counts[labels[i]][best] += 1
    if best != labels[i]:
        others = max(p[i][k] for k in range(K) if k != labels[i])
        suspects.append((i, best, p[i][labels[i]], p[i][labels[i]] - others))

sizes = [labels.count(k) for k in range(K)]
joint = [[Fraction(c * sizes[k], sum(counts[k]) * N) if sum(counts[k]) else Fraction(0) for c in counts[k]]
         for k in range(K)]
assert sum(map(sum, joint)) == 1
assert sizes[EMPTY] == 0 and thresholds[EMPTY] is None
by = lambda at: [s[0] for s in sorted(suspects, key=lambda s: (s[at], s[0]))]
number = lambda v: None if v is None else float(v)

with open("quality.json", "w") as f:
    json.dump({
        "classes": K,
        "labels": labels,
        "rows": [v for r in rows for v in r],
        "thresholds": [number(t) for t in thresholds],
        "counts": counts,
        "joint": [[number(v) for v in r] for r in joint],
        "suspects": [[i, k, number(own), number(margin)] for i, k, own, margin in suspects],
        "by_margin": by(3),
        "by_confidence": by(2),
    }, f, separators=(",", ":"))
    f.write("\n")
print(f"{len(suspects)} suspects of {N}, {sum(t != l for t, l in zip(truth, labels))} labels wrong")
