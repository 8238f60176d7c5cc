//! Data sets: built-in drawings, every reader against the ecosystem's own, hostile input.

mod built_in;
mod cifar;
mod ecosystem;
mod fetch;
mod folders;
mod groups;
mod hostile;
mod imagenet;
mod layouts;
mod other_kinds;
mod packed;
mod parts;
mod pixels;

use std::fs;
use std::path::Path;

use fairprune::data::{self, DataSet, LoadOptions};
use fairprune::error::Result;

fn quiet(_: usize, _: usize) {}

fn load(root: &Path, image_size: Option<usize>) -> Result<DataSet> {
    let options = LoadOptions { image_size, ..Default::default() };
    data::load(root.to_str().unwrap(), &options, &quiet)
}

/// Runs `f` in pools of one, two and five threads.
fn with_threads<T: Send>(f: impl Fn() -> T + Sync) -> [T; 3] {
    [1, 2, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&f)
    })
}

/// The message of a refusal, which must be one of unusable input.
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

fn golden(name: &str) -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/readers").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn hex(value: &serde_json::Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    crate::png_file::png(width, height, |_, _| colour)
}

/// A tree of 2 x 2 images; each one's colour follows from its place in the list.
fn tree(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (i, name) in names.iter().enumerate() {
        put(dir.path(), name, &png(2, 2, [i as u8, 100, 200]));
    }
    dir
}

/// A tree that is laid out as expected.
const GOOD: [&str; 6] = [
    "train/cat/1.png",
    "train/cat/2.png",
    "train/dog/1.png",
    "train/dog/2.png",
    "test/cat/3.png",
    "test/dog/3.png",
];
