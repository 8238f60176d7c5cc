//! Beta sampling: what must hold at every density, and what cannot be drawn by.

use fairprune::prune::{Direction, Inputs, Picking, Scope, Score, Selector, Wanted, pick};
use proptest::prelude::*;

use super::properties::SCOPES;
use super::sample::Data;

const BETA: Selector = Selector::BetaSampling { exponent: 4.0 };

fn mean(data: &Data, order: &[usize]) -> f64 {
    order.iter().map(|&i| data.confidence[i]).sum::<f64>() / order.len() as f64
}

/// Scores that do not follow the confidence, confidences all over [0, 1].
fn spread(n: usize) -> Data {
    let mut data = Data::random(n, 2, 3);
    data.confidence = (0..n).map(|i| (i * 619 % n) as f64 / (n - 1) as f64).collect();
    data.score = (0..n).map(|i| 1.0 + (i * 7 % 5) as f64).collect();
    data
}

#[test]
fn easier_samples_are_preferred_at_low_density() {
    let data = spread(2000);
    let at = |count: usize| {
        let picks = |seed| data.pick(BETA, Scope::Whole, &Wanted::of_any(count), seed).order;
        (0..20).map(|seed| mean(&data, &picks(seed))).sum::<f64>() / 20.0
    };
    let all = mean(&data, &data.eligible);
    let (low, middle, high) = (at(20), at(600), at(1600));
    // At 1 % the density is that of a = 16, b near 0: hardly anything but the surest.
    assert!(low > 0.95, "{low}");
    assert!(low > middle + 0.1 && middle > high, "{low} {middle} {high}");
    assert!((at(2000) - all).abs() < 1e-12);
    // A greater exponent turns later.
    let late = Selector::BetaSampling { exponent: 12.0 };
    let late = data.pick(late, Scope::Whole, &Wanted::of_any(600), 0).order;
    assert!(mean(&data, &late) < middle - 0.05);
}

#[test]
fn high_scores_are_preferred_among_equally_sure_samples() {
    let mut data = spread(3000);
    data.confidence.fill(0.6);
    let mut picked = [0u32; 5];
    let order = data.pick(BETA, Scope::Whole, &Wanted::of_any(300), 1).order;
    order.iter().for_each(|&i| picked[data.score[i] as usize - 1] += 1);
    // 600 samples of each score: chances of 1 to 5, 300 picks, 20 and 100 expected at the ends.
    assert!(picked[0] < 45 && picked[4] > 70, "{picked:?}");
    assert!(picked.windows(2).all(|p| f64::from(p[0]) < 1.25 * f64::from(p[1])), "{picked:?}");
}

#[test]
fn certain_predictions_and_scores_of_nothing_are_drawn_all_the_same() {
    let mut data = spread(40);
    data.confidence[..10].fill(1.0);
    data.confidence[10..20].fill(0.0);
    data.score[25..].fill(0.0);
    for count in [1, 5, 20, 40] {
        for scope in SCOPES {
            let order = data.pick(BETA, scope, &Wanted::of_any(count), 2).order;
            assert_eq!(order.len(), count);
        }
    }
    // Samples without a chance come when all others are there.
    let order = data.pick(BETA, Scope::Whole, &Wanted::of_any(25), 2).order;
    assert!(order.iter().all(|&i| i < 25), "{order:?}");
    let none = Data { score: vec![0.0; 40], ..data };
    assert_eq!(none.pick(BETA, Scope::Whole, &Wanted::of_any(7), 2).order.len(), 7);
}

#[test]
fn what_is_no_chance_is_named() {
    let data = spread(30);
    let refused = |change: &dyn Fn(&mut Data), words: &[&str]| {
        let mut bad = data.clone();
        change(&mut bad);
        let picking = bad.picking(BETA, Scope::Whole, 0);
        let found = pick(bad.population(), &picking, &Wanted::of_any(3)).unwrap_err().to_string();
        assert!(words.iter().all(|w| found.contains(w)), "{found}");
    };
    refused(&|d| d.score[4] = -0.5, &["score of training sample 4", "-0.5"]);
    refused(&|d| d.score[4] = f64::NAN, &["training sample 4", "NaN"]);
    refused(&|d| d.confidence[7] = 1.5, &["confidence of training sample 7", "1.5"]);
    refused(&|d| d.confidence[7] = f64::NAN, &["confidence of training sample 7", "[0, 1]"]);
    refused(&|d| d.confidence.truncate(9), &["confidence of training sample 9", "none"]);
    for exponent in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let picking = data.picking(Selector::BetaSampling { exponent }, Scope::Whole, 0);
        let found = pick(data.population(), &picking, &Wanted::of_any(3)).unwrap_err().to_string();
        assert!(found.contains("exponent of beta-sampling"), "{found}");
    }
    for endpoint in [0.0, 1.1, f64::NAN] {
        let picking = data.picking(Selector::Window { endpoint }, Scope::Whole, 0);
        let found = pick(data.population(), &picking, &Wanted::of_any(3)).unwrap_err().to_string();
        assert!(found.contains("endpoint of difficulty-window"), "{found}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Density 1 keeps all; inside classes the rate is the class's own; a scale of the score is none.
    #[test]
    fn draws_depend_on_seed_and_rate_alone(
        n in 6..80usize, part in 1..=100usize, scale in 0.01..100.0f64, seed: u64,
    ) {
        let data = spread(n);
        let picks = |count: usize, scope| data.pick(BETA, scope, &Wanted::of_any(count), seed).order;
        let mut all = picks(n, Scope::Whole);
        all.sort_unstable();
        prop_assert_eq!(&all, &data.eligible);
        let count = (part * n).div_ceil(100);
        prop_assert_eq!(picks(count, Scope::Whole), picks(count, Scope::Whole));
        let scaled = Data { score: data.score.iter().map(|s| s * scale).collect(), ..data.clone() };
        // The race is in logarithms: a common factor moves all arrivals alike.
        let moved = scaled.pick(BETA, Scope::Whole, &Wanted::of_any(count), seed).order;
        prop_assert_eq!(moved, picks(count, Scope::Whole));
        // A class alone is drawn from as inside the whole set.
        let sizes = data.sizes();
        let mut wanted = vec![0; 3];
        wanted[1] = sizes[1].div_ceil(2);
        let inside = data.pick(BETA, Scope::Class, &Wanted::of_classes(wanted.clone()), seed).order;
        let mut alone = data.clone();
        alone.eligible.retain(|&i| data.labels[i] == 1);
        let outside = alone.pick(BETA, Scope::Whole, &Wanted::of_any(wanted[1]), seed).order;
        prop_assert_eq!(inside, outside);
    }
}

/// A score whose low end is hard is turned before it is drawn by.
#[test]
fn a_low_score_is_turned() {
    let mut data = spread(400);
    data.confidence.fill(0.5);
    data.score = (0..400).map(|i| if i < 200 { 0.0 } else { 0.999 }).collect();
    data.score[399] = 1.0;
    let score = Score { values: &data.score, direction: Direction::KeepLowest };
    let inputs = Inputs { score: Some(score), ..data.inputs() };
    let picking = Picking { inputs, ..data.picking(BETA, Scope::Whole, 0) };
    let picks = pick(data.population(), &picking, &Wanted::of_any(40)).unwrap().order;
    assert!(picks.iter().filter(|&&i| i < 200).count() >= 38, "{picks:?}");
}
