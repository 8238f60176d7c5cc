//! Data sets: built-in drawings, folder trees, CIFAR files, hostile input.

use fairprune::data::{self, Format, LoadOptions};

fn quiet(_: usize, _: usize) {}

/// Writes the built-in sets as raw bytes, for tuning their constants elsewhere:
/// `FAIRPRUNE_DUMP=DIR FAIRPRUNE_SEEDS=1,2 cargo test --test readers dump -- --ignored`.
#[test]
#[ignore = "a tool, not a check"]
fn dump_built_in_sets() {
    let Some(dir) = std::env::var_os("FAIRPRUNE_DUMP").map(std::path::PathBuf::from) else {
        return;
    };
    let seeds = std::env::var("FAIRPRUNE_SEEDS").unwrap_or_else(|_| "0".to_owned());
    for seed in seeds.split(',').map(|s| s.parse::<u64>().unwrap()) {
        for spec in ["shapes", "shapes:extreme"] {
            let options = LoadOptions { seed, ..Default::default() };
            let start = std::time::Instant::now();
            let set = data::load(spec, &options, &quiet).unwrap();
            println!("{spec} {seed}: {:?} {}", start.elapsed(), set.fingerprint);
            let name = if set.format == Format::Shapes { "shapes" } else { "extreme" };
            let parts = [Some(&set.train), set.val.as_ref(), set.test.as_ref()];
            for (part, p) in ["train", "val", "test"].into_iter().zip(parts) {
                let stem = format!("{name}-{seed}-{part}");
                let p = p.unwrap();
                std::fs::write(dir.join(format!("{stem}.images")), &p.images).unwrap();
                std::fs::write(dir.join(format!("{stem}.labels")), bytemuck::cast_slice(&p.labels))
                    .unwrap();
            }
        }
    }
}

/// Reads `FAIRPRUNE_DATA` a few times and prints files per second.
#[test]
#[ignore = "a tool, not a check"]
fn time_reading() {
    let Ok(path) = std::env::var("FAIRPRUNE_DATA") else { return };
    for _ in 0..5 {
        let start = std::time::Instant::now();
        let options = LoadOptions {
            image_size: std::env::var("FAIRPRUNE_SIZE").ok().map(|s| s.parse().unwrap()),
            ..Default::default()
        };
        let set = data::load(&path, &options, &quiet).unwrap();
        let files = set.train.len() + set.test.as_ref().map_or(0, |t| t.len());
        let seconds = start.elapsed().as_secs_f64();
        println!("{files} files, {seconds:.2} s, {:.0} files/s", files as f64 / seconds);
    }
}
