//! Predicted recalls and the rule that uses them, against NumPy and SciPy (`golden/predict/make.py`).

use fairprune::prune::{
    MeasuredRecalls, RuleOptions, ValidationRows, ValidationRun, Warning, fit_gain, forecast,
    predict, predicted_densities,
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    classes: usize,
    labels: Vec<u32>,
    log_probabilities: Vec<f32>,
    cases: Vec<Case>,
    rule: Rule,
}

#[derive(Deserialize)]
struct Case {
    gain: f64,
    densities: Vec<f64>,
    recalls: Vec<f64>,
    counts: Vec<Vec<u64>>,
}

#[derive(Deserialize)]
struct Rule {
    sizes: Vec<usize>,
    density: f64,
    gain: f64,
    temperature: f64,
    sharpness: f64,
    worst: f64,
    densities: Vec<f64>,
    equal: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/predict/predict.json")).unwrap()
}

fn run<'a>(log_probabilities: &'a [f32], labels: &'a [u32]) -> ValidationRun<'a> {
    ValidationRun { log_probabilities, labels, samples: None, densities: None }
}

#[test]
fn predictions_equal_numpy() {
    let golden = golden();
    let rows =
        ValidationRows::new(golden.classes, &[run(&golden.log_probabilities, &golden.labels)]);
    let rows = rows.unwrap();
    for case in &golden.cases {
        let found = predict(&rows, &case.densities, case.gain).unwrap();
        for k in 0..golden.classes {
            assert!((found.recalls[k].unwrap() - case.recalls[k]).abs() < 1e-12);
            let total: u64 = case.counts[k].iter().sum();
            for (answer, &n) in case.counts[k].iter().enumerate().filter(|(a, _)| *a != k) {
                let share = found.confusions.iter().find(|c| (c.label, c.answer) == (k, answer));
                assert_eq!((share.map_or(0.0, |c| c.share) * total as f64).round() as u64, n);
            }
        }
        let least = case.recalls.iter().copied().fold(f64::INFINITY, f64::min);
        assert!((found.worst().unwrap().1 - least).abs() < 1e-12);
    }
}

/// The smooth worst class of densities, as the formula reads.
fn smooth_worst(golden: &Golden, densities: &[f64]) -> f64 {
    let (rule, classes) = (&golden.rule, golden.classes);
    let mut recalls = vec![(0.0, 0.0); classes];
    for (row, &label) in golden.log_probabilities.chunks(classes).zip(&golden.labels) {
        let z = |k: usize| (f64::from(row[k]) + rule.gain * densities[k].ln()) / rule.temperature;
        let sum: f64 = (0..classes).map(|k| z(k).exp()).sum();
        let (own, count) = &mut recalls[label as usize];
        (*own, *count) = (*own + z(label as usize).exp() / sum, *count + 1.0);
    }
    let mean: f64 = recalls.iter().map(|(own, n)| (-rule.sharpness * own / n).exp()).sum::<f64>()
        / classes as f64;
    -mean.ln() / rule.sharpness
}

/// Every sample comes four times, so that all folds are alike: nothing is shrunk, and the rule must find what
/// SciPy found.
#[test]
fn the_rule_finds_the_optimum_of_scipy() {
    let golden = golden();
    let rule = &golden.rule;
    let n = golden.labels.len();
    let repeated: Vec<(u32, &[f32])> = golden
        .labels
        .iter()
        .zip(golden.log_probabilities.chunks(golden.classes))
        .flat_map(|(&label, row)| [(label, row); 4])
        .collect();
    let labels: Vec<u32> = repeated.iter().map(|d| d.0).collect();
    let logs: Vec<f32> = repeated.iter().flat_map(|d| d.1).copied().collect();
    assert_eq!(labels.len(), 4 * n);
    let rows = ValidationRows::new(golden.classes, &[run(&logs, &labels)]).unwrap();
    // Any loss of the average may be: the mean recall has no weight.
    let options = RuleOptions { gain: rule.gain, average_loss: 1.0 };
    let found = predicted_densities(&rows, &rule.sizes, rule.density, None, options).unwrap();
    assert_eq!((found.lambda, found.shrinkage), (0.0, 1.0));
    let spent: f64 = found.densities.iter().zip(&rule.sizes).map(|(d, &n)| d * n as f64).sum();
    let all = rule.sizes.iter().sum::<usize>() as f64;
    assert!((spent - rule.density * all).abs() < 1e-6);
    assert!((smooth_worst(&golden, &[rule.density; 5]) - rule.equal).abs() < 1e-6);
    assert!((smooth_worst(&golden, &rule.densities) - rule.worst).abs() < 1e-6);
    let reached = smooth_worst(&golden, &found.densities);
    assert!(reached > rule.worst - 1e-3, "{reached} where SciPy reaches {}", rule.worst);
    assert!(reached < rule.worst + 1e-6, "{reached} is more than the best, {}", rule.worst);
}

/// What one sample says says nothing of the next: densities chosen by some samples are no better than equal
/// ones on others, and the rule must see that.
#[test]
fn noise_is_shrunk_away() {
    let (mut logs, mut labels) = (Vec::new(), Vec::new());
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    for i in 0..120 {
        let raised: Vec<f64> = (0..3).map(|_| (3.0 * uniform()).exp()).collect();
        let sum: f64 = raised.iter().sum();
        logs.extend(raised.iter().map(|v| (v / sum).ln() as f32));
        labels.push(i % 3);
    }
    let rows = ValidationRows::new(3, &[run(&logs, &labels)]).unwrap();
    let options = RuleOptions { gain: 1.0, average_loss: 1.0 };
    let found = predicted_densities(&rows, &[100; 3], 0.5, None, options).unwrap();
    assert!(found.shrinkage < 0.5, "{found:?}");
}

/// Three classes, the third of which is found always. The first two are taken for each other: the
/// probability of their own class goes from .15 to .65 for one and as `of_other` says for the other.
fn taken_for_each_other(of_other: impl Fn(f64) -> f64) -> ValidationRows {
    let (mut logs, mut labels) = (Vec::new(), Vec::new());
    for i in 0..400 {
        let place = (f64::from(i) + 0.5) / 400.0;
        let [zero, one] = [0.15 + 0.5 * place, of_other(place)];
        for (label, p) in
            [(0, [zero, 0.99 - zero, 0.01]), (1, [0.99 - one, one, 0.01]), (2, [0.01, 0.01, 0.98])]
        {
            labels.push(label);
            logs.extend(p.map(|p| p.ln() as f32));
        }
    }
    ValidationRows::new(3, &[run(&logs, &labels)]).unwrap()
}

#[test]
fn the_average_falls_by_no_more_than_it_may() {
    let rule = |rows: &ValidationRows, average_loss| {
        let options = RuleOptions { gain: 1.0, average_loss };
        predicted_densities(rows, &[300; 3], 0.3, None, options).unwrap()
    };
    // Ever more samples of the other class are lost for those that are won.
    let rows = taken_for_each_other(|place| 0.5 + 0.2 * place.sqrt());
    let [free, bound, none] = [1.0, 0.02, 0.0].map(|loss| rule(&rows, loss));
    assert!(free.lambda == 0.0 && free.judged.1 < -0.02, "{free:?}");
    assert!(bound.judged.1 >= -0.02 && none.judged.1 >= 0.0, "{bound:?} {none:?}");
    assert!(free.lambda < bound.lambda && bound.lambda < none.lambda, "{bound:?} {none:?}");
    assert!(free.judged.0 > bound.judged.0 && bound.judged.0 > none.judged.0, "{bound:?} {none:?}");
    assert!(none.judged.0 > 0.0, "{none:?}");
    // All samples of the other class lie near the border: whatever is tried costs too much.
    let rows = taken_for_each_other(|place| 0.5 + 0.12 * place);
    let dear = rule(&rows, 0.02);
    assert_eq!((dear.shrinkage, dear.judged), (0.0, (0.0, 0.0)));
    assert!(dear.densities.iter().all(|d| (d - 0.3).abs() < 1e-12), "{dear:?}");
}

/// Rows of three classes whose logits are drawn around their label's.
fn rows_of(seed: u64, pull: f64, runs: usize) -> ValidationRows {
    let (classes, each) = (3, 40);
    let philox = fairprune::rng::Philox::new(seed, fairprune::rng::Stream::Theory);
    let labels: Vec<u32> = (0..classes * each).map(|i| (i / each) as u32).collect();
    let tables: Vec<Vec<f32>> = (0..runs)
        .map(|r| {
            let mut random = philox.sequence(r as u64);
            let row = |&label: &u32| {
                let mut z = [0.0f64; 3];
                z.iter_mut().for_each(|z| *z = f64::from(random.normal()));
                z[label as usize] += pull;
                let sum: f64 = z.iter().map(|z| z.exp()).sum();
                z.map(|z| (z - sum.ln()) as f32)
            };
            labels.iter().flat_map(row).collect()
        })
        .collect();
    let runs: Vec<ValidationRun> = tables.iter().map(|t| run(t, &labels)).collect();
    ValidationRows::new(classes, &runs).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn densities_spend_the_budget_and_keep_the_minimum(
        seed: u64, sizes in proptest::collection::vec(1..500usize, 3), percent in 5..=100usize,
        least in 0..20usize, loss in 0..=10u32, gain in 0.0..4.0f64,
    ) {
        let rows = rows_of(seed, 1.0, 2);
        let density = percent as f64 / 100.0;
        let total = density * sizes.iter().sum::<usize>() as f64;
        let options = RuleOptions { gain, average_loss: f64::from(loss) / 100.0 };
        let found = predicted_densities(&rows, &sizes, density, Some(least), options);
        let floor: usize = sizes.iter().map(|&n| n.min(least)).sum();
        if floor as f64 > total {
            prop_assert!(found.unwrap_err().to_string().contains("minimum per class"));
            return Ok(());
        }
        let found = found.unwrap();
        let spent: f64 = found.densities.iter().zip(&sizes).map(|(d, &n)| d * n as f64).sum();
        prop_assert!((spent - total).abs() < 1e-6 * total.max(1.0), "{spent} of {total}");
        for (d, &n) in found.densities.iter().zip(&sizes) {
            prop_assert!(*d > 0.0 && *d <= 1.0);
            prop_assert!(d * n as f64 >= n.min(least) as f64 - 1e-6);
        }
        // The same again, to the bit.
        prop_assert_eq!(&found, &predicted_densities(&rows, &sizes, density, Some(least), options).unwrap());
    }

    #[test]
    fn a_common_factor_of_the_densities_changes_nothing(seed: u64, gain in 0.0..4.0f64) {
        let rows = rows_of(seed, 1.0, 1);
        let found = predict(&rows, &[0.2, 0.3, 0.1], gain).unwrap();
        prop_assert_eq!(found.recalls, predict(&rows, &[0.4, 0.6, 0.2], gain).unwrap().recalls);
    }

    #[test]
    fn a_class_gains_nothing_by_losing_samples(seed: u64, gain in 0.1..4.0f64, d in 0.05..1.0f64) {
        let rows = rows_of(seed, 1.0, 2);
        let before = predict(&rows, &[1.0, 1.0, 1.0], gain).unwrap().recalls;
        let after = predict(&rows, &[d, 1.0, 1.0], gain).unwrap().recalls;
        prop_assert!(after[0] <= before[0]);
        prop_assert!(after[1] >= before[1] && after[2] >= before[2]);
    }
}

/// What a network says that was trained under densities is shifted by the ratio to them: at its own
/// densities it answers as it is.
#[test]
fn a_pilot_answers_as_it_is_under_its_own_densities() {
    let golden = golden();
    let densities = [0.9, 0.2, 0.4, 0.3, 0.5];
    let pilot = ValidationRun {
        densities: Some(&densities),
        ..run(&golden.log_probabilities, &golden.labels)
    };
    let under = ValidationRows::new(5, &[pilot]).unwrap();
    let plain = ValidationRows::new(5, &[run(&golden.log_probabilities, &golden.labels)]).unwrap();
    assert_eq!(
        predict(&under, &densities, 1.7).unwrap().recalls,
        predict(&plain, &[1.0; 5], 1.7).unwrap().recalls
    );
}

/// Recalls that were predicted with a gain give that gain back, or one that predicts the same.
#[test]
fn the_gain_is_found_again() {
    let rows = rows_of(3, 1.0, 3);
    let [first, second] = [[0.2, 0.6, 0.4], [0.9, 0.1, 0.3]];
    let made = |d: &[f64]| -> Vec<Option<f64>> {
        let level = |r: Option<f64>| r.map(|r| r - 0.05);
        predict(&rows, d, 1.35).unwrap().recalls.into_iter().map(level).collect()
    };
    let recalls = [made(&first), made(&second)];
    let measured = [
        MeasuredRecalls { densities: &first, recalls: &recalls[0] },
        MeasuredRecalls { densities: &second, recalls: &recalls[1] },
    ];
    let fit = fit_gain(&rows, &measured).unwrap();
    assert!((fit.gain - 1.35).abs() < 0.06 && fit.rmse < 1e-9 && !fit.at_limit, "{fit:?}");
}

/// Equal densities lower nothing; starving the class that is mixed up with another lowers the worst, and
/// the interval says so.
#[test]
fn forecasts_tell_what_falls() {
    let rows = rows_of(5, 1.2, 4);
    let same = forecast(&rows, &[0.5; 3], 2.0, 0).unwrap();
    assert_eq!((same.worst_change, same.worst_interval), (0.0, (0.0, 0.0)));
    assert!(!same.lowers_worst());
    let starved = forecast(&rows, &[0.1, 0.7, 0.7], 2.0, 0).unwrap();
    assert!(starved.lowers_worst() && starved.worst_change < -0.2, "{starved:?}");
    assert_eq!(starved.quotas.worst().unwrap().0, 0);
    for (k, recall) in starved.quotas.recalls.iter().enumerate() {
        let (low, high) = starved.intervals[k].unwrap();
        assert!(low <= recall.unwrap() && recall.unwrap() <= high && high - low < 0.4);
    }
    assert_eq!(starved, forecast(&rows, &[0.1, 0.7, 0.7], 2.0, 0).unwrap());
}

/// Samples of classes 0 and 1 that look alike to the query, and class 2, which is found always.
fn look_alikes() -> ValidationRows {
    let (mut logs, mut labels) = (Vec::new(), Vec::new());
    for i in 0..400 {
        // From .3505 to .7495 for the own class.
        let own = 0.3505 + f64::from(i) * 0.001;
        for (label, p) in
            [(0u32, [own, 0.99 - own, 0.01]), (1, [0.99 - own, own, 0.01]), (2, [0.01, 0.01, 0.98])]
        {
            labels.push(label);
            logs.extend(p.map(|p| p.ln() as f32));
        }
    }
    ValidationRows::new(3, &[run(&logs, &labels)]).unwrap()
}

#[test]
fn the_warning_names_the_classes_that_are_taken_for_each_other() {
    let rows = look_alikes();
    let names = ["hexagon", "pentagon", "square"].map(str::to_owned);
    let warning = |densities: [f64; 3]| {
        let forecast = forecast(&rows, &densities, 1.0, 0).unwrap();
        Warning::lowers_worst(&forecast).map(|w| w.describe(&names))
    };
    // Above .495 wins: 255 of 400. With .6 of the other's density its own samples need .61875: 131 of 400.
    let said = warning([0.36, 0.6, 0.6]).unwrap();
    let expected = "these quotas are predicted to lower the worst class from .64 to .33: \"hexagon\" \
                    and \"pentagon\" are taken for each other";
    assert_eq!(said, expected);
    assert_eq!(warning([0.5; 3]), None);
    // What helps neither and harms neither is no reason to warn.
    assert_eq!(warning([0.6, 0.6, 0.3]), None);
}

#[test]
fn unusable_rows_say_what_is_wrong() {
    let ln2 = -std::f32::consts::LN_2;
    let says = |result: fairprune::error::Result<ValidationRows>, words: &[&str]| {
        let message = result.unwrap_err().to_string();
        assert!(words.iter().all(|w| message.contains(w)), "{message}");
    };
    says(ValidationRows::new(2, &[]), &["none"]);
    says(ValidationRows::new(2, &[run(&[ln2; 3], &[0])]), &["3 values", "1 rows of 2"]);
    says(ValidationRows::new(2, &[run(&[ln2; 2], &[2])]), &["found 2", "below 2"]);
    says(ValidationRows::new(2, &[run(&[ln2, f32::NAN], &[0])]), &["sample 0", "NaN"]);
    says(ValidationRows::new(2, &[run(&[0.0, 0.0], &[0])]), &["sum 2"]);
    let (numbers, halves) = ([7, 7], [ln2; 4]);
    let twice = ValidationRun { samples: Some(&numbers), ..run(&halves, &[0, 1]) };
    says(ValidationRows::new(2, &[twice]), &["sample 7", "found 1"]);
    let starved = ValidationRun { densities: Some(&[0.0, 1.0]), ..run(&halves[..2], &[0]) };
    says(ValidationRows::new(2, &[starved]), &["run 0", "found 0"]);

    let rows = ValidationRows::new(2, &[run(&[ln2; 6], &[0, 0, 1])]).unwrap();
    let message = |e: fairprune::error::Error| e.to_string();
    assert!(message(predict(&rows, &[0.0, 0.0], 1.0).unwrap_err()).contains("0 for every class"));
    assert!(message(predict(&rows, &[1.0], 1.0).unwrap_err()).contains("2, one for each class"));
    assert!(message(predict(&rows, &[1.0; 2], f64::NAN).unwrap_err()).contains("`gain`"));
    let rule = |sizes: &[usize]| {
        predicted_densities(&rows, sizes, 0.5, None, RuleOptions::default())
            .unwrap_err()
            .to_string()
    };
    assert!(rule(&[10, 10]).contains("class 1: found 1"), "{}", rule(&[10, 10]));
    assert!(rule(&[10]).contains("class sizes"));
}
