//! NumPy's `.npy`, format 1.0: one array, little-endian, C order, one or two axes.
//!
//! It is written byte for byte as `numpy.save` writes it, and read strictly: the size of the file
//! must be what the header says, nothing is allocated before that is known, and pickled objects are
//! refused. Source: NumPy Enhancement Proposal 1 and `numpy.lib.format`.

mod array;

use super::atomic;
use super::input;
use super::integrity::DigestReader;
use super::sniff::{FileKind, check_file};
use crate::error::{Error, Result};
use half::f16;
use std::io::{self, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy leaves room in the header for the first axis to grow to the digits of 2^64.
const GROWTH_DIGITS: usize = 21;
/// Longest header that is read, more than any header of one or two axes needs.
const MAX_HEADER: usize = 4096;

/// A type that can be written.
pub trait Element: Copy + private::Sealed {
    #[doc(hidden)]
    const DESCR: &'static str;
    #[doc(hidden)]
    type Bytes: AsRef<[u8]>;
    #[doc(hidden)]
    fn bytes(self) -> Self::Bytes;
}

mod private {
    pub trait Sealed {}
}

macro_rules! element {
    ($($type:ty, $size:literal, $descr:literal, $value:ident => $bytes:expr;)*) => {$(
        impl private::Sealed for $type {}
        impl Element for $type {
            const DESCR: &'static str = $descr;
            type Bytes = [u8; $size];
            fn bytes(self) -> [u8; $size] {
                let $value = self;
                $bytes
            }
        }
    )*};
}

element! {
    f32, 4, "<f4", x => x.to_le_bytes();
    f64, 8, "<f8", x => x.to_le_bytes();
    i64, 8, "<i8", x => x.to_le_bytes();
    u8, 1, "|u1", x => [x];
    bool, 1, "|b1", x => [u8::from(x)];
}

/// Writes `data` (row after row) as an array of `shape`, which has one or two axes.
pub fn write<T: Element>(path: &Path, shape: &[usize], data: &[T]) -> Result<()> {
    if !(1..=2).contains(&shape.len()) || shape.iter().product::<usize>() != data.len() {
        return Err(Error::Internal(format!("{} values written as {shape:?}", data.len())));
    }
    let header = header(T::DESCR, shape);
    atomic::write(path, |out| {
        out.write_all(&header)?;
        data.iter().try_for_each(|&x| out.write_all(x.bytes().as_ref()))
    })
}

/// Writes an array of `shape` row after row as `row` gives them, so that the array need not be in
/// memory.
pub fn write_rows<T: Element>(
    path: &Path,
    shape: [usize; 2],
    mut row: impl FnMut(usize) -> io::Result<Vec<T>>,
) -> Result<()> {
    let header = header(T::DESCR, &shape);
    atomic::write(path, |out| {
        out.write_all(&header)?;
        for i in 0..shape[0] {
            let values = row(i)?;
            if values.len() != shape[1] {
                let text = format!("row {i} has {} values, not {}", values.len(), shape[1]);
                return Err(io::Error::other(text));
            }
            values.iter().try_for_each(|&x| out.write_all(x.bytes().as_ref()))?;
        }
        Ok(())
    })
}

/// Returns magic, version and the header, padded to a multiple of 64 bytes.
fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let axes = match shape {
        [n] => format!("({n},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {axes}, }}");
    let growth = GROWTH_DIGITS.saturating_sub(shape[0].to_string().len());
    let unpadded = MAGIC.len() + 4 + text.len() + growth + 1;
    text.extend(std::iter::repeat_n(' ', growth + 64 - unpadded % 64));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// An array that was read: its shape and its values, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Lengths of its one or two axes.
    pub shape: Vec<usize>,
    /// The values, row after row.
    pub values: ArrayValues,
}

/// The values by kind. Integers and floats of other widths are widened, exactly.
#[derive(Clone, Debug, PartialEq)]
pub enum ArrayValues {
    /// Booleans.
    Bool(Vec<bool>),
    /// Unsigned and signed integers of 1, 2, 4 or 8 bytes.
    Int(Vec<i64>),
    /// Floats of 2 or 4 bytes.
    F32(Vec<f32>),
    /// Floats of 8 bytes.
    F64(Vec<f64>),
}

impl ArrayValues {
    fn kind(&self) -> &'static str {
        match self {
            ArrayValues::Bool(_) => "booleans",
            ArrayValues::Int(_) => "integers",
            ArrayValues::F32(_) | ArrayValues::F64(_) => "floating-point numbers",
        }
    }
}

/// Reads the array at `path`: booleans, integers, floats of 2, 4 or 8 bytes (halves become
/// [`ArrayValues::F32`]), format 1.0 to 3.0.
///
/// # Errors
/// [`Error::Invalid`] for anything else: another byte order, Fortran order, objects, structures,
/// strings, other numbers of axes, a file shorter or longer than its header says.
pub fn read(path: &Path) -> Result<Array> {
    check_file(path, "a .npy file as numpy.save writes it", &[FileKind::Npy])?;
    let file = input::open(path)?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    read_from(file, length, &path.display().to_string())
}

/// Reads the array at `path` as [`read`] does, where the file has the digest `stated`; None: any.
///
/// # Errors
/// Those of [`read`]; [`Error::Damaged`]: the file has another digest.
pub fn read_stated(path: &Path, stated: Option<&str>) -> Result<Array> {
    let Some(stated) = stated else { return read(path) };
    let file = input::open(path)?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut file = DigestReader::new(file);
    let array = read_from(&mut file, length, &path.display().to_string())?;
    file.check(path, stated)?;
    Ok(array)
}

/// Reads one array of exactly `length` bytes from `input`; errors call it `name`.
pub fn read_from(mut input: impl Read, length: u64, name: &str) -> Result<Array> {
    let io_error = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => truncated(name, &format!("{length} bytes")),
        _ => Error::io(name)(e),
    };
    let mut start = [0u8; 8];
    if length < 10 {
        return Err(truncated(name, &format!("{length} bytes")));
    }
    input.read_exact(&mut start).map_err(io_error)?;
    if &start[..6] != MAGIC {
        let found = format!("a file that begins with {:02x?}", &start[..6]);
        return Err(Error::invalid(name, found, "a .npy file as numpy.save writes it"));
    }
    let size_bytes = match start[6] {
        1 => 2,
        2 | 3 => 4,
        v => return Err(Error::invalid(name, format!(".npy format {v}"), "format 1, 2 or 3")),
    };
    let mut size = [0u8; 4];
    input.read_exact(&mut size[..size_bytes]).map_err(io_error)?;
    let size = u32::from_le_bytes(size) as usize;
    if size > MAX_HEADER {
        let expected = format!("at most {MAX_HEADER} bytes (a plain array, no structure)");
        return Err(Error::invalid(name, format!("a header of {size} bytes"), expected));
    }
    let mut text = vec![0u8; size];
    input.read_exact(&mut text).map_err(io_error)?;
    let text = String::from_utf8_lossy(&text);
    let header = NpyHeader::parse(&text).ok_or_else(|| {
        let expected = "{'descr': ..., 'fortran_order': ..., 'shape': ...}, a plain array";
        Error::invalid(name, format!("the header {:?}", text.trim_end()), expected)
    })?;
    let values = length.checked_sub((8 + size_bytes + size) as u64);
    let values = values.ok_or_else(|| truncated(name, &format!("{length} bytes")))?;
    header.read_values(input, values, name)
}

fn truncated(name: &str, found: &str) -> Error {
    Error::invalid(name, format!("a file of {found} that ends too early"), "a complete .npy file")
}

#[derive(Debug, PartialEq)]
struct NpyHeader {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl NpyHeader {
    /// Parses the Python dictionary literal; `None` if it is anything but that of a plain array.
    fn parse(text: &str) -> Option<NpyHeader> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        let mut rest = text.trim().strip_prefix('{')?.trim_start();
        while !rest.starts_with('}') {
            let (key, after) = string(rest)?;
            rest = after.trim_start().strip_prefix(':')?.trim_start();
            let known_before = match key {
                "descr" => {
                    let (value, after) = string(rest)?;
                    rest = after;
                    descr.replace(value.to_owned()).is_some()
                }
                "fortran_order" => {
                    let value = rest.starts_with("True");
                    rest = rest.strip_prefix(if value { "True" } else { "False" })?;
                    fortran_order.replace(value).is_some()
                }
                "shape" => {
                    let (inner, after) = rest.strip_prefix('(')?.split_once(')')?;
                    rest = after;
                    shape.replace(axes(inner)?).is_some()
                }
                _ => return None,
            };
            if known_before {
                return None;
            }
            rest = rest.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(after) => after.trim_start(),
                None if rest.starts_with('}') => rest,
                None => return None,
            };
        }
        (rest == "}").then_some(())?;
        Some(NpyHeader { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }

    /// Checks type, axes and size, then reads `length` bytes of values.
    fn read_values(self, mut input: impl Read, length: u64, name: &str) -> Result<Array> {
        if !(1..=2).contains(&self.shape.len()) {
            let found = format!("an array of {} axes", self.shape.len());
            return Err(Error::invalid(name, found, "one or two axes"));
        }
        if self.fortran_order && self.shape.len() == 2 {
            return Err(Error::invalid(
                name,
                "Fortran order",
                "C order: numpy.save(file, numpy.ascontiguousarray(array))",
            ));
        }
        let width = match self.descr.as_str() {
            "|b1" | "|u1" | "|i1" => 1,
            "<u2" | "<i2" | "<f2" => 2,
            "<u4" | "<i4" | "<f4" => 4,
            "<u8" | "<i8" | "<f8" => 8,
            other => {
                return Err(Error::invalid(
                    name,
                    format!("values of type {other:?}"),
                    "little-endian integers, floats or booleans, such as array.astype('<i8')",
                ));
            }
        };
        let count = self.shape.iter().try_fold(1u64, |n, &axis| n.checked_mul(axis as u64));
        let bytes = count.and_then(|n| n.checked_mul(width));
        if bytes != Some(length) {
            let found = format!("{length} bytes of values");
            let expected = match bytes {
                Some(b) => format!("{b} bytes for shape {:?} of {:?}", self.shape, self.descr),
                None => format!("a shape that memory can hold, not {:?}", self.shape),
            };
            return Err(Error::invalid(name, found, expected));
        }
        let mut raw = vec![0u8; length as usize];
        input.read_exact(&mut raw).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => truncated(name, "changing size"),
            _ => Error::io(name)(e),
        })?;
        Ok(Array { shape: self.shape, values: decode(&self.descr, &raw, name)? })
    }
}

/// Splits a quoted string without escapes from what follows it.
fn string(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| *c == '\'' || *c == '"')?;
    let (value, rest) = text[1..].split_once(quote)?;
    (!value.contains('\\')).then_some((value, rest))
}

/// Reads the axes inside the parentheses of a shape; one axis needs its comma.
fn axes(inner: &str) -> Option<Vec<usize>> {
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let one = !inner.contains(',');
    let inner = inner.trim().strip_suffix(',').unwrap_or(inner);
    let axes: Option<Vec<usize>> = inner
        .split(',')
        .map(|axis| axis.trim())
        .map(|a| a.bytes().all(|b| b.is_ascii_digit()).then(|| a.parse().ok())?)
        .collect();
    axes.filter(|_| !one)
}

fn decode(descr: &str, raw: &[u8], name: &str) -> Result<ArrayValues> {
    fn numbers<const W: usize, T>(raw: &[u8], one: impl Fn([u8; W]) -> T) -> Vec<T> {
        raw.as_chunks::<W>().0.iter().map(|&bytes| one(bytes)).collect()
    }
    Ok(match descr {
        "|b1" => {
            if let Some(i) = raw.iter().position(|&b| b > 1) {
                let found = format!("{} at position {i}", raw[i]);
                return Err(Error::invalid(name, found, "0 or 1 (booleans)"));
            }
            ArrayValues::Bool(raw.iter().map(|&b| b == 1).collect())
        }
        "|u1" => ArrayValues::Int(raw.iter().map(|&b| i64::from(b)).collect()),
        "|i1" => ArrayValues::Int(raw.iter().map(|&b| i64::from(b as i8)).collect()),
        "<u2" => ArrayValues::Int(numbers(raw, |b| i64::from(u16::from_le_bytes(b)))),
        "<i2" => ArrayValues::Int(numbers(raw, |b| i64::from(i16::from_le_bytes(b)))),
        "<u4" => ArrayValues::Int(numbers(raw, |b| i64::from(u32::from_le_bytes(b)))),
        "<i4" => ArrayValues::Int(numbers(raw, |b| i64::from(i32::from_le_bytes(b)))),
        "<i8" => ArrayValues::Int(numbers(raw, i64::from_le_bytes)),
        "<u8" => {
            let wide: Vec<u64> = numbers(raw, u64::from_le_bytes);
            let narrow = wide.iter().map(|&x| i64::try_from(x));
            ArrayValues::Int(narrow.collect::<Result<_, _>>().map_err(|_| {
                let found = format!("{}", wide.iter().max().unwrap_or(&0));
                Error::invalid(name, found, "integers below 2^63")
            })?)
        }
        "<f2" => ArrayValues::F32(numbers(raw, |b| f16::from_le_bytes(b).to_f32())),
        "<f4" => ArrayValues::F32(numbers(raw, f32::from_le_bytes)),
        _ => ArrayValues::F64(numbers(raw, f64::from_le_bytes)),
    })
}
