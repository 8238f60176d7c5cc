//! The CPU's results depend on neither threads nor instruction set.

use fairprune::backend::{Cpu, Isa};
use fairprune::ops::sgd::SgdProblem;
use fairprune::selftest::values::{Values, words};
use fairprune::selftest::{CaseFailure, Subject, batch_norm, conv2d, sgd};

fn subject(cpu: &Cpu) -> Subject<'_, Cpu> {
    Subject { backend: cpu, reduced: false }
}

/// Every instruction set of this processor with 2 and 5 threads; the rest is named.
fn others() -> Vec<Cpu> {
    let mut cpus = Vec::new();
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
        for threads in [2, 5] {
            match Cpu::with_isa(threads, isa) {
                Ok(cpu) => cpus.push(cpu),
                Err(_) => println!("skipped: this processor has no {}", isa.name()),
            }
        }
    }
    cpus
}

/// `compute` gives the same on all of `cpus` as on the first.
fn agree<T: PartialEq>(cpus: &[Cpu], compute: impl Fn(&Subject<Cpu>) -> Result<T, CaseFailure>) {
    let reference = compute(&subject(&cpus[0])).unwrap();
    for cpu in &cpus[1..] {
        assert!(compute(&subject(cpu)).unwrap() == reference, "{} differs", cpu.isa().name());
    }
}

#[test]
fn convolution_instruction_sets() {
    let mut cpus = vec![Cpu::with_isa(2, Isa::Portable).unwrap()];
    cpus.extend([Isa::Avx2, Isa::Avx512].iter().filter_map(|&i| Cpu::with_isa(2, i).ok()));
    for p in conv2d::problems(&subject(&cpus[0])).filter(|p| p.macs() < 10_000_000) {
        let i = conv2d::ConvInputs::random(&p);
        agree(&cpus, |subject| conv2d::everything(subject, &p, &i));
    }
}

#[test]
fn convolution_threads() {
    let cpus = [1, 2, 5].map(|threads| Cpu::new(threads).unwrap());
    for p in conv2d::problems(&subject(&cpus[0])) {
        let i = conv2d::ConvInputs::random(&p);
        agree(&cpus, |subject| conv2d::everything(subject, &p, &i));
    }
}

#[test]
fn batch_norm_threads_and_instruction_sets() {
    let mut cpus = vec![Cpu::with_isa(1, Isa::Portable).unwrap()];
    cpus.extend(others());
    for p in batch_norm::problems() {
        let i = batch_norm::BatchNormInputs::random(&p);
        agree(&cpus, |subject| batch_norm::everything(subject, &p, &i));
    }
}

#[test]
fn sgd_threads_and_instruction_sets() {
    let mut cpus = vec![Cpu::with_isa(1, Isa::Portable).unwrap()];
    cpus.extend(others());
    let mut values = Values::new(3);
    let [dw, w, v] = [(); 3].map(|()| values.uniform(70_001));
    let p = SgdProblem { momentum: 0.9, weight_decay: 5e-4, nesterov: true };
    agree(&cpus, |subject| {
        let (w, v, _) = sgd::step(subject, &p, [&dw, &w, &v], &[0.1], [0; 4])?;
        Ok([words(&w), words(&v)])
    });
}
