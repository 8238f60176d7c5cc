//! Scores out of fold: each sample by the query run that did not train on it.

use crate::*;

use fairprune::artefact::npy;

fn column(place: &Place, name: &str) -> Vec<f32> {
    match npy::read(&place.path().join(name)).unwrap().values {
        npy::ArrayValues::F32(values) if values.len() == 36 => values,
        other => panic!("{name}: {other:?}"),
    }
}

/// The scores of all runs, as each run computed them for all samples, are the oracle: fold r is what
/// a recorded run r did not present.
#[test]
fn a_sample_has_the_score_of_the_one_run_that_did_not_train_on_it() {
    let place = Place::new();
    let methods = ["el2n", "grand", "entropy", "margin", "least-confidence", "loss"];
    let line =
        format!("score --data data {TINY} --split crossfit:3 --method {}", methods.join(","));
    good(place.path(), &format!("{line} --out all"));
    good(place.path(), &format!("{line} --out-of-fold --out apart"));
    good(
        place.path(),
        &format!("score --data data {TINY} --split crossfit:3 --method aum --out dyn"),
    );
    let presented: Vec<Vec<f32>> =
        (0..3).map(|r| column(&place, &format!("dyn/dynamics-r{r}/loss.npy"))).collect();
    for method in methods {
        let apart = column(&place, &format!("apart/{method}.npy"));
        let mean = column(&place, &format!("all/{method}.npy"));
        let runs: Vec<Vec<f32>> =
            (0..3).map(|r| column(&place, &format!("all/work/query-r{r}/{method}.npy"))).collect();
        let mut folds = [0; 3];
        for i in 0..36 {
            let left_out: Vec<usize> = (0..3).filter(|&r| presented[r][i].is_nan()).collect();
            assert_eq!(left_out.len(), 1, "sample {i} is in one fold");
            let fold = left_out[0];
            folds[fold] += 1;
            assert_eq!(apart[i].to_bits(), runs[fold][i].to_bits(), "{method} of sample {i}");
            let of_all = runs.iter().map(|r| f64::from(r[i])).sum::<f64>() / 3.0;
            assert!((f64::from(mean[i]) - of_all).abs() <= 1e-6 * of_all.abs());
        }
        assert_eq!(folds, [12; 3]);
        assert_ne!(apart, mean, "{method}");
    }
    let stated: Value = serde_json::from_str(&place.read("apart/scores.json")).unwrap();
    for method in stated["methods"].as_array().unwrap() {
        assert_eq!(method["hyper_parameters"]["out_of_fold"], true);
        assert_eq!(method["hyper_parameters"]["runs"], 3);
        assert!(method["variant"].as_str().unwrap().contains("out of fold"), "{method}");
    }
    let plain: Value = serde_json::from_str(&place.read("all/scores.json")).unwrap();
    assert!(!plain.to_string().contains("out_of_fold"));
    // The recalls are those of the folds either way, and the job is another.
    assert_eq!(place.read("apart/recalls.csv"), place.read("all/recalls.csv"));
    refused(place.path(), &format!("{line} --out apart"), &["--force"]);
    // A finished job is read back as it was.
    let before = place.read("apart/scores.csv");
    good(place.path(), &format!("{line} --out-of-fold --out apart"));
    assert_eq!(place.read("apart/scores.csv"), before);
}

#[test]
fn what_has_no_value_out_of_fold_is_refused() {
    let place = Place::new();
    let line = format!("score --data data {TINY} --out-of-fold --out x");
    for (flags, words) in [
        ("--split holdout", ["--out-of-fold", "holdout, without folds"]),
        ("", ["--out-of-fold", "--split crossfit:R"]),
        ("--split crossfit:3 --method aum", ["--out-of-fold", "training dynamics"]),
        ("--split crossfit:3 --method el2n,ssp", ["ssp", "features of one network"]),
        ("--split crossfit:3 --method grand --grand-at init", ["grand", "fresh network"]),
        ("--split crossfit:3 --runs 2", ["--runs", "one run a fold"]),
    ] {
        refused(place.path(), &format!("{line} {flags}"), &words);
    }
    assert!(!place.path().join("x").exists());
    let run = format!("run --data data {TINY} --seeds 1 --strategies el2n --out x --out-of-fold");
    refused(place.path(), &run, &["--out-of-fold", "without folds"]);
    let recorded = format!("{run} --split crossfit:3").replace("el2n", "el2n,forgetting");
    refused(place.path(), &recorded, &["forgetting", "training dynamics"]);
}

#[test]
fn prune_and_run_rank_by_them() {
    let place = Place::new();
    let flags = format!("--data data {TINY} --split crossfit:3 --out-of-fold");
    let line = format!("prune {flags} --strategy el2n --density .5 --out a");
    json(place.path(), &line);
    let stated: Value = serde_json::from_str(&place.read("a/kept.json")).unwrap();
    assert_eq!(stated["methods"][1]["hyper_parameters"]["out_of_fold"], true);
    refused(place.path(), &line.replace(" --out-of-fold", ""), &["--force"]);
    let line = format!("run {flags} --seeds 1 --query-runs 3 --strategies el2n --density .5");
    let document = json(place.path(), &format!("{line} --out b"));
    assert!(document.to_string().contains("each sample scored out of fold"), "{document}");
    let scores = column(&place, "b/work/query-r0/el2n.npy");
    assert_eq!(scores.iter().filter(|v| !v.is_nan()).count(), 12);
    let none = line.replace("el2n", "random");
    let text = good(place.path(), &format!("{none} --out c"));
    assert!(text.err.contains("--out-of-fold is about scores of query runs"), "{}", text.err);
}
