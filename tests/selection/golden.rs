//! Picks, weights and scores of `tests/golden/selection/make.py`.

use fairprune::prune::{
    ClusterMetric, KMeans, SampleScore, Selector, Wanted, cal, class_distances, last_layer_grand,
    least_confidence, prototype_distances,
};
use serde_json::Value;

use super::sample::{Data, of_labels};

fn golden() -> (Value, Data) {
    let text = include_str!("../golden/selection/selection.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let numbers = |v: &Value| -> Vec<f64> {
        v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let floats = |v: &Value| -> Vec<f32> { numbers(v).into_iter().map(|v| v as f32).collect() };
    let labels = |v: &Value| -> Vec<u32> { numbers(v).into_iter().map(|v| v as u32).collect() };
    let validation = &file["validation"];
    let (labels_of_all, probabilities) = (labels(&file["labels"]), floats(&file["probabilities"]));
    let classes = file["classes"].as_u64().unwrap() as usize;
    let data = Data {
        confidence: of_labels(&probabilities, &labels_of_all, classes),
        dims: file["dims"].as_u64().unwrap() as usize,
        classes,
        labels: labels_of_all,
        eligible: positions(&file["eligible"]),
        features: floats(&file["features"]),
        probabilities,
        score: numbers(&file["score"]),
        margin: numbers(&file["margin"]),
        validation_features: floats(&validation["features"]),
        validation_probabilities: floats(&validation["probabilities"]),
        validation_labels: labels(&validation["labels"]),
    };
    (file, data)
}

fn positions(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn selector(name: &str, options: &Value) -> Selector {
    let number = |key: &str| options[key].as_f64().unwrap();
    let count = |key: &str| options[key].as_u64().unwrap() as usize;
    let text = |key: &str| options[key].as_str().unwrap();
    let mut selector: Selector = name.parse().unwrap();
    match &mut selector {
        Selector::CoreSet { start } | Selector::ContextualDiversity { start } => {
            *start = text("start").parse().unwrap();
        }
        Selector::Herding | Selector::Craig => {}
        Selector::FacilityLocation { space } => *space = text("space").parse().unwrap(),
        Selector::GraphCut { space, lambda } => {
            *space = text("space").parse().unwrap();
            *lambda = number("lambda");
        }
        Selector::GradMatch { lambda } => *lambda = number("lambda"),
        Selector::Glister { step, refresh } => {
            (*step, *refresh) = (number("step"), count("refresh"));
        }
        Selector::Moderate { centre } => *centre = text("centre").parse().unwrap(),
        Selector::Ccs { beta, strata } => (*beta, *strata) = (number("beta"), count("strata")),
        Selector::BetaSampling { exponent } => *exponent = number("exponent"),
        Selector::Window { endpoint } => *endpoint = number("endpoint"),
        Selector::D2 { neighbours, forward, reverse } => {
            *neighbours = count("neighbours");
            (*forward, *reverse) = (number("forward"), number("reverse"));
        }
    }
    selector
}

#[test]
fn every_method_picks_what_numpy_picks() {
    let (file, data) = golden();
    let seed = file["seed"].as_u64().unwrap();
    let cases = file["cases"].as_array().unwrap();
    for method in Selector::ALL {
        let of_method = cases.iter().filter(|c| c["method"] == method.name());
        let scopes: Vec<&Value> = of_method.map(|c| &c["scope"]).collect();
        assert!(scopes.iter().any(|s| **s == "class") && scopes.iter().any(|s| **s == "whole"));
    }
    for case in cases {
        let selector = selector(case["method"].as_str().unwrap(), &case["options"]);
        let wanted = match case["wanted"].as_u64() {
            Some(total) => Wanted::of_any(total as usize),
            None => Wanted::of_classes(positions(&case["wanted"])),
        };
        let scope = case["scope"].as_str().unwrap().parse().unwrap();
        let picks = data.pick(selector, scope, &wanted, seed);
        let what = format!("{selector} {} {scope} {wanted:?}", selector.variant());
        assert_eq!(picks.order, positions(&case["order"]), "{what}");
        assert_eq!(picks.weights.is_some(), case["weights"].is_array(), "{what}");
        assert_eq!(picks.weights.is_some(), selector.gives_weights());
        for (i, weight) in picks.weights.into_iter().flatten().enumerate() {
            let expected = case["weights"][i].as_f64().unwrap();
            assert!((weight - expected).abs() <= 2e-6, "{what}: weight {weight}, not {expected}");
        }
    }
}

#[test]
fn scores_are_those_of_numpy_in_data_set_order() {
    let (file, data) = golden();
    let seed = file["seed"].as_u64().unwrap();
    let (population, features) = (data.population(), data.features());
    let probabilities = data.probabilities();
    let prototypes = |clusters, metric| {
        let options = KMeans { metric, ..KMeans::new(clusters) };
        prototype_distances(population, features, options, seed)
    };
    let found: [(&str, SampleScore); 7] = [
        ("ssp", class_distances(population, features, "mean".parse().unwrap()).unwrap()),
        ("ssp-median", class_distances(population, features, "median".parse().unwrap()).unwrap()),
        ("prototypes-cosine", prototypes(3, ClusterMetric::Cosine).unwrap()),
        ("prototypes-euclidean", prototypes(4, ClusterMetric::Euclidean).unwrap()),
        ("last-layer-grand", last_layer_grand(population, features, probabilities).unwrap()),
        ("least-confidence", least_confidence(population, probabilities).unwrap()),
        ("cal", cal(population, features, probabilities, 10, seed).unwrap()),
    ];
    assert_eq!(file["scores"].as_object().unwrap().len(), found.len());
    for (name, score) in found {
        let expected = file["scores"][name].as_array().unwrap();
        assert_eq!(score.values.len(), expected.len());
        for (position, (&value, expected)) in score.values.iter().zip(expected).enumerate() {
            assert_eq!(value.is_nan(), expected.is_null(), "{name} of {position}");
            if let Some(expected) = expected.as_f64() {
                // Cosines have an absolute error, the rest a relative one.
                let close = (value - expected).abs() <= 3e-6 * expected.abs().max(1.0);
                assert!(close, "{name} of {position}: {value}, not {expected}");
            }
        }
    }
}
