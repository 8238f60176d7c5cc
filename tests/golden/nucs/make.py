"""Writes nucs.json: python make.py (nothing but Python 3 is needed).

Class difficulties and densities of NUCS (arXiv 2504.13234) in exact fractions: the winsorised mean
as it is defined, and the budgets b_k = d S_k N_k / T, T = sum_i S_i N_i / N, in rounds: a class that
would keep more than it has keeps all, and the others share what is left by the same formula.
"""

import json
import os
from fractions import Fraction

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def numbers(seed):
    """A linear congruential generator: whole numbers below 2^31."""
    while True:
        seed = (1103515245 * seed + 12345) % 2**31
        yield seed


def winsorised(values, fraction):
    ordered = sorted(values)
    cut = int(fraction * len(ordered))
    for i in range(cut):
        ordered[i] = ordered[cut]
        ordered[-1 - i] = ordered[-1 - cut]
    return sum(ordered) / len(ordered) if ordered else Fraction(0)


def densities(sizes, difficulties, density):
    left, open_ = density * sum(sizes), [k for k, n in enumerate(sizes) if n]
    shares = [Fraction(0)] * len(sizes)
    while open_:
        total = sum(difficulties[k] * sizes[k] for k in open_)
        asked = {k: left * difficulties[k] * sizes[k] / total for k in open_}
        full = [k for k in open_ if asked[k] >= sizes[k]]
        if not full:
            for k in open_:
                shares[k] = asked[k] / sizes[k]
            return shares
        for k in full:
            shares[k] = Fraction(1)
            left -= sizes[k]
            open_.remove(k)
    return shares


draw = numbers(2504)
sizes = [60, 7, 140, 0, 33, 20]
centres = [3, 9, 2, 0, 5, 30]
labels, scores = [], []
for k, (size, centre) in enumerate(zip(sizes, centres)):
    for i in range(size):
        # Eighths are exact; every tenth sample is far off, as a wrong label is.
        far = 400 if i % 10 == 9 else 0
        labels.append(k)
        scores.append(Fraction(8 * centre + far + next(draw) // 2**10 % 16, 8))
order = sorted(range(len(labels)), key=lambda i: next(draw))
labels, scores = [labels[i] for i in order], [scores[i] for i in order]

cases = []
for direction in ["high", "low"]:
    for winsor in ["0", "0.05", "0.29", "0.45"]:
        turned = scores if direction == "high" else [max(scores) - s for s in scores]
        of_class = [[s for s, y in zip(turned, labels) if y == k] for k in range(len(sizes))]
        means = [winsorised(values, Fraction(winsor)) for values in of_class]
        for density in ["0.1", "0.3", "0.8"]:
            found = densities(sizes, means, Fraction(density))
            cases.append({"direction": direction, "winsor": float(winsor), "density": float(density),
                          "difficulties": [float(m) for m in means],
                          "densities": [float(d) for d in found]})

assert any(1.0 in c["densities"] for c in cases), "no class is full"
text = json.dumps({"classes": len(sizes), "labels": labels, "scores": [float(s) for s in scores],
                   "cases": cases}, separators=(",", ":"))
with open("nucs.json", "w") as f:
    f.write(text.replace(',{"direction', ',\n{"direction') + "\n")
