//! Finds the Parquet files of a folder that are shards of a data set.

use std::path::Path;

use crate::data::StatedLayout;
use crate::data::shards::{ShardSearch, Shards, folders};
use crate::error::{Error, Result};

const EXTENSION: &str = ".parquet";

/// Returns the shards of every part.
pub(super) fn shards(root: &Path, stated: &StatedLayout) -> Result<Shards> {
    let search = ShardSearch { root, extensions: &[EXTENSION], stated };
    // A name that is given may be that of something below a configuration's folder.
    if !root.is_dir() || !of_configuration(root, stated)? {
        return search.find(&["", "data"]);
    }
    // The hub's converted files are called CONFIG/train/0000.parquet or
    // CONFIG/train-00000-of-00001.parquet.
    let mut found = Shards::default();
    for name in folders(root)? {
        if !has_shards(&root.join(&name))? {
            continue;
        }
        if found.any() {
            return Err(Error::invalid(
                root.display().to_string(),
                "Parquet files in several folders, perhaps configurations of one data set",
                "the path of one of them",
            ));
        }
        let mut below = ShardSearch { root: &root.join(&name), ..search }.find(&[""])?;
        below.parts.iter_mut().flatten().for_each(|file| *file = format!("{name}/{file}"));
        found = below;
    }
    Ok(found)
}

/// Tells whether Parquet files lie only in folders that no part is called by.
fn of_configuration(root: &Path, stated: &StatedLayout) -> Result<bool> {
    let here = ["", "data"].iter().any(|folder| has_files(&root.join(folder)));
    let parts = folders(root)?.into_iter().any(|folder| {
        stated.part_names().of_name(&folder).is_some() && has_files(&root.join(folder))
    });
    Ok(!here && !parts)
}

/// Tells whether a folder has Parquet files, or folders that have.
fn has_shards(folder: &Path) -> Result<bool> {
    let below = folders(folder)?;
    Ok(has_files(folder) || below.iter().any(|name| has_files(&folder.join(name))))
}

fn has_files(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|e| e.file_name().to_string_lossy().ends_with(EXTENSION))
}

/// Tells whether `root` holds training shards, or files that may be and of which `load` says what is
/// wrong with them.
pub(in crate::data) fn is(root: &Path, stated: &StatedLayout) -> bool {
    shards(root, stated).map_or(true, |shards| shards.any())
}
