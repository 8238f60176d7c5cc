//! Last-layer gradient norms, largest probabilities and features (`make_last_layer.py`).

use std::collections::BTreeMap;

use fairprune::exec::Mode;
use fairprune::ops::loss_score::Field;
use serde::Deserialize;

use super::case::Case;
use super::judge::Judge;

#[derive(Deserialize)]
struct LastLayer {
    grand_last: Vec<f64>,
    top_probability: Vec<f64>,
    feature_norm: Vec<f64>,
    float32_error: BTreeMap<String, f64>,
}

fn check(name: &str, case: &str) {
    let text = include_str!("last_layer.json");
    let all: BTreeMap<String, LastLayer> = serde_json::from_str(text).unwrap();
    let golden = &all[name];
    let case = Case::parse(case);
    let mut run = case.run();
    let judge = Judge { errors: &golden.float32_error, kinks: case.trunk.is_none() };
    run.score(Mode::LastLayerNorm);
    judge.list("grand_last", &run.column(Field::Grand), &golden.grand_last);
    judge.list("top_probability", &run.column(Field::TopProbability), &golden.top_probability);
    // All parameters' norm is another score.
    let all = case.eval.grand.iter().zip(&golden.grand_last);
    assert!(all.clone().all(|(all, last)| last < all), "the last layer's norm is a part");
    let norms: Vec<f32> = run.features().map(|h| norm(&h)).collect();
    judge.list("feature_norm", &norms, &golden.feature_norm);
}

fn norm(h: &[f32]) -> f32 {
    h.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt() as f32
}

#[test]
fn resnet8() {
    check("resnet8", include_str!("resnet8.json"));
}

#[test]
fn resnet18_imagenet() {
    check("resnet18_imagenet", include_str!("resnet18_imagenet.json"));
}
