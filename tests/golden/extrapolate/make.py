"""Writes extrapolate.json: python make.py (nothing but Python 3 is needed).

Scores by nearest neighbours (Schmidt et al. 2025, arXiv 2506.09010): the mean of the scores of the k
nearest known samples, weighted by exp(-distance), and Spearman's correlation with the true ones.
"""

import json
import math
import os

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def numbers(seed):
    """A linear congruential generator: whole numbers below 2^31."""
    while True:
        seed = (1103515245 * seed + 12345) % 2**31
        yield seed


def ranks(values):
    ordered = sorted(values)
    return [ordered.index(v) + (ordered.count(v) - 1) / 2 for v in values]


def spearman(a, b):
    a, b = ranks(a), ranks(b)
    mean = (len(a) - 1) / 2
    product = lambda x, y: math.fsum((u - mean) * (v - mean) for u, v in zip(x, y))
    return product(a, b) / math.sqrt(product(a, a) * product(b, b))


draw = numbers(9010)
N, D = 70, 3
features = [[(next(draw) >> 12) % 256 / 64 for _ in range(D)] for _ in range(N)]
# A score that follows the features, with noise in sixteenths.
scores = [math.floor(16 * sum(f)) / 16 + (next(draw) >> 12) % 8 / 16 for f in features]
order = sorted(range(N), key=lambda i: next(draw))
known, unknown = order[:30], order[30:65]

cases = []
for k in [1, 4, 50]:
    found = []
    for i in unknown:
        near = sorted((math.dist(features[i], features[j]), j) for j in known)
        gaps = [b[0] - a[0] for a, b in zip(near, near[1:])]
        assert k >= len(known) or gaps[k - 1] > 1e-5, "neighbours at one distance"
        # As shares of the nearest one's: no mean changes, and equal means are equal numbers.
        weights = [math.exp(near[0][0] - d) for d, _ in near[:k]]
        found.append(math.fsum(w * scores[j] for w, (_, j) in zip(weights, near)) / math.fsum(weights))
    truth = [scores[i] for i in unknown]
    cases.append({"neighbours": k, "values": found, "rank_correlation": spearman(found, truth)})

with open("extrapolate.json", "w") as f:
    json.dump({"dims": D, "features": [v for row in features for v in row], "scores": scores,
               "known": known, "unknown": unknown, "cases": cases}, f, separators=(",", ":"))
    f.write("\n")
