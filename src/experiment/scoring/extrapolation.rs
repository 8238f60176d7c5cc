//! Scores of a part of the samples, and of the others by their neighbours in features.

use serde_json::json;

use crate::error::{Error, Result};
use crate::experiment::folder::scores::MethodScores;
use crate::experiment::session::Session;
use crate::metrics::rank_correlation;
use crate::prune::{
    Features, Order, PickCost, Population, QuotaOptions, QuotaRule, Selection, extrapolate, select,
};
use crate::train::Seeds;

/// The usual number of neighbours.
const NEIGHBOURS: usize = 50;

/// Where the seeds of the draw start: apart from those of all runs.
const SEEDS: u64 = 1 << 34;

/// What is scored, and how the others follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExtrapolateSettings {
    /// The fraction of each class that query runs train on and score, above 0 and below 1.
    pub fraction: f64,
    /// Nearest scored samples that count; None takes 50.
    pub neighbours: Option<usize>,
}

/// A drawn part.
pub struct Extrapolation {
    fraction: f64,
    neighbours: usize,
    seed: u64,
    /// Positions that are scored, ascending, and the others that may be kept.
    scored: Vec<usize>,
    others: Vec<usize>,
    /// Scored ones that are left out of the neighbours, to see how well the others tell their scores.
    held_out: Vec<usize>,
}

impl Extrapolation {
    /// Draws the part: the fraction of each class, at least one sample.
    ///
    /// # Errors
    /// A fraction that leaves nothing to extrapolate, or too little to check it; no neighbours.
    pub(super) fn new(session: &Session, settings: ExtrapolateSettings) -> Result<Self> {
        let ExtrapolateSettings { fraction, neighbours } = settings;
        let neighbours = neighbours.unwrap_or(NEIGHBOURS);
        if neighbours == 0 {
            return Err(Error::invalid("`extrapolate_neighbours`", "0", "at least 1"));
        }
        if !(fraction > 0.0 && fraction < 1.0) {
            let found = fraction.to_string();
            return Err(Error::invalid("`extrapolate`", found, "above 0 and below 1"));
        }
        let (seed, train) = (session.seed, &session.split.train);
        let scored = drawn(session, train, fraction, Some(1), Seeds::derive(seed, SEEDS).subset)?;
        let others = left(train, &scored);
        let too_few = || {
            let found = format!("{fraction}, {} of {} images", scored.len(), train.len());
            Error::invalid("`extrapolate`", found, "at least 20 to score, and others")
        };
        if scored.len() < 20 || others.is_empty() {
            return Err(too_few());
        }
        let base = drawn(session, &scored, 0.9, None, Seeds::derive(seed, SEEDS + 1).subset)?;
        let held_out = left(&scored, &base);
        let seed = Seeds::derive(seed, SEEDS + 2).subset;
        Ok(Extrapolation { fraction, neighbours, seed, scored, others, held_out })
    }

    /// Positions that query runs train on and score, ascending.
    pub(super) fn scored(&self) -> &[usize] {
        &self.scored
    }

    /// What decides the values, beside the scores and the features.
    pub(super) fn facts(&self) -> (f64, usize) {
        (self.fraction, self.neighbours)
    }

    /// What it will take with features of `dims` dimensions.
    pub fn cost(&self, dims: usize) -> PickCost {
        let unknown = self.others.len() + self.held_out.len();
        PickCost::extrapolation(self.scored.len(), unknown, dims, self.neighbours)
    }

    /// The part in words: `120 of 1200 training images are scored, ...`.
    pub fn describe(&self) -> String {
        let (scored, all) = (self.scored.len(), self.scored.len() + self.others.len());
        let neighbours = self.neighbours;
        format!(
            "{scored} of {all} images are trained on and scored, the others by {neighbours} neighbours"
        )
    }

    /// Gives the samples that `scores` lacks their values, and states how well that does on the scored
    /// samples that are held out for it.
    pub(super) fn fill(&self, features: Features, scores: &mut MethodScores) -> Result<()> {
        let base = left(&self.scored, &self.held_out);
        let of = |known: &[usize], unknown: &[usize]| {
            extrapolate(features, &scores.values, known, unknown, self.neighbours, self.seed)
        };
        let guessed = of(&base, &self.held_out)?;
        let computed: Vec<f64> = self.held_out.iter().map(|&i| scores.values[i]).collect();
        let correlation = rank_correlation(&guessed, &computed)?;
        let values = of(&self.scored, &self.others)?;
        // As files hold them.
        for (&i, value) in self.others.iter().zip(values) {
            scores.values[i] = f64::from(value as f32);
        }
        scores.variant += "; of a part, the others by neighbours in features";
        let stated = json!({
            "fraction": self.fraction,
            "neighbours": self.neighbours,
            "scored": self.scored.len(),
            "held_out": self.held_out.len(),
            "rank_correlation": correlation,
        });
        scores.parameters.insert("extrapolated".to_owned(), stated);
        Ok(())
    }
}

/// The fraction of each class of `eligible`, ascending.
fn drawn(
    session: &Session,
    eligible: &[usize],
    fraction: f64,
    min_per_class: Option<usize>,
    seed: u64,
) -> Result<Vec<usize>> {
    let (data, rule) = (&session.data, QuotaRule::Uniform);
    let classes = data.classes.len();
    let population = Population { labels: &data.train.labels, eligible, classes };
    let quota = Some(QuotaOptions { rule, min_per_class, ..QuotaOptions::default() });
    let selection = Selection { order: Order::Random, quota, density: fraction, seed };
    // It is this setting that leaves too little for a sample of each class, or for any.
    let too_few = |e| match e {
        Error::Invalid { what, found, expected } => {
            Error::invalid("`extrapolate`", format!("{fraction}: {what} {found}"), expected)
        }
        other => other,
    };
    Ok(select(population, &selection).map_err(too_few)?.kept)
}

/// What of `all` is not in `part`; both are ascending.
fn left(all: &[usize], part: &[usize]) -> Vec<usize> {
    all.iter().copied().filter(|i| part.binary_search(i).is_err()).collect()
}
