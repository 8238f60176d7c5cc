//! Loading a data set: the one entry point of all formats.

use std::path::Path;

use super::detect::format_of;
use super::format::{Format, built_in};
use super::options::{LoadOptions, Progress};
use super::set::DataSet;
use super::{
    cache, cifar, class_tars, groups, idx, image_folder, imagenet, parquet, shapes, tiny_imagenet,
    webdataset,
};
use crate::error::{Error, Result};

/// Loads `spec`: a path, or the name of a built-in set, such as `shapes`.
///
/// Decoding runs in the current rayon pool and its result does not depend on the number of threads.
/// # Errors
/// [`Error::Invalid`] names the file and what was expected, and [`Error::Io`] names the path.
pub fn load(spec: &str, options: &LoadOptions, progress: Progress) -> Result<DataSet> {
    if let Some(format) = built_in(spec, options.format)? {
        options.stated.check(spec, format)?;
        return shapes::load(format, options, progress);
    }
    let size = options.image_size.unwrap_or(1);
    if size == 0 || size > options.limits.side {
        return Err(Error::invalid(
            "image size",
            format!("{size}"),
            format!("1 to {}", options.limits.side),
        ));
    }
    let root = Path::new(spec);
    let format = format_of(spec, options)?;
    options.stated.check(spec, format)?;
    let name = set_name(root);
    let load = match format {
        Format::ImageFolder => image_folder::load,
        Format::CifarBinary => cifar::binary::load,
        Format::CifarPython => cifar::python::load,
        Format::Idx => idx::load,
        Format::TinyImagenet => tiny_imagenet::load,
        Format::Imagenet => imagenet::load,
        Format::ImagenetTars => class_tars::load,
        Format::Webdataset => webdataset::load,
        Format::Parquet => parquet::load,
        Format::Metadata => groups::load,
        Format::Cache => cache::load,
        Format::Shapes | Format::ShapesExtreme | Format::ShapesSpread | Format::ShapesSpurious => {
            return Err(Error::Internal(format!("{spec} was not taken for a built-in set")));
        }
    };
    load(root, &name, options, progress)
}

/// Returns the last component of the path, with `.` and `..` resolved.
fn set_name(root: &Path) -> String {
    let full = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    match full.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => full.display().to_string(),
    }
}

/// Loads validation images for `set` from a folder of class folders. The set's fingerprint stays
/// that of the data from which it was loaded.
pub fn load_validation(folder: &Path, set: &mut DataSet, options: &LoadOptions) -> Result<()> {
    let size = (set.height, set.width);
    let square = (size.0 == size.1).then_some(size.0);
    let options = LoadOptions { image_size: options.image_size.or(square), ..options.clone() };
    if let Some(attributes) = &set.attributes {
        return Err(Error::invalid(
            format!("validation images {}", folder.display()),
            "a folder of class folders",
            format!(
                "the data set's own validation part, since its samples have a {}",
                attributes.name
            ),
        ));
    }
    set.val = Some(image_folder::load_part(folder, &set.classes, size, &options)?);
    Ok(())
}
