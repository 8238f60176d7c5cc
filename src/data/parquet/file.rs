//! One Parquet file, with its labels and its images batch by batch.
//!
//! Sizes that the file announces are held against the limits and against the file's own size before
//! anything is unpacked: rows, row groups, pages, dictionaries.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ::parquet::basic::{Compression, Encoding};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use ::parquet::data_type::{ByteArray, DataType};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::reader::{ChunkReader, FileReader};
use ::parquet::file::serialized_reader::SerializedFileReader;
use bytes::Bytes;

use super::padded::PaddedPages;
use super::pages::{self, Bounds};
use super::schema::ParquetColumns;
use crate::artefact::input;
use crate::artefact::sniff::{self, FileKind, START};
use crate::data::{DecodeLimits, LoadOptions, StatedLayout};
use crate::error::{Error, Result};

/// Number of images that are decoded at a time.
pub(super) const BATCH: usize = 256;

/// Number of labels that are read at a time.
const LABELS: usize = 1 << 16;

/// Largest class number that is believed.
pub(super) const MOST_CLASSES: u32 = 100_000;

/// An open file whose sizes are within the limits.
pub(super) struct Shard {
    reader: SerializedFileReader<File>,
    columns: ParquetColumns,
    name: String,
}

impl Shard {
    /// Opens the file and checks what it announces.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Shard> {
        let name = path.display().to_string();
        let mut file = input::open(path)?;
        let mut start = Vec::new();
        (&mut file).take(START as u64).read_to_end(&mut start).map_err(Error::io(path))?;
        sniff::check(&start, &name, "a Parquet file", &[FileKind::Parquet])?;
        let again = file.try_clone().map_err(Error::io(path))?;
        let (limits, stated) = (options.limits, &options.stated);
        let (reader, columns) = guarded(&name, || open(file, &again, limits, stated, &name))?;
        Ok(Shard { reader, columns, name })
    }

    /// The file as errors name it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the class names that the file states.
    pub fn classes(&self) -> Option<&[String]> {
        self.columns.classes.as_deref()
    }

    /// Says which columns were taken because of their types alone, if any were.
    pub fn guess(&self) -> Option<String> {
        self.columns.guess.as_ref().map(|text| format!("{}: {text}", self.name))
    }

    /// Returns the labels of all rows.
    pub fn labels(&self) -> Result<Vec<i64>> {
        guarded(&self.name, || read_labels(&self.reader, &self.columns, &self.name))
    }

    /// Hands out the images of all rows, `batch` at a time, with the number of their first row, until
    /// `take` returns false.
    pub fn images(
        &self,
        limits: DecodeLimits,
        batch: usize,
        take: impl FnMut(usize, &[ByteArray]) -> Result<bool>,
    ) -> Result<()> {
        guarded(&self.name, || {
            read_images(&self.reader, &self.columns, limits, batch, &self.name, take)
        })
    }
}

/// Labels and encoded images of a file, for those who have it in memory.
#[derive(Debug, Default, PartialEq)]
pub struct ParquetRows {
    /// Class numbers as they are stored.
    pub labels: Vec<i64>,
    /// Image files.
    pub images: Vec<Bytes>,
    /// Class names, where the file states them.
    pub classes: Option<Vec<String>>,
}

/// Reads a whole file in memory; `what` names it in errors.
///
/// # Errors
/// It is no Parquet file or a damaged one, has no columns of images and labels, or has a page or an
/// image beyond the limits.
pub fn rows(bytes: Bytes, limits: DecodeLimits, what: &str) -> Result<ParquetRows> {
    guarded(what, || {
        let (reader, columns) =
            open(bytes.clone(), &bytes, limits, &StatedLayout::default(), what)?;
        let mut rows =
            ParquetRows { labels: read_labels(&reader, &columns, what)?, ..ParquetRows::default() };
        read_images(&reader, &columns, limits, BATCH, what, |_, images| {
            rows.images.extend(images.iter().map(|i| Bytes::copy_from_slice(i.data())));
            Ok(true)
        })?;
        rows.classes = columns.classes;
        Ok(rows)
    })
}

/// Calls `f` for the reader, which is meant not to panic. A hostile file that finds a hole in it is
/// still reported by name.
fn guarded<T>(name: &str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|_| Err(damaged(name, "its reader failed".to_owned())))
}

fn damaged(name: &str, reason: impl ToString) -> Error {
    let found = format!("a damaged Parquet file ({})", reason.to_string());
    Error::invalid(name, found, "a valid Parquet file")
}

fn open<R: ChunkReader + 'static>(
    file: R,
    again: &R,
    limits: DecodeLimits,
    stated: &StatedLayout,
    name: &str,
) -> Result<(SerializedFileReader<R>, ParquetColumns)> {
    let length = file.len();
    let reader = SerializedFileReader::new(file).map_err(|e| damaged(name, e))?;
    let metadata = reader.metadata();
    let columns = ParquetColumns::of(metadata.file_metadata(), stated, name)?;
    let mut total = 0u64;
    for group in metadata.row_groups() {
        let rows = u64::try_from(group.num_rows())
            .map_err(|_| damaged(name, format!("a row group of {} rows", group.num_rows())))?;
        total = total.saturating_add(rows);
        let widths = [(columns.image, 4), (columns.label, if columns.wide { 8 } else { 4 })];
        for (column, value) in widths {
            let chunk = group.columns().get(column);
            let chunk = chunk.ok_or_else(|| damaged(name, "a row group without a column"))?;
            supported(chunk, name)?;
            let page = usize::try_from(limits.file_bytes.saturating_mul(2)).unwrap_or(usize::MAX);
            let bounds = Bounds { page, value, values: rows };
            check_chunk(chunk, bounds, again, length).map_err(|reason| damaged(name, reason))?;
        }
    }
    // Each row must have an image of its own, or there is nothing to prune.
    if total > length {
        let found = format!("{total} rows in a file of {length} bytes");
        return Err(Error::invalid(name, found, "at least a byte of the file a row"));
    }
    Ok((reader, columns))
}

/// Refuses what is well-formed and not read: kinds of compression and of encoding, by their names.
fn supported(chunk: &ColumnChunkMetaData, name: &str) -> Result<()> {
    use Compression::{GZIP, SNAPPY, UNCOMPRESSED, ZSTD};
    let refused = |what: String| {
        let found = format!("a column {} in {what}", chunk.column_path().string());
        let expected = "no compression, Snappy, Zstandard or gzip, and plain, dictionary or delta \
                        encoding of numbers and lengths: write the file again in one of these";
        Err(Error::invalid(name, format!("{found}, which is not supported"), expected))
    };
    if !matches!(chunk.compression(), UNCOMPRESSED | SNAPPY | GZIP(_) | ZSTD(_)) {
        let codec = chunk.compression().to_string();
        return refused(codec.split('(').next().unwrap_or(&codec).to_owned());
    }
    let strange = |e: &Encoding| {
        !matches!(
            e,
            Encoding::PLAIN
                | Encoding::PLAIN_DICTIONARY
                | Encoding::RLE_DICTIONARY
                | Encoding::RLE
                | Encoding::DELTA_BINARY_PACKED
                | Encoding::DELTA_LENGTH_BYTE_ARRAY
        )
    };
    match chunk.encodings().find(strange) {
        Some(encoding) => refused(encoding.to_string()),
        None => Ok(()),
    }
}

/// Checks the pages of a column of a row group against the bounds.
fn check_chunk<R: ChunkReader>(
    chunk: &ColumnChunkMetaData,
    bounds: Bounds,
    file: &R,
    length: u64,
) -> Result<(), String> {
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let size = chunk.compressed_size();
    let range = u64::try_from(start).ok().zip(u64::try_from(size).ok());
    let range = range.filter(|(a, n)| a.checked_add(*n).is_some_and(|end| end <= length));
    let Some((start, size)) = range else {
        return Err(format!("a column of {size} bytes from {start} on in {length} bytes"));
    };
    if u64::try_from(chunk.num_values()).ok() != Some(bounds.values) {
        return Err(format!("{} values in {} rows", chunk.num_values(), bounds.values));
    }
    pages::check(size, bounds, |at, n| file.get_bytes(start + at, n).map_err(|e| e.to_string()))
}

/// Returns the reader of one column of one row group.
fn column<R: ChunkReader + 'static>(
    reader: &SerializedFileReader<R>,
    group: usize,
    column: usize,
) -> ::parquet::errors::Result<ColumnReader> {
    let about = reader.metadata().row_group(group).column(column).column_descr_ptr();
    let inner = reader.get_row_group(group)?.get_column_page_reader(column)?;
    let levels = about.max_def_level() > 0;
    let byte_arrays = about.physical_type() == ::parquet::basic::Type::BYTE_ARRAY;
    Ok(get_column_reader(about, Box::new(PaddedPages { inner, levels, byte_arrays })))
}

fn read_labels<R: ChunkReader + 'static>(
    reader: &SerializedFileReader<R>,
    columns: &ParquetColumns,
    name: &str,
) -> Result<Vec<i64>> {
    let mut labels = Vec::new();
    let failed = |e: ParquetError| damaged(name, e);
    for (group, about) in reader.metadata().row_groups().iter().enumerate() {
        let rows = about.num_rows() as usize;
        let column = column(reader, group, columns.label).map_err(failed)?;
        let first = labels.len();
        let place = Place { name, column: "label", first };
        match column {
            ColumnReader::Int64ColumnReader(column) => {
                all(column, rows, LABELS, columns.label_levels, place, |_, v: &[i64]| {
                    labels.extend_from_slice(v);
                    Ok(true)
                })?;
            }
            ColumnReader::Int32ColumnReader(column) => {
                all(column, rows, LABELS, columns.label_levels, place, |_, v: &[i32]| {
                    labels.extend(v.iter().map(|&l| i64::from(l)));
                    Ok(true)
                })?;
            }
            _ => return Err(damaged(name, "labels of another type than announced")),
        }
    }
    Ok(labels)
}

fn read_images<R: ChunkReader + 'static>(
    reader: &SerializedFileReader<R>,
    columns: &ParquetColumns,
    limits: DecodeLimits,
    batch: usize,
    name: &str,
    mut take: impl FnMut(usize, &[ByteArray]) -> Result<bool>,
) -> Result<()> {
    let mut first = 0;
    let failed = |e: ParquetError| damaged(name, e);
    for (group, about) in reader.metadata().row_groups().iter().enumerate() {
        let rows = about.num_rows() as usize;
        let column = column(reader, group, columns.image).map_err(failed)?;
        let ColumnReader::ByteArrayColumnReader(column) = column else {
            return Err(damaged(name, "images of another type than announced"));
        };
        let place = Place { name, column: "image", first };
        let more = all(column, rows, batch, columns.image_levels, place, |at, images| {
            if let Some(i) = images.iter().position(|i| i.len() as u64 > limits.file_bytes) {
                return Err(Error::invalid(
                    format!("{name}, row {}", first + at + i),
                    format!("{} bytes", images[i].len()),
                    format!("an image of at most {} bytes", limits.file_bytes),
                ));
            }
            take(first + at, images)
        })?;
        if !more {
            return Ok(());
        }
        first += rows;
    }
    Ok(())
}

/// Where values lie, for messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    column: &'a str,
    /// Number of rows before this row group.
    first: usize,
}

/// Hands out the `rows` values of a column, `batch` at a time, until `take` returns false. A row
/// without a value is an error.
fn all<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    rows: usize,
    batch: usize,
    levels: i16,
    place: Place,
    mut take: impl FnMut(usize, &[T::T]) -> Result<bool>,
) -> Result<bool> {
    let (mut values, mut present) = (Vec::new(), Vec::new());
    let mut done = 0;
    while done < rows {
        values.clear();
        present.clear();
        let most = batch.min(rows - done);
        let wanted = (levels > 0).then_some(&mut present);
        let read = column.read_records(most, wanted, None, &mut values);
        let (records, _, _) = read.map_err(|e| damaged(place.name, e))?;
        let whole = records > 0 && values.len() <= records;
        if !whole {
            let found = format!("{done} of {rows} values of {}", place.column);
            return Err(damaged(place.name, found));
        }
        if values.len() < records {
            let missing = present.iter().position(|&level: &i16| level < levels).unwrap_or(0);
            return Err(Error::invalid(
                format!("{}, row {}", place.name, place.first + done + missing),
                format!("no {}", place.column),
                match place.column {
                    "image" => "the bytes of an image, inside the file and not beside it",
                    _ => "a class number",
                },
            ));
        }
        if !take(done, &values)? {
            return Ok(false);
        }
        done += records;
    }
    Ok(true)
}
