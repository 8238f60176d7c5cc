//! `recalls.csv` as quotas take it: checked against the classes of the data set.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fairprune::artefact::provenance::{DataIdentity, check_fingerprint};
use fairprune::artefact::tables::{self, GroupRecallRow, RecallRow};
use fairprune::artefact::{Provenance, digest};
use fairprune::error::Error;
use fairprune::experiment::provenance;
use fairprune::score::Method;

use serde_json::Value;

use super::folder::check_digest;
use super::source::Source;
use crate::cli::commands::score::{
    GROUP_RECALLS, GROUP_RECALLS_OF_DYNAMICS, RECALLS, RECALLS_OF_DYNAMICS,
};

/// Recalls of all classes, or groups.
pub struct Recalls {
    /// None for a group without validation samples.
    pub values: Vec<Option<f64>>,
    /// Standard deviations between query runs.
    pub sd: Vec<Option<f64>>,
    pub names: Vec<String>,
    /// Validation samples behind one recall; None unless every class tells them.
    pub validation_sizes: Option<Vec<u64>>,
    /// What is odd about the file but does not forbid its use.
    pub warnings: Vec<String>,
    /// Of the file, whole.
    pub digest: String,
}

impl Recalls {
    /// Those that `given` names, else those in the folder of the scores, else none. A ranking by the
    /// dynamics of a recorded run takes that run's, where the folder has them apart.
    pub fn find(
        given: Option<&PathBuf>,
        source: &Source,
        ranking: Option<Method>,
    ) -> Result<Option<Recalls>> {
        let beside = |name: &str| {
            let path = source.scores.as_ref().map(|s| s.folder.join(name));
            path.filter(|p| p.exists())
        };
        let recorded = match (&source.scores, ranking) {
            (Some(scores), Some(method)) => {
                scores.method(method)?.1.hyper_parameters.get("source") == Some(&"dynamics".into())
            }
            _ => false,
        };
        let [first, of_dynamics] = match source.partition.attribute {
            None => [RECALLS, RECALLS_OF_DYNAMICS],
            Some(_) => [GROUP_RECALLS, GROUP_RECALLS_OF_DYNAMICS],
        };
        let own = if recorded { beside(of_dynamics) } else { None };
        match given.cloned().or(own).or(beside(first)) {
            Some(path) => read(&path, source).map(Some),
            None => Ok(None),
        }
    }
}

/// The rows of a file of classes or groups.
fn rows_of(path: &Path, source: &Source) -> Result<Vec<RecallRow>> {
    let place = path.display().to_string();
    if !tables::is_of_groups(path)? {
        return Ok(tables::read(path)?);
    }
    if source.partition.attribute.is_none() {
        let expected = "recalls of classes; or --groups with the name of the attribute";
        return Err(Error::invalid(place, "recalls of groups", expected).into());
    }
    let rows: Vec<GroupRecallRow> = tables::read(path)?;
    Ok(rows.iter().map(GroupRecallRow::to_class).collect())
}

fn read(path: &Path, source: &Source) -> Result<Recalls> {
    let place = path.display().to_string();
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let rows = rows_of(path, source)?;
    let (partition, unit) = (&source.partition, source.partition.unit());
    let count = partition.len();
    let of_classes = partition.attribute.is_none();
    let beyond = rows.iter().any(|row| row.class as usize >= count);
    if beyond || (of_classes && rows.len() != count) {
        let found = format!("{} rows", rows.len());
        let expected = match &partition.attribute {
            None => format!("{count}, the classes of the data set"),
            Some(name) => format!("at most {count}, the groups class x {name} of the data set"),
        };
        return Err(Error::invalid(place, found, expected).into());
    }
    let other = |row: &&RecallRow| row.name != partition.names[row.class as usize];
    if let Some(row) = rows.iter().find(other).filter(|_| source.named) {
        let what = format!("{place}, {unit} {}", row.class);
        let expected = format!("{:?}, as in the data set", partition.names[row.class as usize]);
        return Err(Error::invalid(what, format!("{:?}", row.name), expected).into());
    }
    let json = path.with_file_name("scores.json");
    let stated = if json.is_file() { Some(Provenance::read(&json)?) } else { None };
    if stated.is_some() {
        check_digest(&json, path, &bytes)?;
    }
    let of = stated.as_ref().map(|s| s.data.clone());
    if let Some(of) = of.or(trained_on(path))
        && !of.has_samples_of(&source.identity)
    {
        check_fingerprint(&place, &of, &source.identity)?;
    }
    let of_dynamics = is_of_dynamics(path);
    let mut warnings = Vec::new();
    if let Some(text) = other_sizes(&rows, source) {
        warnings.push(format!("{place} was made on other training images: {text}"));
    }
    let (mut values, mut sd) = (vec![None; count], vec![None; count]);
    let mut names = partition.names.clone();
    rows.iter().for_each(|r| values[r.class as usize] = Some(r.recall));
    rows.iter().for_each(|r| sd[r.class as usize] = r.recall_sd);
    rows.iter().for_each(|r| names[r.class as usize].clone_from(&r.name));
    let known = validation_sizes(&rows, stated.as_ref(), of_dynamics);
    let validation_sizes = known.map(|sizes| {
        let mut all = vec![0; count];
        rows.iter().zip(sizes).for_each(|(row, n)| all[row.class as usize] = n);
        all
    });
    Ok(Recalls { values, sd, validation_sizes, names, warnings, digest: digest(&bytes) })
}

/// The data set that `summary.json` beside the recalls states, if `fairprune train` wrote them.
fn trained_on(path: &Path) -> Option<DataIdentity> {
    // Anybody's summary.json may lie there; only the identity of a data set is one.
    let bytes = std::fs::read(path.with_file_name("summary.json")).ok()?;
    let document: Value = serde_json::from_slice(&bytes).ok()?;
    serde_json::from_value(document.get("data")?.clone()).ok()
}

/// The first class that has another size than the file says.
fn other_sizes(rows: &[RecallRow], source: &Source) -> Option<String> {
    let mut sizes = vec![0u64; source.partition.len()];
    source.eligible.iter().for_each(|&i| sizes[source.groups[i] as usize] += 1);
    let row = rows.iter().find(|row| row.train_size != sizes[row.class as usize])?;
    let (unit, size) = (source.partition.unit(), sizes[row.class as usize]);
    Some(format!("{} of {unit} {:?} there, {size} here", row.train_size, row.name))
}

/// Validation samples behind each recall of a file, by what scores.json beside it says of its runs.
pub fn validation_sizes_beside(path: &Path, rows: &[RecallRow]) -> Result<Option<Vec<u64>>> {
    let json = path.with_file_name("scores.json");
    let stated = if json.is_file() { Some(Provenance::read(&json)?) } else { None };
    Ok(validation_sizes(rows, stated.as_ref(), is_of_dynamics(path)))
}

/// Whether the file's name is that of recalls of a recorded run.
fn is_of_dynamics(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        [RECALLS_OF_DYNAMICS, GROUP_RECALLS_OF_DYNAMICS].iter().any(|n| name == *n)
    })
}

/// The file counts validation samples over all query runs. Runs that share their validation
/// images (all but those of crossfit) tell no more than one of them does; dynamics are of one run.
fn validation_sizes(
    rows: &[RecallRow],
    stated: Option<&Provenance>,
    of_dynamics: bool,
) -> Option<Vec<u64>> {
    let pooled =
        stated.and_then(provenance::split_of).is_some_and(|split| split.starts_with("crossfit"));
    let runs = match stated {
        Some(stated) if !pooled && !of_dynamics => stated.seeds.len().max(1) as u64,
        _ => 1,
    };
    rows.iter().map(|row| row.val_total.map(|total| total / runs)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairprune::artefact::provenance::Method as MethodRecord;
    use serde_json::{Map, json};

    fn row(val_total: Option<u64>) -> RecallRow {
        RecallRow {
            class: 0,
            name: "a".to_owned(),
            train_size: 9,
            val_correct: None,
            val_total,
            recall: 0.5,
            recall_sd: None,
        }
    }

    fn scores(split: &str, runs: u64) -> Provenance {
        let identity = DataIdentity {
            name: "d".to_owned(),
            fingerprint: "f".to_owned(),
            samples_fingerprint: None,
            size: None,
            samples: 9,
            classes: 1,
            long_tail: None,
        };
        let method = MethodRecord {
            name: "el2n".to_owned(),
            variant: String::new(),
            direction: None,
            hyper_parameters: Map::from_iter([("split".to_owned(), json!(split))]),
        };
        Provenance::new(identity, vec![method], (0..runs).collect())
    }

    #[test]
    fn shared_validation_images_count_once() {
        let rows = [row(Some(250))];
        let of = |stated: &Provenance| validation_sizes(&rows, Some(stated), false);
        assert_eq!(of(&scores("holdout", 5)), Some(vec![50]));
        assert_eq!(of(&scores("crossfit:5", 5)), Some(vec![250]));
        assert_eq!(of(&scores("shipped", 0)), Some(vec![250]));
        assert_eq!(validation_sizes(&rows, None, false), Some(vec![250]));
        assert_eq!(validation_sizes(&[row(Some(1)), row(None)], None, false), None);
        let stated = scores("holdout", 5);
        assert_eq!(validation_sizes(&rows, Some(&stated), true), Some(vec![250]));
    }
}
