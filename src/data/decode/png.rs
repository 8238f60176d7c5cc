//! PNG files.

use std::io::Cursor;

use png::{ColorType, DecodingError};

use crate::memory;

pub(super) const SIGNATURE: &[u8] = &[0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// Bytes that decoding may take for each pixel, those of the costliest kind, and in any case.
const BYTES_PER_PIXEL: usize = 8;
const LEAST_BYTES: usize = 1 << 24;

/// Returns width and height from the first chunk.
pub(super) fn size(bytes: &[u8]) -> Result<(usize, usize), String> {
    if !bytes.windows(4).rev().any(|name| name == b"IEND") {
        return Err("truncated: no end chunk".to_owned());
    }
    match bytes.get(12..24) {
        Some([b'I', b'H', b'D', b'R', w0, w1, w2, w3, h0, h1, h2, h3]) => Ok((
            u32::from_be_bytes([*w0, *w1, *w2, *w3]) as usize,
            u32::from_be_bytes([*h0, *h1, *h2, *h3]) as usize,
        )),
        _ => Err("no header chunk".to_owned()),
    }
}

/// Decodes to `height width 3` bytes, the length of `rgb`.
pub(super) fn decode(bytes: &[u8], rgb: &mut [u8]) -> Result<(), String> {
    let mut decoder = png::Decoder::new_with_limits(
        Cursor::new(bytes),
        png::Limits { bytes: LEAST_BYTES.max(rgb.len() / 3 * BYTES_PER_PIXEL) },
    );
    // Profiles and texts are not used, and a few bytes of them may unpack to any length.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // Palettes and grey of few bits become whole bytes, and 16 bits stay.
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(reason)?;
    let (color, depth) = reader.output_color_type();
    // Samples of 16 bits start with their high byte, which is the one that is kept.
    let bytes = if depth == png::BitDepth::Sixteen { 2 } else { 1 };
    if (color, bytes) == (ColorType::Rgb, 1) {
        return reader.next_frame(rgb).map(drop).map_err(reason);
    }
    let picks = match color {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => [0; 3],
        ColorType::Rgb | ColorType::Rgba => [0, bytes, 2 * bytes],
        ColorType::Indexed => return Err(format!("pixel format {color:?}")),
    };
    let pixel = color.samples() * bytes;
    let mut raw = memory::filled(0, rgb.len() / 3 * pixel).map_err(|e| e.to_string())?;
    reader.next_frame(&mut raw).map_err(reason)?;
    for (out, raw) in rgb.chunks_exact_mut(3).zip(raw.chunks_exact(pixel)) {
        out.copy_from_slice(&picks.map(|p| raw[p]));
    }
    Ok(())
}

/// What the PNG decoder met, for people.
fn reason(error: DecodingError) -> String {
    match error {
        DecodingError::IoError(error) => error.to_string(),
        DecodingError::Format(_) => format!("Format error decoding Png: {error}"),
        DecodingError::Parameter(_) => format!("The parameter is malformed: {error}"),
        DecodingError::LimitsExceeded => "Memory limit exceeded".to_owned(),
    }
}
