//! Scores by neighbours, against `tests/golden/extrapolate/make.py` and against plain properties.

use fairprune::metrics::rank_correlation;
use fairprune::prune::{Features, extrapolate};
use proptest::prelude::*;
use serde_json::Value;

use super::sample::{Data, sequence};

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn values_and_correlations_are_those_of_plain_python() {
    let text = include_str!("../golden/extrapolate/extrapolate.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let features: Vec<f32> = numbers(&file["features"]).into_iter().map(|v| v as f32).collect();
    let positions =
        |v: &Value| -> Vec<usize> { numbers(v).into_iter().map(|v| v as usize).collect() };
    let (known, unknown) = (positions(&file["known"]), positions(&file["unknown"]));
    let scores = numbers(&file["scores"]);
    let truth: Vec<f64> = unknown.iter().map(|&i| scores[i]).collect();
    // What is not known is not read.
    let mut values = vec![f64::NAN; scores.len()];
    known.iter().for_each(|&i| values[i] = scores[i]);
    let features = Features::new(&features, file["dims"].as_u64().unwrap() as usize).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let neighbours = case["neighbours"].as_u64().unwrap() as usize;
        let found = extrapolate(features, &values, &known, &unknown, neighbours, 5).unwrap();
        for (found, expected) in found.iter().zip(numbers(&case["values"])) {
            assert!((found - expected).abs() < 1e-5, "{neighbours}: {found} is not {expected}");
        }
        let correlation = rank_correlation(&found, &truth).unwrap().unwrap();
        let expected = case["rank_correlation"].as_f64().unwrap();
        assert!((correlation - expected).abs() < 1e-12, "{correlation} is not {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn means_lie_among_what_is_known_and_lists_have_no_order(
        n in 4..70usize, dims in 1..12usize, neighbours in 1..20usize, seed: u64,
    ) {
        let data = Data::random(n, dims, seed);
        let mut order: Vec<usize> = (0..n).collect();
        sequence(seed ^ 3).shuffle(&mut order);
        let (known, unknown) = order.split_at(n / 2);
        let of = |known: &[usize], unknown: &[usize]| {
            extrapolate(data.features(), &data.score, known, unknown, neighbours, seed).unwrap()
        };
        let found = of(known, unknown);
        let low = known.iter().map(|&i| data.score[i]).fold(f64::INFINITY, f64::min);
        let high = known.iter().map(|&i| data.score[i]).fold(0.0, f64::max);
        prop_assert!(found.iter().all(|v| (low - 1e-12..=high + 1e-12).contains(v)));
        // One at a time, and with the known ones listed the other way round.
        let turned: Vec<usize> = known.iter().rev().copied().collect();
        for (&i, value) in unknown.iter().zip(&found) {
            prop_assert_eq!(of(&turned, &[i])[0].to_bits(), value.to_bits());
        }
    }
}

#[test]
fn threads_change_no_value_and_duplicates_are_drawn_by_the_pair() {
    let data = Data { features: vec![1.0; 90 * 2], ..Data::random(90, 2, 4) };
    let known: Vec<usize> = (0..60).collect();
    let unknown: Vec<usize> = (60..90).collect();
    let of = |threads: usize, seed| -> Vec<u64> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| {
            extrapolate(data.features(), &data.score, &known, &unknown, 3, seed).unwrap()
        });
        found.into_iter().map(f64::to_bits).collect()
    };
    let expected = of(1, 0);
    assert_eq!(of(2, 0), expected);
    assert_eq!(of(5, 0), expected);
    // Among equals no sample is everybody's neighbour, and another seed draws others.
    let mut distinct = expected.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 20, "{}", distinct.len());
    assert_ne!(of(1, 1), expected);
}
