//! The closed forms against minima found by looking at the risk everywhere.

use super::oracle::{Classes, minimum};
use super::{config, model, parameters};
use fairprune::prune::{QuotaOptions, quotas};
use fairprune::theory::{Decision, Rule};
use proptest::prelude::*;

/// The threshold, infinite for a constant rule.
fn threshold(decision: &Decision) -> f64 {
    match decision.rule {
        Rule::Threshold(t) => t,
        Rule::Always(0) => f64::INFINITY,
        Rule::Always(_) => f64::NEG_INFINITY,
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn nothing_beats_the_minimiser(p in parameters()) {
        let classes = Classes { means: p.0, sigmas: p.1, sizes: p.2, margin: 0.0 };
        let found = model(p).minimiser();
        let risk = classes.risk(threshold(&found));
        let [n0, n1] = p.2;
        let stated = (n0 * found.risks[0] + n1 * found.risks[1]) / (n0 + n1);
        prop_assert!((risk - stated).abs() < 1e-14, "{risk} is stated as {stated}");
        let (t, least) = minimum(|t| classes.risk(t), classes.range());
        prop_assert!((risk - least).abs() < 1e-13, "{found:?}, but {least} at {t}");
    }

    #[test]
    fn a_local_minimum_is_one_and_says_whether_it_is_global(p in parameters()) {
        let classes = Classes { means: p.0, sigmas: p.1, sizes: p.2, margin: 0.0 };
        let (low, high) = classes.range();
        let Some(found) = model(p).local_minimum() else {
            // Then the risk falls or rises all the way.
            let risks: Vec<f64> =
                (0..=2000).map(|i| classes.risk(low + (high - low) * f64::from(i) / 2000.0)).collect();
            let rises = risks.windows(2).all(|w| w[1] - w[0] > -1e-15);
            let falls = risks.windows(2).all(|w| w[1] - w[0] < 1e-15);
            prop_assert!(rises || falls);
            return Ok(());
        };
        let t = threshold(&found.decision);
        let risk = classes.risk(t);
        let step = 1e-3 * p.1[0].min(p.1[1]);
        prop_assert!(risk <= classes.risk(t - step) + 1e-15 && risk <= classes.risk(t + step) + 1e-15);
        let constant = classes.risk(f64::INFINITY).min(classes.risk(f64::NEG_INFINITY));
        if (risk - constant).abs() > 1e-13 {
            prop_assert_eq!(found.global, risk < constant);
        }
    }

    #[test]
    fn nothing_beats_the_worst_class_optimum(p in parameters()) {
        let classes = model(p);
        let found = classes.worst_optimum();
        prop_assert!((found.risks[0] - found.risks[1]).abs() < 1e-14);
        let range = Classes { means: p.0, sigmas: p.1, sizes: p.2, margin: 0.0 }.range();
        let worst = |t: f64| { let [a, b] = classes.risks(t); a.max(b) };
        let (t, least) = minimum(worst, range);
        prop_assert!((found.worst() - least).abs() < 1e-12, "{found:?}, but {least} at {t}");
    }

    #[test]
    fn metriq_keeps_what_prune_keeps(p in parameters(), d in 0.01..=1.0f64) {
        // Whole samples, so that the allocator of `prune` takes the same sizes.
        let sizes = p.2.map(|n| (n * 100.0).round());
        let classes = model((p.0, p.1, sizes));
        let full = classes.minimiser();
        let Some(found) = classes.metriq(d).unwrap() else {
            prop_assert!(full.degenerate().is_some());
            return Ok(());
        };
        prop_assert!(full.degenerate().is_none());
        let counts = sizes.map(|n| n as usize);
        let recalls = full.risks.map(|r| Some(1.0 - r));
        let options = QuotaOptions { recalls: &recalls, ..QuotaOptions::default() };
        let expected = quotas(&counts, d, &options, 0).unwrap().densities;
        for k in [0, 1] {
            // 1 - (1 - R) has lost the digits of a small R.
            let lost = 1e-15 / full.risks[k].max(1e-15);
            prop_assert!(
                (found.densities[k] - expected[k]).abs() < 1e-12 + lost * 2.0,
                "{found:?} {expected:?}"
            );
        }
        let kept = [0, 1].map(|k| sizes[k] * found.densities[k]);
        if kept[0] > 0.0 && kept[1] > 0.0 {
            // The same minimiser as of classes that have these sizes.
            let pruned = model((p.0, p.1, kept)).minimiser();
            prop_assert_eq!(pruned.degenerate(), found.decision.degenerate());
            for k in [0, 1] {
                prop_assert!((pruned.risks[k] - found.decision.risks[k]).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn nothing_beats_the_minimiser_after_ssp(p in parameters(), d in 0.01..=1.0f64) {
        let found = model(p).ssp(d).unwrap();
        let classes = Classes { means: p.0, sigmas: p.1, sizes: p.2, margin: found.margin };
        prop_assert!((classes.kept() - d).abs() < 1e-13, "{} of {d}", classes.kept());
        let narrow = usize::from(p.1[1] < p.1[0]);
        prop_assert!(found.densities[narrow] <= found.densities[1 - narrow]);
        let risk = classes.risk(threshold(&found.decision));
        let (t, least) = minimum(|t| classes.risk(t), classes.range());
        prop_assert!((risk - least).abs() < 1e-13, "{found:?}: {risk}, but {least} at {t}");
    }

    #[test]
    fn ssp_leaves_the_full_rule_once(p in parameters()) {
        let classes = model(p);
        let full = classes.minimiser();
        let Some(jump) = classes.ssp_jump() else {
            // Constant from the start, or left at densities below the smallest number only.
            for d in [f64::MIN_POSITIVE, 1e-9, 0.01, 0.1, 0.5, 0.9, 1.0] {
                let same = classes.ssp(d).unwrap().decision == full;
                prop_assert!(same || full.degenerate().is_some(), "at {d}");
            }
            return Ok(());
        };
        let densities = (1..=100).map(|i| f64::from(i) / 100.0);
        for d in densities.chain([jump.density * 0.999_999, jump.density * 1.000_001]) {
            if d <= 0.0 || d > 1.0 || (d / jump.density - 1.0).abs() < 1e-9 {
                continue;
            }
            let same = classes.ssp(d).unwrap().decision == full;
            prop_assert_eq!(same, d > jump.density, "at {} with the jump at {:?}", d, jump);
        }
    }
}
