//! Two Gaussians: against exact arithmetic, against minima found by looking, against draws.

mod claims;
mod draws;
mod exact;
mod oracle;
mod search;

use fairprune::theory::TwoGaussians;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// The same cases in every run: for tests that hold with a probability only.
fn fixed_runner(cases: u32) -> TestRunner {
    TestRunner::new_with_rng(config(cases), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Means, deviations and sizes, ordinary and a little less so.
type Parameters = ([f64; 2], [f64; 2], [f64; 2]);

fn parameters() -> impl Strategy<Value = Parameters> {
    let sigma = || {
        prop_oneof![
            4 => (-1.2..0.5f64).prop_map(|e| 10f64.powf(e)),
            1 => Just(1.0),
        ]
    };
    let size = || prop_oneof![3 => (0.0..2.0f64).prop_map(|e| 10f64.powf(e)), 1 => Just(10.0)];
    let mean = -5.0..5.0f64;
    (mean, 0.05..5.0f64, sigma(), sigma(), size(), size())
        .prop_map(|(mu, d, s0, s1, n0, n1)| ([mu, mu + d], [s0, s1], [n0, n1]))
}

fn model((means, sigmas, sizes): Parameters) -> TwoGaussians {
    TwoGaussians::new(means, sigmas, sizes).unwrap()
}
