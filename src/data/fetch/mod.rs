//! Downloads public data sets from their authors' servers, checks and unpacks them.
//!
//! Nothing is unpacked before its checksum is right. A download that stopped goes on where it was,
//! and the folder appears at once with all its files.

mod archive;
#[cfg(feature = "fetch")]
mod download;
#[cfg(not(feature = "fetch"))]
#[path = "absent.rs"]
mod download;
mod patience;
mod unpack;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
pub use archive::{ARCHIVES, Archive};
pub use patience::Patience;

/// The result of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The data set's folder.
    pub folder: PathBuf,
    /// Whether the folder was there before.
    pub was_there: bool,
    /// Number of bytes that came over the network.
    pub downloaded: u64,
}

/// Fetches `archive` from `url` (`None` means its authors' server) into a folder of its own below
/// `to`, which is made if need be. `progress` gets the bytes done and the bytes in all.
///
/// # Errors
/// There is no connection, a server stops again and again (what came is kept, and the next call
/// goes on from there), the bytes are not those of the checksum, or the archive has other files
/// than are known.
pub fn fetch(
    archive: &Archive,
    url: Option<&str>,
    to: &Path,
    patience: Patience,
    progress: &dyn Fn(u64, u64),
) -> Result<Fetched> {
    let folder = to.join(archive.folder);
    if archive.is_whole(&folder) {
        return Ok(Fetched { folder, was_there: true, downloaded: 0 });
    }
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let missing: Vec<&str> =
            archive.files.iter().copied().filter(|f| !folder.join(f).is_file()).collect();
        return Err(Error::invalid(
            folder.display().to_string(),
            format!("a folder without {}", missing.join(", ")),
            "all files, or no such folder; remove it, or choose another place",
        ));
    }
    fs::create_dir_all(to).map_err(Error::io(to))?;
    let url = url.unwrap_or(archive.url);
    let (file, downloaded) = download::download(archive, url, to, patience, progress)?;
    unpack::unpack(archive, &file, &folder)?;
    fs::remove_file(&file).map_err(Error::io(&file))?;
    Ok(Fetched { folder, was_there: false, downloaded })
}
