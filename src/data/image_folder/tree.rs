//! Lists a tree of class folders in the order of torchvision's `ImageFolder`, and says what is wrong with it.
//!
//! Class folders are ordered by name, the folders below one by their paths as strings (so `a-b`
//! comes before `a/b`, and links are followed), and the files of a folder by name. Names compare by
//! code point.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::data::listed::Listing;
use crate::error::{Error, Result};

/// torchvision's `IMG_EXTENSIONS`, which are the last characters of the lower-case file name.
pub(in crate::data) const EXTENSIONS: [&str; 9] =
    [".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"];

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
}

/// Lists `root/train` and, where present, `root/val` and `root/test`.
///
/// # Errors
/// There is no `train` folder, images lie outside class folders, there are fewer than two classes,
/// a class has no images, the classes of `val` or `test` are not those of `train`, a name is not
/// UTF-8, or a link leads nowhere or back to a folder above it.
pub fn list(root: &Path) -> Result<Tree> {
    if !root.join("train").is_dir() {
        return Err(no_train_folder(root)?);
    }
    let classes = class_folders(root, "train")?;
    if classes.len() < 2 {
        return Err(Error::invalid(
            root.join("train").display().to_string(),
            format!("one class folder, {}", classes[0]),
            "at least two class folders",
        ));
    }
    let mut ignored = 0;
    let mut part = |name: &str| -> Result<Option<Listing>> {
        if !root.join(name).is_dir() {
            return Ok(None);
        }
        if name != "train" {
            same_classes(root, name, &classes, &class_folders(root, name)?)?;
        }
        let (listing, other) = list_part(root, name, &classes)?;
        ignored += other;
        Ok(Some(listing))
    };
    let train = part("train")?.unwrap_or_default();
    let (val, test) = (part("val")?, part("test")?);
    Ok(Tree { classes, train, val, test, ignored })
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

/// Counts things in words: `1 image`, `2 images`.
pub(in crate::data) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
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
        format!("one folder a class, {part}/CLASS/*.jpg; sort the images into folders first"),
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

/// Lists the first few names.
pub(in crate::data) fn some<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<&str> = names.iter().take(3).map(AsRef::as_ref).collect();
    match names.len() {
        0..=3 => first.join(", "),
        n => format!("{} and {} more", first.join(", "), n - 3),
    }
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

/// Explains a root without `train`: what it looks like, and what to pass instead.
fn no_train_folder(root: &Path) -> Result<Error> {
    let found = entries(root)?;
    let images = |files: &[String]| files.iter().filter(|f| is_image_name(f)).count();
    let mut holds_images = Vec::new();
    for name in &found.folders {
        if images(&entries(&root.join(name))?.files) > 0 {
            holds_images.push(name);
        }
    }
    let all: Vec<&String> = found.folders.iter().chain(&found.files).collect();
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
        _ if all.is_empty() => "an empty folder".to_owned(),
        _ => format!("no train folder but {}", some(&all)),
    };
    Ok(Error::invalid(
        root.display().to_string(),
        seen,
        "train/CLASS/*.jpg with val/CLASS/*.jpg or test/CLASS/*.jpg, or data_batch_*.bin of CIFAR-10, \
         or train.bin of CIFAR-100",
    ))
}
