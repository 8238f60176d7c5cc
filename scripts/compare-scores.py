#!/usr/bin/env python3
"""How far the scores of one network in one precision are from those in another.

    fairprune score --weights W --method el2n,grand --precision f32  --out f32  ...
    fairprune score --weights W --method el2n,grand --precision bf16 --out bf16 ...
    scripts/compare-scores.py f32 bf16 [DENSITY]

Median relative difference, Spearman's rank correlation, and the share of the samples kept at the density
(0.3) by the first that the second keeps, too.
"""
import sys
from pathlib import Path

import numpy as np


def ranks(values):
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(len(values))
    for value in np.unique(values):  # ties have their mean rank
        same = values == value
        ranks[same] = ranks[same].mean()
    return ranks


def main():
    first, second = Path(sys.argv[1]), Path(sys.argv[2])
    density = float(sys.argv[3]) if len(sys.argv) > 3 else 0.3
    names = sorted(p.name for p in first.glob("*.npy") if (second / p.name).exists())
    if not names:
        sys.exit(f"no scores that both {first} and {second} have")
    print(f"{'score':10}  samples  median rel. diff.  Spearman  overlap at {density:g}")
    for name in names:
        a, b = (np.load(d / name).astype(np.float64) for d in (first, second))
        there = np.isfinite(a) & np.isfinite(b)
        a, b = a[there], b[there]
        relative = np.median(np.abs(a - b) / np.maximum(np.abs(a), 1e-12))
        spearman = np.corrcoef(ranks(a), ranks(b))[0, 1]
        kept = round(density * len(a))
        top = [set(np.argsort(-v, kind="stable")[:kept]) for v in (a, b)]
        overlap = len(top[0] & top[1]) / kept
        print(f"{name[:-4]:10}  {len(a):7}  {100 * relative:15.3f} %  {spearman:.5f}  {100 * overlap:.1f} %")


if __name__ == "__main__":
    main()
