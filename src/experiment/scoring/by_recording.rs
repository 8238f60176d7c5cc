//! Scores of a recorded run: no data, no training.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::ScoreRequest;
use crate::artefact::digest;
use crate::artefact::dynamics::{Description, DynamicsFolder, Quantity};
use crate::artefact::tables::{RecallRow, SamplePart};
use crate::data::Attributes;
use crate::error::{Error, Result};
use crate::experiment::folder::recall_rows::RecallCounts;
use crate::experiment::folder::scores::{MethodScores, Scored, ScoredSamples};
use crate::experiment::identity::Identity;
use crate::score::{Kind, Method, Options, recorded};

/// A recording that was opened, and the scores that are wanted of it.
pub struct ByRecording {
    recording: DynamicsFolder,
    request: ScoreRequest,
    /// Scores that the recording has the quantities for but too few epochs.
    pub too_short: Vec<Method>,
}

#[derive(Serialize)]
struct Facts<'a> {
    dynamics: String,
    methods: Vec<&'static str>,
    options: &'a Options,
}

impl ByRecording {
    /// Opens the folder of a recording; without `methods`, all scores that it has are wanted.
    ///
    /// # Errors
    /// A run that left out samples; scores that the recording cannot give.
    pub fn open(folder: &Path, methods: &[Method], options: Options) -> Result<ByRecording> {
        let recording = DynamicsFolder::open(folder)?;
        let stated = &recording.description;
        let has = |m: &Method| match m.kind(&options) {
            Kind::Dynamics(quantity) => recording.has(quantity),
            _ => false,
        };
        let all: Vec<Method> = Method::ALL.into_iter().filter(has).collect();
        let short = |m: &Method| m.least_epochs(&options) > stated.epochs;
        let (too_short, default): (Vec<Method>, Vec<Method>) = all.iter().partition(|m| short(m));
        let mut wanted = if methods.is_empty() { default } else { methods.to_vec() };
        wanted.sort_unstable();
        wanted.dedup();
        check(&wanted, &options, &recording, &all)?;
        let trained = trained(&recording).len();
        if stated.trained != stated.eligible || trained != stated.eligible {
            let found = format!("a run on {} of {} samples", stated.trained, stated.eligible);
            let expected = "one on all of them: a sample that was not trained on has no dynamics";
            return Err(Error::invalid(format!("dynamics {}", folder.display()), found, expected));
        }
        let too_short = if methods.is_empty() { too_short } else { Vec::new() };
        Ok(ByRecording { recording, request: ScoreRequest { methods: wanted, options }, too_short })
    }

    /// What the recording says of itself.
    pub fn description(&self) -> &Description {
        &self.recording.description
    }

    /// The scores that are wanted.
    pub fn request(&self) -> &ScoreRequest {
        &self.request
    }

    /// What decides the result.
    pub fn identity(&self) -> Result<Identity> {
        let facts = Facts {
            dynamics: digest(json!(self.recording.description).to_string().as_bytes()),
            methods: self.request.methods.iter().map(|m| m.name()).collect(),
            options: &self.request.options,
        };
        Identity::of("score", &facts)
    }

    /// Computes the scores, one quantity in memory at a time, and the recalls of the run's best epoch.
    pub fn compute(&self) -> Result<(Scored, ScoredSamples)> {
        let (recording, stated) = (&self.recording, &self.recording.description);
        let ScoreRequest { methods, options } = &self.request;
        let scores = recorded::score(methods, options, stated.samples, |q| recording.read(q))?;
        recorded::check_presented(&scores, &trained(recording))?;
        let augmented = if stated.augmented { "with" } else { "without" };
        let scores = scores.into_iter().map(|(method, values)| MethodScores {
            method,
            values: values.into_iter().map(f64::from).collect(),
            variant: format!("{}; recorded {augmented} augmentation", method.variant(options)),
            parameters: method.parameters(options),
        });
        let mut scored = Scored { scores: scores.collect(), ..Scored::default() };
        scored.scores.sort_by_key(|s| s.method);
        let of_network = |key: &str| stated.network.get(key).cloned().unwrap_or(Value::Null);
        let shared = [
            ("source", json!("dynamics")),
            ("runs", json!(1)),
            ("epochs", json!(stated.epochs)),
            ("augmented", json!(stated.augmented)),
            ("recipe", stated.recipe.clone()),
            ("run_seeds", stated.seeds.clone()),
            ("split", json!(stated.split)),
            ("arch", of_network("arch")),
            ("width", of_network("width")),
        ];
        scored.shared = shared.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let attributes = stated.attribute.as_ref().map(|a| {
            let names = Attributes { name: a.name.clone(), values: a.values.clone() };
            (names, recording.samples.attributes.clone())
        });
        scored.recalls = recalls(recording);
        let groups = attributes.as_ref();
        scored.of_groups[0] = groups.and_then(|(a, _)| recalls_of_groups(recording, a));
        let samples = ScoredSamples {
            identity: stated.data.clone(),
            classes: stated.class_names.clone(),
            ids: recording.samples.ids.clone(),
            labels: recording.samples.labels.clone(),
            parts: recording.samples.parts.clone(),
            attributes,
        };
        Ok((scored, samples))
    }
}

/// Positions of the samples that the run trained on.
fn trained(recording: &DynamicsFolder) -> Vec<usize> {
    let parts = recording.samples.parts.iter().enumerate();
    parts.filter(|(_, p)| **p == SamplePart::Train).map(|(i, _)| i).collect()
}

/// Refuses scores that the recording cannot give; `all` are those that it can.
fn check(
    wanted: &[Method],
    options: &Options,
    recording: &DynamicsFolder,
    all: &[Method],
) -> Result<()> {
    let place = || format!("dynamics {}", recording.folder().display());
    for method in wanted {
        match method.kind(options) {
            Kind::Dynamics(quantity) if recording.has(quantity) => {
                method.check(options, recording.description.epochs)?
            }
            Kind::Dynamics(quantity) => {
                let plain =
                    if quantity == Quantity::Divergence { " (train `dynamics`)" } else { "" };
                let found = format!("no {}", quantity.name());
                let expected = format!("a recording with it{plain}, for {method}");
                return Err(Error::invalid(place(), found, expected));
            }
            _ => {
                let names: Vec<&str> = all.iter().map(|m| m.name()).collect();
                let expected = format!("scores of training dynamics: {}", names.join(", "));
                return Err(Error::invalid("`method`", method.name(), expected));
            }
        }
    }
    Ok(())
}

/// Class recalls of the recorded run's best epoch, where it was validated.
fn recalls(recording: &DynamicsFolder) -> Option<Vec<RecallRow>> {
    let stated = &recording.description;
    let validation = stated.validation.as_ref()?;
    let labels = &recording.samples.labels;
    let counts = [validation.correct.as_slice(), &validation.total];
    let rows = rows(recording, labels, &stated.class_names, counts);
    (rows.len() == stated.class_names.len()).then_some(rows)
}

/// Recalls of groups; those without validation samples have no row.
fn recalls_of_groups(
    recording: &DynamicsFolder,
    attributes: &Attributes,
) -> Option<Vec<RecallRow>> {
    let stated = &recording.description;
    let counts = stated.validation.as_ref()?.groups.as_ref()?;
    let samples = &recording.samples;
    let pairs = samples.labels.iter().zip(&samples.attributes);
    let labels: Vec<u32> = pairs.map(|(&l, &a)| attributes.group(l, a) as u32).collect();
    let names: Vec<String> = (0..attributes.groups(stated.class_names.len()))
        .map(|group| attributes.group_name(&stated.class_names, group))
        .collect();
    Some(rows(recording, &labels, &names, [&counts.correct, &counts.total]))
}

fn rows(
    recording: &DynamicsFolder,
    labels: &[u32],
    names: &[String],
    [correct, total]: [&[u64]; 2],
) -> Vec<RecallRow> {
    let mut sizes = vec![0; names.len()];
    trained(recording).iter().for_each(|&i| sizes[labels[i] as usize] += 1);
    RecallCounts { names, sizes: &sizes, correct, total }.rows()
}
