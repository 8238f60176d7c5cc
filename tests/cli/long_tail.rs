//! `--long-tail`: exponential imbalance in the training part.

use std::collections::BTreeSet;

use fairprune::artefact::npy;

use crate::*;

fn positions(path: &Path) -> BTreeSet<usize> {
    npy::read(path).unwrap().into_positions(usize::MAX >> 1, "kept").unwrap().into_iter().collect()
}

/// 24 images of each of three classes.
fn folder() -> Place {
    let place = Place::new();
    place.tree("even", &[("train", [24, 24, 24]), ("test", [4, 4, 4])]);
    place
}

#[test]
fn the_training_part_alone_becomes_long_tailed() {
    let place = folder();
    let info = |flags: &str| json(place.path(), &format!("data info even {flags}"));
    let (plain, tail) = (info(""), info("--long-tail 4"));
    // 24, 24 / 2, 24 / 4.
    assert_eq!(tail["parts"]["train"]["class_sizes"], serde_json::json!([24, 12, 6]));
    assert_eq!(tail["parts"]["train"]["images"], 42);
    assert_eq!(tail["parts"]["test"], plain["parts"]["test"]);
    assert_eq!(tail["long_tail"]["factor"], 4.0);
    assert_eq!(tail["long_tail"]["fingerprint"], plain["fingerprint"]);
    assert_eq!(plain["long_tail"], Value::Null);
    let print = |of: &Value| of["fingerprint"].as_str().unwrap().to_owned();
    let others =
        [print(&info("--long-tail 4 --data-seed 1")), print(&info("--long-tail 5")), print(&plain)];
    assert!(!others.contains(&print(&tail)));
    assert_eq!(print(&info("--long-tail 1")), print(&plain), "nothing is removed");
    let told = good(place.path(), "data info even --long-tail 4");
    assert!(
        told.err.contains("42 of 72 training images, from 24 of ant to 6 of cat"),
        "{}",
        told.err
    );
    for (bad, expected) in [
        ("0.5", "at least 1"),
        ("0", "at least 1"),
        ("-2", "at least 1"),
        ("nan", "a finite number"),
        ("inf", "a finite number"),
    ] {
        let line = format!("data info even --long-tail {bad}");
        refused(place.path(), &line, &["--long-tail", expected]);
    }
}

#[test]
fn positions_are_those_of_the_original_and_larger_factors_nest() {
    let place = folder();
    let present = |factor: &str, more: &str| {
        let line = format!(
            "data export --data even --long-tail {factor} {more} --as index --out i.npy --force -q"
        );
        good(place.path(), &line);
        positions(&place.path().join("i.npy"))
    };
    let (four, eight) = (present("4", ""), present("8", ""));
    assert_eq!((four.len(), eight.len()), (42, 24 + 8 + 3));
    assert!(eight.is_subset(&four));
    assert_ne!(present("8", "--data-seed 3"), eight);
    // Nothing but what stays is ever trained on, held out or kept.
    let line =
        format!("score --data even --long-tail 4 {TINY} --runs 1 --method el2n --out scores -q");
    good(place.path(), &line);
    let table = place.read("scores/scores.csv");
    let part = |i: usize| table.lines().nth(i + 1).unwrap().split(',').nth(3).unwrap().to_owned();
    for i in 0..72 {
        assert_eq!(part(i) == "out", !four.contains(&i), "{i}: {}", part(i));
    }
    let sizes: Vec<String> = place
        .read("scores/recalls.csv")
        .lines()
        .skip(1)
        .map(|l| l.split(',').nth(2).unwrap().to_owned())
        .collect();
    // Half of each class is held out, of those that stay.
    assert_eq!(sizes, ["12", "6", "3"]);
    let stated: Value = serde_json::from_str(&place.read("scores/scores.json")).unwrap();
    assert_eq!(stated["data"]["long_tail"], "--long-tail 4 --data-seed 0");
    assert_eq!(stated["data"]["samples"], 72);
    good(place.path(), "prune --scores scores --density .5 --quota uniform --out kept -q");
    let kept = positions(&place.path().join("kept/kept.npy"));
    assert_eq!(kept.len(), 11);
    assert!(kept.is_subset(&four) && kept.iter().all(|&i| part(i) == "train"));
    let with_data = "prune --scores scores --data even --long-tail 4 --density .5 --quota uniform --out again -q";
    good(place.path(), with_data);
    assert_eq!(positions(&place.path().join("again/kept.npy")), kept);
    let by_data = json(
        place.path(),
        "prune --data even --long-tail 4 --split holdout --density .5 --quota uniform --out own",
    );
    assert_eq!(by_data["total"], 21);
    // Another imbalance is another data set.
    for flags in ["", "--long-tail 8", "--long-tail 4 --data-seed 1"] {
        let line = format!("train --data even {flags} {TINY} --subset kept/kept.npy --out x");
        refused(
            place.path(),
            &line,
            &["kept/kept.npy", "with --long-tail 4 --data-seed 0", "fingerprint"],
        );
    }
    let line = format!("train --data even --long-tail 4 {TINY} --subset kept/kept.npy --out net");
    let told = good(place.path(), &line);
    assert!(told.err.contains("11 of 21 training images"), "{}", told.err);
    // What was removed is no part of any subset, whoever made it.
    let gone = (0..72).find(|i| !four.contains(i)).unwrap();
    npy::write(
        &place.path().join("bare.npy"),
        &[2],
        &[*four.first().unwrap() as i64, gone as i64].map(|i| i),
    )
    .unwrap();
    let line = "data export --data even --long-tail 4 --subset bare.npy --as list --out l.txt";
    refused(place.path(), line, &["bare.npy", &gone.to_string()]);
    refused(
        place.path(),
        "prune --scores scores --long-tail 4 --density .5 --out x",
        &["--long-tail", "--data"],
    );
}

#[test]
fn every_split_divides_what_is_left() {
    let place = folder();
    for split in ["holdout", "half-test", "crossfit:3"] {
        let line = format!(
            "prune --data even --long-tail 4 --split {split} --density 1 --quota none --out {}",
            split.replace(':', "")
        );
        let found = json(place.path(), &line);
        let expected = if split == "holdout" { 21 } else { 42 };
        assert_eq!(found["total"], expected, "{split}");
    }
    let flags =
        "--strategies full,random --density .5 --seeds 1 --split crossfit:2 --query-epochs 1";
    let line = format!("run --data even --long-tail 4 {TINY} {flags} --out run");
    let summary = json(place.path(), &line);
    let sizes: Vec<u64> = summary["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["train_size"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [24, 12, 6]);
    assert!(summary["settings"]["recipe"]["long tail"].as_str().unwrap().contains("factor 4"));
    // The links of what is left are a data set of those sizes.
    good(place.path(), "data export --data even --long-tail 4 --as links --out tailed -q");
    let info = json(place.path(), "data info tailed");
    assert_eq!(info["parts"]["train"]["class_sizes"], serde_json::json!([24, 12, 6]));
}
