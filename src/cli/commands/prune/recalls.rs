//! `recalls.csv` as quotas take it: checked against the classes of the data set.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fairprune::artefact::tables::{self, RecallRow};
use fairprune::artefact::{Provenance, digest};
use fairprune::error::Error;
use fairprune::experiment::provenance;
use fairprune::score::Method;

use super::source::Source;
use crate::cli::commands::score::{RECALLS, RECALLS_OF_DYNAMICS};

/// Recalls of all classes.
pub struct Recalls {
    pub values: Vec<f64>,
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
        let own = if recorded { beside(RECALLS_OF_DYNAMICS) } else { None };
        match given.cloned().or(own).or(beside(RECALLS)) {
            Some(path) => read(&path, source).map(Some),
            None => Ok(None),
        }
    }
}

fn read(path: &Path, source: &Source) -> Result<Recalls> {
    let place = path.display().to_string();
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let rows: Vec<RecallRow> = tables::read(path)?;
    let classes = source.identity.classes;
    if rows.len() != classes {
        let expected = format!("{classes}, the classes of the data set");
        return Err(Error::invalid(place, format!("{} classes", rows.len()), expected).into());
    }
    if let Some(names) = &source.names
        && let Some((row, name)) = rows.iter().zip(names).find(|(row, name)| row.name != **name)
    {
        let what = format!("{place}, class {}", row.class);
        let expected = format!("{name:?}, as in the data set");
        return Err(Error::invalid(what, format!("{:?}", row.name), expected).into());
    }
    let stated = path.with_file_name("scores.json");
    let stated = if stated.is_file() { Some(Provenance::read(&stated)?) } else { None };
    let of_dynamics = path.file_name().is_some_and(|name| name == RECALLS_OF_DYNAMICS);
    let mut warnings = Vec::new();
    if stated.as_ref().is_some_and(|s| s.data.fingerprint != source.identity.fingerprint) {
        warnings.push(format!("{place} was made on another data set"));
    } else if let Some(text) = other_sizes(&rows, source) {
        warnings.push(format!("{place} was made on other training images: {text}"));
    }
    Ok(Recalls {
        values: rows.iter().map(|r| r.recall).collect(),
        sd: rows.iter().map(|r| r.recall_sd).collect(),
        validation_sizes: validation_sizes(&rows, stated.as_ref(), of_dynamics),
        names: rows.into_iter().map(|r| r.name).collect(),
        warnings,
        digest: digest(&bytes),
    })
}

/// The first class that has another size than the file says.
fn other_sizes(rows: &[RecallRow], source: &Source) -> Option<String> {
    let mut sizes = vec![0u64; rows.len()];
    source.eligible.iter().for_each(|&i| sizes[source.labels[i] as usize] += 1);
    let (row, size) = rows.iter().zip(sizes).find(|(row, size)| row.train_size != *size)?;
    Some(format!("{} of class {:?} there, {size} here", row.train_size, row.name))
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
    use fairprune::artefact::provenance::{DataIdentity, Method as MethodRecord};
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
            samples: 9,
            classes: 1,
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
