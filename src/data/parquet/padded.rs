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
            _ if self.byte_arrays => Ok(self.long_enough(page)),
            _ => Ok(page),
        }
    }

    fn long_enough(&self, mut page: Page) -> Page {
        let values = page.num_values() as usize;
        // A dictionary is always plain, whatever it calls itself.
        let plain =
            matches!(page, Page::DictionaryPage { .. }) || page.encoding() == Encoding::PLAIN;
        let start = match &page {
            Page::DictionaryPage { .. } => 0,
            Page::DataPage { buf, .. } if self.levels => length_at(buf, 0).unwrap_or(0) + LENGTH,
            Page::DataPage { .. } => 0,
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                (*def_levels_byte_len as usize).saturating_add(*rep_levels_byte_len as usize)
            }
        };
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
