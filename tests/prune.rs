//! Quotas against allocators written differently; subsets in `prune/select.rs`.

use fairprune::error::Error;
use fairprune::prune::{QuotaOptions, QuotaRule, Quotas, Smoothing, Warning, error_ratio, quotas};
use proptest::prelude::*;

mod nucs;
mod oracle;
mod predict;
mod select;

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) }
}

fn options<'a>(rule: QuotaRule, recalls: &'a [Option<f64>]) -> QuotaOptions<'a> {
    QuotaOptions { rule, recalls, ..QuotaOptions::default() }
}

fn some(recalls: &[f64]) -> Vec<Option<f64>> {
    recalls.iter().copied().map(Some).collect()
}

fn metriq(sizes: &[usize], recalls: &[f64], density: f64) -> Quotas {
    quotas(sizes, density, &options(QuotaRule::Metriq, &some(recalls)), 0).unwrap()
}

fn floats(values: &[usize]) -> Vec<f64> {
    values.iter().map(|&v| v as f64).collect()
}

/// The weights of each rule, written down once more.
fn weights(rule: &QuotaRule, sizes: &[usize], recalls: &[f64]) -> Vec<f64> {
    let classes = sizes.iter().zip(recalls);
    let weight = |(&n, r): (&usize, &f64)| match rule {
        QuotaRule::Metriq => (1.0 - r) * n as f64,
        QuotaRule::MetriqReleased => 1.0 - r,
        QuotaRule::Uniform => n as f64,
        _ => 1.0,
    };
    classes.map(|c| if *c.0 == 0 { 0.0 } else { weight(c) }).collect()
}

/// Class sizes with empty ones, recalls with 0 and 1 and ties, and a density in percent.
fn problem() -> impl Strategy<Value = (Vec<usize>, Vec<f64>, usize)> {
    let recall = prop_oneof![
        2 => (0..=20u32).prop_map(|r| f64::from(r) / 20.0),
        2 => 0.0..1.0f64,
        1 => Just(1.0),
    ];
    let classes = proptest::collection::vec((0..400usize, recall), 1..9)
        .prop_filter("some sample", |classes| classes.iter().any(|c| c.0 > 0));
    (classes, 0..=100usize).prop_map(|(classes, percent)| {
        let (sizes, recalls) = classes.into_iter().unzip();
        (sizes, recalls, percent)
    })
}

fn rules() -> impl Strategy<Value = QuotaRule> {
    use QuotaRule::{Balanced, Metriq, MetriqReleased, Uniform};
    prop_oneof![Just(Metriq), Just(MetriqReleased), Just(Uniform), Just(Balanced)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn quotas_equal_the_brute_force_allocator(
        (sizes, recalls, percent) in problem(), rule in rules(), least in 0..40usize, seed: u64,
    ) {
        let total = (percent * sizes.iter().sum::<usize>()) as f64 / 100.0;
        let budget = oracle::budget(percent, sizes.iter().sum());
        let lower: Vec<usize> = sizes.iter().map(|&n| n.min(least)).collect();
        let needed: usize = lower.iter().sum();
        let known = some(&recalls);
        let given = QuotaOptions { min_per_class: Some(least), ..options(rule.clone(), &known) };
        let found = quotas(&sizes, percent as f64 / 100.0, &given, seed);
        if needed > budget {
            let Err(Error::Invalid { found, expected, .. }) = found else {
                return Err(TestCaseError::fail(format!("{found:?} with floors of {needed}")));
            };
            prop_assert!(found.contains(&format!("takes {needed} samples")), "{}", found);
            prop_assert!(expected.contains(&format!("the {budget} samples")), "{}", expected);
            return Ok(());
        }
        let found = found.unwrap();
        prop_assert_eq!(found.counts.iter().sum::<usize>(), budget);
        let w = weights(&rule, &sizes, &recalls);
        let expected =
            oracle::shares(&w, &floats(&lower), &floats(&sizes), total.max(needed as f64));
        for class in 0..sizes.len() {
            let (share, n) = (expected[class], sizes[class]);
            let density = if n == 0 { 0.0 } else { share / n as f64 };
            prop_assert!((found.densities[class] - density).abs() < 1e-9,
                "class {}: {} is not {}", class, found.densities[class], density);
            let count = found.counts[class];
            prop_assert!(lower[class] <= count && count <= n);
            prop_assert!((count as f64 - share).abs() < 1.0 + 1e-9);
        }
    }

    #[test]
    fn closed_form_equals_the_rounds_of_the_paper((sizes, recalls, percent) in problem()) {
        let n = floats(&sizes);
        let w = weights(&QuotaRule::Metriq, &sizes, &recalls);
        let total = percent as f64 / 100.0 * n.iter().sum::<f64>();
        // The paper does not say what happens once every class with an error is full.
        let room: f64 = (0..n.len()).filter(|&k| w[k] > 0.0).map(|k| n[k]).sum();
        if room >= total {
            let found = metriq(&sizes, &recalls, percent as f64 / 100.0);
            for (class, share) in oracle::by_rounds(&w, &n, total).iter().enumerate() {
                prop_assert!((found.densities[class] * n[class] - share).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn rounding_has_the_least_squared_deviation(
        classes in proptest::collection::vec((1..7usize, 0.0..1.0f64), 1..5),
        percent in 0..=100usize, rule in rules(), seed: u64,
    ) {
        let (sizes, recalls): (Vec<usize>, Vec<f64>) = classes.into_iter().unzip();
        let known = some(&recalls);
        let found = quotas(&sizes, percent as f64 / 100.0, &options(rule, &known), seed).unwrap();
        let shares: Vec<f64> =
            found.densities.iter().zip(&sizes).map(|(d, &n)| d * n as f64).collect();
        let deviation: f64 =
            found.counts.iter().zip(&shares).map(|(&n, x)| (n as f64 - x).powi(2)).sum();
        let least = oracle::least_deviation(&shares, &sizes, found.counts.iter().sum());
        prop_assert!(deviation <= least + 1e-6, "{} against {}", deviation, least);
    }

    #[test]
    fn classes_have_no_order((sizes, recalls, percent) in problem(), turn in 0..9usize) {
        let turned = |v: &mut Vec<_>| { let by = turn % v.len(); v.rotate_left(by) };
        let mut classes: Vec<(usize, f64)> = sizes.iter().copied().zip(recalls.clone()).collect();
        let before = metriq(&sizes, &recalls, percent as f64 / 100.0);
        turned(&mut classes);
        let (sizes, recalls): (Vec<usize>, Vec<f64>) = classes.into_iter().unzip();
        let after = metriq(&sizes, &recalls, percent as f64 / 100.0);

        let by = turn % sizes.len();
        let (mut densities, mut counts) = (before.densities, before.counts);
        densities.rotate_left(by);
        counts.rotate_left(by);
        let mut remainders = Vec::new();
        for class in 0..sizes.len() {
            prop_assert!((densities[class] - after.densities[class]).abs() < 1e-12);
            remainders.push((densities[class] * sizes[class] as f64).fract());
        }
        remainders.sort_unstable_by(f64::total_cmp);
        if remainders.windows(2).all(|pair| pair[1] - pair[0] > 1e-6) {
            prop_assert_eq!(counts, after.counts);
        }
    }

    #[test]
    fn given_counts_come_back(counts in proptest::collection::vec(0..300usize, 1..9),
                              spare in proptest::collection::vec(0..300usize, 9)) {
        let sizes: Vec<usize> = counts.iter().zip(&spare).map(|(n, more)| n + more).collect();
        let (kept, all) = (counts.iter().sum::<usize>(), sizes.iter().sum::<usize>());
        prop_assume!(all > 0);
        let rule = QuotaRule::From(counts.clone());
        let found = quotas(&sizes, kept as f64 / all as f64, &options(rule, &[]), 7).unwrap();
        prop_assert_eq!(found.counts, counts);
    }
}

#[test]
fn hand_computed_quotas() {
    // Errors times sizes 250, 100, 30: shares 365.13, 146.05, 43.82 of 555.
    let q = metriq(&[5000, 500, 50], &[0.95, 0.8, 0.4], 0.1);
    assert_eq!(q.counts, [365, 146, 44]);
    for (found, c_times_error) in q.densities.iter().zip([0.05, 0.2, 0.6]) {
        assert!((found - 555.0 / 380.0 * c_times_error).abs() < 1e-12);
    }
    let few = Warning::FewSamples { classes: vec![(2, 44)] };
    assert!(matches!(&q.warnings[..],
        [Warning::ErrorRatio { ratio, hardest: 2, easiest: 0 }, w]
            if (ratio - 12.0).abs() < 1e-9 && *w == few));
    // Twice as much: the last class is full, 1060 are left for weights 250 and 100.
    let q = metriq(&[5000, 500, 50], &[0.95, 0.8, 0.4], 0.2);
    assert_eq!(q.counts, [757, 303, 50]);
    assert_eq!(q.densities[2], 1.0);
}

#[test]
fn released_rule_ignores_class_sizes() {
    let recalls = some(&[0.9, 0.7, 0.6]);
    let q = quotas(&[600, 300, 100], 0.4, &options(QuotaRule::MetriqReleased, &recalls), 0);
    // 400 by errors .1, .3, .4: 50, 150, 200; the last holds 100, its 100 go 25 and 75.
    assert_eq!(q.unwrap().counts, [75, 225, 100]);
    let balanced = options(QuotaRule::Balanced, &[]);
    assert_eq!(quotas(&[600, 300, 100], 0.4, &balanced, 0).unwrap().counts, [150, 150, 100]);
    let uniform = options(QuotaRule::Uniform, &[]);
    assert_eq!(quotas(&[600, 300, 100], 0.4, &uniform, 0).unwrap().counts, [240, 120, 40]);
}

/// A class removed from a list while it is walked makes its neighbour escape the cap.
#[test]
fn two_classes_fill_in_one_round() {
    let q = metriq(&[10, 10, 100, 100], &[0.1, 0.1, 0.8, 0.9], 0.5);
    assert_eq!(q.counts, [10, 10, 60, 30]);
    let q = metriq(&[100, 10, 10, 100], &[0.8, 0.1, 0.1, 0.9], 0.5);
    assert_eq!(q.counts, [60, 10, 10, 30]);
}

#[test]
fn perfect_classes_keep_nothing_until_the_others_are_full() {
    let (sizes, recalls) = ([200, 300, 500], [0.5, 1.0, 1.0]);
    let q = metriq(&sizes, &recalls, 0.1);
    assert_eq!(q.counts, [100, 0, 0]);
    assert!(q.warnings.contains(&Warning::KeepsNothing { classes: vec![1, 2] }));
    assert!(q.warnings.iter().any(|w| matches!(w,
        Warning::ErrorRatio { ratio, .. } if ratio.is_infinite())));
    let q = metriq(&sizes, &recalls, 0.6);
    assert_eq!(q.counts, [200, 150, 250]);
    assert!(!q.warnings.iter().any(|w| matches!(w, Warning::KeepsNothing { .. })));

    let known = some(&recalls);
    let floor = QuotaOptions { min_per_class: Some(20), ..options(QuotaRule::Metriq, &known) };
    assert_eq!(quotas(&sizes, 0.1, &floor, 0).unwrap().counts, [60, 20, 20]);
}

#[test]
fn no_error_anywhere_is_uniform_and_said() {
    for rule in [QuotaRule::Metriq, QuotaRule::MetriqReleased] {
        let q = quotas(&[300, 200, 0], 0.5, &options(rule.clone(), &some(&[1.0; 3])), 0).unwrap();
        assert_eq!((q.counts, q.densities), (vec![150, 100, 0], vec![0.5, 0.5, 0.0]));
        assert_eq!(q.warnings, [Warning::NoErrors]);
        // The second class is empty because it is small, not because of its recall.
        let q = quotas(&[700, 1], 0.1, &options(rule, &some(&[1.0; 2])), 0).unwrap();
        let few = Warning::FewSamples { classes: vec![(1, 0)] };
        assert_eq!((q.counts, q.warnings), (vec![70, 0], vec![Warning::NoErrors, few]));
    }
}

#[test]
fn ends_of_the_range_single_and_empty_classes() {
    let (sizes, recalls) = ([70, 0, 60], [0.3, 0.9, 1.0]);
    assert_eq!(metriq(&sizes, &recalls, 0.0).counts, [0, 0, 0]);
    assert_eq!(metriq(&sizes, &recalls, 1.0).counts, [70, 0, 60]);
    assert_eq!(metriq(&sizes, &recalls, 1.0).densities, [1.0, 0.0, 1.0]);
    assert_eq!(metriq(&[45], &[0.2], 0.1).counts, [5]);
    assert_eq!(metriq(&[60, 60], &[0.4, 0.4], 0.25).counts, [15, 15]);
    // An empty class needs no recall, and its recall does not enter the error ratio.
    let q = quotas(&[500, 0], 0.5, &options(QuotaRule::Metriq, &[Some(0.5), None]), 0).unwrap();
    assert_eq!((q.counts, q.warnings), (vec![250, 0], vec![]));
    assert_eq!(error_ratio(&[500, 0, 500], &some(&[0.5, 1.0, 0.9])).map(f64::round), Some(5.0));
}

#[test]
fn smoothing_and_doubtful_recalls() {
    let recalls = [Some(1.0), Some(0.5), Some(1.0)];
    let plain = QuotaOptions {
        validation_sizes: Some(&[25, 50, 100]),
        ..options(QuotaRule::Metriq, &recalls)
    };
    let q = quotas(&[1000; 3], 0.2, &plain, 0).unwrap();
    assert!(q.warnings.contains(&Warning::DoubtfulRecall { classes: vec![(0, 25)] }));

    // Errors 1/27, 26/52, 1/102 of 600 samples.
    let smooth = QuotaOptions { smoothing: Smoothing::Laplace, ..plain.clone() };
    let q = quotas(&[1000; 3], 0.2, &smooth, 0).unwrap();
    let errors = [1.0 / 27.0, 0.5, 1.0 / 102.0];
    for (d, error) in q.densities.iter().zip(errors) {
        assert!((d - 0.6 * error / errors.iter().sum::<f64>()).abs() < 1e-12);
    }
    assert_eq!(q.warnings[0], Warning::Smoothed);
    // A class that validation lacks counts as a coin flip.
    let lacking = QuotaOptions {
        recalls: &[Some(0.5), None],
        validation_sizes: Some(&[98, 0]),
        smoothing: Smoothing::Laplace,
        ..QuotaOptions::default()
    };
    assert_eq!(quotas(&[80, 20], 0.5, &lacking, 0).unwrap().counts, [40, 10]);
}

#[test]
fn unusable_quota_input_names_the_class_and_the_value() {
    let check = |sizes: &[usize], density: f64, given: QuotaOptions<'_>, says: &[&str]| {
        let message = quotas(sizes, density, &given, 0).unwrap_err().to_string();
        assert!(says.iter().all(|s| message.contains(s)), "{message}");
    };
    let rule = || QuotaRule::Metriq;
    for (bad, text) in [(f64::NAN, "NaN"), (-0.1, "-0.1"), (1.5, "1.5")] {
        let recalls = some(&[0.5, bad]);
        check(&[10, 10], 0.5, options(rule(), &recalls), &["class 1", text]);
        check(&[10, 10], 0.5, options(QuotaRule::Uniform, &recalls), &["class 1", text]);
        check(&[10, 10], bad, options(QuotaRule::Uniform, &[]), &["density", text]);
    }
    check(&[10, 10], 0.5, options(rule(), &[Some(0.5), None]), &["class 1", "none"]);
    check(&[10, 10], 0.5, options(rule(), &[Some(0.5)]), &["1 values", "2"]);
    check(&[10, 10], 0.5, options(rule(), &[]), &["0 values"]);
    check(&[0, 0], 0.5, options(QuotaRule::Uniform, &[]), &["no samples"]);
    check(&[], 0.5, options(QuotaRule::Uniform, &[]), &["no samples"]);
    check(&[usize::MAX, 2], 0.5, options(QuotaRule::Uniform, &[]), &["overflow"]);
    check(&[10, 10], 0.5, options(QuotaRule::From(vec![11, 0]), &[]), &["class 0", "11"]);
    check(&[10, 10], 0.5, options(QuotaRule::From(vec![5, 4]), &[]), &["9", "10"]);
    check(&[10, 10], 0.5, options(QuotaRule::From(vec![10]), &[]), &["1 values"]);
    let smooth = || QuotaOptions { smoothing: Smoothing::Laplace, ..QuotaOptions::default() };
    let recalls = some(&[0.5, 0.5]);
    check(&[10, 10], 0.5, QuotaOptions { recalls: &recalls, ..smooth() }, &["no validation"]);
    let totals = Some(&[9, 0][..]);
    let empty = QuotaOptions { recalls: &recalls, validation_sizes: totals, ..smooth() };
    check(&[10, 10], 0.5, empty, &["class 1", "0 validation"]);
}

/// Three classes tie for one sample: over seeds each gets it a third of the time.
#[test]
fn rounding_ties_are_drawn() {
    let mut wins = [0; 3];
    for seed in 0..3000 {
        let uniform = options(QuotaRule::Uniform, &[]);
        let counts = quotas(&[30; 3], 0.11, &uniform, seed).unwrap().counts;
        wins[counts.iter().position(|&n| n == 4).unwrap()] += 1;
    }
    // Standard deviation 26.
    assert!(wins.iter().all(|w| (870..=1130).contains(w)), "{wins:?}");
}

/// ImageNet's size, and a hundred thousand classes. Milliseconds are usual; the bound only tells a
/// quadratic algorithm from this one.
#[test]
fn large_problems_are_quick() {
    let start = std::time::Instant::now();
    let recalls: Vec<f64> = (0..1000).map(|k| 0.3 + 0.0007 * f64::from(k)).collect();
    let q = metriq(&[1300; 1000], &recalls, 0.3);
    assert_eq!(q.counts.iter().sum::<usize>(), 390_000);
    let sizes: Vec<usize> = (0..100_000).map(|k| k % 977).collect();
    let recalls: Vec<f64> = (0..100_000).map(|k| f64::from(k * 31 % 1000) / 999.0).collect();
    let q = metriq(&sizes, &recalls, 0.37);
    assert_eq!(q.counts.iter().sum::<usize>(), oracle::budget(37, sizes.iter().sum()));
    assert!(q.counts.iter().zip(&sizes).all(|(count, size)| count <= size));
    assert!(start.elapsed().as_secs_f64() < 3.0, "{:?}", start.elapsed());
}
