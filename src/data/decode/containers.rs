//! Sizes that WebP and TIFF files state inside, checked before their decoders allocate by them.

/// Refuses frames of a WebP file that are larger than its canvas of `width` by `height`: their decoder
/// makes room for a frame before it compares the two.
pub(super) fn check_webp(bytes: &[u8], (width, height): (usize, usize)) -> Result<(), String> {
    let mut chunks = vec![bytes.get(12..).unwrap_or_default()];
    while let Some(mut rest) = chunks.pop() {
        while let [a, b, c, d, s0, s1, s2, s3, tail @ ..] = rest {
            let size = u32::from_le_bytes([*s0, *s1, *s2, *s3]) as usize;
            let payload = &tail[..size.min(tail.len())];
            let frame = match &[*a, *b, *c, *d] {
                b"VP8 " => lossy_size(payload),
                b"VP8L" => lossless_size(payload),
                b"ANMF" => {
                    chunks.push(payload.get(16..).unwrap_or_default());
                    None
                }
                _ => None,
            };
            if let Some((w, h)) = frame.filter(|(w, h)| *w > width || *h > height) {
                return Err(format!("a frame of {w}x{h} in an image of {width}x{height}"));
            }
            // Chunks of odd length are padded.
            rest = tail.get(size.saturating_add(size & 1)..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Width and height of a lossy frame: 14 bits each behind the start code.
fn lossy_size(payload: &[u8]) -> Option<(usize, usize)> {
    let bytes = payload.get(6..10)?;
    let side = |low: u8, high: u8| usize::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((side(bytes[0], bytes[1]), side(bytes[2], bytes[3])))
}

/// Width and height of a lossless frame: 14 bits each, less one, behind the signature.
fn lossless_size(payload: &[u8]) -> Option<(usize, usize)> {
    let bits = u32::from_le_bytes(payload.get(1..5)?.try_into().ok()?) as usize;
    Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
}

/// Refuses a TIFF file whose fields claim more values than it holds: their decoder makes room for them
/// before it reads.
pub(super) fn check_tiff(bytes: &[u8]) -> Result<(), String> {
    let little = bytes.first() == Some(&b'I');
    let word = |at: usize| -> Option<u32> {
        let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
    };
    let half = |at: usize| -> Option<usize> {
        let two: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        let value = if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) };
        Some(usize::from(value))
    };
    let cut = || "it ends in its directory".to_owned();
    let directory = word(4).ok_or_else(cut)? as usize;
    for i in 0..half(directory).ok_or_else(cut)? {
        let field = directory + 2 + 12 * i;
        let (kind, count) = half(field + 2).zip(word(field + 4)).ok_or_else(cut)?;
        // Bytes, texts, signed and undefined bytes; numbers of 16, 32 and 64 bits.
        let value = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            _ => 8,
        };
        let length = u64::from(count) * value;
        let start = word(field + 8).ok_or_else(cut)?;
        if length > 4 && u64::from(start) + length > bytes.len() as u64 {
            return Err(format!("a field of {length} bytes that ends behind the file"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_fields_beyond_the_file_are_refused() {
        let chunk = |name: &[u8; 4], payload: &[u8]| {
            [name.as_slice(), &(payload.len() as u32).to_le_bytes(), payload].concat()
        };
        // 300 x 2 lossless: 299 | 1 << 14.
        let lossless = [&[0x2f][..], &(299u32 | 1 << 14).to_le_bytes()].concat();
        let lossy = [&[0; 3][..], &[0x9d, 1, 0x2a], &[0x2c, 1, 2, 0]].concat();
        for (name, payload) in [(b"VP8L", &lossless), (b"VP8 ", &lossy)] {
            let frame = chunk(name, payload);
            let animated = chunk(b"ANMF", &[&[0; 16][..], &frame].concat());
            for inner in [frame, animated] {
                let file = [b"RIFF\0\0\0\0WEBP".as_slice(), &inner].concat();
                assert_eq!(check_webp(&file, (300, 2)), Ok(()));
                let error = check_webp(&file, (299, 2)).unwrap_err();
                assert_eq!(error, "a frame of 300x2 in an image of 299x2");
            }
        }
        // One field of 3 words at byte 26, which the file of 38 bytes holds, and of 4, which it does not.
        let file = |count: u8| {
            let mut file = b"II*\0\x08\0\0\0\x01\0\x11\x01\x04\0".to_vec();
            file.extend([count, 0, 0, 0, 26, 0, 0, 0]);
            file.resize(38, 0);
            file
        };
        assert_eq!(check_tiff(&file(3)), Ok(()));
        assert!(check_tiff(&file(4)).unwrap_err().contains("16 bytes"));
        assert!(check_tiff(b"MM\0*\0\0\0\x08\0").unwrap_err().contains("directory"));
    }
}
