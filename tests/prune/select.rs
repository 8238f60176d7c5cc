//! What must hold of every subset.

use fairprune::prune::{
    Direction, Order, Population, QuotaRule, Selection, Subset, ranking, select, strategy_counts,
};
use proptest::prelude::*;

use super::{options, oracle, some};

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn subsets_are_prefixes_and_nest(
        (labels, held_out) in (2..120usize).prop_flat_map(|n| (
            proptest::collection::vec(0..4u32, n), proptest::collection::vec(any::<bool>(), n))),
        levels in 1..50u32, percents in (1..=100usize, 1..=100usize), by_score: bool, seed: u64,
    ) {
        let eligible: Vec<usize> = (0..labels.len()).filter(|&i| !held_out[i]).collect();
        let (low, high) = (percents.0.min(percents.1), percents.0.max(percents.1));
        prop_assume!(oracle::budget(low, eligible.len()) > 0);
        let values: Vec<f64> =
            (0..labels.len() as u32).map(|i| f64::from(i * 7919 % levels)).collect();
        let order = match by_score {
            true => Order::Score { values: &values, direction: Direction::KeepLowest },
            false => Order::Random,
        };
        let recalls = some(&[0.9, 0.2, 1.0, 0.5]);
        let population = Population { labels: &labels, eligible: &eligible, classes: 4 };
        let keep = |percent: usize, quota: Option<QuotaRule>| {
            let quota = quota.map(|rule| options(rule, &recalls));
            let selection = Selection { order, quota, density: percent as f64 / 100.0, seed };
            select(population, &selection).unwrap()
        };
        let lost = |small: &Subset, large: &Subset, class: u32| {
            let gone = |i: &&usize| labels[**i] == class && !large.kept.contains(i);
            small.kept.iter().filter(gone).count()
        };
        for rule in [None, Some(QuotaRule::Metriq), Some(QuotaRule::Balanced)] {
            let (small, large) = (keep(low, rule.clone()), keep(high, rule.clone()));
            for (subset, percent) in [(&small, low), (&large, high)] {
                prop_assert_eq!(subset.total(), oracle::budget(percent, eligible.len()));
                prop_assert!(subset.kept.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(subset.kept.iter().all(|&i| !held_out[i]));
                for class in 0..4 {
                    let of_class = |i: &&usize| labels[**i] as usize == class;
                    let kept: Vec<&usize> = subset.kept.iter().filter(of_class).collect();
                    prop_assert_eq!(subset.counts[class], kept.len());
                    prop_assert!(kept.len() <= subset.sizes[class]);
                    let dropped = eligible.iter().filter(|i| !subset.kept.contains(i));
                    if by_score {
                        let best_dropped = dropped.filter(of_class).map(|&i| values[i]);
                        let best_dropped = best_dropped.fold(f64::INFINITY, f64::min);
                        prop_assert!(kept.iter().all(|&&i| values[i] <= best_dropped));
                    }
                }
            }
            let allowed = usize::from(rule.is_some());
            for class in 0..4 {
                prop_assert!(lost(&small, &large, class) <= allowed);
            }
        }
    }
}

/// Equal scores in a folder data set, whose labels ascend with the position.
#[test]
fn score_ties_favour_no_class_and_no_position() {
    let labels: Vec<u32> = (0..40).map(|i| i / 10).collect();
    let eligible: Vec<usize> = (0..40).collect();
    let population = Population { labels: &labels, eligible: &eligible, classes: 4 };
    let flat = Order::Score { values: &[2.5; 40], direction: Direction::KeepHighest };
    for order in [flat, Order::Random] {
        let mut kept = [0u32; 40];
        for seed in 0..2000 {
            let selection = Selection { order, quota: None, density: 0.25, seed };
            select(population, &selection).unwrap().kept.iter().for_each(|&i| kept[i] += 1);
        }
        // Standard deviation 19 a sample; 2000 * 10 / 4 = 5000 a class.
        assert!(kept.iter().all(|&n| (400..=600).contains(&n)), "{kept:?}");
        for class in kept.chunks(10) {
            assert!((4700..=5300).contains(&class.iter().sum::<u32>()), "{kept:?}");
        }
    }
}

/// Holding out other samples changes no order among those that stay.
#[test]
fn the_order_of_two_samples_depends_on_no_third() {
    let values: Vec<f64> = (0..500).map(|i| f64::from(i * 37 % 5)).collect();
    let score = Order::Score { values: &values, direction: Direction::KeepHighest };
    let all: Vec<usize> = (0..500).collect();
    let some: Vec<usize> = (0..500).rev().filter(|i| i % 3 != 0).collect();
    for order in [score, Order::Random] {
        let mut expected = ranking(&all, order, 11).unwrap();
        expected.retain(|i| i % 3 != 0);
        assert_eq!(ranking(&some, order, 11).unwrap(), expected);
        assert_ne!(ranking(&some, order, 12).unwrap(), expected);
    }
}

/// A greedy method's picks stay a sequence; as a mask the order, and with it nesting, would be lost.
#[test]
fn greedy_order_survives() {
    let picks = [5, 0, 3, 1, 4, 2];
    let labels = [0, 0, 0, 1, 1, 1];
    let population = Population { labels: &labels, eligible: &[0, 1, 2, 3, 4, 5], classes: 2 };
    for n in 1..=6 {
        let density = n as f64 / 6.0;
        let selection = Selection { order: Order::Given(&picks), quota: None, density, seed: 0 };
        let mut expected = picks[..n].to_vec();
        expected.sort_unstable();
        assert_eq!(select(population, &selection).unwrap().kept, expected);
    }
    let quota = Some(options(QuotaRule::Balanced, &[]));
    let selection = Selection { order: Order::Given(&picks), quota, density: 0.65, seed: 0 };
    assert_eq!(select(population, &selection).unwrap().kept, [0, 1, 3, 5]);
}

#[test]
fn counts_of_a_strategy_with_random_samples() {
    let labels = [0, 0, 0, 0, 1, 1, 1, 1];
    let values = [9.0, 8.0, 7.0, 1.0, 6.0, 2.0, 3.0, 4.0];
    let population =
        Population { labels: &labels, eligible: &[0, 1, 2, 3, 4, 5, 6, 7], classes: 2 };
    let order = Order::Score { values: &values, direction: Direction::KeepHighest };
    let counts = strategy_counts(population, order, 0.5, 3).unwrap();
    assert_eq!(counts, [3, 1]);
    let quota = Some(options(QuotaRule::From(counts), &[]));
    let selection = Selection { order: Order::Random, quota, density: 0.5, seed: 3 };
    let subset = select(population, &selection).unwrap();
    assert_eq!((subset.counts, subset.densities), (vec![3, 1], vec![0.75, 0.25]));
    let mut mask = vec![false; 8];
    subset.kept.iter().for_each(|&i| mask[i] = true);
    assert_eq!(Subset { counts: vec![], densities: vec![], ..subset }.mask(8).unwrap(), mask);
}

#[test]
fn unusable_populations_and_densities_are_errors() {
    let labels = [0, 1, 5];
    let select = |eligible: &[usize], density: f64| {
        let population = Population { labels: &labels, eligible, classes: 2 };
        let selection = Selection { order: Order::Random, quota: None, density, seed: 0 };
        select(population, &selection).map(|s| s.total())
    };
    assert_eq!(select(&[0, 1], 0.5).unwrap(), 1);
    for (eligible, density, says) in [
        (&[][..], 0.5, "none"),
        (&[0, 3], 0.5, "position 3"),
        (&[0, 1, 0], 0.5, "position 0 twice"),
        (&[0, 2], 0.5, "sample 2: found 5"),
        (&[0, 1], 0.0, "no sample of 2"),
        (&[0, 1], 0.1, "no sample of 2"),
        (&[0, 1], 1.1, "1.1"),
        (&[0, 1], f64::NAN, "NaN"),
    ] {
        let message = select(eligible, density).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
}

/// ImageNet's training set, ranked with as many ties as samples.
#[test]
fn large_sets_are_quick() {
    let labels: Vec<u32> = (0..1_281_167).map(|i| i / 1300).collect();
    let eligible: Vec<usize> = (0..labels.len()).collect();
    let population = Population { labels: &labels, eligible: &eligible, classes: 1000 };
    let values = vec![0.5; labels.len()];
    let flat = Order::Score { values: &values, direction: Direction::KeepHighest };
    let start = std::time::Instant::now();
    for order in [flat, Order::Random] {
        let selection = Selection { order, quota: None, density: 0.3, seed: 1 };
        assert_eq!(select(population, &selection).unwrap().total(), 384_350);
    }
    assert!(start.elapsed().as_secs_f64() < 20.0, "{:?}", start.elapsed());
}
