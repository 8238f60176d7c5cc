//! Selection methods in `score`, `prune` and `run`: what they look at, their files, their options.

use crate::*;

use fairprune::artefact::npy;

/// The column of a CSV.
fn column(csv: &str, name: &str) -> Vec<String> {
    let i = csv.lines().next().unwrap().split(',').position(|h| h == name).unwrap();
    csv.lines().skip(1).map(|l| l.split(',').nth(i).unwrap().to_owned()).collect()
}

fn positions(path: &Path) -> Vec<usize> {
    npy::read(path).unwrap().into_positions(usize::MAX >> 1, "kept").unwrap()
}

/// The picks of `out`, which are the kept samples in another order.
fn picks(place: &Place, out: &str) -> Vec<usize> {
    let table = place.read(&format!("{out}/picks.csv"));
    let picks: Vec<usize> = column(&table, "index").iter().map(|i| i.parse().unwrap()).collect();
    let numbers: Vec<String> = (0..picks.len()).map(|i| i.to_string()).collect();
    assert_eq!(column(&table, "pick"), numbers);
    let mut sorted = picks.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, positions(&place.path().join(out).join("kept.npy")));
    picks
}

/// `features.npy`: a row of two numbers for each of the 36 training images.
fn own_features(place: &Place) -> Vec<f32> {
    let values: Vec<f32> = (0..72).map(|i| ((i * 29) % 31) as f32 / 8.0).collect();
    npy::write(&place.path().join("own.npy"), &[36, 2], &values).unwrap();
    values
}

#[test]
fn every_method_by_the_features_of_a_query_run() {
    let place = Place::new();
    let line = format!(
        "score --data data {TINY} --runs 2 --method aum,forgetting,el2n --save-features --out \
         scores"
    );
    good(place.path(), &line);
    for method in [
        "coreset",
        "herding",
        "moderate",
        "ccs",
        "difficulty-window",
        "d2",
        "craig",
        "grad-match",
        "glister",
        "graph-cut",
        "facility-location",
        "contextual-diversity",
    ] {
        let mut larger: Option<Vec<usize>> = None;
        for density in [0.8f64, 0.4] {
            let out = format!("{method}-{density}");
            let line = format!("prune --scores scores --strategy {method} --quota none");
            let outcome = good(place.path(), &format!("{line} --density {density} --out {out}"));
            assert!(outcome.err.contains("picking") && outcome.err.contains("operations"));
            let picked = picks(&place, &out);
            assert_eq!(picked.len(), (18.0 * density).round() as usize);
            // The smaller subset lies inside the larger one.
            if let Some(larger) = larger.replace(picked.clone()) {
                assert!(picked.iter().all(|i| larger.contains(i)), "{method}");
            }
            let weights = column(&place.read(&format!("{out}/picks.csv")), "weight");
            let weighted = ["craig", "grad-match", "facility-location"].contains(&method);
            assert_eq!(weights.iter().all(|w| !w.is_empty()), weighted, "{method}");
        }
        let line = format!("prune --scores scores --strategy {method} --quota metriq --density .5");
        let document = json(place.path(), &format!("{line} --out {method}-m"));
        // CCS looks at nothing but the recorded run, whose recalls it then goes by.
        let other = match method {
            "ccs" => "aum",
            "difficulty-window" => "el2n",
            _ => "random",
        };
        let line = format!("prune --scores scores --strategy {other} --density .5 --out {other}");
        let random = json(place.path(), &line);
        let counts = |d: &Value| -> Vec<Value> {
            d["classes"].as_array().unwrap().iter().map(|c| c["kept"].clone()).collect()
        };
        assert_eq!(counts(&document), counts(&random), "{method}: the quotas are MetriQ's");
        assert_eq!(picks(&place, &format!("{method}-m")).len(), 9);
    }
    // The counts of a method, with random samples.
    let line = "prune --scores scores --strategy random --quota from:coreset --density .4 --out q";
    let counts = json(place.path(), line)["classes"].clone();
    let own = json(
        place.path(),
        "prune --scores scores --strategy coreset --quota none --density .4 --out coreset-0.4",
    );
    for k in 0..3 {
        assert_eq!(counts[k]["kept"], own["classes"][k]["kept"]);
    }
    let stated: Value = serde_json::from_str(&place.read("d2-0.4/kept.json")).unwrap();
    let d2 = &stated["methods"][0]["hyper_parameters"]["d2"];
    assert_eq!(d2["base"], "forgetting");
    assert_eq!(d2["variant"], "5 neighbours, forward 1, reverse 0.1");
    let line = "prune --scores scores --strategy d2 --base el2n --neighbours 2 --quota none \
                --density .4 --out d2-other";
    good(place.path(), line);
    let stated: Value = serde_json::from_str(&place.read("d2-other/kept.json")).unwrap();
    assert_eq!(stated["methods"][0]["hyper_parameters"]["d2"]["base"], "el2n");
}

#[test]
fn k_center_is_what_its_formula_says() {
    let place = Place::new();
    let values = own_features(&place);
    let line = "prune --data data --split holdout --strategy coreset --features own.npy --quota none \
                --density .5 --out coreset";
    let outcome = good(place.path(), line);
    assert!(!outcome.err.contains("training"), "no network is needed: {}", outcome.err);
    let picked = picks(&place, "coreset");
    let row = |i: usize| [f64::from(values[2 * i]), f64::from(values[2 * i + 1])];
    let apart = |a: usize, b: usize| {
        let ([x, y], [u, v]) = (row(a), row(b));
        (x - u).hypot(y - v)
    };
    let table = place.read("coreset/kept.csv");
    let eligible: Vec<usize> = {
        // Half of each class is held out: what `train` would hold out.
        good(place.path(), "prune --data data --split holdout --quota none --density 1 --out all");
        positions(&place.path().join("all/kept.npy"))
    };
    assert_eq!((table.lines().count(), eligible.len()), (37, 18));
    for n in 1..picked.len() {
        let to_picks =
            |i: usize| picked[..n].iter().map(|&p| apart(i, p)).fold(f64::INFINITY, f64::min);
        let rest = eligible.iter().filter(|i| !picked[..n].contains(i));
        let farthest = rest.map(|&i| to_picks(i)).fold(0.0, f64::max);
        assert!((to_picks(picked[n]) - farthest).abs() < 1e-5, "pick {n}");
    }
    // With quotas the recalls of another run are enough.
    place.train();
    let line = "prune --data data --strategy herding --features own.npy --recalls out/recalls.csv \
                --density .5 --out herding";
    refused(place.path(), &line.replace("out/recalls", "nowhere/recalls"), &["nowhere"]);
    good(place.path(), line);
    assert_eq!(picks(&place, "herding").len(), 9);
}

#[test]
fn queries_of_every_seed_and_features_that_are_kept() {
    let place = Place::new();
    let line = format!(
        "run --data data {TINY} --seeds 2 --query-runs 1 --query-per-seed --density .5 --strategies \
         random,metriq,coreset,coreset+metriq,ssp,random+coresetq,el2n+metriq --out run"
    );
    good(place.path(), &line);
    let features = |seed: usize| {
        fs::read(place.path().join(format!("run/features-s{seed}/features.npy"))).unwrap()
    };
    assert_ne!(features(0), features(1), "each seed has a query of its own");
    let kept = |strategy: &str, seed: usize| {
        positions(&place.path().join(format!("run/kept-{strategy}-{seed}.npy")))
    };
    assert_ne!(kept("coreset", 0), kept("coreset", 1));
    let summary: Value = serde_json::from_str(&place.read("run/summary.json")).unwrap();
    assert_eq!(summary["query"]["runs"].as_array().unwrap().len(), 2);
    let query = summary["settings"]["recipe"]["query"].as_str().unwrap();
    assert!(query.ends_with("for each seed"), "{query}");
    assert_eq!(summary["settings"]["recipe"]["coreset"], "Euclidean, start mean");
    // The first seed alone is the same run.
    let alone = line.replace("--seeds 2", "--seeds 1").replace("--out run", "--out alone");
    good(place.path(), &alone);
    for strategy in ["metriq", "coreset+metriq", "el2n+metriq"] {
        let alone = positions(&place.path().join(format!("alone/kept-{strategy}-0.npy")));
        assert_eq!(kept(strategy, 0), alone, "{strategy}");
    }
    // Features that were lost are made again.
    fs::remove_dir_all(place.path().join("run/features-s1")).unwrap();
    let before = kept("coreset", 1);
    good(place.path(), &line);
    assert_eq!(kept("coreset", 1), before);
    let words = ["--query-per-seed", "--query-runs"];
    refused(place.path(), "run --data data --query-per-seed --out no", &words);
}

#[test]
fn features_of_the_user_s_own_in_run() {
    let place = Place::new();
    own_features(&place);
    let line = format!(
        "run --data data {TINY} --seeds 1 --density .5 --features own.npy --strategies \
         random,coreset,ssp --out run"
    );
    good(place.path(), &line);
    let score = "score --data data --split holdout --features own.npy --method ssp --out ssp";
    good(place.path(), score);
    let line = "prune --scores ssp --strategy ssp --quota none --density .5 --out kept";
    good(place.path(), line);
    let of = |name: &str| positions(&place.path().join(name));
    assert_eq!(of("run/kept-ssp-0.npy"), of("kept/kept.npy"));
    let line = "prune --data data --split holdout --features own.npy --strategy coreset --quota none \
                --density .5 --out coreset";
    good(place.path(), line);
    assert_eq!(of("run/kept-coreset-0.npy"), of("coreset/kept.npy"));
}

#[test]
fn scores_of_features() {
    let place = Place::new();
    own_features(&place);
    let line = "score --data data --features own.npy --method ssp --ssp prototypes --prototypes 4 \
                --out own";
    good(place.path(), line);
    let stated: Value = serde_json::from_str(&place.read("own/scores.json")).unwrap();
    let ssp = &stated["methods"][0];
    assert!(ssp["variant"].as_str().unwrap().contains("centroid"), "{ssp}");
    assert_eq!(ssp["hyper_parameters"]["prototypes"], 4);
    let line = format!("score --data data {TINY} --runs 1 --method cal,ssp --cal-neighbours 3");
    good(place.path(), &format!("{line} --out both"));
    let cal = column(&place.read("both/scores.csv"), "cal");
    let given = cal.iter().filter(|v| !v.is_empty()).count();
    assert_eq!((cal.len(), given), (36, 18), "held-out samples have no neighbours");
    good(place.path(), "prune --scores both --strategy cal --quota none --density .5 --out kept");
    let line = "score --data data --features own.npy --method cal --out no";
    refused(place.path(), line, &["cal", "without predictions", "--features"]);
    let line = "score --data data --features own.npy --method ssp --ssp prototypes --prototypes 99 \
                --out no";
    refused(place.path(), line, &["clusters", "99", "36"]);
}

/// Numbers of an epoch's record that do not depend on the clock or on how often it validates.
fn losses(records: &[Value]) -> Vec<[f64; 2]> {
    records.iter().map(|r| ["train_loss", "lr"].map(|key| r[key].as_f64().unwrap())).collect()
}

#[test]
fn picks_are_trained_with_their_weights() {
    let place = Place::new();
    let longer = TINY.replace("--epochs 1", "--epochs 3");
    let line = format!(
        "run --data data {longer} --seeds 1 --query-runs 1 --density .6 --strategies \
         random,craig,grad-match+metriq,facility-location --out run"
    );
    good(place.path(), &line);
    let settings = |out: &str| -> Value {
        let summary: Value = serde_json::from_str(&place.read(out)).unwrap();
        summary["settings"]["recipe"]["trained with weights"].clone()
    };
    assert_eq!(settings("run/summary.json"), "craig, grad-match+metriq");
    let weights = |name: &str, count: usize| -> Vec<f32> {
        npy::read(&place.path().join(name)).unwrap().into_scores(count, name).unwrap()
    };
    let labels = column(&place.read("run/classes-craig-0.csv"), "kept");
    assert_eq!(labels.len(), 3);
    for strategy in ["craig", "grad-match+metriq", "facility-location"] {
        let values = weights(&format!("run/weights-{strategy}-0.npy"), 11);
        let mean = values.iter().sum::<f32>() / 11.0;
        assert!((mean - 1.0).abs() < 1e-6, "{strategy}: {values:?}");
        assert!(values.iter().any(|w| (w - 1.0).abs() > 0.05), "{strategy}: {values:?}");
    }
    // `train` on the same subset is the same run.
    let train = |rest: &str| {
        let line = format!("train --data data {longer} --budget matched {rest}");
        good(place.path(), &line)
    };
    let outcome = train("--subset run/kept-craig-0.npy --out craig");
    assert!(outcome.err.contains("weights   of the picks of craig"), "{}", outcome.err);
    let log = |out: &str| -> Vec<Value> {
        place.read(out).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let result: Value =
        serde_json::from_str(&place.read("run/work/craig-d0.6-s0/result.json")).unwrap();
    let of_run = losses(result["history"].as_array().unwrap());
    assert_eq!(losses(&log("craig/log.jsonl")), of_run);
    // Without the weights it is another, the one of a subset of unknown origin.
    let outcome = train("--subset run/kept-craig-0.npy --pick-weights none --out plain");
    assert!(!outcome.err.contains("of the picks"), "{}", outcome.err);
    fs::copy(place.path().join("run/kept-craig-0.npy"), place.path().join("mine.npy")).unwrap();
    train("--split holdout --subset mine.npy --out mine");
    let model = |out: &str| fs::read(place.path().join(out).join("model.safetensors")).unwrap();
    assert!(model("plain") == model("mine") && model("plain") != model("craig"));
    assert_ne!(losses(&log("plain/log.jsonl")), of_run);
    train("--subset run/kept-facility-location-0.npy --pick-weights all --out facility");
    let of = |out: &str| -> Value { serde_json::from_str(&place.read(out)).unwrap() };
    assert_eq!(of("facility/summary.json")["pick_weights"], "facility-location");
    // Nobody's weights: a run as it was before there were any.
    let line = line.replace("--out run", "--pick-weights none --out none");
    good(place.path(), &line);
    assert_eq!(settings("none/summary.json"), Value::Null);
    assert_eq!(of("none/job.json")["job"]["pick_weights"], Value::Null);
    assert_eq!(of("run/job.json")["job"]["pick_weights"], "method");
    let result: Value =
        serde_json::from_str(&place.read("none/work/craig-d0.6-s0/result.json")).unwrap();
    assert_eq!(losses(result["history"].as_array().unwrap()), losses(&log("plain/log.jsonl")));
    for (rest, words) in [
        ("--subset mine.npy --pick-weights method", &["--pick-weights", "unknown", "craig"][..]),
        ("--subset run/kept-random-0.npy --pick-weights all", &["strategy is random"]),
        ("--subset run/kept-craig-0.npy --pick-weights yes", &["--pick-weights", "method"]),
        ("--subset run/kept-craig-0.npy --baseline rwg", &["rwg", "craig", "--pick-weights none"]),
        ("--pick-weights none", &["--subset"]),
    ] {
        refused(place.path(), &format!("train --data data {TINY} {rest} --out no"), words);
    }
}

#[test]
fn weights_are_those_of_their_subset() {
    let place = Place::new();
    let line = format!(
        "prune --data data {TINY} --runs 1 --strategy craig --quota none --density .5 --out kept"
    );
    let document = json(place.path(), &line);
    assert!(document["files"]["weights"].as_str().unwrap().ends_with("kept/weights.npy"));
    let train = format!("train --data data {TINY} --out net --subset");
    let weights = place.path().join("kept/weights.npy");
    let good_ones = fs::read(&weights).unwrap();
    npy::write(&weights, &[9], &[1.0f32; 9]).unwrap();
    let words = ["kept/weights.npy", "weights of another subset", "digest"];
    refused(place.path(), &format!("{train} kept/kept.npy"), &words);
    npy::write(&weights, &[8], &[1.0f32; 8]).unwrap();
    refused(place.path(), &format!("{train} kept/mask.npy"), &["kept/weights.npy", "8", "9"]);
    fs::remove_file(&weights).unwrap();
    refused(
        place.path(),
        &format!("{train} kept/kept.npy"),
        &["weights.npy", "--pick-weights none"],
    );
    fs::write(&weights, good_ones).unwrap();
    good(place.path(), &format!("{train} kept/mask.npy"));
    // Quotas count what a class counts: inside each class the weights average 1.
    let line =
        "prune --scores kept/scores --strategy craig --quota metriq --density .5 --out quota";
    good(place.path(), line);
    let labels: Vec<String> = {
        let table = place.read("quota/kept.csv");
        let kept = column(&table, "kept");
        let labels = column(&table, "label").into_iter();
        labels.zip(kept).filter(|(_, kept)| kept == "1").map(|(label, _)| label).collect()
    };
    let values = npy::read(&place.path().join("quota/weights.npy")).unwrap();
    let values = values.into_scores(9, "weights").unwrap();
    let picks = place.read("quota/picks.csv");
    let raw: Vec<f64> = column(&picks, "weight").iter().map(|w| w.parse().unwrap()).collect();
    let index: Vec<usize> = column(&picks, "index").iter().map(|i| i.parse().unwrap()).collect();
    let kept = positions(&place.path().join("quota/kept.npy"));
    for class in ["0", "1", "2"] {
        let of: Vec<usize> = (0..9).filter(|&i| labels[i] == class).collect();
        let weight = |i: usize| raw[index.iter().position(|&p| p == kept[i]).unwrap()];
        let sum: f64 = of.iter().map(|&i| weight(i)).sum();
        for &i in &of {
            let wanted = weight(i) * of.len() as f64 / sum;
            assert!((f64::from(values[i]) - wanted).abs() < 1e-6, "{class}: {wanted}");
        }
    }
}

#[test]
fn what_cannot_be_picked_is_said() {
    let place = Place::new();
    place.score();
    own_features(&place);
    for (line, words) in [
        (
            "--scores scores --strategy coreset",
            &["coreset", "features.json", "--save-features"][..],
        ),
        ("--scores scores --strategy ccs", &["aum"]),
        ("--data data --strategy craig --features own.npy", &["--features", "craig"]),
        ("--data data --strategy el2n --features own.npy", &["--features", "coreset or ssp"]),
        ("--scores scores --strategy coreset --start middle", &["--start", "mean"]),
        ("--scores scores --strategy ccs --beta 1.5", &["beta", "1.5"]),
        ("--scores scores --strategy d2 --forward -1", &["forward", "-1"]),
        ("--scores scores --strategy d2 --base best", &["--base", "el2n"]),
        ("--scores scores --strategy coreset --scope half", &["--scope", "class"]),
        ("--scores scores --strategy core", &["--strategy", "coreset"]),
    ] {
        let line = format!("prune {line} --quota none --density .5 --out refused");
        refused(place.path(), &line, words);
        assert!(!place.path().join("refused").exists(), "{line}");
    }
    let line = "prune --scores scores --strategy el2n --beta .2 --density .5 --out noted";
    assert!(good(place.path(), line).err.contains("--beta is about ccs"));
}
