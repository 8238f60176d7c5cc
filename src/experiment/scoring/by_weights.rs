//! Scores of a network as it is.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, json};

use super::{ScoreFacts, ScoreRequest};
use crate::artefact::OutputDir;
use crate::data::{DataSet, PartName, Partition, Split, SplitKind};
use crate::error::{Error, Result};
use crate::exec::{Mode, PlannedMemory};
use crate::experiment::counts::EvaluationCounts;
use crate::experiment::folder::features::{Extract, write_features};
use crate::experiment::folder::own_features::OwnFeatures;
use crate::experiment::folder::provenance;
use crate::experiment::folder::recall_rows::rows_of;
use crate::experiment::folder::scores::{MethodScores, Scored};
use crate::experiment::identity::{Ground, Identity};
use crate::experiment::session::{OnBackend, PassSize, Session, on_backend, positions};
use crate::experiment::training::{
    NetworkScores, ValidationPredictions, network_facts, network_scores,
};
use crate::experiment::weight_file::WeightFile;
use crate::ops::Operators;
use crate::prune::ValidationRows;
use crate::requests::Requests;
use crate::score::{Method, PassControl, features, modes};
use crate::train::{Recipe, Seeds, evaluate};

/// Scores of the network of a weight file, ready to be computed.
pub struct ByWeights<'a> {
    session: &'a Session,
    file: &'a WeightFile,
    request: &'a ScoreRequest,
    own: Option<&'a OwnFeatures>,
    save_features: bool,
    /// Scores that the network gives.
    from_network: Vec<Method>,
}

#[derive(Serialize)]
struct Facts<'a> {
    weights: &'a str,
    #[serde(flatten)]
    scores: ScoreFacts<'a>,
}

impl<'a> ByWeights<'a> {
    /// Checks the file against the session's network.
    ///
    /// # Errors
    /// Scores that need training; tensors of another network.
    pub fn new(
        session: &'a Session,
        file: &'a WeightFile,
        request: &'a ScoreRequest,
        own: Option<&'a OwnFeatures>,
        save_features: bool,
    ) -> Result<Self> {
        request.check_untrained()?;
        file.check(&session.network)?;
        let from_network = request.network_methods(own);
        Ok(ByWeights { session, file, request, own, save_features, from_network })
    }

    /// What decides the result.
    pub fn identity(&self) -> Result<Identity> {
        let scores = ScoreFacts::of(self.request, self.own, self.save_features);
        let facts = Facts { weights: &self.file.digest, scores };
        Identity::on("score", Ground::of(self.session), &facts)
    }

    /// Whether the network's features are needed.
    fn extracts(&self) -> bool {
        self.save_features || (self.own.is_none() && !self.request.of_features().is_empty())
    }

    fn passes(&self) -> Vec<PassSize> {
        let all = self.session.data.train.len();
        let mut needed = modes(&self.from_network, &self.request.options);
        needed.extend(self.extracts().then_some(Mode::Score));
        let passes = needed.into_iter().map(|mode| (mode, all));
        std::iter::once((Mode::Score, self.session.split.val.len())).chain(passes).collect()
    }

    /// The recipe of an executor that never trains.
    fn recipe(&self) -> Recipe {
        Recipe::quick(self.session.data.train.len(), self.session.side(), Recipe::BATCH)
    }

    /// Bytes that will be allocated on the device, images apart; an error where they do not fit.
    pub fn planned_memory(&self) -> Result<PlannedMemory> {
        self.session.planned_memory(&self.recipe(), &self.passes(), false)
    }

    /// Bytes of features in main memory.
    pub fn feature_bytes(&self) -> u64 {
        let network = &self.session.network;
        let width = network.feature_count() + network.classes;
        let rows = if self.extracts() { self.session.data.train.len() } else { 0 };
        4 * (rows * width) as u64 + self.own.map_or(0, OwnFeatures::bytes)
    }

    /// Scores the training part and evaluates the validation images, if there are some. `progress` gets
    /// samples done and in all; the state of an unfinished pass is kept in the output folder.
    pub fn compute(
        &self,
        dir: &OutputDir,
        interval: Duration,
        requests: &Requests,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Scored> {
        let state = dir.file("work/scoring.safetensors")?;
        let options = serde_json::to_string(&self.request.options)
            .map_err(|e| Error::Internal(format!("options of scores: {e}")))?;
        let identity = format!("{} {options}", self.file.digest);
        let keeping = Some((state, interval, identity));
        let mut watch = PassControl { requests, progress, keeping };
        dir.without_damaged(
            &|line| tracing::warn!("{line}"),
            || on_backend!(self.session, on => self.compute_on(&on, dir, &mut watch)),
        )
    }

    fn compute_on<B: Operators>(
        &self,
        on: &OnBackend<B>,
        dir: &OutputDir,
        watch: &mut PassControl,
    ) -> Result<Scored> {
        let (session, options) = (self.session, &self.request.options);
        let (data, split) = (&session.data, &session.split);
        let mut executor = on.executor(&self.recipe(), session.seed, &self.passes(), false)?;
        executor.set_weights(&self.file.weights)?;
        let wanted = NetworkScores {
            methods: &self.from_network,
            options,
            positions: None,
            extract: self.save_features,
            validation: None,
            parts: &[],
            seed: Seeds::derive(session.seed, 0).subset,
        };
        let (scores, extracted) =
            network_scores(on, &mut executor, &wanted, watch, &mut Vec::new())?;
        if let Some(extracted) = extracted.filter(|_| self.save_features) {
            let mut parameters = network_facts(session);
            parameters.insert("weights".to_owned(), json!(self.file.digest));
            let identity = provenance::identity(data);
            let root = Extract { folder: String::new(), validation: false, parts: false };
            write_features(dir, &root, identity, &extracted.train, parameters, Vec::new(), &[])?;
        }
        let mut scored = Scored::default();
        scored.scores.extend(scores.into_iter().map(|(method, values)| MethodScores {
            method,
            values: values.into_iter().map(f64::from).collect(),
            variant: self.variant(method),
            parameters: method.parameters(options),
        }));
        if let Some(own) = self.own {
            let (methods, seed) = (&self.request.methods, session.seed);
            scored.scores.extend(own.scores(methods, options, data, &split.train, seed)?);
        }
        scored.scores.sort_by_key(|s| s.method);
        if !split.val.is_empty() {
            let val = positions(&split.val);
            let set = on.set(split.val_part, &val)?;
            let counts = EvaluationCounts::new(0, &evaluate(&mut executor, &set)?);
            let rows =
                |partition: &Partition| rows_of(partition, &session.sizes_over(partition), &counts);
            scored.recalls = Some(rows(&Partition::classes(data))?);
            let logs = features::log_probabilities(&mut executor, &set, watch.requests)?;
            let said = ValidationPredictions::of(session, split.val_part, &split.val, logs);
            let of_classes = ValidationRows::new(data.classes.len(), &[said.run(None)])?;
            scored.rows = Some(Arc::new(of_classes));
            if data.attributes.is_some() {
                scored.of_groups[0] = Some(rows(&Partition::of(data, "attribute")?)?);
            }
        }
        scored.shared = Map::from_iter([
            ("weights".to_owned(), json!(self.file.digest)),
            ("data_of_weights".to_owned(), json!(self.file.metadata.data)),
        ]);
        Ok(scored)
    }

    /// The variant's text where there are no runs to average over.
    fn variant(&self, method: Method) -> String {
        let text = method.variant(&self.request.options);
        let text = text.replace("query model in eval mode", "the given network in eval mode");
        text.replace(", mean over runs", "").replace("of one network", "of the given network")
    }
}

impl ScoreRequest {
    /// Refuses scores that need runs of their own.
    pub fn check_untrained(&self) -> Result<()> {
        let Some(method) = self.needs_training() else { return Ok(()) };
        let expected = "scores of a network as it is; training dynamics and fresh networks need runs \
                        of their own, without `weights` (or `dynamics` DIR)";
        Err(Error::invalid("`method` with `weights`", method.name(), expected))
    }
}

/// A split that holds nothing out of the training part; validation from elsewhere, if anywhere.
///
/// # Errors
/// A kind that holds training images out.
pub fn nothing_held_out(data: &DataSet, kind: Option<SplitKind>, seed: u64) -> Result<Split> {
    match kind.or(data.val.is_some().then_some(SplitKind::Shipped)) {
        Some(kind @ (SplitKind::Shipped | SplitKind::HalfTest | SplitKind::None)) => {
            data.split(Some(kind), seed)
        }
        Some(kind) => {
            let expected =
                "half-test or shipped: with `weights` nothing is held out of the training images";
            Err(Error::invalid("`split`", kind.to_string(), expected))
        }
        None => Ok(Split {
            kind: SplitKind::Shipped,
            seed,
            train: data.present(),
            val_part: PartName::Val,
            val: Vec::new(),
            test: Vec::new(),
            folds: Vec::new(),
            left_out: None,
        }),
    }
}
