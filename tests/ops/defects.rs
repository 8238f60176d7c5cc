//! Defects of a caller that only a device which looks before it computes can report.

use fairprune::backend::Cpu;
use fairprune::ops::gather::Augmentation;
use fairprune::ops::loss_score::{BatchViews, FIELDS, LossScore, LossScoreProblem};
use fairprune::ops::sgd::SgdProblem;
use fairprune::selftest::fence::{Fenced, Fill};
use fairprune::selftest::values::{as_u32, bits};
use fairprune::selftest::{Subject, gather, sgd};

#[test]
fn images_that_are_not_there() {
    let cpu = Cpu::new(0).unwrap();
    let subject = Subject { backend: &cpu, reduced: false };
    let images = gather::pixels(3, [4, 4]);
    let p = gather::problem(2, 2, [4, 4], Augmentation::NONE);
    let run = |order: &[u32], batch| gather::gather(&subject, &p, &images, order, batch, 0);
    assert!(run(&[0, 1, 2], 1).is_err(), "a batch past the order");
    assert!(run(&[0, 3], 0).is_err(), "an image past the last");
    assert!(run(&[0, 2], 0).is_ok());
}

#[test]
fn norms_of_a_batch_outside_the_order() {
    let cpu = Cpu::new(0).unwrap();
    let subject = Subject { backend: &cpu, reduced: false };
    let (order, state) = (bits(&[1, 0]), bits(&[0; 4]));
    let tensors = [
        Fill::Values(&[1.0; 3]),
        Fill::Values(&order),
        Fill::Values(&state),
        Fill::Poison(FIELDS * 2),
    ];
    let mut f = Fenced::new(&subject, &tensors).unwrap();
    let [norms, order, state, table] = f.views[..] else { unreachable!() };
    let [order, state] = [order, state].map(as_u32);
    let previous = fairprune::backend::View::EMPTY;
    let batch = BatchViews { order, labels: order, state, table, previous };
    let problem = LossScoreProblem { n: 3, batch: 3, k: 2 };
    assert!(cpu.store_norms(&mut f.memory, &problem, norms, &batch).is_err());
}

#[test]
fn a_step_without_a_learning_rate() {
    let cpu = Cpu::new(0).unwrap();
    let subject = Subject { backend: &cpu, reduced: false };
    let p = SgdProblem { momentum: 0.0, weight_decay: 0.0, nesterov: false };
    let one = [1.0];
    let run = |batch| sgd::step(&subject, &p, [&one, &one, &one], &[0.5], [batch, 0, 0, 0]);
    assert!(run(1).is_err());
    assert_eq!(run(0).unwrap().0, [0.5]);
}
