//! Operators of the CUDA backend: the cases of `fairprune::selftest`, reduced on the software
//! device, at full size on a card (`FAIRPRUNE_REQUIRE_CUDA=1`).
//!
//! A software device computes on one thread, so that every case has one of its own, in a process of its
//! own: as many run at a time as there are processors.

#[path = "../common/cuda_device.rs"]
mod cuda_device;
mod defects;
mod dependent_launch;
mod fusion;
mod memory;
mod traffic;

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::available_parallelism;
use std::time::Instant;

use fairprune::cuda::Cuda;
use fairprune::selftest::{Subject, cases};

/// The card, for one test at a time.
fn card() -> MutexGuard<'static, Cuda> {
    static CARD: OnceLock<Mutex<Cuda>> = OnceLock::new();
    let card = CARD.get_or_init(|| Mutex::new(cuda_device::open()));
    card.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Environment variable: the case that this process has to run, nothing for all of them.
const CASE: &str = "FAIRPRUNE_TEST_CASE";

/// Runs all cases of an operator: in processes of their own, unless this one is that or has the only
/// card.
fn run(operator: &str) {
    let here = std::env::var(CASE);
    if cuda_device::real() || here.is_ok() {
        return run_here(operator, &here.unwrap_or_default());
    }
    let all = cases::<Cuda>();
    let names: Vec<_> = all.iter().filter(|c| c.operator == operator).map(|c| c.name).collect();
    assert!(!names.is_empty(), "no cases of {operator}");
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !passes_alone(operator, name) {
                failures.lock().expect("nobody panics with it").push(*name);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, |n| n.get()).min(names.len()) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().expect("nobody panics with it");
    assert!(failures.is_empty(), "{operator}: {failures:?}");
}

/// Runs one case in a process of its own, and shows what that says.
fn passes_alone(operator: &str, name: &str) -> bool {
    let mut child = Command::new(std::env::current_exe().expect("this test has a path"));
    child.args(["--exact", operator, "--nocapture"]).env(CASE, name);
    let output = child.output().expect("this test runs again");
    let text = [output.stdout, output.stderr].map(|t| String::from_utf8_lossy(&t).into_owned());
    println!("{}", text.concat());
    output.status.success() && text[0].contains("1 passed")
}

/// Runs the case `name` of an operator, or all of them, in this process.
fn run_here(operator: &str, name: &str) {
    let cuda = card();
    let subject = Subject { backend: &*cuda, reduced: !cuda_device::real() };
    let all = cases::<Cuda>();
    let wanted = |name: &str, case: &str| name.is_empty() || name == case;
    let own: Vec<_> =
        all.iter().filter(|case| case.operator == operator && wanted(name, case.name)).collect();
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
