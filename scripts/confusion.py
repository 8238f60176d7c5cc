#!/usr/bin/env python3
"""Where the errors of networks go: recalls and concentration, from files of `fairprune eval --confusion`.

    scripts/confusion.py [-v] C.csv...

The files are runs on the same classes; their counts are added. `share` is the largest share of a class's errors that
goes to one other class, `partners` the effective number of classes that they go to: exp of the entropy of the shares.
"""

import csv
import math
import sys


def matrix(path):
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    return rows[0][2:], [[int(x) for x in row[2:]] for row in rows[1:]]


def recalls(counts):
    return [row[k] / sum(row) for k, row in enumerate(counts)]


def shares(counts, k):
    errors = sum(counts[k]) - counts[k][k]
    return [0.0 if j == k or not errors else n / errors for j, n in enumerate(counts[k])]


def main():
    paths = [word for word in sys.argv[1:] if word != "-v"]
    read = [matrix(path) for path in paths]
    names, runs = read[0][0], [counts for _, counts in read]
    assert all(own == names for own, _ in read), "the files are not of the same classes"
    classes = range(len(names))
    counts = [[sum(run[k][j] for run in runs) for j in classes] for k in classes]
    found = recalls(counts)
    largest = [max(shares(counts, k)) for k in classes]
    partners = [math.exp(-sum(p * math.log(p) for p in shares(counts, k) if p)) for k in classes]
    of_runs = [recalls(run) for run in runs]
    averages = [sum(run) / len(run) for run in of_runs]
    spread = [
        math.sqrt(sum((run[k] - found[k]) ** 2 for run in of_runs) / max(1, len(runs) - 1)) for k in classes
    ]
    mean = lambda values: sum(values) / len(values)
    ratio = (1 - min(found)) / (1 - max(found)) if max(found) < 1 else math.inf
    print(
        f"balanced {mean(averages):.3f} [{min(averages):.3f}, {max(averages):.3f}]  "
        f"recalls {min(found):.2f} to {max(found):.2f}, sd over runs {mean(spread):.3f}  error ratio {ratio:.2f}  "
        f"share mean {mean(largest):.2f} max {max(largest):.2f}  partners {mean(partners):.2f}"
    )
    if "-v" in sys.argv:
        for k in classes:
            other = names[max(classes, key=lambda j: shares(counts, k)[j])]
            print(f"{names[k]:<12} recall {found[k]:.2f}  {largest[k]:.2f} to {other:<12} {partners[k]:.1f} partners")


main()
