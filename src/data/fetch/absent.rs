//! Downloads in a program that was built without the feature `fetch`, where they are refused.

use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::patience::Patience;
use crate::error::{Error, Result};

/// Refuses, and says what is missing.
pub(super) fn download(
    archive: &Archive,
    url: &str,
    to: &Path,
    _patience: Patience,
    _progress: &dyn Fn(u64, u64),
) -> Result<(PathBuf, u64)> {
    Err(Error::invalid(
        format!("download of {url}"),
        "a program that was built without the feature `fetch`",
        format!(
            "one with it, or the files of {} in {}",
            archive.name,
            to.join(archive.folder).display()
        ),
    ))
}
