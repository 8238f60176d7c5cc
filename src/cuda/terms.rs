//! What the rest of this module speaks of: addresses, versions, errors of the driver, where images are from.

use std::fmt;
use std::path::PathBuf;

use bytemuck::{Pod, Zeroable};

/// An address on the device, as kernels take it. Null for a view without elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct DevicePointer(pub u64);

/// Major and minor number, of a driver's CUDA version or of a card's compute capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

/// Oldest compute capability that the kernels are written for.
pub const OLDEST: Version = Version(8, 0);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Version {
    /// The version behind a number of the driver: 13010 is 13.1.
    pub fn of_driver(number: i32) -> Version {
        let number = number.unsigned_abs();
        Version(number / 1000, number % 1000 / 10)
    }
}

/// A call that the driver answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverError {
    /// The driver's function.
    pub call: &'static str,
    /// CUresult, as a number.
    pub code: u32,
    /// The code's name and the driver's explanation.
    pub text: String,
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} ({}, error {})", self.text, self.call, self.code)
    }
}

/// The codes (CUresult) that are told apart, by NVIDIA's names.
pub mod code {
    /// The card's memory is used up.
    pub const OUT_OF_MEMORY: u32 = 2;
    /// The library is the toolkit's, for linking, not the driver's.
    pub const STUB_LIBRARY: u32 = 34;
    /// There is a driver and no card.
    pub const NO_DEVICE: u32 = 100;
    /// The kernels were not compiled for this card.
    pub const NO_BINARY_FOR_GPU: u32 = 209;
    /// The driver is older than the compiler of the kernels.
    pub const UNSUPPORTED_PTX_VERSION: u32 = 222;
    /// The image has no kernel of that name.
    pub const NOT_FOUND: u32 = 500;
}

/// Where an image is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    Binary,
    Folder(PathBuf),
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ImageSource::Binary => f.write_str("this binary"),
            ImageSource::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}
