//! What is asked of a pruning.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::experiment::folder::own_features::OwnFeatures;
use crate::experiment::identity::Identity;
use crate::experiment::settings::VariantSettings;
use crate::experiment::strategy::{Choice, Picker, Quota, Ranking, Strategy};
use crate::score::{Kind, Method};

/// What is asked for.
pub struct PrunePlan {
    pub ranking: Ranking,
    pub quota: Quota,
    /// The kept fraction, above 0 and at most 1.
    pub density: f64,
    pub choice: Choice,
    pub seed: u64,
}

/// What of a plan decides the result.
#[derive(Serialize)]
pub(super) struct PlanFacts {
    strategy: String,
    quota: String,
    density: f64,
    smooth: bool,
    min_per_class: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    winsor: Option<f64>,
    pickers: Map<String, Value>,
    seed: u64,
}

/// What decides the result where query runs compute the scores on the way.
#[derive(Serialize)]
struct QueryFacts<'a> {
    #[serde(flatten)]
    plan: PlanFacts,
    /// What decides the scores.
    query: Map<String, Value>,
    groups: &'a str,
    recalls: Option<&'a Path>,
    features: Option<&'a Path>,
}

impl PrunePlan {
    /// The way of pruning.
    pub fn strategy(&self) -> Strategy {
        Strategy::Pruned { ranking: self.ranking, quota: self.quota }
    }

    /// Scores that the selection looks at.
    pub fn methods(&self) -> BTreeSet<Method> {
        self.strategy().methods(&self.choice.pickers)
    }

    /// Whether it looks at features, or predictions, of a network.
    pub fn looks_at_network(&self, own_features: bool) -> bool {
        let options = &self.choice.pickers;
        let needs = |p: Picker| {
            p.needs_probabilities(options) || (!own_features && p.needs_features(options))
        };
        self.strategy().pickers().any(needs)
    }

    /// Whether query runs must tell something: scores, features or predictions of a network, or recalls.
    pub fn needs_runs(&self, own_features: bool, given_recalls: bool) -> bool {
        self.looks_at_network(own_features)
            || !self.methods().is_empty()
            || (self.strategy().needs_recalls() && !given_recalls)
    }

    /// Refuses a file of scores (`file`) with strategies that look at scores by name.
    pub fn check_file(&self, file: Option<&Path>) -> Result<()> {
        let (Some(path), Some(method)) = (file, self.methods().first().copied()) else {
            return Ok(());
        };
        let what = format!("`strategy` or `quota` that use {method}");
        let found = format!("the file {}, one score", path.display());
        Err(Error::invalid(what, found, "given, the name of that score here"))
    }

    /// Refuses features of the user's that the strategy has no use for.
    pub fn check_own_features(&self, variants: &VariantSettings) -> Result<()> {
        let chosen: Vec<Picker> = self.strategy().pickers().collect();
        let pickers = &self.choice.pickers;
        OwnFeatures::check(&chosen, pickers)?;
        let options = variants.options()?;
        let features = |m: &Method| m.kind(&options) == Kind::Features;
        if chosen.iter().any(|p| p.needs_features(pickers)) || self.methods().iter().any(features) {
            return Ok(());
        }
        let found = format!("`strategy` {}", self.ranking);
        let expected = "a strategy that looks at features, such as coreset or ssp";
        Err(Error::invalid("`features`", found, expected))
    }

    /// What of the plan decides the result.
    pub(super) fn facts(&self) -> PlanFacts {
        let pickers = &self.choice.pickers;
        let of = |p: Picker| (p.name().to_owned(), json!(p.describe(pickers)));
        PlanFacts {
            strategy: self.ranking.to_string(),
            quota: self.quota.to_string(),
            density: self.density,
            smooth: self.choice.quotas.laplace,
            min_per_class: self.choice.quotas.min_per_class,
            winsor: self.choice.quotas.own_winsor(),
            pickers: self.strategy().pickers().map(of).collect(),
            seed: self.seed,
        }
    }

    /// What decides the subset where query runs (`query`) compute its scores first.
    pub fn identity_with_queries(
        &self,
        query: &Identity,
        groups: &str,
        recalls: Option<&Path>,
        features: Option<&Path>,
    ) -> Result<Identity> {
        let (plan, query) = (self.facts(), query.facts());
        Identity::of("prune", &QueryFacts { plan, query, groups, recalls, features })
    }
}
