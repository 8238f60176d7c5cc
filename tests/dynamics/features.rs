//! Penultimate features and last-layer gradient norms: what the network's last layer makes of them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fairprune::backend::Cpu;
use fairprune::exec::{ArenaMode, EvaluationSet, Executor, Mode, run_pass};
use fairprune::nn::init::initialise;
use fairprune::ops::loss_score::Field;
use fairprune::reference::loss_score::log_softmax;
use fairprune::reference::{U, judge};
use fairprune::score::features::extract;

use crate::recorded_run::{CLASSES, SAMPLES, executor, part};

fn trained() -> Executor<Cpu> {
    let mut e = executor(Arc::new(Cpu::new(2).unwrap()), false, ArenaMode::Debug);
    let mut weights = initialise(e.network(), 7);
    // A bias, so that a missing one shows.
    weights.tensors.get_mut("fc.bias").unwrap().data.copy_from_slice(&[0.5, -0.25, 0.125, 1.0]);
    e.set_weights(&weights).unwrap();
    e
}

#[test]
fn the_last_layer_makes_the_logits_of_the_features() {
    let (images, labels) = part();
    let images = Arc::new(images);
    let mut e = trained();
    let all: Vec<u32> = (0..SAMPLES as u32).collect();
    let set = EvaluationSet { images: &images, labels: &labels, positions: &all };
    let extracted = extract(&mut e, &set, &AtomicBool::new(false)).unwrap();
    let features = &extracted.features;
    assert_eq!((features.samples(), features.width), (SAMPLES, 16));
    let weights = e.weights().unwrap();
    let (w, b) = (&weights.tensors["fc.weight"].data, &weights.tensors["fc.bias"].data);
    for i in 0..SAMPLES {
        let h = features.row(i);
        let z: Vec<f64> = (0..CLASSES)
            .map(|k| {
                let row = w[k * features.width..][..features.width].iter();
                let sum: f64 = row.zip(h).map(|(&w, &h)| f64::from(w) * f64::from(h)).sum();
                sum + f64::from(b[k])
            })
            .collect();
        let p: Vec<f64> = log_softmax(&z).iter().map(|l| l.exp()).collect();
        let out = &extracted.probabilities[i * CLASSES..][..CLASSES];
        // 16 products and a bias in f32, of terms that sum up to some size.
        let size = h.iter().map(|v| f64::from(v.abs())).sum::<f64>() + 1.0;
        judge(&format!("p of {i}"), out, &p, |_| 40.0 * U * size).unwrap();
        let total: f64 = out.iter().map(|&p| f64::from(p)).sum();
        assert!((total - 1.0).abs() < 4.0 * U, "{total}");
    }
}

/// ||p - onehot(y)|| sqrt(1 + ||h||^2), and the other scores as the forward pass gives them.
#[test]
fn last_layer_norms_are_their_closed_form() {
    let (images, labels) = part();
    let images = Arc::new(images);
    let mut e = trained();
    let all: Vec<u32> = (0..SAMPLES as u32).collect();
    let set = EvaluationSet { images: &images, labels: &labels, positions: &all };
    let extracted = extract(&mut e, &set, &AtomicBool::new(false)).unwrap();
    let forward = e.column(Field::El2n, SAMPLES).unwrap();
    run_pass(&mut e, Mode::LastLayerNorm, &set).unwrap();
    let el2n = e.column(Field::El2n, SAMPLES).unwrap();
    assert_eq!(forward, el2n, "the same forward pass");
    let norms = e.column(Field::Grand, SAMPLES).unwrap();
    for i in 0..SAMPLES {
        let squares: f64 = extracted.features.row(i).iter().map(|&h| f64::from(h).powi(2)).sum();
        let reference = f64::from(el2n[i]) * (1.0 + squares).sqrt();
        let what = format!("norm of {i}");
        // Squares of 4 and 16 values, their product, and a root.
        judge(&what, &[norms[i]], &[reference], |_| 40.0 * U * reference).unwrap();
    }
}

#[test]
fn batches_of_another_size_give_the_same_features() {
    let (images, labels) = part();
    let images = Arc::new(images);
    let mut e = trained();
    let all: Vec<u32> = (0..SAMPLES as u32).collect();
    let set = EvaluationSet { images: &images, labels: &labels, positions: &all };
    let whole = extract(&mut e, &set, &AtomicBool::new(false)).unwrap();
    // The first rows alone: other batches, the last of another size.
    let first = EvaluationSet { positions: &all[..11], ..set };
    let some = extract(&mut e, &first, &AtomicBool::new(false));
    // 11 = 7 + 4, and there is a plan for 4: 25 leaves the same rest.
    let some = some.unwrap();
    assert_eq!(some.features.values[..], whole.features.values[..11 * 16]);
    let shuffled = EvaluationSet { positions: &[1, 0], ..set };
    assert!(extract(&mut e, &shuffled, &AtomicBool::new(false)).is_err());
}
