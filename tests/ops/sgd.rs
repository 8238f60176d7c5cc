//! The optimiser against a plain reimplementation and PyTorch.

use fairprune::backend::{Backend, Cpu, Isa};
use fairprune::ops::sgd::{Sgd, SgdProblem};
use fairprune::reference::sgd as oracle;
use fairprune::reference::{U, equal, judge, within};
use fairprune::rng::{Philox, Stream};

use super::fence::{Fenced, Fill};
use super::values::{Values, as_u32, bits, words};

/// Longer than a task of the CPU's update, so that several run.
const LENGTHS: &[usize] = &[0, 1, 3, 17, 65_536, 70_001];

const PROBLEMS: [SgdProblem; 4] = [
    SgdProblem { momentum: 0.0, weight_decay: 0.0, nesterov: false },
    SgdProblem { momentum: 0.5, weight_decay: 0.0, nesterov: false },
    SgdProblem { momentum: 0.5, weight_decay: 0.25, nesterov: false },
    SgdProblem { momentum: 0.5, weight_decay: 0.25, nesterov: true },
];

/// (w, v, state) after one call with learning rates `lrs`.
fn step(
    cpu: &Cpu,
    p: &SgdProblem,
    [dw, w, v]: [&[f32]; 3],
    lrs: &[f32],
    state: [u32; 4],
) -> (Vec<f32>, Vec<f32>, Vec<u32>) {
    let state = bits(&state);
    let tensors = [
        Fill::Values(dw),
        Fill::Values(w),
        Fill::Values(v),
        Fill::Values(lrs),
        Fill::Values(&state),
    ];
    let mut f = Fenced::new(cpu, &tensors);
    let [dw, w, v, lrs, state] = f.views[..] else { unreachable!() };
    cpu.sgd(&mut f.memory, p, dw, w, v, lrs, as_u32(state)).unwrap();
    (f.read(1), f.read(2), words(&f.read(4)))
}

#[test]
fn integers_give_exact_results() {
    let cpu = Cpu::new(0).unwrap();
    for p in PROBLEMS {
        for &len in LENGTHS {
            let mut values = Values::new(1);
            let [dw, w, v] = [(); 3].map(|()| values.integers(len, 8));
            // The second rate of three counts.
            let (new_w, new_v, state) =
                step(&cpu, &p, [&dw, &w, &v], &[9.0, 0.5, 9.0], [1, 3, 0, 21]);
            let [w_ref, v_ref] = oracle::step(&p, 0.5, &dw, &w, &v);
            equal(&format!("w {p:?} {len}"), &new_w, &w_ref.value).unwrap();
            equal(&format!("v {p:?} {len}"), &new_v, &v_ref.value).unwrap();
            assert_eq!(state, [2, 3, 0, 22]);
        }
    }
}

#[test]
fn random_results_are_within_bounds() {
    let cpu = Cpu::new(0).unwrap();
    for p in PROBLEMS {
        let p = SgdProblem { weight_decay: 5e-4 * p.weight_decay, momentum: 1.8 * p.momentum, ..p };
        let mut values = Values::new(2);
        let [dw, w, v] = [(); 3].map(|()| values.uniform(70_001));
        let (new_w, new_v, _) = step(&cpu, &p, [&dw, &w, &v], &[0.1], [0; 4]);
        let [w_ref, v_ref] = oracle::step(&p, 0.1, &dw, &w, &v);
        within(&format!("v {p:?}"), &new_v, &v_ref, 0, U).unwrap();
        within(&format!("w {p:?}"), &new_w, &w_ref, 1, U).unwrap();
    }
}

#[test]
fn a_bad_step_updates_nothing_but_counts() {
    let cpu = Cpu::new(0).unwrap();
    let nan = [f32::NAN; 3];
    let (w, v, state) =
        step(&cpu, &PROBLEMS[3], [&nan, &[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]], &[0.1], [0, 1, 9, 30]);
    assert_eq!((w, v), (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]));
    assert_eq!(state, [1, 1, 9, 31]);
}

#[test]
fn scoring_only_counts() {
    let cpu = Cpu::new(0).unwrap();
    let state = bits(&[4, 5, 6, 7]);
    let mut f = Fenced::new(&cpu, &[Fill::Values(&state)]);
    let view = as_u32(f.views[0]);
    cpu.advance(&mut f.memory, view).unwrap();
    assert_eq!(words(&f.read(0)), [5, 5, 6, 8]);
}

#[test]
fn threads_and_instruction_sets_agree_bit_for_bit() {
    let mut values = Values::new(3);
    let [dw, w, v] = [(); 3].map(|()| values.uniform(70_001));
    let p = SgdProblem { momentum: 0.9, weight_decay: 5e-4, nesterov: true };
    let run = |cpu: &Cpu| {
        let (w, v, _) = step(cpu, &p, [&dw, &w, &v], &[0.1], [0; 4]);
        [words(&w), words(&v)]
    };
    let reference = run(&Cpu::with_isa(1, Isa::Portable).unwrap());
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
        let Ok(cpu) = Cpu::with_isa(5, isa) else {
            println!("skipped: this processor has no {}", isa.name());
            continue;
        };
        assert!(run(&cpu) == reference, "{}", cpu.name());
    }
}

#[test]
fn wrong_lengths_and_missing_rates_are_refused() {
    let cpu = Cpu::new(0).unwrap();
    for (len, lrs, batch) in [(2, 1, 0), (3, 1, 1)] {
        let state = bits(&[batch, 0, 0, 0]);
        let tensors = [
            Fill::Values(&[1.0; 3][..len]),
            Fill::Values(&[1.0; 3]),
            Fill::Values(&[1.0; 3]),
            Fill::Values(&[1.0; 3][..lrs]),
            Fill::Values(&state),
        ];
        let mut f = Fenced::new(&cpu, &tensors);
        let [dw, w, v, lrs, state] = f.views[..] else { unreachable!() };
        let result = cpu.sgd(&mut f.memory, &PROBLEMS[0], dw, w, v, lrs, as_u32(state));
        assert!(result.is_err());
        assert_eq!(f.read(1), [1.0; 3], "w was written");
    }
}

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
            let (new_w, new_v, _) = step(&cpu, &p, [&draw(1 + i as u64), &w, &v], &[lr], [0; 4]);
            (w, v) = (new_w, new_v);
            // Values of order 1, some 6 roundings a step.
            judge(&format!("{p:?}, step {i}"), &w, golden, |_| (i + 1) as f64 * 8.0 * U).unwrap();
        }
    }
}
