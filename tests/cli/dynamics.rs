//! This file tests recorded training dynamics: `train --dynamics`, the scores of `score`, `run` and `prune`
//! that need a recorded run, and their variants. What is refused is tested in `unusable`, and features of
//! the user's own are tested in `features`.

mod features;
mod unusable;

use crate::*;

use fairprune::artefact::npy::{self, Array, ArrayValues};

/// The smallest network for a few epochs.
const SHORT: &str = "--arch resnet8 --width 4 --epochs 4 --batch 8 --threads 1";
/// Windows that fit into them.
const WINDOWS: &str = "--window 3 --trajectory 4";
const ALL: &str =
    "forgetting,dynamic-uncertainty,aum,tdds,dual,early-confidence,confidence,variability";
const RECORDED: [&str; 8] = [
    "correct.npy",
    "divergence.npy",
    "dynamics.json",
    "el2n.npy",
    "label-probability.npy",
    "logit-margin.npy",
    "loss.npy",
    "samples.csv",
];

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    fs::read(place.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn document(place: &Place, name: &str) -> Value {
    serde_json::from_str(&place.read(name)).unwrap()
}

fn array(place: &Place, name: &str) -> Array {
    npy::read(&place.path().join(name)).unwrap()
}

fn floats(array: &Array) -> &[f32] {
    match &array.values {
        ArrayValues::F32(values) => values,
        other => panic!("{other:?}"),
    }
}

/// Of a method in scores.json.
fn stated<'a>(document: &'a Value, method: &str) -> &'a Value {
    let methods = document["methods"].as_array().unwrap();
    methods.iter().find(|m| m["name"] == method).unwrap_or_else(|| panic!("no {method}"))
}

#[test]
fn one_recorded_run_gives_all_its_scores() {
    let place = Place::new();
    let line = format!("score --data data {SHORT} {WINDOWS} --method {ALL} --out scores");
    let scored = good(place.path(), &line);
    for words in ["dynamics  1 run of 4 epochs, no augmentation, recorded", "disk  ", "time  "] {
        assert!(scored.err.contains(words), "{words}: {}", scored.err);
    }
    assert!(!scored.err.contains("query "), "no short runs: {}", scored.err);
    assert_eq!(names(&place.path().join("scores/dynamics")), RECORDED);
    // Rows are epochs, columns all samples; half of each class is held out.
    let header = format!("index,id,label,part,{ALL}");
    let table = place.read("scores/scores.csv");
    assert_eq!(table.lines().next().unwrap(), header);
    let rows = table.lines().skip(1).enumerate();
    let held_out: Vec<usize> = rows.filter(|(_, l)| l.contains(",val,")).map(|r| r.0).collect();
    assert_eq!(held_out.len(), 18);
    for name in RECORDED.iter().filter(|n| n.ends_with(".npy")) {
        let recorded = array(&place, &format!("scores/dynamics/{name}"));
        assert_eq!(recorded.shape, [4, 36], "{name}");
        let values = floats(&recorded);
        for (i, value) in values.iter().enumerate() {
            let first = *name == "divergence.npy" && i < 36;
            let absent = held_out.contains(&(i % 36)) || first;
            assert_eq!(value.is_nan(), absent, "{name}, epoch {}, sample {}", i / 36, i % 36);
        }
    }
    // Held-out samples have no dynamics and no score, and do not look like the easiest.
    let unscored = table.lines().skip(1).filter(|l| l.ends_with(",val,,,,,,,,"));
    assert_eq!(unscored.count(), 18, "{table}");

    let scores = document(&place, "scores/scores.json");
    for (method, direction) in [
        ("forgetting", "higher-first"),
        ("dynamic-uncertainty", "higher-first"),
        ("aum", "lower-first"),
        ("tdds", "higher-first"),
        ("dual", "higher-first"),
        ("early-confidence", "lower-first"),
        ("confidence", "lower-first"),
        ("variability", "higher-first"),
    ] {
        let of = stated(&scores, method);
        assert_eq!(of["direction"], direction, "{method}");
        let numbers = &of["hyper_parameters"];
        assert_eq!(numbers["source"], "dynamics");
        assert_eq!(numbers["augmented"], false);
        assert_eq!((&numbers["runs"], &numbers["recipe"]["epochs"]), (&1.into(), &4.into()));
        assert!(of["variant"].as_str().unwrap().contains("train mode"), "{of}");
    }
    assert_eq!(stated(&scores, "tdds")["hyper_parameters"]["decay"], 0.9);
    assert_eq!(stated(&scores, "dual")["hyper_parameters"]["window"], 3);
    assert_eq!(stated(&scores, "early-confidence")["hyper_parameters"]["trajectory"], 4);
    assert_eq!(stated(&scores, "forgetting")["hyper_parameters"]["never_learned"], "hardest");

    // The same from the recording alone, its recalls too.
    let line = format!("score --dynamics scores/dynamics {WINDOWS} --out again");
    good(place.path(), &line);
    for method in ALL.split(',') {
        let name = format!("{method}.npy");
        assert!(
            bytes(&place, &format!("scores/{name}")) == bytes(&place, &format!("again/{name}")),
            "{method} differs"
        );
    }
    assert_eq!(place.read("scores/scores.csv"), place.read("again/scores.csv"));
    assert_eq!(place.read("scores/recalls.csv"), place.read("again/recalls.csv"));

    // And they prune: what is held out is never kept, the hard end first.
    let line = "prune --scores again --strategy aum --quota none --density .5 --out kept";
    assert_eq!(json(place.path(), line)["kept"], 9);
    let aum = floats(&array(&place, "scores/aum.npy")).to_vec();
    let kept = array(&place, "kept/kept.npy").into_positions(36, "kept").unwrap();
    let highest = kept.iter().map(|&i| aum[i]).fold(f32::MIN, f32::max);
    let others = (0..36).filter(|i| !kept.contains(i) && !aum[*i].is_nan());
    assert!(others.clone().count() == 9 && others.into_iter().all(|i| aum[i] >= highest));
}

#[test]
fn dynamics_and_trained_networks_in_one_call() {
    let place = Place::new();
    let line = format!(
        "score --data data {SHORT} --window 3 --query-epochs 1 --runs 2 --method el2n,forgetting,ssp \
         --save-features --out scores"
    );
    let scored = good(place.path(), &line);
    assert!(scored.err.contains("query     2 runs of 1 epochs"), "{}", scored.err);
    assert!(scored.err.contains("dynamics  1 run of 4 epochs"), "{}", scored.err);
    let scores = document(&place, "scores/scores.json");
    assert_eq!(stated(&scores, "el2n")["hyper_parameters"]["recipe"]["epochs"], 1);
    assert_eq!(stated(&scores, "el2n")["hyper_parameters"]["runs"], 2);
    assert_eq!(stated(&scores, "forgetting")["hyper_parameters"]["recipe"]["epochs"], 4);
    assert_eq!(stated(&scores, "ssp")["hyper_parameters"]["runs"], 1);
    // Recalls of the short runs, and those of the recorded one apart: each ranking takes its own.
    let recalls = |name: &str| place.read(&format!("scores/{name}"));
    let cells = |csv: String| csv.lines().nth(1).unwrap().split(',').nth(4).unwrap().to_owned();
    assert_eq!(cells(recalls("recalls.csv")), "14", "two runs over seven samples");
    assert_eq!(cells(recalls("recalls-dynamics.csv")), "7");
    for (strategy, file) in [("forgetting", "recalls-dynamics.csv"), ("el2n", "recalls.csv")] {
        let out = format!("kept-{strategy}");
        let line = format!("prune --scores scores --strategy {strategy} --density .5 --out {out}");
        good(place.path(), &line);
        let column = |csv: &str, name: &str| -> Vec<String> {
            let i = csv.lines().next().unwrap().split(',').position(|h| h == name).unwrap();
            csv.lines().skip(1).map(|l| l.split(',').nth(i).unwrap().to_owned()).collect()
        };
        let used = column(&place.read(&format!("{out}/classes.csv")), "recall");
        assert_eq!(used, column(&recalls(file), "recall"), "{strategy}");
    }
    // The features that it saved give the score again.
    let line =
        "score --data data --split holdout --features scores/features.npy --method ssp --out own";
    let own = good(place.path(), line);
    assert!(own.err.contains("recalls.csv is left out"), "{}", own.err);
    assert!(bytes(&place, "scores/ssp.npy") == bytes(&place, "own/ssp.npy"));
    assert_eq!(array(&place, "scores/features.npy").shape, [36, 16]);
    assert_eq!(array(&place, "scores/probabilities.npy").shape, [36, 3]);
    assert_eq!(document(&place, "scores/features.json")["data"]["samples"], 36);
}

#[test]
fn training_records_what_it_does() {
    let place = Place::new();
    let flags = "--flip false --translate 0 --seed 3 --split holdout";
    let line = format!("train --data data {SHORT} {flags} --dynamics --out net");
    let trained = good(place.path(), &line);
    assert!(!trained.err.contains("augmented"), "{}", trained.err);
    assert_eq!(names(&place.path().join("net/dynamics")), RECORDED);
    let stated_run = document(&place, "net/dynamics/dynamics.json");
    assert_eq!((&stated_run["epochs"], &stated_run["samples"]), (&4.into(), &36.into()));
    assert_eq!(stated_run["augmented"], false);
    assert_eq!(stated_run["network"]["arch"], "resnet8");
    assert_eq!(stated_run["trained"], 18);
    // Recording changes nothing of the training.
    good(place.path(), &format!("train --data data {SHORT} {flags} --out plain-net"));
    assert!(bytes(&place, "net/model.safetensors") == bytes(&place, "plain-net/model.safetensors"));
    // The log's means are those of the recorded presentations.
    let log = place.read("net/log.jsonl");
    let loss = array(&place, "net/dynamics/loss.npy");
    for (epoch, line) in log.lines().enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        let own = floats(&loss)[epoch * 36..][..36].iter().filter(|v| !v.is_nan());
        let mean = own.clone().map(|&v| f64::from(v)).sum::<f64>() / own.count() as f64;
        assert!((mean - record["train_loss"].as_f64().unwrap()).abs() < 1e-12, "{line}");
    }
    // The same command again finds its work done, and a lost recording is made again.
    good(place.path(), &line);
    let before = bytes(&place, "net/dynamics/loss.npy");
    fs::remove_dir_all(place.path().join("net/dynamics")).unwrap();
    good(place.path(), &line);
    assert!(bytes(&place, "net/dynamics/loss.npy") == before);

    let line = format!("train --data data {SHORT} --dynamics=plain --out augmented");
    let trained = good(place.path(), &line);
    assert!(trained.err.contains("presentations are augmented"), "{}", trained.err);
    assert!(!place.path().join("augmented/dynamics/divergence.npy").exists());
    good(place.path(), "score --dynamics augmented/dynamics --window 3 --out scores");
    let scores = document(&place, "scores/scores.json");
    let aum = stated(&scores, "aum");
    assert!(aum["variant"].as_str().unwrap().contains("recorded with augmentation"), "{aum}");
    assert_eq!(aum["hyper_parameters"]["augmented"], true);
    let line = "score --dynamics augmented/dynamics --window 3 --method tdds --out refused";
    refused(place.path(), line, &["no divergence", "tdds", "train --dynamics"]);
    let line = format!("train --data data {SHORT} --dynamics=most --out refused");
    refused(place.path(), &line, &["--dynamics", "most", "all or plain"]);
    let line = format!("train --data data {SHORT} --dynamics --out augmented");
    refused(place.path(), &line, &["another job", "dynamics"]);
}

#[test]
fn each_variant_is_named_where_it_is_used() {
    let place = Place::new();
    let long = SHORT.replace("--epochs 4", "--epochs 11");
    let line = format!(
        "score --data data {long} --query-epochs 1 --runs 2 --method el2n,grand --el2n sum \
         --grand-layers last --grand-at init --out scores"
    );
    let scored = good(place.path(), &line);
    assert!(scored.err.contains("augmented 1 run of 10 of 11 epochs"), "{}", scored.err);
    assert!(scored.err.contains("initial   2 fresh networks: GraNd"), "{}", scored.err);
    let scores = document(&place, "scores/scores.json");
    let el2n = stated(&scores, "el2n");
    assert_eq!(el2n["hyper_parameters"]["epochs"], 10);
    assert_eq!(el2n["hyper_parameters"]["augmented"], true);
    assert!(el2n["variant"].as_str().unwrap().contains("sum over epochs 0 to 9"), "{el2n}");
    let grand = stated(&scores, "grand");
    let variant = grand["variant"].as_str().unwrap();
    assert!(variant.contains("last layer only") && variant.contains("fresh network"), "{variant}");
    assert_eq!(grand["hyper_parameters"]["at"], "init");
    assert_eq!(grand["hyper_parameters"]["layers"], "last");
    let recorded = document(&place, "scores/dynamics-augmented/dynamics.json");
    assert_eq!((&recorded["epochs"], &recorded["augmented"]), (&10.into(), &true.into()));
    // The sum is that of the recorded EL2N.
    let el2n = array(&place, "scores/dynamics-augmented/el2n.npy");
    let sums = array(&place, "scores/el2n.npy");
    for (i, &sum) in floats(&sums).iter().enumerate().filter(|s| !s.1.is_nan()) {
        let own: f64 = (0..10).map(|t| f64::from(floats(&el2n)[t * 36 + i])).sum();
        assert!((f64::from(sum) - own).abs() < 1e-5, "sample {i}: {sum}, {own}");
    }
    // Fresh networks have no recalls; the run behind EL2N has.
    assert!(place.path().join("scores/recalls.csv").is_file());
    let line =
        format!("score --data data {SHORT} --runs 1 --method grand --grand-at init --out init");
    good(place.path(), &line);
    assert!(!place.path().join("init/recalls.csv").exists());

    // Never learned is hardest unless told otherwise.
    good(place.path(), &format!("train --data data {SHORT} --lr 1e-6 --dynamics --out slow"));
    let correct = array(&place, "slow/dynamics/correct.npy");
    let never: Vec<usize> =
        (0..36).filter(|i| (0..4).all(|t| floats(&correct)[t * 36 + i] == 0.0)).collect();
    assert!(!never.is_empty(), "a rate of 1e-6 learns nothing of some");
    for (flag, value) in
        [("", 4.0), ("--never-learned 0", 0.0), ("--never-learned presentations", 4.0)]
    {
        let line =
            format!("score --dynamics slow/dynamics --method forgetting {flag} --force --out f");
        good(place.path(), &line);
        let scores = array(&place, "f/forgetting.npy");
        assert!(never.iter().all(|&i| floats(&scores)[i] == value), "{flag}");
    }
}

#[test]
fn crossfit_scores_every_sample_by_the_runs_that_saw_it() {
    let place = Place::new();
    let line = format!(
        "score --data data {SHORT} --split crossfit:3 --method aum,forgetting --window 3 --out scores"
    );
    good(place.path(), &line);
    let [a, b, c] = [0, 1, 2].map(|r| array(&place, &format!("scores/dynamics-r{r}/loss.npy")));
    let scores = array(&place, "scores/aum.npy");
    for i in 0..36 {
        let seen = [&a, &b, &c].map(|r| !floats(r)[i].is_nan());
        assert_eq!(seen.iter().filter(|s| **s).count(), 2, "sample {i}");
        assert!(floats(&scores)[i].is_finite());
    }
    let recalls = place.read("scores/recalls.csv");
    assert_eq!(recalls.lines().nth(1).unwrap().split(',').nth(4).unwrap(), "14", "{recalls}");
    // A fold's recording is of a part of the samples.
    let line = "score --dynamics scores/dynamics-r0 --window 3 --out refused";
    refused(place.path(), line, &["a run on 24 of 36 samples", "no dynamics"]);
}

#[test]
fn a_comparison_with_recorded_scores() {
    let place = Place::new();
    let line = format!(
        "run --data data {SHORT} --window 3 --seeds 2 --strategies \
         random,forgetting,forgetting+metriq,ssp,el2n --query-runs 2 --query-epochs 1 --out out"
    );
    let text = good(place.path(), &line);
    let query = "query       1 run of full length without augmentation, recorded, 4 epochs each";
    assert!(text.err.contains(query), "{}", text.err);
    let summary = json(place.path(), &line);
    let phases = summary["phases"].as_array().unwrap();
    for name in ["train query models", "train the query model of the dynamics"] {
        let phase = phases.iter().find(|p| p["name"] == name);
        assert!(phase.is_some_and(|p| p["seconds"].as_f64() > Some(0.0)), "{name}: {phases:?}");
    }
    assert_eq!(summary["settings"]["recipe"]["forgetting"], "never_learned hardest");
    // One recorded run serves both strategies, and `score` finds the same values.
    assert_eq!(names(&place.path().join("out/dynamics")).len(), 7, "no divergence is needed");
    let line = format!("score --data data {SHORT} --window 3 --method forgetting --out scores");
    good(place.path(), &line);
    assert!(
        bytes(&place, "scores/dynamics/correct.npy") == bytes(&place, "out/dynamics/correct.npy")
    );
    let line = "prune --scores scores --strategy forgetting --density .5 --out kept";
    good(place.path(), line);
    assert_eq!(place.read("kept/classes.csv"), place.read("out/classes-forgetting+metriq-0.csv"));
    // Without short runs the full-data runs stand in for them, not for the recorded one.
    let line =
        format!("run --data data {SHORT} --window 3 --seeds 1 --strategies random,aum --out alone");
    let summary = json(place.path(), &line);
    let phases = summary["phases"].as_array().unwrap();
    assert!(phases.iter().all(|p| p["name"] != "train on full data"), "{phases:?}");
}

#[test]
fn pruning_a_data_set_trains_the_query_it_needs() {
    let place = Place::new();
    let flags = format!("--data data {SHORT} --strategy forgetting --density .5");
    let document = json(place.path(), &format!("prune {flags} --out kept"));
    assert_eq!((&document["kept"], &document["total"]), (&9.into(), &18.into()));
    assert!(place.path().join("kept/scores/forgetting.npy").is_file());
    assert!(place.path().join("kept/scores/dynamics/correct.npy").is_file());
    let kept = bytes(&place, "kept/kept.npy");
    // The same command finds the work done; another strategy does not mix with it.
    good(place.path(), &format!("prune {flags} --out kept"));
    assert!(bytes(&place, "kept/kept.npy") == kept);
    let other = flags.replace("forgetting", "aum");
    refused(place.path(), &format!("prune {other} --out kept"), &["another job", "strategy"]);
    // In two commands, the same.
    good(place.path(), &format!("score --data data {SHORT} --method forgetting --out scores"));
    good(place.path(), "prune --scores scores --strategy forgetting --density .5 --out two");
    assert!(bytes(&place, "two/kept.npy") == kept);
    good(place.path(), &format!("prune {other} --force --out kept"));
    assert!(place.path().join("kept/scores/aum.npy").is_file());
    for (line, words) in [
        (format!("prune {flags} --recalls nowhere.csv --out r"), &["nowhere.csv"][..]),
        (format!("prune {flags} --density 2 --out r"), &["--density"]),
        (format!("prune {flags} --lr nan --out r"), &["--lr"]),
        (format!("prune {} --out r", flags.replace("forgetting", "tdds")), &["at least 10"]),
    ] {
        let outcome = run(place.path(), &line);
        assert_eq!(outcome.code, 2, "{line}\n{}{}", outcome.out, outcome.err);
        assert!(words.iter().all(|w| outcome.err.contains(w)), "{line}: {}", outcome.err);
        assert!(!place.path().join("r").exists(), "{line}");
    }
}
