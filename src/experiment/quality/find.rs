//! Findings, made from pixels, features and probabilities.

use serde::Serialize;

use super::evidence::Evidence;
use super::plan::QualityPlan;
use super::samples::AllSamples;
use crate::artefact::tables::{FindingKind, FindingRow};
use crate::data::{DataSet, PartName};
use crate::error::{Error, Result};
use crate::prune::{
    self, ConfidentLearning, Features, Looks, Nearness, PickCost, Probabilities, SuspectRanking,
    confident_learning,
};
use crate::score::features::FeatureMatrix;

/// How much more probable than its label another class of a suspect must be for the suspect to be dropped.
/// Of those that are less certain most have right labels (`docs/data-check.md`).
const SURE: f64 = 0.5;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Exact duplicates, near-duplicates, suspected labels, each kind in its order: copies by their
    /// original, near-duplicates most alike first, suspects most suspect first.
    pub rows: Vec<FindingRow>,
    pub counts: FindingCounts,
    /// Whether features of all parts were looked at, and not of the training part alone; None where no
    /// features were.
    pub near_across_parts: Option<bool>,
    /// What confident learning says of the labels, where they were looked at.
    pub labels: Option<LabelSummary>,
}

/// How many findings there are of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FindingCounts {
    /// Samples with the pixels of another one, originals not counted; and in how many groups.
    pub exact: usize,
    pub exact_groups: usize,
    /// Groups whose copies have unlike labels: all but one of these are wrong, or the image shows both.
    pub exact_groups_of_unlike_labels: usize,
    /// Training samples that are copies of validation or test samples.
    pub exact_of_held_out: usize,
    /// Samples that are near another one; training samples among them near a validation or test sample.
    pub near: usize,
    pub near_of_held_out: usize,
    /// Samples whose label is suspected, and those of them that are to be dropped.
    pub suspects: usize,
    pub suspects_dropped: usize,
    /// Training samples that are marked drop for any reason, each counted once.
    pub dropped: usize,
}

/// What confident learning says, by class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelSummary {
    /// Samples that were looked at.
    pub samples: usize,
    /// The threshold of each class.
    pub thresholds: Vec<Option<f64>>,
    /// The share of samples that the networks answer otherwise than their labels: how wrong the networks
    /// are if all labels are right.
    pub disagreeing: f64,
    /// The estimated share of wrong labels.
    pub wrong: f64,
    /// By pair of classes, the largest share first.
    pub pairs: Vec<ClassPair>,
}

/// Samples of one label that seem to be of another class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassPair {
    pub label: u32,
    pub suggested: u32,
    /// Number of suspects.
    pub suspects: u64,
    /// Estimated share of all samples, and of those of this label.
    pub of_all: f64,
    pub of_label: f64,
}

/// The most that a search for near-duplicates will take, if they are looked for.
pub fn near_cost(data: &DataSet, plan: &QualityPlan, evidence: &Evidence) -> Option<PickCost> {
    let features = evidence.features.as_ref().filter(|_| plan.near.is_some())?;
    let present = AllSamples::of(data).present();
    let covered = present.iter().filter(|&&i| i < features.samples()).count();
    Some(PickCost::near_duplicates(covered, features.width))
}

/// Looks for what the plan names.
///
/// # Errors
/// Something that is looked for lacks its evidence, or the evidence is of other samples.
pub fn find(data: &DataSet, plan: &QualityPlan, evidence: &Evidence) -> Result<Checked> {
    let samples = AllSamples::of(data);
    let mut found = Checked::default();
    let learned = match plan.labels {
        Some(ranking) => Some(labels(data, evidence, ranking)?),
        None => None,
    };
    let mut suspected = vec![false; samples.len()];
    if let Some(learned) = &learned {
        learned.suspects.iter().for_each(|s| suspected[s.sample] = true);
    }
    let mut copies = vec![false; samples.len()];
    if plan.exact || plan.near.is_some() {
        // Copies are looked for in any case: as near-duplicates they would say nothing new.
        exact(&samples, &suspected, &mut copies, plan.exact.then_some(&mut found));
    }
    if let Some(bounds) = plan.near {
        let features = evidence.features.as_deref().ok_or_else(|| lacks("features"))?;
        near(&samples, (features, bounds), &suspected, &copies, &mut found)?;
    }
    if let (Some(learned), Some(ranking)) = (learned, plan.labels) {
        suspects(&samples, &learned, ranking, &mut found);
    }
    for (i, row) in found.rows.iter_mut().enumerate() {
        row.finding = i as u64;
    }
    let mut dropped: Vec<u64> =
        found.rows.iter().filter(|row| row.drop).map(|row| row.sample.index).collect();
    dropped.sort_unstable();
    dropped.dedup();
    found.counts.dropped = dropped.len();
    Ok(found)
}

fn lacks(what: &str) -> Error {
    Error::Internal(format!("a check without the {what} that it looks at"))
}

fn labels(
    data: &DataSet,
    evidence: &Evidence,
    ranking: SuspectRanking,
) -> Result<ConfidentLearning> {
    let values = evidence.probabilities.as_ref().ok_or_else(|| lacks("probabilities"))?;
    let probabilities = Probabilities::new(values, data.classes.len())?;
    confident_learning(probabilities, &data.train.labels, &data.present(), ranking)
}

/// A row about two samples; of the training part the first of them goes.
fn pair(
    samples: &AllSamples,
    kind: FindingKind,
    [sample, other]: [usize; 2],
    score: f64,
) -> FindingRow {
    FindingRow {
        finding: 0,
        kind,
        sample: samples.named(sample),
        other: Some(samples.named(other)),
        suggested_label: None,
        score: score as f32,
        drop: samples.place(sample).0 == PartName::Train,
    }
}

/// Groups of equal pixels; all but the originals are marked in `copies`, and told where they are asked for.
fn exact(
    samples: &AllSamples,
    suspected: &[bool],
    copies: &mut [bool],
    mut told: Option<&mut Checked>,
) {
    let (present, held_out) = (samples.present(), samples.held_out());
    let images: Vec<&[u8]> = present.iter().map(|&i| samples.image(i)).collect();
    for group in prune::exact_duplicates(&images) {
        let group: Vec<usize> = group.into_iter().map(|i| present[i]).collect();
        let original = prune::original(&group, &held_out, suspected);
        group.iter().filter(|&&i| i != original).for_each(|&i| copies[i] = true);
        let Some(found) = &mut told else { continue };
        for &copy in group.iter().filter(|&&i| i != original) {
            found.rows.push(pair(samples, FindingKind::ExactDuplicate, [copy, original], 1.0));
            found.counts.exact += 1;
            found.counts.exact_of_held_out += usize::from(!held_out[copy] && held_out[original]);
        }
        let unlike = group.iter().any(|&i| samples.label(i) != samples.label(group[0]));
        found.counts.exact_groups += 1;
        found.counts.exact_groups_of_unlike_labels += usize::from(unlike);
    }
}

/// Near-duplicates among what is no copy: held-out samples stand for others first, then training samples
/// whose labels nobody suspects.
fn near(
    samples: &AllSamples,
    (features, [near, alike]): (&FeatureMatrix, [f64; 2]),
    suspected: &[bool],
    copies: &[bool],
    found: &mut Checked,
) -> Result<()> {
    let held_out = samples.held_out();
    let across = features.samples() == samples.len() && held_out.contains(&true);
    let covered = |&i: &usize| i < features.samples() && !copies[i];
    let mut order: Vec<usize> = samples.present().into_iter().filter(covered).collect();
    order.sort_by_key(|&i| (!held_out[i], suspected[i], i));
    let fixed = order.iter().filter(|&&i| held_out[i]).count();
    let table = Features::new(&features.values, features.width)?;
    let centred = prune::centred(table, &order)?;
    let table = Features::new(&centred, features.width)?;
    let images: Vec<&[u8]> = (0..samples.len()).map(|i| samples.image(i)).collect();
    let looks = Looks::of(&images, samples.size());
    let nearness = Nearness { near, looks: Some((&looks, alike)) };
    let mut near = prune::near_duplicates(table, &order, fixed, &nearness)?;
    near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.sample.cmp(&b.sample)));
    for n in &near {
        let row = pair(samples, FindingKind::NearDuplicate, [n.sample, n.other], n.similarity);
        found.rows.push(row);
        let of_held_out = !held_out[n.sample] && held_out[n.other];
        found.counts.near_of_held_out += usize::from(of_held_out);
    }
    found.counts.near = near.len();
    found.near_across_parts = Some(across);
    Ok(())
}

/// Suspected labels; those go of which the network is sure.
fn suspects(
    samples: &AllSamples,
    learned: &ConfidentLearning,
    ranking: SuspectRanking,
    found: &mut Checked,
) {
    for suspect in &learned.suspects {
        let drop = suspect.margin < -SURE;
        found.rows.push(FindingRow {
            finding: 0,
            kind: FindingKind::Label,
            sample: samples.named(suspect.sample),
            other: None,
            suggested_label: Some(suspect.suggested),
            score: suspect.value(ranking) as f32,
            drop,
        });
        found.counts.suspects_dropped += usize::from(drop);
    }
    found.counts.suspects = learned.suspects.len();
    let pair = |p: &prune::LabelPair| ClassPair {
        label: p.label,
        suggested: p.suggested,
        suspects: p.samples,
        of_all: p.joint,
        of_label: p.of_label,
    };
    found.labels = Some(LabelSummary {
        samples: learned.samples,
        thresholds: learned.thresholds.clone(),
        disagreeing: learned.disagreeing as f64 / learned.samples as f64,
        wrong: learned.wrong(),
        pairs: learned.pairs.iter().map(pair).collect(),
    });
}
