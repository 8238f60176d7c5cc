//! Methods that decide step by step or epoch by epoch, on the command line.

use std::fs;

use serde_json::Value;

use super::commands::{TINY, folder, good, program, refused};

/// As short as the data.
const ALL: [&str; 5] = [
    "rcap:keep=.4",
    "ordered-sgd",
    "micro-batch-clipping:size=4",
    "lff:decay=.5",
    "bam:lambda=20:mu=5:epochs=1",
];

#[test]
fn train_does_each_and_says_what_it_presented() {
    let place = folder();
    let root = place.path();
    let line = format!("train --data data {TINY} --split holdout --baseline");
    let model = |out: &str| fs::read(root.join(out).join("model.safetensors")).unwrap();
    good(root, &format!("train --data data {TINY} --split holdout --out plain"));
    let plain_bytes = fs::read_to_string(root.join("plain/summary.json")).unwrap();
    let plain_bytes: Value = serde_json::from_str(&plain_bytes).unwrap();
    for (i, name) in ALL.into_iter().enumerate() {
        let summary = good(root, &format!("{line} {name} --out b{i}"));
        let of = |key: &str| summary["presentations"][key].as_u64().unwrap();
        let (trained, before, plain) = (of("trained"), of("before"), of("plain"));
        assert_eq!(of("selection"), 0);
        match name.split(':').next().unwrap() {
            // 40 %, and up to a sample more of each of three classes in both epochs.
            "rcap" => {
                assert!(trained * 10 >= plain * 4 && trained * 10 <= plain * 4 + 60, "{summary}");
            }
            "lff" => {
                assert_eq!((trained, before), (plain, plain));
                let bytes = |of: &Value| of["planned_bytes"].as_u64().unwrap();
                assert!(bytes(&summary) * 2 > bytes(&plain_bytes) * 3, "{summary}");
            }
            "bam" => assert_eq!((trained, before * 2), (plain, plain)),
            _ => assert_eq!((trained, before), (plain, 0)),
        }
        let made = model(&format!("b{i}"));
        // Nobody gets 80 % of these images right in two epochs, so that q is the batch.
        assert!((made == model("plain")) == (name == "ordered-sgd"), "{name}");
        fs::remove_file(root.join(format!("b{i}/model.safetensors"))).unwrap();
        good(root, &format!("{line} {name} --out b{i}"));
        assert!(model(&format!("b{i}")) == made, "{name}: another model");
        assert!(!root.join(format!("b{i}/work/train/first-stage.safetensors")).exists());
    }
    for (name, words) in [
        ("rcap:keep=1.5", &["keep", "above 0 and at most 1"][..]),
        ("rcap:drop=.5", &["mean-loss, keep=NUMBER, beta=NUMBER"]),
        ("ordered-sgd:q=3", &["no options of ordered-sgd"]),
        ("micro-batch-clipping", &["size", "a divisor of --batch 8"]),
        ("micro-batch-clipping:size=1", &["from 2"]),
        ("lff:q=0", &["above 0 and at most 1"]),
        ("lff --dynamics", &["--dynamics=plain"]),
        ("ordered-sgd --dynamics", &["--dynamics=plain"]),
        ("bam --dynamics", &["more than once"]),
        ("bam:mu=0", &["above 0"]),
    ] {
        refused(root, &format!("{line} {name} --out x"), words);
    }
    assert!(!root.join("x").exists(), "what is refused writes nothing");
    good(root, &format!("{line} lff --dynamics=plain --out d"));
}

/// With equal weights for all samples both draw alike: what differs is where training starts.
#[test]
fn bam_goes_on_with_its_first_network_and_jtt_does_not() {
    let place = folder();
    let root = place.path();
    let line = format!("train --data data {TINY} --split holdout --baseline");
    let mut models = Vec::new();
    for (i, name) in
        ["bam:mu=1:epochs=1", "bam:mu=1:epochs=2", "jtt:lambda=1:epochs=1"].into_iter().enumerate()
    {
        let summary = good(root, &format!("{line} {name} --out b{i}"));
        models.push(fs::read(root.join(format!("b{i}/model.safetensors"))).unwrap());
        assert!(summary["best_on_validation"].is_object());
        let log = fs::read_to_string(root.join(format!("b{i}/log.jsonl"))).unwrap();
        assert_eq!(log.contains("val_class_difference"), name.starts_with("bam"));
    }
    assert!(models[0] != models[1] && models[0] != models[2] && models[1] != models[2]);
}

#[test]
fn what_rcap_kept_is_a_score_that_prune_takes() {
    let place = folder();
    let root = place.path();
    let line = format!("train --data data {TINY} --split holdout --baseline");
    let summary =
        good(root, &format!("{line} rcap:keep=.5 --epochs 4 --out r").replace("--epochs 2", ""));
    let table = fs::read_to_string(root.join("r/presented.csv")).unwrap();
    let mut rows = table.lines();
    assert_eq!(rows.next(), Some("id,epochs"));
    let counts: Vec<(String, f64)> = rows
        .map(|row| row.rsplit_once(',').unwrap())
        .map(|(id, times)| (id.to_owned(), times.parse().unwrap()))
        .collect();
    let all: f64 = counts.iter().map(|c| c.1).sum();
    assert_eq!(all as u64, summary["presentations"]["trained"].as_u64().unwrap());
    assert!(counts.iter().any(|c| c.1 == 0.0) || counts.iter().any(|c| c.1 == 4.0), "{counts:?}");
    let means: Vec<f64> = summary["mean_class_counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap())
        .collect();
    for (class, name) in ["ant", "bee", "cat"].into_iter().enumerate() {
        let own = counts.iter().filter(|c| c.0.contains(name)).map(|c| c.1).sum::<f64>() / 4.0;
        assert!((means[class] - own).abs() < 1e-9, "{means:?}");
    }
    // The samples kept most often, and random ones in the same class counts.
    let given =
        "prune --data data --split holdout --scores r/presented.csv --direction high --density .5";
    let often = good(root, &format!("{given} --quota none --out k"));
    let counts = good(root, &format!("{given} --strategy random --quota from:given --out q"));
    assert_eq!(often["counts"], counts["counts"]);
    // Other methods leave no such table.
    good(root, &format!("{line} rwg --out w"));
    assert!(!root.join("w/presented.csv").exists());
}

#[test]
fn run_shows_them_beside_every_density() {
    let place = folder();
    let root = place.path();
    let line = format!(
        "run --data data {TINY} --split holdout --strategies random,rcap,ordered-sgd,lff,bam:epochs=1,micro-batch-clipping:size=4 \
         --density .5 --seeds 1 --out out"
    );
    let summary = good(root, &line);
    let strategies = summary["strategies"].as_array().unwrap();
    for (name, label) in [
        ("rcap", "RCAP"),
        ("ordered-sgd", "Ordered SGD"),
        ("lff", "LfF"),
        ("bam:epochs=1", "BAM (epochs 1)"),
        ("micro-batch-clipping:size=4", "Micro-batch clipping (size 4)"),
    ] {
        let found = strategies.iter().find(|s| s["name"] == name).unwrap();
        assert_eq!((&found["label"], &found["every_density"]), (&label.into(), &true.into()));
        assert!(found["points"][0]["runs"][0]["presentations"]["trained"].as_u64().unwrap() > 0);
    }
    let (_, table, _) = program(root, &line);
    assert!(table.contains("RCAP: trained with"), "{table}");
    assert!(table.contains("LfF: trained with"), "{table}");
}
