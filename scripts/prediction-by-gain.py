#!/usr/bin/env python3
"""How near predictions of what MetriQ does come for several gains, from a folder of `fairprune run` whose
full-data runs were the queries, or a panel of a study. Validation images stand class by class, as in class
folders. Needs NumPy.

    scripts/prediction-by-gain.py fairprune-out/run DENSITY
"""
import glob
import json
import os
import sys

import numpy as np


def main(folder, density):
    summary = json.load(open(f"{folder}/summary.json"))
    runs = [np.load(f"{f}/validation-log-probabilities.npy").astype(float)
            for f in sorted(glob.glob(f"{folder}/work/full-s*") + glob.glob(f"{folder}/work/query-r*"))
            if os.path.exists(f"{f}/validation-log-probabilities.npy")]
    counts = summary["query"]["validation_counts"]
    labels = np.repeat(np.arange(len(counts)), counts)

    def point(name):
        points = next(s for s in summary["strategies"] if s["name"] == name)["points"]
        return next(p for p in points if abs(p["density"] - float(density)) < 1e-9)["runs"]

    def measured(name):
        return np.mean([r["last"]["recalls"] for r in point(name)], 0)

    def predicted(densities, gain):
        answers = [(logs + gain * np.log(densities)).argmax(1) for logs in runs]
        return np.mean([[(a[labels == k] == k).mean() for k in range(len(counts))] for a in answers], 0)

    densities = np.mean([r["class_densities"] for r in point("metriq")], 0)
    change = measured("metriq") - measured("random")
    def off(gain):
        of = predicted(densities, gain) - predicted(np.ones(len(counts)), gain)
        return np.std(of - change)

    print(f"the gain that fits: {min(np.arange(0.1, 4.01, 0.1), key=off):.1f}\n")
    print("| gain | correlation | rmse | slope |\n|---|---|---|---|")
    for gain in [0.5, 0.75, 1, 1.25, 1.5, 2, 2.5]:
        of = predicted(densities, gain) - predicted(np.ones(len(counts)), gain)
        print(f"| {gain:g} | {np.corrcoef(of, change)[0, 1]:.3f} | {np.std(of - change):.3f} | {of @ change / (of @ of):.2f} |")

    def loss(logs, temperature):
        z = logs / temperature
        return (np.log(np.exp(z).sum(1)) - z[np.arange(len(labels)), labels]).mean()

    fits = [min(np.arange(0.4, 3, 0.02), key=lambda t: loss(logs, t)) for logs in runs]
    print(f"\ntemperature of the queries: {min(fits):.2f} to {max(fits):.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
