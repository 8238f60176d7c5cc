//! Checks the headers of a column's pages before the Parquet reader unpacks any page.
//!
//! A page's header says how large it gets, and the reader makes room for that much. Here every header
//! of a column is held against the limits first. Headers are structures of Thrift's compact protocol;
//! of their fields only sizes, counts and encodings matter.
//! Source: `parquet.thrift` and `Thrift compact protocol encoding`.

use bytes::Bytes;

/// Deepest nesting of a header's structures.
const DEEPEST: usize = 8;

/// Longest header: fifty bytes and statistics, of which writers keep at most four with 4,096 bytes
/// each.
const MOST_HEADER: u64 = 1 << 16;

/// Bounds on what headers may say.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most bytes of an unpacked page.
    pub page: usize,
    /// Fewest bytes of a value in a dictionary.
    pub value: usize,
    /// Most values of the column.
    pub values: u64,
}

/// Kinds of pages.
const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_V2: i64 = 3;

/// Encodings of values that are read: plain, two kinds of dictionary, and deltas of numbers and of
/// lengths. Others can unpack to far more than a page holds.
const PLAIN: i64 = 0;
const BY_DICTIONARY: [i64; 2] = [2, 8];
const DELTAS: [i64; 2] = [5, 6];

/// Walks the pages of a chunk, one column of one row group: `length` bytes, of which `read(at, n)`
/// gives `n` from `at` on.
///
/// # Errors
/// The text says what was found.
pub fn check(
    length: u64,
    bounds: Bounds,
    mut read: impl FnMut(u64, usize) -> Result<Bytes, String>,
) -> Result<(), String> {
    let (mut at, mut values, mut dictionary) = (0, 0u64, false);
    while at < length {
        let window = read(at, (length - at).min(MOST_HEADER) as usize)?;
        let mut header = ThriftReader { bytes: &window, at: 0 };
        let page = header.page()?;
        let [kind, unpacked, packed] = [page.kind, page.unpacked, page.packed];
        let next = u64::try_from(packed).ok().map(|n| n + at + header.at as u64);
        let Some(next) = next.filter(|&n| n <= length) else {
            return Err(format!("a page of {packed} bytes of which {} are there", length - at));
        };
        if !usize::try_from(unpacked).is_ok_and(|n| n <= bounds.page) {
            return Err(format!("a page of {unpacked} bytes, unpacked"));
        }
        let most = unpacked as usize / bounds.value;
        match kind {
            DICTIONARY if dictionary || values > 0 => {
                return Err("a dictionary that is not the first page".to_owned());
            }
            DICTIONARY => {
                if !usize::try_from(page.values).is_ok_and(|n| n <= most) {
                    return Err(format!(
                        "a dictionary of {} values in {unpacked} bytes",
                        page.values
                    ));
                }
                dictionary = true;
            }
            DATA | DATA_V2 => {
                let by_dictionary = BY_DICTIONARY.contains(&page.encoding);
                let stands_alone = page.encoding == PLAIN || DELTAS.contains(&page.encoding);
                if !(stands_alone || by_dictionary && dictionary) {
                    return Err(format!(
                        "values of encoding {}{}",
                        page.encoding,
                        if by_dictionary { " without a dictionary" } else { "" }
                    ));
                }
                let count = u64::try_from(page.values).unwrap_or(u64::MAX);
                values = values.saturating_add(count);
                if values > bounds.values {
                    return Err(format!("more than the {} values announced", bounds.values));
                }
            }
            other => return Err(format!("a page of kind {other}")),
        }
        at = next;
    }
    Ok(())
}

/// The fields of a page's header that matter; -1 where a field is missing.
#[derive(Debug)]
struct PageHeader {
    kind: i64,
    unpacked: i64,
    packed: i64,
    values: i64,
    encoding: i64,
}

/// A structure of the compact protocol that is being read.
struct ThriftReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl ThriftReader<'_> {
    fn page(&mut self) -> Result<PageHeader, String> {
        let mut page = PageHeader { kind: -1, unpacked: -1, packed: -1, values: -1, encoding: -1 };
        let mut field = 0;
        while let Some(kind) = self.field(&mut field)? {
            match (field, kind) {
                (1, 5) => page.kind = self.signed()?,
                (2, 5) => page.unpacked = self.signed()?,
                (3, 5) => page.packed = self.signed()?,
                // In the three kinds of inner headers, the number of values comes first and the
                // encoding second or fourth.
                (5 | 7, 12) => self.inner(2, &mut page)?,
                (8, 12) => self.inner(4, &mut page)?,
                _ => self.skip(kind, 0)?,
            }
        }
        Ok(page)
    }

    fn inner(&mut self, encoding: i64, page: &mut PageHeader) -> Result<(), String> {
        let mut field = 0;
        while let Some(kind) = self.field(&mut field)? {
            match kind {
                5 if field == 1 => page.values = self.signed()?,
                5 if field == encoding => page.encoding = self.signed()?,
                _ => self.skip(kind, 1)?,
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte.ok_or_else(|| "a page header that ends too early".to_owned())
    }

    fn unsigned(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number that does not end".to_owned())
    }

    fn signed(&mut self) -> Result<i64, String> {
        let n = self.unsigned()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// Reads the kind of the next field and writes its number to `field`; `None` at the end of the
    /// structure.
    fn field(&mut self, field: &mut i64) -> Result<Option<u8>, String> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *field = match byte >> 4 {
            0 => self.signed()?,
            delta => *field + i64::from(delta),
        };
        Ok(Some(byte & 15))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err("a page header that is nested too deeply".to_owned());
        }
        match kind {
            // Truth values lie in the field's kind.
            1 | 2 => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.unsigned()?),
            7 => self.pass(8)?,
            8 => {
                let length = self.unsigned()?;
                self.pass(length)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.unsigned()?,
                    n => u64::from(n),
                };
                if count > self.bytes.len() as u64 {
                    return Err(format!("a list of {count}"));
                }
                for _ in 0..count {
                    // In lists truth values take a byte each.
                    let kind = if matches!(head & 15, 1 | 2) { 3 } else { head & 15 };
                    self.skip(kind, depth + 1)?;
                }
            }
            12 => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth + 1)?;
                }
            }
            other => return Err(format!("a page header with a field of kind {other}")),
        }
        Ok(())
    }

    fn pass(&mut self, count: u64) -> Result<(), String> {
        let end = usize::try_from(count).ok().and_then(|n| n.checked_add(self.at));
        match end.filter(|&end| end <= self.bytes.len()) {
            Some(end) => {
                self.at = end;
                Ok(())
            }
            None => Err("a page header that ends too early".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { page: 1000, value: 4, values: 100 };

    fn check_bytes(chunk: &[u8]) -> Result<(), String> {
        check(chunk.len() as u64, BOUNDS, |at, n| {
            Ok(Bytes::copy_from_slice(&chunk[at as usize..at as usize + n]))
        })
    }

    /// Makes a header with fields 1, 2 and 3 and with an inner structure as field `inner`, all i32.
    fn header(sizes: [i64; 3], inner: u8, fields: &[(u8, i64)]) -> Vec<u8> {
        fn number(out: &mut Vec<u8>, n: i64) {
            let mut z = (n << 1 ^ n >> 63) as u64;
            while z > 0x7f {
                out.push(z as u8 | 0x80);
                z >>= 7;
            }
            out.push(z as u8);
        }
        let mut out = Vec::new();
        for n in sizes {
            out.push(0x15);
            number(&mut out, n);
        }
        out.push((inner - 3) << 4 | 12);
        let mut last = 0;
        for &(field, n) in fields {
            out.push((field - last) << 4 | 5);
            number(&mut out, n);
            last = field;
        }
        out.extend([0, 0]);
        out
    }

    fn data(values: i64, encoding: i64, unpacked: i64) -> Vec<u8> {
        let mut page = header([DATA, unpacked, 3], 5, &[(1, values), (2, encoding)]);
        page.extend([7; 3]);
        page
    }

    #[test]
    fn sizes_counts_and_encodings_are_held_against_the_bounds() {
        let dictionary = |values: i64| {
            let mut page = header([DICTIONARY, 40, 2], 7, &[(1, values), (2, 0)]);
            page.extend([7; 2]);
            page
        };
        let pages = |list: &[Vec<u8>]| check_bytes(&list.concat());
        assert_eq!(pages(&[data(60, PLAIN, 1000), data(40, PLAIN, 10)]), Ok(()));
        assert_eq!(pages(&[dictionary(10), data(60, 8, 10), data(40, 2, 10)]), Ok(()));
        let refused = |list: &[Vec<u8>], part: &str| {
            let text = pages(list).unwrap_err();
            assert!(text.contains(part), "{text}");
        };
        assert_eq!(pages(&[data(60, 5, 1000), data(40, 6, 10)]), Ok(()));
        refused(&[data(1, PLAIN, 1001)], "1001 bytes, unpacked");
        refused(&[data(1, PLAIN, -1)], "-1 bytes");
        refused(&[data(101, PLAIN, 10)], "more than the 100");
        refused(&[data(1, 8, 10)], "without a dictionary");
        refused(&[data(1, 7, 10)], "encoding 7");
        refused(&[dictionary(11)], "11 values in 40 bytes");
        refused(&[dictionary(1), dictionary(1)], "not the first page");
        refused(&[data(60, PLAIN, 10), data(60, PLAIN, 10)], "more than the 100");
        let page = data(60, PLAIN, 10);
        refused(&[page[..page.len() - 1].to_vec()], "a page of 3 bytes");
        refused(&[page[..4].to_vec()], "ends too early");
        refused(&[data(100, PLAIN, 10), vec![0xff]], "a field of kind 15");
    }

    #[test]
    fn no_bytes_panic() {
        let philox = crate::rng::Philox::new(3, crate::rng::Stream::Ties);
        let page = [data(60, PLAIN, 10), data(40, PLAIN, 10)].concat();
        let mut random = philox.sequence(0);
        for _ in 0..20_000 {
            let mut bytes = page.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len() as u32) as usize;
                bytes[at] = random.next_u32() as u8;
            }
            let _ = check_bytes(&bytes);
        }
    }
}
