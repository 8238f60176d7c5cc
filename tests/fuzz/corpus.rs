//! Inputs that the readers accept: the golden files, and small ones made here.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Files of `tests/golden`.
pub fn golden(names: &[&str]) -> Vec<Vec<u8>> {
    let read = |name: &&str| fs::read(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    names.iter().map(read).collect()
}

/// The image files of `tests/golden/readers/pixels.json`, and every fifth of the variants beside it.
pub fn images() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(root().join("readers/pixels.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let packed = fs::read(root().join("readers/variants.json.gz")).unwrap();
    let mut lines = String::new();
    GzDecoder::new(packed.as_slice()).read_to_string(&mut lines).unwrap();
    let variants = lines.lines().step_by(5);
    let variants = variants.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    cases.into_iter().chain(variants).map(|c| hex(c["file"].as_str().unwrap())).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
    (0..text.len() / 2).map(byte).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    crate::png_file::png(width, height, |_, _| colour)
}

/// A CIFAR batch small enough to be changed everywhere: the array is cut to `columns`, and the labels
/// are what the rest is about.
pub fn small_pickle(name: &str) -> Vec<u8> {
    let whole = fs::read(root().join(format!("formats/{name}"))).unwrap();
    // The longest run of pixels goes; its length is stated before it.
    let Some(at) = whole.windows(4).position(|w| w == 3072u32.to_le_bytes()) else { return whole };
    let mut small = whole[..at].to_vec();
    small.extend(12u32.to_le_bytes());
    small.extend(&whole[at + 4..at + 16]);
    small.extend(&whole[at + 4 + 3072..]);
    // The shape (1, 3072) becomes (1, 12).
    if let Some(shape) = small.windows(4).position(|w| w == [b'M', 0, 12, 0x86]) {
        small.splice(shape..shape + 3, [b'K', 12]);
    }
    small
}

/// A tar of the smallest samples.
pub fn shard() -> Vec<u8> {
    let image = png(2, 2, [9, 8, 7]);
    let mut out = tar::Builder::new(Vec::new());
    let long = format!("{}/b", "folder".repeat(20));
    for (name, content) in [
        ("a.png", &image[..]),
        ("a.cls", b"3"),
        (&format!("{long}.png"), &image),
        (&format!("{long}.json"), b"{\"label\": 2}"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        out.append_data(&mut header, name, content).unwrap();
    }
    out.into_inner().unwrap()
}
