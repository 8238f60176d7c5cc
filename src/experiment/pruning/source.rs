//! What is pruned: a data set, or the table that a folder of scores is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::given::{GivenScores, GivenSettings};
use super::held_out::{HeldOut, Measuring, read_list};
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
    /// Samples that the user holds out, in place of a split.
    pub held_out: Option<HeldOut>,
    /// What is measured on held-out samples; nothing needs none.
    pub measuring: Measuring,
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
    /// Positions that may be kept, ascending: the part `train`.
    pub eligible: Vec<usize>,
    /// What each sample is there for.
    pub parts: Vec<SamplePart>,
    /// What held the others out.
    pub split: Option<String>,
    /// Whether the user or the file of scores held out more than the split does.
    pub held_out_by_user: bool,
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
                if data.split.is_some() && settings.held_out.is_some() {
                    let expected = "one of them";
                    return Err(Error::invalid("`held_out`", "with `split`", expected));
                }
                if settings.held_out.is_some() && scores.is_some() {
                    let expected = "no `held_out`: the scores state their split";
                    return Err(Error::invalid("`held_out`", "scores of a folder", expected));
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
        let (mut parts, split, left_out) = match &scores {
            None => {
                let split = match (given.split, &settings.held_out) {
                    (Some(kind), _) => Some(kind),
                    (None, Some(_)) => Some(data.split_to_keep_all()),
                    (None, None) => settings.measuring.split(&data, seed)?,
                };
                let given = DataSettings { without: without.cloned(), split, ..given.clone() };
                let split = given.split_of(&data, seed)?;
                let parts = provenance::parts(&data, &split);
                (parts, Some(split.kind.to_string()), split.left_out)
            }
            Some(scores) => {
                let what = format!("scores {}", scores.folder.display());
                notes.extend(scores.stated.check_positions(&what, &identity)?);
                scores.check_samples(&data)?;
                let (parts, left_out) = less(scores, &identity, without)?;
                (parts, scores.split(), left_out)
            }
        };
        notes.extend(left_out.iter().map(|left_out| left_out.text.clone()));
        if let Some(HeldOut::File(path)) = &settings.held_out {
            hold_out(&mut parts, &read_list(path, &data)?);
        }
        let by_part = settings.held_out == Some(HeldOut::Part);
        if by_part && settings.file().is_none() {
            let expected = "a file of scores with it, whose column `part` says what is held out";
            return Err(Error::invalid("`held_out` part", "no file of scores", expected));
        }
        let read =
            |path| GivenScores::read(path, &settings.given, &data, &eligible(&parts), by_part);
        let file = settings.file().map(read).transpose()?;
        if let Some(file) = &file {
            hold_out(&mut parts, &file.held_out);
            notes.extend(file.notes.iter().cloned());
        }
        let partition = Partition::of(&data, &settings.groups)?;
        Ok(Source {
            identity,
            place: Some(given.data.clone()),
            groups: partition.labels(&data, &data.train).into_owned(),
            partition,
            named: true,
            ids: data.train.ids.clone(),
            labels: data.train.labels.clone(),
            eligible: eligible(&parts),
            held_out_by_user: settings.held_out.is_some()
                || file.as_ref().is_some_and(|file| !file.held_out.is_empty()),
            parts,
            split,
            left_out,
            scores,
            given: file,
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
            parts: scores.table.parts.clone(),
            split: scores.split(),
            held_out_by_user: false,
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
            (self.parts, self.left_out) = less(scores, &self.identity, Some(path))?;
            self.eligible = eligible(&self.parts);
            self.notes.extend(self.left_out.iter().map(|left_out| left_out.text.clone()));
        }
        Ok(self)
    }

    /// Number of samples of a part.
    pub fn count(&self, part: SamplePart) -> usize {
        self.parts.iter().filter(|p| **p == part).count()
    }

    /// Says of how many images `kept` are kept, and where the others are.
    pub fn counts(&self, kept: usize) -> String {
        let (all, eligible) = (self.ids.len(), self.eligible.len());
        let mut text = format!("{kept} of {eligible} training images");
        let held_out = self.count(SamplePart::Val);
        if held_out > 0 {
            let by = match (&self.split, self.held_out_by_user) {
                (Some(split), false) => format!("split {split}"),
                _ => "what was asked for".to_owned(),
            };
            text += &format!(" that may be kept; {held_out} of {all} are held out by {by}");
        }
        match self.count(SamplePart::Out) {
            0 => {}
            left_out => text += &format!("; {left_out} of {all} are left out"),
        }
        text
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

/// Positions that may be kept.
fn eligible(parts: &[SamplePart]) -> Vec<usize> {
    (0..parts.len()).filter(|&i| parts[i] == SamplePart::Train).collect()
}

/// Takes `positions` out of what may be kept.
fn hold_out(parts: &mut [SamplePart], positions: &[usize]) {
    for &i in positions {
        if parts[i] == SamplePart::Train {
            parts[i] = SamplePart::Val;
        }
    }
}

/// What scored samples are there for, less what the findings at `without` leave out.
fn less(
    scores: &ScoresFolder,
    identity: &DataIdentity,
    without: Option<&PathBuf>,
) -> Result<(Vec<SamplePart>, Option<LeftOut>)> {
    let table = &scores.table;
    let mut parts = table.parts.clone();
    let Some(path) = without else { return Ok((parts, None)) };
    let held_out: Vec<usize> = (0..parts.len()).filter(|&i| parts[i] == SamplePart::Val).collect();
    let (ids, labels) = (&table.ids, &table.labels);
    let eligible = scores.eligible();
    let samples =
        TrainingSamples { identity, ids, labels, eligible: &eligible, held_out: &held_out };
    let found = CheckFile::read(path)?.exclude(&samples)?;
    for &i in &found.positions {
        if parts[i] == SamplePart::Train {
            parts[i] = SamplePart::Out;
        }
    }
    Ok((parts, Some(found.why)))
}
