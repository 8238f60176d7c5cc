//! The outside of a source: names, sizes and times of its files, but no content.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::layout::EXTENSION;
use crate::artefact::atomic::TEMPORARY;
use crate::error::{Error, Result};

/// A cheap look at a source. The signatures of the same files are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Number of files.
    pub files: u64,
    /// Number of bytes of all files.
    pub bytes: u64,
    /// BLAKE3 hash over the relative path, size and time of change (nanoseconds) of each file,
    /// sorted by path, in 32 hexadecimal digits.
    pub digest: String,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files of {} bytes (signature {})", self.files, self.bytes, self.digest)
    }
}

impl Signature {
    /// Looks at the file `source`, or at every file below the folder `source`. Links are followed.
    /// Hidden files, caches and unfinished files are no part of the source.
    pub fn of(source: &Path) -> Result<Signature> {
        let mut found = Vec::new();
        if source.is_dir() {
            walk(source, PathBuf::new(), &mut Vec::new(), &mut found)?;
        } else {
            found.push((PathBuf::new(), entry(source)?));
        }
        found.sort();
        let mut hash = blake3::Hasher::new();
        for (path, entry) in &found {
            let name = path.as_os_str().as_encoded_bytes();
            hash.update(&(name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update(&entry.bytes.to_le_bytes());
            hash.update(&entry.changed.to_le_bytes());
        }
        Ok(Signature {
            files: found.len() as u64,
            bytes: found.iter().map(|(_, e)| e.bytes).sum(),
            digest: hash.finalize().to_hex()[..32].to_owned(),
        })
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SourceFile {
    bytes: u64,
    /// Nanoseconds since 1970; earlier times count as zero.
    changed: u128,
}

fn entry(path: &Path) -> Result<SourceFile> {
    let about = fs::metadata(path).map_err(Error::io(path))?;
    let changed = about.modified().map_err(Error::io(path))?;
    let changed = changed.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    Ok(SourceFile { bytes: about.len(), changed })
}

/// Collects the files below `root/path`; `above` holds the real folders on the way down.
fn walk(
    root: &Path,
    path: PathBuf,
    above: &mut Vec<PathBuf>,
    found: &mut Vec<(PathBuf, SourceFile)>,
) -> Result<()> {
    let folder = root.join(&path);
    let real = fs::canonicalize(&folder).map_err(Error::io(&folder))?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for child in fs::read_dir(&folder).map_err(Error::io(&folder))? {
        let name = child.map_err(Error::io(&folder))?.file_name();
        let text = name.to_string_lossy();
        let is_cache = Path::new(&name).extension().is_some_and(|e| e == EXTENSION);
        if text.starts_with('.') || text.ends_with(TEMPORARY) || is_cache {
            continue;
        }
        let below = path.join(&name);
        let place = root.join(&below);
        match fs::metadata(&place) {
            Ok(about) if about.is_dir() => walk(root, below, above, found)?,
            Ok(about) if about.is_file() => found.push((below, entry(&place)?)),
            // Pipes and links to nowhere hold no data.
            _ => {}
        }
    }
    above.pop();
    Ok(())
}
