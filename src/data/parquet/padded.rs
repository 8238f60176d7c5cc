//! Pages in a form that the Parquet reader can take, because it panics on some that are damaged.
//!
//! A plain value of a byte array is a length of four bytes and as many bytes. The reader asks a page for
//! the values that it announces and panics where less than a length is left. Such pages get zeros
//! behind their end, so that what is missing is read as empty values, which are no images and refused by
//! row. Levels, which say where values are missing, must be run-length encoded: the packed form, given
//! up in 2013, is cut out of the page without a look at its length.

use ::parquet::basic::Encoding;
use ::parquet::column::page::{Page, PageMetadata, PageReader};
use ::parquet::errors::{ParquetError, Result};
use bytes::{Bytes, BytesMut};

/// Number of bytes before a value that say its length.
const LENGTH: usize = 4;

/// Encodings of numbers by their differences, and of byte arrays with their lengths so.
const DELTAS: [Encoding; 2] = [Encoding::DELTA_BINARY_PACKED, Encoding::DELTA_LENGTH_BYTE_ARRAY];

/// Most differences of a block. Writers take 128.
const MOST_BLOCK: u64 = 1 << 16;

/// The pages of `inner`, which is a column without repetition.
pub(super) struct PaddedPages {
    pub inner: Box<dyn PageReader>,
    /// Whether values can be missing, as levels before the values then say.
    pub levels: bool,
    /// Whether the values are byte arrays.
    pub byte_arrays: bool,
}

impl PageReader for PaddedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.inner.get_next_page()?.map(|page| self.checked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

impl Iterator for PaddedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PaddedPages {
    fn checked(&self, page: Page) -> Result<Page> {
        match &page {
            Page::DataPage { def_level_encoding, .. }
                if self.levels && *def_level_encoding != Encoding::RLE =>
            {
                Err(ParquetError::NYI(format!("levels of encoding {def_level_encoding}")))
            }
            Page::DataPage { encoding, .. } | Page::DataPageV2 { encoding, .. }
                if DELTAS.contains(encoding) =>
            {
                self.check_deltas(&page)?;
                Ok(page)
            }
            _ if self.byte_arrays => Ok(self.long_enough(page)),
            _ => Ok(page),
        }
    }

    /// Refuses a page of deltas that announces more of them than it has values, since the reader makes
    /// room for as many before it looks for them.
    fn check_deltas(&self, page: &Page) -> Result<()> {
        let mut rest = page.buffer().get(self.start(page)..).unwrap_or_default();
        let numbers = [number(&mut rest), number(&mut rest), number(&mut rest)];
        let known = |n: Option<u64>, most: u64| n.is_some_and(|n| n <= most);
        let [block, groups, count] = numbers;
        if !known(block, MOST_BLOCK)
            || !known(groups, MOST_BLOCK)
            || !known(count, u64::from(page.num_values()))
        {
            let text =
                format!("a page of {} values that announces other deltas", page.num_values());
            return Err(ParquetError::General(text));
        }
        Ok(())
    }

    /// Returns where the values of a page begin.
    fn start(&self, page: &Page) -> usize {
        match page {
            Page::DictionaryPage { .. } => 0,
            Page::DataPage { buf, .. } if self.levels => length_at(buf, 0).unwrap_or(0) + LENGTH,
            Page::DataPage { .. } => 0,
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                (*def_levels_byte_len as usize).saturating_add(*rep_levels_byte_len as usize)
            }
        }
    }

    fn long_enough(&self, mut page: Page) -> Page {
        let values = page.num_values() as usize;
        // A dictionary is always plain, whatever it calls itself.
        let plain =
            matches!(page, Page::DictionaryPage { .. }) || page.encoding() == Encoding::PLAIN;
        let start = self.start(&page);
        let (Page::DataPage { buf, .. }
        | Page::DataPageV2 { buf, .. }
        | Page::DictionaryPage { buf, .. }) = &mut page;
        if plain && let Some((end, missing)) = missing(buf, start, values) {
            let mut longer = BytesMut::with_capacity(end + missing * LENGTH);
            longer.extend_from_slice(&buf[..end]);
            longer.resize(end + missing * LENGTH, 0);
            *buf = longer.freeze();
        }
        page
    }
}

/// Takes a number in groups of seven bits from the front of `bytes`.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(LENGTH)?)?;
    Some(u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize)
}

/// Returns where the values in `bytes` from `start` on end, and how many of `values` are missing
/// there. It is `None` if all are there, or where one is longer than the page, which the reader
/// refuses by itself.
fn missing(bytes: &Bytes, start: usize, values: usize) -> Option<(usize, usize)> {
    let mut at = start;
    for found in 0..values {
        match length_at(bytes, at) {
            Some(length) => at = at.saturating_add(LENGTH).saturating_add(length),
            // The rest of a length is no length.
            None => return (at <= bytes.len()).then_some((at, values - found)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_are_counted() {
        let two = Bytes::from_static(b"\x01\0\0\0x\0\0\0\0");
        assert_eq!([0, 1, 2].map(|n| missing(&two, 0, n)), [None; 3]);
        assert_eq!([3, 5].map(|n| missing(&two, 0, n)), [Some((9, 1)), Some((9, 3))]);
        // Half a length counts as none, and a value that is too long is not mended.
        assert_eq!(missing(&two.slice(..8), 0, 2), Some((5, 1)));
        assert_eq!(missing(&two, 5, 2), Some((9, 1)));
        assert_eq!(missing(&two, usize::MAX, 2), None);
        assert_eq!(missing(&Bytes::from_static(b"\x02\0\0\0x"), 0, 3), None);
    }
}
