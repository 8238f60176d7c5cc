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
    Dtype {
        unsigned_byte: bool,
    },
    /// An array that was announced, and its content once it is known.
    Array(Option<Stored>),
}

/// The functions and classes that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    Reconstruct,
    Ndarray,
    Dtype,
    FromBuffer,
    Encode,
}

impl Global {
    pub(super) fn named(module: &[u8], name: &[u8]) -> Option<Global> {
        Some(match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => {
                Global::Reconstruct
            }
            (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => Global::FromBuffer,
            (b"numpy", b"ndarray") => Global::Ndarray,
            (b"numpy", b"dtype") => Global::Dtype,
            (b"_codecs", b"encode") => Global::Encode,
            _ => return None,
        })
    }
}

/// An array of bytes as it lies in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub shape: [usize; MOST_AXES],
    pub fortran: bool,
    pub data: Id,
}
