//! Pruning one data set: what is asked for, what is looked at, which samples are kept.

mod given;
mod select;
mod source;

pub use given::{GivenScores, GivenSettings};
pub use select::{Found, Inputs, Pruned, Shown};
pub use source::{Source, SourceSettings};

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::folder::own_features::OwnFeatures;
use super::identity::Identity;
use super::settings::VariantSettings;
use super::strategy::{Choice, Picker, Quota, Ranking, Strategy};
use crate::error::{Error, Result};
use crate::prune::Direction;
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

/// What of the plan decides the result.
#[derive(Serialize)]
struct PlanFacts {
    strategy: String,
    quota: String,
    density: f64,
    smooth: bool,
    min_per_class: Option<usize>,
    pickers: Map<String, Value>,
    seed: u64,
}

/// What of the samples and their scores does.
#[derive(Serialize)]
struct SourceFacts<'a> {
    data: &'a str,
    split: &'a Option<String>,
    held_out: usize,
    scores: Option<&'a str>,
    recalls: Option<&'a str>,
    groups: &'a Option<String>,
    /// Digest of given scores, and whether low ones are kept.
    given: Option<(&'a str, bool)>,
    #[serde(flatten)]
    plan: PlanFacts,
    features: &'a Option<String>,
}

/// The same where query runs compute the scores on the way.
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

    fn facts(&self) -> PlanFacts {
        let pickers = &self.choice.pickers;
        let of = |p: Picker| (p.name().to_owned(), json!(p.describe(pickers)));
        PlanFacts {
            strategy: self.ranking.to_string(),
            quota: self.quota.to_string(),
            density: self.density,
            smooth: self.choice.quotas.laplace,
            min_per_class: self.choice.quotas.min_per_class,
            pickers: self.strategy().pickers().map(of).collect(),
            seed: self.seed,
        }
    }

    /// What decides the subset that is chosen by `inputs`.
    pub fn identity(&self, inputs: &Inputs) -> Result<Identity> {
        let Inputs { source, recalls, found } = inputs;
        let low = |d: Direction| d == Direction::KeepLowest;
        let facts = SourceFacts {
            data: &source.identity.fingerprint,
            split: &source.split,
            held_out: source.ids.len() - source.eligible.len(),
            scores: source.scores.as_ref().map(|s| s.digest.as_str()),
            recalls: recalls.as_ref().map(|r| r.digest.as_str()),
            groups: &source.partition.attribute,
            given: source.given.as_ref().map(|g| (g.digest.as_str(), low(g.direction))),
            plan: self.facts(),
            features: &found.digest,
        };
        Identity::of("prune", &facts)
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
