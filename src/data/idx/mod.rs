//! MNIST and its family: `train-images-idx3-ubyte` and its three companions, raw or gzipped, also under
//! the longer names of EMNIST, such as `emnist-letters-train-images-idx3-ubyte`.
//!
//! The order is that of the files, as in torchvision's `MNIST`, and grey becomes three equal
//! channels. The files hold no class names, so that classes are called by their numbers or by the
//! lines of a `classes.txt` beside the files. Source of the format:
//! <http://yann.lecun.com/exdb/mnist/>.

mod file;

use std::path::{Path, PathBuf};

use super::class_names::{NamesFile, number};
use super::part_names::PartNames;
use super::wording::some;
use super::{DataSet, Format, LoadOptions, Part, PartName, Progress, StatedLayout};
use crate::artefact::input;
use crate::artefact::sniff::{FileKind, check};
use crate::error::{Error, Result};
use file::MOST_BYTES;
pub use file::{IdxImages, labels};

/// Places below a root where torchvision and people keep the files.
const FOLDERS: [&str; 9] = [
    "",
    "raw",
    "MNIST/raw",
    "FashionMNIST/raw",
    "KMNIST/raw",
    "EMNIST/raw",
    "EMNIST",
    "gzip",
    "QMNIST/raw",
];

/// The two kinds of files.
const IMAGES: &str = "images";
const LABELS: &str = "labels";

/// How the names of both kinds end.
const KINDS: [(&str, &str); 2] = [(IMAGES, "idx3-ubyte"), (LABELS, "idx1-ubyte")];

/// The part of a file that LeCun calls its test images.
const T10K: &str = "t10k";

/// One file.
#[derive(Clone, Debug)]
struct IdxFile {
    part: PartName,
    /// The name before the kind: `train`, `emnist-letters-test`.
    stem: String,
    kind: &'static str,
    path: PathBuf,
    gzipped: bool,
}

impl IdxFile {
    /// Reads a file's name; `None` where it is none of an IDX file or says no part. LeCun's hyphen may be
    /// a dot.
    fn of(folder: &Path, name: &str, names: &PartNames) -> Option<IdxFile> {
        let plain = name.strip_suffix(".gz");
        let bare = plain.unwrap_or(name);
        let (stem, kind) = KINDS.iter().find_map(|(kind, ending)| {
            let stem = bare.strip_suffix(ending)?.strip_suffix(['-', '.'])?;
            Some((stem.strip_suffix(kind)?.strip_suffix(['-', '.'])?, *kind))
        })?;
        let word = stem.rsplit('-').next().unwrap_or(stem);
        let part = match names.of_name(stem).or_else(|| names.of_name(word)) {
            Some(part) => part,
            None if word == T10K => PartName::Test,
            None => return None,
        };
        Some(IdxFile {
            part,
            stem: stem.to_owned(),
            kind,
            path: folder.join(name),
            gzipped: plain.is_some(),
        })
    }
}

/// Lists the files of the first folder that has training images; raw ones go before gzipped ones.
fn files(root: &Path, names: &PartNames) -> Option<(PathBuf, Vec<IdxFile>)> {
    let folder = |below: &str| if below.is_empty() { root.to_owned() } else { root.join(below) };
    FOLDERS.map(folder).into_iter().find_map(|folder| {
        let entries = std::fs::read_dir(&folder).ok()?;
        let mut found: Vec<IdxFile> = { entries.flatten() }
            .filter(|entry| entry.path().is_file())
            .filter_map(|e| IdxFile::of(&folder, e.file_name().to_str()?, names))
            .collect();
        found.sort_by(|a, b| (&a.stem, a.kind, a.gzipped).cmp(&(&b.stem, b.kind, b.gzipped)));
        let trains = found.iter().any(|f| f.part == PartName::Train && f.kind == IMAGES);
        trains.then_some((folder, found))
    })
}

/// Tells whether `root` holds training images in this format.
pub(super) fn is(root: &Path, stated: &StatedLayout) -> bool {
    files(root, stated.part_names()).is_some()
}

/// Reads two files a part; those of a part other than training may be absent together.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let names = options.stated.part_names();
    let (folder, files) = files(root, names).ok_or_else(|| {
        Error::invalid(
            root.display().to_string(),
            "no IDX files",
            "train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of t10k, raw or .gz",
        )
    })?;
    let files = of_one_set(&folder, files, names)?;
    let mut size = None;
    let mut parts = [None, None, None];
    for (done, part) in [PartName::Train, PartName::Val, PartName::Test].into_iter().enumerate() {
        let of_part: Vec<&IdxFile> = files.iter().filter(|f| f.part == part).collect();
        if !of_part.is_empty() {
            parts[part as usize] = Some(read_part(&folder, &of_part, options, &mut size)?);
        }
        progress(done + 1, 3);
    }
    let labels = parts.iter_mut().flatten().map(|part| &mut part.labels).collect();
    let beside = NamesFile::beside(&folder)?;
    let (classes, note) = number(&folder.display().to_string(), labels, beside, &options.stated)?;
    let size = size.unwrap_or((0, 0));
    let [train, mut val, mut test] = parts;
    if test.is_none() {
        test = val.take();
    }
    let train = train.unwrap_or_default();
    let set = DataSet::new(name, Format::Idx, classes, size, train, val, test)?;
    Ok(DataSet { notes: note.into_iter().collect(), ..set })
}

/// Refuses files of several sets in one folder, as EMNIST's are, unless names of parts say which is
/// meant.
fn of_one_set(folder: &Path, files: Vec<IdxFile>, names: &PartNames) -> Result<Vec<IdxFile>> {
    if names.is_given() {
        let stems: Vec<String> = files.iter().map(|f| f.stem.clone()).collect();
        names.check_used(&folder.display().to_string(), &stems)?;
    }
    let stems = |part: PartName| {
        let mut stems: Vec<&str> =
            files.iter().filter(|f| f.part == part).map(|f| f.stem.as_str()).collect();
        stems.dedup();
        stems
    };
    for part in [PartName::Train, PartName::Val, PartName::Test] {
        let found = stems(part);
        if found.len() > 1 {
            let text = format!("{} for {}", some(&found), part.name());
            let example = match stems(PartName::Test).last() {
                Some(test) => format!("train={},test={test}", stems(PartName::Train)[0]),
                None => format!("train={}", found[0]),
            };
            let expected = format!("files of one set, or `parts`, such as {example}");
            return Err(Error::invalid(folder.display().to_string(), text, expected));
        }
    }
    Ok(files)
}

/// Reads one part; `size` is that of the images in memory, once it is known.
fn read_part(
    folder: &Path,
    files: &[&IdxFile],
    options: &LoadOptions,
    size: &mut Option<(usize, usize)>,
) -> Result<Part> {
    let stem = &files[0].stem;
    let open = |kind: &str, axes: u8| -> Result<(Vec<u8>, String)> {
        let file = files.iter().find(|f| f.kind == kind).ok_or_else(|| {
            Error::invalid(
                folder.display().to_string(),
                format!("no {kind} of the {stem} part"),
                format!("{stem}-{kind}-idx{axes}-ubyte, or that with .gz"),
            )
        })?;
        let mut bytes = Vec::new();
        input::read_into(&file.path, MOST_BYTES, "an IDX file", &mut bytes)?;
        let what = file.path.display().to_string();
        check(&bytes, &what, "an IDX file, raw or gzipped", &[FileKind::Gzip])?;
        Ok((bytes, what))
    };
    let (bytes, what) = open(IMAGES, 3)?;
    let images = IdxImages::parse(&bytes, options.limits, &what)?;
    let (bytes, what_labels) = open(LABELS, 1)?;
    let labels = labels(&bytes, &what_labels)?;
    if labels.len() != images.count {
        return Err(Error::invalid(
            what_labels,
            format!("{} labels", labels.len()),
            format!("{}, as many as there are images in {what}", images.count),
        ));
    }
    let stored = (images.rows, images.columns);
    let wanted = options.image_size.map_or(stored, |side| (side, side));
    let size = *size.get_or_insert(wanted);
    if wanted != size {
        return Err(Error::invalid(
            what,
            format!("images of {}x{}", stored.1, stored.0),
            format!("{}x{} as in the training part", size.1, size.0),
        ));
    }
    // The id has LeCun's name whatever the storage, so that unpacking changes no id.
    let name = format!("{stem}-{IMAGES}-idx3-ubyte");
    Ok(Part {
        images: images.to_rgb(options)?.freeze()?,
        ids: (0..images.count).map(|i| format!("{name}:{i}")).collect(),
        labels: labels.into_iter().map(u32::from).collect(),
        attributes: Vec::new(),
    })
}
