//! How numbers are written.

use fairprune::experiment::comparison::summary::{Difference, Metric, Outcome, Spread, Verdict};
use fairprune::report::numbers::*;

#[test]
fn shares() {
    for (x, text) in [
        (0.714, ".71"),
        (1.0, "1.00"),
        (0.999, "1.00"),
        (0.0, ".00"),
        (-0.02, "-.02"),
        (-0.001, ".00"),
        (-1.5, "-1.50"),
        (12.0, "12.00"),
        (f64::NAN, "-"),
        (f64::NEG_INFINITY, "-"),
    ] {
        assert_eq!(share(x), text, "{x}");
    }
    assert_eq!(digits(0.05, 1), ".1");
    assert_eq!(digits(0.6, 0), "1");
    assert_eq!(signed(0.051, 2), "+.05");
    assert_eq!(signed(-0.051, 2), "-.05");
    assert_eq!(signed(-0.001, 2), "+.00");
}

#[test]
fn spreads() {
    let s = Spread::of([0.68, 0.74, 0.71]).unwrap();
    assert_eq!((s.min, s.max, s.n), (0.68, 0.74, 3));
    assert!((s.mean - 0.71).abs() < 1e-15 && (s.sd.unwrap() - 0.03).abs() < 1e-15);
    assert_eq!(spread(&s), ".71 [.68, .74]");
    assert_eq!(spread(&Spread::of([0.5]).unwrap()), ".50");
    assert_eq!(Spread::of([0.5]).unwrap().sd, None);
    assert_eq!(Spread::of([]), None);
    assert_eq!(Spread::of([0.5, f64::NAN]), None);
    let equal = Spread::of([0.1; 3]).unwrap();
    assert!(equal.mean == 0.1 && equal.min == equal.mean && equal.max == equal.mean);
    assert_eq!(mean_sd(0.713, Some(0.019)), ".71 ± .02");
    assert_eq!(mean_sd(0.713, None), ".71");
}

#[test]
fn differences_show_why_they_are_decided() {
    assert_eq!(difference(0.05, Some([-0.02, 0.11])), "+.05 [-.02, +.11]");
    assert_eq!(difference(0.05, None), "+.05");
    // Two digits would show [+.00, ...] for an interval above 0.
    assert_eq!(difference(0.004, Some([0.001, 0.007])), "+.004 [+.001, +.007]");
    assert_eq!(difference(-0.04, Some([-0.08, -0.0002])), "-.0400 [-.0800, -.0002]");
    assert_eq!(difference(0.001, Some([-0.004, 0.006])), "+.001 [-.004, +.006]");
    assert_eq!(difference(0.001, Some([-0.0004, 0.006])), "+.001 [+.000, +.006]");
    assert_eq!(difference(0.0, Some([0.0, 0.0])), "+.00 [+.00, +.00]");
    let verdict_of = |n: u64, outcome| Verdict {
        metric: Metric::WorstClass,
        density: 0.5,
        strategy: "metriq".into(),
        baseline: "random".into(),
        differences: (0..n).map(|seed| Difference { seed, difference: 0.05 }).collect(),
        mean: 0.05,
        interval: (n > 1).then_some([-0.02, 0.11]),
        confidence: 0.95,
        outcome,
        text: String::new(),
    };
    assert_eq!(
        verdict(&verdict_of(4, Outcome::NotDecided), "MetriQ", "Random"),
        "worst class, MetriQ - Random: +.05 [-.02, +.11] over 4 seeds: not decided"
    );
    assert_eq!(
        verdict(&verdict_of(1, Outcome::Improved), "MetriQ", "Random"),
        "worst class, MetriQ - Random: +.05 over 1 seed: improved"
    );
}

#[test]
fn amounts() {
    for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_281_167, "1,281,167")] {
        assert_eq!(count(n), text);
    }
    for (s, text) in [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (112.0, "1 min 52 s"),
        (3599.7, "1 h 00 min"),
        (11_100.0, "3 h 05 min"),
        (f64::NAN, "-"),
        (-1.0, "-"),
    ] {
        assert_eq!(seconds(s), text, "{s}");
    }
    for (n, text) in [
        (0, "0 B"),
        (812, "812 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_960, "100 kB"),
        (999_700, "1.0 MB"),
        (1_500_000_000, "1.5 GB"),
        (u64::MAX, "18446744 TB"),
    ] {
        assert_eq!(bytes(n), text, "{n}");
    }
    assert_eq!(rate(1_700_000, 1000.0), "1,700/s");
    assert_eq!(rate(63, 10.0), "6.3/s");
    assert_eq!(rate(63, 0.0), "-");
    assert_eq!(percent(0.3), "30 %");
    assert_eq!(percent(0.125), "12.5 %");
    assert_eq!(density(0.3), "keeps 30 %, prunes 70 %");
}

#[test]
fn numbers_of_any_size() {
    for (x, text) in [(0.0485, ".0485"), (1.0, "1.0000"), (0.0, "0"), (1.25e-13, "1.2e-13")] {
        assert_eq!(risk(x), text);
    }
    for (x, text) in [(-0.17, "-.1700"), (1e9 + 0.4, "1000000000.4000"), (3.25e-9, "3.2500e-9")] {
        assert_eq!(position(x), text);
    }
    assert_eq!((position(0.0), position(-2e13)), (".0000".to_owned(), "-2.0000e13".to_owned()));
    for (x, text) in [(0.5, "0.5"), (5000.0, "5000"), (1e-70, "1e-70"), (-1e9, "-1000000000")] {
        assert_eq!(plain(x), text);
    }
}
