//! Numbers and texts as protocol 0 writes them: in letters, a line each.

use std::borrow::Cow;

/// Reads a number, or one of the two truth values.
pub(super) fn integer(line: &[u8]) -> Result<i64, String> {
    let text = String::from_utf8_lossy(line);
    let digits = text.trim().trim_end_matches('L');
    match digits {
        "00" => Ok(0),
        "01" => Ok(1),
        _ => digits
            .parse()
            .map_err(|_| format!("the number {:?}", text.chars().take(40).collect::<String>())),
    }
}

/// Reads a text of Python 2, between quotes and with escapes.
pub(super) fn quoted(line: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let inner = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err("a text without quotes".to_owned()),
    };
    if !inner.contains(&b'\\') {
        return Ok(Cow::Borrowed(inner));
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let (byte, used) = match after {
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [b'x', digits @ ..] => {
                (hexadecimal(digits, 2).ok_or("an escape that is not known")? as u8, 3)
            }
            [plain @ (b'\\' | b'\'' | b'"'), ..] => (*plain, 1),
            _ => return Err("an escape that is not known".to_owned()),
        };
        out.push(byte);
        rest = &after[used..];
    }
    Ok(Cow::Owned(out))
}

/// Reads a text in which code points beyond latin-1, line ends and backslashes are escaped as `\uXXXX`,
/// and returns it in UTF-8.
pub(super) fn unicode(line: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if line.is_ascii() && !line.contains(&b'\\') {
        return Ok(Cow::Borrowed(line));
    }
    let mut out = String::with_capacity(2 * line.len());
    let mut rest = line;
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [b'u', digits @ ..] if *first == b'\\' => Some((digits, 4)),
            [b'U', digits @ ..] if *first == b'\\' => Some((digits, 8)),
            _ => None,
        };
        let Some((digits, count)) = escaped else {
            out.push(char::from(*first));
            rest = after;
            continue;
        };
        let point = hexadecimal(digits, count).and_then(char::from_u32);
        out.push(point.ok_or("an escape that is no character")?);
        rest = &digits[count..];
    }
    Ok(Cow::Owned(out.into_bytes()))
}

fn hexadecimal(digits: &[u8], count: usize) -> Option<u32> {
    let text = std::str::from_utf8(digits.get(..count)?).ok()?;
    text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_as_python_writes_them() {
        assert_eq!(integer(b"-12"), Ok(-12));
        assert_eq!((integer(b"01"), integer(b"7L"), integer(b"10")), (Ok(1), Ok(7), Ok(10)));
        assert!(integer(b"x").is_err() && integer(b"").is_err());
        assert_eq!(quoted(b"'a\\x00\\n\\\\b\\''").unwrap(), &b"a\0\n\\b'"[..]);
        assert!(quoted(b"'a").is_err() && quoted(b"'\\x0'").is_err() && quoted(b"'\\q'").is_err());
        assert_eq!(unicode(b"a\xe9\\u000a\\u20ac").unwrap(), "a\u{e9}\n\u{20ac}".as_bytes());
        assert!(unicode(b"\\ud800").is_err() && unicode(b"\\u12").is_err());
    }
}
