//! Files per second of reading an image folder: `cargo bench --bench read -- FOLDER [IMAGE_SIZE]`.

use std::path::Path;
use std::time::Instant;

use fairprune::data::{self, LoadOptions};

/// Readings; the first warms the page cache.
const ROUNDS: usize = 6;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [folder, size @ ..] = args.as_slice() else {
        println!("nothing to read: cargo bench --bench read -- FOLDER [IMAGE_SIZE]");
        return;
    };
    assert!(Path::new(folder).is_dir(), "{folder} is not a folder");
    let image_size = size.first().map(|s| s.parse().expect("IMAGE_SIZE is a number of pixels"));
    for round in 0..ROUNDS {
        let start = Instant::now();
        let options = LoadOptions { image_size, ..Default::default() };
        let set = data::load(folder, &options, &|_, _| {}).expect("a readable data set");
        let seconds = start.elapsed().as_secs_f64();
        let parts = [Some(&set.train), set.val.as_ref(), set.test.as_ref()];
        let files: usize = parts.into_iter().flatten().map(|p| p.len()).sum();
        println!("{round}: {files} files, {seconds:.2} s, {:.0} files/s", files as f64 / seconds);
    }
}
