//! Input that cannot be used, and input at the edge of what can.

use fairprune::prune::{
    Centre, Direction, Features, Inputs, KMeans, Order, Picking, Picks, Probabilities, Scope,
    Score, Selection, Selector, Validation, Wanted, cal, class_distances, last_layer_grand,
    least_confidence, pick, prototype_distances, select,
};

use super::properties::{SCOPES, variants};
use super::sample::{Data, counts};

fn says<T: std::fmt::Debug>(result: fairprune::error::Result<T>, words: &[&str]) {
    let message = result.unwrap_err().to_string();
    assert!(words.iter().all(|w| message.contains(w)), "{message}");
}

fn attempt(
    data: &Data,
    inputs: Inputs,
    selector: Selector,
    scope: Scope,
    wanted: Wanted,
) -> fairprune::error::Result<Picks> {
    let picking = Picking { inputs, ..data.picking(selector, scope, 0) };
    pick(data.population(), &picking, &wanted)
}

#[test]
fn values_that_are_no_numbers_are_named() {
    let good = Data::random(30, 4, 0);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e16] {
        let mut data = good.clone();
        data.features[17 * 4 + 2] = bad;
        let words = ["training sample 17", "dimension 2"];
        for selector in variants() {
            let needs_features = format!("{:?}", selector.needs()).contains("Features");
            for scope in SCOPES {
                let found = attempt(&data, data.inputs(), selector, scope, Wanted::of_any(20));
                match needs_features {
                    true => says(found, &words),
                    false => assert_eq!(found.unwrap().order.len(), 20),
                }
            }
        }
        let (population, features) = (data.population(), data.features());
        says(class_distances(population, features, Centre::Median), &words);
        says(prototype_distances(population, features, KMeans::new(2), 0), &words);
        says(cal(population, features, data.probabilities(), 3, 0), &words);
        says(last_layer_grand(population, features, data.probabilities()), &words);
        // Held out, the same value harms nobody.
        data.eligible.retain(|&i| i != 17);
        for selector in variants() {
            attempt(&data, data.inputs(), selector, Scope::Class, Wanted::of_any(5)).unwrap();
        }
    }
    for bad in [f64::NAN, f64::INFINITY] {
        let mut data = good.clone();
        data.score[4] = bad;
        for name in ["ccs", "d2", "beta-sampling", "difficulty-window"] {
            let selector = name.parse().unwrap();
            let found = attempt(&data, data.inputs(), selector, Scope::Whole, Wanted::of_any(3));
            says(found, &["training sample 4", &bad.to_string()]);
        }
    }
    let mut data = good;
    data.probabilities[5 * 3] = -0.25;
    says(least_confidence(data.population(), data.probabilities()), &["sample 5", "-0.25"]);
    for name in ["craig", "grad-match", "glister", "contextual-diversity"] {
        let selector = name.parse().unwrap();
        let found = attempt(&data, data.inputs(), selector, Scope::Whole, Wanted::of_any(3));
        says(found, &["sample 5", "-0.25"]);
    }
}

#[test]
fn missing_inputs_are_named() {
    let data = Data::random(12, 3, 0);
    for selector in variants() {
        let found = attempt(&data, Inputs::default(), selector, Scope::Whole, Wanted::of_any(2));
        says(found, &[selector.name(), "no "]);
        for need in selector.needs() {
            let mut inputs = data.inputs();
            let name = match need {
                fairprune::prune::Need::Features => {
                    inputs.features = None;
                    "features"
                }
                fairprune::prune::Need::Probabilities => {
                    inputs.probabilities = None;
                    "probabilities"
                }
                fairprune::prune::Need::Score => {
                    inputs.score = None;
                    "score"
                }
                fairprune::prune::Need::Confidence => {
                    inputs.confidence = None;
                    "confidence"
                }
                fairprune::prune::Need::Validation => {
                    inputs.validation = None;
                    "validation set"
                }
            };
            let found = attempt(&data, inputs, selector, Scope::Class, Wanted::of_any(2));
            says(found, &[selector.name(), name]);
        }
    }
}

#[test]
fn no_samples_no_dimensions_too_few_rows() {
    assert!(Features::new(&[], 0).is_err());
    assert!(Probabilities::new(&[], 0).is_err());
    let empty = Data { dims: 3, classes: 2, ..Data::default() };
    let short = Data { features: vec![0.0; 9], ..Data::random(30, 3, 0) };
    for selector in variants() {
        for scope in SCOPES {
            let picking = Picking {
                inputs: Inputs { validation: None, ..Data::random(1, 3, 0).inputs_of(&empty) },
                ..short.picking(selector, scope, 0)
            };
            says(pick(empty.population(), &picking, &Wanted::of_any(0)), &["none"]);
            if format!("{:?}", selector.needs()).contains("Features") {
                let found = attempt(&short, short.inputs(), selector, scope, Wanted::of_any(9));
                says(found, &["3 rows", "position"]);
            }
        }
    }
}

impl Data {
    /// Inputs of `other`, for a population without samples.
    fn inputs_of<'a>(&self, other: &'a Data) -> Inputs<'a> {
        Inputs {
            features: Some(Features::new(&other.features, 3).unwrap()),
            probabilities: Some(Probabilities::new(&other.probabilities, 2).unwrap()),
            score: Some(Score { values: &other.score, direction: Direction::KeepLowest }),
            ..Inputs::default()
        }
    }
}

#[test]
fn budgets_from_nothing_to_everything_and_beyond() {
    let data = Data::random(25, 3, 1);
    let sizes = data.sizes();
    for selector in variants() {
        for scope in SCOPES {
            let picks = |wanted| attempt(&data, data.inputs(), selector, scope, wanted);
            let none = picks(Wanted::of_any(0)).unwrap();
            assert!(none.order.is_empty() && none.weights.unwrap_or_default().is_empty());
            assert!(picks(Wanted::of_classes(vec![0; 3])).unwrap().order.is_empty());
            for wanted in [Wanted::of_any(25), Wanted::of_classes(sizes.clone())] {
                let mut all = picks(wanted).unwrap().order;
                all.sort_unstable();
                assert_eq!(all, data.eligible, "{selector} {scope}");
            }
            says(picks(Wanted::of_any(26)), &["26", "at most 25"]);
            let beyond = vec![0, sizes[1] + 1, 0];
            says(picks(Wanted::of_classes(beyond)), &["class 1", "at most"]);
            says(picks(Wanted::of_classes(vec![1; 2])), &["2 values", "3"]);
            says(picks(Wanted::of_classes(vec![usize::MAX, 2, 0])), &["at most 25"]);
        }
    }
    says(Wanted::new(data.population(), 1.5, None, 0), &["density", "1.5"]);
}

#[test]
fn classes_of_one_sample_and_of_none() {
    let mut data = Data::random(20, 3, 1);
    // Class 0 has one sample, class 1 none; labels say 3 classes.
    data.labels = (0..20).map(|i| if i == 7 { 0 } else { 2 }).collect();
    for selector in variants() {
        for scope in SCOPES {
            let wanted = Wanted::of_classes(vec![1, 0, 5]);
            let order = attempt(&data, data.inputs(), selector, scope, wanted).unwrap().order;
            assert_eq!(counts(&data, &order), [1, 0, 5], "{selector} {scope}");
            let all = attempt(&data, data.inputs(), selector, scope, Wanted::of_any(20)).unwrap();
            assert_eq!(counts(&data, &all.order), [1, 0, 19]);
        }
    }
    let single = Data { eligible: vec![7], ..data.clone() };
    for selector in variants() {
        let order = single.pick(selector, Scope::Whole, &Wanted::of_any(1), 0).order;
        assert_eq!(order, [7]);
    }
    let (population, features) = (single.population(), single.features());
    let scores = [
        class_distances(population, features, Centre::Mean).unwrap(),
        prototype_distances(population, features, KMeans::new(1), 0).unwrap(),
        cal(population, features, single.probabilities(), 10, 0).unwrap(),
    ];
    for score in scores {
        assert!(score.values[7].abs() < 1e-6, "{}: {}", score.variant, score.values[7]);
    }
}

#[test]
fn identical_zero_and_extreme_features() {
    let good = Data::random(40, 5, 2);
    for value in [0.0f32, 1e15, -1e15, 3.25] {
        let data = Data { features: vec![value; 200], ..good.clone() };
        for selector in variants() {
            for scope in SCOPES {
                let picks =
                    attempt(&data, data.inputs(), selector, scope, Wanted::of_any(30)).unwrap();
                assert_eq!(picks.order.len(), 30, "{selector} {scope} at {value}");
                assert!(picks.weights.unwrap_or_default().iter().all(|w| w.is_finite()));
            }
        }
        let (population, features) = (data.population(), data.features());
        let ssp = class_distances(population, features, Centre::Mean).unwrap();
        assert!(ssp.values.iter().all(|&v| v == 0.0));
        let options = KMeans::new(4);
        let near = prototype_distances(population, features, options, 0).unwrap();
        let expected = if value == 0.0 { 1.0 } else { 0.0 };
        assert!(near.values.iter().all(|v| (v - expected).abs() < 5e-6), "{near:?}");
        assert!(cal(population, features, data.probabilities(), 99, 0).is_ok());
    }
    // Both ends of the range in one set.
    let mut data = good;
    data.features[..5].fill(1e15);
    data.features[5..10].fill(-1e15);
    data.features[10..15].fill(1e-30);
    for selector in variants() {
        let order = data.pick(selector, Scope::Whole, &Wanted::of_any(40), 0).order;
        assert_eq!(order.len(), 40);
    }
}

#[test]
fn certain_predictions_are_no_obstacle() {
    let mut data = Data::random(30, 4, 3);
    for (i, row) in data.probabilities.chunks_mut(3).enumerate() {
        row.fill(0.0);
        // Right, except for every fifth.
        row[(data.labels[i] as usize + usize::from(i % 5 == 0)) % 3] = 1.0;
    }
    data.validation_probabilities = [0.0, 1.0, 0.0].repeat(9);
    for selector in variants() {
        for scope in SCOPES {
            let picks = attempt(&data, data.inputs(), selector, scope, Wanted::of_any(25)).unwrap();
            assert_eq!(picks.order.len(), 25, "{selector} {scope}");
            assert!(picks.weights.unwrap_or_default().iter().all(|w| w.is_finite()));
        }
    }
    let score = cal(data.population(), data.features(), data.probabilities(), 5, 0).unwrap();
    assert!(score.values.iter().all(|v| v.is_finite()));
}

#[test]
fn options_out_of_range_are_named() {
    let data = Data::random(12, 3, 0);
    let bad = [
        (Selector::GraphCut { space: Default::default(), lambda: -1.0 }, "lambda"),
        (Selector::GraphCut { space: Default::default(), lambda: f64::NAN }, "lambda"),
        (Selector::GradMatch { lambda: 0.0 }, "lambda"),
        (Selector::GradMatch { lambda: f64::INFINITY }, "lambda"),
        (Selector::Glister { step: f64::NAN, refresh: 1 }, "step"),
        (Selector::Glister { step: 0.1, refresh: 0 }, "refresh"),
        (Selector::Ccs { beta: 1.5, strata: 50 }, "beta"),
        (Selector::Ccs { beta: f64::NAN, strata: 50 }, "beta"),
        (Selector::Ccs { beta: 0.1, strata: 0 }, "strata"),
        (Selector::Ccs { beta: 0.1, strata: usize::MAX }, "strata"),
        (Selector::D2 { neighbours: 5, forward: -1.0, reverse: 0.1 }, "forward"),
        (Selector::D2 { neighbours: 5, forward: 1.0, reverse: f64::INFINITY }, "reverse"),
    ];
    for (selector, option) in bad {
        let found = attempt(&data, data.inputs(), selector, Scope::Whole, Wanted::of_any(3));
        says(found, &[option, selector.name()]);
    }
    let (population, features) = (data.population(), data.features());
    for clusters in [0, 13, usize::MAX] {
        let found = prototype_distances(population, features, KMeans::new(clusters), 0);
        says(found, &["clusters", "12"]);
    }
    // Fewer neighbours than asked for, or none, are what there is.
    for neighbours in [0, 11, 12, usize::MAX] {
        let selector = Selector::D2 { neighbours, forward: 1.0, reverse: 0.1 };
        assert_eq!(data.pick(selector, Scope::Whole, &Wanted::of_any(12), 0).order.len(), 12);
        cal(population, features, data.probabilities(), neighbours, 0).unwrap();
    }
    for name in ["", "core-set", "Herding"] {
        says(name.parse::<Selector>(), &["coreset", "herding"]);
    }
    for selector in Selector::ALL {
        assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
    }
    says("both".parse::<Scope>(), &["class", "whole"]);
}

#[test]
fn validation_sets_must_fit() {
    let data = Data::random(30, 4, 0);
    let glister: Selector = "glister".parse().unwrap();
    let given = data.inputs().validation.unwrap();
    let with = |validation: Validation, scope| {
        let inputs = Inputs { validation: Some(validation), ..data.inputs() };
        attempt(&data, inputs, glister, scope, Wanted::of_any(5))
    };
    assert!(with(given, Scope::Class).is_ok());
    let narrow = Features::new(&data.validation_features, 3).unwrap();
    says(with(Validation { features: narrow, ..given }, Scope::Whole), &["validation set"]);
    says(with(Validation { labels: &[0; 8], ..given }, Scope::Whole), &["validation set", "8"]);
    says(with(Validation { labels: &[3; 9], ..given }, Scope::Whole), &["found 3", "below 3"]);
    // No sample of class 1 to lower the loss of.
    let two = Validation { labels: &[0, 0, 0, 0, 0, 2, 2, 2, 2], ..given };
    says(with(two, Scope::Class), &["validation set", "class 1"]);
    assert!(with(two, Scope::Whole).is_ok());
    let nothing = Validation {
        features: Features::new(&[], 4).unwrap(),
        probabilities: Probabilities::new(&[], 3).unwrap(),
        labels: &[],
    };
    says(with(nothing, Scope::Whole), &["validation set", "no sample"]);
    let nan = [f32::NAN; 36];
    let nan = Validation { features: Features::new(&nan, 4).unwrap(), ..given };
    says(with(nan, Scope::Whole), &["NaN"]);
}

#[test]
fn labels_beyond_the_predictions_are_named() {
    let mut data = Data::random(30, 4, 0);
    data.classes = 4;
    data.labels[11] = 3;
    let narrow = Inputs {
        probabilities: Some(Probabilities::new(&data.probabilities, 3).unwrap()),
        validation: None,
        features: Some(data.features()),
        ..Inputs::default()
    };
    for selector in [Selector::Craig, Selector::GradMatch { lambda: 0.5 }] {
        let picking = Picking {
            selector,
            scope: Scope::Whole,
            inputs: narrow,
            seed: 0,
            memory: fairprune::prune::MEMORY,
        };
        let found = pick(data.population(), &picking, &Wanted::of_any(3));
        says(found, &["sample 11", "below 3"]);
    }
}

#[test]
fn grad_match_says_how_much_memory_it_needs() {
    let data = Data::random(30, 4, 0);
    let selector = Selector::GradMatch { lambda: 0.5 };
    let small = Picking { memory: 1000, ..data.picking(selector, Scope::Whole, 0) };
    says(
        pick(data.population(), &small, &Wanted::of_any(20)),
        &["bytes", "20 picks of 30", "1000"],
    );
}

#[test]
fn picks_that_do_not_fill_the_budget_are_refused() {
    let data = Data::random(30, 4, 0);
    let order = [3, 9, 1];
    let subset = |density| {
        let order = Order::Picked(&order);
        select(data.population(), &Selection { order, quota: None, density, seed: 0 })
    };
    assert_eq!(subset(0.1).unwrap().kept, [1, 3, 9]);
    says(subset(0.2), &["picks", "3", "6 samples"]);
}
