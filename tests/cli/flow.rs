//! The whole way, as the documentation tells it: score, prune, train on the subset, evaluate.

use crate::*;

#[test]
fn from_scores_to_a_network_trained_on_the_kept_half() {
    let place = Place::new();
    let at = place.path();
    let line = format!("score --data data {TINY} --runs 2 --method el2n,grand --out scores");
    let scored = good(at, &line);
    assert!(scored.out.contains("next: fairprune prune --scores scores"), "{}", scored.out);
    let pruned = good(at, "prune --scores scores --density .5 --strategy grand --out kept");
    assert!(pruned.out.contains("next:    fairprune train --data DATA --subset kept/kept.npy"));
    let line =
        format!("train --data data {TINY} --subset kept/kept.npy --budget matched --out net");
    let trained = json(at, &line);
    let evaluated = json(at, "eval --data data --weights net/model.safetensors");
    assert_eq!(trained["recalls"], evaluated["recalls"]);
    assert_eq!(evaluated["images"], 12);
}

/// The full-data runs stand in for queries: whoever needs recalls or scores pays for all of them.
fn total_times(summary: &Value) {
    let runs = |name: &str| -> Vec<Value> {
        let strategies = summary["strategies"].as_array().unwrap().iter();
        let points = strategies.filter(|s| s["name"] == name).flat_map(|s| s["points"].as_array());
        points.flatten().flat_map(|p| p["runs"].as_array().unwrap().clone()).collect()
    };
    let full: f64 = runs("full").iter().map(|r| r["train_seconds"].as_f64().unwrap()).sum();
    for (name, query, scoring) in [
        ("full", false, false),
        ("random", false, false),
        ("metriq", true, false),
        ("el2n+uniform", true, true),
    ] {
        for run in runs(name) {
            let seconds = |key: &str| run["preparation"][key].as_f64().unwrap();
            assert_eq!(run["preparation"]["query_runs"], if query { 2 } else { 0 }, "{name}");
            let wanted = if query { full } else { 0.0 };
            assert!((seconds("query_seconds") - wanted).abs() < 1e-9, "{name}: {run}");
            assert_eq!(seconds("score_seconds") > 0.0, scoring, "{name}");
            assert_eq!(seconds("choose_seconds") > 0.0, name != "full", "{name}");
        }
    }
}

#[test]
fn run_writes_what_it_promises() {
    let place = Place::new();
    let line = format!(
        "run --data data {TINY} --seeds 2 --density .3,.5 --strategies full,random,metriq,el2n+uniform"
    );
    let summary = json(place.path(), &format!("{line} --out out"));
    let mut expected = vec!["job.json", "report.html", "summary.json", "work"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for strategy in ["random", "metriq", "el2n+uniform"] {
        for density in ["d0.3-", "d0.5-"] {
            for seed in 0..2 {
                for (name, end) in [("kept", "npy"), ("kept", "json"), ("classes", "csv")] {
                    expected.push(format!("{name}-{strategy}-{density}{seed}.{end}"));
                }
            }
        }
    }
    for seed in 0..2 {
        for (name, end) in [("kept", "npy"), ("kept", "json"), ("classes", "csv")] {
            expected.push(format!("{name}-full-{seed}.{end}"));
        }
    }
    expected.sort();
    assert_eq!(names(&place.path().join("out")), expected);
    assert_eq!(summary, serde_json::from_str::<Value>(&place.read("out/summary.json")).unwrap());
    total_times(&summary);
    let text = good(place.path(), &format!("{line} --out out"));
    assert!(text.err.contains("(continued)"), "{}", text.err);
    assert!(text.out.contains("keeps 30 %, prunes 70 %"), "{}", text.out);
    let verdicts = text.out.lines().filter(|l| l.contains("worst class, MetriQ - Random: "));
    assert_eq!(verdicts.count(), 2, "{}", text.out);
    assert!(text.out.contains("report: out/report.html"));
    // A subset of the run trains again.
    let line = format!("train --data data {TINY} --subset out/kept-metriq-d0.5-1.npy --out net");
    good(place.path(), &line);
}

#[test]
fn run_refuses_early_what_would_fail_late() {
    let place = Place::new();
    for (flags, words) in [
        ("--density .05", ["--density", "1 of 18"]),
        ("--density .5 --min-per-class 4", ["minimum", "12"]),
        ("--smooth kernel", ["--smooth", "laplace"]),
        ("--query-epochs 3", ["--query-epochs", "--query-runs"]),
        ("--split crossfit:3 --query-runs 2", ["--query-runs", "one run a fold"]),
    ] {
        let line = format!("run --data data {TINY} {flags} --out refused");
        refused(place.path(), &line, &words);
        assert!(!place.path().join("refused").exists(), "{flags}");
    }
    place.tree("untested", &[("train", [9, 9, 9])]);
    let line = format!("run --data untested {TINY} --out refused");
    refused(place.path(), &line, &["no test part", "beside train"]);
    good(place.path(), &format!("run --data data {TINY} --seeds 1 --split crossfit:3 --out cross"));
}
