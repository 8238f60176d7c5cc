//! What is looked for.

use super::evidence::OwnEvidence;
use crate::artefact::tables::FindingKind;
use crate::data::SplitKind;
use crate::data::split::DEFAULT_FOLDS;
use crate::error::{Error, Result};
use crate::experiment::settings::DataSettings;
use crate::prune::{ALIKE, NEAR, SuspectRanking};

/// What a person says of a check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QualitySettings {
    /// Kinds to look for; empty: all.
    pub only: Vec<FindingKind>,
    /// The cosine from which on features are near; None takes [`NEAR`].
    pub near: Option<f64>,
    /// The correlation from which on pixels of samples with near features are alike; None takes [`ALIKE`].
    pub alike: Option<f64>,
    /// What suspected labels are ranked by.
    pub ranking: SuspectRanking,
}

/// What is looked for, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualityPlan {
    pub exact: bool,
    /// The cosine from which on features are near, and the correlation from which on pixels are alike.
    pub near: Option<[f64; 2]>,
    /// What suspected labels are ranked by.
    pub labels: Option<SuspectRanking>,
}

/// The kind of finding that a person calls `duplicates`, `near-duplicates` or `labels`.
pub fn kind_to_look_for(name: &str) -> Result<FindingKind> {
    match name {
        "duplicates" => Ok(FindingKind::ExactDuplicate),
        "near-duplicates" => Ok(FindingKind::NearDuplicate),
        "labels" => Ok(FindingKind::Label),
        _ => Err(Error::invalid("`only`", name, "duplicates, near-duplicates or labels")),
    }
}

impl QualitySettings {
    /// The plan.
    ///
    /// # Errors
    /// A cosine or correlation that is not above 0 and at most 1.
    pub fn plan(&self) -> Result<QualityPlan> {
        let bounds = [self.near.unwrap_or(NEAR), self.alike.unwrap_or(ALIKE)];
        for (what, bound) in ["`near`", "`alike`"].into_iter().zip(bounds) {
            if !(bound > 0.0 && bound <= 1.0) {
                return Err(Error::invalid(what, bound.to_string(), "above 0 and at most 1"));
            }
        }
        let wanted = |kind| self.only.is_empty() || self.only.contains(&kind);
        Ok(QualityPlan {
            exact: wanted(FindingKind::ExactDuplicate),
            near: wanted(FindingKind::NearDuplicate).then_some(bounds),
            labels: wanted(FindingKind::Label).then_some(self.ranking),
        })
    }
}

impl QualityPlan {
    /// The data settings with folds where labels are looked at and nothing else is asked for:
    /// probabilities must come from networks that did not train on the sample.
    pub fn with_folds(&self, data: &DataSettings, own: &OwnEvidence) -> DataSettings {
        let folds = SplitKind::Crossfit { folds: DEFAULT_FOLDS };
        let by_networks = self.labels.filter(|_| !own.has_probabilities());
        let split = data.split.or(by_networks.map(|_| folds));
        DataSettings { split, ..data.clone() }
    }

    /// Whether networks must be trained, with features or probabilities of the user's or without.
    pub fn trains(&self, own_features: bool, own_probabilities: bool) -> bool {
        self.near.is_some() && !own_features || self.labels.is_some() && !own_probabilities
    }

    /// The kinds that are looked for, in order.
    pub fn kinds(&self) -> Vec<FindingKind> {
        let wanted = [self.exact, self.near.is_some(), self.labels.is_some()];
        FindingKind::ALL.into_iter().zip(wanted).filter(|(_, w)| *w).map(|(kind, _)| kind).collect()
    }
}
