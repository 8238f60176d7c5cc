//! Operators of the CUDA backend: the cases of `fairprune::selftest`, reduced on the software
//! device, at full size on a card (`FAIRPRUNE_REQUIRE_CUDA=1`).

#[path = "../common/cuda_device.rs"]
mod cuda_device;
mod defects;
mod dependent_launch;
mod fusion;
mod memory;
mod traffic;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use fairprune::cuda::Cuda;
use fairprune::selftest::{Subject, cases};

/// The card, for one test at a time.
fn card() -> MutexGuard<'static, Cuda> {
    static CARD: OnceLock<Mutex<Cuda>> = OnceLock::new();
    let card = CARD.get_or_init(|| Mutex::new(cuda_device::open()));
    card.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs all cases of an operator.
fn run(operator: &str) {
    let cuda = card();
    let subject = Subject { backend: &*cuda, reduced: !cuda_device::real() };
    let all = cases::<Cuda>();
    let own: Vec<_> = all.iter().filter(|case| case.operator == operator).collect();
    assert!(!own.is_empty(), "no cases of {operator}");
    let failures = own.iter().filter_map(|case| {
        let start = Instant::now();
        let failure = case.run(&subject).err();
        println!("{operator}::{} {:.1} s", case.name, start.elapsed().as_secs_f64());
        let failure = failure.map(|failure| format!("{}: {failure:?}", case.name));
        // At once: the rest can take a while.
        failure.iter().for_each(|failure| println!("failed: {failure}"));
        failure
    });
    let failures: Vec<String> = failures.collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

macro_rules! tests {
    ($($operator:ident)*) => {
        $(#[test]
        fn $operator() {
            run(stringify!($operator));
        })*

        const TESTS: &[&str] = &[$(stringify!($operator)),*];
    };
}

tests! { gather cast conv2d conv2d_bf16 batch_norm batch_norm_bf16 pool pool_bf16 loss_score sgd }

#[test]
fn every_operator_is_tested() {
    let all = cases::<Cuda>();
    assert!(all.iter().all(|case| TESTS.contains(&case.operator)));
}
