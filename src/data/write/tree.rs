//! The kept images of a set of files as a tree of its own, of links or of copies.
//!
//! The tree is complete, because everything below the root that is no training image (validation
//! and test images, lists, names) comes along, so that the result is a data set in the same format.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::artefact::{atomic, input};
use crate::data::{DataSet, Format, groups};
use crate::error::{Error, Result};

/// How a file gets into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOrCopy {
    /// A symbolic link to the original, by its full path.
    Link,
    /// A copy of its content.
    Copy,
}

impl FromStr for LinkOrCopy {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "links" => Ok(LinkOrCopy::Link),
            "copy" => Ok(LinkOrCopy::Copy),
            _ => Err(Error::invalid("placement", s, "links or copy")),
        }
    }
}

/// Makes the new folder `out` with the training images `kept` (ascending) of `set` and all that is no
/// training image; `root` is the folder that `set` was read from.
///
/// A class that keeps nothing keeps its empty folder, so that indices stay. # Errors The set's
/// images are no files, something is at `out`, or `out` is inside `root`.
pub fn export(
    set: &DataSet,
    root: &Path,
    kept: &[usize],
    placement: LinkOrCopy,
    out: &Path,
) -> Result<()> {
    if !set.format.is_files() {
        return Err(Error::invalid(
            format!("data set {} of format {}", set.name, set.format),
            "images that are no files of their own",
            "`as` tar, index, mask, csv or list",
        ));
    }
    let root = fs::canonicalize(root).map_err(Error::io(root))?;
    let parent = match out.parent() {
        Some(p) if p != Path::new("") => p,
        _ => Path::new("."),
    };
    if fs::canonicalize(parent).map_err(Error::io(parent))?.starts_with(&root) {
        return Err(Error::invalid(
            format!("output folder {}", out.display()),
            "a place inside the data set",
            "a place outside, since everything inside comes along",
        ));
    }
    atomic::write_folder(out, |folder| {
        let tree = TreeWriter { root: &root, out: folder, placement };
        match set.format {
            Format::Metadata => tree.listed(set, kept),
            _ => tree.of_classes(set, kept),
        }
    })
}

struct TreeWriter<'a> {
    root: &'a Path,
    out: &'a Path,
    placement: LinkOrCopy,
}

impl TreeWriter<'_> {
    /// Places the class folders of the training part, and everything beside the folder that holds
    /// them.
    fn of_classes(&self, set: &DataSet, kept: &[usize]) -> Result<()> {
        let mut folders: Vec<&Path> = Vec::new();
        for id in &set.train.ids {
            if let Some(folder) = class_folder(set.format, id)
                && folders.last() != Some(&folder)
            {
                folders.push(folder);
            }
        }
        for folder in &folders {
            self.make(folder)?;
        }
        for &i in kept {
            self.place(&set.train.ids[i])?;
        }
        let train = folders.first().and_then(|f| f.parent()).unwrap_or(Path::new("train"));
        // From the root down to the training folder, every entry is placed that does not lead
        // there.
        let mut above = PathBuf::new();
        for step in train.components() {
            for entry in fs::read_dir(self.root.join(&above)).map_err(Error::io(self.root))? {
                let name = entry.map_err(Error::io(self.root))?.file_name();
                let hidden = name.to_string_lossy().starts_with('.');
                if step != Component::Normal(&name) && !hidden {
                    self.whole(&above.join(name), &mut Vec::new())?;
                }
            }
            above.push(step);
        }
        Ok(())
    }

    /// Places the images that the list keeps, and the list without the others.
    fn listed(&self, set: &DataSet, kept: &[usize]) -> Result<()> {
        let held_out = [&set.val, &set.test].into_iter().flatten().flat_map(|p| &p.ids);
        let ids: Vec<&String> = kept.iter().map(|&i| &set.train.ids[i]).chain(held_out).collect();
        for id in &ids {
            self.place(id)?;
        }
        let path = self.root.join(groups::FILE);
        let text = input::read(&path, input::MOST_DOCUMENT)?;
        let kept = ids.into_iter().map(String::as_str).collect();
        let text = groups::without(&text, &kept, &path.display().to_string())?;
        let path = self.out.join(groups::FILE);
        fs::write(&path, text).map_err(Error::io(&path))?;
        // The names of classes and of the attribute's values are needed too.
        let values = set.attributes.as_ref().map(|a| format!("{}.txt", a.name));
        for name in std::iter::once("classes.txt".to_owned()).chain(values) {
            if self.root.join(&name).is_file() && !self.out.join(&name).exists() {
                self.place(&name)?;
            }
        }
        Ok(())
    }

    fn make(&self, folder: &Path) -> Result<()> {
        let path = self.out.join(folder);
        fs::create_dir_all(&path).map_err(Error::io(path))
    }

    /// Puts one file in its place.
    fn place(&self, id: &str) -> Result<()> {
        let (from, to) = (self.root.join(id), self.out.join(id));
        if let Some(folder) = Path::new(id).parent() {
            self.make(folder)?;
        }
        match self.placement {
            LinkOrCopy::Copy => copy(&from, &to),
            LinkOrCopy::Link => link(&from, &to),
        }
    }

    /// Puts a file or a whole folder in its place; `above` holds the real folders on the way down.
    fn whole(&self, name: &Path, above: &mut Vec<PathBuf>) -> Result<()> {
        let (from, to) = (self.root.join(name), self.out.join(name));
        let Ok(about) = fs::metadata(&from) else { return Ok(()) };
        if self.placement == LinkOrCopy::Link {
            return link(&from, &to);
        }
        if about.is_file() {
            return copy(&from, &to);
        }
        let real = fs::canonicalize(&from).map_err(Error::io(&from))?;
        if !about.is_dir() || above.contains(&real) {
            return Ok(());
        }
        self.make(name)?;
        above.push(real);
        for entry in fs::read_dir(&from).map_err(Error::io(&from))? {
            let below = name.join(entry.map_err(Error::io(&from))?.file_name());
            self.whole(&below, above)?;
        }
        above.pop();
        Ok(())
    }
}

/// Returns `…/train/CLASS` of `…/train/CLASS/…`. An image folder's training part may be called
/// otherwise.
fn class_folder(format: Format, id: &str) -> Option<&Path> {
    let train = match format {
        Format::ImageFolder => id.find('/')? + 1,
        _ => id.find("train/")? + "train/".len(),
    };
    let class = id[train..].find('/')?;
    Some(Path::new(&id[..train + class]))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut file = input::open(from)?;
    let about = file.metadata().map_err(Error::io(from))?;
    let mut out = File::create_new(to).map_err(Error::io(to))?;
    input::copy((&mut file, from), (&mut out, to))?;
    out.set_permissions(about.permissions()).map_err(Error::io(to))
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> Result<()> {
    std::os::unix::fs::symlink(from, to).map_err(Error::io(to))
}

#[cfg(not(unix))]
fn link(_: &Path, to: &Path) -> Result<()> {
    let expected = "a system that has them; or `as` copy";
    Err(Error::invalid(to.display().to_string(), "no symbolic links on this system", expected))
}
