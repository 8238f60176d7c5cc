//! Plain greedy loops that evaluate every candidate anew for each pick, on whole numbers whose sums
//! are exact: the lazy methods must pick the same, ties included, bit for bit.

use fairprune::prune::{KCenterStart, Scope, Selector, Wanted};
use fairprune::rng::{Philox, Stream};
use proptest::prelude::*;

use super::sample::Data;

/// Whole-number features with many ties and duplicates, one class.
fn whole_numbers(values: Vec<i8>, dims: usize) -> Data {
    let n = values.len() / dims;
    Data {
        dims,
        classes: 1,
        labels: vec![0; n],
        eligible: (0..n).collect(),
        features: values[..n * dims].iter().map(|&v| f32::from(v)).collect(),
        probabilities: vec![1.0; n],
        score: vec![0.0; n],
        margin: vec![0.0; n],
        ..Data::default()
    }
}

/// Picks the greatest value, among equal ones the lowest draw of the position.
fn greedy(n: usize, seed: u64, mut value: impl FnMut(&[usize], usize) -> f64) -> Vec<usize> {
    let draw = Philox::new(seed, Stream::Ties);
    let mut picks: Vec<usize> = Vec::new();
    while picks.len() < n {
        let open: Vec<usize> = (0..n).filter(|i| !picks.contains(i)).collect();
        let values: Vec<f64> = open.iter().map(|&j| value(&picks, j)).collect();
        let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let tied = open.iter().zip(&values).filter(|(_, v)| **v == top).map(|(&i, _)| i);
        picks.push(tied.min_by_key(|&i| draw.block(i as u64, 0)).unwrap());
    }
    picks
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lazy_k_center_is_plain_k_center(
        values in proptest::collection::vec(-4..5i8, 3..600), seed: u64,
    ) {
        let data = whole_numbers(values, 3);
        let n = data.labels.len();
        let row = |i: usize| &data.features[i * 3..][..3];
        let squared = |a: usize, b: usize| -> f64 {
            row(a).iter().zip(row(b)).map(|(x, y)| f64::from((x - y) * (x - y))).sum()
        };
        let selector = Selector::CoreSet { start: KCenterStart::Random };
        let found = data.pick(selector, Scope::Whole, &Wanted::of_any(n), seed).order;
        let expected = greedy(n, seed, |picks, j| match picks {
            [] => f64::from(u8::from(j == found[0])),
            _ => picks.iter().map(|&s| squared(s, j)).fold(f64::INFINITY, f64::min),
        });
        prop_assert_eq!(found, expected);
    }

    /// Distances of gradients are whole numbers where features have one dimension, two classes are
    /// predicted with probability 0 or 1, and the residual is (-1, 1).
    #[test]
    fn lazy_facility_location_is_plain_greedy(
        values in proptest::collection::vec(-60..60i8, 1..50), seed: u64, memory in 0..4_000usize,
    ) {
        let mut data = whole_numbers(values, 1);
        let n = data.labels.len();
        data.classes = 2;
        data.probabilities = [0.0, 1.0].repeat(n);
        // |g_i - g_j|^2 = 2 (h_i - h_j)^2: the picks minimise the sum of |h_i - h_j|.
        let distance = |a: usize, b: usize| f64::from((data.features[a] - data.features[b]).abs());
        let picking = fairprune::prune::Picking {
            memory,
            ..data.picking(Selector::Craig, Scope::Whole, seed)
        };
        let picks = fairprune::prune::pick(data.population(), &picking, &Wanted::of_any(n)).unwrap();
        let cover = |picks: &[usize], j: usize| -> f64 {
            let nearest = |i: usize| picks.iter().chain([&j]).map(|&s| distance(i, s)).fold(1e9, f64::min);
            (0..n).map(nearest).sum()
        };
        // sqrt 2 times a whole number has to be rounded: of sums that are equal in whole numbers one
        // may be greater then. Values are compared, not picks.
        let mut before: Vec<usize> = Vec::new();
        for &sample in &picks.order {
            let open = (0..n).filter(|i| !before.contains(i));
            let best = open.map(|j| cover(&before, j)).fold(f64::INFINITY, f64::min);
            prop_assert_eq!(cover(&before, sample), best);
            before.push(sample);
        }
        prop_assert_eq!(picks.weights.unwrap().iter().sum::<f64>(), n as f64);
    }
}

/// Rows of distances that are kept, or not, or in part, change nothing.
#[test]
fn memory_changes_no_pick() {
    let data = Data::random(150, 7, 3);
    for selector in [Selector::Craig, "facility-location".parse().unwrap()] {
        let wanted = Wanted::of_any(100);
        let expected = data.pick(selector, Scope::Whole, &wanted, 1);
        for memory in [0, 600, 5_000, 89_999, 90_000] {
            let picking =
                fairprune::prune::Picking { memory, ..data.picking(selector, Scope::Whole, 1) };
            let found = fairprune::prune::pick(data.population(), &picking, &wanted).unwrap();
            assert_eq!(found, expected, "{selector} in {memory} bytes");
        }
    }
}
