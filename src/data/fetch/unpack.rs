//! Unpacks a gzipped tar of known files into a folder of its own.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;

use super::archive::Archive;
use crate::artefact::{atomic, input};
use crate::data::archive::check_name;
use crate::error::{Error, Result};

/// Most members of an archive: the files, and what else people pack.
const MOST_MEMBERS: usize = 64;

/// Unpacks the archive's files into the new folder `folder`. There are all of them afterwards, or
/// no folder at all.
///
/// Only regular files of the known names are written, each of at most the known size. Anything else
/// in the archive is skipped, as long as it stays small.
pub(super) fn unpack(archive: &Archive, path: &Path, folder: &Path) -> Result<()> {
    let what = path.display().to_string();
    let wrong = |found: String| {
        let expected = format!("{} with {}", archive.folder, archive.files.join(", "));
        Error::invalid(&what, found, expected)
    };
    let file = input::open(path)?;
    let most = (archive.files.len() as u64 + 1) * (archive.file_bytes + 4096);
    let unpacked = MultiGzDecoder::new(BufReader::new(file)).take(most);
    atomic::write_folder(folder, |out| {
        let mut tar = tar::Archive::new(unpacked);
        let mut found = Vec::new();
        let damaged = |e: std::io::Error| wrong(format!("a damaged archive ({e})"));
        for (number, entry) in tar.entries().map_err(damaged)?.enumerate() {
            let mut entry = entry.map_err(damaged)?;
            if number >= MOST_MEMBERS {
                return Err(wrong(format!("more than {MOST_MEMBERS} members")));
            }
            check_name(&what, &entry.path_bytes())?;
            let path = entry.path().map_err(damaged)?.into_owned();
            let Some(name) = known(archive, &path) else { continue };
            if !entry.header().entry_type().is_file() {
                return Err(wrong(format!("{name}, which is no regular file")));
            }
            if entry.size() > archive.file_bytes {
                return Err(wrong(format!("{name} of {} bytes", entry.size())));
            }
            if found.contains(&name) {
                return Err(wrong(format!("{name} twice")));
            }
            let target = out.join(name);
            let mut file = File::create_new(&target).map_err(Error::io(&target))?;
            // What cannot be read is damaged; what cannot be written is the system's refusal.
            match input::copy((&mut entry, Path::new("")), (&mut file, &target)) {
                Err(Error::Io { path, source }) if path.as_os_str().is_empty() => {
                    return Err(damaged(source));
                }
                copied => copied.map(drop)?,
            }
            file.sync_all().map_err(Error::io(&target))?;
            found.push(name);
        }
        match archive.files.iter().find(|file| !found.contains(file)) {
            Some(missing) => Err(wrong(format!("no {missing}"))),
            None => Ok(()),
        }
    })
}

/// Returns the known file that a member is, if its path is exactly the folder's and the file's
/// name.
fn known(archive: &Archive, path: &Path) -> Option<&'static str> {
    let names = path.components().filter(|c| *c != Component::CurDir);
    let names: Vec<Component> = names.take(3).collect();
    let [Component::Normal(folder), Component::Normal(file)] = names[..] else { return None };
    let file = archive.files.iter().find(|known| file == **known)?;
    (folder == archive.folder).then_some(file)
}
