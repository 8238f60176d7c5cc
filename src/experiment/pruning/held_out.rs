//! Which training samples are held out of a pruning: by the split, by a list of the user's, or by the part
//! that scores of another program state.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::artefact::foreign::SampleNames;
use crate::artefact::{input, npy};
use crate::data::{DataSet, SplitKind};
use crate::error::{Error, Result};
use crate::experiment::folder::recalls::stated_size;

/// What the user says is held out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldOut {
    /// Samples whose column `part` in the file of scores is not `train`.
    Part,
    /// A text file of names, a line each; or a .npy of positions or a mask.
    File(PathBuf),
}

impl FromStr for HeldOut {
    type Err = Error;

    /// Reads `part`, or the path of a file.
    fn from_str(text: &str) -> Result<Self> {
        Ok(if text == "part" { HeldOut::Part } else { HeldOut::File(PathBuf::from(text)) })
    }
}

/// What a pruning measures on images that are held out for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Measuring {
    /// Recalls or predictions: what training holds out is held out here.
    #[default]
    ByRuns,
    /// Nothing: scores, features and recalls are given, or none is needed.
    Nothing {
        /// The file of recalls, whose own training may have held something out.
        recalls: Option<PathBuf>,
    },
}

impl Measuring {
    /// The split of a pruning whose user names none.
    pub fn split(&self, data: &DataSet, seed: u64) -> Result<Option<SplitKind>> {
        let Measuring::Nothing { recalls } = self else { return Ok(None) };
        let all = data.split_to_keep_all();
        // Recalls of `train` that held a part out: the same part is held out again, since the
        // recalls were measured there.
        let trained = recalls.as_deref().and_then(stated_size);
        if let (SplitKind::None, Some(trained)) = (all, trained)
            && trained != data.present().len() as u64
            && let Ok(split) = data.split(Some(SplitKind::Holdout), seed)
            && trained == split.train.len() as u64
        {
            return Ok(Some(SplitKind::Holdout));
        }
        Ok(Some(all))
    }
}

/// The positions, ascending, that a user's file names.
///
/// # Errors
/// A file that cannot be read, names of no training sample or of several, no name at all.
pub fn read_list(path: &Path, data: &DataSet) -> Result<Vec<usize>> {
    let what = format!("`held_out` {}", path.display());
    let mut positions = if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        npy::read(path)?.into_positions(data.train.len(), &what)?
    } else {
        let bytes = input::read(path, input::MOST)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            let expected = "a text file in UTF-8, a name a line; or a .npy of positions or a mask";
            Error::invalid(what.as_str(), "bytes that are not UTF-8", expected)
        })?;
        let names = SampleNames::new(&data.train.ids);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let position = |name: &str| match names.find(name) {
            Ok(Some(position)) => Ok(position),
            Ok(None) => {
                let expected = "names of training samples, a line each, or `part`";
                Err(Error::invalid(what.as_str(), format!("the line {name:?}"), expected))
            }
            Err(ids) => {
                let found = format!("{name:?}, which may be {}", ids.join(" or "));
                Err(Error::invalid(what.as_str(), found, "names that tell the samples apart"))
            }
        };
        lines.map(position).collect::<Result<Vec<usize>>>()?
    };
    positions.sort_unstable();
    positions.dedup();
    if positions.is_empty() {
        return Err(Error::invalid(what, "no sample", "at least one"));
    }
    Ok(positions)
}
