//! Finds the format of a path from what lies there.

use std::path::Path;

use super::format::{BUILT_IN, Format};
use super::{LoadOptions, StatedLayout, cache, cifar, class_tars, groups, idx, image_folder};
use super::{imagenet, parquet, tiny_imagenet, webdataset};
use crate::artefact::input;
use crate::artefact::sniff::{self, FileKind, START};
use crate::error::{Error, Result};

/// Returns the format that was asked for, or that the path shows. The path must exist, and be a
/// folder where the format is one of folders.
pub(super) fn format_of(spec: &str, options: &LoadOptions) -> Result<Format> {
    let root = Path::new(spec);
    let no_folder =
        |found: &str, expected: &str| Err(Error::invalid(format!("data {spec}"), found, expected));
    if !root.exists() {
        return no_folder(
            "nothing",
            &format!("a folder, or the name of a built-in set: {BUILT_IN}"),
        );
    }
    let format = options.format.map_or_else(|| detect(root, &options.stated), Ok)?;
    let of_files = matches!(format, Format::Webdataset | Format::Parquet | Format::Cache);
    match (root.is_dir(), format) {
        (false, _) if !of_files => no_folder("a file", &format!("a folder of format {format}")),
        (true, Format::Cache) => no_folder("a folder", "a cache file"),
        _ => Ok(format),
    }
}

/// Finds the format of the folder or file `root` from what it holds. Layouts with files of their
/// own come before image folders, because several of them contain image folders.
fn detect(root: &Path, stated: &StatedLayout) -> Result<Format> {
    if !root.is_dir() {
        return of_file(root);
    }
    let found = if cifar::binary::is(root) {
        Format::CifarBinary
    } else if cifar::python::is(root) {
        Format::CifarPython
    } else if idx::is(root, stated) {
        Format::Idx
    } else if tiny_imagenet::is(root) {
        Format::TinyImagenet
    } else if class_tars::is(root) {
        Format::ImagenetTars
    } else if imagenet::is(root) {
        Format::Imagenet
    } else if groups::is(root, stated) {
        Format::Metadata
    } else if image_folder::tree::is_tree(root, stated.part_names()) {
        // The images came out of the archives and tables that lie beside class folders.
        Format::ImageFolder
    } else if webdataset::is(root, stated) {
        Format::Webdataset
    } else if parquet::is(root, stated) {
        Format::Parquet
    } else {
        // The folder reader explains anything else that is wrong with it.
        Format::ImageFolder
    };
    Ok(found)
}

fn of_file(path: &Path) -> Result<Format> {
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase());
    let ends = |ending: &str| name.as_ref().is_some_and(|n| n.ends_with(ending));
    if ends(&format!(".{}", cache::EXTENSION)) {
        return Ok(Format::Cache);
    }
    if webdataset::EXTENSIONS.iter().any(|e| ends(e)) {
        return Ok(Format::Webdataset);
    }
    if ends(".parquet") {
        return Ok(Format::Parquet);
    }
    let what = format!("data {}", path.display());
    let expected = format!(
        "a folder, a file of a known kind (.{}, .tar, .tar.gz, .parquet), or the name of a built-in \
         set: {BUILT_IN}",
        cache::EXTENSION
    );
    if ends(".arrow") {
        // Streams of Arrow begin with nothing that tells them.
        return Err(FileKind::Arrow.refusal(&what, &expected));
    }
    let start = input::start(path, START)?;
    sniff::check(&start, &what, &expected, &[])?;
    Err(Error::invalid(what, "a file", expected))
}
