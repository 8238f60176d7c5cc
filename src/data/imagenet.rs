//! ImageNet (ILSVRC2012) with its validation images in one folder, as they come out of the archive.
//!
//! `train/WNID/*.JPEG` is read as torchvision's `ImageFolder` reads it; a class's index is its place
//! among the sorted WordNet numbers. `val/ILSVRC2012_val_*.JPEG` come in the order of their names, and
//! a file beside them says their classes, in any of these forms:
//!
//! | line | file, for instance |
//! |---|---|
//! | `n01751748` (the images in order) | `imagenet_2012_validation_synset_labels.txt` |
//! | `ILSVRC2012_val_00000001.JPEG 65` (index among sorted WordNet numbers) or `… n01751748` | `val.txt` |
//! | `ILSVRC2012_val_00000001,n01751748 1 2 3 4` below a header | `LOC_val_solution.csv` |
//! | `490` (the images in order), with lines `n01751748 490 …` in `map_clsloc.txt` | `ILSVRC2012_validation_ground_truth.txt` |
//!
//! Kaggle's layout (`ILSVRC/Data/CLS-LOC` below the root) is found too. Images in `test` have no labels
//! and are never used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::image_folder::tree::{class_folders, entries, is_image_name, list_part, same_classes};
use super::images::read_text;
use super::listed::{Listed, Listing};
use super::tiny_imagenet::{shortened, unlabelled};
use super::wordnet::{self, is_wnid};
use super::{DataSet, Format, LoadOptions, Progress};
use crate::error::{Error, Result};

/// The first letters of the names of validation images.
const PREFIX: &str = "ILSVRC2012_val_";

/// Places below the root where the images may lie.
const BASES: [&str; 2] = ["", "ILSVRC/Data/CLS-LOC/"];

/// Places below the root where the small files may lie.
const SIDES: [&str; 5] =
    ["", "val", "devkit/data", "ILSVRC2012_devkit_t12/data", "ILSVRC/Data/CLS-LOC"];

/// Files that may tell the classes of the validation images.
const TRUTHS: [&str; 6] = [
    "imagenet_2012_validation_synset_labels.txt",
    "synset_labels.txt",
    "LOC_val_solution.csv",
    "val.txt",
    "val_labels.txt",
    "ILSVRC2012_validation_ground_truth.txt",
];

/// Files that may tell the WordNet numbers of the devkit's own numbers.
const MAPS: [&str; 2] = ["map_clsloc.txt", "synset_map.txt"];

/// Files that may hold the class names.
const NAMES: [&str; 3] = ["LOC_synset_mapping.txt", "synset_words.txt", "words.txt"];

/// Most bytes of one of these files. The largest known one has 2.7 million.
const MOST_BYTES: u64 = 1 << 26;

/// Returns the base below which `train` and a flat `val` lie.
fn base(root: &Path) -> Option<&'static str> {
    BASES.into_iter().find(|base| {
        let folder = root.join(base);
        folder.join("train").is_dir() && has_flat_images(&folder.join("val"))
    })
}

fn has_flat_images(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|e| e.file_name().to_string_lossy().starts_with(PREFIX))
}

/// Tells whether `root` holds ImageNet with flat validation images.
pub(super) fn is(root: &Path) -> bool {
    base(root).is_some()
}

/// Lists the training and validation images and decodes them.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let base = base(root).ok_or_else(|| {
        Error::invalid(
            root.display().to_string(),
            "no ImageNet with flat validation images",
            format!("train/WNID/*.JPEG and val/{PREFIX}*.JPEG"),
        )
    })?;
    let part = format!("{base}train");
    let wnids = class_folders(root, &part)?;
    let (train, _) = list_part(root, &part, &wnids)?;
    let mut notes = Vec::new();
    notes.extend(wordnet::not_unpacked(root, &part, &wnids));
    let test = validation(root, base, &wnids, &mut notes)?;
    let classes = names(root, &wnids)?;
    let listed = Listed { classes, train, test, notes, ..Listed::default() };
    listed.load(root, name, Format::Imagenet, options, progress)
}

/// Lists the validation images below `base`: in one folder, with a file that says their classes, or
/// sorted into class folders. Images without labels are noted.
pub(super) fn validation(
    root: &Path,
    base: &str,
    wnids: &[String],
    notes: &mut Vec<String>,
) -> Result<Option<Listing>> {
    let folder = root.join(format!("{base}test"));
    if let Some(count) = unlabelled(&folder)? {
        notes.push(format!("{}: {count} images without labels are not used", folder.display()));
    }
    let val = format!("{base}val");
    if !root.join(&val).is_dir() {
        return Ok(None);
    }
    let found = entries(&root.join(&val))?;
    if !has_flat_images(&root.join(&val)) && !found.folders.is_empty() {
        same_classes(root, &val, wnids, &found.folders)?;
        return Ok(Some(list_part(root, &val, wnids)?.0));
    }
    let images: Vec<String> = found.files.into_iter().filter(|f| is_image_name(f)).collect();
    Ok(Some(Listing {
        labels: validation_labels(root, &images, wnids)?,
        ids: images.iter().map(|file| format!("{val}/{file}")).collect(),
        attributes: Vec::new(),
    }))
}

/// Returns the class names, from a file of synsets where there is one.
pub(super) fn names(root: &Path, wnids: &[String]) -> Result<Vec<String>> {
    let sides = SIDES.map(|side| root.join(side));
    wordnet::names(&sides.each_ref().map(PathBuf::as_path), &NAMES, wnids)
}

/// Returns the first of `files` that is in one of the side folders.
fn side_file(root: &Path, files: &[&str]) -> Option<PathBuf> {
    let sides = SIDES.iter().map(|side| root.join(side));
    let paths = sides.flat_map(|side| files.iter().map(move |file| side.join(file)));
    { paths }.find(|path| path.is_file())
}

fn validation_labels(root: &Path, images: &[String], wnids: &[String]) -> Result<Vec<u32>> {
    let Some(path) = side_file(root, &TRUTHS) else {
        return Err(Error::invalid(
            root.display().to_string(),
            format!("{} flat validation images and no file that says their classes", images.len()),
            format!(
                "one of {} beside train and val; or the images sorted into val/WNID folders",
                TRUTHS.join(", ")
            ),
        ));
    };
    let text = read_text(&path, MOST_BYTES)?;
    let what = path.display().to_string();
    let truth = Truth::parse(&text, &what)?;
    let numbers = match (&truth, side_file(root, &MAPS)) {
        (Truth::Numbers(_), Some(map)) => {
            devkit_numbers(&read_text(&map, MOST_BYTES)?, &map.display().to_string())?
        }
        (Truth::Numbers(_), None) => {
            return Err(Error::invalid(
                what,
                "the devkit's own class numbers",
                format!("{} beside it, with lines `n01751748 490 …`", MAPS.join(" or ")),
            ));
        }
        _ => HashMap::new(),
    };
    truth.labels(images, wnids, &numbers, &what)
}

/// The content of a file about the validation images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// WordNet numbers of the images in the order of their names.
    Synsets(Vec<String>),
    /// The devkit's numbers of the images in the order of their names.
    Numbers(Vec<u32>),
    /// Classes by image name without extension: a WordNet number or an index.
    ByName(HashMap<String, String>),
}

impl Truth {
    /// Reads a file in any of the forms above, of which the first line decides which.
    pub fn parse(text: &str, what: &str) -> Result<Truth> {
        let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
        let wrong = |i: usize, line: &str| {
            Error::invalid(
                format!("{what}, line {}", i + 1),
                format!("{:?}", shortened(line)),
                "a WordNet number, the devkit's number, or an image name and its class, as in the \
                 lines before",
            )
        };
        let first = text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or("");
        if is_wnid(first) {
            let each = lines.map(|(i, l)| match l.trim() {
                wnid if is_wnid(wnid) => Ok(wnid.to_owned()),
                other => Err(wrong(i, other)),
            });
            return Ok(Truth::Synsets(each.collect::<Result<_>>()?));
        }
        if first.parse::<u32>().is_ok() {
            let each = lines.map(|(i, l)| l.trim().parse().map_err(|_| wrong(i, l)));
            return Ok(Truth::Numbers(each.collect::<Result<_>>()?));
        }
        let mut by_name = HashMap::new();
        for (i, line) in lines.filter(|(_, l)| !l.starts_with("ImageId")) {
            let cells = line.split([',', ' ', '\t']).map(str::trim).filter(|c| !c.is_empty());
            let cells: Vec<&str> = cells.take(2).collect();
            let [name, class] = cells[..] else { return Err(wrong(i, line)) };
            if !is_wnid(class) && class.parse::<u32>().is_err() {
                return Err(wrong(i, line));
            }
            let stem = stem(name.rsplit('/').next().unwrap_or(name)).to_owned();
            if by_name.insert(stem, class.to_owned()).is_some() {
                let place = format!("{what}, line {}", i + 1);
                let found = format!("{:?} again", shortened(name));
                return Err(Error::invalid(place, found, "every image once"));
            }
        }
        Ok(Truth::ByName(by_name))
    }

    /// Returns the class of each image; `wnids` are sorted, and `numbers` are the devkit's.
    pub fn labels(
        &self,
        images: &[String],
        wnids: &[String],
        numbers: &HashMap<u32, String>,
        what: &str,
    ) -> Result<Vec<u32>> {
        let in_order = |count: usize| match count == images.len() {
            true => Ok(()),
            false => Err(Error::invalid(
                what,
                format!("{count} lines"),
                format!("{}, one an image in val", images.len()),
            )),
        };
        let of_wnid = |image: &str, wnid: &str| {
            wnids.binary_search_by(|w| w.as_str().cmp(wnid)).map(|k| k as u32).map_err(|_| {
                Error::invalid(
                    format!("{what}, image {image}"),
                    format!("class {wnid}"),
                    "a class that train has a folder of",
                )
            })
        };
        match self {
            Truth::Synsets(classes) => {
                in_order(classes.len())?;
                images.iter().zip(classes).map(|(image, wnid)| of_wnid(image, wnid)).collect()
            }
            Truth::Numbers(classes) => {
                in_order(classes.len())?;
                let wnid = |image: &String, number: &u32| {
                    numbers.get(number).ok_or_else(|| {
                        let place = format!("{what}, image {image}");
                        Error::invalid(place, format!("number {number}"), "a number of the map")
                    })
                };
                let each = images.iter().zip(classes);
                each.map(|(image, number)| of_wnid(image, wnid(image, number)?)).collect()
            }
            Truth::ByName(classes) => {
                let each = images.iter();
                each.map(|image| match classes.get(stem(image)).map(String::as_str) {
                    None => {
                        Err(Error::invalid(what, format!("no line of {image}"), "one an image"))
                    }
                    Some(class) => match class.parse::<u32>() {
                        Ok(k) if (k as usize) < wnids.len() => Ok(k),
                        Ok(k) => Err(Error::invalid(
                            format!("{what}, image {image}"),
                            format!("class {k}"),
                            format!("an index below {}, the classes of train", wnids.len()),
                        )),
                        Err(_) => of_wnid(image, class),
                    },
                })
                .collect()
            }
        }
    }
}

/// Returns a file name without its extension.
fn stem(name: &str) -> &str {
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

/// Reads WordNet numbers by the devkit's numbers, from lines `n01751748 490 …`.
pub fn devkit_numbers(text: &str, what: &str) -> Result<HashMap<u32, String>> {
    let mut numbers = HashMap::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let mut cells = line.split_whitespace();
        let wnid = cells.next().filter(|c| is_wnid(c));
        let number = cells.next().and_then(|c| c.parse().ok());
        let (Some(wnid), Some(number)) = (wnid, number) else {
            return Err(Error::invalid(
                format!("{what}, line {}", i + 1),
                format!("{:?}", shortened(line)),
                "a WordNet number and the devkit's number",
            ));
        };
        numbers.insert(number, wnid.to_owned());
    }
    Ok(numbers)
}
