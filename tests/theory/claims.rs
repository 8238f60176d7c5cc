//! What the method says of two Gaussians, exceptions included, and what is refused.

use super::{config, model, parameters};
use fairprune::error::Error;
use fairprune::theory::TwoGaussians;
use proptest::prelude::*;

fn classes(sigmas: [f64; 2]) -> TwoGaussians {
    TwoGaussians::new([-1.0, 1.0], sigmas, [1.0, 1.0]).unwrap()
}

#[track_caller]
fn four_digits(found: f64, stated: f64) {
    assert!((found - stated).abs() <= 0.5e-4, "{found} is not {stated}");
}

#[test]
fn the_worked_example() {
    let classes = classes([0.5, 1.0]);
    let full = classes.minimiser();
    four_digits(full.threshold().unwrap(), -0.1700);
    four_digits(full.risks[0], 0.0485);
    four_digits(full.risks[1], 0.1210);
    let best = classes.worst_optimum();
    four_digits(best.threshold().unwrap(), -0.3333);
    assert!(best.risks.iter().all(|r| (r - 0.0912).abs() <= 0.5e-4));
    let [p0, p1] = classes.optimal_priors().unwrap();
    assert!((p0 - 1.0 / 3.0).abs() < 1e-15 && (p1 - 2.0 / 3.0).abs() < 1e-15);
    assert!((classes.reachable_density().unwrap() - 0.75).abs() < 1e-15);
    // SSP keeps the rule down to d = .475, then jumps to the far side of the narrow class.
    let jump = classes.ssp_jump().unwrap();
    assert!((jump.density - 0.475).abs() < 5e-4 && (jump.margin - 0.491).abs() < 5e-4, "{jump:?}");
    assert_eq!(classes.ssp(0.48).unwrap().decision, full);
    let ssp = classes.ssp(0.47).unwrap();
    assert!((ssp.decision.threshold().unwrap() + 1.497).abs() < 5e-4);
    assert!((ssp.decision.risks[0] - 0.840).abs() < 5e-4);
    assert!((ssp.decision.risks[1] - 0.006).abs() < 5e-4);
}

/// "Near-optimal" depends on the parameters: here MetriQ's worst risk is above the unpruned one.
#[test]
fn metriq_can_be_worse_than_no_pruning() {
    let classes = classes([0.25, 1.0]);
    four_digits(classes.minimiser().worst(), 0.0738);
    four_digits(classes.metriq(0.3).unwrap().unwrap().decision.worst(), 0.0743);
}

/// The priors that would equalise the risks are degenerate themselves where the wide class covers
/// the narrow one.
#[test]
fn the_best_priors_need_not_exist() {
    let classes = TwoGaussians::new([0.0, 1.0], [0.1, 1.0], [1.0, 1.0]).unwrap();
    assert_eq!(classes.optimal_priors(), None);
    assert_eq!(classes.reachable_density(), None);
    let at = TwoGaussians::new([0.0, 1.0], [0.1, 1.0], [0.1, 1.0]).unwrap();
    assert_eq!(at.minimiser().degenerate(), Some(1));
    assert_eq!(at.metriq(0.5).unwrap(), None);
    assert_eq!(at.ssp_jump(), None);
}

proptest! {
    #![proptest_config(config(1000))]

    /// Balanced priors hurt the wide class: R_0 < R_1 iff phi_0 / phi_1 > s_0 / s_1.
    #[test]
    fn who_is_hurt(p in parameters()) {
        let Some(best) = model(p).local_minimum() else { return Ok(()) };
        let [r0, r1] = best.decision.risks;
        let (priors, sigmas) = (p.2[0] / p.2[1], p.1[0] / p.1[1]);
        if (priors / sigmas - 1.0).abs() > 1e-9 && (r0 - r1).abs() > 0.0 {
            prop_assert_eq!(r0 < r1, priors > sigmas);
        }
    }

    /// The priors s_0 : s_1 make the minimiser the worst-class optimum iff the common risk is at
    /// most the smaller prior, and pruning reaches them up to the stated density and no further.
    #[test]
    fn the_best_priors(p in parameters()) {
        let classes = model(p);
        let [s0, s1] = p.1;
        let common = classes.worst_optimum().worst();
        let limit = s0.min(s1) / (s0 + s1);
        prop_assume!((common - limit).abs() > 1e-12);
        prop_assert_eq!(classes.optimal_priors().is_some(), common < limit || s0 == s1);
        let (Some(priors), Some(d)) = (classes.optimal_priors(), classes.reachable_density()) else {
            return Ok(());
        };
        let at = model((p.0, p.1, priors));
        let (found, best) = (at.minimiser(), at.worst_optimum());
        prop_assert!((found.threshold().unwrap() - best.threshold().unwrap()).abs() < 1e-9);
        let all = p.2[0] + p.2[1];
        let kept = [0, 1].map(|k| d * all * priors[k] / p.2[k]);
        prop_assert!(kept[0].max(kept[1]) <= 1.0 + 1e-12);
        prop_assert!(d > 1.0 - 1e-12 || kept[0].max(kept[1]) >= 1.0 - 1e-12);
    }

    /// Units, origin and direction of x are nobody's business.
    #[test]
    fn the_same_in_other_coordinates(p in parameters(), d in 0.05..0.95f64) {
        let (means, sigmas, sizes) = p;
        let here = model(p);
        let feet = model((means.map(|m| m * 4.0), sigmas.map(|s| s * 4.0), sizes.map(|n| n * 8.0)));
        let swap = |[a, b]: [f64; 2]| [b, a];
        let mirror = model((swap(means.map(|m| -m)), swap(sigmas), swap(sizes)));
        prop_assert_eq!(here.minimiser().risks, feet.minimiser().risks);
        prop_assert_eq!(here.ssp(d).unwrap().decision.risks, feet.ssp(d).unwrap().decision.risks);
        let (a, b) = (here.minimiser().risks, swap(mirror.minimiser().risks));
        prop_assert!((0..2).all(|k| (a[k] - b[k]).abs() <= 1e-13), "{:?} {:?}", a, b);
        match (here.metriq(d).unwrap(), mirror.metriq(d).unwrap()) {
            (Some(a), Some(b)) => {
                let (a, b) = (a.densities, swap(b.densities));
                prop_assert!((0..2).all(|k| (a[k] - b[k]).abs() <= 1e-11), "{:?} {:?}", a, b);
            }
            (a, b) => prop_assert!(a.is_none() && b.is_none()),
        }
    }
}

#[test]
fn only_the_distance_counts_in_several_dimensions() {
    let (a, b) = ([1.0, 2.0, -1.0], [3.0, -4.0, 2.0]);
    let space = TwoGaussians::isotropic([&a, &b], [1.0, 2.0], [3.0, 1.0]).unwrap();
    let line = TwoGaussians::new([0.0, 7.0], [1.0, 2.0], [3.0, 1.0]).unwrap();
    assert_eq!(space, line);
    // In one dimension the coordinate itself counts, and its direction.
    let one = TwoGaussians::isotropic([&[-3.0], &[4.0]], [1.0, 2.0], [3.0, 1.0]).unwrap();
    assert_eq!(one.minimiser().risks, line.minimiser().risks);
    assert!(
        (one.minimiser().threshold().unwrap() + 3.0 - line.minimiser().threshold().unwrap()).abs()
            < 1e-14
    );
    assert!(TwoGaussians::isotropic([&[4.0], &[-3.0]], [1.0, 2.0], [3.0, 1.0]).is_err());
    assert!(TwoGaussians::isotropic([&[4.0, 0.0], &[-3.0, 0.0]], [1.0, 2.0], [3.0, 1.0]).is_ok());
}

#[test]
fn unusable_parameters() {
    let new = |means, sigmas, sizes| TwoGaussians::new(means, sigmas, sizes);
    let (means, ones) = ([0.0, 1.0], [1.0, 1.0]);
    let cases = [
        (new([0.0, 0.0], ones, ones), "different means"),
        (new([1.0, 0.0], ones, ones), "smaller mean first"),
        (new([f64::NAN, 1.0], ones, ones), "mean of class 0"),
        (new([0.0, f64::INFINITY], ones, ones), "mean of class 1"),
        (new([-1e200, 1e200], ones, ones), "distance"),
        (new([0.0, 5e-324], ones, ones), "distance"),
        (new(means, [0.0, 1.0], ones), "deviation of class 0"),
        (new(means, [1.0, -1.0], ones), "deviation of class 1"),
        (new(means, [1.0, f64::NAN], ones), "deviation of class 1"),
        (new(means, [f64::INFINITY, 1.0], ones), "deviation of class 0"),
        (new(means, ones, [0.0, 1.0]), "size of class 0"),
        (new(means, ones, [1.0, -1.0]), "size of class 1"),
        (new(means, ones, [1.0, 1e76]), "size of class 1"),
        (TwoGaussians::isotropic([&[0.0, 1.0], &[1.0]], ones, ones), "2 and 1 coordinates"),
        (TwoGaussians::isotropic([&[], &[]], ones, ones), "0 and 0 coordinates"),
        (TwoGaussians::isotropic([&[1.0, 2.0], &[1.0, 2.0]], ones, ones), "different means"),
        (TwoGaussians::isotropic([&[1.0, f64::NAN], &[1.0, 2.0]], ones, ones), "mean of class 0"),
        (TwoGaussians::isotropic([&[-1e308, 0.0], &[1e308, 2.0]], ones, ones), "mean of class 1"),
    ];
    for (found, words) in cases {
        let error = found.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }));
        assert!(error.to_string().contains(words), "{error}");
    }
    let fine = new(means, ones, ones).unwrap();
    for density in [0.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
        assert!(fine.metriq(density).is_err() && fine.ssp(density).is_err(), "{density}");
    }
}

/// Nothing is NaN and nothing panics, however odd the parameters.
#[test]
fn extreme_parameters_give_numbers() {
    let lengths = [1e-75, 1e-30, 1e-3, 1.0, 1e5, 1e75];
    let sizes = [1e-75, 1.0, 3.0, 1e75];
    let mut seen = 0;
    for d in lengths {
        for s0 in lengths {
            for s1 in lengths {
                for n0 in sizes {
                    for n1 in sizes {
                        let classes = TwoGaussians::new([0.0, d], [s0, s1], [n0, n1]).unwrap();
                        let mut rules = vec![classes.minimiser(), classes.worst_optimum()];
                        for density in [1.0, 0.5, 1e-3, 1e-300] {
                            let metriq = classes.metriq(density).unwrap();
                            if let Some(metriq) = metriq {
                                assert!(metriq.densities.iter().all(|d| (0.0..=1.0).contains(d)));
                                rules.push(metriq.decision);
                            }
                            let ssp = classes.ssp(density).unwrap();
                            assert!(ssp.margin >= 0.0 && ssp.margin.is_finite());
                            assert!(ssp.densities.iter().all(|d| (0.0..=1.0).contains(d)));
                            rules.push(ssp.decision);
                        }
                        for rule in rules {
                            seen += 1;
                            assert!(rule.risks.iter().all(|r| (0.0..=1.0).contains(r)), "{rule:?}");
                            let constant = rule.degenerate().is_some();
                            assert!(rule.threshold().is_none_or(f64::is_finite), "{rule:?}");
                            assert_eq!(
                                constant,
                                rule.risks.contains(&1.0)
                                    && rule.risks.contains(&0.0)
                                    && rule.threshold().is_none()
                            );
                        }
                    }
                }
            }
        }
    }
    assert!(seen > 20_000);
}
