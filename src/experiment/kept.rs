//! A program's own way through the workflow: score with a network in memory, prune, write what is kept.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::folder::provenance;
use super::folder::subset::{SubsetNames, SubsetRecord, SubsetSamples, document};
use super::identity::{Ground, Identity};
use super::network::TrainedNetwork;
use super::session::{OnBackend, Session, on_backend, positions};
use super::strategy::{Choice, QueryData, Recalls, Strategy};
use super::training::{NetworkScores, ValidationPredictions, network_scores};
use crate::artefact::{Existing, OutputDir};
use crate::error::Result;
use crate::exec::Mode;
use crate::nn::Weights;
use crate::ops::Operators;
use crate::prune::{Subset, ValidationRows, over};
use crate::requests::Requests;
use crate::score::{Method, Options, PassControl, Scores, features, modes};
use crate::train::{Recipe, Seeds};

/// A subset of a session's training samples.
pub struct Kept<'a> {
    session: &'a Session,
    strategy: Strategy,
    density: f64,
    choice: Choice,
    pub subset: Subset,
    /// The recalls that quotas were made from, one a class or group.
    recalls: Vec<Option<f64>>,
}

/// What decides a subset, beside the ground that it stands on.
#[derive(Serialize)]
struct Facts {
    strategy: String,
    density: f64,
    seed: u64,
    positions: String,
}

impl Session {
    /// What `network` tells of the training samples: the scores, one a sample, and its validation recalls,
    /// of the groups where the session is over groups.
    ///
    /// # Errors
    /// Scores that need training of their own; outputs that are not finite.
    pub fn score(&self, network: &TrainedNetwork, methods: &[Method]) -> Result<QueryData> {
        let options = Options::default();
        let (scores, said) =
            on_backend!(self, on => score_on(&on, &network.weights, methods, &options))?;
        let scores = scores.into_iter();
        let scores = scores.map(|(m, values)| (m, values.into_iter().map(f64::from).collect()));
        let counts = network.validation.as_ref().map(|v| v.by(&self.partition)).transpose()?;
        let given = counts.map_or(Vec::new(), |c| crate::metrics::recalls(&c.counts()));
        let rows = match said.filter(|_| self.partition.attribute.is_none()) {
            Some(said) => {
                let rows = ValidationRows::new(self.data.classes.len(), &[said.run(None)])?;
                Some(Arc::new(rows))
            }
            None => None,
        };
        let recalls = Recalls { given: Some(given), rows, ..Recalls::default() };
        Ok(QueryData { recalls, scores: scores.collect(), ..QueryData::default() })
    }

    /// The samples that `strategy` keeps at `density` by what query runs or a network told.
    pub fn prune(&self, strategy: Strategy, told: &QueryData, density: f64) -> Result<Kept<'_>> {
        let (choice, partition) = (Choice::default(), &self.partition);
        let draw = Seeds::derive(self.seed, 0).subset;
        let subset = strategy.subset(self.population(), density, draw, told, &choice);
        let subset = subset.map_err(|e| over(partition.unit(), &partition.names, e))?;
        let recalls = told.recalls_of(strategy.recalls_of(&choice.pickers)).mean();
        Ok(Kept { session: self, strategy, density, choice, subset, recalls })
    }
}

fn score_on<B: Operators>(
    on: &OnBackend<B>,
    weights: &Weights,
    methods: &[Method],
    options: &Options,
) -> Result<(Scores, Option<ValidationPredictions>)> {
    let session = on.session;
    let samples = session.data.train.len();
    let recipe = Recipe::quick(samples, session.side(), Recipe::BATCH);
    let mut passes: Vec<(Mode, usize)> =
        modes(methods, options).into_iter().map(|mode| (mode, samples)).collect();
    passes.push((Mode::Score, session.split.val.len()));
    let mut executor = on.executor(&recipe, session.seed, &passes, false)?;
    executor.set_weights(weights)?;
    let seed = Seeds::derive(session.seed, 0).subset;
    let wanted = NetworkScores {
        methods,
        options,
        positions: None,
        extract: false,
        validation: None,
        parts: &[],
        seed,
    };
    let requests = Requests::new();
    let mut watch = PassControl { requests: &requests, progress: &mut |_, _| {}, keeping: None };
    let scores = network_scores(on, &mut executor, &wanted, &mut watch, &mut Vec::new())?.0;
    let split = &session.split;
    if split.val.is_empty() {
        return Ok((scores, None));
    }
    let val = positions(&split.val);
    let set = on.set(split.val_part, &val)?;
    let log_probabilities = features::log_probabilities(&mut executor, &set, &requests)?;
    let said = ValidationPredictions::of(session, split.val_part, &split.val, log_probabilities);
    Ok((scores, Some(said)))
}

impl Kept<'_> {
    /// Positions in the training part, ascending.
    pub fn positions(&self) -> &[usize] {
        &self.subset.kept
    }

    /// Writes `kept.npy`, `kept.json`, `mask.npy`, `eligible.npy`, `kept.csv`, `dropped.csv` and `classes.csv` to a new folder, or one that
    /// holds the same subset.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<OutputDir> {
        let session = self.session;
        let facts = Facts {
            strategy: self.strategy.to_string(),
            density: self.density,
            seed: session.seed,
            positions: provenance::digest_of(&self.subset.kept),
        };
        let identity = Identity::on("prune", Ground::of(session), &facts)?;
        let dir = identity.claim(folder.as_ref(), Existing::Continue)?;
        let (names, data) = (&session.partition.names, &session.data);
        let record = SubsetRecord {
            subset: &self.subset,
            strategy: self.strategy,
            density: self.density,
            choice: &self.choice,
            seed: session.seed,
            partition: &session.partition,
            population: session.population(),
            names,
            recalls: &self.recalls,
            split: Some(session.split.kind.to_string()),
        };
        let weights = record.weights()?;
        let stated = record.provenance(provenance::identity(data), weights.as_deref());
        let describe = |w: &crate::prune::Warning| w.describe_over(session.partition.unit(), names);
        let warnings: Vec<String> = self.subset.warnings.iter().map(describe).collect();
        let stated = json!(document(&stated, names, &warnings));
        let files = SubsetNames::alone();
        record.write_about(&stated, weights.as_deref(), &files, &dir)?;
        let samples = SubsetSamples {
            ids: &data.train.ids,
            labels: &data.train.labels,
            parts: &provenance::parts(data, &session.split),
            scores: None,
            kept_without_quotas: None,
        };
        record.write_samples(&samples, &dir)?;
        record.write_kept(&files, &dir)?;
        Ok(dir)
    }
}
