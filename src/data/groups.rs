//! Image files listed in a `metadata.csv` with class, split and an attribute: Waterbirds and sets made
//! after it.
//!
//! Columns are found by name: the file (`img_filename` or `filename`), the class (`y`), the split
//! (`split`: 0, 1, 2 are train, val, test) and, where there is one, the attribute (`place`,
//! `background`, `a` or `attribute`). Other columns are not read. As in WILDS, the order inside a
//! part is that of the lines, and classes and values are numbers, which `classes.txt` and a text
//! file with the attribute's name may name.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use super::images::read_text;
use super::listed::{Listed, Listing};
use super::{Attributes, DataSet, Format, LoadOptions, Progress};
use crate::error::{Error, Result};

/// The list of images.
pub(super) const FILE: &str = "metadata.csv";

/// Names that the file's column may have.
const FILE_COLUMNS: [&str; 2] = ["img_filename", "filename"];
const ATTRIBUTE_COLUMNS: [&str; 3] = ["place", "a", "attribute"];
/// Names of the attribute's column where none of these is there.
const OTHER_ATTRIBUTE: [&str; 1] = ["background"];

/// Most bytes of the list.
const MOST_BYTES: u64 = 1 << 30;

/// Largest class or attribute number that is believed.
const MOST_VALUES: u32 = 100_000;

/// Places of the columns in a header.
#[derive(Clone, Copy, Debug)]
struct MetadataColumns {
    file: usize,
    class: usize,
    split: usize,
    attribute: Option<usize>,
}

impl MetadataColumns {
    /// Finds the columns in `header`; `None` where one that is needed is missing or there twice.
    fn of(header: &csv::StringRecord) -> Option<MetadataColumns> {
        let find = |names: &[&str]| {
            let mut places = header.iter().enumerate().filter(|(_, h)| names.contains(&h.trim()));
            match (places.next(), places.next()) {
                (Some((i, _)), None) => Some(i),
                _ => None,
            }
        };
        Some(MetadataColumns {
            file: find(&FILE_COLUMNS)?,
            class: find(&["y"])?,
            split: find(&["split"])?,
            attribute: find(&ATTRIBUTE_COLUMNS).or_else(|| find(&OTHER_ATTRIBUTE)),
        })
    }
}

/// Tells whether `root` has a `metadata.csv` of this kind. Hugging Face's image folders have one of
/// another kind.
pub(super) fn is(root: &Path) -> bool {
    let Ok(file) = File::open(root.join(FILE)) else { return false };
    let header = reader(file.take(1 << 16)).headers().cloned();
    header.is_ok_and(|header| MetadataColumns::of(&header).is_some())
}

fn reader<R: Read>(input: R) -> csv::Reader<R> {
    csv::ReaderBuilder::new().from_reader(input)
}

/// Reads the list and decodes the images.
pub(super) fn load(
    root: &Path,
    name: &str,
    options: &LoadOptions,
    progress: Progress,
) -> Result<DataSet> {
    let path = root.join(FILE);
    let file = File::open(&path).map_err(Error::io(&path))?;
    let table = MetadataTable::parse(file.take(MOST_BYTES), &path.display().to_string())?;
    let (mut classes, mut attributes) = table.names();
    if !table.waterbirds {
        classes = names_or(&root.join("classes.txt"), classes)?;
        if let Some(a) = &mut attributes {
            a.values =
                names_or(&root.join(format!("{}.txt", a.name)), std::mem::take(&mut a.values))?;
        }
    }
    let [train, val, test] = table.parts;
    let some = |listing: Listing| (!listing.ids.is_empty()).then_some(listing);
    let (mut val, mut test) = (some(val), some(test));
    if test.is_none() {
        test = val.take();
    }
    let listed = Listed { classes, train, val, test, attributes, notes: Vec::new() };
    listed.load(root, name, Format::Metadata, options, progress)
}

/// Returns the lines of a text file as names if the file exists. There must be at least as many as
/// there are numbers.
fn names_or(path: &Path, numbers: Vec<String>) -> Result<Vec<String>> {
    if !path.is_file() {
        return Ok(numbers);
    }
    let names: Vec<String> =
        read_text(path, 1 << 24)?.lines().map(|l| l.trim().to_owned()).collect();
    let different: HashSet<&String> = names.iter().collect();
    if names.len() < numbers.len()
        || different.len() != names.len()
        || different.contains(&String::new())
    {
        let found = format!("{} lines", names.len());
        let expected = format!("at least {} different names, one a line", numbers.len());
        return Err(Error::invalid(path.display().to_string(), found, expected));
    }
    Ok(names)
}

/// The content of a `metadata.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataTable {
    /// Training, validation and test images.
    pub parts: [Listing; 3],
    /// Name of the attribute's column.
    pub attribute: Option<String>,
    /// Whether it is Waterbirds' own list, whose numbers have known names.
    waterbirds: bool,
}

impl MetadataTable {
    /// Reads the list, which errors call `what`.
    ///
    /// # Errors
    /// A column is missing, a cell is no number, a path leaves the folder, or an image comes twice.
    /// The message names the line.
    pub fn parse(input: impl Read, what: &str) -> Result<MetadataTable> {
        let mut reader = reader(input);
        let malformed = |e: csv::Error| {
            let line = e.position().map_or(1, |p| p.line());
            Error::invalid(format!("{what}, line {line}"), e.to_string(), "a CSV file in UTF-8")
        };
        let header = reader.headers().cloned().map_err(malformed)?;
        let Some(columns) = MetadataColumns::of(&header) else {
            let found: Vec<&str> = header.iter().take(20).collect();
            return Err(Error::invalid(
                format!("{what}, line 1"),
                format!("the columns {:?}", found.join(",")),
                "img_filename (or filename), y, split, each once, and place, background, a or attribute where \
                 there is one",
            ));
        };
        let attribute = columns.attribute.and_then(|i| header.get(i)).map(|n| n.trim().to_owned());
        let mut parts = [Listing::default(), Listing::default(), Listing::default()];
        let mut seen = HashSet::new();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(malformed)? {
            let line = record.position().map_or(0, |p| p.line());
            let row = ListLine { record: &record, what, line };
            let id = row.path(columns.file)?;
            if !seen.insert(id.clone()) {
                return Err(row.wrong(format!("{id:?} again"), "every image once"));
            }
            let part = row.number(columns.split, 3, "split")?;
            let listing = &mut parts[part as usize];
            listing.labels.push(row.number(columns.class, MOST_VALUES, "y")?);
            if let (Some(column), Some(name)) = (columns.attribute, &attribute) {
                listing.attributes.push(row.number(column, MOST_VALUES, name)?);
            }
            listing.ids.push(id);
        }
        let has = |name: &str| header.iter().any(|h| h.trim() == name);
        let waterbirds = has("place") && has("place_filename") && has("img_id");
        Ok(MetadataTable { parts, attribute, waterbirds })
    }

    /// Returns the names of classes and of the attribute's values: Waterbirds' own, else the
    /// numbers.
    pub fn names(&self) -> (Vec<String>, Option<Attributes>) {
        let labels = self.parts.iter().flat_map(|p| &p.labels);
        let classes = labels.max().map_or(0, |&y| y as usize + 1);
        let places = self.parts.iter().flat_map(|p| &p.attributes);
        let values = places.max().map_or(0, |&a| a as usize + 1);
        let named = |known: [&str; 2], count: usize| -> Vec<String> {
            match count {
                2 if self.waterbirds => known.map(str::to_owned).to_vec(),
                _ => (0..count).map(|k| k.to_string()).collect(),
            }
        };
        let attributes = self.attribute.as_ref().map(|name| Attributes {
            name: name.clone(),
            values: named(["land", "water"], values),
        });
        (named(["landbird", "waterbird"], classes), attributes)
    }
}

/// Returns the list `text` without the images that are not in `kept`; the other lines stay as they
/// are, in their order.
pub(super) fn without(text: &[u8], kept: &HashSet<&str>, what: &str) -> Result<Vec<u8>> {
    let mut reader = reader(text);
    let malformed = |e: csv::Error| Error::invalid(what, e.to_string(), "a CSV file in UTF-8");
    let header = reader.headers().cloned().map_err(malformed)?;
    let Some(columns) = MetadataColumns::of(&header) else {
        return Err(Error::invalid(what, "a list that has changed", "the list that was read"));
    };
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(&header).map_err(malformed)?;
    for record in reader.records() {
        let record = record.map_err(malformed)?;
        if record.get(columns.file).is_some_and(|file| kept.contains(file)) {
            out.write_record(&record).map_err(malformed)?;
        }
    }
    out.into_inner().map_err(|e| Error::Internal(e.to_string()))
}

/// One line of the list.
struct ListLine<'a> {
    record: &'a csv::StringRecord,
    what: &'a str,
    line: u64,
}

impl ListLine<'_> {
    fn wrong(&self, found: String, expected: &str) -> Error {
        let found = found.chars().take(200).collect::<String>();
        Error::invalid(format!("{}, line {}", self.what, self.line), found, expected)
    }

    /// Returns a relative path that stays below the folder.
    fn path(&self, column: usize) -> Result<String> {
        let cell = self.record.get(column).unwrap_or("");
        let normal = |c: Component| matches!(c, Component::Normal(_));
        let plain = !cell.is_empty() && Path::new(cell).components().all(normal);
        if !plain || cell.contains(['\0', '\n']) {
            let expected = "the path of an image below the folder of the list";
            return Err(self.wrong(format!("{cell:?}"), expected));
        }
        Ok(cell.to_owned())
    }

    fn number(&self, column: usize, below: u32, name: &str) -> Result<u32> {
        let cell = self.record.get(column).unwrap_or("").trim();
        match cell.parse() {
            Ok(n) if n < below => Ok(n),
            _ => {
                let expected = format!("a whole number below {below}");
                Err(self.wrong(format!("{name} {cell:?}"), &expected))
            }
        }
    }
}
