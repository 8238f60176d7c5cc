//! Mistakes found in published implementations of these methods, each a test.

use fairprune::prune::{
    Centre, Direction, Features, Inputs, Population, Probabilities, QuotaOptions, QuotaRule, Scope,
    Score, Selector, Wanted, cal, class_distances, last_layer_grand, least_confidence, ranking,
};

use super::properties::{SCOPES, nests, variants};
use super::sample::{Data, counts, of_class};

/// Herding with argmax walks away from the mean instead of towards it.
#[test]
fn herding_takes_the_least_distance_not_the_greatest() {
    let features = [0.0, 1.0, 2.0, 3.0, 10.0];
    let mut data = line(&features);
    let picks = |data: &Data| data.pick(Selector::Herding, Scope::Whole, &Wanted::of_any(3), 0);
    // Mean 3.2. What is missing: 3.2 -> 3, then 6.4 - 3 = 3.4 -> 2, then 9.6 - 5 = 4.6 -> 1 (3.6
    // away, 10 is 5.4 away).
    assert_eq!(picks(&data).order, [3, 2, 1]);

    // The mean of the picks stays within the spread of one sample over their number.
    data = Data::random(400, 8, 1);
    let mean = |of: &[usize]| -> Vec<f64> {
        let value = |i: usize, k: usize| f64::from(data.features[i * 8 + k]);
        (0..8).map(|k| of.iter().map(|&i| value(i, k)).sum::<f64>() / of.len() as f64).collect()
    };
    let goal = mean(&data.eligible);
    let order = data.pick(Selector::Herding, Scope::Whole, &Wanted::of_any(50), 0).order;
    let away = |of: &[usize]| -> f64 {
        mean(of).iter().zip(&goal).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    assert!(away(&order) < 0.05, "{}", away(&order));
    assert!(away(&order) * 5.0 < away(&data.eligible[..50]));
}

/// One class on a line.
fn line(features: &[f32]) -> Data {
    let n = features.len();
    Data {
        dims: 1,
        classes: 1,
        labels: vec![0; n],
        eligible: (0..n).collect(),
        features: features.to_vec(),
        probabilities: vec![1.0; n],
        score: vec![0.0; n],
        margin: vec![0.0; n],
        confidence: vec![0.5; n],
        ..Data::default()
    }
}

/// Contrastive samples, near in features and far in prediction, are kept and not dropped.
#[test]
fn cal_keeps_the_highest_divergence() {
    let n = 12;
    let features: Vec<f32> = (0..n).map(|i| i as f32 / 100.0).collect();
    let odd = 7;
    let probabilities: Vec<f32> =
        (0..n).flat_map(|i| if i == odd { [0.1, 0.9] } else { [0.9, 0.1] }).collect();
    let (labels, eligible) = (vec![0; n], (0..n).collect::<Vec<_>>());
    let population = Population { labels: &labels, eligible: &eligible, classes: 2 };
    let features = Features::new(&features, 1).unwrap();
    let probabilities = Probabilities::new(&probabilities, 2).unwrap();
    let score = cal(population, features, probabilities, 10, 0).unwrap();
    assert_eq!(ranking(&eligible, score.order(), 0).unwrap()[0], odd);
    // (.9 - .1) (ln .9 - ln .1) twice.
    assert!((score.values[odd] - 1.6 * 9f64.ln()).abs() < 1e-6);
    assert!(score.values.iter().filter(|v| **v < 0.2 * score.values[odd]).count() == n - 1);
}

/// Uncertainty scores keep what the network is unsure of.
#[test]
fn least_confidence_keeps_the_least_confident() {
    let probabilities = [0.5, 0.3, 0.2, 0.98, 0.01, 0.01, 0.4, 0.35, 0.25];
    let population = Population { labels: &[0, 1, 2], eligible: &[0, 1, 2], classes: 3 };
    let probabilities = Probabilities::new(&probabilities, 3).unwrap();
    let score = least_confidence(population, probabilities).unwrap();
    assert_eq!(score.direction, Direction::KeepLowest);
    assert_eq!(ranking(&[0, 1, 2], score.order(), 0).unwrap(), [2, 0, 1]);
}

/// A mask forgets the order of the picks; then the tenth need not lie inside the fifth.
#[test]
fn the_tenth_lies_inside_the_fifth() {
    let data = Data::random(120, 6, 2);
    for selector in variants().into_iter().filter(nests) {
        let picks = |n| data.pick(selector, Scope::Whole, &Wanted::of_any(n), 4).order;
        let (tenth, fifth) = (picks(12), picks(24));
        assert_eq!(fifth[..12], tenth, "{selector}");
        let mut sorted = fifth.clone();
        sorted.sort_unstable();
        assert_ne!(sorted, fifth, "{selector} picks in the order of the data set");
    }
}

/// Samples that cannot be told apart, in a folder data set whose labels ascend with the position:
/// an index decides nothing.
#[test]
fn ties_favour_no_class_and_no_position() {
    let n = 12;
    let mut data = line(&[1.5; 12]);
    data.classes = 3;
    data.labels = (0..n as u32).map(|i| i / 4).collect();
    data.probabilities = [0.5, 0.25, 0.25].repeat(n);
    // The same residual for all: gradients of one class only would differ from the others'.
    data.validation_features = vec![1.5; 3];
    data.validation_probabilities = [0.5, 0.25, 0.25].repeat(3);
    data.validation_labels = vec![0, 1, 2];
    for selector in variants() {
        let labels_matter = selector.needs().contains(&fairprune::prune::Need::Probabilities)
            && selector.needs().contains(&fairprune::prune::Need::Features);
        let mut picked = vec![0u32; n];
        let seeds = 600;
        for seed in 0..seeds {
            let (scope, wanted) = match labels_matter {
                true => (Scope::Class, Wanted::of_classes(vec![1, 1, 1])),
                false => (Scope::Whole, Wanted::of_any(3)),
            };
            for i in data.pick(selector, scope, &wanted, seed).order {
                picked[i] += 1;
            }
        }
        // 150 expected, standard deviation 10.6.
        assert!(picked.iter().all(|n| (100..=200).contains(n)), "{selector}: {picked:?}");
    }
}

/// A class removed from a list while the list is walked makes its neighbour escape.
#[test]
fn two_classes_that_are_full_in_one_round_are_both_served() {
    let mut data = Data::random(60, 4, 6);
    data.labels = (0..60)
        .map(|i| {
            if i < 4 {
                0
            } else if i < 8 {
                1
            } else {
                2
            }
        })
        .collect();
    let quota = QuotaOptions { rule: QuotaRule::Balanced, ..QuotaOptions::default() };
    let wanted = Wanted::new(data.population(), 0.4, Some(&quota), 0).unwrap();
    for selector in variants() {
        for scope in SCOPES {
            let order = data.pick(selector, scope, &wanted, 0).order;
            assert_eq!(counts(&data, &order), [4, 4, 16], "{selector} {scope}");
        }
    }
}

/// `round(fraction * n_c)` in each class drifts from the total.
#[test]
fn totals_do_not_drift_with_the_number_of_classes() {
    let mut data = Data::random(70, 4, 6);
    // Ten classes of 7: half of each is 3.5.
    data.labels = (0..70).map(|i| i % 10).collect();
    data.classes = 10;
    data.probabilities = vec![0.1; 700];
    data.validation_probabilities = vec![0.1; 90];
    let wanted = Wanted::new(data.population(), 0.5, None, 1).unwrap();
    for selector in [Selector::Herding, Selector::CoreSet { start: Default::default() }] {
        let order = data.pick(selector, Scope::Class, &wanted, 1).order;
        assert_eq!(order.len(), 35);
        assert!(counts(&data, &order).iter().all(|n| (3..=4).contains(n)));
    }
}

/// "GraNd" that silently is the last layer only; and per-sample values that shrink with the batch.
#[test]
fn the_last_layer_is_named_as_such_and_depends_on_no_batch() {
    let data = Data::random(40, 5, 9);
    let (features, probabilities) = (data.features(), data.probabilities());
    let all = last_layer_grand(data.population(), features, probabilities).unwrap();
    assert!(all.variant.contains("last layer only"));
    assert_eq!(all.direction, Direction::KeepHighest);
    for &i in &data.eligible {
        // The outer product written out.
        let row = |values: &[f32], width: usize| values[i * width..][..width].to_vec();
        let mut residual = row(&data.probabilities, 3);
        residual[data.labels[i] as usize] -= 1.0;
        let inputs = [row(&data.features, 5), vec![1.0]].concat();
        let square: f64 = residual
            .iter()
            .flat_map(|&r| inputs.iter().map(move |&h| f64::from(r) * f64::from(h)))
            .map(|g| g * g)
            .sum();
        assert!((all.values[i] - square.sqrt()).abs() < 1e-9 * square.sqrt());
        let alone = Population { eligible: &[i], ..data.population() };
        let alone = last_layer_grand(alone, features, probabilities).unwrap();
        assert_eq!(alone.values[i], all.values[i]);
        assert_eq!(alone.values.iter().filter(|v| v.is_nan()).count(), 39);
    }
}

/// Scores come in data-set order, whatever the order of the eligible list.
#[test]
fn scores_can_be_mapped_back_to_samples() {
    let features = [0.0, 10.0, 1.0, 14.0, 5.0, 12.0];
    let population =
        Population { labels: &[0, 1, 0, 1, 0, 1], eligible: &[5, 4, 3, 2, 1, 0], classes: 2 };
    let features = Features::new(&features, 1).unwrap();
    let score = class_distances(population, features, Centre::Mean).unwrap();
    assert_eq!(score.values, [2.0, 2.0, 1.0, 2.0, 3.0, 0.0]);
    assert_eq!(ranking(&[0, 1, 2, 3, 4, 5], score.order(), 0).unwrap()[0], 4);
    let score = class_distances(population, features, Centre::Median).unwrap();
    assert_eq!(score.values, [1.0, 2.0, 0.0, 2.0, 4.0, 0.0]);
}

/// CCS drops the hardest (the lowest margins), not the easiest, and its strata have equal widths,
/// not equal numbers of samples.
#[test]
fn ccs_drops_the_hardest_and_divides_the_range() {
    let n = 100;
    let mut data = line(&vec![0.0; n]);
    // The score crowds at 0: 90 samples below 1, then 2, 3, ..., 10.
    data.score = (0..n).map(|i| if i < 91 { i as f64 / 91.0 } else { (i - 89) as f64 }).collect();
    data.margin = (0..n).map(|i| -((i * 37 % n) as f64)).collect();
    let selector = Selector::Ccs { beta: 0.1, strata: 10 };
    let picks = |count| data.pick(selector, Scope::Whole, &Wanted::of_any(count), 5).order;
    let hardest = |i: &usize| data.margin[*i] < -89.5;
    assert!(!picks(90).iter().any(hardest));
    assert_eq!(picks(100).iter().filter(|i| hardest(i)).count(), 10);
    // Of the strata (0..1), (1..2), ... the sparse ones are kept whole.
    let sparse = (91..n).filter(|i| !hardest(i)).count();
    let kept = picks(20);
    assert_eq!(kept.iter().filter(|&&i| i >= 91).count(), sparse);
    // The order is random inside the crowded stratum.
    let crowded: Vec<usize> = kept.iter().copied().filter(|&i| i < 91).collect();
    assert!(crowded.windows(2).any(|pair| pair[0] > pair[1]));

    // The direction belongs to the score: the same with the sign turned.
    let turned: Vec<f64> = data.margin.iter().map(|m| -m).collect();
    let inputs = Inputs {
        hardness: Some(Score { values: &turned, direction: Direction::KeepHighest }),
        ..data.picking(selector, Scope::Whole, 5).inputs
    };
    let picking = fairprune::prune::Picking { inputs, ..data.picking(selector, Scope::Whole, 5) };
    let same = fairprune::prune::pick(data.population(), &picking, &Wanted::of_any(20)).unwrap();
    assert_eq!(same.order, kept);
}

/// Without quotas a class that is picked late is not starved by the others: the classes keep their
/// ratios inside classes, and the order takes turns.
#[test]
fn classes_take_turns() {
    let data = Data::random(90, 4, 12);
    let wanted = Wanted::of_classes(vec![12, 6, 3]);
    let order = data.pick(Selector::Herding, Scope::Class, &wanted, 0).order;
    for n in 1..=21 {
        for (class, count) in counts(&data, &order[..n]).into_iter().enumerate() {
            let share = n as f64 * [12.0, 6.0, 3.0][class] / 21.0;
            assert!((count as f64 - share).abs() <= 1.0, "{count} of class {class} in {n}");
        }
    }
    let alone = Wanted::of_classes(vec![12, 0, 0]);
    let alone = data.pick(Selector::Herding, Scope::Class, &alone, 0).order;
    assert_eq!(of_class(&data, &order, 0), alone);
}
