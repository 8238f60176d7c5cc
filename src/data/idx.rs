//! MNIST and its family: `train-images-idx3-ubyte` and its three companions, raw or gzipped.
//!
//! The order is that of the files, as in torchvision's `MNIST`, and grey becomes three equal
//! channels. The files hold no class names, so that classes are called by their numbers or by the
//! lines of a `classes.txt` beside the files. Source of the format:
//! <http://yann.lecun.com/exdb/mnist/>.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use rayon::prelude::*;

use super::class_names::class_names;
use super::images::read_file;
use super::pixels::DecodedPixels;
use super::resize::Square;
use super::{DataSet, DecodeLimits, Format, LoadOptions, Part, Progress};
use crate::error::{Error, Result};

/// Most bytes of a file.
const MOST_BYTES: u64 = 1 << 32;

/// Most that a deflate stream can grow.
const MOST_GROWTH: u64 = 1032;

/// Places below a root where torchvision and people keep the files.
const FOLDERS: [&str; 5] = ["", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw"];

/// Finds the file of one part and kind, raw before gzipped. LeCun's hyphen may be a dot.
fn file(folder: &Path, part: &str, kind: &str, axes: u8) -> Option<PathBuf> {
    let names = ["-", "."].map(|dot| format!("{part}-{kind}{dot}idx{axes}-ubyte"));
    let gzipped = names.clone().map(|name| name + ".gz");
    let found = |name: &String| folder.join(name).is_file();
    names.into_iter().chain(gzipped).find(found).map(|name| folder.join(name))
}

fn folder(root: &Path) -> Option<PathBuf> {
    let holds = |folder: &PathBuf| file(folder, "train", "images", 3).is_some();
    FOLDERS.map(|below| root.join(below)).into_iter().find(holds)
}

/// Tells whether `root` holds training images in this format.
pub(super) fn is(root: &Path) -> bool {
    folder(root).is_some()
}

/// Reads the four files; the two of the test part may be absent together.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let folder = folder(root).ok_or_else(|| {
        Error::invalid(
            root.display().to_string(),
            "no IDX files",
            "train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of t10k, raw or .gz",
        )
    })?;
    let mut size = None;
    let train = read_part(&folder, "train", options, &mut size)?;
    progress(1, 2);
    let test = match file(&folder, "t10k", "images", 3).or(file(&folder, "t10k", "labels", 1)) {
        Some(_) => Some(read_part(&folder, "t10k", options, &mut size)?),
        None => None,
    };
    progress(2, 2);
    let labels = train.labels.iter().chain(test.iter().flat_map(|t| &t.labels));
    let classes = labels.max().map_or(0, |&l| l as usize + 1);
    let classes = class_names(&folder, classes)?;
    let size = size.unwrap_or((0, 0));
    DataSet::new(name, Format::Idx, classes, size, train, None, test)
}

/// Reads one part; `size` is that of the images in memory, once it is known.
fn read_part(
    folder: &Path,
    part: &str,
    options: &LoadOptions,
    size: &mut Option<(usize, usize)>,
) -> Result<Part> {
    let open = |kind: &str, axes: u8| -> Result<(Vec<u8>, String, String)> {
        let path = file(folder, part, kind, axes).ok_or_else(|| {
            Error::invalid(
                folder.display().to_string(),
                format!("no {kind} of the {part} part"),
                format!("{part}-{kind}-idx{axes}-ubyte, or that with .gz"),
            )
        })?;
        let mut bytes = Vec::new();
        read_file(&path, MOST_BYTES, "an IDX file", &mut bytes)?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        Ok((bytes, path.display().to_string(), name.unwrap_or_default()))
    };
    let (bytes, what, name) = open("images", 3)?;
    let images = IdxImages::parse(&bytes, options.limits, &what)?;
    let (bytes, what_labels, _) = open("labels", 1)?;
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
    let name = name.trim_end_matches(".gz").replace(".idx", "-idx");
    Ok(Part {
        images: images.to_rgb(options)?.freeze()?,
        ids: (0..images.count).map(|i| format!("{name}:{i}")).collect(),
        labels: labels.into_iter().map(u32::from).collect(),
        attributes: Vec::new(),
    })
}

/// Grey images of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxImages {
    /// Number of images.
    pub count: usize,
    /// Height of each image.
    pub rows: usize,
    /// Width of each image.
    pub columns: usize,
    /// The pixels, `count rows columns` bytes.
    pub pixels: Vec<u8>,
}

impl IdxImages {
    /// Reads an images file, gzipped or not; `what` names it in errors.
    ///
    /// # Errors
    /// It is another kind of file, the sizes are beyond the limits or beyond what the file can
    /// hold, or the length is not what the sizes say. Nothing is unpacked before the sizes are
    /// checked.
    pub fn parse(bytes: &[u8], limits: DecodeLimits, what: &str) -> Result<IdxImages> {
        let mut file =
            ByteStream::open(bytes, what, [0, 0, 8, 3], "images (unsigned bytes, 3 axes)")?;
        let [count, rows, columns] = [file.axis()?, file.axis()?, file.axis()?];
        if rows.min(columns) == 0
            || rows.max(columns) > limits.side
            || rows * columns > limits.pixels
        {
            return Err(Error::invalid(
                what,
                format!("images of {columns}x{rows} pixels"),
                format!(
                    "1 to {} pixels a side and at most {} million in all",
                    limits.side,
                    limits.pixels / 1_000_000
                ),
            ));
        }
        let pixels = file.rest(count as u64 * (rows * columns) as u64)?;
        Ok(IdxImages { count, rows, columns, pixels })
    }

    /// Returns three equal channels, at the stored size or as squares of `side`.
    fn to_rgb(&self, options: &LoadOptions) -> Result<DecodedPixels> {
        let (h, w) = (self.rows, self.columns);
        let triple = |grey: &[u8], rgb: &mut [u8]| {
            for (pixel, g) in rgb.chunks_exact_mut(3).zip(grey) {
                pixel.fill(*g);
            }
        };
        let side = options.image_size;
        let image = side.map_or(h * w * 3, |s| s * s * 3);
        let mut out = DecodedPixels::zeroed(image, self.count, options.scratch.as_deref())?;
        let each = out.par_chunks_exact_mut(image).zip(self.pixels.par_chunks_exact(h * w));
        let Some(side) = side else {
            each.for_each(|(target, grey)| triple(grey, target));
            return Ok(out);
        };
        each.try_for_each_init(
            || (Square::new(side), vec![0; h * w * 3]),
            |(square, buffer), (target, grey)| {
                triple(grey, buffer);
                square.square(buffer, (h, w), target).map_err(|reason| {
                    let found = format!("{w}x{h} pixels: {reason}");
                    Error::invalid("IDX images", found, "images that can be resized")
                })
            },
        )?;
        Ok(out)
    }
}

/// Reads a labels file, gzipped or not.
pub fn labels(bytes: &[u8], what: &str) -> Result<Vec<u8>> {
    let mut file = ByteStream::open(bytes, what, [0, 0, 8, 1], "labels (unsigned bytes, 1 axis)")?;
    let count = file.axis()?;
    file.rest(count as u64)
}

/// The content of a file, unpacked as it is read.
struct ByteStream<'a> {
    reader: Box<dyn Read + 'a>,
    /// Most bytes that the file can hold.
    most: u64,
    what: &'a str,
}

impl<'a> ByteStream<'a> {
    fn open(bytes: &'a [u8], what: &'a str, magic: [u8; 4], kind: &str) -> Result<Self> {
        let stored = bytes.len() as u64;
        let gzipped = bytes.starts_with(&[0x1f, 0x8b]);
        let (reader, most): (Box<dyn Read>, u64) = if gzipped {
            (Box::new(MultiGzDecoder::new(bytes)), stored.saturating_mul(MOST_GROWTH))
        } else {
            (Box::new(bytes), stored)
        };
        let mut stream = ByteStream { reader, most, what };
        let found = stream.word()?;
        if found != magic {
            let expected = format!("{:02x?}: {kind}", magic);
            return Err(Error::invalid(what, format!("a start of {found:02x?}"), expected));
        }
        Ok(stream)
    }

    fn word(&mut self) -> Result<[u8; 4]> {
        let mut word = [0; 4];
        self.reader.read_exact(&mut word).map_err(|e| self.damaged(&e.to_string()))?;
        Ok(word)
    }

    fn damaged(&self, reason: &str) -> Error {
        let found = format!("a damaged or truncated file ({reason})");
        Error::invalid(self.what, found, "a complete IDX file")
    }

    fn axis(&mut self) -> Result<usize> {
        Ok(u32::from_be_bytes(self.word()?) as usize)
    }

    /// Reads the `count` bytes that must be all that is left.
    fn rest(&mut self, count: u64) -> Result<Vec<u8>> {
        if count > self.most || count > MOST_BYTES {
            return Err(Error::invalid(
                self.what,
                format!("a header that announces {count} bytes"),
                format!(
                    "at most {}, which is all that the file can hold",
                    self.most.min(MOST_BYTES)
                ),
            ));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(count + 1).read_to_end(&mut bytes);
        let read = read.map_err(|e| self.damaged(&e.to_string()))? as u64;
        if read != count {
            let found = match read < count {
                true => format!("{read} bytes after the header"),
                false => format!("more than {count} bytes after the header"),
            };
            return Err(Error::invalid(self.what, found, format!("{count}, as the header says")));
        }
        Ok(bytes)
    }
}
