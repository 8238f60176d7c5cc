//! `score --extrapolate`: a part is trained on and scored, the others follow by their neighbours.

use crate::*;

use fairprune::artefact::npy;

/// Of the 36 images of `data`, all of which may be kept.
const LINE: &str =
    "score --data data --split crossfit:2 --extrapolate .6 --extrapolate-neighbours 4";

fn floats(place: &Place, name: &str) -> Vec<f32> {
    match npy::read(&place.path().join(name)).unwrap().values {
        npy::ArrayValues::F32(values) => values,
        other => panic!("{name}: {other:?}"),
    }
}

fn stated(place: &Place, out: &str) -> Value {
    serde_json::from_str(&place.read(&format!("{out}/scores.json"))).unwrap()
}

/// The mean over the four nearest of `known`, weighted by exp(-distance).
fn mean(features: &[f32], values: &[f32], known: &[usize], i: usize) -> f64 {
    let width = features.len() / 36;
    let row = |i: usize| features[i * width..][..width].iter().map(|&v| f64::from(v));
    let apart = |j: usize| row(i).zip(row(j)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let mut near: Vec<(f64, usize)> = known.iter().map(|&j| (apart(j), j)).collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    near.truncate(4);
    let weights: f64 = near.iter().map(|n| (-n.0).exp()).sum();
    near.iter().map(|n| (-n.0).exp() * f64::from(values[n.1])).sum::<f64>() / weights
}

#[test]
fn the_others_have_the_mean_of_their_neighbours() {
    let place = Place::new();
    let line = format!("{LINE} {TINY} --method el2n,margin --out part");
    let text = good(place.path(), &line);
    assert!(text.err.contains("neighbours 22 of 36 images"), "{}", text.err);
    assert!(text.out.contains("EL2N: rank correlation"), "{}", text.out);
    assert!(text.out.contains("on 2 of the 22 scored images held out"), "{}", text.out);
    let features = floats(&place, "part/features.npy");
    for method in ["el2n", "margin"] {
        let values = floats(&place, &format!("part/{method}.npy"));
        let of_run = floats(&place, &format!("part/work/query-r0/{method}.npy"));
        let known: Vec<usize> = (0..36).filter(|&i| !of_run[i].is_nan()).collect();
        assert_eq!(known.len(), 22);
        for i in (0..36).filter(|i| !known.contains(i)) {
            let expected = mean(&features, &values, &known, i);
            assert!((f64::from(values[i]) - expected).abs() < 1e-4 * expected.abs().max(1.0));
        }
    }
    let document = stated(&place, "part");
    for method in document["methods"].as_array().unwrap() {
        let numbers = &method["hyper_parameters"]["extrapolated"];
        assert_eq!((&numbers["fraction"], &numbers["neighbours"]), (&0.6.into(), &4.into()));
        assert_eq!((&numbers["scored"], &numbers["held_out"]), (&22.into(), &2.into()));
        let correlation = numbers["rank_correlation"].as_f64();
        assert!(correlation.is_none_or(|r| (-1.0..=1.0).contains(&r)), "{numbers}");
        assert!(method["variant"].as_str().unwrap().contains("by neighbours in features"));
    }
    // They prune as any scores do, and another fraction is another job.
    let kept = json(place.path(), "prune --scores part --strategy el2n --density .5 --out kept");
    assert_eq!(kept["kept"], 18);
    refused(place.path(), &line.replace(".6", ".7"), &["--force"]);
    let before = place.read("part/scores.csv");
    good(place.path(), &line);
    assert_eq!(place.read("part/scores.csv"), before);
}

#[test]
fn by_features_of_the_user_s_and_of_recorded_scores() {
    let place = Place::new();
    // No two images are at one distance from a third.
    let own: Vec<f32> = (0..72).map(|i| ((i * i * 29 + i * 7) % 9973) as f32 / 997.0).collect();
    npy::write(&place.path().join("own.npy"), &[36, 2], &own).unwrap();
    let line = format!("{LINE} {TINY} --features own.npy --method el2n,aum,ssp --out own");
    good(place.path(), &line);
    assert!(!place.path().join("own/features.npy").exists());
    // One recorded run a fold: a sample of the part is presented by one of two.
    let presented: Vec<Vec<f32>> =
        (0..2).map(|r| floats(&place, &format!("own/dynamics-r{r}/loss.npy"))).collect();
    let known: Vec<usize> = (0..36).filter(|&i| presented.iter().any(|r| !r[i].is_nan())).collect();
    assert_eq!(known.len(), 22);
    let aum = floats(&place, "own/aum.npy");
    for i in (0..36).filter(|i| !known.contains(i)) {
        let expected = mean(&own, &aum, &known, i);
        assert!((f64::from(aum[i]) - expected).abs() < 1e-4 * expected.abs().max(1.0));
    }
    // What the features themselves give is computed for all.
    let document = stated(&place, "own");
    let of = |name: &str| {
        let methods = document["methods"].as_array().unwrap();
        methods.iter().find(|m| m["name"] == name).unwrap().to_string()
    };
    assert!(of("aum").contains("extrapolated") && !of("ssp").contains("extrapolated"));
}

#[test]
fn what_cannot_be_extrapolated_is_refused() {
    let place = Place::new();
    let own = vec![0.5f32; 72];
    npy::write(&place.path().join("own.npy"), &[36, 2], &own).unwrap();
    let line = format!("score --data data {TINY} --split crossfit:2 --out x");
    for (flags, words) in [
        ("--extrapolate 0", ["--extrapolate", "above 0 and below 1"]),
        ("--extrapolate 1", ["--extrapolate", "below 1"]),
        ("--extrapolate -0.5", ["--extrapolate", "-0.5"]),
        ("--extrapolate .2", ["--extrapolate", "7 of 36 images"]),
        ("--extrapolate .02", ["--extrapolate", "at most the 1 samples"]),
        ("--extrapolate .6 --extrapolate-neighbours 0", ["--extrapolate-neighbours", "at least 1"]),
        ("--extrapolate .6 --method cal", ["cal", "made for all samples"]),
        ("--extrapolate .6 --out-of-fold", ["--extrapolate", "--out-of-fold"]),
        ("--extrapolate .6 --features own.npy --method ssp", ["--extrapolate", "need none"]),
        ("--extrapolate-neighbours 3", ["--extrapolate-neighbours", "--extrapolate"]),
        ("--features own.npy --method el2n", ["--features", "--extrapolate"]),
    ] {
        refused(place.path(), &format!("{line} {flags}"), &words);
        assert!(!place.path().join("x").exists(), "{flags}");
    }
}
