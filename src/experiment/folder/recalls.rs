//! Class recalls on disk: `recalls.csv` and what stands beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::provenance;
use super::recall_rows::{GROUP_RECALLS, GROUP_RECALLS_OF_DYNAMICS, RECALLS, RECALLS_OF_DYNAMICS};
use super::scores::{ScoresFolder, check_digest};
use super::validation_rows::{self, VALIDATION_ROWS};
use crate::artefact::provenance::{DataIdentity, check_fingerprint};
use crate::artefact::tables::{self, GroupRecallRow, RecallRow};
use crate::artefact::{Provenance, digest, input};
use crate::data::Partition;
use crate::error::{Error, Result};
use crate::prune::ValidationRows;
use crate::score::Method;

/// Recalls of all classes, or groups, of a file.
pub struct StatedRecalls {
    /// None for a group without validation samples.
    pub values: Vec<Option<f64>>,
    /// Standard deviations between query runs.
    pub sd: Vec<Option<f64>>,
    pub names: Vec<String>,
    /// Validation samples behind one recall; None unless every class tells them.
    pub validation_sizes: Option<Vec<u64>>,
    /// What the runs behind the recalls say of each validation sample, where it lies beside the file.
    pub rows: Option<Arc<ValidationRows>>,
    /// What is odd about the file but does not forbid its use.
    pub warnings: Vec<String>,
    /// Digest of the whole file.
    pub digest: String,
    /// Which recalls they are, for people: the file, and whose they are where the folder has several.
    pub origin: String,
}

/// The samples that recalls are wanted for.
pub struct RecallUse<'a> {
    pub identity: &'a DataIdentity,
    pub partition: &'a Partition,
    /// Whether the partition's names are known, not numbers that stand for them.
    pub named: bool,
    /// Training samples of each class or group.
    pub sizes: &'a [usize],
}

/// Finds the recalls in a folder of scores, and tells whether they are a recorded run's. A ranking by the
/// dynamics of a recorded run (`ranking` is the score it ranks by) takes that run's, where the folder has
/// them apart.
pub fn beside_scores(
    scores: &ScoresFolder,
    partition: &Partition,
    ranking: Option<Method>,
) -> Result<Option<(PathBuf, bool)>> {
    let beside = |name: &str| Some(scores.folder.join(name)).filter(|p| p.exists());
    let recorded = match ranking {
        Some(method) => {
            scores.method(method)?.1.hyper_parameters.get("source") == Some(&"dynamics".into())
        }
        None => false,
    };
    let [first, of_dynamics] = match partition.attribute {
        None => [RECALLS, RECALLS_OF_DYNAMICS],
        Some(_) => [GROUP_RECALLS, GROUP_RECALLS_OF_DYNAMICS],
    };
    let own = if recorded { beside(of_dynamics) } else { None };
    Ok(own.or_else(|| beside(first)).map(|path| (path, recorded)))
}

/// The rows of a file of classes or groups.
fn read_rows(path: &Path, partition: &Partition) -> Result<Vec<RecallRow>> {
    let place = path.display().to_string();
    if !tables::is_of_groups(path)? {
        return tables::read(path);
    }
    if partition.attribute.is_none() {
        let expected = "recalls of classes; or `groups` with the name of the attribute";
        return Err(Error::invalid(place, "recalls of groups", expected));
    }
    let rows: Vec<GroupRecallRow> = tables::read(path)?;
    Ok(rows.iter().map(GroupRecallRow::to_class).collect())
}

impl StatedRecalls {
    /// Reads a file for the samples that they are wanted for.
    ///
    /// # Errors
    /// Rows of other classes than the data set's, a file that was changed since it was written, recalls of
    /// another data set.
    pub fn read(path: &Path, of: &RecallUse) -> Result<StatedRecalls> {
        let place = path.display().to_string();
        let bytes = input::read(path, input::MOST)?;
        let RecallUse { identity, partition, sizes, .. } = *of;
        let rows = read_rows(path, partition)?;
        check_rows(&place, &rows, of)?;
        let json = path.with_file_name("scores.json");
        let stated = if json.is_file() { Some(Provenance::read(&json)?) } else { None };
        if stated.is_some() {
            check_digest(&json, path, &bytes)?;
        }
        let made_of = match &stated {
            Some(stated) => Some(stated.data.clone()),
            None => trained_on(path, &bytes)?,
        };
        if let Some(made_of) = made_of
            && !made_of.has_samples_of(identity)
        {
            check_fingerprint(&place, &made_of, identity)?;
        }
        let mut warnings = Vec::new();
        let other = rows.iter().find(|row| row.train_size != sizes[row.class as usize] as u64);
        if let Some(row) = other {
            let (unit, size) = (partition.unit(), sizes[row.class as usize]);
            warnings.push(format!(
                "{place} was made on other training images: {} of {unit} {:?} there, {size} here",
                row.train_size, row.name
            ));
        }
        let count = partition.len();
        let (mut values, mut sd) = (vec![None; count], vec![None; count]);
        let mut names = partition.names.clone();
        for row in &rows {
            let k = row.class as usize;
            (values[k], sd[k]) = (Some(row.recall), row.recall_sd);
            names[k].clone_from(&row.name);
        }
        let known = validation_sizes(&rows, stated.as_ref(), is_of_dynamics(path));
        let validation_sizes = known.map(|sizes| {
            let mut all = vec![0; count];
            rows.iter().zip(sizes).for_each(|(row, n)| all[row.class as usize] = n);
            all
        });
        let rows = rows_beside(path, partition.attribute.is_none().then_some(count))?;
        let digest = digest(&bytes);
        let origin = place;
        Ok(StatedRecalls { values, sd, validation_sizes, names, rows, warnings, digest, origin })
    }
}

/// Number of training samples that the recalls of a file say they were made with, where it is one.
pub fn stated_size(path: &Path) -> Option<u64> {
    let of_groups = tables::is_of_groups(path).ok()?;
    let sizes: Vec<u64> = match of_groups {
        true => tables::read::<GroupRecallRow>(path).ok()?.iter().map(|r| r.train_size).collect(),
        false => tables::read::<RecallRow>(path).ok()?.iter().map(|r| r.train_size).collect(),
    };
    Some(sizes.iter().sum())
}

/// What the runs behind a file of class recalls say of each validation sample, where scores.json beside
/// it states the bytes.
///
/// # Errors
/// Other bytes than those that are stated, files that do not fit each other.
pub fn rows_beside(path: &Path, classes: Option<usize>) -> Result<Option<Arc<ValidationRows>>> {
    let json = path.with_file_name("scores.json");
    let of_classes = path.file_name().is_some_and(|name| name == RECALLS);
    let Some(classes) = classes.filter(|_| of_classes && json.is_file()) else { return Ok(None) };
    let folder = path.parent().unwrap_or(Path::new(""));
    for name in VALIDATION_ROWS {
        let file = folder.join(name);
        if file.is_file() {
            check_digest(&json, &file, &input::read(&file, input::MOST)?)?;
        }
    }
    Ok(validation_rows::read(folder, classes)?.map(Arc::new))
}

/// Refuses rows that are not those of the partition.
fn check_rows(place: &str, rows: &[RecallRow], of: &RecallUse) -> Result<()> {
    let (partition, count) = (of.partition, of.partition.len());
    let beyond = rows.iter().any(|row| row.class as usize >= count);
    if beyond || (partition.attribute.is_none() && rows.len() != count) {
        let found = format!("{} rows", rows.len());
        let expected = match &partition.attribute {
            None => format!("{count}, the classes of the data set"),
            Some(name) => format!("at most {count}, the groups class x {name} of the data set"),
        };
        return Err(Error::invalid(place, found, expected));
    }
    let other = |row: &&RecallRow| row.name != partition.names[row.class as usize];
    if let Some(row) = rows.iter().find(other).filter(|_| of.named) {
        let what = format!("{place}, {} {}", partition.unit(), row.class);
        let expected = format!("{:?}, as in the data set", partition.names[row.class as usize]);
        return Err(Error::invalid(what, format!("{:?}", row.name), expected));
    }
    Ok(())
}

/// The data set that `summary.json` beside the recalls states, if a training run wrote them.
///
/// # Errors
/// The recalls, which are `bytes`, have another digest than it states.
fn trained_on(path: &Path, bytes: &[u8]) -> Result<Option<DataIdentity>> {
    // Anybody's summary.json may lie there; only the identity of a data set is one.
    let stated = || {
        let text = input::read(&path.with_file_name("summary.json"), input::MOST_DOCUMENT).ok()?;
        let document: Value = serde_json::from_slice(&text).ok()?;
        let data = serde_json::from_value(document.get("data")?.clone()).ok()?;
        let name = path.file_name()?.to_string_lossy();
        let stated = document.get("digests").and_then(|digests| digests.get(&*name));
        Some((data, stated.and_then(Value::as_str).map(str::to_owned)))
    };
    let Some((data, stated)) = stated() else { return Ok(None) };
    if stated.is_some_and(|stated| stated != digest(bytes)) {
        let expected =
            "the bytes that summary.json states; numbers of your own belong in another folder";
        return Err(Error::invalid(path.display().to_string(), "other bytes", expected));
    }
    Ok(Some(data))
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
    use crate::artefact::provenance::MethodRecord;
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
