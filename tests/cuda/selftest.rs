//! `fairprune selftest` on the card: it passes, and says which case met a fault.

use crate::program::{on_software_device, run};

#[test]
fn the_card_passes() {
    let outcome = run(&mut on_software_device(), "selftest --device cuda --reduced --only sgd");
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    assert!(outcome.out.contains("(cuda/sm_90a)") && outcome.out.contains(" cases passed"));
}

/// Two precisions in six ways.
#[test]
fn whole_steps_have_the_same_bits() {
    let outcome = run(&mut on_software_device(), "selftest --device cuda --reduced --only steps");
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    assert!(outcome.out.contains("6 of 6 cases passed"), "{}", outcome.out);
    assert!(outcome.out.contains("kernels that begin early wait"), "{}", outcome.out);
}

/// Where card or driver cannot begin kernels early, none is asked to.
#[test]
fn older_cards_and_drivers_wait_between_kernels() {
    for (variable, value) in
        [("FAIRPRUNE_EMULATOR_CAPABILITY", "80"), ("FAIRPRUNE_EMULATOR_DRIVER", "12020")]
    {
        let mut program = on_software_device();
        program.env(variable, value);
        let line = "selftest --device cuda --reduced --only recorded_kernels_that_begin_early";
        let outcome = run(&mut program, line);
        assert_eq!(outcome.code, 0, "{variable}: {}{}", outcome.out, outcome.err);
        assert!(outcome.out.contains("1 of 1 cases passed"), "{}", outcome.out);
    }
}

#[test]
fn a_launch_that_fails_is_a_failed_case() {
    let mut program = on_software_device();
    program.env("FAIRPRUNE_EMULATOR_FAIL_LAUNCH", "3");
    let outcome = run(&mut program, "selftest --device cuda --reduced --only sgd");
    assert_eq!(outcome.code, 1, "{}{}", outcome.out, outcome.err);
    let (failed, out) = (outcome.out.matches("FAILED").count(), &outcome.out);
    assert!(
        failed >= 1 && out.contains("sgd::integers_give_exact_results: device cuda:0"),
        "{out}"
    );
}
