//! Pruning of labels, by scores, recalls, features and predictions of the caller's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::experiment::strategy::{
    Choice, Material, Picker, PickerOptions, QueryData, Quota, Ranking, Recalls, Strategy,
    ValidationMaterial,
};
use crate::prune::{Direction, Population, Subset, ValidationRows};
use crate::score::Method;
use crate::score::features::FeatureMatrix;
use crate::train::Seeds;

/// What is pruned, and what is known of it. Everything that is given must be of use.
#[derive(Clone, Debug)]
pub struct ArrayPruning<'a> {
    /// Class of each of the N samples, below `classes`.
    pub labels: &'a [u32],
    pub classes: usize,
    /// Positions that may be kept, ascending; None: all.
    pub eligible: Option<Vec<usize>>,
    pub ranking: Ranking,
    pub quota: Quota,
    /// The kept fraction of the eligible samples, in (0, 1].
    pub density: f64,
    pub choice: Choice,
    /// The seed that `prune` takes: the same one draws the same samples.
    pub seed: u64,
    /// A score of every sample, and the end of it that is kept: what the ranking `given` looks at.
    pub given: Option<(Vec<f64>, Direction)>,
    /// Scores by name, N values each.
    pub scores: BTreeMap<Method, Vec<f64>>,
    /// Recall of each class on validation data, None for a class without samples there.
    pub recalls: Option<Vec<Option<f64>>>,
    /// Validation samples behind each recall.
    pub validation_sizes: Option<Vec<u64>>,
    /// What query networks say of validation samples: what predictions are made from.
    pub rows: Option<ValidationRows>,
    /// N x D.
    pub features: Option<FeatureMatrix>,
    /// N x K.
    pub probabilities: Option<Vec<f32>>,
    pub validation: Option<ValidationMaterial>,
}

impl<'a> ArrayPruning<'a> {
    /// A random subset without quotas, to be changed.
    pub fn new(labels: &'a [u32], classes: usize, density: f64) -> Self {
        ArrayPruning {
            labels,
            classes,
            eligible: None,
            ranking: Ranking::Random,
            quota: Quota::None,
            density,
            choice: Choice::default(),
            seed: 0,
            given: None,
            scores: BTreeMap::new(),
            recalls: None,
            validation_sizes: None,
            rows: None,
            features: None,
            probabilities: None,
            validation: None,
        }
    }

    /// Chooses the samples.
    ///
    /// # Errors
    /// [`Error::Invalid`]: arrays of other lengths, something that is needed and missing, or given and of
    /// no use, an option that the method cannot have, and what [`Strategy::subset`] refuses.
    pub fn subset(self) -> Result<Subset> {
        let strategy = Strategy::Pruned { ranking: self.ranking, quota: self.quota };
        self.check(strategy)?;
        let n = self.labels.len();
        let eligible = self.eligible.unwrap_or_else(|| (0..n).collect());
        let population =
            Population { labels: self.labels, eligible: &eligible, classes: self.classes };
        let query = QueryData {
            recalls: Recalls {
                given: self.recalls,
                rows: self.rows.map(Arc::new),
                validation_sizes: self.validation_sizes,
                ..Recalls::default()
            },
            scores: self.scores,
            material: Material {
                features: self.features.map(Arc::new),
                probabilities: self.probabilities,
                validation: self.validation,
            },
            given: self.given,
            ..QueryData::default()
        };
        let draw = Seeds::derive(self.seed, 0).subset;
        strategy.subset(population, self.density, draw, &query, &self.choice)
    }

    fn check(&self, strategy: Strategy) -> Result<()> {
        let (n, pickers) = (self.labels.len(), &self.choice.pickers);
        let chosen: Vec<_> = strategy.pickers().collect();
        pickers.check(&chosen)?;
        if let Some(idle) = pickers.idle(&chosen).first() {
            return Err(unused(
                idle.setting,
                &format!("no use for it: it is about {}", idle.about),
            ));
        }
        let wanted = strategy.methods(pickers);
        if let Some(method) = self.scores.keys().find(|m| !wanted.contains(m)) {
            return Err(unused(
                "scores",
                &format!("{method}, which {} does not look at", strategy),
            ));
        }
        if self.given.is_some() && !strategy.uses_given() {
            let found = format!("one score, which {strategy} does not look at");
            return Err(unused("scores", &found));
        }
        let given = self.given.iter().map(|(values, _)| ("scores".to_owned(), values.len(), n));
        let named = self.scores.iter().map(|(m, v)| (format!("scores {m}"), v.len(), n));
        let recalls = self.recalls.iter().map(|r| ("recalls".to_owned(), r.len(), self.classes));
        for (what, found, expected) in given.chain(named).chain(recalls) {
            if found != expected {
                let expected = format!("{expected}");
                return Err(Error::invalid(what, format!("{found} values"), expected));
            }
        }
        if let Some(features) = &self.features
            && (features.width == 0 || features.values.len() != n * features.width)
        {
            let found = format!("{} values in rows of {}", features.values.len(), features.width);
            return Err(Error::invalid("features", found, format!("{n} rows")));
        }
        let looks = |at: fn(Picker, &PickerOptions) -> bool| chosen.iter().any(|&p| at(p, pickers));
        let material = [
            ("features", self.features.is_some(), looks(Picker::needs_features)),
            ("probabilities", self.probabilities.is_some(), looks(Picker::needs_probabilities)),
            ("validation", self.validation.is_some(), looks(Picker::needs_validation)),
        ];
        for (what, there, needed) in material {
            match (there, needed) {
                (true, false) => {
                    return Err(unused(what, &format!("some, which {strategy} does not look at")));
                }
                (false, true) => {
                    let expected = format!("some: {strategy} looks at them");
                    return Err(Error::invalid(what, "none", expected));
                }
                _ => {}
            }
        }
        let of_quota = self.recalls.is_some() || self.rows.is_some();
        if !of_quota && strategy.needs_recalls() {
            let expected = "`recalls`, one a class; or `quota` none, uniform or balanced";
            return Err(Error::invalid(format!("`quota` {}", self.quota), "no recalls", expected));
        }
        Ok(())
    }
}

fn unused(what: &str, found: &str) -> Error {
    Error::invalid(format!("`{what}`"), found, "none, or a strategy that looks at it")
}
