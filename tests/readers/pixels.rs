//! Decoded and resized pixels against Pillow and torchvision.

use std::path::{Path, PathBuf};

use super::{golden, hex, load, put};

/// Bounds on the difference from libjpeg-turbo, whose transform and chroma upsampling round
/// otherwise: largest and mean absolute difference of 8-bit values.
const JPEG: (u8, f64) = (4, 0.5);

/// The same for the resize of Pillow, which also works in fixed point.
const RESIZED: (u8, f64) = (2, 0.5);

fn check(what: &str, ours: &[u8], theirs: &[u8], (most, mean): (u8, f64)) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let gaps: Vec<u8> = ours.iter().zip(theirs).map(|(x, y)| x.abs_diff(*y)).collect();
    let largest = gaps.iter().copied().max().unwrap_or(0);
    let average = gaps.iter().map(|&g| f64::from(g)).sum::<f64>() / gaps.len() as f64;
    println!("{what}: largest {largest}, mean {average:.3}");
    assert!(largest <= most && average <= mean, "{what}: largest {largest}, mean {average}");
}

/// Loads one image file under its own name.
fn load_one(name: &str, file: &[u8], size: Option<usize>) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &format!("train/a/{name}"), file);
    put(dir.path(), &format!("train/b/{name}"), file);
    load(dir.path(), size).unwrap_or_else(|e| panic!("{name}: {e}")).train.image(0).to_vec()
}

#[test]
fn every_kind_of_file_decodes_as_pillow_does() {
    let cases = golden("pixels.json");
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let file = hex(&case["file"]);
        let bound = if file.starts_with(b"\x89PNG") { (0, 0.0) } else { JPEG };
        check(name, &load_one(name, &file, None), &hex(&case["rgb"]), bound);
        for resized in case["resized"].as_array().unwrap() {
            let size = resized["size"].as_u64().unwrap() as usize;
            let ours = load_one(name, &file, Some(size));
            check(&format!("{name} at {size}"), &ours, &hex(&resized["rgb"]), RESIZED);
        }
    }
}

/// `$FAIRPRUNE_TEST_DATA` or `~/data`, where the real sets are looked for.
fn real_data(name: &str) -> Option<PathBuf> {
    let base = std::env::var_os("FAIRPRUNE_TEST_DATA").map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|h| Path::new(&h).join("data")))?;
    let path = base.join(name);
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
    }
    path.is_dir().then_some(path)
}

#[test]
fn photographs_decode_and_resize_as_pillow_does() {
    let Some(root) = real_data("imagenette/imagenette-mini") else { return };
    let golden = golden("imagenette.json");
    let full = load(&root, None).unwrap();
    let small = load(&root, Some(32)).unwrap();
    assert_eq!(full.train.len() as u64, golden["count"].as_u64().unwrap());
    assert_eq!((full.height, full.width, small.height, small.width), (224, 224, 32, 32));
    for image in golden["images"].as_array().unwrap() {
        let i = image["index"].as_u64().unwrap() as usize;
        let id = &full.train.ids[i];
        assert_eq!(id, image["id"].as_str().unwrap());
        assert_eq!(u64::from(full.train.labels[i]), image["label"].as_u64().unwrap());
        let pixels = full.train.image(i);
        let every16: Vec<u8> = (0..224 * 224)
            .filter(|p| p / 224 % 16 == 0 && p % 224 % 16 == 0)
            .flat_map(|p| pixels[p * 3..p * 3 + 3].to_vec())
            .collect();
        check(id, &every16, &hex(&image["every16"]), JPEG);
        check(&format!("{id} at 32"), small.train.image(i), &hex(&image["at32"]), RESIZED);
    }
}
