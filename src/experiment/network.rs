//! Training one network: what is asked for, the network in memory, and its folder.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::counts::EvaluationCounts;
use super::evaluation::evaluation_json;
use super::folder::provenance;
use super::folder::recall_rows::{GROUP_RECALLS, RECALLS, rows_of, write_group_recalls};
use super::folder::subset::SubsetWeights;
use super::identity::{Ground, Identity};
use super::session::{Session, on_backend, positions};
use super::training::{
    Cost, Finished, Keeping, Record, TrainingRun, complete, discard_checkpoint, discard_result,
    record_files, records_file,
};
use super::weight_file::WeightFile;
use crate::artefact::integrity::FileDigests;
use crate::artefact::{OutputDir, atomic, digest, tables};
use crate::data::{PartName, Partition, QueryPart};
use crate::error::{Error, Result};
use crate::exec::{Mode, PlannedMemory, batch_sizes};
use crate::metrics;
use crate::nn::{Weights, WeightsMetadata, weights};
use crate::requests::Requests;
use crate::score::Options;
use crate::train::baseline::plan;
use crate::train::{
    Baseline, Control, EvaluationTotals, Recipe, Recording, Seeds, StepBudget, TrainProgress,
    evaluate,
};

/// The trained network's file.
pub const MODEL: &str = "model.safetensors";

/// How many epochs presented each sample, where a baseline chose them: a score that `prune` takes.
pub const PRESENTED: &str = "presented.csv";

/// What one training is asked to do beside its recipe.
#[derive(Default)]
pub struct TrainSettings {
    /// Positions to train on; None takes what the split leaves.
    pub subset: Option<Vec<usize>>,
    /// Factors of the losses of these positions.
    pub weights: Option<SubsetWeights>,
    /// Length of a run on a subset.
    pub budget: Option<StepBudget>,
    /// What is recorded of every presentation, in the folder `dynamics`.
    pub record: Option<Recording>,
    /// Another way of training.
    pub baseline: Option<Baseline>,
}

/// A training of one network, checked, ready to be done.
pub struct Training<'a> {
    session: &'a Session,
    run: TrainingRun<'a>,
    /// The strategy whose picks' weights are trained with.
    weights_of: Option<String>,
}

#[derive(Serialize)]
struct Facts<'a> {
    recipe: &'a Recipe,
    /// A hash of the positions.
    subset: String,
    subset_size: usize,
    steps: u64,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamics: Option<&'static str>,
}

/// Options that no score of a plain training looks at.
static NO_SCORES: std::sync::LazyLock<Options> = std::sync::LazyLock::new(Options::default);

impl<'a> Training<'a> {
    /// Checks what is asked for.
    ///
    /// # Errors
    /// A baseline with weights of picks or without what it needs; too few samples for one step.
    pub fn new(session: &'a Session, recipe: &'a Recipe, settings: TrainSettings) -> Result<Self> {
        let TrainSettings { subset, weights, budget, record, baseline: other } = settings;
        if let (Some(other), Some(weights)) = (other, &weights) {
            let found = format!("`baseline` {other} and the weights of {}", weights.strategy);
            let expected = "`pick_weights` none with a baseline";
            return Err(Error::invalid("`pick_weights`", found, expected));
        }
        if let Some(other) = other {
            plan::check(other, &session.split, recipe)?;
            record.map_or(Ok(()), |what| other.check_recording(what))?;
        }
        let (split, seeds) = (&session.split, Seeds::derive(session.seed, 0));
        let subset = subset.as_deref().unwrap_or(&split.train);
        let groups = session.all_groups(PartName::Train).0;
        let train = plan::trained_on(other, groups, subset, seeds.subset)?;
        let budget = budget.unwrap_or(StepBudget::Fixed);
        let steps = recipe.steps(budget, train.len(), split.train.len());
        let steps = plan::steps(other, recipe, train.len(), steps);
        if steps == 0 {
            let found = format!("{} samples", train.len());
            return Err(Error::invalid("training images", found, "at least 2 samples"));
        }
        let folder = "dynamics".to_owned();
        let run = TrainingRun {
            name: "train".to_owned(),
            recipe,
            seeds,
            steps,
            until: steps,
            part: QueryPart { train, val_part: split.val_part, val: split.val.clone() },
            weights: weights.as_ref().map(|w| w.values.clone()),
            methods: &[],
            options: &NO_SCORES,
            record: record.map(|what| Record { what, folder }),
            scored: None,
            extract: None,
            predictions: false,
            test: true,
            evaluate_every: 1,
            baseline: other,
        };
        let weights_of = weights.map(|w| w.strategy.to_string());
        Ok(Training { session, run, weights_of })
    }

    /// The training run.
    pub fn run(&self) -> &TrainingRun<'a> {
        &self.run
    }

    /// Epochs that it takes, the last of which may be a part.
    pub fn epochs(&self) -> u64 {
        let (batch, samples) = (self.run.recipe.batch, self.run.part.train.len());
        let steps = match self.run.baseline {
            Some(baseline) => baseline.epoch_steps(batch, samples),
            None => batch_sizes(Mode::Train, batch, samples).len() as u64,
        };
        self.run.until.div_ceil(steps.max(1))
    }

    /// Bytes that it allocates on the device, images apart; an error where they do not fit.
    pub fn planned_memory(&self) -> Result<PlannedMemory> {
        self.run.planned_memory(self.session)
    }

    /// What it will need.
    pub fn cost(&self) -> Cost {
        Cost::of(self.session, &self.run)
    }

    /// What decides the result.
    pub fn identity(&self) -> Result<Identity> {
        let run = &self.run;
        let subset = &run.part.train;
        let bytes: Vec<u8> = subset.iter().flat_map(|&i| (i as u64).to_le_bytes()).collect();
        let recorded = |r: &Record| if r.what.divergence { "all" } else { "plain" };
        let facts = Facts {
            recipe: run.recipe,
            subset: digest(&bytes),
            subset_size: subset.len(),
            steps: run.steps,
            seed: self.session.seed,
            weights: run.weights.as_ref().map(|w| digest(bytemuck::cast_slice(w))),
            baseline: run.baseline.map(|b| b.to_string()),
            dynamics: run.record.as_ref().map(recorded),
        };
        Identity::on("train", Ground::of(self.session), &facts)
    }

    /// Trains in memory.
    pub fn in_memory(&self, control: &mut Control) -> Result<TrainedNetwork> {
        let finished = complete(self.session, &self.run, None, control)?;
        TrainedNetwork::of(self, finished)
    }

    /// Trains, kept in the output folder, and writes `model.safetensors`, `log.jsonl`, the recalls,
    /// `presented.csv` where a baseline chose samples, and `summary.json`, whose content is returned with the finished run.
    pub fn in_folder(
        &self,
        keeping: &Keeping,
        control: &mut Control,
    ) -> Result<(Map<String, Value>, Finished)> {
        let (session, run, dir) = (self.session, &self.run, keeping.dir);
        let mut finished = complete(session, run, Some(keeping), control)?;
        if finished.outcome.is_none() && !records_file(keeping, run, MODEL)? {
            // The state went before the weights were whole.
            discard_result(keeping, run)?;
            finished = complete(session, run, Some(keeping), control)?;
        }
        let mut summary = self.summary(&finished)?;
        self.write(&finished, &mut summary, dir)?;
        if let Some(outcome) = &finished.outcome {
            let presented = outcome.times_presented.as_ref().map(|_| PRESENTED);
            let names: Vec<&str> = std::iter::once(MODEL).chain(presented).collect();
            record_files(keeping, run, &names)?;
        }
        discard_checkpoint(keeping, run)?;
        Ok((summary, finished))
    }

    fn metadata(&self, steps: u64) -> WeightsMetadata {
        let session = self.session;
        let Session { spec, mean, std, data, .. } = session;
        let mut metadata = WeightsMetadata::of(spec, &data.classes, *mean, *std, steps);
        metadata.data = Some(data.fingerprint.clone());
        let images = [data.height, data.width];
        metadata.images = (images != spec.size).then_some(images);
        metadata
    }

    fn write(
        &self,
        finished: &Finished,
        summary: &mut Map<String, Value>,
        dir: &OutputDir,
    ) -> Result<()> {
        let (data, result) = (&self.session.data, &finished.result);
        if let Some(outcome) = &finished.outcome {
            let bytes = weights::to_bytes(&outcome.weights, &self.metadata(result.steps))?;
            atomic::write_bytes(&dir.file(MODEL)?, &bytes)?;
        }
        let times = finished.outcome.as_ref().and_then(|o| o.times_presented.as_ref());
        if let Some(times) = times {
            let row = |&i: &usize| (data.train.ids[i].as_str(), times[i] as u64);
            let rows: Vec<(&str, u64)> = self.session.split.train.iter().map(row).collect();
            tables::write_listing(&dir.file(PRESENTED)?, &["id", "epochs"], &rows)?;
        }
        let mut log = String::new();
        for record in &result.history {
            log.push_str(
                &serde_json::to_string(record).map_err(|e| {
                    Error::Internal(format!("record of epoch {}: {e}", record.epoch))
                })?,
            );
            log.push('\n');
        }
        dir.write("log.jsonl", |out| std::io::Write::write_all(out, log.as_bytes()))?;
        if let Some(validation) = &result.validation {
            let rows = |partition: &Partition| {
                rows_of(partition, &partition.sizes(data, &self.run.part.train), validation)
            };
            let mut written = vec![RECALLS];
            tables::write(&dir.file(RECALLS)?, &rows(&Partition::classes(data))?)?;
            if data.attributes.is_some() {
                let groups = Partition::of(data, "attribute")?;
                write_group_recalls(&dir.file(GROUP_RECALLS)?, &rows(&groups)?)?;
                written.push(GROUP_RECALLS);
            }
            let digests = FileDigests::of(dir.root(), written)?;
            summary.insert("digests".to_owned(), json!(digests));
        }
        dir.write_json("summary.json", summary)?;
        Ok(())
    }

    /// The content of summary.json.
    fn summary(&self, finished: &Finished) -> Result<Map<String, Value>> {
        let (session, result) = (self.session, &finished.result);
        let evaluated = |counts| evaluation_json(&session.partition, counts, &session.sizes());
        let mut summary = result.last.as_ref().map_or(Ok(Map::new()), evaluated)?;
        let mut put = |key: &str, value: Value| summary.insert(key.to_owned(), value);
        put("data", json!(provenance::identity(&session.data)));
        put("version", json!(env!("CARGO_PKG_VERSION")));
        put("seeds", json!(self.run.seeds));
        put("steps", json!(result.steps));
        put("train_seconds", json!(result.train_seconds));
        put("planned_bytes", json!(result.planned_bytes));
        if let Some(presentations) = &result.presentations {
            let mut value = json!(presentations);
            value["saved"] = json!(presentations.saved());
            put("presentations", value);
        }
        if let Some(counts) = &result.mean_class_counts {
            put("mean_class_counts", json!(counts));
        }
        if let Some(best) = &result.best {
            let mut at_best = evaluated(best)?;
            at_best.insert("epoch".to_owned(), json!(best.epoch + 1));
            put("best_on_validation", Value::Object(at_best));
        }
        if let Some(strategy) = &self.weights_of {
            put("pick_weights", json!(strategy));
        }
        Ok(summary)
    }
}

/// A trained network in memory.
pub struct TrainedNetwork {
    pub weights: Weights,
    pub metadata: WeightsMetadata,
    /// Counts on the validation images at the best epoch, and on the test images at the end.
    pub validation: Option<EvaluationCounts>,
    pub test: Option<EvaluationCounts>,
}

impl From<WeightFile> for TrainedNetwork {
    /// The network of a file, of which no evaluation is known.
    fn from(file: WeightFile) -> Self {
        let WeightFile { weights, metadata, .. } = file;
        TrainedNetwork { weights, metadata, validation: None, test: None }
    }
}

impl TrainedNetwork {
    fn of(training: &Training, finished: Finished) -> Result<Self> {
        let outcome = finished
            .outcome
            .ok_or_else(|| Error::Internal("a run in memory without weights".to_owned()))?;
        Ok(TrainedNetwork {
            weights: outcome.weights,
            metadata: training.metadata(finished.result.steps),
            validation: finished.result.validation,
            test: finished.result.last,
        })
    }

    /// Validation recalls of the classes; None for a class without validation images, nothing without any.
    pub fn recalls(&self) -> Vec<Option<f64>> {
        self.validation.as_ref().map_or(Vec::new(), |v| metrics::recalls(&v.counts()))
    }

    /// Writes the weights with what is needed to use them.
    pub fn write(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        atomic::write_bytes(path.as_ref(), &weights::to_bytes(&self.weights, &self.metadata)?)
    }
}

impl Session {
    /// Trains the session's network on what the split leaves.
    pub fn train(&self, recipe: &Recipe) -> Result<TrainedNetwork> {
        let (requests, mut progress) = (Requests::new(), |_: TrainProgress| {});
        let mut control =
            Control { requests: &requests, progress: &mut progress, checkpoint: None };
        Training::new(self, recipe, TrainSettings::default())?.in_memory(&mut control)
    }

    /// What an evaluation of `count` images allocates on the device; an error where it does not fit.
    pub fn evaluation_memory(&self, count: usize) -> Result<PlannedMemory> {
        let recipe = Recipe::quick(count, self.side(), Recipe::BATCH);
        self.planned_memory(&recipe, &[(Mode::Score, count)], false)
    }

    /// Evaluates weights on positions of one part.
    pub fn evaluate(
        &self,
        weights: &Weights,
        part: PartName,
        list: &[usize],
    ) -> Result<EvaluationTotals> {
        let recipe = Recipe::quick(list.len(), self.side(), Recipe::BATCH);
        let list = positions(list);
        on_backend!(self, on => {
            let passes = [(Mode::Score, list.len())];
            let mut executor = on.executor(&recipe, self.seed, &passes, false)?;
            executor.set_weights(weights)?;
            evaluate(&mut executor, &on.set(part, &list)?)
        })
    }
}
