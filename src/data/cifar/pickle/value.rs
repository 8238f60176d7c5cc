//! The values that the stack machine works on.

use std::borrow::Cow;

/// Longest class name, and longest name of a function.
pub(super) const MOST_NAME: usize = 256;

/// Most axes that an array may have.
pub(super) const MOST_AXES: usize = 2;

/// The number of a value.
pub(super) type Id = usize;

/// A value that an instruction makes.
#[derive(Clone, Debug)]
pub(super) enum PickleValue<'a> {
    /// The end of the items that a later instruction gathers.
    Mark,
    None,
    Int(i64),
    /// Text or bytes, which Python 2 did not tell apart.
    Bytes(Cow<'a, [u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// The type of an array's values.
    Dtype(ItemType),
    /// An array that was announced, and its content once it is known.
    Array(Option<Stored>),
}

/// The type of whole numbers in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ItemType {
    /// Number of bytes: 1, 2, 4 or 8; 0 where it is no type of whole numbers.
    pub width: u8,
    pub signed: bool,
    pub big_endian: bool,
}

impl ItemType {
    /// The type of that name, such as `u1` or `i8`.
    pub fn named(name: &[u8]) -> ItemType {
        let (order, name) = match name {
            [order @ (b'<' | b'>' | b'|' | b'='), rest @ ..] => (*order, rest),
            _ => (b'=', name),
        };
        let width = match name {
            [b'u' | b'i', width @ (b'1' | b'2' | b'4' | b'8')] => width - b'0',
            _ => 0,
        };
        ItemType { width, signed: name.starts_with(b"i"), big_endian: order == b'>' }
    }

    pub fn is_byte(self) -> bool {
        self.width == 1 && !self.signed
    }

    /// Returns the numbers in `bytes`, whose length must be a multiple of the width.
    pub fn numbers(self, bytes: &[u8]) -> Vec<i64> {
        let width = usize::from(self.width.max(1));
        let one = |item: &[u8]| {
            let add = |n: u64, &b: &u8| n << 8 | u64::from(b);
            let value = match self.big_endian {
                true => item.iter().fold(0, add),
                false => item.iter().rev().fold(0, add),
            };
            let unused = 64 - 8 * width as u32;
            if self.signed { ((value << unused) as i64) >> unused } else { value as i64 }
        };
        bytes.chunks_exact(width).map(one).collect()
    }
}

/// The functions and classes that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    Reconstruct,
    Ndarray,
    Dtype,
    FromBuffer,
    /// A number as NumPy keeps it outside arrays.
    Scalar,
    Encode,
}

impl Global {
    pub(super) fn named(module: &[u8], name: &[u8]) -> Option<Global> {
        Some(match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => {
                Global::Reconstruct
            }
            (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => Global::FromBuffer,
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"scalar") => Global::Scalar,
            (b"numpy", b"ndarray") => Global::Ndarray,
            (b"numpy", b"dtype") => Global::Dtype,
            (b"_codecs", b"encode") => Global::Encode,
            _ => return None,
        })
    }
}

/// An array as it lies in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    /// Lengths of the axes; an array of one axis has one column.
    pub shape: [usize; MOST_AXES],
    /// Whether there is one axis alone.
    pub flat: bool,
    pub fortran: bool,
    pub item: ItemType,
    pub data: Id,
}
