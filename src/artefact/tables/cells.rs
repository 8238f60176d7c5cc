//! Cells that a spreadsheet would take for a formula.
//!
//! Excel, LibreOffice and others compute a cell that begins with `=`, `+`, `-` or `@` (a tab or a carriage return
//! in front does not hinder them). An id may be such a text. A text cell of this kind gets an apostrophe in
//! front, as people type it there; so does one that has apostrophes before such a sign, so that reading, which
//! takes one away again, returns every text as it was. Numbers, such as -0.5, stay numbers.

use csv::{ByteRecord, ReaderBuilder, StringRecord, WriterBuilder};
use serde::Serialize;
use std::io::{self, Write};

const QUOTE: char = '\'';

/// Whether apostrophes, if any, are followed by what begins a formula.
fn is_like_formula(cell: &str) -> bool {
    cell.trim_start_matches(QUOTE).starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The cell as it is written.
fn quoted(cell: &str) -> Option<String> {
    (is_like_formula(cell) && cell.parse::<f64>().is_err()).then(|| format!("{QUOTE}{cell}"))
}

/// The cell as it was before it was written.
fn unquoted(cell: &str) -> &str {
    cell.strip_prefix(QUOTE).filter(|_| is_like_formula(cell)).unwrap_or(cell)
}

/// A record whose cells are as they were before they were written.
pub(in crate::artefact) fn read(record: StringRecord) -> StringRecord {
    if !record.iter().any(|cell| cell.starts_with(QUOTE)) {
        return record;
    }
    let mut plain: StringRecord = record.iter().map(unquoted).collect();
    plain.set_position(record.position().cloned());
    plain
}

/// Writes rows of a table.
pub struct RowWriter<W: Write> {
    out: W,
}

impl<W: Write> RowWriter<W> {
    /// Writes to `out`, which should have a buffer.
    pub fn new(out: W) -> Self {
        RowWriter { out }
    }

    /// Writes the fields of a row, in their order.
    pub fn row<T: Serialize + ?Sized>(&mut self, row: &T) -> io::Result<()> {
        let mut one = writer(Vec::new());
        one.serialize(row)?;
        self.whole(one.into_inner().map_err(|e| e.into_error())?)
    }

    /// Writes a row of texts.
    pub fn texts<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
        let mut one = writer(Vec::new());
        one.write_record(cells)?;
        self.whole(one.into_inner().map_err(|e| e.into_error())?)
    }

    fn whole(&mut self, line: Vec<u8>) -> io::Result<()> {
        // Few rows have such a cell, and a look at their bytes tells most of the others.
        let mut before = b',';
        let plain = line.iter().all(|&byte| {
            let begins = matches!(std::mem::replace(&mut before, byte), b',' | b'"' | b'\n');
            !begins || !matches!(byte, b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\'')
        });
        if plain {
            return self.out.write_all(&line);
        }
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(&line[..]);
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record)?;
        let mut one = writer(&mut self.out);
        for cell in &record {
            let text = std::str::from_utf8(cell).ok().and_then(quoted);
            one.write_field(text.as_deref().map_or(cell, str::as_bytes))?;
        }
        one.write_record(None::<&[u8]>)?;
        one.flush()
    }

    /// Writes what is left in the buffer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn writer<W: Write>(out: W) -> csv::Writer<W> {
    WriterBuilder::new().has_headers(false).buffer_capacity(1 << 10).from_writer(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(cells: &[&str]) -> String {
        let mut out = Vec::new();
        RowWriter::new(&mut out).texts(cells.iter().copied()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn formulas_are_quoted_and_numbers_stay_numbers() {
        for (cell, expected) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2+3|cmd", "'-2+3|cmd"),
            ("+x", "'+x"),
            ("\t=1", "'\t=1"),
            ("'=1", "''=1"),
            ("-0.5", "-0.5"),
            ("+1e-7", "+1e-7"),
            ("-inf", "-inf"),
            ("'quoted'", "'quoted'"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(written(&[cell, "x"]), format!("{expected},x\n"), "{cell:?}");
            assert_eq!(unquoted(expected), cell);
        }
        let mut out = Vec::new();
        RowWriter::new(&mut out).row(&(-0.5, "=a,b", Some(-3), None::<u8>)).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "-0.5,\"'=a,b\",-3,\n");
    }

    proptest! {
        #[test]
        fn every_text_is_read_as_it_was(cells in prop::collection::vec("['=+\\-@\t\r\n\",a1.]{0,6}", 2..5)) {
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let text = written(&cells);
            let mut reader = ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let record = read(reader.records().next().unwrap().unwrap());
            prop_assert_eq!(record.iter().collect::<Vec<_>>(), cells);
            let mut reader = ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let raw = reader.records().next().unwrap().unwrap();
            prop_assert!(raw.iter().all(|c| !c.starts_with(['=', '@', '\t', '\r'])));
        }
    }
}
