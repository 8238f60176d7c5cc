//! Finds the Parquet files of a folder that are shards of a data set.

use std::path::Path;

use crate::data::shards::Shards;
use crate::error::{Error, Result};

const EXTENSION: &str = ".parquet";

/// Returns the shards of every part.
pub(super) fn shards(root: &Path) -> Result<Shards> {
    let shards = Shards::find(root, EXTENSION, &["", "data"])?;
    if shards.any() || !root.is_dir() {
        return Ok(shards);
    }
    // The hub's converted files are called CONFIG/train/0000.parquet or
    // CONFIG/train-00000-of-00001.parquet.
    let mut found = Shards::default();
    for entry in std::fs::read_dir(root).map_err(Error::io(root))? {
        let entry = entry.map_err(Error::io(root))?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if !entry.path().is_dir() {
            continue;
        }
        let mut below = Shards::find(&entry.path(), EXTENSION, &[""])?;
        if !below.any() {
            continue;
        }
        if found.any() {
            return Err(Error::invalid(
                root.display().to_string(),
                "Parquet files in several folders, perhaps configurations of one data set",
                "the path of one of them",
            ));
        }
        below.0.iter_mut().flatten().for_each(|file| *file = format!("{name}/{file}"));
        found = below;
    }
    Ok(found)
}

/// Tells whether `root` holds training shards.
pub(in crate::data) fn is(root: &Path) -> Result<bool> {
    Ok(shards(root)?.any())
}
