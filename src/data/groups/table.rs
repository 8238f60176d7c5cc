//! The lines of a `metadata.csv`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path};

use super::columns::{EXPECTED, HEAD, MetadataColumns, reader};
use crate::artefact::sniff::check;
use crate::data::listed::Listing;
use crate::data::part_names::PartNames;
use crate::data::wording::some;
use crate::data::{Attributes, PartName};
use crate::error::{Error, Result};

/// Largest class or attribute number that is believed, and most different texts in place of numbers.
const MOST_VALUES: u32 = 100_000;

/// The content of a `metadata.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataTable {
    /// Training, validation and test images.
    pub parts: [Listing; 3],
    /// Name of the attribute's column.
    pub attribute: Option<String>,
    /// The class names, where the list has texts for classes.
    pub classes: Option<Vec<String>>,
    /// The names of the attribute's values, where the list has texts for them.
    pub values: Option<Vec<String>>,
    /// What was left out, and what was taken for granted.
    pub notes: Vec<String>,
    /// Whether it is Waterbirds' own list, whose numbers have known names.
    pub(super) waterbirds: bool,
}

impl MetadataTable {
    /// Reads the list, which errors call `what`; `names` are those of the parts.
    ///
    /// # Errors
    /// A column is missing, a cell is no number where others are, a path leaves the folder, or an image
    /// comes twice. The message names the line.
    pub fn parse(input: impl Read, names: &PartNames, what: &str) -> Result<MetadataTable> {
        let mut input = BufReader::with_capacity(HEAD, input);
        let head = input.fill_buf().map_err(Error::io(what))?;
        check(head, what, "a CSV file", &[])?;
        let found = MetadataColumns::in_head(head);
        let separator = found.map_or(b',', |(_, separator)| separator);
        let mut reader = reader(input, separator);
        let malformed = |e: csv::Error| {
            let line = e.position().map_or(1, |p| p.line());
            Error::invalid(format!("{what}, line {line}"), e.to_string(), "a CSV file in UTF-8")
        };
        let header = reader.headers().cloned().map_err(malformed)?;
        let Some(columns) = MetadataColumns::of(&header) else {
            let found: Vec<&str> = header.iter().take(20).collect();
            let found = format!("the columns {:?}", found.join(","));
            return Err(Error::invalid(format!("{what}, line 1"), found, EXPECTED));
        };
        let name = |column: usize| header.get(column).unwrap_or("").trim().to_owned();
        let attribute = columns.attribute.map(name);
        let mut lines = Lines::new(what, names, columns.split.is_some());
        let mut classes = Values::new(name(columns.class));
        let mut values = Values::new(attribute.clone().unwrap_or_default());
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(malformed)? {
            let line = record.position().map_or(0, |p| p.line());
            let row = ListLine { record: &record, what, line };
            let id = row.path(columns.file)?;
            let Some(part) = lines.part(&row, columns.split, &id)? else { continue };
            let class = classes.of(&row, columns.class)?;
            let value = columns.attribute.map(|column| values.of(&row, column)).transpose()?;
            lines.push(&row, part, id, class, value)?;
        }
        let Lines { mut parts, notes, .. } = lines.finish()?;
        let classes = classes.finish(parts.iter_mut().map(|p| &mut p.labels));
        let values = values.finish(parts.iter_mut().map(|p| &mut p.attributes));
        let has = |name: &str| header.iter().any(|h| h.trim() == name);
        let waterbirds = has("place") && has("place_filename") && has("img_id");
        Ok(MetadataTable { parts, attribute, classes, values, notes, waterbirds })
    }

    /// Returns the names of classes and of the attribute's values: those of the list, Waterbirds' own, or
    /// the numbers.
    pub fn names(&self) -> (Vec<String>, Option<Attributes>) {
        let labels = self.parts.iter().flat_map(|p| &p.labels);
        let classes = labels.max().map_or(0, |&y| y as usize + 1);
        let places = self.parts.iter().flat_map(|p| &p.attributes);
        let values = places.max().map_or(0, |&a| a as usize + 1);
        let named = |stated: &Option<Vec<String>>, known: [&str; 2], count: usize| match stated {
            Some(names) => names.clone(),
            None if count == 2 && self.waterbirds => known.map(str::to_owned).to_vec(),
            None => (0..count).map(|k| k.to_string()).collect(),
        };
        let attributes = self.attribute.as_ref().map(|name| Attributes {
            name: name.clone(),
            values: named(&self.values, ["land", "water"], values),
        });
        (named(&self.classes, ["landbird", "waterbird"], classes), attributes)
    }
}

/// The lines while they are sorted into parts.
struct Lines<'a> {
    what: &'a str,
    names: &'a PartNames,
    /// Whether a column states the parts.
    stated: bool,
    parts: [Listing; 3],
    seen: HashSet<String>,
    /// Values of the column that say no part, and on how many lines.
    unknown: BTreeMap<String, usize>,
    /// Names that say parts, for the check of those that are given by hand.
    there: BTreeSet<String>,
    /// The first line whose path says a part, and the first one whose path says none.
    said: Option<String>,
    silent: Option<String>,
    notes: Vec<String>,
}

impl<'a> Lines<'a> {
    fn new(what: &'a str, names: &'a PartNames, stated: bool) -> Self {
        Lines {
            what,
            names,
            stated,
            parts: Default::default(),
            seen: HashSet::new(),
            unknown: BTreeMap::new(),
            there: BTreeSet::new(),
            said: None,
            silent: None,
            notes: Vec::new(),
        }
    }

    /// Returns the part of a line: that of its column, else that of the first folder of its path. `None`
    /// leaves the line out.
    fn part(
        &mut self,
        row: &ListLine,
        column: Option<usize>,
        id: &str,
    ) -> Result<Option<PartName>> {
        let Some(column) = column else {
            let folder = id.split_once('/').map_or("", |(folder, _)| folder);
            let part = self.names.of_name(folder);
            let first = if part.is_some() { &mut self.said } else { &mut self.silent };
            first.get_or_insert_with(|| id.to_owned());
            self.note_name(folder);
            return Ok(part.or(Some(PartName::Train)));
        };
        let cell = row.cell(column);
        self.note_name(cell);
        if let Some(part) = self.names.of_name(cell) {
            return Ok(Some(part));
        }
        match cell.parse::<u64>() {
            Ok(0) => Ok(Some(PartName::Train)),
            Ok(1) => Ok(Some(PartName::Val)),
            Ok(2) => Ok(Some(PartName::Test)),
            Err(_) if !cell.is_empty() && cell.parse::<f64>().is_err() => {
                *self.unknown.entry(cell.chars().take(80).collect()).or_insert(0) += 1;
                Ok(None)
            }
            _ => {
                Err(row
                    .wrong(format!("split {cell:?}"), "a whole number below 3, or a part's name"))
            }
        }
    }

    fn note_name(&mut self, name: &str) {
        if self.there.len() < 1000 && !self.there.contains(name) {
            self.there.insert(name.chars().take(80).collect());
        }
    }

    fn push(
        &mut self,
        row: &ListLine,
        part: PartName,
        id: String,
        class: u32,
        value: Option<u32>,
    ) -> Result<()> {
        if !self.seen.insert(id.clone()) {
            return Err(row.wrong(format!("{id:?} again"), "every image once"));
        }
        let listing = &mut self.parts[part as usize];
        listing.ids.push(id);
        listing.labels.push(class);
        listing.attributes.extend(value);
        Ok(())
    }

    fn finish(mut self) -> Result<Self> {
        let there: Vec<String> = std::mem::take(&mut self.there).into_iter().collect();
        self.names.check_used(self.what, &there)?;
        match (self.stated, &self.said, &self.silent) {
            (false, Some(said), Some(silent)) => {
                let found =
                    format!("{silent}, whose first folder says no part as that of {said} does");
                let expected = "a column split, or a folder of a part for every image";
                return Err(Error::invalid(self.what, found, expected));
            }
            (false, None, Some(_)) => self.notes.push(format!(
                "{}: no column split and no folder of a part: all images are training images",
                self.what
            )),
            _ => {}
        }
        if !self.unknown.is_empty() {
            let total: usize = self.unknown.values().sum();
            let names: Vec<&String> = self.unknown.keys().collect();
            let text =
                "were left out, since no part is called so; `parts` says of which part they are";
            self.notes.push(format!(
                "{}: {total} lines of split {} {text}",
                self.what,
                some(&names)
            ));
        }
        Ok(self)
    }
}

/// The cells of a column of classes or of values: numbers, or texts where the first one is none.
struct Values {
    name: String,
    texts: Option<BTreeMap<String, u32>>,
    any: bool,
}

impl Values {
    fn new(name: String) -> Self {
        Values { name, texts: None, any: false }
    }

    /// Returns the number of a cell; that of a text is its place of appearance.
    fn of(&mut self, row: &ListLine, column: usize) -> Result<u32> {
        let cell = row.cell(column);
        if !self.any {
            self.any = true;
            let is_text = cell.parse::<f64>().is_err() && !cell.is_empty();
            self.texts = is_text.then(BTreeMap::new);
        }
        let Some(texts) = &mut self.texts else {
            return match cell.parse() {
                Ok(n) if n < MOST_VALUES => Ok(n),
                _ => {
                    let expected = format!("a whole number below {MOST_VALUES}");
                    Err(row.wrong(format!("{} {cell:?}", self.name), &expected))
                }
            };
        };
        let next = texts.len() as u32;
        match texts.get(cell) {
            Some(&n) => Ok(n),
            None if cell.is_empty() || next >= MOST_VALUES => {
                let expected = format!("a text, one of at most {MOST_VALUES}");
                Err(row.wrong(format!("{} {cell:?}", self.name), &expected))
            }
            None => {
                texts.insert(cell.to_owned(), next);
                Ok(next)
            }
        }
    }

    /// Returns the texts, sorted, and makes the numbers in `lists` their places.
    fn finish<'l>(self, lists: impl Iterator<Item = &'l mut Vec<u32>>) -> Option<Vec<String>> {
        let texts = self.texts?;
        let mut places = vec![0; texts.len()];
        for (place, &appeared) in texts.values().enumerate() {
            places[appeared as usize] = place as u32;
        }
        lists.flatten().for_each(|n| *n = places[*n as usize]);
        Some(texts.into_keys().collect())
    }
}

/// Returns the list `text` without the images that are not in `kept`; the other lines stay as they
/// are, in their order.
pub(in crate::data) fn without(text: &[u8], kept: &HashSet<&str>, what: &str) -> Result<Vec<u8>> {
    let malformed = |e: csv::Error| Error::invalid(what, e.to_string(), "a CSV file in UTF-8");
    let Some((columns, separator)) = MetadataColumns::in_head(&text[..text.len().min(HEAD)]) else {
        return Err(Error::invalid(what, "a list that has changed", "the list that was read"));
    };
    let mut reader = reader(text, separator);
    let header = reader.headers().cloned().map_err(malformed)?;
    let mut out = csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
    out.write_record(&header).map_err(malformed)?;
    for record in reader.records() {
        let record = record.map_err(malformed)?;
        let file = record.get(columns.file).and_then(|cell| plain_path(cell).ok());
        if file.is_some_and(|file| kept.contains(file.as_str())) {
            out.write_record(&record).map_err(malformed)?;
        }
    }
    out.into_inner().map_err(|e| Error::Internal(e.to_string()))
}

/// Returns a path that stays below the folder, without steps to the folder itself; else what is wrong
/// with it.
fn plain_path(cell: &str) -> Result<String, &'static str> {
    let drive =
        matches!(cell.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    if drive || cell.starts_with(['/', '\\']) {
        return Err(", an absolute path");
    }
    if cell.contains('\\') {
        return Err(", a path with backslashes");
    }
    let mut steps = Vec::new();
    for step in Path::new(cell).components() {
        match step {
            Component::CurDir => {}
            Component::Normal(name) => steps.push(name.to_str().unwrap_or("")),
            _ => return Err(""),
        }
    }
    if steps.is_empty() || cell.contains(['\0', '\n']) {
        return Err("");
    }
    Ok(steps.join("/"))
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

    fn cell(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or("").trim()
    }

    /// Returns the relative path of the image.
    fn path(&self, column: usize) -> Result<String> {
        let cell = self.record.get(column).unwrap_or("");
        plain_path(cell).map_err(|wrong| {
            let expected = "the path of an image below the folder of the list, with slashes";
            self.wrong(format!("{cell:?}{wrong}"), expected)
        })
    }
}
