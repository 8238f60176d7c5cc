#!/usr/bin/env python3
"""Tables in Markdown from the study.json of `fairprune study`: claims first, then the cells.

    scripts/results-study.py fairprune-out/study-cifar10/study.json
"""
import json
import sys

METRICS = [("average_accuracy", "average"), ("worst_recall", "worst class"), ("gap", "gap"), ("std", "std")]


def number(x):
    return f"{x:.3f}".replace("0.", ".", 1)


def signed(x):
    return f"{x:+.3f}".replace("0.", ".", 1)


def claims(study):
    print("| claim | density | difference [95 %] | seeds | |")
    print("|---|---|---|---|---|")
    for result in study["claims"]:
        claim, bounds = result["claim"], result["interval"]
        span = "" if bounds is None else f" [{signed(bounds[0])}, {signed(bounds[1])}]"
        text = f"{claim['text']} (`{claim['method']}` - `{claim['baseline']}`)"
        if len(study["panels"]) > 1:
            text += f", {result['panel']}"
        print(f"| {text} | {result['density']:g} | {signed(result['mean'])}{span} | {result['seeds']} | "
              f"{result['outcome']} |")


def cells(panel):
    print("| strategy | density | average | worst class | gap | std | least kept | seeds |")
    print("|---|---|---|---|---|---|---|---|")
    for strategy in panel["summary"]["strategies"]:
        for point in strategy["points"]:
            runs = point["runs"]
            if not runs:
                continue
            columns = []
            for metric, _ in METRICS:
                values = [run["last"][metric] for run in runs]
                mean = sum(values) / len(values)
                columns.append(f"{number(mean)} [{number(min(values))}, {number(max(values))}]")
            least = min(min(run["class_counts"]) for run in runs)
            print(f"| {strategy['label']} | {point['density']:g} | " + " | ".join(columns)
                  + f" | {least} | {len(runs)} |")
    print("\nmean [min, max] over seeds, after the last step, on test images")


def forecasts(panel):
    """What the quotas were predicted to do beside what was measured."""
    rows = []
    for strategy in panel["summary"]["strategies"]:
        for point in strategy["points"]:
            runs, fit = point["runs"], point.get("forecast_fit")
            if not fit or not runs:
                continue
            mean = lambda values: sum(values) / len(values)
            least = lambda key: mean([min(r for r in run["forecast"][key] if r is not None) for run in runs])
            changes = fit.get("changes") or {}
            total = [sum(run["preparation"][k] for k in ["query_seconds", "score_seconds", "choose_seconds"])
                     + run["train_seconds"] for run in runs if run.get("preparation")]
            rule = runs[0]["forecast"].get("rule")
            shown = [
                strategy["label"], f"{point['density']:g}", f"{runs[0]['forecast']['gain']:.2f}",
                "-" if rule is None else f"{rule['lambda']:g}, {rule['shrinkage']:g}",
                number(least("equal")), number(least("quotas")),
                number(mean([run["last"]["worst_recall"] for run in runs])),
                "-" if fit["recalls"]["correlation"] is None else signed(fit["recalls"]["correlation"]),
                number(fit["recalls"]["rmse"]),
                "-" if changes.get("correlation") is None else signed(changes["correlation"]),
                f"{mean(total):.0f} s" if total else "-",
            ]
            rows.append("| " + " | ".join(shown) + " |")
    if rows:
        print("\n| quotas | density | gain | lambda, shrinkage | worst without, predicted | with, predicted | "
              "measured | correlation | rmse | correlation of changes | total time |")
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        print("\n".join(rows))


def main(path):
    study = json.load(open(path))
    if study["claims"]:
        claims(study)
    for panel in study["panels"]:
        settings = panel["summary"]["settings"]
        print(f"\n`{panel['name']}`: {settings['arch']}, {settings['steps']} steps of {settings['batch']} on "
              f"full data, {settings['device']}, commit {settings['commit']}\n")
        cells(panel)
        forecasts(panel)
        query = panel["summary"].get("query")
        if query and query["error_ratio"]:
            print(f"\nerror ratio of the queries: {query['error_ratio']:.1f}")
        for task, error in panel["failures"]:
            print(f"\nfailed: {task}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
