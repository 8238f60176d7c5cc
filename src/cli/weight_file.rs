//! Weight files on the command line: their sizes, classes and origin beside a data set's.

use std::path::Path;

use fairprune::data::DataSet;
use fairprune::error::{Error, Result};
use fairprune::nn::{Weights, WeightsMetadata, weights};

use super::args::{Common, DataArgs, NetworkArgs};
use super::output;

/// Reads a weight file; its sizes stand in for missing ones.
pub fn read(path: &Path, args: &DataArgs) -> Result<(Weights, WeightsMetadata, DataArgs)> {
    let (weights, metadata) = weights::read(path)?;
    let mut args = args.clone();
    let side = |size: Option<[usize; 2]>| size.filter(|[h, w]| h == w).map(|[h, _]| h);
    if let (None, None) = (args.image_size, args.input_size) {
        let (seen, images) = (side(metadata.size), side(metadata.images));
        args.image_size = images.or(seen);
        args.input_size = images.and(seen);
    }
    Ok((weights, metadata, args))
}

/// What of the images the network of a weight file sees, where it is not all: as given, else as the file
/// says unless an image size was given.
pub fn input_size(
    image_size: Option<usize>,
    input_size: Option<usize>,
    file: &WeightsMetadata,
) -> Option<usize> {
    let stated = file.images.and(file.size).filter(|[h, w]| h == w && image_size.is_none());
    input_size.or(stated.map(|[h, _]| h))
}

/// Refuses a weight file whose classes are not the data set's.
pub fn check_classes(path: &Path, metadata: &WeightsMetadata, data: &DataSet) -> Result<()> {
    match &metadata.classes {
        Some(classes) if *classes != data.classes => {
            let differs = classes.iter().zip(&data.classes).position(|(a, b)| a != b);
            let found = match differs {
                Some(k) => format!("class {k} is {}", classes[k]),
                None => format!("{} classes", classes.len()),
            };
            let expected = match differs {
                Some(k) => format!("{}, as in the data set", data.classes[k]),
                None => format!("{}, as in the data set", data.classes.len()),
            };
            Err(Error::invalid(format!("weights {}", path.display()), found, expected))
        }
        _ => Ok(()),
    }
}

/// Whether a weight file is of this data set: `same`, `other`, or `unknown` where it does not say. A
/// warning where it is of another, and a note where its normalisation is not known: images of a test
/// set from elsewhere are worth an evaluation, but nobody should take them for the ones it learned.
pub fn data_of_weights(
    common: &Common,
    path: &Path,
    metadata: &WeightsMetadata,
    data: &DataSet,
    args: &NetworkArgs,
) -> &'static str {
    let file = path.display();
    if metadata.mean.or(metadata.std).is_none() && args.mean.is_none() && args.std.is_none() {
        let text = format!(
            "note: {file} states no normalisation: that of the training images of {} is used \
             (--mean and --std give its own)",
            data.name
        );
        output::note(common, text);
    }
    match &metadata.data {
        None => "unknown",
        Some(stated) if *stated == data.fingerprint => "same",
        Some(stated) => {
            let text = format!(
                "warning: {file} was trained on another data set (fingerprint {stated}) than {} \
                 ({}), or on the same one read otherwise; classes are the same, and the \
                 normalisation is the file's. None of these images need be among those it was \
                 trained on, and all of them may be",
                data.name, data.fingerprint
            );
            output::warn(text);
            "other"
        }
    }
}
