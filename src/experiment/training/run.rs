//! One training run with its evaluation: what is trained, on what, and what is asked of the network.

use crate::experiment::folder::features::Extract;
use crate::experiment::identity::{Ground, Identity};
use crate::experiment::session::{PassSize, Session};
use serde::Serialize;

use crate::artefact::digest;
use crate::data::{PartName, QueryPart};
use crate::error::Result;
use crate::exec::{Mode, PlannedMemory};
use crate::score::{Kind, Method, Options, modes};
use crate::train::baseline::plan;
use crate::train::{Baseline, Recipe, Recording, Seeds};

/// What a run records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub what: Recording,
    /// Where it goes, below the output folder: `dynamics`.
    pub folder: String,
}

/// A training run to be done.
pub struct TrainingRun<'a> {
    /// Folder below `work/`: `random-d0.5-s0`.
    pub name: String,
    pub recipe: &'a Recipe,
    pub seeds: Seeds,
    /// Steps that the schedule is made for.
    pub steps: u64,
    /// Steps to do: fewer where only the beginning is wanted, 0 for a fresh network.
    pub until: u64,
    /// Positions to train on, ascending, and where validation images are.
    pub part: QueryPart,
    /// A factor of the loss of each of these positions, in their order; None: all are 1.
    pub weights: Option<Vec<f32>>,
    /// Scores of the training part: of the whole by the finished network, or of what was trained on
    /// by what the run recorded.
    pub methods: &'a [Method],
    pub options: &'a Options,
    pub record: Option<Record>,
    /// Positions that the finished network scores by its logits, ascending; None: the whole part.
    pub scored: Option<Vec<usize>>,
    /// Write the network's features to the output folder.
    pub extract: Option<Extract>,
    /// Keep what the last weights say of each validation image.
    pub predictions: bool,
    /// Evaluate on the test part (final models), or not (query models).
    pub test: bool,
    pub evaluate_every: u32,
    /// Another way of training.
    pub baseline: Option<Baseline>,
}

impl TrainingRun<'_> {
    /// All passes of the run, which decide what it allocates.
    pub(super) fn passes(&self, session: &Session) -> Vec<PassSize> {
        let test = if self.test { session.split.test.len() } else { 0 };
        let mut passes = vec![(Mode::Score, self.part.val.len()), (Mode::Score, test)];
        if self.until > 0 {
            let samples = self.part.train.len();
            passes.extend(plan::training_passes(self.baseline, self.recipe, samples));
        }
        let all = session.data.train.len();
        passes.extend(self.scoring(all));
        let parts = self.extracted_parts(session).into_iter();
        passes.extend(parts.map(|(_, samples)| (Mode::Score, samples)));
        passes
    }

    /// The parts beside that of training whose features are wanted, with their numbers of samples.
    pub(super) fn extracted_parts(&self, session: &Session) -> Vec<(PartName, usize)> {
        let wanted = self.extract.as_ref().is_some_and(|e| e.parts);
        let samples =
            |name| Some((name, session.data.part(name).filter(|p| wanted && !p.is_empty())?.len()));
        [PartName::Val, PartName::Test].into_iter().filter_map(samples).collect()
    }

    /// The passes over the training part when training is done, of `all` samples or of fewer.
    pub fn scoring(&self, all: usize) -> Vec<PassSize> {
        let scored = self.scored.as_ref().map_or(all, Vec::len);
        let modes = modes(self.methods, self.options).into_iter();
        let mut passes: Vec<PassSize> = modes.map(|mode| (mode, scored)).collect();
        if self.extract.is_some() && !passes.contains(&(Mode::Score, all)) {
            passes.push((Mode::Score, all));
        }
        passes
    }

    /// Whether the network's features are needed.
    pub fn needs_features(&self) -> bool {
        self.extract.is_some()
            || self.methods.iter().any(|m| m.kind(self.options) == Kind::Features)
    }

    /// Bytes that it will allocate on the device, images apart; an error where they do not fit.
    pub fn planned_memory(&self, session: &Session) -> Result<PlannedMemory> {
        let divergences = self.record.as_ref().is_some_and(|r| r.what.divergence);
        let recipe = plan::device_recipe(self.baseline, self.recipe);
        let own = session.planned_memory(&recipe, &self.passes(session), divergences)?;
        Ok(own.and(self.twin_memory(session)?))
    }

    /// Bytes of the second network that some methods train in step.
    pub(super) fn twin_memory(&self, session: &Session) -> Result<PlannedMemory> {
        if !self.baseline.is_some_and(Baseline::trains_two) || self.until == 0 {
            return Ok(PlannedMemory::default());
        }
        let passes = plan::training_passes(self.baseline, self.recipe, self.part.train.len());
        session.planned_memory(self.recipe, &passes, false)
    }
}

/// What decides a training run, beside the ground that it stands on.
#[derive(Serialize)]
struct Facts<'a> {
    recipe: &'a Recipe,
    seeds: Seeds,
    steps: u64,
    until: u64,
    subset: &'a [usize],
    validation: (&'static str, &'a [usize]),
    test: &'a [usize],
    scores: Vec<&'static str>,
    options: Option<&'a Options>,
    record: Option<(bool, &'a str)>,
    features: Option<(&'a str, bool)>,
    /// Stated where features of other parts are wanted, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    features_of_parts: bool,
    evaluate_every: u32,
    baseline: Option<String>,
    sample_weights: Option<String>,
    /// Stated where they are wanted, so that runs without are what they were.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    predictions: bool,
    /// Whether evaluations count groups as well.
    counts_groups: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scored: Option<&'a [usize]>,
}

impl TrainingRun<'_> {
    /// A hash of everything that determines the run's numbers.
    pub fn identity(&self, session: &Session) -> Result<String> {
        let facts = Facts {
            recipe: self.recipe,
            seeds: self.seeds,
            steps: self.steps,
            until: self.until,
            subset: &self.part.train,
            validation: (self.part.val_part.name(), &self.part.val),
            test: if self.test { &session.split.test } else { &[] },
            scores: self.methods.iter().map(|m| m.name()).collect(),
            options: (!self.methods.is_empty()).then_some(self.options),
            record: self.record.as_ref().map(|r| (r.what.divergence, r.folder.as_str())),
            features: self.extract.as_ref().map(|e| (e.folder.as_str(), e.validation)),
            features_of_parts: self.extract.as_ref().is_some_and(|e| e.parts),
            evaluate_every: self.evaluate_every,
            baseline: self.baseline.map(|b| b.to_string()),
            sample_weights: self.weights.as_ref().map(|w| digest(bytemuck::cast_slice(w))),
            predictions: self.predictions,
            counts_groups: session.data.attributes.is_some(),
            scored: self.scored.as_deref(),
        };
        Ok(Identity::on("training run", Ground::of(session), &facts)?.digest())
    }
}
