//! Operators of the CUDA backend: the cases of `fairprune::selftest`, reduced on the software
//! device, at full size on a card (`FAIRPRUNE_REQUIRE_CUDA=1`).
//!
//! A software device computes on one thread, so that every operator has one of its own, in a process of
//! its own: as many are tested at a time as there are processors.

#[path = "../common/cuda_device.rs"]
mod cuda_device;
mod defects;
mod dependent_launch;
mod fusion;
mod memory;
mod traffic;

use std::process::Command;
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

/// Environment variable: this process has the device that an operator is tested on.
const CHILD: &str = "FAIRPRUNE_TEST_OPERATOR_HERE";

/// Tests an operator in a process of its own, unless this one is that or has the only card.
fn run(operator: &str) {
    if cuda_device::real() || std::env::var_os(CHILD).is_some() {
        return run_cases(operator);
    }
    let mut child = Command::new(std::env::current_exe().expect("this test has a path"));
    child.args(["--exact", operator, "--nocapture"]).env(CHILD, "1");
    let output = child.output().expect("this test runs again");
    let text = [output.stdout, output.stderr].map(|t| String::from_utf8_lossy(&t).into_owned());
    println!("{}", text.concat());
    assert!(output.status.success(), "{operator}: {}", output.status);
    assert!(text[0].contains("1 passed"), "{operator} is not the name of one test");
}

/// Runs all cases of an operator.
fn run_cases(operator: &str) {
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
