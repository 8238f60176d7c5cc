//! Bounds on the distance from PyTorch's float64 values.
//!
//! Float32 arithmetic cannot be judged across a whole network by counting roundings: batch norm
//! amplifies errors by what the data make of it. The yardstick is therefore measured: the golden
//! file holds how far PyTorch's own float32 strays in the same group of values, in the same units.
//! We may stray [`FACTOR`] times as far, as our sums run in another order, and never have to be
//! closer than [`FLOOR`].

use std::collections::BTreeMap;

use fairprune::tensor::Tensor;

use super::case::Sampled;
use super::inputs::positions;

/// Our error over PyTorch's: the largest of many values differs between two correct programs.
const FACTOR: f64 = 4.0;
/// 8 units in the last place of the group's root mean square.
const FLOOR: f64 = 8.0 / (1u64 << 24) as f64;

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
}

/// The bound of a group.
fn limit(errors: &BTreeMap<String, f64>, group: &str) -> f64 {
    (FACTOR * errors[group]).max(FLOOR)
}

fn report(what: &str, worst: f64, limit: f64) {
    println!("{what}: {worst:.2e} of {limit:.2e}");
    assert!(worst <= limit, "{what}: error {worst:.3e}, bound {limit:.3e}");
}

/// The larger error; NaN stays.
fn worse(a: f64, b: f64) -> f64 {
    if a >= b { a } else { b }
}

/// Largest error of a list, in units of its root mean square.
pub fn list(errors: &BTreeMap<String, f64>, group: &str, out: &[f32], golden: &[f64]) {
    assert_eq!(out.len(), golden.len(), "{group}");
    let unit = rms(golden);
    let errors_of = out.iter().zip(golden).map(|(&o, &g)| (f64::from(o) - g).abs() / unit);
    report(group, errors_of.fold(0.0, |a, b| worse(b, a)), limit(errors, group));
}

/// Largest error of a sampled value, of a norm and of a sum, in units of the tensor's root mean
/// square (of its norm, for norm and sum: what independent errors add up to).
pub fn tensors(
    errors: &BTreeMap<String, f64>,
    group: &str,
    out: &BTreeMap<String, Tensor>,
    golden: &Sampled,
) {
    let names = |n: &mut dyn Iterator<Item = &String>| n.cloned().collect::<Vec<String>>();
    assert_eq!(names(&mut out.keys()), names(&mut golden.keys()), "{group}");
    let mut worst = (0.0, String::new());
    for (name, golden) in golden {
        let data: Vec<f64> = out[name].data.iter().map(|&v| v.into()).collect();
        let norm = golden[0];
        let unit = norm / (data.len() as f64).sqrt();
        let own = data.iter().map(|v| v * v).sum::<f64>().sqrt();
        let mut error =
            worse((own - norm).abs() / norm, (data.iter().sum::<f64>() - golden[1]).abs() / norm);
        for (&at, &value) in positions(data.len(), golden.len() - 2).iter().zip(&golden[2..]) {
            error = worse((data[at] - value).abs() / unit, error);
        }
        if !(error <= worst.0) {
            worst = (error, name.clone());
        }
    }
    report(&format!("{group} ({})", worst.1), worst.0, limit(errors, group));
}
