//! Exact risks against drawn ones; the drawing itself.

use super::{fixed_runner, model, parameters};
use fairprune::theory::{Decision, Simulation, TwoGaussians, simulate};
use proptest::prelude::*;

/// At most 4 standard errors, and a few samples where the normal law is no match for so few.
fn agree(found: f64, exact: f64, error: f64, samples: u64) -> bool {
    (found - exact).abs() <= 4.0 * error + 6.0 / samples as f64
}

fn rules(classes: &TwoGaussians, density: f64) -> Vec<Decision> {
    let mut rules = vec![classes.minimiser(), classes.worst_optimum()];
    rules.extend(classes.metriq(density).unwrap().map(|p| p.decision));
    rules.push(classes.ssp(density).unwrap().decision);
    rules
}

#[test]
fn risks_within_four_standard_errors() {
    const SAMPLES: u64 = 40_000;
    let cases = (parameters(), 0.02..=1.0f64, any::<u64>());
    fixed_runner(60)
        .run(&cases, |(p, density, seed)| {
            let rules = rules(&model(p), density);
            let (a, b) = ([p.0[0]], [p.0[1]]);
            let simulation = Simulation { means: [&a, &b], sigmas: p.1, samples: SAMPLES, seed };
            for (rule, found) in rules.iter().zip(simulate(&simulation, &rules).unwrap()) {
                for k in [0, 1] {
                    let error = found.standard_errors[k];
                    let exact = rule.risks[k];
                    prop_assert_eq!(error, (exact * (1.0 - exact) / SAMPLES as f64).sqrt());
                    prop_assert!(
                        agree(found.risks[k], exact, error, SAMPLES),
                        "{:?} {:?}",
                        rule,
                        found
                    );
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn several_dimensions_are_the_line_through_the_means() {
    const SAMPLES: u64 = 40_000;
    let point = || proptest::collection::vec(-1.0..1.0f64, 3);
    let cases = (point(), point(), 0.2..1.5f64, 0.2..1.5f64, 1.0..20.0f64, any::<u64>());
    fixed_runner(30)
        .run(&cases, |(a, b, s0, s1, n0, seed)| {
            let classes = TwoGaussians::isotropic([&a, &b], [s0, s1], [n0, 5.0]).unwrap();
            let rules = rules(&classes, 0.4);
            let simulation =
                Simulation { means: [&a, &b], sigmas: [s0, s1], samples: SAMPLES, seed };
            for (rule, found) in rules.iter().zip(simulate(&simulation, &rules).unwrap()) {
                for k in [0, 1] {
                    let error = found.standard_errors[k];
                    prop_assert!(
                        agree(found.risks[k], rule.risks[k], error, SAMPLES),
                        "{:?} {:?}",
                        rule,
                        found
                    );
                }
            }
            Ok(())
        })
        .unwrap();
}

/// A wrong risk is found: the test above can fail.
#[test]
fn draws_tell_wrong_risks_from_right_ones() {
    let classes = TwoGaussians::new([-1.0, 1.0], [0.5, 1.0], [1.0, 1.0]).unwrap();
    let rules = [classes.minimiser()];
    let simulation =
        Simulation { means: [&[-1.0], &[1.0]], sigmas: [0.5, 1.01], samples: 1_000_000, seed: 3 };
    let found = simulate(&simulation, &rules).unwrap()[0];
    let error = found.standard_errors;
    assert!(agree(found.risks[0], rules[0].risks[0], error[0], 1_000_000));
    assert!(!agree(found.risks[1], rules[0].risks[1], error[1], 1_000_000));
}

#[test]
fn the_same_draws_whatever_the_threads() {
    let classes = TwoGaussians::new([0.0, 1.0], [1.0, 2.0], [1.0, 1.0]).unwrap();
    let rules = [classes.minimiser(), classes.worst_optimum()];
    let found = |threads: usize, seed: u64, samples: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (a, b) = ([0.0, 0.0], [0.6, 0.8]);
        let simulation = Simulation { means: [&a, &b], sigmas: [1.0, 2.0], samples, seed };
        pool.install(|| simulate(&simulation, &rules).unwrap())
    };
    // Not a multiple of a chunk.
    let one = found(1, 7, 200_001);
    assert_eq!(one, found(3, 7, 200_001));
    assert_eq!(one, found(8, 7, 200_001));
    assert_ne!(one, found(3, 8, 200_001));
    assert!(found(2, 7, 1)[0].risks.iter().all(|&r| r == 0.0 || r == 1.0));
}

#[test]
fn unusable_simulations() {
    let nothing = Simulation { means: [&[0.0], &[1.0]], sigmas: [1.0; 2], samples: 0, seed: 0 };
    assert!(simulate(&nothing, &[]).unwrap_err().to_string().contains("samples"));
    for means in [[&[0.0][..], &[0.0]], [&[], &[]], [&[0.0], &[0.0, 1.0]]] {
        let error = simulate(&Simulation { means, samples: 1, ..nothing }, &[]).unwrap_err();
        assert!(error.to_string().contains("means"), "{error}");
    }
    let fine = Simulation { samples: 5, ..nothing };
    assert_eq!(simulate(&fine, &[]).unwrap(), []);
}
