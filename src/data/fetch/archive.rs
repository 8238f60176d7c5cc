//! The archives that can be fetched.

use std::path::Path;

use crate::error::{Error, Result};

/// A data set that can be fetched: a gzipped tar of a few files in one folder.
#[derive(Clone, Copy, Debug)]
pub struct Archive {
    /// Name of the data set, as people call it.
    pub name: &'static str,
    /// Address of the archive on its authors' server.
    pub url: &'static str,
    /// MD5 of the archive in hexadecimal digits, as its authors state it.
    pub md5: &'static str,
    /// Number of bytes of the archive.
    pub bytes: u64,
    /// Name of the folder inside the archive.
    pub folder: &'static str,
    /// The files in that folder that make the data set.
    pub files: &'static [&'static str],
    /// Most bytes of each of these files.
    pub file_bytes: u64,
}

/// The archives that are known. Their sizes and checksums are those of
/// <https://www.cs.toronto.edu/~kriz/cifar.html>.
pub const ARCHIVES: [Archive; 2] = [
    Archive {
        name: "cifar10",
        url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        md5: "c32a1d4ab5d03f1284b67883e8d87530",
        bytes: 170_052_171,
        folder: "cifar-10-batches-bin",
        files: &[
            "batches.meta.txt",
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
            "test_batch.bin",
        ],
        file_bytes: 10_000 * 3073,
    },
    Archive {
        name: "cifar100",
        url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        md5: "03b5dce01913d631647c71ecec9e9cb8",
        bytes: 168_513_733,
        folder: "cifar-100-binary",
        files: &["coarse_label_names.txt", "fine_label_names.txt", "test.bin", "train.bin"],
        file_bytes: 50_000 * 3074,
    },
];

impl Archive {
    /// Returns the archive of that name.
    pub fn named(name: &str) -> Result<&'static Archive> {
        ARCHIVES.iter().find(|a| a.name == name).ok_or_else(|| {
            let known: Vec<&str> = ARCHIVES.iter().map(|a| a.name).collect();
            Error::invalid("data set to fetch", name, known.join(" or "))
        })
    }

    /// Tells whether `folder` already holds every file.
    pub(super) fn is_whole(&self, folder: &Path) -> bool {
        self.files.iter().all(|file| folder.join(file).is_file())
    }
}
