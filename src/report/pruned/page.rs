//! What the page of a pruned set shows, and what its sections need of it.

use crate::experiment::forecast::ForecastSummary;
use crate::report::markup::{self, minus};
use crate::report::numbers;

/// What the page shows. Lists over classes have one entry for each class, and lists over samples
/// have one for each sample of the whole training part, in data-set order.
#[derive(Clone, Debug)]
pub struct PrunedSet<'a> {
    /// The data set as the user named it.
    pub data: String,
    /// Fingerprint of the data set's content.
    pub fingerprint: String,
    /// The strategy's name as it is shown: `EL2N + MetriQ`.
    pub strategy: String,
    /// The rule that tells how many samples a class keeps: `metriq`, `none`, ...
    pub quota: String,
    /// The density that was asked for.
    pub density: f64,
    /// What is kept of each class.
    pub classes: Vec<PrunedClass>,
    /// The name of the attribute where the classes are groups; `labels` are then those of the
    /// groups.
    pub groups: Option<String>,
    /// Pearson's correlation of the class densities before rounding and the recalls; `None` where
    /// either is constant or there are no recalls.
    pub correlation: Option<f64>,
    /// Ids of the samples.
    pub ids: &'a [String],
    /// Class or group of each sample.
    pub labels: &'a [u32],
    /// Positions that may be kept, ascending.
    pub eligible: &'a [usize],
    /// Number of samples that a check of the data leaves out.
    pub left_out: usize,
    /// Positions that are kept, ascending.
    pub kept: &'a [usize],
    /// The score that decides, or that a selection method starts from.
    pub score: Option<ShownScore<'a>>,
    /// What the quotas are predicted to do, where it is known.
    pub forecast: Option<ForecastSummary>,
    /// The picks, where a method picked one sample after another.
    pub picks: Option<ShownPicks<'a>>,
    /// Warnings of the pruning.
    pub warnings: &'a [String],
    /// Everything that decides the result, in display order.
    pub recipe: Vec<(String, String)>,
    /// The command that repeats the pruning.
    pub command: String,
    /// The command that trains on the kept samples.
    pub next: String,
    /// The place of `kept.npy`, as text.
    pub kept_file: String,
    /// The folder of class folders whose order the positions are in, where the data set is one.
    pub train_folder: Option<String>,
    /// Why samples are not kept, and how many for each reason.
    pub dropped: Vec<(&'static str, usize)>,
    /// A sentence on how to get pictures, which stands in the place of the samples where there are
    /// none.
    pub without_pictures: String,
    /// Version of the program.
    pub version: String,
    /// Commit that the program was built from.
    pub commit: String,
}

/// One class.
#[derive(Clone, Debug, PartialEq)]
pub struct PrunedClass {
    /// Name of the class; may be empty.
    pub name: String,
    /// Number of samples that may be kept.
    pub size: usize,
    /// Recall on the query runs' validation images.
    pub recall: Option<f64>,
    /// Standard deviation of the recall between query runs.
    pub recall_sd: Option<f64>,
    /// Kept share of the class, in [0, 1].
    pub density: f64,
    /// Number of kept samples.
    pub kept: usize,
}

/// A score of every sample; NaN where it has none.
#[derive(Clone, Copy, Debug)]
pub struct ShownScore<'a> {
    /// Name of the score, as it is shown.
    pub label: &'a str,
    /// The score of each sample.
    pub values: &'a [f64],
    /// Whether the highest are kept first.
    pub highest_first: bool,
    /// Whether the samples are ranked by the score, and not only started from it.
    pub ranks: bool,
}

/// The kept samples in the order in which a method picked them.
#[derive(Clone, Copy, Debug)]
pub struct ShownPicks<'a> {
    /// Positions, first pick first.
    pub order: &'a [usize],
    /// What each pick stands for in training, where the method says so.
    pub weights: Option<&'a [f64]>,
}

/// The set and what follows from it.
pub(super) struct PrunedPage<'a> {
    pub(super) set: &'a PrunedSet<'a>,
    /// Class indices from the lowest recall to the highest; without recalls, from the lowest
    /// density.
    pub(super) order: Vec<usize>,
    /// Tells of each sample whether it is kept.
    pub(super) is_kept: Vec<bool>,
}

impl<'a> PrunedPage<'a> {
    pub(super) fn new(set: &'a PrunedSet<'a>) -> Self {
        let mut order: Vec<usize> = (0..set.classes.len()).collect();
        let recalls = set.classes.iter().any(|c| c.recall.is_some());
        let key = |k: usize| match recalls {
            true => set.classes[k].recall.unwrap_or(f64::INFINITY),
            false => set.classes[k].density,
        };
        order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
        let mut is_kept = vec![false; set.labels.len()];
        for &i in set.kept {
            if let Some(place) = is_kept.get_mut(i) {
                *place = true;
            }
        }
        PrunedPage { set, order, is_kept }
    }

    /// Returns a phrase about classes as it reads about groups, where they are.
    pub(super) fn words(&self, text: &str) -> String {
        markup::words(self.set.groups.is_some(), text)
    }

    pub(super) fn has_recalls(&self) -> bool {
        self.set.classes.iter().any(|c| c.recall.is_some())
    }

    /// Returns the name of a class, or its number where it has none; it is not yet escaped.
    pub(super) fn class_name(&self, class: usize) -> String {
        match self.set.classes.get(class) {
            Some(c) if !c.name.trim().is_empty() => c.name.clone(),
            _ => self.words(&format!("class {class}")),
        }
    }

    /// Returns the eligible samples of each class, ascending.
    pub(super) fn by_class(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.set.classes.len()];
        for &i in self.set.eligible {
            let label = self.set.labels.get(i).map(|&l| l as usize);
            if let Some(list) = label.and_then(|k| lists.get_mut(k)) {
                list.push(i);
            }
        }
        lists
    }

    /// Says `3 of 1,000 classes are shown, hardest first.`, or nothing where all are.
    pub(super) fn shown(&self, classes: usize) -> String {
        let all = self.set.classes.len();
        if classes >= all {
            return String::new();
        }
        let which = if self.has_recalls() { "of lowest recall" } else { "of lowest density" };
        let all = numbers::count(all as u64);
        self.words(&format!(" The {classes} {which} of {all} classes are shown."))
    }
}

/// Writes a share as `31 %`, with a digit more where it is small.
pub(super) fn percent(share: f64) -> String {
    let digits = if share > 0.0 && share < 0.02 { 1000.0 } else { 100.0 };
    minus(&numbers::percent((share * digits).round() / digits))
}
