//! What is pruned: a data set, or the table that a folder of scores is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::given::{GivenScores, GivenSettings};
use crate::artefact::provenance::DataIdentity;
use crate::artefact::tables::SamplePart;
use crate::backend::Cpu;
use crate::data::{Attributes, DataSet, LeftOut, Partition, Progress};
use crate::error::{Error, Result};
use crate::experiment::folder::findings::{CheckFile, TrainingSamples};
use crate::experiment::folder::provenance;
use crate::experiment::folder::recalls::RecallUse;
use crate::experiment::folder::scores::ScoresFolder;
use crate::experiment::settings::DataSettings;
use crate::prune::Population;

/// Where labels and scores come from.
#[derive(Clone, Debug, Default)]
pub struct SourceSettings {
    /// A folder of scores, or a file of scores that another program computed.
    pub scores: Option<PathBuf>,
    /// The data set; None takes what the folder of scores says of the samples.
    pub data: Option<DataSettings>,
    /// What a file of scores does not say itself.
    pub given: GivenSettings,
    /// What quotas are over: `classes`, or the samples' attribute by its name.
    pub groups: String,
    /// Findings of a check of the data: samples that are marked there are not kept.
    pub without: Option<PathBuf>,
}

impl SourceSettings {
    /// The file of scores that another program computed, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.scores.as_deref().filter(|path| path.exists() && !path.is_dir())
    }
}

/// Everything a selection needs to know of the samples.
pub struct Source {
    pub identity: DataIdentity,
    /// The data set as the user named it, where it was read.
    pub place: Option<String>,
    /// What quotas are over; its names are the numbers where the source knows no class names.
    pub partition: Partition,
    /// Whether the source knows the names.
    pub named: bool,
    pub ids: Vec<String>,
    /// Class of each sample.
    pub labels: Vec<u32>,
    /// Group of each sample in the partition.
    pub groups: Vec<u32>,
    /// Positions that are not held out, ascending.
    pub eligible: Vec<usize>,
    /// What held the others out.
    pub split: Option<String>,
    /// What took more samples out of `eligible`.
    pub left_out: Option<LeftOut>,
    pub scores: Option<ScoresFolder>,
    pub given: Option<GivenScores>,
    /// The images, where they were read.
    pub data: Option<Arc<DataSet>>,
    /// What a reader should know but need not act on.
    pub notes: Vec<String>,
}

impl Source {
    /// Reads what the settings name. `seed` is the split's.
    ///
    /// # Errors
    /// Nothing to prune; scores of other samples; files that cannot be read.
    pub fn read(
        settings: &SourceSettings,
        seed: u64,
        cpu: &Cpu,
        progress: Progress,
    ) -> Result<Source> {
        match (&settings.data, &settings.scores) {
            (None, None) => {
                let expected = "`scores` DIR of `fairprune score`, or `data` PATH";
                Err(Error::invalid("prune", "no data set", expected))
            }
            (None, Some(path)) if settings.file().is_some() => {
                let what = format!("`scores` {}", path.display());
                let expected = "`data` DATA, the set whose samples they are of";
                Err(Error::invalid(what, "scores of another program alone", expected))
            }
            (None, Some(folder)) => {
                let source = Source::of_scores(ScoresFolder::read(folder)?, &settings.groups)?;
                match &settings.without {
                    Some(path) => source.without(path),
                    None => Ok(source),
                }
            }
            (Some(data), _) => {
                let scores = match &settings.scores {
                    Some(folder) if settings.file().is_none() => Some(ScoresFolder::read(folder)?),
                    _ => None,
                };
                if scores.is_some() && data.split.is_some() {
                    let expected = "no `split`: the scores state theirs";
                    return Err(Error::invalid("`split`", "scores of a folder", expected));
                }
                let set = data.load(cpu, progress)?;
                Source::of_data(settings, data, set, scores, seed)
            }
        }
    }

    fn of_data(
        settings: &SourceSettings,
        given: &DataSettings,
        data: Arc<DataSet>,
        scores: Option<ScoresFolder>,
        seed: u64,
    ) -> Result<Source> {
        let identity = provenance::identity(&data);
        let mut notes = data.notes.clone();
        let without = given.without.as_ref().or(settings.without.as_ref());
        let (eligible, split, left_out) = match &scores {
            None => {
                let given = DataSettings { without: without.cloned(), ..given.clone() };
                let split = given.split_of(&data, seed)?;
                (split.train, Some(split.kind.to_string()), split.left_out)
            }
            Some(scores) => {
                let what = format!("scores {}", scores.folder.display());
                notes.extend(scores.stated.check_positions(&what, &identity)?);
                scores.check_samples(&data)?;
                let (eligible, left_out) = less(scores, &identity, without)?;
                (eligible, scores.split(), left_out)
            }
        };
        notes.extend(left_out.iter().map(|left_out| left_out.text.clone()));
        let file = settings.file();
        let file = file.map(|path| GivenScores::read(path, &settings.given, &data, &eligible));
        let partition = Partition::of(&data, &settings.groups)?;
        Ok(Source {
            identity,
            place: Some(given.data.clone()),
            groups: partition.labels(&data, &data.train).into_owned(),
            partition,
            named: true,
            ids: data.train.ids.clone(),
            labels: data.train.labels.clone(),
            eligible,
            split,
            left_out,
            scores,
            given: file.transpose()?,
            data: Some(data),
            notes,
        })
    }

    /// The samples of a folder of scores.
    pub fn of_scores(scores: ScoresFolder, groups: &str) -> Result<Source> {
        let numbers = (0..scores.stated.data.classes).map(|k| format!("class {k}"));
        let classes = scores.names.clone().unwrap_or_else(|| numbers.collect());
        let what = format!("`groups` with the scores {}", scores.folder.display());
        let partition = Partition::named(&what, &classes, scores.attribute.as_ref(), groups)?;
        let labels = scores.table.labels.clone();
        let group = |a: &Attributes| -> Vec<u32> {
            let pairs = labels.iter().zip(&scores.table.attributes);
            pairs.map(|(&label, &value)| a.group(label, value) as u32).collect()
        };
        let by_attribute = scores.attribute.as_ref().filter(|_| partition.attribute.is_some());
        Ok(Source {
            identity: scores.stated.data.clone(),
            place: None,
            groups: by_attribute.map_or_else(|| labels.clone(), group),
            partition,
            named: scores.names.is_some(),
            ids: scores.table.ids.clone(),
            labels,
            eligible: scores.eligible(),
            split: scores.split(),
            left_out: None,
            scores: Some(scores),
            given: None,
            data: None,
            notes: Vec::new(),
        })
    }

    /// The samples of a folder of scores less what the findings at `path` leave out.
    fn without(mut self, path: &PathBuf) -> Result<Source> {
        if let Some(scores) = &self.scores {
            (self.eligible, self.left_out) = less(scores, &self.identity, Some(path))?;
            self.notes.extend(self.left_out.iter().map(|left_out| left_out.text.clone()));
        }
        Ok(self)
    }

    /// Number of samples that are held out.
    pub fn held_out(&self) -> usize {
        let left_out = self.left_out.as_ref().map_or(0, |l| l.samples);
        self.ids.len() - self.eligible.len() - left_out
    }

    /// What is pruned, by class or group.
    pub fn population(&self) -> Population<'_> {
        let classes = self.partition.len();
        Population { labels: &self.groups, eligible: &self.eligible, classes }
    }

    /// The number of samples that may be kept of each class or group.
    pub fn sizes(&self) -> Result<Vec<usize>> {
        self.population().sizes()
    }

    /// The samples that recalls of a file are wanted for; `sizes` are [`Source::sizes`].
    pub fn recall_use<'a>(&'a self, sizes: &'a [usize]) -> RecallUse<'a> {
        let Source { identity, partition, named, .. } = self;
        RecallUse { identity, partition, named: *named, sizes }
    }
}

/// What may be kept of scored samples, less what the findings at `without` leave out.
fn less(
    scores: &ScoresFolder,
    identity: &DataIdentity,
    without: Option<&PathBuf>,
) -> Result<(Vec<usize>, Option<LeftOut>)> {
    let mut eligible = scores.eligible();
    let Some(path) = without else { return Ok((eligible, None)) };
    let table = &scores.table;
    let held_out: Vec<usize> =
        (0..table.parts.len()).filter(|&i| table.parts[i] == SamplePart::Val).collect();
    let (ids, labels) = (&table.ids, &table.labels);
    let samples =
        TrainingSamples { identity, ids, labels, eligible: &eligible, held_out: &held_out };
    let found = CheckFile::read(path)?.exclude(&samples)?;
    eligible.retain(|i| found.positions.binary_search(i).is_err());
    Ok((eligible, Some(found.why)))
}
