//! Finds the format of a path from what lies there.

use std::path::Path;

use super::format::{BUILT_IN, Format};
use super::{cache, cifar, groups, idx, imagenet, parquet, tiny_imagenet, webdataset};
use crate::error::{Error, Result};

/// Returns the format that was asked for, or that the path shows. The path must exist, and be a
/// folder where the format is one of folders.
pub(super) fn format_of(spec: &str, asked: Option<Format>) -> Result<Format> {
    let root = Path::new(spec);
    let no_folder =
        |found: &str, expected: &str| Err(Error::invalid(format!("data {spec}"), found, expected));
    if !root.exists() {
        return no_folder(
            "nothing",
            &format!("a folder, or the name of a built-in set: {BUILT_IN}"),
        );
    }
    let format = asked.map_or_else(|| detect(root), Ok)?;
    let of_files = matches!(format, Format::Webdataset | Format::Parquet | Format::Cache);
    match (root.is_dir(), format) {
        (false, _) if !of_files => no_folder("a file", &format!("a folder of format {format}")),
        (true, Format::Cache) => no_folder("a folder", "a cache file"),
        _ => Ok(format),
    }
}

/// Finds the format of the folder or file `root` from what it holds. Layouts with files of their
/// own come before image folders, because several of them contain image folders.
fn detect(root: &Path) -> Result<Format> {
    if root.is_file() {
        return of_file(root);
    }
    let found = if cifar::binary::is(root) {
        Format::CifarBinary
    } else if cifar::python::is(root) {
        Format::CifarPython
    } else if idx::is(root) {
        Format::Idx
    } else if tiny_imagenet::is(root) {
        Format::TinyImagenet
    } else if imagenet::is(root) {
        Format::Imagenet
    } else if groups::is(root) {
        Format::Metadata
    } else if has_folders(&root.join("train")) {
        // The images came out of the archives and tables that lie beside class folders.
        Format::ImageFolder
    } else if webdataset::is(root)? {
        Format::Webdataset
    } else if parquet::is(root)? {
        Format::Parquet
    } else {
        // The folder reader explains anything else that is wrong with it.
        Format::ImageFolder
    };
    Ok(found)
}

fn has_folders(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|e| e.path().is_dir())
}

fn of_file(path: &Path) -> Result<Format> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some(cache::EXTENSION) => Ok(Format::Cache),
        Some("tar") => Ok(Format::Webdataset),
        Some("parquet") => Ok(Format::Parquet),
        _ => Err(Error::invalid(
            format!("data {}", path.display()),
            "a file",
            format!(
                "a folder, a file of a known kind (.{}, .tar, .parquet), or the name of a built-in \
                 set: {BUILT_IN}",
                cache::EXTENSION
            ),
        )),
    }
}
