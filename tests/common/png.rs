//! PNG files for tests.

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

/// An RGB image whose pixels `pixel(x, y)` gives.
pub fn png(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixels: Vec<u8> = places.flat_map(|(x, y)| pixel(x, y)).collect();
    encoded((width, height), ColorType::Rgb, BitDepth::Eight, &pixels)
}

/// Pixels as a PNG file stores them: 16 bits with the high byte first.
pub fn encoded(size: (u32, u32), color: ColorType, depth: BitDepth, pixels: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, size.0, size.1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Adaptive);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    file
}
