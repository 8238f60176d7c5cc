//! Writes a data set in memory as files in a common format.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use rayon::prelude::*;

use super::{png, shards};
use crate::artefact::atomic;
use crate::data::{DataSet, Part, PartName, groups};
use crate::error::{Error, Result};

/// A format in which sets can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `PART/CLASS/NUMBER.png`.
    ImageFolder,
    /// CIFAR's binary files: 32 x 32, at most ten classes, no validation part.
    CifarBinary,
    /// `PART-NNNNNN.tar` of PNG images and classes, with `classes.txt`.
    Webdataset,
    /// PNG images with a `metadata.csv` of class, split and attribute, and the names in text files.
    Metadata,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::ImageFolder => "imagefolder",
            Target::CifarBinary => "cifar",
            Target::Webdataset => "webdataset",
            Target::Metadata => "metadata",
        })
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "imagefolder" => Ok(Target::ImageFolder),
            "cifar" => Ok(Target::CifarBinary),
            "webdataset" => Ok(Target::Webdataset),
            "metadata" => Ok(Target::Metadata),
            _ => {
                let expected = "imagefolder, cifar, webdataset or metadata";
                Err(Error::invalid("format to write", s, expected))
            }
        }
    }
}

/// Number of training batches of CIFAR-10.
const BATCHES: usize = 5;

/// Side of CIFAR's images, and its number of classes.
const CIFAR: (usize, usize) = (32, 10);

/// Writes `set` into the new folder `out`: the whole folder or none of it.
///
/// Reading it back gives the same images and labels in the same order, except that a folder tree is
/// read class by class and orders classes by their names; ids, and with them the fingerprint,
/// follow from the format. An error says that something is at `out`, that the format cannot hold
/// the set, or that class names cannot be folder names.
pub fn make(set: &DataSet, target: Target, out: &Path) -> Result<()> {
    match target {
        Target::ImageFolder | Target::Metadata => check_folders(set)?,
        Target::CifarBinary => check_cifar(set)?,
        Target::Webdataset => {}
    }
    atomic::write_folder(out, |folder| match target {
        Target::ImageFolder => {
            parts(set).try_for_each(|(name, part)| image_folder(set, name, part, folder).map(drop))
        }
        Target::Metadata => metadata(set, folder),
        Target::CifarBinary => cifar(set, folder),
        Target::Webdataset => shards::all(set, folder),
    })
}

fn parts(set: &DataSet) -> impl Iterator<Item = (PartName, &Part)> {
    let names = [PartName::Train, PartName::Val, PartName::Test];
    names.into_iter().filter_map(|name| Some((name, set.part(name)?)))
}

fn refused(set: &DataSet, found: String, expected: &str) -> Error {
    Error::invalid(format!("data set {}", set.name), found, expected)
}

fn check_folders(set: &DataSet) -> Result<()> {
    let plain = |name: &String| {
        !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
    };
    if let Some(name) = set.classes.iter().find(|name| !plain(name)) {
        return Err(refused(set, format!("a class {name:?}"), "names that can be folders"));
    }
    let mut names = set.classes.clone();
    names.sort_unstable();
    names.dedup();
    match names.len() == set.classes.len() {
        true => Ok(()),
        false => Err(refused(set, "a class name twice".to_owned(), "a folder for every class")),
    }
}

fn check_cifar(set: &DataSet) -> Result<()> {
    let (side, classes) = CIFAR;
    if (set.height, set.width) != (side, side) || set.classes.len() != classes {
        let found = format!("{} classes of {}x{} images", set.classes.len(), set.width, set.height);
        return Err(refused(set, found, "ten classes of 32x32 images, as CIFAR-10 has them"));
    }
    if set.train.len() < BATCHES {
        let found = format!("{} training images", set.train.len());
        return Err(refused(set, found, "at least five, one a batch"));
    }
    match set
        .classes
        .iter()
        .find(|name| name.is_empty() || name.contains('\n') || name.trim() != *name)
    {
        Some(name) => Err(refused(set, format!("a class {name:?}"), "names of one line")),
        None => Ok(()),
    }
}

/// Writes images and their list, in which the attribute's column has its name.
fn metadata(set: &DataSet, folder: &Path) -> Result<()> {
    let path = folder.join(groups::FILE);
    let wrong = |e: csv::Error| Error::Internal(format!("{}: {e}", path.display()));
    let mut table = csv::Writer::from_writer(Vec::new());
    let attribute = set.attributes.as_ref().map(|a| a.name.as_str());
    table
        .write_record(["img_filename", "y", "split"].into_iter().chain(attribute))
        .map_err(wrong)?;
    for (split, (name, part)) in parts(set).enumerate() {
        let split = if name == PartName::Test { 2 } else { split };
        for (i, file) in image_folder(set, name, part, folder)?.into_iter().enumerate() {
            let attribute = part.attributes.get(i).map(u32::to_string);
            let cells = [file, part.labels[i].to_string(), split.to_string()];
            table.write_record(cells.into_iter().chain(attribute)).map_err(wrong)?;
        }
    }
    let bytes = table.into_inner().map_err(|e| Error::Internal(e.to_string()))?;
    fs::write(&path, bytes).map_err(Error::io(&path))?;
    let names = folder.join("classes.txt");
    fs::write(&names, set.classes.join("\n") + "\n").map_err(Error::io(&names))?;
    if let Some(attributes) = &set.attributes {
        let names = folder.join(format!("{}.txt", attributes.name));
        fs::write(&names, attributes.values.join("\n") + "\n").map_err(Error::io(&names))?;
    }
    Ok(())
}

/// Writes the images of a part and returns their paths below the folder.
fn image_folder(set: &DataSet, name: PartName, part: &Part, folder: &Path) -> Result<Vec<String>> {
    for class in &set.classes {
        let path = folder.join(name.name()).join(class);
        fs::create_dir_all(&path).map_err(Error::io(path))?;
    }
    // Numbers count inside a class, and sort as they count.
    let mut next = vec![0usize; set.classes.len()];
    let numbers: Vec<usize> = part
        .labels
        .iter()
        .map(|&l| {
            next[l as usize] += 1;
            next[l as usize] - 1
        })
        .collect();
    let digits = next.iter().max().map_or(1, |n| n.to_string().len()).max(5);
    let file = |i: usize| {
        let class = &set.classes[part.labels[i] as usize];
        format!("{}/{class}/{:0digits$}.png", name.name(), numbers[i])
    };
    let files: Vec<String> = (0..part.len()).map(file).collect();
    files.par_iter().enumerate().try_for_each(|(i, file)| {
        let path = folder.join(file);
        let bytes = png(part.image(i), (set.height, set.width))?;
        fs::write(&path, bytes).map_err(Error::io(&path))
    })?;
    Ok(files)
}

fn cifar(set: &DataSet, folder: &Path) -> Result<()> {
    let write = |name: &str, part: &Part, range: std::ops::Range<usize>| {
        let mut out = Vec::with_capacity(range.len() * (1 + 3 * CIFAR.0 * CIFAR.0));
        for i in range {
            out.push(part.labels[i] as u8);
            for channel in 0..3 {
                out.extend(part.image(i).iter().skip(channel).step_by(3));
            }
        }
        let path = folder.join(name);
        fs::write(&path, out).map_err(Error::io(&path))
    };
    let n = set.train.len();
    for batch in 0..BATCHES {
        let range = batch * n / BATCHES..(batch + 1) * n / BATCHES;
        write(&format!("data_batch_{}.bin", batch + 1), &set.train, range)?;
    }
    if let Some(test) = set.test.as_ref().or(set.val.as_ref()) {
        write("test_batch.bin", test, 0..test.len())?;
    }
    let path = folder.join("batches.meta.txt");
    fs::write(&path, set.classes.join("\n") + "\n").map_err(Error::io(&path))
}
