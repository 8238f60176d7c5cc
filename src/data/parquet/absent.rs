//! Parquet files in a program that was built without the feature `parquet`. They are recognised,
//! but not read.

mod files;

use std::path::Path;

use super::{DataSet, LoadOptions, Progress};
use crate::error::{Error, Result};
pub(super) use files::is;

/// Refuses, and says what is missing.
pub(super) fn load(
    root: &Path,
    _name: &str,
    options: &LoadOptions,
    _progress: Progress,
) -> Result<DataSet> {
    let shards = files::shards(root, &options.stated)?.parts;
    Err(Error::invalid(
        root.display().to_string(),
        format!("{} Parquet files", shards.iter().map(Vec::len).sum::<usize>()),
        "another format, since this program was built without the feature `parquet`",
    ))
}
