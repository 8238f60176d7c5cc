//! The constants of the layout that the parent module draws.

/// The ending of the name of a cache file.
pub const EXTENSION: &str = "fpc";

/// Version of the layout.
pub const FORMAT_VERSION: u32 = 1;

/// Every section starts at a multiple of this number of bytes.
pub const ALIGN: u64 = 64;
