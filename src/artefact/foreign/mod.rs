//! Scores that other programs computed: a CSV of names and numbers, or an array in a stated order.
//!
//! Nothing is guessed: every training sample that may be kept gets exactly one number, every row
//! belongs to a sample, and whatever does not fit is named.

mod csv;
mod names;
#[cfg(feature = "train")]
mod npz;

use std::path::Path;

use super::npy::{self, Array, ArrayValues};
use crate::error::{Error, Result};

pub use csv::{NAME_COLUMNS, SCORE_COLUMNS, ScoreColumns, WantedColumns, read as read_csv};
pub use names::SampleNames;
#[cfg(feature = "train")]
pub use npz::read as read_npz;

/// Number of names that a message lists before it counts the rest.
pub(super) const LISTED: usize = 5;

/// One number for each row of a file, with the name that the row gives its sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedScores {
    /// Name of the sample in each row.
    pub names: Vec<String>,
    /// Number in each row.
    pub scores: Vec<f64>,
    /// Names in rows that say that their samples are held out; they have no number.
    pub held_out: Vec<String>,
}

/// What a file says of the samples of a training set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatchedScores {
    /// One number a sample, NaN for those without.
    pub values: Vec<f64>,
    /// Positions that the file holds out, ascending.
    pub held_out: Vec<usize>,
    /// Needed positions without a row, ascending; none unless that is allowed.
    pub without_row: Vec<usize>,
}

/// Reads the numbers of an array of one axis, none of which is NaN.
pub fn read_array(path: &Path) -> Result<Vec<f64>> {
    numbers(npy::read(path)?, path.display().to_string())
}

/// Returns the numbers of an array that was read from `what`.
fn numbers(array: Array, what: String) -> Result<Vec<f64>> {
    if array.shape.len() != 1 {
        let found = format!("shape {:?}", array.shape);
        return Err(Error::invalid(what, found, "one axis: a number a sample"));
    }
    let values: Vec<f64> = match array.values {
        ArrayValues::F32(values) => values.into_iter().map(f64::from).collect(),
        ArrayValues::F64(values) => values,
        ArrayValues::Int(values) => values.into_iter().map(|v| v as f64).collect(),
        ArrayValues::Bool(_) => return Err(Error::invalid(what, "booleans", "scores (numbers)")),
    };
    match values.iter().position(|v| v.is_nan()) {
        Some(i) => Err(Error::invalid(format!("{what}, position {i}"), "NaN", "a number")),
        None => Ok(values),
    }
}

/// Tells whether numbers are those from 0 on, each once: places of samples in an order, or ranks.
pub fn is_permutation(values: &[f64]) -> bool {
    let mut seen = vec![false; values.len()];
    values.len() > 2
        && values.iter().all(|&value| {
            let place = value as usize;
            let is_place = value >= 0.0 && place as f64 == value && place < seen.len();
            is_place && !std::mem::replace(&mut seen[place], true)
        })
}

/// Takes numbers that stand in the order of `ids`.
pub fn in_order(what: &str, scores: Vec<f64>, samples: usize) -> Result<Vec<f64>> {
    if scores.len() == samples {
        return Ok(scores);
    }
    let expected = format!("{samples}, one a training sample of the data set");
    Err(Error::invalid(what, format!("{} numbers", scores.len()), expected))
}

/// Puts numbers in the order of `ids` by their names. Samples without a row are none of `needed`, or are
/// returned where `partial` allows them.
///
/// # Errors
/// A name means no sample, several, or one that has a row already, or a needed sample has no row.
/// The first few are listed.
pub fn by_name(
    what: &str,
    rows: &NamedScores,
    ids: &[String],
    needed: &[usize],
    partial: bool,
) -> Result<MatchedScores> {
    let names = SampleNames::new(ids);
    let mut values = vec![f64::NAN; ids.len()];
    let mut has_row = vec![false; ids.len()];
    let mut held_out = Vec::new();
    let (mut unknown, mut twice) = (Vec::new(), Vec::new());
    let of_scores = rows.names.iter().zip(rows.scores.iter().map(|&score| Some(score)));
    for (name, score) in of_scores.chain(rows.held_out.iter().map(|name| (name, None))) {
        match names.find(name).map_err(|ids| {
            let expected =
                "names that tell the samples apart, such as `data export` writes as a list";
            Error::invalid(what, format!("{name:?}, which may be {}", ids.join(" or ")), expected)
        })? {
            None => unknown.push(name.as_str()),
            Some(i) if has_row[i] => twice.push(name.as_str()),
            Some(i) => {
                has_row[i] = true;
                match score {
                    Some(score) => values[i] = score,
                    None => held_out.push(i),
                }
            }
        }
    }
    held_out.sort_unstable();
    let without_row: Vec<usize> = needed.iter().copied().filter(|&i| !has_row[i]).collect();
    refuse(what, "that no training sample has", &unknown, "names of training samples")?;
    refuse(what, "more than once", &twice, "a row a sample")?;
    if !partial {
        let missing: Vec<&str> = without_row.iter().map(|&i| ids[i].as_str()).collect();
        let expected = "a row for every training sample that may be kept; `partial` holds out the samples \
                        without one";
        refuse(what, "without a row", &missing, expected)?;
    }
    Ok(MatchedScores { values, held_out, without_row })
}

fn refuse(what: &str, why: &str, names: &[&str], expected: &str) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = names.iter().take(LISTED).map(|n| format!("{n:?}")).collect();
    let more = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let found = format!("{} names {why}: {}{more}", names.len(), shown.join(", "));
    Err(Error::invalid(what, found, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(&str, f64)]) -> NamedScores {
        NamedScores {
            names: pairs.iter().map(|p| p.0.to_owned()).collect(),
            scores: pairs.iter().map(|p| p.1).collect(),
            held_out: Vec::new(),
        }
    }

    fn ids() -> Vec<String> {
        ["train/cat/1.png", "train/cat/2.png", "train/dog/1.png"].map(str::to_owned).to_vec()
    }

    #[test]
    fn rows_go_where_their_names_say() {
        let given =
            rows(&[("dog/1.png", 3.0), ("/home/x/set/train/cat/1.png", 1.0), ("2.png", 2.0)]);
        let all = by_name("s.csv", &given, &ids(), &[0, 1, 2], false).unwrap();
        assert_eq!((&all.values[..], all.without_row.len()), (&[1.0, 2.0, 3.0][..], 0));
        // Samples that may not be kept need no row.
        let given = rows(&[("cat/1.png", f64::INFINITY), ("dog/1.png", 3.0)]);
        let scores = by_name("s.csv", &given, &ids(), &[0, 2], false).unwrap().values;
        assert!(scores[1].is_nan() && scores[0] == f64::INFINITY && scores[2] == 3.0);
        // Those that may be kept need one, unless a part is enough.
        let text = by_name("s.csv", &given, &ids(), &[0, 1, 2], false).unwrap_err().to_string();
        assert!(text.contains("1 names without a row") && text.contains("`partial`"), "{text}");
        let part = by_name("s.csv", &given, &ids(), &[0, 1, 2], true).unwrap();
        assert_eq!((part.without_row, part.held_out.len()), (vec![1], 0));
        // A row that says so holds its sample out.
        let given = NamedScores { held_out: vec!["cat/2.png".to_owned()], ..given };
        let said = by_name("s.csv", &given, &ids(), &[0, 1, 2], false).unwrap();
        assert_eq!((said.held_out, said.without_row.len()), (vec![1], 0));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused = |pairs: &[(&str, f64)]| {
            by_name("s.csv", &rows(pairs), &ids(), &[0, 1, 2], false).unwrap_err().to_string()
        };
        let all = [("cat/1.png", 1.0), ("cat/2.png", 2.0), ("dog/1.png", 3.0)];
        let text = refused(&all[..2]);
        assert!(text.contains("1 names without a row: \"train/dog/1.png\""), "{text}");
        let text = refused(&[all[0], all[1], all[2], ("train/cat/1.png", 1.0)]);
        assert!(text.contains("more than once: \"train/cat/1.png\""), "{text}");
        let text = refused(&[all[0], ("bird/1.png", 1.0)]);
        assert!(text.contains("no training sample has: \"bird/1.png\""), "{text}");
        let text = refused(&[("1.png", 1.0)]);
        assert!(text.contains("train/cat/1.png or train/dog/1.png"), "{text}");
        let strange: Vec<(String, f64)> = (0..9).map(|i| (format!("x{i}"), 0.0)).collect();
        let strange: Vec<(&str, f64)> = strange.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        let text = refused(&strange);
        assert!(text.contains("9 names") && text.contains("\"x4\" and 4 more"), "{text}");
    }

    #[test]
    fn permutations_are_recognised() {
        assert!(is_permutation(&[2.0, 0.0, 1.0]));
        for other in [&[0.0, 1.0][..], &[0.0, 1.0, 1.0], &[1.0, 2.0, 3.0], &[0.0, 0.5, 1.0]] {
            assert!(!is_permutation(other), "{other:?}");
        }
        assert!(!is_permutation(&[-1.0, 0.0, 1.0]) && !is_permutation(&[0.0, f64::INFINITY, 1.0]));
    }

    #[test]
    fn arrays_have_the_right_length() {
        assert_eq!(in_order("s", vec![1.0, 2.0], 2).unwrap(), [1.0, 2.0]);
        let text = in_order("s", vec![1.0], 2).unwrap_err().to_string();
        assert!(text.contains("1 numbers") && text.contains("expected 2"), "{text}");
    }
}
