//! What a check of a data set found, on disk: `check.csv`, and the JSON beside it that says of which data
//! set it is. People may change what is kept and dropped; the file is then another one, and so is every
//! job that leaves samples out by it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::artefact::provenance::DataIdentity;
use crate::artefact::tables::{self, FindingKind, FindingRow, FoundSample};
use crate::artefact::{OutputDir, Provenance, digest, input};
use crate::data::{LeftOut, PartName};
use crate::error::{Error, Result};

/// One row a finding, and whose samples they are.
pub const CHECK: [&str; 2] = ["check.csv", "check.json"];

/// Writes both files; `document` is a provenance with what else is said. The table comes last, so that it
/// never lies there without what it is of.
pub fn write(rows: &[FindingRow], document: &Value, dir: &OutputDir) -> Result<()> {
    let [table, json] = CHECK;
    dir.write_sealed(json, document)?;
    tables::write(&dir.file(table)?, rows)
}

/// Findings that were read.
pub struct CheckFile {
    path: PathBuf,
    rows: Vec<FindingRow>,
    stated: Provenance,
    digest: String,
}

/// The training part that findings must be of.
pub struct TrainingSamples<'a> {
    pub identity: &'a DataIdentity,
    pub ids: &'a [String],
    pub labels: &'a [u32],
    /// Positions that may be trained on and kept, ascending.
    pub eligible: &'a [usize],
    /// Positions that networks are evaluated on, ascending.
    pub held_out: &'a [usize],
}

/// Samples that findings leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// Eligible positions, ascending.
    pub positions: Vec<usize>,
    pub why: LeftOut,
}

impl CheckFile {
    /// Reads a table of findings and the JSON of its name.
    ///
    /// # Errors
    /// What cannot be read, with line and column; no JSON beside it.
    pub fn read(path: &Path) -> Result<CheckFile> {
        let bytes = input::read(path, input::MOST)?;
        let json = path.with_extension("json");
        if !json.is_file() {
            let found = format!("no {}", json.file_name().unwrap_or_default().to_string_lossy());
            let expected = "the JSON that `fairprune data check` wrote beside it, which says of which \
                            data set it is";
            return Err(Error::invalid(format!("`without` {}", path.display()), found, expected));
        }
        let (stated, rows) = (Provenance::read(&json)?, tables::read(path)?);
        Ok(CheckFile { path: path.to_owned(), rows, stated, digest: digest(&bytes) })
    }

    /// The findings, by number.
    pub fn rows(&self) -> &[FindingRow] {
        &self.rows
    }

    /// What is left out of `samples`: those that are marked, and of a marked pair of duplicates the other
    /// one where the marked one is held out, so that training keeps no copy of what it is evaluated on.
    ///
    /// # Errors
    /// Findings of other samples; a class of which nothing would stay.
    pub fn exclude(&self, samples: &TrainingSamples) -> Result<Exclusion> {
        self.check(samples)?;
        let eligible = |i: usize| samples.eligible.binary_search(&i).is_ok();
        let held_out = |i: usize| samples.held_out.binary_search(&i).is_ok();
        let mut found: BTreeMap<usize, FindingKind> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.drop) {
            let goes = match in_training(&row.sample) {
                Some(own) if !held_out(own) => Some(own),
                _ => row.other.as_ref().and_then(in_training),
            };
            if let Some(i) = goes.filter(|&i| eligible(i)) {
                // A sample may be found more than once: it counts under its first kind.
                found.entry(i).and_modify(|kind| *kind = row.kind.min(*kind)).or_insert(row.kind);
            }
        }
        let positions: Vec<usize> = found.keys().copied().collect();
        self.check_classes(samples, &positions)?;
        let count = |kind| found.values().filter(|k| **k == kind).count();
        let [exact, near, label] = FindingKind::ALL.map(count);
        let text = format!(
            "{} of {} training images are left out by {}: {exact} exact duplicates, {near} \
             near-duplicates, {label} suspected labels",
            positions.len(),
            samples.eligible.len(),
            self.path.display()
        );
        let why = LeftOut { digest: self.digest.clone(), samples: positions.len(), text };
        Ok(Exclusion { positions, why })
    }

    /// Refuses findings of other samples.
    fn check(&self, samples: &TrainingSamples) -> Result<()> {
        let name = format!("`without` {}", self.path.display());
        // At another image size pixels and features differ, and the samples are the same.
        self.stated.check_positions(&name, samples.identity)?;
        for row in &self.rows {
            for sample in std::iter::once(&row.sample).chain(&row.other) {
                let Some(i) = in_training(sample) else { continue };
                let there = samples.ids.get(i).zip(samples.labels.get(i));
                let describe = |id: &str, label: u32| format!("{id:?} of label {label}");
                if there.is_none_or(|(id, label)| *id != sample.id || *label != sample.label) {
                    let what = format!("{name}, finding {}, training sample {i}", row.finding);
                    let found = describe(&sample.id, sample.label);
                    let expected = there.map_or_else(
                        || format!("a position below {}", samples.ids.len()),
                        |(id, label)| describe(id, *label),
                    );
                    return Err(Error::invalid(what, found, expected));
                }
            }
        }
        Ok(())
    }

    /// Refuses to leave out all that there is of a class.
    fn check_classes(&self, samples: &TrainingSamples, positions: &[usize]) -> Result<()> {
        let mut left = vec![(0usize, 0usize); samples.identity.classes];
        let label = |i: usize| samples.labels[i] as usize;
        samples.eligible.iter().for_each(|&i| left[label(i)].0 += 1);
        positions.iter().for_each(|&i| left[label(i)].1 += 1);
        match left.iter().position(|&(all, out)| all > 0 && all == out) {
            None => Ok(()),
            Some(class) => {
                let what = format!("`without` {}, class {class}", self.path.display());
                let found = format!("all of its {} training images marked drop", left[class].0);
                Err(Error::invalid(what, found, "some that are marked keep, or are not named"))
            }
        }
    }
}

/// The position of a sample in the training part, if it is of that part.
fn in_training(sample: &FoundSample) -> Option<usize> {
    (sample.part == PartName::Train.name()).then_some(sample.index as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(part: &str, index: u64) -> FoundSample {
        FoundSample { part: part.to_owned(), index, id: format!("{part}{index}"), label: 0 }
    }

    fn row(kind: FindingKind, of: FoundSample, other: Option<FoundSample>) -> FindingRow {
        let suggested_label = other.is_none().then_some(1);
        FindingRow { finding: 0, kind, sample: of, other, suggested_label, score: 1.0, drop: true }
    }

    fn identity() -> DataIdentity {
        DataIdentity {
            name: "six".to_owned(),
            fingerprint: "f".to_owned(),
            samples_fingerprint: None,
            size: None,
            samples: 6,
            classes: 1,
            long_tail: None,
        }
    }

    fn left_out(rows: Vec<FindingRow>, parts: [&[usize]; 2]) -> Result<Exclusion> {
        let [eligible, held_out] = parts;
        let identity = identity();
        let file = CheckFile {
            path: PathBuf::from("check.csv"),
            rows,
            stated: Provenance::new(identity.clone(), Vec::new(), Vec::new()),
            digest: "d".to_owned(),
        };
        let ids: Vec<String> = (0..6).map(|i| format!("train{i}")).collect();
        let (identity, labels) = (&identity, &[0; 6]);
        file.exclude(&TrainingSamples { identity, ids: &ids, labels, eligible, held_out })
    }

    #[test]
    fn of_a_pair_the_one_that_may_be_trained_on_goes() {
        use FindingKind::{ExactDuplicate, Label, NearDuplicate};
        let rows = || {
            vec![
                row(ExactDuplicate, sample("train", 3), Some(sample("train", 1))),
                row(NearDuplicate, sample("train", 4), Some(sample("test", 4))),
                row(Label, sample("train", 4), None),
                FindingRow { drop: false, ..row(Label, sample("train", 5), None) },
            ]
        };
        let of = |parts: [&[usize]; 2]| left_out(rows(), parts).unwrap();
        assert_eq!(of([&[0, 1, 2, 3, 4, 5], &[]]).positions, [3, 4]);
        // Held out, the copy stays and what it is a copy of goes.
        assert_eq!(of([&[0, 1, 2, 4, 5], &[3]]).positions, [1, 4]);
        assert_eq!(of([&[0, 2, 3, 5], &[1, 4]]).positions, [3]);
        // What was left out before takes nothing with it.
        assert_eq!(of([&[0, 1, 2, 5], &[]]).positions, [0usize; 0]);
        let why = of([&[0, 1, 2, 3, 4, 5], &[]]).why;
        let words = "2 of 6 training images are left out by check.csv: 1 exact duplicates, 1 \
                     near-duplicates, 0 suspected labels";
        assert_eq!((why.text.as_str(), why.samples), (words, 2));
        let message = left_out(rows(), [&[3, 4], &[]]).unwrap_err().to_string();
        assert!(message.contains("class 0") && message.contains("all of its 2"), "{message}");
    }
}
