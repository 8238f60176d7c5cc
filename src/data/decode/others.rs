//! WebP, BMP, GIF, TIFF and portable maps, by the `image` crate: pixels are Pillow's, bit for bit, but for TIFF
//! files with JPEG inside, which may differ by one. Of several frames the first is read.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use super::containers::{check_tiff, check_webp};
use crate::data::options::DecodeLimits;

/// Bytes that decoding may take for each pixel (8 of them for four channels of 16 bits), and in any case.
const BYTES_PER_PIXEL: u64 = 12;
const LEAST_BYTES: u64 = 1 << 20;

/// Which of these formats the bytes start as.
pub(super) fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    use ImageFormat::{Bmp, Gif, Pnm, Tiff, WebP};
    image::guess_format(bytes).ok().filter(|f| matches!(f, Bmp | Gif | Pnm | Tiff | WebP))
}

/// The format's name for people.
pub(super) fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Bmp => "BMP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::WebP => "WebP",
        _ => "portable map",
    }
}

/// Returns width and height from the header, and checks what the file states of its inside.
pub(super) fn size(bytes: &[u8], format: ImageFormat) -> Result<(usize, usize), String> {
    if format == ImageFormat::Tiff {
        check_tiff(bytes)?;
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut most = Limits::default();
    most.max_alloc = Some(LEAST_BYTES);
    reader.limits(most);
    let (width, height) = reader.into_dimensions().map_err(|e| e.to_string())?;
    let size = (width as usize, height as usize);
    if format == ImageFormat::WebP {
        check_webp(bytes, size)?;
    }
    Ok(size)
}

/// Decodes to `height width 3` bytes, the length of `rgb`: alpha is dropped, 16 bits keep the high byte.
pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    limits: DecodeLimits,
    rgb: &mut [u8],
) -> Result<(), String> {
    let side = u32::try_from(limits.side).unwrap_or(u32::MAX);
    let mut most = Limits::default();
    most.max_image_width = Some(side);
    most.max_image_height = Some(side);
    most.max_alloc = Some((rgb.len() as u64 / 3 * BYTES_PER_PIXEL).max(LEAST_BYTES));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(most);
    let image = reader.decode().map_err(|e| e.to_string())?;
    if image.width() as usize * image.height() as usize * 3 != rgb.len() {
        return Err("two sizes".to_owned());
    }
    let high = |v: u16| (v >> 8) as u8;
    match &image {
        DynamicImage::ImageRgb8(i) => rgb.copy_from_slice(i.as_raw()),
        DynamicImage::ImageLuma8(i) => fill(rgb, i.as_raw(), 1, |p| [p[0]; 3]),
        DynamicImage::ImageLumaA8(i) => fill(rgb, i.as_raw(), 2, |p| [p[0]; 3]),
        DynamicImage::ImageRgba8(i) => fill(rgb, i.as_raw(), 4, |p| [p[0], p[1], p[2]]),
        DynamicImage::ImageLuma16(i) => fill(rgb, i.as_raw(), 1, |p| [high(p[0]); 3]),
        DynamicImage::ImageLumaA16(i) => fill(rgb, i.as_raw(), 2, |p| [high(p[0]); 3]),
        DynamicImage::ImageRgb16(i) => fill(rgb, i.as_raw(), 3, |p| [0, 1, 2].map(|c| high(p[c]))),
        DynamicImage::ImageRgba16(i) => fill(rgb, i.as_raw(), 4, |p| [0, 1, 2].map(|c| high(p[c]))),
        other => return Err(format!("pixels of type {:?}", other.color())),
    }
    Ok(())
}

fn fill<T>(rgb: &mut [u8], raw: &[T], samples: usize, pixel: impl Fn(&[T]) -> [u8; 3]) {
    let pixels = rgb.chunks_exact_mut(3).zip(raw.chunks_exact(samples));
    pixels.for_each(|(out, raw)| out.copy_from_slice(&pixel(raw)));
}
