//! Scores of the whole training part that a trained network gives, and its features.

use std::time::Instant;

use super::result::{Extraction, ScorePart};
use crate::data::PartName;
use crate::error::Result;
use crate::exec::Executor;
use crate::experiment::session::{OnBackend, positions};
use crate::ops::Operators;
use crate::score::features::{self, Evidence};
use crate::score::{Kind, Method, Options, PassControl, Scores, pass};

/// What is asked of a network.
pub(in crate::experiment) struct NetworkScores<'a> {
    pub methods: &'a [Method],
    pub options: &'a Options,
    /// Positions that are scored by the network's logits, ascending; None: all.
    pub positions: Option<&'a [usize]>,
    /// Whether features are wanted for their own sake.
    pub extract: bool,
    /// Positions of a part whose features are wanted, too.
    pub validation: Option<(PartName, &'a [usize])>,
    /// Whole parts whose features are wanted, too, with their numbers of samples.
    pub parts: &'a [(PartName, usize)],
    /// Seed of prototypes' starts and of ties.
    pub seed: u64,
}

/// The methods of some scores.
pub(super) fn names(scores: &Scores) -> Vec<Method> {
    scores.iter().map(|s| s.0).collect()
}

/// Asks the executor's network; `parts` gets what each piece took.
pub(in crate::experiment) fn network_scores<B: Operators>(
    on: &OnBackend<B>,
    executor: &mut Executor<B>,
    wanted: &NetworkScores,
    watch: &mut PassControl,
    parts: &mut Vec<ScorePart>,
) -> Result<(Scores, Option<Extraction>)> {
    let (data, NetworkScores { methods, options, .. }) = (&on.session.data, wanted);
    let all: Vec<u32> = (0..data.train.len() as u32).collect();
    let scored = wanted.positions.map(positions);
    let clock = Instant::now();
    let set = on.set(PartName::Train, scored.as_deref().unwrap_or(&all))?;
    let mut scores = pass::score(executor, &set, methods, options, watch)?;
    if !scores.is_empty() {
        parts.push(ScorePart::new(&names(&scores), false, clock.elapsed().as_secs_f64()));
    }
    let of_features: Vec<Method> =
        methods.iter().filter(|m| m.kind(options) == Kind::Features).copied().collect();
    if of_features.is_empty() && !wanted.extract {
        return Ok((scores, None));
    }
    let clock = Instant::now();
    let set = on.set(PartName::Train, &all)?;
    let extracted = features::extract(executor, &set, watch.requests)?;
    parts.push(ScorePart::new(&of_features, wanted.extract, clock.elapsed().as_secs_f64()));
    let probabilities = Some(extracted.probabilities.as_slice());
    let eligible = &on.session.split.train;
    let evidence = Evidence::of(data, eligible, &extracted.features, probabilities, wanted.seed);
    for method in of_features {
        let clock = Instant::now();
        scores.push((method, features::score(method, options, evidence)?));
        parts.push(ScorePart::new(&[method], false, clock.elapsed().as_secs_f64()));
    }
    let validation = match wanted.validation {
        Some((part, list)) if !list.is_empty() => {
            let val = positions(list);
            let set = on.set(part, &val)?;
            let clock = Instant::now();
            let extracted = features::extract(executor, &set, watch.requests)?;
            parts.push(ScorePart::new(&[], true, clock.elapsed().as_secs_f64()));
            Some(extracted)
        }
        _ => None,
    };
    let mut others = Vec::new();
    for &(part, samples) in wanted.parts {
        let all: Vec<u32> = (0..samples as u32).collect();
        let (set, clock) = (on.set(part, &all)?, Instant::now());
        others.push((part, features::extract(executor, &set, watch.requests)?));
        parts.push(ScorePart::new(&[], true, clock.elapsed().as_secs_f64()));
    }
    Ok((scores, Some(Extraction { train: extracted, validation, others })))
}
