//! Room for decoded images: in memory, or in a mapped file without a name where the images may be
//! more than fits memory.

use std::fs::File;
use std::io::{self, Write};
use std::ops::{Deref, DerefMut};
use std::path::Path;

use bytes::Bytes;
use memmap2::{Mmap, MmapMut};

use crate::error::{Error, Result};

/// Number of zeros that are written at a time where a file system cannot set room aside.
const ZEROS: usize = 1 << 20;

/// Pixels while they are being decoded.
pub(super) enum DecodedPixels {
    Memory(Vec<u8>),
    File(MmapMut),
}

impl DecodedPixels {
    /// Makes zeroed room for `count` images of `image` bytes: in a file in the folder `scratch`,
    /// which is gone with the last user of its bytes, else in memory.
    ///
    /// # Errors
    /// There is no such room in the address space or on the disk.
    pub fn zeroed(image: usize, count: usize, scratch: Option<&Path>) -> Result<DecodedPixels> {
        let needed = image.saturating_mul(count);
        let Some(folder) = scratch.filter(|_| needed > 0) else {
            return memory(needed, image, count).map(DecodedPixels::Memory);
        };
        let map = || {
            let file = tempfile::tempfile_in(folder)?;
            reserve(&file, needed as u64)?;
            // SAFETY: the file has no name, so that nobody else can open or shorten it. All of it
            // has its room on the disk, so that no write into the mapping can fail.
            unsafe { MmapMut::map_mut(&file) }
        };
        map().map(DecodedPixels::File).map_err(Error::io(folder.join("(decoded images)")))
    }

    /// Returns the bytes, to be shared and no longer changed.
    pub fn freeze(self) -> Result<Bytes> {
        Ok(match self {
            DecodedPixels::Memory(bytes) => bytes.into(),
            DecodedPixels::File(map) => {
                let map: Mmap = map.make_read_only().map_err(Error::io("decoded images"))?;
                Bytes::from_owner(map)
            }
        })
    }
}

impl Deref for DecodedPixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            DecodedPixels::Memory(bytes) => bytes,
            DecodedPixels::File(map) => map,
        }
    }
}

impl DerefMut for DecodedPixels {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            DecodedPixels::Memory(bytes) => bytes,
            DecodedPixels::File(map) => map,
        }
    }
}

/// Makes zeroed bytes, or an error where the address space has no room.
fn memory(needed: usize, image: usize, count: usize) -> Result<Vec<u8>> {
    let probe = crate::memory::room::<u8>(needed).map_err(|_| {
        Error::invalid(
            "images in memory",
            format!("{count} images of {image} bytes"),
            "what fits; a smaller `image_size` helps, and `fairprune data cache` needs no memory for them",
        )
    })?;
    drop(probe);
    Ok(vec![0; needed])
}

/// Makes `file` that long, with room on the disk for every byte. A hole that finds no room when it
/// is written through a mapping would be a signal and not an error.
fn reserve(mut file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            done => return Ok(done?),
        }
    }
    let zeros = vec![0; ZEROS];
    let mut left = bytes;
    while left > 0 {
        let step = left.min(ZEROS as u64);
        file.write_all(&zeros[..step as usize])?;
        left -= step;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_file_hold_the_same() {
        let folder = tempfile::tempdir().unwrap();
        for scratch in [None, Some(folder.path())] {
            let mut pixels = DecodedPixels::zeroed(1000, 7, scratch).unwrap();
            assert_eq!(matches!(pixels, DecodedPixels::File(_)), scratch.is_some());
            assert!(pixels.len() == 7000 && pixels.iter().all(|&b| b == 0));
            pixels[6999] = 9;
            let bytes = pixels.freeze().unwrap();
            assert_eq!((bytes.len(), bytes[6999], bytes[0]), (7000, 9, 0));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no name is left");
        }
        assert!(
            DecodedPixels::zeroed(5, 0, Some(folder.path())).unwrap().freeze().unwrap().is_empty()
        );
        assert!(DecodedPixels::zeroed(1, 1, Some(Path::new("/nowhere"))).is_err());
    }

    #[test]
    fn room_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for scratch in [None, Some(folder.path())] {
            assert!(DecodedPixels::zeroed(1 << 40, 1 << 20, scratch).is_err());
        }
    }
}
