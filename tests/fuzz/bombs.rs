//! Files that unpack to far more than they are.

use std::io::Write;

use fairprune::data::{DecodeLimits, decode_image};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::corpus;
use crate::harness::peak;

/// Bytes that a decoder may take beside the pixels, whatever the file says.
const MOST: usize = 64 << 20;

/// What the chunks unpack to.
const UNPACKED: usize = 200 << 20;

/// A PNG file with one more chunk behind its header.
fn with_chunk(name: &[u8; 4], start: &[u8]) -> Vec<u8> {
    let mut data = start.to_vec();
    let mut zlib = ZlibEncoder::new(&mut data, Compression::best());
    let block = vec![0; 1 << 20];
    (0..UNPACKED >> 20).for_each(|_| zlib.write_all(&block).unwrap());
    zlib.finish().unwrap();
    let mut file = corpus::png(8, 8, [1, 2, 3]);
    let mut sum = flate2::Crc::new();
    sum.update(name);
    sum.update(&data);
    let length = (data.len() as u32).to_be_bytes();
    let chunk = [&length[..], name, &data, &sum.sum().to_be_bytes()].concat();
    // Behind the signature and the header's chunk.
    file.splice(33..33, chunk);
    file
}

#[test]
fn profiles_and_texts_of_images_are_not_unpacked() {
    for (name, start) in
        [(b"iCCP", &b"x\0\0"[..]), (b"zTXt", b"x\0\0"), (b"iTXt", b"x\0\x01\0\0\0")]
    {
        let file = with_chunk(name, start);
        assert!(file.len() < 1 << 20);
        let mut decoded = None;
        let most = peak(|| decoded = Some(decode_image(&file, DecodeLimits::default(), "x")));
        let (height, width, rgb) = decoded.unwrap().unwrap();
        assert_eq!((height, width, &rgb[..3]), (8, 8, &[1, 2, 3][..]));
        assert!(most < MOST, "{}: {most} bytes", String::from_utf8_lossy(name));
    }
}
