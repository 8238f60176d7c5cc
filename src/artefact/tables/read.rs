//! A reader of typed rows, whose errors name line and column.

use super::cells;
use crate::artefact::input;
use crate::artefact::sniff::{FileKind, check_file};
use crate::error::{Error, Result};
use crate::memory;
use csv::{ErrorKind, StringRecord};
use serde::Serialize;
use std::fs::File;
use std::path::Path;
use std::str::FromStr;

/// An open table, with what its errors need.
pub(in crate::artefact) struct OpenTable {
    reader: csv::Reader<File>,
    pub(in crate::artefact) header: StringRecord,
    name: String,
}

impl OpenTable {
    /// Opens the file and reads its header.
    pub(in crate::artefact) fn open(path: &Path) -> Result<OpenTable> {
        let name = path.display().to_string();
        check_file(path, "a CSV file", &[FileKind::Empty])?;
        let file = input::open(path)?;
        // Rows are held in memory, and a damaged file may be one row.
        memory::check(file.metadata().map_err(Error::io(path))?.len())?;
        let mut reader = csv::ReaderBuilder::new().from_reader(file);
        let header = reader.headers().cloned().map_err(|e| malformed(&name, e))?;
        let header = cells::read(header);
        Ok(OpenTable { reader, header, name })
    }

    /// Returns the next record and its line, or `None` at the end.
    pub(in crate::artefact) fn next_record(&mut self) -> Result<Option<(u64, StringRecord)>> {
        let mut record = StringRecord::new();
        match self.reader.read_record(&mut record) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = record.position().map_or(0, |p| p.line());
                Ok(Some((line, cells::read(record))))
            }
            Err(e) => Err(malformed(&self.name, e)),
        }
    }

    /// Makes an error about the header.
    pub(in crate::artefact) fn wrong_header(&self, expected: impl Into<String>) -> Error {
        let columns: Vec<&str> = self.header.iter().collect();
        let found = match columns.is_empty() {
            true => "an empty file".to_owned(),
            false => format!("the columns {:?}", columns.join(",")),
        };
        Error::invalid(format!("{}, line 1", self.name), found, expected)
    }

    /// Makes an error about one cell.
    pub(in crate::artefact) fn cell(
        &self,
        line: u64,
        column: &str,
        found: &str,
        expected: &str,
    ) -> Error {
        let place = format!("{}, line {line}, column {column}", self.name);
        Error::invalid(place, format!("{found:?}"), expected)
    }

    /// Makes an error about the whole file.
    pub(in crate::artefact) fn whole(&self, found: &str, expected: impl Into<String>) -> Error {
        Error::invalid(self.name.as_str(), found, expected)
    }
}

/// A row of one of the files. `Serialize` writes its fields in the order of the columns.
pub trait TableRow: Serialize + Sized {
    /// Column names in the written order, each with what its cells must hold.
    const COLUMNS: &'static [(&'static str, &'static str)];
    /// Whether a file without rows says something, and is read as none.
    const MAY_BE_EMPTY: bool = false;

    /// Returns the row of these cells, or the column that does not parse.
    fn parse(cells: &Cells) -> Result<Self, &'static str>;

    /// Returns the first column whose value is out of its range, if there is one.
    fn unusable(&self) -> Option<&'static str>;

    /// Returns the number that rows are ordered by, and whether every number from 0 on must be
    /// there.
    fn key(&self) -> (u64, bool);
}

/// The cells of one record, by column name.
pub struct Cells<'a> {
    header: &'a StringRecord,
    record: &'a StringRecord,
}

impl Cells<'_> {
    /// Returns the parsed cell of `column`, or the column's name where it does not parse.
    pub fn value<T: FromStr>(&self, column: &'static str) -> Result<T, &'static str> {
        self.text(column).parse().map_err(|_| column)
    }

    /// Returns the parsed cell as [`Cells::value`] does, `None` for an empty one.
    pub fn optional<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, &'static str> {
        if self.text(column).is_empty() { Ok(None) } else { self.value(column).map(Some) }
    }

    fn text(&self, column: &str) -> &str {
        let position = self.header.iter().position(|h| h == column);
        position.and_then(|i| self.record.get(i)).unwrap_or("")
    }
}

pub(super) fn rows<T: TableRow>(path: &Path) -> Result<Vec<T>> {
    let mut table = OpenTable::open(path)?;
    let mut found: Vec<&str> = table.header.iter().collect();
    let mut expected: Vec<&str> = T::COLUMNS.iter().map(|c| c.0).collect();
    found.sort_unstable();
    expected.sort_unstable();
    if found != expected {
        let columns: Vec<&str> = T::COLUMNS.iter().map(|c| c.0).collect();
        return Err(table.wrong_header(columns.join(",")));
    }
    let header = table.header.clone();
    let bad = |table: &OpenTable, line, record: &StringRecord, column: &str| {
        let position = header.iter().position(|h| h == column).unwrap_or(0);
        let expected = T::COLUMNS.iter().find(|c| c.0 == column).map_or("a value", |c| c.1);
        table.cell(line, column, record.get(position).unwrap_or(""), expected)
    };
    let mut rows: Vec<(u64, T)> = Vec::new();
    while let Some((line, record)) = table.next_record()? {
        let cells = Cells { header: &header, record: &record };
        let row = T::parse(&cells).map_err(|column| bad(&table, line, &record, column))?;
        if let Some(column) = row.unusable() {
            return Err(bad(&table, line, &record, column));
        }
        rows.push((line, row));
    }
    rows.sort_by_key(|(_, row)| row.key().0);
    let column = T::COLUMNS[0];
    for (i, (line, row)) in rows.iter().enumerate() {
        let (key, complete) = row.key();
        let repeated = i > 0 && rows[i - 1].1.key().0 == key;
        if repeated || (complete && key != i as u64) {
            let found = if repeated { format!("{key} again") } else { key.to_string() };
            return Err(table.cell(*line, column.0, &found, column.1));
        }
    }
    if rows.is_empty() && !T::MAY_BE_EMPTY {
        return Err(table.whole("no rows", "at least one below the header"));
    }
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Puts an error of the CSV reader itself into our words.
fn malformed(name: &str, error: csv::Error) -> Error {
    let line = error.position().map_or(1, |p| p.line());
    let place = format!("{name}, line {line}");
    match error.into_kind() {
        ErrorKind::Io(e) => Error::io(name)(e),
        ErrorKind::UnequalLengths { expected_len, len, .. } => Error::invalid(
            place,
            format!("{len} cells"),
            format!("{expected_len}, as many as the header has"),
        ),
        ErrorKind::Utf8 { .. } => {
            Error::invalid(place, "bytes that are not UTF-8", "a CSV file in UTF-8")
        }
        other => Error::invalid(place, format!("{other:?}"), "a CSV file"),
    }
}
