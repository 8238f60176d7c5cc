//! Against golden values of a thousand digits (tests/golden/theory/make.py), from ordinary
//! parameters to tails of 1e-450 and deviations that differ by a million.

use fairprune::theory::{Decision, TwoGaussians};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn pair(value: &Value) -> [f64; 2] {
    numbers(value).try_into().unwrap()
}

/// The largest relative error allowed: what rounding the parameters themselves may do. A threshold
/// z deviations from a mean has a tail whose logarithm changes by z^2 times as much.
const ROUNDING: f64 = 1e-14;

struct Case {
    name: String,
    means: [f64; 2],
    sigmas: [f64; 2],
}

impl Case {
    #[track_caller]
    fn close(&self, what: &str, found: f64, expected: f64, tolerance: f64) {
        let error = (found - expected).abs();
        assert!(
            error <= tolerance,
            "{}: {what} is {found:e}, expected {expected:e}: {error:e} > {tolerance:e}",
            self.name
        );
    }

    fn rule(&self, what: &str, found: &Decision, expected: &Value) {
        let always = expected["always"].as_u64().map(|k| k as usize);
        assert_eq!(found.degenerate(), always, "{}: {what}", self.name);
        let Some(t) = expected["threshold"].as_f64() else {
            assert_eq!(found.risks, pair(&expected["risks"]), "{}: {what}", self.name);
            return;
        };
        let [mu0, mu1] = self.means;
        let size = t.abs() + mu0.abs() + mu1.abs();
        self.close(&format!("{what} threshold"), found.threshold().unwrap(), t, ROUNDING * size);
        for (k, risk) in numbers(&expected["risks"]).into_iter().enumerate() {
            // How far the threshold is, and how far it would be from the wider class.
            let z = (t - self.means[k]).abs() / self.sigmas[k] + (mu1 - mu0) / self.sigmas[k];
            let relative = ROUNDING * (4.0 + z * z);
            let what = format!("{what} risk {k}");
            self.close(&what, found.risks[k], risk, (relative * risk).max(1e-307));
        }
    }

    fn densities(&self, what: &str, found: [f64; 2], expected: &Value, relative: f64) {
        for (k, d) in numbers(expected).into_iter().enumerate() {
            let what = format!("{what} density {k}");
            self.close(&what, found[k], d, (relative * d).max(1e-307));
        }
    }
}

#[test]
fn every_number_of_every_case() {
    let text = include_str!("../golden/theory/gaussians.json");
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(cases.len() >= 40);
    let mut degenerate = [0, 0];
    for expected in &cases {
        let p = numbers(&expected["parameters"]);
        let (means, sigmas, sizes) = ([p[0], p[1]], [p[2], p[3]], [p[4], p[5]]);
        let case = Case { name: format!("{p:?}"), means, sigmas };
        let classes = TwoGaussians::new(means, sigmas, sizes).unwrap();
        let full = classes.minimiser();
        case.rule("full", &full, &expected["full"]);
        case.rule("worst", &classes.worst_optimum(), &expected["worst"]);
        if let Some(class) = full.degenerate() {
            degenerate[class] += 1;
        }
        match (classes.optimal_priors(), expected["optimal_priors"].is_null()) {
            (None, true) => assert_eq!(classes.reachable_density(), None),
            (Some(found), false) => {
                case.densities("prior", found, &expected["optimal_priors"], 1e-15);
                let reachable = expected["reachable_density"].as_f64().unwrap();
                let found = classes.reachable_density().unwrap();
                case.close("reachable", found, reachable, 1e-15 * reachable);
            }
            (found, _) => panic!("{}: priors {found:?}", case.name),
        }
        for row in expected["rows"].as_array().unwrap() {
            let density = row["density"].as_f64().unwrap();
            let found = classes.metriq(density).unwrap();
            assert_eq!(found.is_none(), row["metriq"].is_null(), "{}", case.name);
            if let Some(found) = found {
                let what = format!("metriq at {density}");
                case.densities(&what, found.densities, &row["metriq"]["densities"], 1e-11);
                case.rule(&what, &found.decision, &row["metriq"]);
            }
            let found = classes.ssp(density).unwrap();
            let what = format!("ssp at {density}");
            let margin = row["ssp"]["margin"].as_f64().unwrap();
            case.close(&what, found.margin, margin, 1e-13 * margin);
            let z = margin / sigmas[0].min(sigmas[1]);
            let relative = 1e-14 * (4.0 + z * z);
            case.densities(&what, found.densities, &row["ssp"]["densities"], relative);
            case.rule(&what, &found.decision, &row["ssp"]);
        }
    }
    assert!(degenerate[0] >= 2 && degenerate[1] >= 2, "{degenerate:?}");
}
