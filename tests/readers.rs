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
