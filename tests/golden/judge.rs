//! Bounds on the distance from PyTorch's float64 values.
//!
//! Float32 arithmetic cannot be judged across a whole network by counting roundings: batch norm
//! amplifies errors by what the data make of it. The yardstick is therefore measured: the golden
//! file holds how far PyTorch's own float32 strays in the same group of values, in the same units.
//! We may stray [`FACTOR`] times as far, and never have to be closer than [`FLOOR`].

use std::collections::BTreeMap;

use fairprune::tensor::Tensor;

use super::case::Sampled;
use super::inputs::positions;

/// Our error over PyTorch's. Our sums are single chains of up to 4608 terms, oneDNN's are blocked:
/// errors of independent roundings then differ by a factor of about sqrt(4608 / 64), and the
/// largest of many values varies between two correct programs besides.
const FACTOR: f64 = 16.0;
/// 8 units in the last place of the group's root mean square.
const FLOOR: f64 = 8.0 / (1u64 << 24) as f64;

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
}

/// Where ReLUs cut inside channels (a case without `trunk`), one of a few million inputs may lie
/// within rounding of 0 and fall on the other side: the function is continuous there, its gradient
/// is not. The images of these cases were chosen so that this does not happen in the passes whose
/// gradients are compared (`make_golden.py`); later steps get this much.
const KINKS: [(&str, f64); 3] = [("weight_end", 1e-4), ("running_end", 1e-5), ("loss", 1e-5)];

/// Judges groups of one golden file.
pub struct Judge<'a> {
    /// PyTorch's own errors, a group each.
    pub errors: &'a BTreeMap<String, f64>,
    /// Whether [`KINKS`] apply.
    pub kinks: bool,
}

impl Judge<'_> {
    fn limit(&self, group: &str) -> f64 {
        let kink = KINKS.iter().find(|k| self.kinks && k.0 == group).map_or(0.0, |k| k.1);
        (FACTOR * self.errors[group]).max(FLOOR).max(kink)
    }

    /// Largest error of a list, in units of its root mean square.
    pub fn list(&self, group: &str, out: &[f32], golden: &[f64]) {
        report(group, list_error(out, golden), self.limit(group));
    }

    /// Whether [`Judge::list`] would pass.
    pub fn holds(&self, group: &str, out: &[f32], golden: &[f64]) -> bool {
        list_error(out, golden) <= self.limit(group)
    }

    /// Largest error of a sampled value, in units of the tensor's root mean square, and of a
    /// tensor's norm and sum, in units of its norm: what independent errors add up to.
    ///
    /// Behind a ReLU that is on everywhere, a batch norm's bias shifts a whole channel, the next
    /// batch norm removes the shift, and the true gradient is 0; so it is, always, of the bias of a
    /// convolution before a batch norm. There the error is measured by the weight's gradient, a sum
    /// of terms of the same size.
    pub fn tensors(&self, group: &str, out: &BTreeMap<String, Tensor>, golden: &Sampled) {
        assert!(out.keys().eq(golden.keys()), "{group}: tensors differ");
        let size = |name: &str| golden[name][0] / (out[name].data.len() as f64).sqrt();
        let mut worst = (0.0, String::new());
        for (name, golden) in golden {
            let data: Vec<f64> = out[name].data.iter().map(|&v| v.into()).collect();
            let weight = name.strip_suffix("bias").map(|layer| format!("{layer}weight"));
            let weight = weight.filter(|w| out[w].shape.len() != 2);
            let unit = weight.map_or(0.0, |w| size(&w)).max(size(name));
            let total = unit * (data.len() as f64).sqrt();
            let norm = data.iter().map(|v| v * v).sum::<f64>().sqrt();
            let mut error = worse((norm - golden[0]).abs() / total, 0.0);
            error = worse((data.iter().sum::<f64>() - golden[1]).abs() / total, error);
            for (&at, &value) in positions(data.len(), golden.len() - 2).iter().zip(&golden[2..]) {
                error = worse((data[at] - value).abs() / unit, error);
            }
            if error.is_nan() || error > worst.0 {
                worst = (error, name.clone());
            }
        }
        report(&format!("{group} ({})", worst.1), worst.0, self.limit(group));
    }
}

fn list_error(out: &[f32], golden: &[f64]) -> f64 {
    assert_eq!(out.len(), golden.len());
    let unit = rms(golden);
    let errors_of = out.iter().zip(golden).map(|(&o, &g)| (f64::from(o) - g).abs() / unit);
    errors_of.fold(0.0, worse)
}

fn report(what: &str, worst: f64, limit: f64) {
    println!("{what}: {worst:.2e} of {limit:.2e}");
    assert!(worst <= limit, "{what}: error {worst:.3e}, bound {limit:.3e}");
}

/// The larger error; NaN is the largest.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}
