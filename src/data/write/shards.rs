//! Tar shards of samples, deterministic to the byte, without times and owners.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::png;
use crate::artefact::{atomic, input};
use crate::data::archive::{ArchiveFile, EXTENSIONS, check_name};
use crate::data::webdataset::shard::{member_key, open_archive};
use crate::data::{DataSet, Format, Part, PartName, class_names};
use crate::error::{Error, Result};

/// Number of samples in a shard.
const SHARD: usize = 10_000;

/// Number of bytes in a block of an archive.
const BLOCK: u64 = 512;

/// Most bytes of one image file that is packed.
const MOST_IMAGE: u64 = 1 << 29;

/// Writes all parts of `set` into `folder`, with the class names.
pub(super) fn all(set: &DataSet, folder: &Path) -> Result<()> {
    for name in [PartName::Train, PartName::Val, PartName::Test] {
        let Some(part) = set.part(name) else { continue };
        let positions: Vec<usize> = (0..part.len()).collect();
        pack(set, (name, part), &positions, None, folder)?;
    }
    write_names(set, folder)
}

fn write_names(set: &DataSet, folder: &Path) -> Result<()> {
    let path = folder.join(class_names::FILES[0]);
    if let Some(name) = set.classes.iter().find(|n| n.trim().is_empty() || n.contains(['\n', '\r']))
    {
        let found = format!("a class {name:?}");
        return Err(Error::invalid(format!("data set {}", set.name), found, "names of one line"));
    }
    fs::write(&path, set.classes.join("\n") + "\n").map_err(Error::io(&path))
}

/// Writes the training samples `kept` (ascending) of `set` as tar, into the file `out` where its
/// name ends in `.tar`, else shards in the new folder `out`, with the class names.
///
/// The members of kept samples are copied byte for byte out of WebDataset shards, shard by shard.
/// Image files are packed as they are, and images that are no files become PNG. The key of such a
/// sample is its position in the training set. `source` is the path that `set` was read from.
pub fn export(set: &DataSet, source: &Path, kept: &[usize], out: &Path) -> Result<()> {
    let single = out.extension().is_some_and(|e| e.eq_ignore_ascii_case("tar"));
    match (set.format == Format::Webdataset, single) {
        (true, true) => atomic::write_with(out, |file| {
            filter_all(set, source, kept, &mut |_| Ok(None), (Some(file), out))
        }),
        (true, false) => atomic::write_folder(out, |folder| {
            let mut new = |name: &str| create(&folder.join(name)).map(Some);
            filter_all(set, source, kept, &mut new, (None, out))?;
            write_names(set, folder)
        }),
        (false, true) => atomic::write_with(out, |file| {
            append(set, &set.train, kept, files(set, source), (file, out))
        }),
        (false, false) => atomic::write_folder(out, |folder| {
            pack(set, (PartName::Train, &set.train), kept, files(set, source), folder)?;
            write_names(set, folder)
        }),
    }
}

/// Returns the root of the image files, where every image is one.
fn files<'a>(set: &DataSet, source: &'a Path) -> Option<&'a Path> {
    set.format.is_files().then_some(source)
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
    }
    Ok(BufWriter::new(File::create_new(path).map_err(Error::io(path))?))
}

/// Writes samples into shards of `folder`.
fn pack(
    set: &DataSet,
    (name, part): (PartName, &Part),
    positions: &[usize],
    root: Option<&Path>,
    folder: &Path,
) -> Result<()> {
    for (number, positions) in positions.chunks(SHARD).enumerate() {
        let path = folder.join(format!("{}-{number:06}.tar", name.name()));
        let mut file = create(&path)?;
        append(set, part, positions, root, (&mut file, &path))?;
        file.flush().map_err(Error::io(&path))?;
    }
    Ok(())
}

/// Appends samples, then the end of the archive.
fn append(
    set: &DataSet,
    part: &Part,
    positions: &[usize],
    root: Option<&Path>,
    (out, target): (&mut impl Write, &Path),
) -> Result<()> {
    let mut archive = tar::Builder::new(out);
    let mut member = |name: String, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, &name, content).map_err(Error::io(target))
    };
    let mut bytes = Vec::new();
    for &i in positions {
        let extension = match root {
            Some(root) => {
                let path = root.join(&part.ids[i]);
                bytes.clear();
                let file = input::open(&path)?;
                file.take(MOST_IMAGE).read_to_end(&mut bytes).map_err(Error::io(&path))?;
                if bytes.starts_with(&[0xff, 0xd8]) { "jpg" } else { "png" }
            }
            None => {
                bytes = png(part.image(i), (set.height, set.width))?;
                "png"
            }
        };
        member(format!("{i:08}.{extension}"), &bytes)?;
        member(format!("{i:08}.cls"), part.labels[i].to_string().as_bytes())?;
    }
    archive.finish().map_err(Error::io(target))
}

/// Copies the members of the kept samples, shard by shard, into `single` or else into what `create`
/// makes for the shard of that name. A shard that keeps nothing is not made.
fn filter_all(
    set: &DataSet,
    source: &Path,
    kept: &[usize],
    create: &mut dyn FnMut(&str) -> Result<Option<BufWriter<File>>>,
    (mut single, target): (Option<&mut BufWriter<File>>, &Path),
) -> Result<()> {
    let mut rest = kept;
    while let Some(&first) = rest.first() {
        // The samples of a shard follow each other.
        let shard = shard_of(&set.train.ids[first]);
        let count = rest.iter().take_while(|&&i| shard_of(&set.train.ids[i]) == shard).count();
        let (of_shard, others) = rest.split_at(count);
        rest = others;
        let key = |&i: &usize| &set.train.ids[i][shard.len() + 1..];
        let keys: HashSet<&str> = of_shard.iter().map(key).collect();
        let path = if source.is_file() { source.to_owned() } else { source.join(shard) };
        match &mut single {
            Some(out) => filter(&path, &keys, (out, target))?,
            None => {
                let name = unpacked_name(shard);
                let mut out = create(&name)?
                    .ok_or_else(|| Error::Internal("no place for a shard".to_owned()))?;
                let place = target.join(name);
                filter(&path, &keys, (&mut out, &place))?;
                end(&mut out, &place)?;
            }
        }
    }
    match single {
        Some(out) => end(out, target),
        None => Ok(()),
    }
}

/// Returns the shard of an id `shard.tar:key`. Keys may hold colons, but no shard's name holds
/// `.tar:`.
fn shard_of(id: &str) -> &str {
    let lower = id.to_ascii_lowercase();
    let end = |ending: &&str| Some(lower.find(&format!("{ending}:"))? + ending.len());
    EXTENSIONS.iter().filter_map(end).min().map_or(id, |end| &id[..end])
}

/// Returns the name of a shard that is written without compression.
fn unpacked_name(shard: &str) -> String {
    let packed = EXTENSIONS[..2].iter().find_map(|ending| shard.strip_suffix(ending));
    packed.map_or_else(|| shard.to_owned(), |stem| format!("{stem}.tar"))
}

/// Writes the two empty blocks that end an archive.
fn end(out: &mut BufWriter<File>, path: &Path) -> Result<()> {
    out.write_all(&[0; 2 * BLOCK as usize]).and_then(|()| out.flush()).map_err(Error::io(path))
}

/// Copies the members of samples in `keys`, with the headers that belong to them.
fn filter(
    path: &Path,
    keys: &HashSet<&str>,
    (out, target): (&mut impl Write, &Path),
) -> Result<()> {
    let shard = ArchiveFile::open(path, None)?;
    let mut ranges = Vec::new();
    let (mut archive, reset) = open_archive(shard.reader()?);
    let mut before = 0;
    for entry in archive.entries_with_seek().map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?;
        reset();
        let end = entry.raw_file_position().saturating_add(entry.size());
        let end = end.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
        let kind = entry.header().entry_type();
        let name = entry.path_bytes();
        check_name(&path.display().to_string(), &name)?;
        let name = std::str::from_utf8(&name).ok().and_then(member_key);
        if (kind.is_file() || kind.is_contiguous()) && name.is_some_and(|key| keys.contains(key)) {
            ranges.push(before..end);
        }
        before = end;
    }
    drop(archive);
    let mut file = shard.reader()?;
    for range in ranges {
        file.seek(SeekFrom::Start(range.start)).map_err(Error::io(path))?;
        let wanted = range.end - range.start;
        let copied = input::copy((&mut (&mut file).take(wanted), path), (&mut *out, target))?;
        if copied != wanted {
            let found = format!("{copied} of {wanted} bytes of a member");
            return Err(Error::invalid(path.display().to_string(), found, "a whole archive"));
        }
    }
    Ok(())
}
