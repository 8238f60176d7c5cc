//! Early confidence against `tests/golden/dynamics/make_early.py`.

use fairprune::artefact::dynamics::Quantity;
use fairprune::score::{Method, Options, recorded};
use serde_json::Value;

/// Numbers, with NaN for null.
fn numbers(v: &Value) -> Vec<f32> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().map_or(f32::NAN, |v| v as f32)).collect()
}

#[test]
fn early_confidence_is_the_mean_over_the_first_epochs_alone() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/dynamics/scores.json")).unwrap();
    let samples = golden["labels"].as_array().unwrap().len();
    let quantities = golden["quantities"].as_array().unwrap();
    let named = quantities.iter().find(|q| q[0] == "label-probability").unwrap();
    let values = numbers(&named[1]);
    let cases: Value = serde_json::from_str(include_str!("../golden/dynamics/early.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let trajectory = case["trajectory"].as_u64().map(|t| t as usize);
        let options = Options { trajectory, ..Options::default() };
        let found = recorded::score(&[Method::EarlyConfidence], &options, samples, |quantity| {
            assert_eq!(quantity, Quantity::LabelProbability);
            Ok(values.clone())
        });
        let found = &found.unwrap()[0].1;
        for (i, (found, expected)) in found.iter().zip(numbers(&case["values"])).enumerate() {
            let same = found.is_nan() && expected.is_nan() || (found - expected).abs() <= 2e-7;
            assert!(same, "{trajectory:?} epochs, sample {i}: {found} is not {expected}");
        }
    }
    // DUAL's own number of epochs is the default.
    let whole = recorded::score(&[Method::EarlyConfidence], &Options::default(), samples, |_| {
        Ok(values.clone())
    });
    let thirty = Options { trajectory: Some(30), ..Options::default() };
    let stated =
        recorded::score(&[Method::EarlyConfidence], &thirty, samples, |_| Ok(values.clone()));
    let bits = |scores: &[(Method, Vec<f32>)]| -> Vec<u32> {
        scores[0].1.iter().map(|v| v.to_bits()).collect()
    };
    assert_eq!(bits(&whole.unwrap()), bits(&stated.unwrap()));
}
