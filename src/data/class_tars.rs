//! ImageNet whose classes are still archives: `train/n01440764.tar` and so on, as the archive of all
//! training images unpacks.
//!
//! Classes and order are those of the folders that the archives would unpack to. Validation images are
//! read as in the other layouts of ImageNet.

use std::path::Path;

use rayon::prelude::*;

use super::archive::{ArchiveFile, MemberImages, check_name};
use super::image_folder::tree::is_image_name;
use super::images::{Counter, Decoder, Files};
use super::webdataset::shard::{BLOCK, odd_end, open_archive};
use super::wording::count;
use super::wordnet::{ARCHIVE as EXTENSION, class_archives, is_wnid};
use super::{Contents, DataSet, DecodeLimits, Format, LoadOptions, Part, Progress, imagenet};
use crate::error::{Error, Result};

/// Places below a root where the archives may lie.
const FOLDERS: [&str; 3] = ["train", "ILSVRC/Data/CLS-LOC/train", ""];

/// Returns the folder of the archives, if there are any and no class has been unpacked beside them.
fn folder(root: &Path) -> Option<&'static str> {
    let unpacked = |folder: &str| {
        let entries = std::fs::read_dir(root.join(folder));
        let is_class = |name: &str, path: &Path| is_wnid(name) && path.is_dir();
        entries.is_ok_and(|entries| {
            { entries.flatten() }.any(|e| is_class(&e.file_name().to_string_lossy(), &e.path()))
        })
    };
    FOLDERS.into_iter().find(|f| !class_archives(root, f).is_empty() && !unpacked(f))
}

/// Tells whether `root` holds archives of classes.
pub(super) fn is(root: &Path) -> bool {
    folder(root).is_some()
}

/// Indexes the archives and decodes their images.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let folder = folder(root).ok_or_else(|| {
        let expected = "train/WNID.tar, one archive a class";
        Error::invalid(root.display().to_string(), "no archives of classes", expected)
    })?;
    let wnids = class_archives(root, folder);
    let (images, labels, ids, mut notes) = index(root, folder, &wnids, options.limits)?;
    let base = folder.strip_suffix("train").unwrap_or("");
    let held_out = imagenet::validation(root, base, &wnids, &mut notes)?;
    let total = labels.len() + held_out.as_ref().map_or(0, |l| l.ids.len());
    let decoder = Decoder::new(&images, options, Counter::new(total, progress))?;
    let pixels = decoder.all(&images, labels.len())?;
    let test = held_out.map(|listing| {
        let store = Files { root, ids: &listing.ids };
        let images = decoder.all(&store, listing.ids.len())?;
        Ok::<Part, Error>(Part {
            images,
            labels: listing.labels,
            ids: listing.ids,
            attributes: Vec::new(),
        })
    });
    let contents = Contents {
        classes: imagenet::names(root, &wnids)?,
        size: decoder.size(),
        train: Part { images: pixels, labels, ids, attributes: Vec::new() },
        val: None,
        test: test.transpose()?,
        attributes: None,
    };
    let mut set = DataSet::of(name, Format::ImagenetTars, contents)?;
    set.notes = notes;
    Ok(set)
}

/// What the archives of all classes hold: images, labels, ids, notes.
type Indexed = (MemberImages, Vec<u32>, Vec<String>, Vec<String>);

fn index(root: &Path, folder: &str, wnids: &[String], limits: DecodeLimits) -> Result<Indexed> {
    let id = |wnid: &String| match folder {
        "" => format!("{wnid}{EXTENSION}"),
        folder => format!("{folder}/{wnid}{EXTENSION}"),
    };
    let each = wnids.par_iter().map(|wnid| members(&root.join(id(wnid)), limits));
    let each: Vec<Result<ClassArchive>> = each.collect();
    let mut images = MemberImages::default();
    let (mut labels, mut ids, mut ignored, mut notes) = (Vec::new(), Vec::new(), 0, Vec::new());
    for (label, (wnid, class)) in wnids.iter().zip(each).enumerate() {
        let class = class?;
        ignored += class.ignored;
        notes.extend(class.odd.map(|text| format!("{}: {text}", id(wnid))));
        for (name, start, length) in class.members {
            ids.push(format!("{}:{name}", id(wnid)));
            labels.push(label as u32);
            images.places.push((label as u32, start, length));
            images.names.push(name);
        }
        images.archives.push(class.archive);
    }
    let text = "that are no images were left out";
    if ignored > 0 {
        notes.push(format!("{}: {} {text}", root.display(), count(ignored, "member")));
    }
    Ok((images, labels, ids, notes))
}

struct ClassArchive {
    archive: ArchiveFile,
    /// Name, first byte and length of each image, by name.
    members: Vec<(String, u64, u64)>,
    ignored: usize,
    /// What is odd about the archive's end.
    odd: Option<String>,
}

fn members(path: &Path, limits: DecodeLimits) -> Result<ClassArchive> {
    let what = path.display().to_string();
    let archive = ArchiveFile::open(path, None)?;
    let damaged = |e: std::io::Error| {
        Error::invalid(&what, format!("a damaged archive ({e})"), "a tar file, not compressed")
    };
    let (mut tar, reset) = open_archive(archive.reader()?);
    let (mut members, mut ignored, mut last) = (Vec::new(), 0, 0);
    for entry in tar.entries_with_seek().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        reset();
        let (start, size) = (entry.raw_file_position(), entry.size());
        last = start.saturating_add(size).checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
        check_name(&what, &entry.path_bytes())?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap_or_default();
        if !is_image_name(&name) {
            ignored += 1;
            continue;
        }
        let inside = start.checked_add(size).is_some_and(|end| end <= archive.length());
        if !inside || size > limits.file_bytes {
            let expected =
                format!("a whole archive, and images of at most {} bytes", limits.file_bytes);
            return Err(Error::invalid(&what, format!("{name} of {size} bytes"), expected));
        }
        members.push((name, start, size));
    }
    drop(tar);
    members.sort_unstable();
    if members.is_empty() {
        let found = format!("a class without images, {}", count(ignored, "other member"));
        return Err(Error::invalid(
            what,
            found,
            "an archive of images, such as n01440764_10026.JPEG",
        ));
    }
    let odd = odd_end(&mut archive.reader()?, last, archive.length()).map_err(damaged)?;
    Ok(ClassArchive { archive, members, ignored, odd })
}
