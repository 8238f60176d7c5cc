//! The columns of a `metadata.csv`, by their names.

use std::io::Read;

/// Number of bytes at the start of the list in which its header must lie.
pub(super) const HEAD: usize = 1 << 16;

/// Names that the file's column may have.
const FILE_COLUMNS: [&str; 3] = ["img_filename", "filename", "file_name"];
const CLASS_COLUMNS: [&str; 2] = ["y", "label"];
const ATTRIBUTE_COLUMNS: [&str; 3] = ["place", "a", "attribute"];
/// Names of the attribute's column where none of these is there.
const OTHER_ATTRIBUTE: [&str; 1] = ["background"];

/// Characters that may stand between cells.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// What the columns are called, for messages.
pub(super) const EXPECTED: &str = "img_filename (or filename, file_name), y (or label), each once, split where parts are stated, \
     and place, background, a or attribute where there is one";

/// Returns a reader of a list whose cells this character parts.
pub(super) fn reader<R: Read>(input: R, separator: u8) -> csv::Reader<R> {
    csv::ReaderBuilder::new().delimiter(separator).from_reader(input)
}

/// Places of the columns in a header.
#[derive(Clone, Copy, Debug)]
pub(super) struct MetadataColumns {
    pub file: usize,
    pub class: usize,
    pub split: Option<usize>,
    pub attribute: Option<usize>,
}

impl MetadataColumns {
    /// Finds the columns in `header`; `None` where one that is needed is missing or there twice.
    pub fn of(header: &csv::StringRecord) -> Option<MetadataColumns> {
        let find = |names: &[&str]| {
            let mut places = header.iter().enumerate().filter(|(_, h)| names.contains(&h.trim()));
            match (places.next(), places.next()) {
                (Some((i, _)), None) => Some(i),
                _ => None,
            }
        };
        let twice = header.iter().filter(|h| h.trim() == "split").count() > 1;
        Some(MetadataColumns {
            file: find(&FILE_COLUMNS)?,
            class: find(&CLASS_COLUMNS)?,
            split: find(&["split"]),
            attribute: find(&ATTRIBUTE_COLUMNS).or_else(|| find(&OTHER_ATTRIBUTE)),
        })
        .filter(|_| !twice)
    }

    /// Finds the columns in the start of a list, and the character between its cells.
    pub fn in_head(head: &[u8]) -> Option<(MetadataColumns, u8)> {
        SEPARATORS.into_iter().find_map(|separator| {
            let header = reader(head, separator).headers().cloned().ok()?;
            MetadataColumns::of(&header).map(|columns| (columns, separator))
        })
    }
}
