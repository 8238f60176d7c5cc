//! The optimiser against PyTorch.

use fairprune::backend::Cpu;
use fairprune::ops::sgd::SgdProblem;
use fairprune::reference::{U, judge};
use fairprune::rng::{Philox, Stream};
use fairprune::selftest::Subject;
use fairprune::selftest::sgd::step;

/// A run of torch.optim.SGD (`tests/golden/make_golden.py`).
#[derive(serde::Deserialize)]
struct Golden {
    momentum: f32,
    nesterov: bool,
    weight_decay: f32,
    /// After each of four steps.
    weights: Vec<Vec<f64>>,
}

/// Four steps from no velocity at all, with a learning rate of its own each.
#[test]
fn four_steps_are_those_of_pytorch() {
    let cpu = Cpu::new(0).unwrap();
    let subject = Subject { backend: &cpu, reduced: false };
    let runs: Vec<Golden> = serde_json::from_str(include_str!("../golden/sgd.json")).unwrap();
    assert_eq!(runs.len(), 4);
    let draw = |line: u64| -> Vec<f32> {
        let mut draws = Philox::new(101, Stream::Init).sequence(line);
        (0..10).map(|_| 2.0 * draws.uniform() - 1.0).collect()
    };
    for run in runs {
        let Golden { momentum, nesterov, weight_decay, weights } = run;
        let p = SgdProblem { momentum, weight_decay, nesterov };
        let (mut w, mut v) = (draw(0), vec![0.0; 10]);
        for (i, golden) in weights.iter().enumerate() {
            let lr = 0.5 / (i + 1) as f32;
            let (new_w, new_v, _) =
                step(&subject, &p, [&draw(1 + i as u64), &w, &v], &[lr], [0; 4]).unwrap();
            (w, v) = (new_w, new_v);
            // Values of order 1, some 6 roundings a step.
            judge(&format!("{p:?}, step {i}"), &w, golden, |_| (i + 1) as f64 * 8.0 * U).unwrap();
        }
    }
}
