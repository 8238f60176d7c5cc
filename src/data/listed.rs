//! Data sets whose images are files of their own: a list of the files becomes a [`DataSet`].

use std::path::Path;

use super::images::{Counter, Decoder, Files};
use super::wording::count;
use super::{Attributes, Contents, DataSet, Format, LoadOptions, Part, Progress};
use crate::error::{Error, Result};

/// The images of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Paths relative to the root, with forward slashes: `train/cat/0001.jpg`.
    pub ids: Vec<String>,
    /// Class of each image.
    pub labels: Vec<u32>,
    /// Attribute of each image; empty where the set has none.
    pub attributes: Vec<u32>,
}

/// What a reader found under a root.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub classes: Vec<String>,
    pub train: Listing,
    pub val: Option<Listing>,
    pub test: Option<Listing>,
    pub attributes: Option<Attributes>,
    /// Notes on what was left out.
    pub notes: Vec<String>,
}

impl Listed {
    /// Decodes the images of all parts.
    pub fn load(
        self,
        root: &Path,
        name: &str,
        format: Format,
        options: &LoadOptions,
        progress: Progress,
    ) -> Result<DataSet> {
        if self.train.ids.is_empty() {
            return Err(Error::invalid(
                root.display().to_string(),
                "no training images",
                "at least one training image",
            ));
        }
        let parts = [Some(&self.train), self.val.as_ref(), self.test.as_ref()];
        let total = parts.into_iter().flatten().map(|l| l.ids.len()).sum();
        let first = Files { root, ids: &self.train.ids };
        let decoder = Decoder::new(&first, options, Counter::new(total, progress))?;
        let read = |listing: Listing| read_part(root, listing, &decoder);
        let contents = Contents {
            classes: self.classes,
            size: decoder.size(),
            train: read(self.train)?,
            val: self.val.map(read).transpose()?,
            test: self.test.map(read).transpose()?,
            attributes: self.attributes,
        };
        let mut set = DataSet::of(name, format, contents)?;
        set.notes = self.notes;
        let parts = [Some(&set.train), set.val.as_ref(), set.test.as_ref()];
        let ids = || parts.iter().flatten().flat_map(|part| &part.ids);
        let notes: Vec<String> = { LEFT_BEHIND }
            .into_iter()
            .filter_map(|(folder, by)| {
                left_behind(ids().filter(|id| is_below(id, folder)), folder, by)
            })
            .collect();
        set.notes.extend(notes);
        Ok(set)
    }
}

/// Folders that programs leave among images, and who does.
const LEFT_BEHIND: [(&str, &str); 2] =
    [(".ipynb_checkpoints", "Jupyter"), ("__MACOSX", "the archiver of macOS")];

fn is_below(id: &str, folder: &str) -> bool {
    id.split('/').any(|step| step == folder)
}

/// Says that images count which nobody meant: they do in torchvision, so that positions agree.
fn left_behind<'a>(
    ids: impl Iterator<Item = &'a String>,
    folder: &str,
    by: &str,
) -> Option<String> {
    let mut ids = ids.peekable();
    let first = (*ids.peek()?).clone();
    let images = count(ids.count(), "image");
    Some(format!(
        "among the samples are {images} in folders {folder}, which {by} leaves behind: they count, as for \
         torchvision ({first}); delete the folders if nobody means them"
    ))
}

/// Decodes the images of one part.
pub(super) fn read_part(root: &Path, listing: Listing, decoder: &Decoder) -> Result<Part> {
    let store = Files { root, ids: &listing.ids };
    let images = decoder.all(&store, listing.ids.len())?;
    let Listing { ids, labels, attributes } = listing;
    Ok(Part { images, labels, ids, attributes })
}
