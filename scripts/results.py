#!/usr/bin/env python3
"""Tables in Markdown from summary.json files of `fairprune run`.

Several files are pooled: every (file, seed) is one pair. The interval is Student's t over the
pairs' differences; runs on one data seed share their images, so it is also given with the data
seeds as the units (one mean difference each).
"""
import json
import math
import sys

# Two-sided 95 % quantiles of Student's t, by degrees of freedom.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262,
     10: 2.228, 11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110,
     18: 2.101, 19: 2.093, 24: 2.064, 29: 2.045, 31: 2.040, 39: 2.023}


def number(x):
    return f"{x:.3f}".replace("0.", ".", 1)


def interval(values):
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return mean, None
    sd = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    df = max(d for d in T if d <= n - 1)
    half = T[df] * sd / math.sqrt(n)
    return mean, (mean - half, mean + half)


def verdict(values, higher_is_better=True):
    mean, bounds = interval(values)
    if bounds is None or bounds[0] <= 0 <= bounds[1]:
        word = "not decided"
    else:
        word = "improved" if (mean > 0) == higher_is_better else "worsened"
    span = "" if bounds is None else f" [{bounds[0]:+.3f}, {bounds[1]:+.3f}]"
    return f"{mean:+.3f}{span}", word


METRICS = [("average_accuracy", "average", True), ("worst_recall", "worst class", True),
           ("gap", "gap", False), ("std", "std", False)]


def runs(summary):
    for strategy in summary["strategies"]:
        for point in strategy["points"]:
            for run in point["runs"]:
                yield strategy["name"], strategy["label"], point["density"], run


def main(paths):
    summaries = [json.load(open(path)) for path in paths]
    table, labels, order = {}, {}, []
    for i, summary in enumerate(summaries):
        for name, label, density, run in runs(summary):
            key = (name, density)
            labels[name] = label
            if key not in table:
                order.append(key)
            table.setdefault(key, {})[(i, run["seed"])] = run
    print("| strategy | density | average | worst class | gap | std | least kept | runs |")
    print("|---|---|---|---|---|---|---|---|")
    for name, density in order:
        cells = list(table[(name, density)].values())
        columns = []
        for metric, _, _ in METRICS:
            values = [c["last"][metric] for c in cells]
            mean = sum(values) / len(values)
            columns.append(f"{number(mean)} [{number(min(values))}, {number(max(values))}]")
        least = min(min(c["class_counts"]) for c in cells)
        print(f"| {labels[name]} | {density:g} | " + " | ".join(columns) + f" | {least} | {len(cells)} |")
    print("\nmean [min, max] over runs\n")
    print("| difference | density | metric | over runs | | over data seeds | |")
    print("|---|---|---|---|---|---|---|")
    for name, density in order:
        base = table.get(("random", density))
        if base is None or name == "random":
            continue
        cells = table[(name, density)]
        for metric, label, higher in METRICS:
            pairs = {k: cells[k]["last"][metric] - base[k]["last"][metric] for k in cells if k in base}
            text, word = verdict(list(pairs.values()), higher)
            units = {}
            for (i, _), d in pairs.items():
                units.setdefault(i, []).append(d)
            means = [sum(v) / len(v) for v in units.values()]
            other = verdict(means, higher) if len(means) > 1 else ("-", "-")
            print(f"| {labels[name]} - Random | {density:g} | {label} | {text} | {word} | {other[0]} | {other[1]} |")
    ratios = [s["query"]["error_ratio"] for s in summaries if s.get("query")]
    if ratios:
        text = ", ".join("-" if r is None else f"{r:.1f}" for r in ratios)
        print(f"\nerror ratio of the query, one a data seed: {text}")
    settings = summaries[0]["settings"]
    print(f"\n`{settings['command']}`, commit {settings['commit']}, {settings['device']}, "
          f"{settings['arch']} width {settings['width']}, {settings['steps']} steps on full data")


if __name__ == "__main__":
    main(sys.argv[1:])
