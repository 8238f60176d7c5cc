//! Scores of a recorded run: which quantity each method reads, and with what numbers.

use super::method::{Kind, Method};
use super::options::{EL2N_EPOCHS, Options};
use super::trajectories::{
    Trajectories, area_under_margin, confidence, early_confidence, el2n_sum, forgetting,
    variability,
};
use super::windows::{dual, dynamic_uncertainty, tdds};
use crate::artefact::dynamics::Quantity;
use crate::error::{Error, Result};

/// Computes the scores of `methods` over `samples` samples, NaN for those that the run never
/// presented. `read` gives the T x N values of a quantity; each is read once, and one at a time is
/// in memory.
///
/// # Errors
/// There are fewer epochs than a method needs, or a method is not made from recorded dynamics.
pub fn score(
    methods: &[Method],
    options: &Options,
    samples: usize,
    mut read: impl FnMut(Quantity) -> Result<Vec<f32>>,
) -> Result<Vec<(Method, Vec<f32>)>> {
    let mut scores: Vec<(Method, Vec<f32>)> = Vec::with_capacity(methods.len());
    for quantity in Quantity::ALL {
        let wanted = methods.iter().filter(|m| m.kind(options) == Kind::Dynamics(quantity));
        let wanted: Vec<Method> = wanted.copied().collect();
        if wanted.is_empty() {
            continue;
        }
        let values = read(quantity)?;
        let trajectories = Trajectories::new(&values, samples)?;
        for method in wanted {
            scores.push((method, one(method, options, trajectories)?));
        }
    }
    if let Some(other) = methods.iter().find(|m| !scores.iter().any(|s| s.0 == **m)) {
        return Err(Error::Internal(format!("{other} is not made from recorded dynamics")));
    }
    Ok(scores)
}

/// Refuses scores that lack one of the `trained` samples. With few epochs, one epoch that dropped a
/// sample can leave it without a window.
pub fn check_presented(scores: &[(Method, Vec<f32>)], trained: &[usize]) -> Result<()> {
    for (method, values) in scores {
        if let Some(i) = trained.iter().find(|&&i| values[i].is_nan()) {
            let found = "too few presentations in the recorded epochs";
            let expected = "more epochs, or a longer `window`";
            return Err(Error::invalid(format!("{method} of sample {i}"), found, expected));
        }
    }
    Ok(())
}

fn one(method: Method, options: &Options, of: Trajectories) -> Result<Vec<f32>> {
    match method {
        Method::El2n => el2n_sum(of, EL2N_EPOCHS),
        Method::Forgetting => Ok(forgetting(of, options.never_learned)),
        Method::DynamicUncertainty => dynamic_uncertainty(of, options.window),
        Method::Dual => dual(of, options.window, options.dual_epochs()),
        Method::Tdds => tdds(of, options.window, options.tdds_epochs(), options.decay),
        Method::Aum => Ok(area_under_margin(of)),
        Method::EarlyConfidence => early_confidence(of, options.dual_epochs()),
        Method::Confidence => Ok(confidence(of)),
        Method::Variability => Ok(variability(of)),
        other => Err(Error::Internal(format!("{other} is not made from recorded dynamics"))),
    }
}
