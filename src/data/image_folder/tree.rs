//! Lists a tree of class folders in the order of torchvision's `ImageFolder`, and says what is wrong with it.
//!
//! Class folders are ordered by name, the folders below one by their paths as strings (so `a-b`
//! comes before `a/b`, and links are followed), and the files of a folder by name. Names compare by
//! code point.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::data::PartName;
use crate::data::listed::Listing;
use crate::data::part_names::{PartNames, Told, VOCABULARY_ALONE};
use crate::data::shards::folders as folders_of;
use crate::data::wording::{contents_of, count, left_out, some};
use crate::error::{Error, Result};

/// torchvision's `IMG_EXTENSIONS`, which are the last characters of the lower-case file name.
pub(in crate::data) const EXTENSIONS: [&str; 9] =
    [".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"];

/// What is expected in place of Arrow files.
const AS_PARQUET: &str = "Parquet, not the Arrow files of `save_to_disk`: load them with `datasets` \
                          and call `to_parquet`";

/// A tree that is laid out as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Class names, sorted.
    pub classes: Vec<String>,
    /// The images of `train`.
    pub train: Listing,
    /// The images of `val`, where there is one.
    pub val: Option<Listing>,
    /// The images of `test`, where there is one.
    pub test: Option<Listing>,
    /// Number of files with other extensions, which are no samples.
    pub ignored: usize,
    /// Folders that were left out.
    pub notes: Vec<String>,
}

/// Lists the folders of the parts under `root`, which the vocabulary names.
/// # Errors
/// There is no training folder, images lie outside class folders, there are fewer than two classes,
/// a class has no images, the classes of another part are not those of training, two folders are
/// called after one part, a name is not UTF-8, or a link leads nowhere or back to a folder above it.
pub fn list(root: &Path) -> Result<Tree> {
    list_named(root, &VOCABULARY_ALONE)
}

/// Lists the folders of the parts as `names` has them.
pub(in crate::data) fn list_named(root: &Path, names: &PartNames) -> Result<Tree> {
    // What the other folders are called does not matter, whatever bytes that may be.
    let folders = folders_of(root)?;
    names.check_used(&root.display().to_string(), &folders)?;
    let [train, val, test] = part_folders(root, &folders, names)?;
    let Some(train) = train else { return Err(no_train_folder(root, names)?) };
    let classes = class_folders(root, &train)?;
    if classes.len() < 2 {
        return Err(Error::invalid(
            root.join(&train).display().to_string(),
            format!("one class folder, {}", classes[0]),
            "at least two class folders",
        ));
    }
    let mut ignored = 0;
    let mut part = |name: &str| -> Result<Listing> {
        if name != train {
            same_classes(root, name, &classes, &class_folders(root, name)?)?;
        }
        let (listing, other) = list_part(root, name, &classes)?;
        ignored += other;
        Ok(listing)
    };
    let trained = part(&train)?;
    let held = |name: Option<String>, part: &mut dyn FnMut(&str) -> Result<Listing>| {
        name.map(|name| part(&name)).transpose()
    };
    let (val, test) = (held(val, &mut part)?, held(test, &mut part)?);
    let notes = other_folders(root, &folders, names, &classes)?;
    Ok(Tree { classes, train: trained, val, test, ignored, notes })
}

/// Returns the folder of each part.
fn part_folders(root: &Path, folders: &[String], names: &PartNames) -> Result<[Option<String>; 3]> {
    let mut found = [None, None, None];
    for folder in folders {
        let Some(part) = names.of_name(folder) else { continue };
        if let Some(other) = found[part as usize].replace(folder.clone()) {
            let text =
                format!("folders {other} and {folder}, which are both called {}", part.name());
            let expected = "one folder a part; `parts` says which";
            return Err(Error::invalid(root.display().to_string(), text, expected));
        }
    }
    Ok(found)
}

/// Tells whether `root` has a training folder with folders in it.
pub(in crate::data) fn is_tree(root: &Path, names: &PartNames) -> bool {
    let Ok(entries) = fs::read_dir(root) else { return false };
    let has_folders = |path: PathBuf| {
        fs::read_dir(path).is_ok_and(|found| found.flatten().any(|e| e.path().is_dir()))
    };
    let is_train = |name: &str| names.of_name(name) == Some(PartName::Train);
    { entries.flatten() }
        .any(|e| e.file_name().to_str().is_some_and(is_train) && has_folders(e.path()))
}

/// Says which folders beside the parts look like parts and were left out.
fn other_folders(
    root: &Path,
    folders: &[String],
    names: &PartNames,
    classes: &[String],
) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for folder in folders.iter().filter(|f| names.of_name(f).is_none() && !f.starts_with('.')) {
        let below = folders_of(&root.join(folder)).unwrap_or_default();
        if folder != "__MACOSX" && below.iter().any(|class| classes.binary_search(class).is_ok()) {
            left.push(folder.clone());
        }
    }
    let mut notes = Vec::new();
    if !left.is_empty() {
        notes.push(left_out(root, &left));
    }
    if folders.iter().any(|folder| folder == "__MACOSX") {
        let text = "__MACOSX, which the archiver of macOS leaves behind, was left out";
        notes.push(format!("{}: {text}", root.display()));
    }
    Ok(notes)
}

/// Lists one folder of class folders, which must be those of `classes`. Ids start with the
/// folder's own name.
pub(in crate::data) fn list_folder(folder: &Path, classes: &[String]) -> Result<Listing> {
    let bad = || {
        Error::invalid(folder.display().to_string(), "no named folder", "a folder of class folders")
    };
    if !folder.is_dir() {
        return Err(bad());
    }
    let folder = fs::canonicalize(folder).map_err(Error::io(folder))?;
    let (root, name) = folder.parent().zip(folder.file_name()).ok_or_else(bad)?;
    let name = name.to_str().ok_or_else(bad)?;
    same_classes(root, name, classes, &class_folders(root, name)?)?;
    Ok(list_part(root, name, classes)?.0)
}

/// Tells whether torchvision would take a file of this name for an image.
pub(in crate::data) fn is_image_name(name: &str) -> bool {
    let name = name.as_bytes();
    EXTENSIONS.iter().any(|e| {
        name.len() >= e.len() && name[name.len() - e.len()..].eq_ignore_ascii_case(e.as_bytes())
    })
}

/// Names of the entries of a folder, links followed: folders and others, each sorted.
pub(in crate::data) struct Entries {
    pub folders: Vec<String>,
    pub files: Vec<String>,
}

pub(in crate::data) fn entries(folder: &Path) -> Result<Entries> {
    let mut found = Entries { folders: Vec::new(), files: Vec::new() };
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        let kind = entry.file_type().map_err(Error::io(entry.path()))?;
        let is_folder = kind.is_dir()
            || kind.is_symlink() && fs::metadata(entry.path()).is_ok_and(|m| m.is_dir());
        let name = match entry.file_name().into_string() {
            Ok(name) => name,
            // The name of a file that is no sample does not matter.
            Err(name) if !is_folder && !is_image_name(&name.to_string_lossy()) => {
                name.to_string_lossy().into_owned()
            }
            Err(name) => {
                return Err(Error::invalid(
                    format!("a name in {}", folder.display()),
                    format!("{name:?}, which is not UTF-8"),
                    "UTF-8 names, since they become sample ids",
                ));
            }
        };
        if is_folder {
            found.folders.push(name);
        } else if kind.is_file() || kind.is_symlink() || !is_image_name(&name) {
            found.files.push(name);
        } else {
            // Opening a pipe or a device could wait for ever.
            return Err(Error::invalid(
                entry.path().display().to_string(),
                "no regular file",
                "an image file",
            ));
        }
    }
    found.folders.sort_unstable();
    found.files.sort_unstable();
    Ok(found)
}

/// Returns the class folders of a part. If there is none, the error says what is there instead.
pub(in crate::data) fn class_folders(root: &Path, part: &str) -> Result<Vec<String>> {
    let folder = root.join(part);
    let found = entries(&folder)?;
    if !found.folders.is_empty() {
        return Ok(found.folders);
    }
    let images = found.files.iter().filter(|f| is_image_name(f)).count();
    let seen = match images {
        0 => "no class folder".to_owned(),
        n => format!("{} and no class folder (a flat {part} folder)", count(n, "image")),
    };
    Err(Error::invalid(
        folder.display().to_string(),
        seen,
        match found.files.iter().any(|f| f == "metadata.csv") {
            _ if found.files.iter().any(|f| f.ends_with(".arrow")) => AS_PARQUET.to_owned(),
            true => format!("one metadata.csv, beside {part}, whose paths begin with {part}/"),
            false => {
                format!(
                    "one folder a class, {part}/CLASS/*.jpg; sort the images into folders first"
                )
            }
        },
    ))
}

pub(in crate::data) fn same_classes(
    root: &Path,
    part: &str,
    train: &[String],
    other: &[String],
) -> Result<()> {
    let lacking: Vec<&String> = train.iter().filter(|c| other.binary_search(c).is_err()).collect();
    let extra: Vec<&String> = other.iter().filter(|c| train.binary_search(c).is_err()).collect();
    if lacking.is_empty() && extra.is_empty() {
        return Ok(());
    }
    let mut found = vec![count(other.len(), "class folder")];
    if !lacking.is_empty() {
        found.push(format!("without {}", some(&lacking)));
    }
    if !extra.is_empty() {
        found.push(format!("with {}, which train lacks", some(&extra)));
    }
    Err(Error::invalid(
        root.join(part).display().to_string(),
        found.join(", "),
        format!("the {} class folders of train", train.len()),
    ))
}

pub(in crate::data) fn list_part(
    root: &Path,
    part: &str,
    classes: &[String],
) -> Result<(Listing, usize)> {
    let listed: Vec<Result<(Vec<String>, usize)>> =
        classes.par_iter().map(|class| list_class(root, &format!("{part}/{class}"))).collect();
    let mut listing = Listing::default();
    let mut ignored = 0;
    for (label, class) in listed.into_iter().enumerate() {
        let (ids, other) = class?;
        ignored += other;
        listing.labels.extend(std::iter::repeat_n(label as u32, ids.len()));
        listing.ids.extend(ids);
    }
    Ok((listing, ignored))
}

/// Returns the ids of one class folder, and the number of its files that are no samples.
fn list_class(root: &Path, class: &str) -> Result<(Vec<String>, usize)> {
    let folder = root.join(class);
    let start = fs::canonicalize(&folder).map_err(Error::io(&folder))?;
    let mut folders = Vec::new();
    walk(root, class.to_owned(), start, &mut Vec::new(), &mut folders)?;
    folders.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let (mut ids, mut ignored) = (Vec::new(), 0);
    for (path, files) in folders {
        for name in files {
            if is_image_name(&name) { ids.push(format!("{path}/{name}")) } else { ignored += 1 }
        }
    }
    if ids.is_empty() {
        let other = if ignored == 0 {
            String::new()
        } else {
            format!(", {}", count(ignored, "other file"))
        };
        return Err(Error::invalid(
            folder.display().to_string(),
            format!("a class without images{other}"),
            format!("files that end in {}", EXTENSIONS.join(" ")),
        ));
    }
    Ok((ids, ignored))
}

/// Collects (path relative to the root, sorted file names) of a folder and all below it.
/// `above` holds the real paths of the folders on the way down.
fn walk(
    root: &Path,
    path: String,
    real: PathBuf,
    above: &mut Vec<PathBuf>,
    out: &mut Vec<(String, Vec<String>)>,
) -> Result<()> {
    if above.contains(&real) {
        return Err(Error::invalid(
            root.join(&path).display().to_string(),
            format!("a link back to {}, a folder above it", real.display()),
            "a tree of folders",
        ));
    }
    let found = entries(&root.join(&path))?;
    above.push(real);
    for name in found.folders {
        let below = format!("{path}/{name}");
        let real = fs::canonicalize(root.join(&below)).map_err(Error::io(root.join(&below)))?;
        walk(root, below, real, above, out)?;
    }
    above.pop();
    out.push((path, found.files));
    Ok(())
}

/// Explains a root without a training folder: what it looks like, and what to pass instead.
fn no_train_folder(root: &Path, names: &PartNames) -> Result<Error> {
    let found = entries(root)?;
    let images = |files: &[String]| files.iter().filter(|f| is_image_name(f)).count();
    let mut holds_images = Vec::new();
    for name in &found.folders {
        if images(&entries(&root.join(name))?.files) > 0 {
            holds_images.push(name);
        }
    }
    let there = contents_of(root);
    let seen = match (images(&found.files), holds_images.len()) {
        (n @ 1.., 0) => {
            format!("no train folder but {} (is this one class folder?)", count(n, "image"))
        }
        (_, 1..) => {
            format!(
                "no train folder but class folders {} (is this train itself?)",
                some(&holds_images)
            )
        }
        _ if found.folders.is_empty() && found.files.is_empty() => there,
        _ => format!("no train folder but {there}"),
    };
    let known = "train/CLASS/*.jpg with val/CLASS/*.jpg or test/CLASS/*.jpg, or another layout \
                 that docs/formats.md lists";
    Ok(Error::invalid(root.display().to_string(), seen, advice(root, &found, names, known)))
}

/// Returns what helps with what lies in a root that fits no format, else `known`.
fn advice(root: &Path, found: &Entries, names: &PartNames, known: &str) -> String {
    let ends = |ending: &str| found.files.iter().any(|f| f.to_lowercase().ends_with(ending));
    let told = |name: &String| match names.of_file(name) {
        Told::Part(part) => Some(format!("{}={name}", part.name())),
        _ => None,
    };
    let parts: Vec<String> = found.folders.iter().filter_map(told).collect();
    let saved = root.join("state.json").is_file() || root.join("dataset_dict.json").is_file();
    if saved || ends(".arrow") {
        AS_PARQUET.to_owned()
    } else if ends(".zip") || ends(".tar.bz2") || ends(".tar.xz") || ends(".7z") || ends(".rar") {
        format!("{known}; unpack archives first")
    } else if ends(".tfrecord") || found.files.iter().any(|f| f.contains(".tfrecord-")) {
        format!("{known}; TFRecord files are not read")
    } else if ends(".mdb") {
        format!("{known}; LMDB files are not read")
    } else if !parts.is_empty() && !names.is_given() {
        format!("{known}; or `parts` {}, if that is what these folders are", parts.join(","))
    } else {
        known.to_owned()
    }
}
