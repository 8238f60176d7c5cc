//! Quotas by difficulty, against exact fractions and against MetriQ.

use fairprune::prune::{
    Direction, Population, QuotaRule, Score, class_difficulties, quotas, winsorised_mean,
};
use proptest::prelude::*;
use serde_json::Value;

use super::{options, problem, some};

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// `tests/golden/nucs/make.py` computes in fractions and fills classes in rounds.
#[test]
fn difficulties_and_densities_are_those_of_exact_fractions() {
    let file: Value = serde_json::from_str(include_str!("../golden/nucs/nucs.json")).unwrap();
    let labels: Vec<u32> = numbers(&file["labels"]).into_iter().map(|v| v as u32).collect();
    let values = numbers(&file["scores"]);
    let eligible: Vec<usize> = (0..labels.len()).rev().collect();
    let classes = file["classes"].as_u64().unwrap() as usize;
    let population = Population { labels: &labels, eligible: &eligible, classes };
    let sizes = population.sizes().unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 24);
    for case in cases {
        let direction = match case["direction"].as_str().unwrap() {
            "high" => Direction::KeepHighest,
            _ => Direction::KeepLowest,
        };
        let score = Score { values: &values, direction };
        let winsor = case["winsor"].as_f64().unwrap();
        let found = class_difficulties(population, score, winsor).unwrap();
        let expected = numbers(&case["difficulties"]);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-13 * b.abs().max(1.0);
        assert!(found.iter().zip(&expected).all(|(&a, &b)| close(a, b)), "{found:?} {expected:?}");
        let density = case["density"].as_f64().unwrap();
        let found = quotas(&sizes, density, &options(QuotaRule::Nucs(found), &[]), 0).unwrap();
        let expected = numbers(&case["densities"]);
        let same = found.densities.iter().zip(&expected).all(|(&a, &b)| close(a, b));
        assert!(same, "{case}: {:?}", found.densities);
    }
}

proptest! {
    #![proptest_config(super::config())]

    /// The rules differ only in what they take for the hardness of a class.
    #[test]
    fn errors_as_difficulties_give_the_quotas_of_metriq(
        (sizes, recalls, percent) in problem(), scale in 1e-6..1e6f64, seed: u64,
    ) {
        let density = percent as f64 / 100.0;
        let known = some(&recalls);
        let metriq = quotas(&sizes, density, &options(QuotaRule::Metriq, &known), seed).unwrap();
        let errors = recalls.iter().map(|r| scale * (1.0 - r)).collect();
        let nucs = quotas(&sizes, density, &options(QuotaRule::Nucs(errors), &[]), seed).unwrap();
        prop_assert_eq!(nucs.counts.iter().sum::<usize>(), metriq.counts.iter().sum::<usize>());
        for (a, b) in nucs.densities.iter().zip(&metriq.densities) {
            prop_assert!((a - b).abs() < 1e-9, "{} is not {}", a, b);
        }
    }

    #[test]
    fn harder_classes_are_never_thinner(
        (sizes, recalls, percent) in problem(), seed: u64,
    ) {
        let density = percent as f64 / 100.0;
        let rule = QuotaRule::Nucs(recalls.clone());
        let found = quotas(&sizes, density, &options(rule, &[]), seed).unwrap();
        prop_assert!(found.densities.iter().all(|d| (0.0..=1.0).contains(d)));
        for a in 0..sizes.len() {
            for b in 0..sizes.len() {
                if sizes[a] > 0 && sizes[b] > 0 && recalls[a] >= recalls[b] {
                    prop_assert!(found.densities[a] >= found.densities[b] - 1e-12);
                }
            }
        }
    }

    #[test]
    fn the_winsorised_mean_lies_among_the_values_and_has_no_order(
        mut values in proptest::collection::vec(-1e3..1e3f64, 1..60), fraction in 0.0..0.5f64,
    ) {
        let mean = winsorised_mean(&values, fraction).unwrap();
        values.reverse();
        prop_assert_eq!(winsorised_mean(&values, fraction).unwrap().to_bits(), mean.to_bits());
        values.sort_by(f64::total_cmp);
        // What lies beyond the cut says nothing.
        let cut = (fraction * values.len() as f64).floor() as usize;
        prop_assume!(fraction * values.len() as f64 % 1.0 > 1e-9);
        let mut wild = values.clone();
        let last = wild.len() - 1;
        for i in 0..cut {
            wild[i] -= 1e9;
            wild[last - i] += 1e9;
        }
        prop_assert_eq!(winsorised_mean(&wild, fraction).unwrap().to_bits(), mean.to_bits());
        prop_assert!(values[cut] <= mean + 1e-9 && mean - 1e-9 <= values[last - cut]);
    }
}

#[test]
fn unusable_difficulties_name_their_class() {
    let refused = |difficulties: &[f64]| {
        let rule = QuotaRule::Nucs(difficulties.to_vec());
        quotas(&[10, 20], 0.5, &options(rule, &[]), 0).unwrap_err().to_string()
    };
    for (bad, says) in [
        (&[1.0][..], "1 values"),
        (&[1.0, -0.5], "difficulty of class 1"),
        (&[f64::NAN, 0.5], "difficulty of class 0"),
        (&[1.0, f64::INFINITY], "from 0 up"),
    ] {
        let message = refused(bad);
        assert!(message.contains(says), "{bad:?}: {message}");
    }
    // No difficulty at all leaves the class ratios.
    let none = options(QuotaRule::Nucs(vec![0.0; 2]), &[]);
    assert_eq!(quotas(&[10, 20], 0.5, &none, 0).unwrap().counts, [5, 10]);
    // Products of the greatest numbers do not overflow.
    let great = options(QuotaRule::Nucs(vec![f64::MAX, f64::MAX / 2.0]), &[]);
    assert_eq!(quotas(&[100, 100], 0.3, &great, 0).unwrap().counts, [40, 20]);
}
